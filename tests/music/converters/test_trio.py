import dataclasses
import json

import numpy as np
import pytest

from music_vae.common.errors import UserError
from music_vae.music.converters.compact import PAD
from music_vae.music.converters.trio import TrioConverter, stretches

NONE, OFF = 0, 1
C4, E4, G4 = 60 - 19, 64 - 19, 67 - 19  # melody tokens: 2 and up are pitches from 21 up
C2 = 36 - 19
KICK, SNARE = 36, 38
KICK_BIT, SNARE_BIT = 1, 2
BASS = 33  # a program; the melody has program 0

ONE_BAR = TrioConverter(slice_bars=1, gap_bars=0)
TWO_BARS = TrioConverter(slice_bars=2, gap_bars=0)


@pytest.fixture
def trio(piece, add):
    """A function that makes a piece of melody, bass and drum notes (pitch, step, steps)."""

    def make(melody, bass, drums, **kwargs):
        sequence = piece(melody, instrument=0, **kwargs)
        add(sequence, bass, instrument=1, program=BASS)
        add(sequence, drums, instrument=9, is_drum=True)
        return sequence

    return make


@pytest.fixture
def bars_of(trio):
    """A function that makes a piece whose parts play, one note to a bar, in the bars given."""

    def make(melody, bass, drums, **kwargs):
        return trio(
            [(60, 16 * bar, 16) for bar in melody],
            [(36, 16 * bar, 16) for bar in bass],
            [(KICK, 16 * bar, 1) for bar in drums],
            **kwargs,
        )

    return make


def parts(example):
    """The tokens of melody, bass and drums, each as a list."""
    return example.outputs.T.tolist()


def bar(*events):
    """Sixteen tokens from pairs (step, token)."""
    steps = [0] * 16
    for step, token in events:
        steps[step] = token
    return steps


def num_windows(converter, sequence):
    return len(converter.extract(sequence).examples)


def skipped(converter, sequence):
    found = converter.extract(sequence)
    assert not found.examples
    return dict(found.skipped)


class TestExtract:
    def test_a_bar_reads_as_three_lines_of_tokens(self, trio):
        sequence = trio([(60, 0, 4), (64, 8, 8)], [(36, 0, 16)], [(KICK, 0, 1), (SNARE, 8, 1)])
        (example,) = ONE_BAR.extract(sequence).examples
        assert parts(example) == [
            bar((0, C4), (4, OFF), (8, E4)),
            bar((0, C2)),
            bar((0, KICK_BIT), (8, SNARE_BIT)),
        ]

    def test_an_example_is_its_own_input_of_int16_with_its_length(self, bars_of):
        (example,) = ONE_BAR.extract(bars_of([0], [0], [0])).examples
        assert example.inputs is example.outputs
        assert (example.outputs.dtype, example.outputs.shape) == (np.int16, (16, 3))
        assert example.controls is None
        assert (example.length.shape, example.length.dtype) == ((), np.int32)
        assert example.length == 16

    def test_windows_slide_by_one_bar_and_equal_ones_stay(self, bars_of):
        sequence = bars_of(range(4), range(4), range(4))
        examples = TWO_BARS.extract(sequence).examples
        assert [parts(e) for e in examples] == [parts(examples[0])] * 3

    def test_only_bars_in_which_all_three_play_count(self, bars_of):
        assert num_windows(ONE_BAR, bars_of([0, 1, 2], [1, 2, 3], [0, 2, 4])) == 1
        assert num_windows(TWO_BARS, bars_of([0, 1, 2], [1, 2, 3], [1, 2])) == 1

    def test_a_part_is_heard_as_long_as_its_note_lasts(self, trio):
        sequence = trio([(60, 8, 17)], [(36, 0, 32)], [(KICK, 0, 1), (KICK, 16, 1)])
        examples = ONE_BAR.extract(sequence).examples
        assert [parts(e)[0] for e in examples] == [bar((8, C4)), bar((9, OFF))]

    def test_gaps_between_notes_are_bridged_from_both_sides(self, bars_of):
        everywhere, sparse = range(20), [0, 1, 2, 7, 8, 13, 14, 15, 16, 17, 18, 19]
        bridged = TrioConverter(slice_bars=20, gap_bars=2)
        assert num_windows(bridged, bars_of(sparse, everywhere, everywhere)) == 1
        sparse.remove(7)
        assert num_windows(bridged, bars_of(sparse, everywhere, everywhere)) == 0

    def test_one_part_is_enough_at_the_ends(self, bars_of):
        everywhere, middle = range(12), range(4, 8)
        sequence = bars_of(everywhere, middle, everywhere)
        assert num_windows(TrioConverter(slice_bars=12, gap_bars=2), sequence) == 1
        assert num_windows(TrioConverter(slice_bars=12, gap_bars=1), sequence) == 0

    def test_a_track_starts_with_the_piece_even_where_its_part_is_silent(self, bars_of):
        converter = TrioConverter(slice_bars=2, gap_bars=1)
        (example,) = converter.extract(bars_of([1], [0, 1], [0, 1])).examples
        assert parts(example)[0] == bar() + bar((0, C4))

    def test_every_melody_meets_every_bass_and_every_drum_instrument(self, bars_of, add):
        sequence = bars_of([0], [0], [0])
        add(sequence, [(67, 0, 16)], instrument=2)
        add(sequence, [(24, 0, 16)], instrument=3, program=39)
        examples = ONE_BAR.extract(sequence).examples
        starts = [tuple(e.outputs[0].tolist()) for e in examples]
        assert starts == [(C4, C2, 1), (C4, 24 - 19, 1), (G4, C2, 1), (G4, 24 - 19, 1)]

    def test_max_bars_leaves_the_rest_out(self, bars_of):
        converter = TrioConverter(slice_bars=1, gap_bars=0, max_bars=2)
        found = converter.extract(bars_of(range(4), range(4), range(4)))
        assert len(found.examples) == 2
        assert found.skipped == {"the rest of a piece after 2 bars": 1}

    def test_without_slices_the_longest_common_stretches_are_examples(self, bars_of):
        converter = TrioConverter(gap_bars=0)
        sequence = bars_of([0, 1, 3, 4, 5], range(6), range(1, 6))
        assert [len(e.outputs) for e in converter.extract(sequence).examples] == [16, 48]

    def test_a_waltz_is_read_with_three_quarters_to_a_bar(self, trio):
        converter = TrioConverter(slice_bars=1, gap_bars=0, quarters_per_bar=3)
        sequence = trio([(60, 0, 12)], [(36, 0, 12)], [(KICK, 0, 1)], metre=(3, 4))
        (example,) = converter.extract(sequence).examples
        assert example.outputs.shape == (12, 3)

    def test_sections_of_another_tempo_are_read_alone(self, bars_of):
        sequence = bars_of(range(4), range(4), range(4))
        sequence.tempos.add(time=4, qpm=90)  # 32 steps
        lengths = [len(e.outputs) for e in TrioConverter().extract(sequence).examples]
        assert lengths == [32, 32]

    def test_the_sequence_stays_as_it_is(self, bars_of):
        sequence = bars_of([0, 1], [0, 1], [0, 1])
        before = sequence.SerializeToString(deterministic=True)
        TWO_BARS.extract(sequence)
        assert sequence.SerializeToString(deterministic=True) == before


class TestSkipped:
    def test_another_metre(self, bars_of):
        assert skipped(ONE_BAR, bars_of([0], [0], [0], metre=(3, 4))) == {"time signature 3/4": 1}

    def test_missing_parts(self, piece):
        assert skipped(ONE_BAR, piece([(60, 0, 16)])) == {"no bass": 1, "no drums": 1}

    def test_instruments_of_other_programs(self, bars_of, add):
        sequence = bars_of([], [0], [0])
        add(sequence, [(60, 0, 16)], instrument=5, program=40)
        assert skipped(ONE_BAR, sequence) == {
            "instrument that is no melody, bass or drums": 1,
            "no melody": 1,
        }

    def test_instruments_that_change_their_part(self, bars_of, add):
        sequence = bars_of([0], [0], [0])
        add(sequence, [(36, 0, 16)], instrument=0, program=BASS)
        assert skipped(ONE_BAR, sequence) == {
            "instrument with programs of several parts": 1,
            "no melody": 1,
        }

    def test_a_part_without_a_note_that_can_be_played(self, bars_of, add):
        sequence = bars_of([], [0], [0])
        add(sequence, [(110, 0, 16)])
        assert skipped(ONE_BAR, sequence) == {"no melody in the pitch range": 1, "no melody": 1}

    def test_parts_that_never_meet(self, bars_of):
        reason = "no 2 bars of melody, bass and drums together"
        assert skipped(TWO_BARS, bars_of([0, 1], [1, 2], [2, 3])) == {reason: 1}
        reason = "no melody, bass and drums together"
        assert skipped(TrioConverter(gap_bars=0), bars_of([0], [1], [2])) == {reason: 1}


class TestDense:
    def test_a_step_is_three_one_hot_rows_side_by_side(self):
        assert ONE_BAR.split_output_depths == (90, 90, 512)
        assert ONE_BAR.input_depth == ONE_BAR.output_depth == 692
        dense = ONE_BAR.dense_outputs(np.array([[C4, OFF, 5]], np.int16))
        assert dense.shape == (1, 692)
        assert np.flatnonzero(dense).tolist() == [C4, 90 + OFF, 180 + 5]

    def test_padding_is_zero(self):
        dense = ONE_BAR.dense_inputs(np.array([[[C4, C2, 1], [PAD] * 3]]))
        assert dense.sum(axis=-1).tolist() == [[3, 0]]


class TestFromTensors:
    STEPS = np.array([[C4, C2, KICK_BIT], *[[NONE] * 3] * 7, [OFF, NONE, SNARE_BIT]])

    def test_the_parts_have_their_own_instruments(self):
        (sequence,) = ONE_BAR.from_tensors([ONE_BAR.dense_outputs(self.STEPS)])
        notes = [
            (n.instrument, n.program, n.is_drum, n.pitch, n.start_time, n.end_time)
            for n in sequence.notes
        ]
        assert notes == [
            (0, 0, False, 60, 0, 1),
            (1, BASS, False, 36, 0, 1.125),
            (9, 0, True, KICK, 0, 0.125),
            (9, 0, True, SNARE, 1, 1.125),
        ]
        assert {n.velocity for n in sequence.notes} == {80}
        assert [tempo.qpm for tempo in sequence.tempos] == [120]
        assert sequence.total_time == 1.125

    def test_the_highest_score_of_every_part_is_its_token(self):
        scores = ONE_BAR.dense_outputs(self.STEPS) + np.full(692, 0.1)
        (sequence,) = ONE_BAR.from_tensors([scores])
        assert [n.pitch for n in sequence.notes] == [60, 36, KICK, SNARE]

    def test_extract_is_the_inverse(self):
        rng = np.random.default_rng(0)
        for _ in range(10):
            tokens = np.stack(
                [rng.choice([0, 0, C4, E4], 64), rng.choice([0, C2], 64), rng.integers(1, 512, 64)],
                axis=1,
            )
            tokens[0] = C4, C2, KICK_BIT  # nothing is off before the first note
            converter = TrioConverter(slice_bars=4, gap_bars=2)
            (sequence,) = converter.from_tensors([converter.dense_outputs(tokens)])
            (example,) = converter.extract(sequence).examples
            assert example.outputs.tolist() == tokens.tolist()


@pytest.mark.parametrize(
    ("size", "expected"),
    [(None, [(0, 2), (3, 6)]), (1, [(0, 1), (1, 2), (3, 4), (4, 5), (5, 6)]), (3, [(3, 6)])],
)
def test_stretches_are_where_all_is_covered(size, expected):
    covered = np.array([1, 1, 0, 1, 1, 1], bool)
    assert list(stretches(covered, size)) == expected


class TestSettings:
    def test_settings_survive_json(self):
        assert TrioConverter(**json.loads(json.dumps(dataclasses.asdict(TWO_BARS)))) == TWO_BARS

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"slice_bars": 0}, "slice_bars must be"),
            ({"gap_bars": None}, "gap_bars must be a whole number"),
            ({"gap_bars": 1.5}, "gap_bars must be a whole number"),
            ({"gap_bars": -1}, "gap_bars must be 0 or more"),
            ({"max_bars": 8, "slice_bars": 16}, "leaves no room"),
            ({"chord_encoding": "triad"}, "trios with chords are not supported"),
            ({"condition_on_key": True}, "trios with keys are not supported"),
        ],
    )
    def test_an_impossible_setting_is_refused(self, wrong, message):
        with pytest.raises(UserError, match=message):
            TrioConverter(**wrong)
