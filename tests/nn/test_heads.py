"""Output distributions against plain NumPy and by hand."""

import numpy as np
import pytest
import tensorflow as tf

from music_vae.nn.heads import CategoricalHead

LOGITS = np.log(np.array([[0.1, 0.2, 0.7]], np.float32))


@pytest.mark.parametrize(
    ("noise", "expected"), [(0.0, 0), (0.099, 0), (0.101, 1), (0.299, 1), (0.301, 2), (0.9999, 2)]
)
def test_a_sample_is_the_class_in_whose_share_the_noise_falls(noise, expected):
    sample = CategoricalHead(3).sample(LOGITS, 1.0, tf.constant([[noise]]))
    assert sample.numpy().tolist() == np.eye(3)[[expected]].tolist()


@pytest.mark.parametrize("temperature", [0.0, 1e-4])
@pytest.mark.parametrize("noise", [0.0, 0.5, 1 - 2**-24])
def test_near_temperature_zero_the_likeliest_class_is_taken(temperature, noise):
    sample = CategoricalHead(3).sample(LOGITS, temperature, tf.constant([[noise]]))
    assert sample.numpy().argmax() == 2


def test_samples_follow_the_distribution_at_a_temperature():
    noise = np.random.default_rng(0).random((20_000, 1), np.float32)
    logits = tf.repeat(tf.constant(LOGITS), len(noise), axis=0)
    shares = tf.reduce_mean(CategoricalHead(3).sample(logits, 2.0, noise), axis=0)
    expected = np.sqrt([0.1, 0.2, 0.7])
    np.testing.assert_allclose(shares, expected / expected.sum(), atol=0.01)


def test_a_class_of_probability_zero_is_never_drawn():
    logits = tf.constant([[-1e9, 0.0, -1e9]])
    for noise in (0.0, 1 - 2**-24):
        sample = CategoricalHead(3).sample(logits, 1.0, tf.constant([[noise]]))
        assert sample.numpy().argmax() == 1


def test_the_loss_is_the_surprise_in_nats():
    loss = CategoricalHead(3).loss(LOGITS, tf.constant([[0.0, 1.0, 0.0]]))
    assert loss.numpy() == pytest.approx([-np.log(0.2)], rel=1e-5)


def test_metrics_count_valid_steps_and_add_up_over_batches():
    head = CategoricalHead(3)
    logits = tf.one_hot([[0, 1, 2, 0]], 3) * 5
    targets = tf.one_hot([[0, 1, 1, 2]], 3)
    first = head.statistics(logits, targets, tf.constant([[1.0, 1.0, 1.0, 0.0]]))
    second = head.statistics(logits, targets, tf.constant([[1.0, 0.0, 0.0, 1.0]]))
    sums = {name: first[name].numpy() + second[name].numpy() for name in first}
    metrics = head.summarize(sums)
    # Class 0: right twice of 2; class 1: once of 2; class 2: never of 1.
    assert metrics["accuracy"] == pytest.approx(3 / 5)
    assert metrics["mean_per_class_accuracy"] == pytest.approx((1 + 0.5 + 0) / 3)
