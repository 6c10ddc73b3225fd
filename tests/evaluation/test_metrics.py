"""Measures of an evaluation, on examples that can be worked out by hand."""

import math

import numpy as np
import pytest

from music_vae.common.lazy_imports import import_note_seq
from music_vae.evaluation import metrics
from music_vae.evaluation.metrics import Groove, groove_errors


def melody(*tokens):
    return np.array(tokens)


# -- Steps ----------------------------------------------------------------------------------------


def test_valid_steps_are_the_first_ones_of_the_whole_or_of_each_segment():
    assert metrics.valid_steps(4, np.array(3)).tolist() == [True, True, True, False]
    assert metrics.valid_steps(4, np.array([1, 2])).tolist() == [True, False, True, True]


def test_right_steps_leave_padding_out_and_count_missing_steps_as_wrong():
    truth, valid = melody(5, 6, 7, 8, 9), np.array([True, True, False, True, True])
    right = metrics.right_steps(truth, melody(5, 0, 7, 8), valid)
    assert right.tolist() == [True, False, True, False]
    longer = metrics.right_steps(truth[:2], melody(5, 6, 7), valid[:2])
    assert longer.tolist() == [True, True]


def test_right_steps_of_several_parts_are_counted_apart():
    right = metrics.right_steps(
        np.array([[1, 2], [3, 4]]), np.array([[1, 0], [3, 4]]), np.ones(2, bool)
    )
    assert right.tolist() == [[True, False], [True, True]]


def test_kl_is_nothing_at_the_prior_and_known_elsewhere():
    mu, sigma = np.array([[0.0, 0.0], [2.0, 0.0]]), np.array([[1.0, 1.0], [1.0, 0.5]])
    expected = 2.0 + (0.25 - 1) / 2 - math.log(0.5)
    np.testing.assert_allclose(metrics.kl_bits(mu, sigma), [0, expected / math.log(2)])


@pytest.mark.parametrize("number", [2, 3, 50])
def test_every_example_gets_another_ones_z_and_each_z_is_used(number):
    found = metrics.partners(number, np.random.default_rng(0))
    assert sorted(found) == list(range(number))
    assert not np.any(found == np.arange(number))


# -- Grooves --------------------------------------------------------------------------------------


def groove(hits, velocities, offsets):
    return Groove(np.array(hits, bool), np.array(velocities, float), np.array(offsets, float))


def test_errors_of_a_groove_are_of_the_hits_that_both_have():
    true = groove([[1, 1], [1, 0]], [[1.0, 0.5], [0.6, 0.0]], [[0.2, -0.4], [0.8, 0.0]])
    made = groove([[1, 0], [1, 1]], [[0.9, 0.0], [0.8, 0.1]], [[0.0, 0.0], [0.4, 0.0]])
    errors = groove_errors([true], [made], [100.0])  # half a step lasts 50 ms
    assert errors.precision == pytest.approx(2 / 3)
    assert errors.recall == pytest.approx(2 / 3)
    assert errors.onset_ms == pytest.approx(50 * (0.2 + 0.4) / 2)
    assert errors.onset_baseline_ms == pytest.approx(50 * (0.2 + 0.8) / 2)
    assert errors.velocity == pytest.approx(127 * (0.1 + 0.2) / 2)
    assert errors.velocity_baseline == pytest.approx(127 * (0.3 + 0.1) / 2)  # the mean is 0.7


def test_every_groove_has_its_own_tempo():
    true, made = groove([[1]], [[1]], [[0.5]]), groove([[1]], [[1]], [[0.0]])
    errors = groove_errors([true, true], [made, made], [100.0, 200.0])
    assert errors.onset_ms == pytest.approx((25 + 50) / 2)


def test_grooves_without_a_common_hit_have_no_errors():
    errors = groove_errors([groove([[1]], [[1]], [[0]])], [groove([[0]], [[0]], [[0]])], [100.0])
    assert errors.recall == 0
    assert math.isnan(errors.precision)
    assert math.isnan(errors.onset_ms)
    assert math.isnan(errors.velocity)


# -- Music ----------------------------------------------------------------------------------------


def piece(*notes, drums=False):
    """A sequence of (pitch, start, end) in seconds."""
    sequence = import_note_seq().NoteSequence()
    for pitch, start, end in notes:
        sequence.notes.add(pitch=pitch, start_time=start, end_time=end, is_drum=drums, velocity=80)
    return sequence


def statistics(*pieces, num_bars=2):
    return metrics.music_statistics(pieces, num_bars=num_bars, bar_s=2.0, steps_per_bar=16)


def test_notes_per_bar_and_empty_bars_are_counted_over_all_bars():
    found = statistics(piece((60, 0, 1), (64, 1, 2)), piece((60, 1, 2.5)), piece())
    assert found.pieces == 3
    assert found.notes_per_bar == pytest.approx(3 / 6)
    assert found.empty_bars == pytest.approx(3 / 6)  # the held note fills both bars of its piece


def test_a_hit_that_comes_early_belongs_to_its_own_bar():
    assert statistics(piece((36, 1.95, 2.07), drums=True)).empty_bars == pytest.approx(1 / 2)
    assert statistics(piece((36, -0.05, 0.07), drums=True)).empty_bars == pytest.approx(1 / 2)


def test_the_histogram_is_of_pitch_classes_or_of_drums():
    found = statistics(piece((60, 0, 1), (72, 1, 2), (67, 2, 3), (64, 3, 4)))
    assert found.histogram[[0, 4, 7]].tolist() == [0.5, 0.25, 0.25]
    drums = statistics(piece((36, 0, 1), (38, 1, 2), drums=True))
    assert drums.histogram.shape == (128,)
    assert drums.histogram[[36, 38]].tolist() == [0.5, 0.5]


def test_nothing_has_no_statistics():
    found = statistics()
    assert math.isnan(found.notes_per_bar)
    assert not found.histogram.any()


def test_the_overlap_of_histograms_is_what_they_share():
    one, other = np.array([0.5, 0.5, 0.0]), np.array([0.2, 0.3, 0.5])
    assert metrics.histogram_overlap(one, other) == pytest.approx(0.5)
    assert metrics.histogram_overlap(one, one) == pytest.approx(1)
    assert metrics.histogram_overlap(one, np.ones(5) / 5) == 0
