"""Mixtures of Gaussians: fitted to what was drawn from one, and their density in plain NumPy."""

import numpy as np

from music_vae.latent import gaussian_mixture
from music_vae.latent.gaussian_mixture import Mixture


def some_mixture():
    return Mixture(
        weights=np.array([0.6, 0.3, 0.1]),
        means=np.array([[-4.0, 0.0], [4.0, 0.0], [0.0, 6.0]]),
        between=np.array([[0.5, 0.1], [0.2, 1.0], [0.3, 0.3]]),
        within=np.array([[0.1, 0.2], [0.2, 0.1], [0.3, 0.3]]),
    )


def posteriors_of(mixture, number, rng):
    """Means and variances of posteriors as a model would have whose windows are a mixture's."""
    chosen = rng.choice(len(mixture.weights), number, p=mixture.weights)
    noise = rng.standard_normal((number, mixture.means.shape[1]))
    return mixture.means[chosen] + np.sqrt(mixture.between[chosen]) * noise, mixture.within[chosen]


def test_the_mixture_that_posteriors_are_drawn_from_is_found():
    mixture, rng = some_mixture(), np.random.default_rng(3)
    x, s = posteriors_of(mixture, 6000, rng)
    found = gaussian_mixture.fit(x, s, 3, range(30), rng)
    order = np.argsort(-found.weights)
    for own, truth in zip(found, mixture, strict=True):
        np.testing.assert_allclose(own[order], truth, rtol=0.1, atol=0.1)


def test_each_step_makes_posteriors_likelier():
    rng = np.random.default_rng(0)
    x, s = posteriors_of(some_mixture(), 2000, rng)
    z = x + np.sqrt(s) * rng.standard_normal(x.shape)
    fits = [gaussian_mixture.fit(x, s, 5, range(n), np.random.default_rng(1)) for n in (0, 1, 3, 9)]
    likely = [gaussian_mixture.log_density(found, z).mean() for found in fits]
    assert sorted(likely) == likely


def test_the_density_is_that_of_the_formula():
    mixture = some_mixture()
    points = np.random.default_rng(0).normal(0, 5, (7, 2))
    expected = np.zeros(7)
    for w, m, v in zip(mixture.weights, mixture.means, mixture.variances, strict=True):
        part = np.exp(-((points - m) ** 2) / (2 * v)) / np.sqrt(2 * np.pi * v)
        expected += w * part.prod(axis=1)
    found = gaussian_mixture.log_density(mixture, points)
    np.testing.assert_allclose(np.exp(found), expected, rtol=1e-10)


def test_a_component_of_one_posterior_does_not_shrink_to_it():
    x = np.concatenate([np.random.default_rng(0).normal(0, 1, (500, 1)), [[50.0]]])
    found = gaussian_mixture.fit(x, np.full(x.shape, 0.01), 40, range(10), np.random.default_rng(0))
    assert found.between.min() > 1e-4


def test_the_axes_are_those_in_which_posteriors_vary_within_components():
    rng = np.random.default_rng(0)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    within = rng.normal(0, 1, (4000, 2)) * [0.2, 1.0]
    x = within @ turn.T + rng.choice([-20, 20], (4000, 1)) * [1, 0]
    found = gaussian_mixture.fit(x, np.full(x.shape, 1e-4), 2, range(10), rng)
    axes = gaussian_mixture.axes_within(found, x)
    np.testing.assert_allclose(np.abs(axes), np.abs(turn), atol=0.05)


def test_a_seed_repeats_the_fit():
    x, s = posteriors_of(some_mixture(), 300, np.random.default_rng(0))
    one, two = (gaussian_mixture.fit(x, s, 4, range(3), np.random.default_rng(5)) for _ in "ab")
    assert all((a == b).all() for a, b in zip(one, two, strict=True))
