"""Music with changes of tempo at a steady one, and back."""

import numpy as np
import pytest
from note_seq.protobuf.music_pb2 import NoteSequence

from music_vae.music.tempo_map import TempoMap

MAP = TempoMap((0.0, 2.0, 3.0), (120.0, 60.0, 240.0))


def test_quarters_and_seconds_are_each_others_inverse():
    seconds = np.linspace(0, 6, 25)
    quarters = [MAP.quarter_at(second) for second in seconds]
    assert quarters[::4] == pytest.approx([0, 2, 4, 5, 9, 13, 17])
    assert [MAP.second_at(quarter) for quarter in quarters] == pytest.approx(seconds)


def test_the_last_tempo_at_a_time_holds_and_none_is_below_zero():
    tempos = [{"time": 0, "qpm": 100}, {"time": 0, "qpm": 140}, {"time": 1, "qpm": 0}]
    assert TempoMap.of(NoteSequence(tempos=tempos)) == TempoMap((0.0,), (140.0,))
    assert TempoMap.of(NoteSequence()) == TempoMap((0.0,), (120.0,))


def test_a_piece_is_the_same_after_it_was_steady():
    piece = NoteSequence(total_time=5.0)
    for number in range(10):
        piece.notes.add(pitch=36 + number, start_time=number / 2, end_time=number / 2 + 0.25)
    piece.time_signatures.add(time=2.0, numerator=4, denominator=4)
    for time_s, qpm in zip(MAP.times_s, MAP.qpms, strict=True):
        piece.tempos.add(time=time_s, qpm=qpm)
    before = piece.SerializeToString()
    steady = MAP.steady(piece)
    assert [tempo.qpm for tempo in steady.tempos] == [120]
    assert steady.notes[5].start_time == pytest.approx(2.25)  # 4.5 quarter notes
    again = MAP.applied(steady)
    assert piece.SerializeToString() == before
    for note, found in zip(piece.notes, again.notes, strict=True):
        assert (found.start_time, found.end_time) == pytest.approx((note.start_time, note.end_time))
    assert again.time_signatures == piece.time_signatures
    assert again.tempos == piece.tempos
