"""Noise: what it is drawn from, and that XLA draws the same."""

import numpy as np
import pytest
import tensorflow as tf

from music_vae.nn.noise import Shard, fold_in

SEED = (3, 5)


def test_uniform_numbers_are_those_of_tensorflow():
    expected = tf.random.stateless_uniform([31, 7], SEED, alg="philox")
    np.testing.assert_array_equal(Shard().uniform([31, 7], tf.constant(SEED)), expected)


def test_normal_numbers_are_those_of_tensorflow():
    expected = tf.random.stateless_normal([31, 7], SEED, alg="philox")
    np.testing.assert_allclose(Shard().normal([31, 7], tf.constant(SEED)), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["uniform", "normal"])
def test_xla_draws_the_same_numbers(name):
    def draw(seed):
        return getattr(Shard(), name)([31, 7], fold_in(seed, 9))

    compiled = tf.function(draw, jit_compile=True, autograph=False)
    seed = tf.constant(SEED)
    np.testing.assert_allclose(compiled(seed), draw(seed), atol=1e-5)
