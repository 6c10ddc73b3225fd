import dataclasses
import json

import numpy as np
import pytest

from music_vae.common.constants import REDUCED_DRUM_PITCH_CLASSES
from music_vae.common.errors import UserError
from music_vae.music.converters.base import Example
from music_vae.music.converters.compact import pad_value
from music_vae.music.converters.groove import ROLAND_DRUM_PITCH_CLASSES, GrooveConverter

KICK, SNARE, HAT, OPEN_HAT = range(4)  # classes
RIM_SHOT = 40  # in the snare's class
HIT, VELOCITY, OFFSET = 0, 9, 18  # first columns of a step with nine drums
STEP_S = 0.125

ONE_BAR = GrooveConverter(split_bars=1)
SPLIT = GrooveConverter(split_bars=1, split_instruments=True)
BINS = GrooveConverter(split_bars=1, num_velocity_bins=4, num_offset_bins=5)
SPLIT_BINS = dataclasses.replace(BINS, split_instruments=True)


@pytest.fixture
def beat(piece):
    """A function that makes a piece of hits (pitch, step, velocity); steps may have fractions."""

    def make(hits, **kwargs):
        sequence = piece([], **kwargs)
        for pitch, step, velocity in hits:
            start = step * STEP_S
            sequence.notes.add(
                pitch=pitch,
                velocity=velocity,
                start_time=start,
                end_time=start + STEP_S,
                is_drum=True,
            )
        sequence.total_time = max((n.end_time for n in sequence.notes), default=0)
        return sequence

    return make


def hits(rows):
    """What is hit in dense or compact rows of nine drums: (step, class, velocity, offset)."""
    return [
        (
            step,
            drum,
            round(float(rows[step, VELOCITY + drum]), 5),
            round(float(rows[step, OFFSET + drum]), 5),
        )
        for step, drum in np.argwhere(rows[:, :9] > 0).tolist()
    ]


def only(converter, sequence):
    (example,) = converter.extract(sequence).examples
    return example


def skipped(converter, sequence):
    found = converter.extract(sequence)
    assert not found.examples
    return dict(found.skipped)


class TestExtract:
    def test_a_bar_reads_as_hits_velocities_and_offsets(self, beat):
        example = only(ONE_BAR, beat([(36, 0, 127), (38, 4.25, 64), (42, 7.75, 1)]))
        assert example.outputs.shape == (16, 27)
        assert hits(example.outputs) == [
            (0, KICK, 1, 0),
            (4, SNARE, round(64 / 127, 5), -0.5),  # a quarter of a step late
            (8, HAT, round(1 / 127, 5), 0.5),  # and early
        ]
        assert np.count_nonzero(example.outputs) == 3 + 3 + 2

    def test_an_example_is_its_own_input_of_float32_with_its_length(self, beat):
        example = only(ONE_BAR, beat([(36, 0, 100)]))
        assert example.inputs is example.outputs
        assert example.outputs.dtype == np.float32
        assert example.controls is None
        assert (example.length.shape, example.length.dtype) == ((), np.int32)
        assert example.length == 16

    def test_of_a_class_the_loudest_note_of_a_step_counts(self, beat):
        sequence = beat([(38, 0.25, 50), (RIM_SHOT, 0, 100), (38, 0, 60)])
        assert hits(only(ONE_BAR, sequence).outputs) == [(0, SNARE, round(100 / 127, 5), 0)]

    def test_the_tempo_sets_the_grid(self, beat):
        sequence = beat([(36, 0, 127), (36, 8, 127)])
        sequence.tempos[0].qpm = 60
        assert [hit[0] for hit in hits(only(ONE_BAR, sequence).outputs)] == [0, 4]

    def test_windows_do_not_overlap_and_equal_ones_stay(self, beat):
        sequence = beat([(36, 0, 127), (36, 16, 127), (38, 32, 127)])
        found = [hits(e.outputs) for e in ONE_BAR.extract(sequence).examples]
        assert found == [[(0, KICK, 1, 0)], [(0, KICK, 1, 0)], [(0, SNARE, 1, 0)]]

    def test_hop_size_is_the_way_to_the_next_window_in_steps(self, beat):
        converter = GrooveConverter(split_bars=1, hop_size=4)
        sequence = beat([(36, 0, 127), (36, 20, 127)])
        found = [hits(e.outputs) for e in converter.extract(sequence).examples]
        steps = [[hit[0] for hit in window] for window in found]
        assert steps == [[0], [], [12], [8], [4]]

    def test_a_whole_groove_is_padded_to_the_bar(self, beat):
        assert only(GrooveConverter(), beat([(36, 16, 127)])).outputs.shape == (32, 27)

    def test_a_waltz_is_read_with_three_quarters_to_a_bar(self, beat):
        converter = GrooveConverter(split_bars=1, quarters_per_bar=3)
        assert only(converter, beat([(36, 0, 127)], metre=(3, 4))).length == 12

    def test_for_inference_reads_and_writes_other_pitches(self, beat):
        converter = GrooveConverter(
            split_bars=1,
            inference_pitch_classes=REDUCED_DRUM_PITCH_CLASSES,
            max_note_dropout_probability=0.5,
        )
        sequence = beat([(35, 0, 127), (84, 4, 127)])
        assert skipped(converter, sequence) == {"drum note of no class": 2}
        inference = converter.for_inference()
        example = only(inference, sequence)
        assert hits(example.outputs) == [(0, KICK, 1, 0), (4, 4, 1, 0)]
        assert [n.pitch for n in inference.from_tensors([example.outputs])[0].notes] == [36, 45]
        assert [n.pitch for n in converter.from_tensors([example.outputs])[0].notes] == [36, 43]
        assert inference.max_note_dropout_probability is None
        assert inference.for_inference() == inference

    def test_the_sequence_stays_as_it_is(self, beat):
        sequence = beat([(RIM_SHOT, 0.3, 100), (100, 4, 100)])
        before = sequence.SerializeToString(deterministic=True)
        ONE_BAR.extract(sequence)
        assert sequence.SerializeToString(deterministic=True) == before


class TestInputs:
    HITS = ((36, 0, 127), (38, 0.25, 64), (42, 4.25, 32))

    def heard(self, beat, **settings):
        example = only(GrooveConverter(split_bars=1, **settings), beat(self.HITS))
        assert hits(example.outputs) == hits(only(ONE_BAR, beat(self.HITS)).outputs)
        return hits(example.inputs)

    def test_humanize_hides_velocities_and_offsets(self, beat):
        expected = [(0, KICK, 0, 0), (0, SNARE, 0, 0), (4, HAT, 0, 0)]
        assert self.heard(beat, humanize=True) == expected

    def test_tapify_moves_the_loudest_hit_to_the_open_hi_hat(self, beat):
        expected = [(0, OPEN_HAT, 1, 0), (4, OPEN_HAT, round(32 / 127, 5), -0.5)]
        assert self.heard(beat, tapify=True) == expected

    def test_fixed_velocities_hide_velocities_alone(self, beat):
        expected = [(0, OPEN_HAT, 0, 0), (4, OPEN_HAT, 0, -0.5)]
        assert self.heard(beat, tapify=True, fixed_velocities=True) == expected

    def test_instruments_to_add_are_not_heard(self, beat):
        assert self.heard(beat, add_instruments=[KICK, HAT]) == [
            (0, SNARE, round(64 / 127, 5), -0.5)
        ]


class TestCorrupt:
    def test_nothing_happens_without_a_probability(self, beat):
        example = only(ONE_BAR, beat([(36, 0, 127)]))
        assert ONE_BAR.corrupt(example, np.random.default_rng(0)) is example

    def test_soft_notes_are_dropped_more_often_and_from_the_inputs_alone(self):
        converter = GrooveConverter(max_note_dropout_probability=0.8)
        outputs = np.zeros((3, 27), np.float32)
        outputs[:, HIT] = 1
        outputs[:, VELOCITY] = 0, 0.5, 1
        outputs[:, OFFSET] = 0.25
        example = Example(outputs, outputs, None, np.array(3, np.int32))
        rng = np.random.default_rng(0)
        corrupted = [converter.corrupt(example, rng) for _ in range(4000)]
        assert all(c.outputs is outputs and c.length == 3 for c in corrupted)
        kept = np.stack([c.inputs[:, HIT] for c in corrupted])
        # The mean probability is 0.4, times 1, 0.5 and 0.2.
        np.testing.assert_allclose(1 - kept.mean(axis=0), [0.4, 0.2, 0.08], atol=0.03)
        for c in corrupted[:50]:
            np.testing.assert_array_equal(c.inputs, outputs * c.inputs[:, :1])

    def test_the_probability_is_drawn_for_every_example(self):
        converter = GrooveConverter(max_note_dropout_probability=1.0)
        outputs = np.ones((100, 27), np.float32)
        outputs[:, VELOCITY:OFFSET] = 0
        example = Example(outputs, outputs, None, np.array(100, np.int32))
        rng = np.random.default_rng(0)
        kept = [converter.corrupt(example, rng).inputs[:, :9].mean() for _ in range(500)]
        np.testing.assert_allclose(
            np.quantile(kept, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.08
        )

    def test_taps_are_taken_from_the_notes_that_are_left(self):
        converter = GrooveConverter(tapify=True, max_note_dropout_probability=1.0)
        outputs = np.zeros((1, 27), np.float32)
        outputs[0, [KICK, SNARE]] = 1
        outputs[0, [VELOCITY + KICK, VELOCITY + SNARE]] = 0.75, 0.25
        example = Example(outputs, outputs, None, np.array(1, np.int32))
        rng = np.random.default_rng(0)
        heard = [hits(converter.corrupt(example, rng).inputs) for _ in range(200)]
        for velocity in (0.75, 0.25):
            assert [(0, OPEN_HAT, velocity, 0)] in heard
        assert [] in heard

    @pytest.mark.parametrize("split", [False, True])
    def test_a_seed_gives_the_same_inputs_whatever_the_layout(self, beat, split):
        converter = GrooveConverter(
            split_bars=1, split_instruments=split, max_note_dropout_probability=0.9
        )
        example = only(converter, beat([(36, s, 10) for s in range(16)]))
        inputs = converter.corrupt(example, np.random.default_rng(1)).inputs
        again = converter.corrupt(example, np.random.default_rng(1)).inputs
        np.testing.assert_array_equal(inputs, again)
        column = inputs[::9, 0] if split else inputs[:, 0]
        assert 0 < column.sum() < 16

    def test_training_drops_other_notes_in_every_epoch(self, beat):
        from music_vae.common.hparams import HParams
        from music_vae.configs import Config
        from music_vae.data import TrainingBatches, convert, evaluation_batches

        converter = GrooveConverter(split_bars=1, max_note_dropout_probability=1.0)
        config = Config("grooves", HParams(batch_size=1, max_seq_len=16), converter)
        music = convert([beat([(36, step, 1) for step in range(16)])], config)
        (whole,) = evaluation_batches(music, config)
        np.testing.assert_array_equal(whole.inputs, whole.targets)
        batches = TrainingBatches(music, config, seed=0)
        (first, _), (second, _) = next(batches), next(batches)
        np.testing.assert_array_equal(first.targets, whole.targets)
        assert len({batch.inputs.tobytes() for batch in (whole, first, second)}) == 3


class TestSkipped:
    def test_another_metre(self, beat):
        assert skipped(ONE_BAR, beat([(36, 0, 100)], metre=(3, 4))) == {"time signature 3/4": 1}

    def test_changes_of_the_tempo(self, beat):
        sequence = beat([(36, 0, 100), (36, 16, 100)])
        sequence.tempos.add(time=1, qpm=90)
        assert skipped(ONE_BAR, sequence) == {"time signature or tempo changes": 1}

    def test_grooves_shorter_than_a_window(self, beat):
        converter = GrooveConverter(split_bars=2)
        assert skipped(converter, beat([(36, 0, 100)])) == {"groove shorter than 2 bars": 1}

    def test_no_notes(self, beat):
        assert skipped(ONE_BAR, beat([])) == {"no notes": 1}

    def test_drums_of_no_class_and_notes_that_are_not_drums(self, beat, add):
        sequence = beat([(36, 0, 127), (100, 4, 127)])
        add(sequence, [(38, 8, 4), (61, 32, 4)])
        found = ONE_BAR.extract(sequence)
        assert [hits(e.outputs) for e in found.examples] == [[(0, KICK, 1, 0)]]
        assert found.skipped == {"drum note of no class": 1, "note that is not a drum": 2}

    def test_music_without_drums(self, piece):
        assert skipped(ONE_BAR, piece([(60, 0, 4)])) == {"note that is not a drum": 1}

    def test_but_a_kit_on_another_channel_is_read_if_all_its_pitches_are_drums(self, piece):
        sequence = piece([(36, 0, 4), (38, 4, 4)], velocity=127)
        assert hits(only(ONE_BAR, sequence).outputs) == [(0, KICK, 1, 0), (4, SNARE, 1, 0)]


class TestControls:
    def test_hits_as_controls(self, beat):
        converter = GrooveConverter(split_bars=1, hits_as_controls=True, humanize=True)
        example = only(converter, beat([(36, 0, 100), (38, 4, 50)]))
        assert converter.control_depth == 9
        assert example.controls.dtype == np.int8
        dense = converter.dense_controls(example.controls)
        assert np.argwhere(dense).tolist() == [[0, KICK], [4, SNARE]]

    def test_split_instruments_take_turns(self, beat):
        example = only(SPLIT, beat([(36, 0, 100)]))
        assert SPLIT.control_depth == 9
        assert SPLIT.dense_controls(example.controls).tolist() == np.eye(9).tolist() * 16

    def test_the_hit_comes_before_the_turn(self, beat):
        converter = dataclasses.replace(SPLIT, hits_as_controls=True)
        controls = only(converter, beat([(38, 1, 100)])).controls
        assert converter.control_depth == controls.shape[1] == 10
        assert np.flatnonzero(controls[:, 0]).tolist() == [9 + SNARE]

    def test_inputs_as_controls_come_first_and_lack_what_inputs_lack(self, beat):
        converter = GrooveConverter(
            split_bars=1, inputs_as_controls=True, hits_as_controls=True, add_instruments=(SNARE,)
        )
        example = only(converter, beat([(36, 0.25, 127), (38, 4, 127)]))
        assert converter.control_depth == example.controls.shape[1] == 27 + 9
        np.testing.assert_array_equal(example.controls[:, :27], example.inputs)
        assert hits(example.controls[:, :27]) == [(0, KICK, 1, -0.5)]
        assert np.argwhere(example.controls[:, 27:]).tolist() == [[0, KICK], [4, SNARE]]
        dense = converter.dense_controls(example.controls)
        np.testing.assert_array_equal(dense, example.controls)

    def test_notes_that_are_dropped_from_inputs_are_dropped_from_controls(self, beat):
        converter = GrooveConverter(
            split_bars=1, inputs_as_controls=True, max_note_dropout_probability=1.0
        )
        example = only(converter, beat([(36, step, 10) for step in range(16)]))
        dropped = converter.corrupt(example, np.random.default_rng(0))
        assert 0 < dropped.inputs[:, KICK].sum() < 16
        np.testing.assert_array_equal(dropped.controls, dropped.inputs)
        assert dropped.controls.dtype == example.controls.dtype

    def test_a_share_of_the_examples_has_complete_inputs_in_training(self, beat):
        converter = GrooveConverter(
            split_bars=1, humanize=True, inputs_as_controls=True, complete_inputs=0.25
        )
        example = only(converter, beat([(36, 0.25, 100)]))
        stacked = Example(*(np.stack([part] * 2000) for part in example))
        made = converter.corrupt(stacked, np.random.default_rng(0))
        complete = (made.inputs == made.outputs).all(axis=(1, 2))
        assert complete.mean() == pytest.approx(0.25, abs=0.03)
        np.testing.assert_array_equal(made.inputs[~complete][0], example.inputs)
        assert made.controls is stacked.controls
        assert converter.for_inference().corrupt(example, np.random.default_rng(0)) is example

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"complete_inputs": 0.5}, "complete_inputs needs inputs_as_controls"),
            ({"complete_inputs": 2, "inputs_as_controls": True}, "must be from 0 to 1, not 2"),
        ],
    )
    def test_an_impossible_share_is_refused(self, settings, message):
        with pytest.raises(UserError, match=message):
            GrooveConverter(**settings)

    def test_inputs_in_bins_are_no_controls(self):
        with pytest.raises(UserError, match="inputs_as_controls needs numbers"):
            GrooveConverter(inputs_as_controls=True, num_velocity_bins=8, num_offset_bins=8)

    def test_padding_of_numbers_is_zero(self):
        converter = GrooveConverter(inputs_as_controls=True)
        padding = np.full((1, 2, 27), pad_value(np.dtype(np.float32)), np.float32)
        assert not converter.dense_controls(padding).any()

    def test_padding_is_zero(self):
        converter = GrooveConverter(hits_as_controls=True)
        padding = np.full((1, 2, 9), pad_value(np.dtype(np.int8)), np.int8)
        assert not converter.dense_controls(padding).any()


class TestDense:
    def test_numbers_stay_as_they_are_and_padding_is_zero(self):
        rows = np.full((2, 3, 27), -1, np.float32)
        rows[1, 2] = pad_value(rows.dtype)
        dense = ONE_BAR.dense_inputs(rows)
        assert dense.dtype == np.float32
        np.testing.assert_array_equal(dense[1, 2], np.zeros(27))
        np.testing.assert_array_equal(dense[:, :2], rows[:, :2])

    def test_split_instruments_make_a_row_of_every_drum(self, beat):
        example = only(SPLIT, beat([(38, 1.25, 127)]))
        assert SPLIT.output_depth == 3
        assert example.outputs.shape == (144, 3)
        assert example.length == 144
        assert np.flatnonzero(example.outputs[:, 0]).tolist() == [9 + SNARE]
        np.testing.assert_allclose(example.outputs[9 + SNARE], [1, 1, -0.5])

    def test_bins_are_one_hot_drum_by_drum(self):
        assert BINS.output_depth == 9 * (1 + 4 + 5)
        row = np.zeros((1, 27))
        row[0, [HIT + SNARE, VELOCITY + SNARE, OFFSET + SNARE]] = 1, 0.5, -0.3
        dense = BINS.dense_outputs(row)
        assert dense.shape == (1, 90)
        assert np.flatnonzero(dense[0, :9]).tolist() == [SNARE]
        # Velocities end at 0, 1/3, 2/3 and 1; offsets at -1, -1/2, 0, 1/2 and 1.
        assert np.flatnonzero(dense[0, 9:45]).tolist() == [0, 4 + 2, *range(8, 36, 4)]
        assert np.flatnonzero(dense[0, 45:]).tolist() == [2, 5 + 2, *range(12, 45, 5)]

    @pytest.mark.parametrize("value", [1, 1.5])
    def test_the_highest_values_are_in_the_last_bin(self, value):
        row = np.full((1, 27), value)
        assert np.flatnonzero(BINS.dense_outputs(row)[0, 9:13]).tolist() == [3]

    def test_padding_is_in_no_bin(self):
        assert not BINS.dense_inputs(np.full((2, 27), np.nan)).any()
        assert not SPLIT_BINS.dense_inputs(np.full((2, 3), np.nan)).any()

    def test_split_instruments_in_bins_are_the_same_numbers_in_rows(self, beat):
        sequence = beat([(36, 0, 90), (42, 1.25, 64)])
        whole = BINS.dense_outputs(only(BINS, sequence).outputs)
        split = SPLIT_BINS.dense_outputs(only(SPLIT_BINS, sequence).outputs)
        assert split.shape == (144, 10)
        for first, width, column in ((0, 1, 0), (9, 4, 1), (45, 5, 5)):
            np.testing.assert_array_equal(
                whole[:, first : first + 9 * width].reshape(144, width),
                split[:, column : column + width],
            )


def test_shorter_grooves_are_padded_with_zeros_in_a_batch(beat):
    from music_vae.data import make_batch

    converter = GrooveConverter(hits_as_controls=True)
    late = [(36, 0.5, 127), (38, 16, 127)]
    examples = [only(converter, beat(hits)) for hits in (late[:1], late)]
    batch = make_batch(examples, converter)
    assert batch.inputs.shape == batch.targets.shape == (2, 32, 27)
    assert batch.lengths.tolist() == [16, 32]
    assert not batch.inputs[0, 16:].any()
    assert not batch.targets[0, 16:].any()
    assert not batch.controls[0, 16:].any()
    np.testing.assert_array_equal(batch.targets[0, :16], examples[0].outputs)


class TestFromTensors:
    def notes(self, converter, rows):
        (sequence,) = converter.from_tensors([rows])
        return [(n.pitch, n.velocity, n.start_time, n.end_time) for n in sequence.notes]

    def test_a_hit_sounds_as_its_first_pitch_for_one_step(self):
        rows = np.zeros((5, 27), np.float32)
        rows[4, [SNARE, VELOCITY + SNARE, OFFSET + SNARE]] = 0.6, 0.5, -0.5
        rows[4, KICK] = 0.5  # not above it
        assert self.notes(ONE_BAR, rows) == [(38, 64, 4.25 * STEP_S, 5.25 * STEP_S)]

    def test_numbers_beyond_their_range_are_cut(self):
        rows = np.zeros((3, 27))
        rows[0, [KICK, VELOCITY, OFFSET]] = 1, 1.5, -3
        rows[2, [KICK, VELOCITY, OFFSET]] = 1, -0.5, 3
        half = STEP_S / 2
        assert self.notes(ONE_BAR, rows) == [(36, 127, half, 3 * half), (36, 0, 3 * half, 5 * half)]

    def test_a_bin_sounds_as_its_lower_edge(self):
        rows = np.zeros((1, 90))
        rows[0, [KICK, 9 + 3, 45 + 1]] = 1
        velocity, late = int(127 * 3 / 4), 0.5 - 1 / 5
        ((pitch, found, start, _),) = self.notes(BINS, rows)
        assert (pitch, found) == (36, velocity)
        assert start == pytest.approx(late * STEP_S)

    def test_an_unfinished_step_of_split_instruments_is_left_out(self):
        rows = np.tile([1.0, 1.0, 0.0], (9 + 4, 1))
        assert len(self.notes(SPLIT, rows)) == 9

    def test_the_notes_are_drums_at_120_quarters_a_minute(self):
        rows = np.zeros((1, 27))
        rows[0, KICK] = 1
        (sequence,) = ONE_BAR.from_tensors([rows])
        assert sequence.notes[0].is_drum
        assert sequence.notes[0].instrument == 9
        assert [tempo.qpm for tempo in sequence.tempos] == [120]

    @pytest.mark.parametrize("converter", [ONE_BAR, SPLIT])
    def test_extract_is_the_inverse(self, converter):
        rng = np.random.default_rng(0)
        for _ in range(10):
            hit = rng.random((16, 9)) < 0.5
            hit[15, 0] = True
            velocity = rng.integers(1, 128, (16, 9)) / 127 * hit
            offset = rng.uniform(-0.9, 0.9, (16, 9)) * hit
            offset[0] = -np.abs(offset[0])  # nothing starts before the piece
            numbers = np.stack([hit, velocity, offset], axis=1)
            if converter.split_instruments:
                rows = numbers.swapaxes(1, 2).reshape(144, 3)
            else:
                rows = numbers.reshape(16, 27)
            (sequence,) = converter.from_tensors([rows])
            sequence.time_signatures.add(numerator=4, denominator=4)
            np.testing.assert_allclose(only(converter, sequence).outputs, rows, atol=1e-6)

    def test_hits_in_bins_come_back_on_their_steps(self, beat):
        converter = GrooveConverter(split_bars=1, num_velocity_bins=2, num_offset_bins=2)
        example = only(converter, beat([(36, 0, 127), (38, 4, 127)]))
        (sequence,) = converter.from_tensors([converter.dense_outputs(example.outputs)])
        assert [(n.pitch, round(n.start_time / STEP_S)) for n in sequence.notes] == [
            (36, 0),
            (38, 4),
        ]


class TestSettings:
    def test_lists_become_tuples_so_that_settings_survive_json(self):
        converter = dataclasses.replace(BINS, add_instruments=[2])
        read = json.loads(json.dumps(dataclasses.asdict(converter)))
        assert GrooveConverter(**read) == converter
        assert hash(GrooveConverter(**read)) == hash(converter)

    def test_no_pitch_classes_are_the_nine_of_the_roland_kit(self):
        converter = GrooveConverter(pitch_classes=None)
        assert converter == GrooveConverter()
        assert converter.pitch_classes == ROLAND_DRUM_PITCH_CLASSES
        assert converter.inference_pitch_classes == ROLAND_DRUM_PITCH_CLASSES

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"split_bars": 0}, "split_bars must be"),
            ({"hop_size": 4}, "hop_size=4 needs split_bars"),
            ({"num_velocity_bins": 8}, "go together"),
            ({"num_velocity_bins": 8, "num_offset_bins": 1}, "num_offset_bins must be"),
            ({"inference_pitch_classes": [[36]]}, "has 1 classes, but pitch_classes 9"),
            ({"pitch_classes": [[36], [38, 36]]}, "pitch 36 is 2 times in pitch_classes"),
            ({"pitch_classes": [[128]]}, "pitch 128 .* from 0 to 127"),
            ({"pitch_classes": [[36], []]}, "every class a pitch"),
            ({"add_instruments": [9]}, "must be from 0 to 8"),
            ({"pitch_classes": [[36]], "tapify": True}, "tapify needs 4"),
            ({"max_note_dropout_probability": 1.5}, "must be from 0 to 1"),
            ({"steps_per_quarter": 0}, "steps_per_quarter must be"),
        ],
    )
    def test_an_impossible_setting_is_refused(self, wrong, message):
        with pytest.raises(UserError, match=message):
            GrooveConverter(**wrong)
