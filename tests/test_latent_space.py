"""Paths on the sphere, by hand and at the places where the formula breaks."""

import numpy as np
import pytest

from music_vae.latent_space import interpolate, slerp

X, Y = np.array([1.0, 0.0]), np.array([0.0, 1.0])


def test_half_way_between_unit_vectors_at_right_angles_lies_on_the_circle():
    np.testing.assert_allclose(slerp(X, Y, 0.5), np.sqrt([0.5, 0.5]))


def test_a_third_of_the_way_is_a_third_of_the_angle():
    np.testing.assert_allclose(slerp(X, Y, 1 / 3), [np.cos(np.pi / 6), np.sin(np.pi / 6)])


def test_both_ends_are_included_whatever_their_lengths():
    rng = np.random.default_rng(0)
    start, end = rng.standard_normal(16), 3 * rng.standard_normal(16)
    path = interpolate(start, end, 7)
    assert path.shape == (7, 16)
    np.testing.assert_allclose(path[[0, -1]], [start, end])


@pytest.mark.parametrize("end", [X, 3 * X, X + 1e-9 * Y])
def test_equal_and_parallel_ends_give_the_straight_line(end):
    np.testing.assert_allclose(slerp(X, end, 0.25), 0.75 * X + 0.25 * end, atol=1e-8)


@pytest.mark.parametrize("end", [-X, -3 * X])
def test_opposite_ends_are_joined_by_an_arc_that_stays_away_from_zero(end):
    path = interpolate(X, end, 9)
    assert np.isfinite(path).all()
    np.testing.assert_allclose(path[[0, -1]], [X, end], atol=1e-12)
    norms = np.linalg.norm(path, axis=1)
    np.testing.assert_allclose(norms, np.linspace(1, np.linalg.norm(end), 9))


def test_zero_as_an_end_gives_the_straight_line():
    np.testing.assert_allclose(slerp(0 * X, X, 0.25), 0.25 * X)


def test_opposite_ends_in_one_dimension_go_through_zero():
    np.testing.assert_allclose(interpolate(np.array([1.0]), np.array([-1.0]), 3), [[1], [0], [-1]])
