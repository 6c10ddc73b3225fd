"""What is made of a piece is given its tempo, or its tempos."""

import pytest
from note_seq.protobuf.music_pb2 import NoteSequence

from music_vae.music import notes_io, tempos
from music_vae.music.converters.score import read
from music_vae.music.tempo_map import TempoMap


def quarters(qpm, *changes):
    """A quarter note at the beginning and one after a second, at given tempos."""
    piece = NoteSequence(tempos=[{"qpm": qpm}], total_time=2.0)
    for second, other in changes:
        piece.tempos.add(time=second, qpm=other)
    for second in (0.0, 1.0):
        piece.notes.add(pitch=60, velocity=80, start_time=second, end_time=second + 0.5)
    return piece


def test_the_tempo_of_a_piece_is_that_of_its_beginning():
    assert tempos.of(quarters(90, (1.0, 60))) == 90
    assert tempos.of(NoteSequence()) == 120
    assert tempos.of(read(quarters(90))) is None  # a Score has seconds alone


def test_a_steady_piece_stays_as_it_is():
    piece = quarters(90)
    assert tempos.steady(piece) == (piece, 90)
    assert tempos.steady(quarters(90, (1.0, 90)))[1] == 90


def test_changes_of_tempo_are_taken_out_and_given_back():
    piece = quarters(60, (0.5, 120))
    even, tempo = tempos.steady(piece)
    assert [note.start_time for note in even.notes] == pytest.approx([0.0, 0.75])
    assert notes_io.tempo_of(even) == 120
    (again,) = tempos.applied([even], tempo)
    assert [note.start_time for note in again.notes] == pytest.approx([0.0, 1.0])
    assert TempoMap.of(again) == TempoMap.of(piece)


def test_pieces_are_played_at_a_tempo_or_stay_as_they_are():
    piece = quarters(120)
    assert tempos.applied([piece], None) == [piece]
    slow, other = tempos.applied([piece, piece], 60)
    assert slow == other
    assert [note.start_time for note in slow.notes] == [0.0, 2.0]
    assert (notes_io.tempo_of(slow), piece.notes[1].start_time) == (60, 1.0)
