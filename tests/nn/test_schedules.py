"""Schedules at steps where their value is known by hand."""

import math

import pytest
import tensorflow as tf

from music_vae.common.hparams import HParams
from music_vae.nn import schedules


def test_beta_rises_from_zero_to_its_maximum():
    hparams = HParams(max_beta=0.2, beta_rate=0.99999)
    assert schedules.beta(hparams, 0.0) == 0
    assert schedules.beta(hparams, 1.0) == pytest.approx(0.2 * 0.00001)
    assert schedules.beta(hparams, 1e7) == pytest.approx(0.2)


def test_beta_without_annealing_is_zero_at_step_zero_alone():
    hparams = HParams(max_beta=0.2, beta_rate=0.0)
    assert [schedules.beta(hparams, step) for step in (0.0, 1.0, 2.0)] == [0, 0.2, 0.2]
    assert float(schedules.beta(hparams, tf.constant(0.0))) == 0


def test_the_learning_rate_decays_towards_its_minimum():
    hparams = HParams(learning_rate=0.001, decay_rate=0.5, min_learning_rate=0.0001)
    assert schedules.learning_rate(hparams, 0.0) == pytest.approx(0.001)
    assert schedules.learning_rate(hparams, 1.0) == pytest.approx(0.00055)
    assert schedules.learning_rate(hparams, 1000.0) == pytest.approx(0.0001)


def test_the_constant_schedule_is_constant():
    hparams = HParams(sampling_schedule="constant", sampling_rate=0.3)
    assert [schedules.sampling_probability(hparams, s) for s in (0.0, 9.0)] == [0.3, 0.3]


def test_the_exponential_schedule_rises_from_zero_to_one():
    hparams = HParams(sampling_schedule="exponential", sampling_rate=0.5)
    values = [schedules.sampling_probability(hparams, s) for s in (0.0, 1.0, 2.0, 100.0)]
    assert values == pytest.approx([0, 0.5, 0.75, 1])


@pytest.mark.parametrize("step", [0.0, 1.0, 5000.0])
def test_the_inverse_sigmoid_schedule_is_its_formula(step):
    hparams = HParams(sampling_schedule="inverse_sigmoid", sampling_rate=1000)
    expected = 1 - 1000 / (1000 + math.exp(step / 1000))
    assert schedules.sampling_probability(hparams, step) == pytest.approx(expected)


def test_the_inverse_sigmoid_schedule_does_not_overflow_in_a_float32():
    hparams = HParams(sampling_schedule="inverse_sigmoid", sampling_rate=1000)
    assert float(schedules.sampling_probability(hparams, tf.constant(1e6))) == 1.0


def test_a_model_samples_in_training_unless_its_schedule_is_constant_zero():
    assert not schedules.samples_in_training(HParams())
    assert schedules.samples_in_training(HParams(sampling_rate=0.1))
    assert schedules.samples_in_training(
        HParams(sampling_schedule="inverse_sigmoid", sampling_rate=1000)
    )
