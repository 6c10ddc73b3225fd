"""Small MIDI files of many kinds are read for what they mean, each with the right values."""

import logging
from collections import Counter
from typing import NamedTuple

import pytest

from music_vae.music.notes_io import UnreadableMusicError, read_music_file
from support.paths import MIDI

PIANO, BASS, FLUTE, DRUMS = "piano", "bass", "flute", "drums"
PROGRAMS = {0: PIANO, 33: BASS, 73: FLUTE}
FOUR = [(4, 4)]
TUNE_S = 4.8  # two bars at 100 quarter notes a minute


class Piece(NamedTuple):
    """What a file holds: notes by instrument, tempos, metres, seconds, and the line on it."""

    notes: dict
    qpms: tuple = (100,)
    metres: list = FOUR
    seconds: float = TUNE_S
    line: str = ""


TUNE = Piece({PIANO: 16})
BEAT = Piece({DRUMS: 24}, seconds=4.65)
SONG = Piece({PIANO: 32, BASS: 32, DRUMS: 48}, seconds=9.6)
MIXED = Piece({PIANO: 44}, metres=[(4, 4), (3, 4), (4, 4)], seconds=16.8)
WALTZ = Piece({PIANO: 12}, (90,), [(3, 4)], 8.0)
FILM = "its time counts frames of film and says no tempo; read as 120 quarter notes a minute"


def ignored(what, **changes):
    return TUNE._replace(line=f"ignored: {what}", **changes)


PIECES = {
    "drum_pitches/gm_kit": [Piece({DRUMS: 42})],
    "drum_pitches/on_channel_1": [Piece({PIANO: 24}, seconds=4.65)],
    "drum_pitches/pads_on_channel_1_with_bass": [Piece({PIANO: 24, BASS: 16})],
    "drum_pitches/rolls": [Piece({DRUMS: 36}, seconds=4.785)],
    "drum_pitches/six_bars": [Piece({DRUMS: 72}, (174,), seconds=8.19)],
    "drum_pitches/six_eight": [Piece({DRUMS: 36}, metres=[(6, 8)], seconds=7.05)],
    "drum_pitches/sixteenths": [Piece({DRUMS: 40}, seconds=4.77)],
    "drum_pitches/tempo_change": [Piece({DRUMS: 48}, (100, 101), seconds=9.404)],
    "drum_pitches/two_bars_rest_first": [Piece({DRUMS: 24}, seconds=9.45)],
    "kinds/one_tick_a_beat": [Piece({PIANO: 8})],
    "kinds/smpte": [Piece({PIANO: 16}, (120,), [], 3.84, FILM)],
    "kinds/type2": [TUNE, Piece({PIANO: 16}, (120,), [], 4.0)],
    "loops/ends_in_rest": [Piece({PIANO: 9}, seconds=2.7)],
    "loops/long_last_note": [Piece({PIANO: 16}, seconds=4.86)],
    "loops/pickup": [Piece({PIANO: 18}, metres=[(1, 4), (4, 4)], seconds=5.4)],
    "loops/tempo_at_tick_1": [Piece({PIANO: 16}, (120, 90), seconds=5.333)],
    "loops/two_tempos": [Piece({PIANO: 32}, (100, 70), seconds=11.657)],
    "meta_track/beat_90_on_track2": [Piece({DRUMS: 24}, (90,), seconds=5.167)],
    "meta_track/mixed_metre_on_track1": [MIXED],
    "meta_track/mixed_metre_on_track2": [MIXED],
    "meta_track/tune_90_on_track2": [Piece({PIANO: 16}, (90,), seconds=5.333)],
    "meta_track/waltz_meta_on_track1": [WALTZ],
    "meta_track/waltz_meta_on_track2": [WALTZ],
    "no_note_off/beat_no_offs": [BEAT._replace(seconds=4.501)],
    "no_note_off/tune_last_note_open": [TUNE],
    "odd_bytes/alien_chunk": [ignored("a part of the file that is no track")],
    "odd_bytes/count_too_large": [ignored("a wrong number of tracks in the header (4, not 2)")],
    "odd_bytes/crlf_after_end": [TUNE],
    "odd_bytes/empty_track": [TUNE],
    "odd_bytes/good": [TUNE],
    "odd_bytes/key_128_flats": [ignored("a key signature of 128 flats")],
    "odd_bytes/key_8_flats": [ignored("a key signature of 8 flats")],
    "odd_bytes/metre_0_4": [ignored("a metre of 0/4", metres=[])],
    "odd_bytes/metre_2_bytes": [ignored("a metre of the wrong length", metres=[])],
    "odd_bytes/no_end_of_track": [TUNE],
    "odd_bytes/running_status": [Piece({PIANO: 8}, seconds=4.5)],
    "odd_bytes/running_status_over_meta": [Piece({PIANO: 2}, seconds=5.16)],
    "odd_bytes/sequence_number_0": [TUNE],
    "odd_bytes/tempo_0": [ignored("a tempo of 0", qpms=(120,), seconds=4.0)],
    "odd_bytes/velocity_200": [ignored("an event with a number above 127")],
    "program_track/flute_program_on_track1": [Piece({FLUTE: 16})],
    "program_track/programs_on_own_tracks": [SONG],
    "program_track/programs_on_track1": [SONG],
    "tempo/fast": [TUNE._replace(qpms=(600_000,), seconds=0.0008)],
    "tempo/fastest": [TUNE._replace(qpms=(60_000_000,), seconds=8e-6)],
    "tempo/slowest": [TUNE._replace(qpms=(60e6 / 0xFFFFFF,), seconds=134.21772)],
    "zero_length/beat_all_zero": [BEAT._replace(seconds=4.501)],
    "zero_length/beat_kick_and_snare_zero": [BEAT._replace(seconds=4.575)],
    "zero_length/beat_normal": [BEAT],
    "zero_length/tune_two_notes_zero": [TUNE],
}
NO_MIDI = ["odd_bytes/html_404", "odd_bytes/mac_resource_fork"]


def test_every_file_is_expected_to_be_something():
    found = {path.relative_to(MIDI).with_suffix("").as_posix() for path in MIDI.rglob("*.mid")}
    assert found == {*PIECES, *NO_MIDI}


@pytest.mark.parametrize("name", sorted(PIECES))
def test_a_file_is_read_for_what_it_means(caplog, name):
    with caplog.at_level(logging.WARNING):
        sequences = read_music_file(MIDI / f"{name}.mid")
    for sequence, expected in zip(sequences, PIECES[name], strict=True):
        instruments = (DRUMS if n.is_drum else PROGRAMS[n.program] for n in sequence.notes)
        assert Counter(instruments) == expected.notes
        assert [t.qpm for t in sequence.tempos] == pytest.approx(expected.qpms, rel=1e-5)
        assert [(m.numerator, m.denominator) for m in sequence.time_signatures] == expected.metres
        assert sequence.total_time == pytest.approx(expected.seconds, rel=2e-4)
        assert all(note.start_time < note.end_time for note in sequence.notes)
    lines = [message.partition(".mid: ")[2] for message in caplog.messages]
    assert lines == [piece.line for piece in PIECES[name] if piece.line]


@pytest.mark.parametrize("name", NO_MIDI)
def test_what_is_no_midi_file_is_refused_in_a_sentence(name):
    with pytest.raises(UnreadableMusicError, match="not a MIDI file: it does not start with MThd"):
        read_music_file(MIDI / f"{name}.mid")
