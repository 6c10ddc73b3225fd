import dataclasses
import json

import numpy as np
import pytest

from music_vae.common.constants import FULL_DRUM_PITCH_CLASSES, REDUCED_DRUM_PITCH_CLASSES
from music_vae.common.errors import UserError
from music_vae.music.converters.base import Example
from music_vae.music.converters.compact import PAD
from music_vae.music.converters.drums import DrumsConverter

KICK, SNARE, HAT = 36, 38, 42
ELECTRIC_SNARE = 40  # in the snare's class
KICK_BIT, SNARE_BIT, HAT_BIT = 1, 2, 4

ONE_BAR = DrumsConverter(slice_bars=1)
TWO_BARS = DrumsConverter(slice_bars=2, max_bars=100, roll_input=True)
FULL = DrumsConverter(
    slice_bars=2, roll_input=True, roll_output=True, pitch_classes=FULL_DRUM_PITCH_CLASSES
)


@pytest.fixture
def beat(piece):
    """A function that makes a drum piece of hits (pitch, step)."""
    return lambda hits, **kwargs: piece([(p, s, 1) for p, s in hits], is_drum=True, **kwargs)


def masks(converter, sequence):
    return [example.outputs.tolist() for example in converter.extract(sequence).examples]


def bar(*hits):
    """Sixteen masks from pairs (step, mask)."""
    steps = [0] * 16
    for step, mask in hits:
        steps[step] = mask
    return steps


def skipped(converter, sequence):
    found = converter.extract(sequence)
    assert not found.examples
    return dict(found.skipped)


class TestExtract:
    def test_a_bar_reads_as_its_hits(self, beat):
        sequence = beat([(KICK, 0), (HAT, 0), (HAT, 4), (SNARE, 8)])
        expected = bar((0, KICK_BIT + HAT_BIT), (4, HAT_BIT), (8, SNARE_BIT))
        assert masks(ONE_BAR, sequence) == [expected]

    def test_two_drums_of_a_class_are_one_hit(self, beat):
        sequence = beat([(SNARE, 0), (ELECTRIC_SNARE, 0), (ELECTRIC_SNARE, 4)])
        assert masks(ONE_BAR, sequence) == [bar((0, SNARE_BIT), (4, SNARE_BIT))]

    def test_an_example_is_its_own_input_of_int64_with_its_length(self, beat):
        (example,) = ONE_BAR.extract(beat([(KICK, 0)])).examples
        assert example.inputs is example.outputs
        assert example.outputs.dtype == np.int64
        assert example.controls is None
        assert (example.length.shape, example.length.dtype) == ((), np.int32)
        assert example.length == 16

    def test_windows_slide_by_one_bar_and_are_kept_once(self, beat):
        sequence = beat([(KICK, 0), (KICK, 16), (SNARE, 32), (KICK, 48), (KICK, 64)])
        kick, snare = bar((0, KICK_BIT)), bar((0, SNARE_BIT))
        assert masks(TWO_BARS, sequence) == [kick + kick, kick + snare, snare + kick]

    def test_a_bar_without_hits_begins_a_new_track(self, beat):
        sequence = beat([(KICK, 15), (SNARE, 32), (SNARE, 44)])
        track = DrumsConverter()
        assert masks(track, sequence) == [
            bar((15, KICK_BIT)),
            bar((0, SNARE_BIT), (12, SNARE_BIT)),
        ]

    def test_pitches_of_no_class_are_left_out_and_counted(self, beat):
        found = ONE_BAR.extract(beat([(KICK, 16), (100, 0), (101, 20)]))
        assert [e.outputs.tolist() for e in found.examples] == [bar((0, KICK_BIT))]
        assert found.skipped == {"drum note of no class": 2}

    def test_notes_that_are_not_drums_are_left_out(self, beat, add):
        sequence = beat([(KICK, 0)])
        add(sequence, [(SNARE, 4, 4)])
        assert masks(ONE_BAR, sequence) == [bar((0, KICK_BIT))]

    @pytest.mark.parametrize(("roll", "end_token"), [(False, 512), (True, 9)])
    def test_the_end_token_is_the_bit_above_the_classes(self, beat, roll, end_token):
        converter = DrumsConverter(add_end_token=True, roll_output=roll)
        (example,) = converter.extract(beat([(KICK, 0)])).examples
        assert example.outputs.tolist() == [*bar((0, KICK_BIT)), 512]
        assert example.length == 17
        assert converter.end_token == end_token
        assert np.flatnonzero(converter.dense_outputs(example.outputs)[-1]) == [end_token]

    def test_a_track_is_padded_to_the_time_of_the_piece(self, beat, add):
        sequence = beat([(KICK, 20)])
        add(sequence, [(60, 0, 40)])
        converter = DrumsConverter(pad_to_total_time=True)
        assert masks(converter, sequence) == [[*[0] * 20, KICK_BIT, *[0] * 19]]

    def test_a_waltz_is_read_with_three_quarters_to_a_bar(self, beat):
        converter = DrumsConverter(slice_bars=1, quarters_per_bar=3)
        (found,) = masks(converter, beat([(KICK, 0), (HAT, 4), (HAT, 8)], metre=(3, 4)))
        assert len(found) == 12

    def test_the_sequence_stays_as_it_is(self, beat):
        sequence = beat([(ELECTRIC_SNARE, 0), (100, 4)])
        before = sequence.SerializeToString(deterministic=True)
        for presplit in (False, True):
            DrumsConverter(presplit_on_time_changes=presplit).extract(sequence)
        assert sequence.SerializeToString(deterministic=True) == before


class TestSkipped:
    def test_another_metre(self, beat):
        assert skipped(ONE_BAR, beat([(KICK, 0)], metre=(3, 4))) == {"time signature 3/4": 1}

    def test_no_drums(self, piece):
        assert skipped(ONE_BAR, piece([(KICK, 0, 4)])) == {"no drum notes": 1}

    def test_drums_of_no_class(self, beat):
        assert skipped(ONE_BAR, beat([(100, 0)])) == {"drum note of no class": 1}

    def test_tracks_shorter_than_the_window(self, beat):
        assert skipped(TWO_BARS, beat([(KICK, 0)])) == {"drum track shorter than 2 bars": 1}

    def test_notes_without_velocity(self, beat):
        assert skipped(ONE_BAR, beat([(KICK, 0)], velocity=0)) == {"no drum track": 1}


class TestDense:
    STEPS = np.array([[KICK_BIT + HAT_BIT, 0, PAD]])

    def columns(self, dense):
        return [np.flatnonzero(step).tolist() for step in dense[0]]

    def test_a_one_hot_column_is_the_mask(self):
        assert ONE_BAR.output_depth == ONE_BAR.input_depth == 512
        assert self.columns(ONE_BAR.dense_outputs(self.STEPS)) == [[5], [0], []]
        assert self.columns(ONE_BAR.dense_inputs(self.STEPS)) == [[5], [0], []]

    def test_the_last_column_of_a_roll_input_says_that_nothing_is_played(self):
        assert TWO_BARS.input_depth == 10
        assert self.columns(TWO_BARS.dense_inputs(self.STEPS)) == [[0, 2], [9], []]

    def test_a_roll_output_has_a_column_for_each_class_only(self):
        converter = dataclasses.replace(TWO_BARS, roll_output=True)
        assert converter.output_depth == 9
        assert self.columns(converter.dense_outputs(self.STEPS)) == [[0, 2], [], []]

    def test_something_is_played_at_the_end_token(self):
        converter = DrumsConverter(add_end_token=True, roll_input=True)
        assert converter.input_depth == 11
        assert self.columns(converter.dense_inputs(np.array([[512, 0]]))) == [[9], [10]]

    def test_every_drum_has_its_column(self):
        assert (FULL.input_depth, FULL.output_depth) == (62, 61)
        dense = FULL.dense_outputs(np.array([1 << 60]))
        assert np.flatnonzero(dense).tolist() == [60]


class TestFromTensors:
    def notes(self, converter, steps):
        (sequence,) = converter.from_tensors([converter.dense_outputs(np.array(steps))])
        return [(n.pitch, n.start_time, n.end_time) for n in sequence.notes]

    @pytest.mark.parametrize("roll_output", [False, True])
    def test_a_class_sounds_as_its_first_pitch_for_one_step(self, roll_output):
        converter = DrumsConverter(roll_output=roll_output)
        steps = bar((0, KICK_BIT + HAT_BIT), (4, SNARE_BIT))
        assert sorted(self.notes(converter, steps)) == [
            (KICK, 0, 0.125),
            (SNARE, 0.5, 0.625),
            (HAT, 0, 0.125),
        ]

    @pytest.mark.parametrize("roll_output", [False, True])
    def test_nothing_after_the_end_token_counts(self, roll_output):
        converter = DrumsConverter(add_end_token=True, roll_output=roll_output)
        assert self.notes(converter, [KICK_BIT, 512, SNARE_BIT]) == [(KICK, 0, 0.125)]

    @pytest.mark.parametrize("roll_output", [False, True])
    def test_a_sample_without_its_end_token_counts_whole(self, roll_output):
        converter = DrumsConverter(add_end_token=True, roll_output=roll_output)
        assert len(self.notes(converter, [KICK_BIT, 0, SNARE_BIT])) == 2

    def test_samples_may_be_floats(self):
        converter = DrumsConverter(roll_output=True)
        (sequence,) = converter.from_tensors([np.eye(9, dtype=np.float32)])
        assert [n.pitch for n in sequence.notes] == [p[0] for p in REDUCED_DRUM_PITCH_CLASSES]

    def test_the_notes_are_drums_at_120_quarters_a_minute(self):
        (sequence,) = ONE_BAR.from_tensors([ONE_BAR.dense_outputs(np.array([KICK_BIT]))])
        (note,) = sequence.notes
        assert note.is_drum
        assert (note.velocity, note.program, note.instrument) == (80, 0, 9)
        assert [tempo.qpm for tempo in sequence.tempos] == [120]

    @pytest.mark.parametrize(
        "converter", [DrumsConverter(), dataclasses.replace(FULL, slice_bars=None)]
    )
    def test_extract_is_the_inverse(self, converter):
        rng = np.random.default_rng(0)
        for _ in range(10):
            track = rng.integers(1, 1 << converter.num_classes, 64)
            (sequence,) = converter.from_tensors([converter.dense_outputs(track)])
            sequence.time_signatures.add(numerator=4, denominator=4)
            assert masks(converter, sequence) == [track.tolist()]


def test_drums_stay_when_music_is_transposed(beat, add):
    from note_seq import sequences_lib

    sequence = beat([(KICK, 0), (SNARE, 8)])
    add(sequence, [(60, 0, 16)])
    assert ONE_BAR.transposable_range(sequence) == (-127, 127)
    (example,) = ONE_BAR.extract(sequence).examples
    for semitones in (-5, 5):
        notes, _ = sequences_lib.transpose_note_sequence(sequence, semitones)
        transposed = ONE_BAR.transpose(example, semitones)
        assert isinstance(transposed, Example)
        assert masks(ONE_BAR, notes) == [transposed.outputs.tolist()]


class TestSettings:
    def test_lists_become_tuples_so_that_settings_survive_json(self):
        read = json.loads(json.dumps(dataclasses.asdict(FULL)))
        assert DrumsConverter(**read) == FULL
        assert hash(DrumsConverter(**read)) == hash(FULL)

    def test_no_pitch_classes_are_the_nine(self):
        assert DrumsConverter(pitch_classes=None) == DrumsConverter()
        assert DrumsConverter().num_classes == 9

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"pitch_classes": []}, "needs a class"),
            ({"pitch_classes": [[36], []]}, "every class a pitch"),
            ({"pitch_classes": [[36], [38, 36]]}, "pitch 36 is 2 times"),
            ({"pitch_classes": [[128]]}, "pitch 128 .* from 0 to 127"),
            ({"pitch_classes": FULL_DRUM_PITCH_CLASSES}, "61 .* more than 16; use roll_input"),
            ({"slice_bars": 0}, "slice_bars must be"),
        ],
    )
    def test_an_impossible_setting_is_refused(self, wrong, message):
        with pytest.raises(UserError, match=message):
            DrumsConverter(**wrong)
