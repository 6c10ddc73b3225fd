"""Gradients are clipped as configured, and applied by Adam."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from music_vae.common.hparams import HParams
from music_vae.training.optimizer import Adam, clip_gradients


def test_gradients_are_scaled_to_the_largest_global_norm():
    clipped, norm = clip_gradients([tf.constant([3.0]), tf.constant([4.0])], HParams(grad_clip=1))
    assert float(norm) == 5
    np.testing.assert_allclose([float(g[0]) for g in clipped], [0.6, 0.8])


def test_small_gradients_stay_as_they_are():
    clipped, _ = clip_gradients([tf.constant([0.3]), tf.constant([0.4])], HParams(grad_clip=1))
    np.testing.assert_allclose([float(g[0]) for g in clipped], [0.3, 0.4])


def test_a_global_norm_at_the_limit_zeroes_the_step():
    hparams = HParams(grad_norm_clip_to_zero=5)
    clipped, _ = clip_gradients([tf.constant([3.0]), tf.constant([4.0])], hparams)
    assert [float(g[0]) for g in clipped] == [0, 0]


def test_clipping_by_value_limits_every_element():
    hparams = HParams(clip_mode="value", grad_clip=1)
    clipped, norm = clip_gradients([tf.constant([3.0, -4.0, 0.5])], hparams)
    assert clipped[0].numpy().tolist() == [1, -1, 0.5]
    assert float(norm) == pytest.approx(np.sqrt(25.25))


def test_an_infinite_gradient_is_clipped_to_zero():
    clipped, norm = clip_gradients([tf.constant([np.inf, 1.0])], HParams())
    assert np.isinf(norm)
    assert clipped[0].numpy().tolist() == [0, 0]


def test_the_optimizer_is_adam():
    rng = np.random.default_rng(0)
    variable, expected = keras.Variable([1.0, -2.0, 0.0]), np.array([1.0, -2.0, 0.0])
    optimizer, m, v = Adam([variable]), 0.0, 0.0
    for step in range(1, 6):
        gradient, rate = rng.standard_normal(3), 0.1 / step
        gradients = [tf.constant(gradient, tf.float32)]
        optimizer.apply(gradients, [variable], learning_rate=rate)
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        rate *= np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        expected -= rate * m / (np.sqrt(v) + 1e-8)
        np.testing.assert_allclose(variable.numpy(), expected, rtol=2e-6)
    assert int(optimizer.iterations) == 5
