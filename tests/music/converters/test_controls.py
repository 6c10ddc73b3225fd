import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from music_vae.common.errors import UserError
from music_vae.music.converters.compact import PAD
from music_vae.music.converters.controls import (
    CHORD_CLASSES,
    TRIADS,
    Harmony,
    check_chord_encoding,
    decode_chords,
    encode_chord,
)
from music_vae.music.converters.grid import quantise
from music_vae.music.converters.score import read

CHORDS = Harmony(chords=True, keys=False)
KEYS = Harmony(chords=False, keys=True)
BOTH = Harmony(chords=True, keys=True)
NEITHER = Harmony(chords=False, keys=False)

STEP_S = 0.125
BAR_OF_C = [(60, 0, 16), (64, 0, 16), (67, 0, 16)]
BAR_OF_G = [(67, 16, 16), (71, 16, 16), (62, 16, 16), (65, 16, 16)]  # with the seventh
N_C, C, G, A_MINOR = 0, 1, 8, 22


@pytest.fixture
def song(piece):
    """A function that makes a piece of notes with chord symbols and keys (what, step)."""

    def make(notes, chords=(), keys=(), **kwargs):
        sequence = piece(notes, **kwargs)
        for text, step in chords:
            sequence.text_annotations.add(text=text, time=step * STEP_S, annotation_type=1)
        for key, step in keys:
            sequence.key_signatures.add(key=key, time=step * STEP_S)
        return sequence

    return make


def quantised(sequence, quarters_per_bar=4):
    skipped = Counter()
    (found,) = quantise(
        [read(sequence)], [skipped], steps_per_quarter=4, quarters_per_bar=quarters_per_bar
    )
    assert not skipped
    return found


def controls(harmony, sequence, steps):
    """Compact controls at `steps` of a sequence in which nothing is amiss."""
    skipped = Counter()
    track = harmony.read(quantised(sequence), skipped)
    found = track.encode(track.at(np.array(steps)), skipped)
    assert not skipped
    return found.tolist()


def symbols(sequence):
    return [(a.text, a.time / STEP_S) for a in sequence.text_annotations]


class TestChordClasses:
    @pytest.mark.parametrize(
        ("symbol", "expected"),
        [
            ("N.C.", 0),
            ("C", 1),
            ("B", 12),
            ("Cm", 13),
            ("Bm", 24),
            ("C+", 25),
            ("Baug", 36),
            ("Cdim", 37),
            ("Bo", 48),
        ],
    )
    def test_qualities_are_in_order_each_from_c_to_b(self, symbol, expected):
        assert encode_chord(symbol) == expected

    @pytest.mark.parametrize(
        ("symbol", "triad"),
        [("G7", "G"), ("Fmaj7", "F"), ("Dm7", "Dm"), ("Bm7b5", "Bdim"), ("Db", "C#"), ("C/E", "C")],
    )
    def test_a_chord_counts_as_its_triad(self, symbol, triad):
        assert encode_chord(symbol) == encode_chord(triad)

    @pytest.mark.parametrize("symbol", ["Csus4", "C5", "H", "", "hello"])
    def test_other_symbols_have_no_class(self, symbol):
        assert encode_chord(symbol) is None

    def test_decoding_is_the_inverse_for_every_class(self):
        every = np.arange(CHORD_CLASSES)
        assert [encode_chord(symbol) for symbol in decode_chords(every)] == every.tolist()


class TestChordEncoding:
    @pytest.mark.parametrize("value", [None, TRIADS])
    def test_a_plain_value_stays(self, value):
        assert check_chord_encoding(value) == value

    def test_note_seq_s_encoding_becomes_a_plain_value(self):
        import note_seq

        assert check_chord_encoding(note_seq.TriadChordOneHotEncoding()) == TRIADS

    @pytest.mark.parametrize("value", ["triads", 49, object()])
    def test_others_are_refused(self, value):
        with pytest.raises(UserError, match="must be 'triad' or None"):
            check_chord_encoding(value)


class TestRead:
    def test_a_chord_lasts_to_the_next_one_and_the_last_for_ever(self, song):
        sequence = song(BAR_OF_C, [("C", 4), ("G7", 8)])
        assert controls(CHORDS, sequence, [0, 3, 4, 7, 8, 15, 16, 99]) == [0, 0, 1, 1, 8, 8, 8, 8]

    def test_a_key_lasts_to_the_next_one_and_the_first_counts_before(self, song):
        sequence = song(BAR_OF_C, keys=[(7, 4), (9, 8)])
        assert controls(KEYS, sequence, [0, 4, 7, 8, 99]) == [7, 7, 7, 9, 9]

    def test_chord_and_key_are_two_columns(self, song):
        sequence = song(BAR_OF_C, [("Am", 0)], [(0, 0)])
        assert controls(BOTH, sequence, [0, 1]) == [[A_MINOR, 0], [A_MINOR, 0]]

    def test_chords_are_inferred_where_none_is_written(self, song):
        sequence = song(BAR_OF_C + BAR_OF_G)
        assert controls(CHORDS, sequence, [0, 15, 16, 31]) == [C, C, G, G]
        assert controls(BOTH, sequence, [0, 16]) == [[C, 0], [G, 0]]

    def test_inferring_leaves_the_argument_as_it_is(self, song):
        grid = quantised(song(BAR_OF_C))
        assert CHORDS.read(grid, Counter()) is not None
        assert not grid.section.chords
        assert not grid.chord_steps

    def test_a_chord_that_is_no_triad_matters_only_where_it_sounds(self, song):
        skipped = Counter()
        track = CHORDS.read(quantised(song(BAR_OF_C, [("C", 0), ("Gsus4", 8)])), skipped)
        assert track.encode(track.at(np.arange(8)), skipped).tolist() == [C] * 8
        assert not skipped
        assert track.encode(track.at(np.arange(9)), skipped) is None
        assert skipped == {"the chord 'Gsus4' is not a triad": 1}

    def test_different_symbols_of_one_class_are_told_apart_until_they_are_encoded(self, song):
        track = CHORDS.read(quantised(song(BAR_OF_C, [("C", 0), ("C7", 8)])), Counter())
        (first,), (second,) = track.at(np.array([0, 8]))
        assert first != second


class TestSkipped:
    def skipped(self, harmony, sequence):
        found = Counter()
        assert harmony.read(sequence, found) is None
        return dict(found)

    def test_two_chords_at_one_step(self, song):
        sequence = quantised(song(BAR_OF_C, [("C", 0), ("G", 0)]))
        assert self.skipped(CHORDS, sequence) == {"two chord symbols at one step": 1}

    def test_chords_without_a_key(self, song):
        sequence = quantised(song(BAR_OF_C, [("C", 0)]))
        reason = {"chord symbols but no key signature": 1}
        assert self.skipped(BOTH, sequence) == self.skipped(KEYS, sequence) == reason

    def test_a_metre_in_which_no_chords_are_inferred(self, song):
        sequence = quantised(song(BAR_OF_C, metre=(5, 4)), quarters_per_bar=5)
        assert self.skipped(CHORDS, sequence) == {"chords cannot be inferred in 5/4": 1}

    def test_more_chords_than_can_be_inferred(self, song):
        sequence = quantised(song([(60, 0, 4), (60, 16 * 600, 4)]))
        assert self.skipped(CHORDS, sequence) == {"too long to infer its chords": 1}


class TestIsWrittenThroughout:
    def test_harmony_written_at_the_beginning_counts_for_the_whole(self, song):
        sequence = song(BAR_OF_C + BAR_OF_G, [("C", 0)], [(0, 0)])
        sequence.tempos.add(qpm=90, time=16 * STEP_S)
        assert BOTH.is_written_throughout(read(sequence), 4)

    def test_a_part_before_the_first_chord_has_none(self, song):
        sequence = song(BAR_OF_C + BAR_OF_G, [("G", 20)])
        assert CHORDS.is_written_throughout(read(sequence), 4)
        sequence.tempos.add(qpm=90, time=16 * STEP_S)
        assert not CHORDS.is_written_throughout(read(sequence), 4)

    def test_what_is_not_wanted_need_not_be_written(self, song):
        assert NEITHER.is_written_throughout(read(song(BAR_OF_C)), 4)
        assert KEYS.is_written_throughout(read(song(BAR_OF_C, keys=[(0, 0)])), 4)


class TestDense:
    @pytest.mark.parametrize(
        ("harmony", "depth"), [(NEITHER, 0), (CHORDS, 49), (KEYS, 12), (BOTH, 61)]
    )
    def test_the_depth_is_that_of_chords_and_keys_together(self, harmony, depth):
        assert harmony.depth == depth

    def test_padding_is_zero_and_other_steps_one_hot(self):
        dense = CHORDS.dense(np.array([[C, PAD, N_C]]))
        assert dense.shape == (1, 3, 49)
        assert np.argwhere(dense[0]).tolist() == [[0, C], [2, 0]]

    def test_the_columns_of_keys_follow_those_of_chords(self):
        dense = BOTH.dense(np.array([[C, 11], [PAD, PAD]]))
        assert np.argwhere(dense).tolist() == [[0, C], [0, 49 + 11]]


class TestTranspose:
    def test_roots_go_round_and_qualities_stay(self):
        names = ["B", "Am", "Eaug", "Bdim", "N.C."]
        classes = np.array([encode_chord(name) for name in names], np.int16)
        moved = CHORDS.transpose(classes, 2)
        assert decode_chords(moved) == ["C#", "Bm", "F#aug", "C#dim", "N.C."]
        assert moved.dtype == np.int16
        np.testing.assert_array_equal(CHORDS.transpose(moved, -2), classes)

    def test_keys_go_round(self):
        assert KEYS.transpose(np.array([0, 11]), -1).tolist() == [11, 10]
        assert BOTH.transpose(np.array([[C, 11]]), 1).tolist() == [[C + 1, 0]]

    def test_padding_stays(self):
        assert CHORDS.transpose(np.array([PAD, C]), 1).tolist() == [PAD, C + 1]
        assert BOTH.transpose(np.array([[PAD, PAD]]), 1).tolist() == [[PAD, PAD]]

    @pytest.mark.parametrize("semitones", range(-6, 7))
    def test_it_is_what_transposed_symbols_and_signatures_give(self, song, semitones):
        from note_seq import sequences_lib

        names = ["C#m7", "Db", "Bbdim", "G/B", "F##aug", "Cb", "N.C."]
        sequence = song([(60, 0, 7)], [(n, s) for s, n in enumerate(names)], [(10, 0), (3, 4)])
        transposed, _ = sequences_lib.transpose_note_sequence(sequence, semitones)
        steps = np.arange(7)
        before = np.array(controls(BOTH, sequence, steps))
        assert BOTH.transpose(before, semitones).tolist() == controls(BOTH, transposed, steps)


class TestAnnotate:
    def times(self, steps):
        return [step * STEP_S for step in range(steps)]

    def test_a_symbol_is_written_where_the_chord_changes(self, piece):
        told = CHORDS.dense(np.array([C, C, G, A_MINOR, A_MINOR]))
        annotated = CHORDS.annotate(piece(BAR_OF_C), told, self.times(5))
        assert symbols(annotated) == [("C", 0), ("G", 2), ("Am", 3)]

    def test_diminished_triads_are_written_as_such(self, piece):
        told = CHORDS.dense(np.array([encode_chord("Bdim")]))
        assert symbols(CHORDS.annotate(piece(BAR_OF_C), told, self.times(1))) == [("Bdim", 0)]

    def test_no_chord_is_written_too(self, piece):
        annotated = CHORDS.annotate(piece(BAR_OF_C), np.zeros((2, 49)), self.times(2))
        assert symbols(annotated) == [("N.C.", 0)]

    def test_a_signature_is_written_where_the_key_changes(self, piece):
        told = BOTH.dense(np.array([[C, 0], [G, 0], [G, 7]]))
        annotated = BOTH.annotate(piece(BAR_OF_C), told, self.times(3))
        assert symbols(annotated) == [("C", 0), ("G", 1)]
        assert [(k.key, k.time) for k in annotated.key_signatures] == [(0, 0), (7, 2 * STEP_S)]

    def test_rows_without_a_time_do_not_count(self, piece):
        told = CHORDS.dense(np.array([C, G]))
        assert symbols(CHORDS.annotate(piece(BAR_OF_C), told, self.times(1))) == [("C", 0)]
        assert symbols(CHORDS.annotate(piece(BAR_OF_C), told, self.times(9))) == [
            ("C", 0),
            ("G", 1),
        ]

    def test_the_sequence_stays_as_it_is(self, piece):
        sequence = piece(BAR_OF_C)
        BOTH.annotate(sequence, BOTH.dense(np.array([[C, 0]])), [0.0])
        assert not sequence.text_annotations
        assert not sequence.key_signatures

    @pytest.mark.parametrize("shape", [(4, 61), (49,), (1, 4, 49)])
    def test_controls_of_another_shape_are_refused(self, piece, shape):
        with pytest.raises(UserError, match=r"shape \[steps, 49\]"):
            CHORDS.annotate(piece(BAR_OF_C), np.zeros(shape), self.times(4))


@pytest.mark.parametrize(
    "module", ["chord_inference", "controls", "performance", "performance_events"]
)
def test_importing_the_module_loads_neither_note_seq_nor_tensorflow(module):
    code = (
        f"import sys, music_vae.music.converters.{module}\n"
        "sys.exit(bool({'note_seq', 'tensorflow'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
