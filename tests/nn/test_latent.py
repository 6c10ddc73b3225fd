"""The latent space's formulas, by hand."""

import math
import sys

import numpy as np
import pytest
import tensorflow as tf

from music_vae.common.plans import DensePlan, PosteriorPlan
from music_vae.nn import latent


def test_the_divergence_of_gaussians_is_the_closed_formula():
    rng = np.random.default_rng(0)
    mu = rng.standard_normal((4, 6)).astype(np.float32)
    sigma = rng.uniform(0.1, 2.0, (4, 6)).astype(np.float32)
    expected = 0.5 * (mu**2 + sigma**2 - 1 - 2 * np.log(sigma)).sum(axis=1)
    np.testing.assert_allclose(latent.kl_divergence(mu, sigma), expected, rtol=1e-5)


def test_without_tensorflow_probability_the_divergence_is_the_same(monkeypatch):
    rng = np.random.default_rng(1)
    mu = rng.standard_normal((4, 256)).astype(np.float32)
    sigma = rng.uniform(0.1, 2.0, (4, 256)).astype(np.float32)
    expected = latent.kl_divergence(mu, sigma).numpy()
    monkeypatch.setitem(sys.modules, "tensorflow_probability", None)
    np.testing.assert_allclose(latent.kl_divergence(mu, sigma), expected, rtol=1e-6)


def test_free_bits_are_taken_from_the_whole_divergence_of_an_example():
    kl_nats = tf.constant([3 * math.log(2), 10 * math.log(2)])
    cost = latent.kl_cost(kl_nats, free_bits=4)
    np.testing.assert_allclose(cost, [0.0, 6 * math.log(2)], rtol=1e-6)


def test_draws_have_the_posteriors_mean_and_deviation():
    mu, sigma = tf.fill([20_000, 1], 2.0), tf.fill([20_000, 1], 0.5)
    z = latent.draw(mu, sigma, tf.constant([1, 2])).numpy()
    assert z.mean() == pytest.approx(2.0, abs=0.02)
    assert z.std() == pytest.approx(0.5, abs=0.02)


def test_a_fresh_posterior_is_near_mean_zero_with_the_softplus_of_zero_as_deviation():
    plan = PosteriorPlan(mu=DensePlan("mu", 8, 3), sigma=DensePlan("sigma", 8, 3))
    mu, sigma = latent.GaussianPosterior(plan)(tf.ones([2, 8]))
    np.testing.assert_allclose(mu, 0.0, atol=0.03)
    np.testing.assert_allclose(sigma, math.log(2), atol=0.03)
