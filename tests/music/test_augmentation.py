"""Transposition and stretching of notes."""

import note_seq
import numpy as np
import pytest

from music_vae.common.errors import UserError
from music_vae.music.augmentation import NoteSequenceAugmenter, transpose


@pytest.fixture
def sequence():
    sequence = note_seq.NoteSequence(ticks_per_quarter=220, total_time=2.0)
    sequence.tempos.add(qpm=120)
    for pitch, is_drum in ((60, False), (126, False), (36, True)):
        sequence.notes.add(pitch=pitch, velocity=80, start_time=0.0, end_time=2.0, is_drum=is_drum)
    return sequence


def test_notes_move_drums_stay_and_what_leaves_midi_is_dropped(sequence):
    before = sequence.SerializeToString()
    assert [note.pitch for note in transpose(sequence, 3).notes] == [63, 36]
    assert sequence.SerializeToString() == before


def test_every_transposition_of_the_range_is_drawn():
    augmenter = NoteSequenceAugmenter(transpose_range=(-2, 2))
    rng = np.random.default_rng(0)
    assert {augmenter.draw_semitones(rng) for _ in range(100)} == {-2, -1, 0, 1, 2}


def test_without_ranges_nothing_changes(sequence):
    augmented = NoteSequenceAugmenter().augment(sequence, np.random.default_rng(0))
    assert augmented == sequence


def test_stretching_changes_times_and_tempo_together(sequence):
    augmenter = NoteSequenceAugmenter(stretch_range=(2.0, 2.0))
    augmented = augmenter.augment(sequence, np.random.default_rng(0))
    assert augmented.notes[0].end_time == pytest.approx(4.0)
    assert augmented.tempos[0].qpm == pytest.approx(60)


def test_a_range_the_wrong_way_round_is_refused():
    with pytest.raises(UserError, match=r"transpose_range=\(5, -5\) is not a range"):
        NoteSequenceAugmenter(transpose_range=(5, -5))


def test_chord_symbols_move_along_and_unreadable_ones_are_dropped(sequence):
    chord = note_seq.NoteSequence.TextAnnotation.CHORD_SYMBOL
    for text in ("Am", "N.C.", "Foo", "G7"):
        sequence.text_annotations.add(text=text, annotation_type=chord)
    sequence.text_annotations.add(text="Foo")  # a remark, no chord
    before = sequence.SerializeToString()
    transposed = transpose(sequence, 2)
    assert [a.text for a in transposed.text_annotations] == ["Bm", "N.C.", "A7", "Foo"]
    assert sequence.SerializeToString() == before
