"""Which notes of a piece are drums, whatever the channel."""

import pytest
from note_seq.protobuf.music_pb2 import NoteSequence

from music_vae.common.errors import UserError
from music_vae.configs import get_config
from music_vae.music.converters import score
from music_vae.music.drum_part import drum_part, has_drums_alone, heard
from music_vae.music.notes_io import read_music_file
from support.paths import MIDI, TUNES

KIT = [36, 42, 38, 42, 36, 36, 46, 51]
MELODY = [60, 64, 67, 72, 71, 67, 62, 60]
BASS = [36, 36, 43, 43, 41, 41, 45, 45]


def piece(*parts):
    """A piece of parts (pitches, program, is_drum)."""
    sequence = NoteSequence()
    for instrument, (pitches, program, is_drum) in enumerate(parts):
        fields = {"instrument": instrument, "program": program, "is_drum": is_drum}
        for pitch in pitches:
            sequence.notes.add(pitch=pitch, velocity=80, end_time=0.1, **fields)
    return sequence


def pitches(found):
    assert all(note.is_drum for note in found.piece.notes)
    return [note.pitch for note in found.piece.notes]


def test_what_is_on_the_drum_channel_is_all_of_the_drums():
    found = drum_part(piece((MELODY, 0, False), (BASS, 0, False), ([25, *KIT], 0, True)))
    assert pitches(found) == [25, *KIT]
    assert not found.remark


def test_drums_alone_stay_as_they_are():
    drums = piece((KIT, 0, True))
    assert drum_part(drums).piece is drums


@pytest.mark.parametrize("kit", [KIT, [25, *KIT], [60] * 8, [36, 48, 45, 43, 36, 48, 45, 43]])
def test_a_kit_or_a_tapped_rhythm_that_is_alone_is_read_with_a_remark(kit):
    song = piece((kit, 0, False))
    before = song.SerializeToString()
    found = drum_part(song)
    assert pitches(found) == kit
    assert f"nothing is on channel 10, where MIDI has drums; all {len(kit)} notes" in found.remark
    assert song.SerializeToString() == before


def test_of_several_instruments_only_the_kit_is_read():
    found = drum_part(piece((MELODY, 0, False), (KIT, 0, False), (BASS, 33, False)))
    assert pitches(found) == KIT
    assert found.remark.endswith("8 of 24 notes are read as drums")


def test_a_kit_may_be_spread_over_channels():
    found = drum_part(piece(([36] * 4, 0, False), ([38] * 4, 0, False), ([42] * 8, 118, False)))
    assert pitches(found) == [36] * 4 + [38] * 4 + [42] * 8


@pytest.mark.parametrize(
    "song",
    [
        piece((MELODY, 0, False)),
        piece((MELODY, 0, False), (BASS, 0, False)),
        piece((MELODY, 73, False), (KIT, 33, False)),
        piece(([100, 101], 0, False)),
    ],
)
def test_melodies_and_basses_are_no_drums(song):
    assert drum_part(song) == (song, "")


@pytest.mark.parametrize("path", sorted(TUNES.glob("*.mid")), ids=lambda path: path.stem)
def test_tunes_are_no_drums(path):
    (tune,) = read_music_file(path)
    assert not drum_part(tune).remark


def test_pads_are_drums_and_the_bass_beside_them_is_not():
    for name, count in (("on_channel_1", 24), ("pads_on_channel_1_with_bass", 24)):
        (song,) = read_music_file(MIDI / "drum_pitches" / f"{name}.mid")
        assert len(pitches(drum_part(song))) == count


def test_a_model_of_drums_hears_the_drums_of_a_song_and_a_line_says_what_was_guessed(caplog):
    song = piece((MELODY, 0, False), (KIT, 0, True))
    pads = piece((MELODY, 0, False), (KIT, 0, False), (BASS, 33, False))
    for name in ("groovae_2bar_humanize", "cat-drums_2bar_small"):
        converter = get_config(name).data_converter
        assert [note.pitch for note in heard(converter, song).notes] == KIT
        assert not caplog.messages
        assert [note.pitch for note in heard(converter, pads).notes] == KIT
        (message,) = caplog.messages
        assert message.startswith("nothing is on channel 10, where MIDI has drums; 8 of 24 notes")
        caplog.clear()


@pytest.mark.parametrize("name", ["groovae_2bar_humanize", "cat-drums_2bar_small"])
def test_a_model_of_drums_refuses_a_piece_without_any(name):
    converter = get_config(name).data_converter
    with pytest.raises(UserError, match="it has no drums: nothing is on channel 10, where MIDI"):
        heard(converter, piece((MELODY, 0, False)))
    assert not heard(converter, NoteSequence()).notes


POWER_CHORDS = [40, 47, 40, 47, 43, 50, 40, 47]
LOW_BASS = [36, 35, 38, 40, 38, 36, 35, 36]


@pytest.mark.parametrize(
    ("song", "expected"),
    [
        (piece((KIT, 0, True)), True),
        (piece((KIT, 0, False)), True),
        (piece(([36] * 4, 0, False), ([38] * 4, 0, False), ([42] * 8, 118, False)), True),
        (piece((KIT, 0, False), (BASS, 33, False)), False),
        (piece((KIT, 0, True), (MELODY, 0, False)), False),
        (piece((KIT, 33, False)), False),
        (piece((BASS, 0, False)), False),
        (piece((POWER_CHORDS, 0, False)), False),
        (piece(([60] * 8, 0, False)), False),
        (piece((MELODY, 0, False)), False),
        (NoteSequence(), False),
    ],
)
def test_more_is_asked_of_drums_that_nobody_called_drums(song, expected):
    assert has_drums_alone(song) == expected


def test_a_line_of_single_notes_is_no_kit_unless_somebody_says_so():
    bass = piece((LOW_BASS, 0, False))
    for number, note in enumerate(bass.notes):
        note.start_time = number / 4
    assert drum_part(bass).remark
    assert not has_drums_alone(bass)


def test_other_models_hear_all_of_a_song_and_a_score_stays_as_it_is():
    song = piece((MELODY, 0, False), (KIT, 0, True))
    for name in ("cat-mel_2bar_small", "hierdec-trio_16bar", "hier-multiperf_vel_1bar_med"):
        assert heard(get_config(name).data_converter, song) is song
    read = score.read(song)
    assert heard(get_config("groovae_2bar_humanize").data_converter, read) is read
