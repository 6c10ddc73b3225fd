"""MIDI files that say what they mean in an unusual way are read as if they said it in the usual."""

import io
import logging
import warnings

import mido
import pytest

from music_vae.common.lazy_imports import import_note_seq
from music_vae.music.notes_io import read_file, read_music_file
from support.midi_bytes import chunk, header
from tests.support.paths import TUNES

TICKS = 96
TEMPO_90 = mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(90))
WALTZ = mido.MetaMessage("time_signature", numerator=3, denominator=4)
A_MINOR = mido.MetaMessage("key_signature", key="Am")
METAS = (TEMPO_90, WALTZ, A_MINOR)


def on(pitch=60, time=0, channel=0, velocity=80):
    return mido.Message("note_on", note=pitch, time=time, channel=channel, velocity=velocity)


def off(pitch=60, time=0, channel=0):
    return mido.Message("note_off", note=pitch, time=time, channel=channel)


def saved(path, *tracks, kind=1):
    midi = mido.MidiFile(type=kind, ticks_per_beat=TICKS)
    midi.tracks.extend(mido.MidiTrack(track) for track in tracks)
    midi.save(path)
    return path


def read(tmp_path, *tracks):
    (sequence,) = read_music_file(saved(tmp_path / "a.mid", *tracks))
    return sequence


def spans(sequence):
    """The notes as pitch, first tick and last tick, at the default tempo."""
    second = TICKS * 2
    return sorted(
        (n.pitch, round(n.start_time * second), round(n.end_time * second)) for n in sequence.notes
    )


def as_pretty_midi_reads(path):
    import pretty_midi

    note_seq = import_note_seq()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of keys on the second track
        midi = pretty_midi.PrettyMIDI(io.BytesIO(path.read_bytes()))
    return note_seq.midi_to_note_sequence(midi)


@pytest.mark.parametrize("path", sorted(TUNES.glob("*.mid")), ids=lambda path: path.stem)
def test_files_in_the_usual_form_are_read_as_before(path):
    (sequence,) = read_music_file(path)
    expected = as_pretty_midi_reads(path)
    if path.stem == "maple-leaf-rag":  # whose keys stand on the second track
        assert not expected.key_signatures
        assert len(sequence.key_signatures) == 3
        del sequence.key_signatures[:]
    if path.stem == "bach_bwv10_7":  # where two voices sing the same pitch, each as long as it does
        shared = {(58, 10, 11): 12, (67, 37, 37.5): 38}
        cut = [n for n in expected.notes if (n.pitch, n.start_time, n.end_time) in shared]
        assert len(cut) == 3
        for note in cut[1:]:
            note.end_time = shared[note.pitch, note.start_time, note.end_time]
        assert sorted(map(str, sequence.notes)) == sorted(map(str, expected.notes))
        return
    assert sequence == expected


@pytest.mark.parametrize("number", [0, 1, 2])
def test_tempo_metre_and_key_may_stand_on_any_track(tmp_path, number):
    tracks = [[], [on(), off(time=96)], [on(64, channel=1), off(64, time=96, channel=1)]]
    tracks[number] = [*METAS, *tracks[number]]
    sequence = read(tmp_path, *tracks)
    assert [tempo.qpm for tempo in sequence.tempos] == [pytest.approx(90, abs=1e-3)]
    assert [(t.numerator, t.denominator) for t in sequence.time_signatures] == [(3, 4)]
    assert [(k.key, k.mode) for k in sequence.key_signatures] == [(9, 1)]
    assert sequence.notes[0].end_time == pytest.approx(60 / 90, abs=1e-5)


def test_what_later_tracks_repeat_is_read_once_and_the_first_track_is_right(tmp_path):
    late = mido.MetaMessage("time_signature", numerator=4, denominator=4, time=288)
    tempo_60 = mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(60))
    sequence = read(tmp_path, list(METAS), [*METAS, tempo_60, on(), off(time=96), late])
    assert [(t.numerator, round(t.time, 2)) for t in sequence.time_signatures] == [
        (3, 0),
        (4, 2.67),
    ]
    assert [round(tempo.qpm) for tempo in sequence.tempos] == [90]
    assert len(sequence.key_signatures) == 1


def test_notes_without_length_last_one_tick(tmp_path):
    track = [on(), off(), on(time=96), off(time=96), on(62), off(62), on(62), off(62)]
    assert spans(read(tmp_path, track)) == [(60, 0, 1), (60, 96, 192), (62, 192, 193)]


def test_a_note_without_length_that_is_struck_again_at_once_is_one_note(tmp_path):
    assert spans(read(tmp_path, [on(), off(), on(), off(time=48)])) == [(60, 0, 48)]


def test_two_notes_that_are_struck_together_are_two(tmp_path):
    track = [on(velocity=80), on(velocity=70), off(), off(time=48)]
    assert spans(read(tmp_path, track)) == [(60, 0, 1), (60, 0, 48)]


def test_the_end_of_the_last_note_may_come_after_the_next_one_begins(tmp_path):
    track = [on(), on(time=96), off(), off(time=96), on(), off()]
    assert spans(read(tmp_path, track)) == [(60, 0, 96), (60, 96, 192), (60, 192, 193)]


def test_notes_that_never_end_end_at_the_next_or_with_their_track(tmp_path):
    end = mido.MetaMessage("end_of_track", time=96)
    track = [on(), on(64, time=96), on(time=96), end]
    assert spans(read(tmp_path, track)) == [(60, 0, 192), (60, 192, 288), (64, 96, 288)]
    assert spans(read(tmp_path, [on()])) == [(60, 0, 1)]


def test_a_hit_is_not_cut_by_the_end_of_the_hit_before(tmp_path):
    def beat(channel):
        hits = [on(38, 0, channel), on(38, 24, channel), off(38, 6, channel), on(38, 18, channel)]
        return [*hits, off(38, 6, channel), off(38, 24, channel)]

    hits = spans(read(tmp_path, beat(9)))
    assert hits == [(38, 0, 24), (38, 24, 48), (38, 48, 78)]
    assert spans(read(tmp_path, beat(0))) == [(38, 0, 30), (38, 24, 54), (38, 48, 78)]


def test_notes_of_one_pitch_end_in_the_order_in_which_they_began(tmp_path):
    track = [on(), on(time=40), off(time=8), on(time=48), off(time=24), off(time=24)]
    other = [on(64, channel=1), off(64, time=240, channel=1)]
    found = spans(read(tmp_path, track, other))
    assert found == [(60, 0, 48), (60, 40, 120), (60, 96, 144), (64, 0, 240)]


def test_an_end_of_notes_that_began_together_is_that_of_all_before_the_next_note(tmp_path):
    twice = [on(), on(velocity=70), off(time=24)]
    later = [on(time=72), off(time=24), on(time=72), on(time=24), off(time=24), off(time=24)]
    found = spans(read(tmp_path, [*twice, *later, off(time=900)]))
    assert found == [(60, 0, 24), (60, 0, 24), (60, 96, 120), (60, 192, 240), (60, 216, 264)]


def test_a_lost_end_does_not_stretch_the_notes_after_it(tmp_path):
    first = [on(), on(time=72), off(time=72)]  # the first has no end of its own
    others = [on(time=72), off(time=72), on(time=144), off(time=72)]
    found = spans(read(tmp_path, [*first, *others, off(time=900)]))
    assert found == [(60, 0, 144), (60, 72, 144), (60, 216, 288), (60, 432, 504)]


def test_notes_that_are_held_into_the_next_are_not_cut_in_a_row(tmp_path):
    row = [on(), on(time=24), off(time=6)]
    row += [event for _ in range(6) for event in (on(time=18), off(time=6))]
    found = spans(read(tmp_path, [*row, off(time=18)]))
    assert found == [(60, 24 * n, 24 * n + 30) for n in range(7)] + [(60, 168, 192)]


def test_if_ends_are_missing_one_is_that_of_all_that_sound(tmp_path):
    track = [on(), on(time=24), off(time=24), on(time=48), off(time=24)]
    assert spans(read(tmp_path, track)) == [(60, 0, 48), (60, 24, 48), (60, 96, 120)]


def test_notes_that_begin_together_end_each_with_its_own_end(tmp_path):
    track = [on(velocity=80), on(velocity=70), off(time=1), off(time=47)]
    sequence = read(tmp_path, track)
    assert spans(sequence) == [(60, 0, 1), (60, 0, 48)]
    assert sorted((n.end_time, n.velocity) for n in sequence.notes)[0][1] == 80


def test_notes_that_overlap_stay_on_their_instrument(tmp_path):
    track = [program(40), on(), on(time=24), off(time=24), off(time=24)]
    sequence = read(tmp_path, track)
    assert {(n.instrument, n.program) for n in sequence.notes} == {(0, 40)}


def test_a_hit_without_an_end_of_its_own_ends_at_the_next_end_or_hit(tmp_path):
    track = [on(38, 0, 9), on(38, 24, 9), off(38, 6, 9), on(38, 18, 9), on(38, 12, 9)]
    hits = spans(read(tmp_path, [*track, mido.MetaMessage("end_of_track", time=10)]))
    assert hits == [(38, 0, 24), (38, 24, 30), (38, 48, 60), (38, 60, 70)]


def program(number, channel=0, time=0):
    return mido.Message("program_change", program=number, channel=channel, time=time)


def test_programs_hold_for_their_channel_on_all_tracks(tmp_path):
    setup = [program(33, 1), program(73, 0), program(34, 1, time=96)]
    bass = [on(36, 0, 1), off(36, 48, 1), on(36, 48, 1), off(36, 48, 1)]
    sequence = read(tmp_path, setup, [on(), off(time=48)], bass)
    assert [(n.pitch, n.program) for n in sequence.notes] == [(60, 73), (36, 33), (36, 34)]


@pytest.mark.parametrize(("late", "expected"), [(0, 41), (5, 41), (6, 40), (48, 40)])
def test_a_note_keeps_the_program_that_it_began_with(tmp_path, late, expected):
    # Less than the sixteenth of a quarter note after its beginning, the program is meant for it.
    track = [program(40), on(), program(41, time=late), off(time=96 - late), on(62), off(62, 96)]
    notes = read(tmp_path, track).notes
    assert [(n.pitch, n.program) for n in notes] == [(60, expected), (62, 41)]


def test_a_note_that_was_begun_before_any_program_has_none(tmp_path):
    notes = read(tmp_path, [on(), program(41, time=48), off(time=48), on(62), off(62, 96)]).notes
    assert [(n.pitch, n.program) for n in notes] == [(60, 0), (62, 41)]


def test_a_track_keeps_the_program_that_it_sets_itself(tmp_path):
    tracks = [[program(p), on(p), off(p, time=48)] for p in (40, 41)]
    sequence = read(tmp_path, [program(1)], *tracks)
    assert [(n.pitch, n.program) for n in sequence.notes] == [(40, 40), (41, 41)]


NOTE = b"\x00\x90\x3c\x40\x60\x80\x3c\x00"


def with_event(data):
    return header() + chunk(b"\x00" + data + NOTE)


@pytest.mark.parametrize(
    ("data", "remark"),
    [
        (with_event(b"\xff\x59\x02\xf8\x00"), "a key signature of 8 flats"),
        (with_event(b"\xff\x59\x02\x80\x00"), "a key signature of 128 flats"),
        (with_event(b"\xff\x59\x02\x08\x00"), "a key signature of 8 sharps"),
        (with_event(b"\xff\x59\x02\x00\x09"), "a key signature that is neither major nor minor"),
        (with_event(b"\xff\x59\x00"), "a key signature of the wrong length"),
        (with_event(b"\xff\x58\x02\x03\x02"), "a metre of the wrong length"),
        (with_event(b"\xff\x58\x04\x00\x02\x18\x08"), "a metre of 0/4"),
        (with_event(b"\xff\x58\x04\x04\xff\x18\x08"), "a metre of 4/2 to the power of 255"),
        (with_event(b"\xff\x51\x03\x00\x00\x00"), "a tempo of 0"),
        (with_event(b"\xff\x51\x01\x07"), "a tempo of the wrong length"),
        (with_event(b"\x90\xfe\x40"), "an event with a number above 127"),
        (
            with_event(b"\xc0\xfe\x00\xb0\x07\xc8"),
            "an event with a number above 127 (2 times)",
        ),
        (with_event(b"\x90\x30\xc8\x10\x80\x30\x00"), "a velocity above 127 (read as 127)"),
        (header() + chunk(b"abc", name=b"XFIH") + chunk(NOTE), "a part of the file that is no"),
        (header(3) + chunk(NOTE), "a wrong number of tracks in the header (3, not 1)"),
        (header(0) + chunk(NOTE), "a wrong number of tracks in the header (0, not 1)"),
    ],
)
def test_an_odd_event_is_ignored_with_one_line_and_the_notes_are_read(
    tmp_path, caplog, data, remark
):
    path = tmp_path / "a.mid"
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        (sequence,) = read_music_file(path)
    assert 60 in [note.pitch for note in sequence.notes]
    (message,) = caplog.messages
    assert message.startswith(f"{path}: ignored: {remark}")


@pytest.mark.parametrize(
    "data",
    [
        with_event(b"\xff\x00\x00"),  # a sequence number without number
        with_event(b"\xff\x54\x01\x00"),  # a SMPTE offset of the wrong length
        with_event(b"\xf0\x02\xff\xf7"),
        header() + chunk(NOTE) + b"\r\n",
        header() + chunk(NOTE) + b"garbage after the last track",
        header(2) + chunk(b"") + chunk(NOTE),
        header(kind=2) + chunk(NOTE),
    ],
)
def test_nothing_is_said_of_what_music_is_not_read_from(tmp_path, caplog, data):
    path = tmp_path / "a.mid"
    path.write_bytes(data)
    (sequence,) = read_music_file(path)
    assert spans(sequence) == [(60, 0, 96)]
    assert not caplog.messages


def test_tracks_of_type_2_are_pieces_of_their_own(tmp_path):
    tracks = [[*METAS, on(), off(time=96)], [], [on(62), off(62, time=96)]]
    first, second = read_music_file(saved(tmp_path / "a.mid", *tracks, kind=2))
    assert [n.pitch for n in first.notes] == [60]
    assert [round(tempo.qpm) for tempo in first.tempos] == [90]
    assert spans(second) == [(62, 0, 96)]
    assert not second.time_signatures
    assert [first.reference_number, second.reference_number] == [1, 2]


def test_a_piece_without_notes_is_counted(tmp_path):
    path = saved(tmp_path / "a.mid", [off(60)], [on(62), off(62, time=96)], kind=2)
    reading = read_file(path)
    assert [n.pitch for n in reading.sequences[0].notes] == [62]
    assert reading.skipped == {"no notes": 1}


def test_tracks_of_type_2_are_one_piece_if_only_one_has_notes(tmp_path):
    (sequence,) = read_music_file(saved(tmp_path / "a.mid", METAS, [on(), off(time=96)], kind=2))
    assert [round(tempo.qpm) for tempo in sequence.tempos] == [90]
    assert len(sequence.notes) == 1
