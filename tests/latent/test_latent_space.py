"""Paths on the sphere, by hand and at the places where the formula breaks."""

import numpy as np
import pytest

from music_vae.common.errors import UserError
from music_vae.latent.latent_space import (
    attribute_shift,
    attribute_vector,
    grid,
    interpolate,
    path,
    principal_axes,
    similar,
    slerp,
)

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


def test_a_path_through_two_points_is_the_interpolation():
    start, end = np.array([3.0, 0.0, 1.0]), np.array([0.0, -1.0, 2.0])
    np.testing.assert_array_equal(path(np.stack([start, end]), 5), interpolate(start, end, 5))


def test_the_steps_of_a_path_are_equally_long_whatever_the_lengths_of_its_arcs():
    angles = np.radians([0.0, 90.0, 120.0, 120.0])  # 90 degrees, 30 degrees, and a point twice
    found = path(np.stack([np.cos(angles), np.sin(angles)], axis=-1), 5)
    degrees = np.degrees(np.arctan2(*found.T[::-1]))
    np.testing.assert_allclose(degrees, [0, 30, 60, 90, 120], rtol=1e-4)  # lengths are measured so


def test_a_path_turns_at_its_points_and_keeps_its_ends():
    points = np.array([[1.0, 0, 0], [0, 2.0, 0], [0, 0, 2.0]])
    found = path(points, 101)
    np.testing.assert_array_equal(found[[0, -1]], points[[0, -1]])
    assert np.linalg.norm(found - points[1], axis=1).min() < 0.05
    assert (found[:, 0] * found[:, 2] == 0).all()  # never from the first arc to the last


@pytest.mark.parametrize(
    ("degrees", "steps", "expected"),
    [
        ([0, 90, 120], 4, [0, 45, 90, 120]),
        ([0, 90, 120], 3, [0, 90, 120]),
        ([0, 10, 100], 5, [0, 10, 40, 70, 100]),
        ([0, 0, 90], 3, [0, 45, 90]),
        ([0, 50, 60, 100], 3, [0, 50, 100]),  # too few steps for all points: equally long
    ],
)
def test_a_path_has_its_points_among_its_steps(degrees, steps, expected):
    angles = np.radians(degrees)
    found = path(np.stack([np.cos(angles), np.sin(angles)], axis=-1), steps)
    np.testing.assert_allclose(np.degrees(np.arctan2(*found.T[::-1])), expected, atol=2e-2)


def test_a_path_that_stays_where_it_is_is_one_point():
    np.testing.assert_array_equal(path(np.stack([X, X, X]), 3), np.stack([X, X, X]))


@pytest.mark.parametrize(("points", "steps"), [([X], 3), ([X, Y], 1), (X, 3)])
def test_a_path_without_two_ends_is_refused(points, steps):
    with pytest.raises(UserError, match="a path needs at least 2"):
        path(np.array(points), steps)


def test_a_grid_has_the_corners_at_its_corners_and_arcs_as_its_edges():
    corners = np.random.default_rng(0).standard_normal((4, 8))
    found = grid(corners, 3, 5)
    assert found.shape == (3, 5, 8)
    np.testing.assert_allclose(found[[0, 0, 2, 2], [0, 4, 0, 4]], corners)
    np.testing.assert_allclose(found[0], interpolate(corners[0], corners[1], 5))
    np.testing.assert_allclose(found[:, 4], interpolate(corners[1], corners[3], 3))
    np.testing.assert_allclose(found[1], interpolate(found[1, 0], found[1, 4], 5))


@pytest.mark.parametrize(("number", "rows", "message"), [(3, 2, "4 corners"), (4, 1, "2 rows")])
def test_a_grid_without_corners_or_rows_is_refused(number, rows, message):
    with pytest.raises(UserError, match=message):
        grid(np.ones((number, 2)), rows, 2)


def test_neighbours_are_the_nearer_the_more_similar():
    z = np.random.default_rng(1).standard_normal((20, 64))
    distances = [
        np.linalg.norm(similar(z, similarity, np.random.default_rng(2)) - z, axis=1)
        for similarity in (0.0, 0.5, 0.8, 1.0)
    ]
    assert (np.diff(distances, axis=0) < 0).all()
    np.testing.assert_allclose(distances[-1], 0, atol=1e-12)
    random = np.random.default_rng(2).standard_normal((20, 64))
    np.testing.assert_allclose(similar(z, 0.0, np.random.default_rng(2)), random)


@pytest.mark.parametrize("similarity", [-0.1, 1.1, np.nan])
def test_a_similarity_beyond_its_range_is_refused(similarity):
    with pytest.raises(UserError, match=f"`similarity={similarity}` must be (at|a number from 0)"):
        similar(np.ones((1, 2)), similarity, np.random.default_rng(0))


def test_an_attribute_vector_leads_from_the_lowest_quarter_to_the_highest():
    z = np.arange(9.0)[:, None] ** 2
    values = [np.nan, 1, 2, 3, 4, 5, 6, 7, 8]
    vector = attribute_vector(z, values, np.random.default_rng(0))
    np.testing.assert_allclose(vector, [(49 + 64) / 2 - (1 + 4) / 2])


def test_equal_values_fall_into_a_quarter_by_chance():
    z, values = np.eye(8), [0, 0, 0, 0, 0, 0, 1, 1]
    vectors = {
        tuple(attribute_vector(z, values, np.random.default_rng(seed))) for seed in range(20)
    }
    assert len(vectors) > 1
    assert all(vector[6:] == (0.5, 0.5) and sum(vector) == 0 for vector in vectors)


@pytest.mark.parametrize(
    ("values", "message"), [([1, 2, np.nan, np.nan], "2 examples have"), ([2] * 5, "2 in all 5")]
)
def test_an_attribute_that_does_not_vary_has_no_vector(values, message):
    with pytest.raises(UserError, match=message):
        attribute_vector(np.ones((len(values), 3)), values, np.random.default_rng(0))


def test_attributes_are_changed_together():
    vectors = {"up": X, "right": Y, "other": X + Y}
    np.testing.assert_allclose(attribute_shift(vectors, {"up": 1.5, "right": -1.0}), [1.5, -1])


def test_an_unknown_attribute_is_named_with_the_known_ones():
    with pytest.raises(UserError, match="unknown attribute 'down'; known are right, up"):
        attribute_shift({"up": X, "right": Y}, {"down": 1.0})


def test_principal_axes_are_those_of_the_covariance():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((200, 5)) * [1, 5, 0.5, 3, 0.1] + 7
    places, shares = principal_axes(z)
    values = np.linalg.eigvalsh(np.cov(z.T))[::-1]
    np.testing.assert_allclose(places.var(axis=0, ddof=1), values[:2], rtol=1e-9)
    np.testing.assert_allclose(shares, values[:2] / values.sum(), rtol=1e-9)
    np.testing.assert_allclose(places.mean(axis=0), 0, atol=1e-9)
    assert np.corrcoef(places[:, 0], z[:, 1])[0, 1] > 0.99


@pytest.mark.parametrize("count", [0, 1, 3])
def test_points_that_do_not_differ_have_no_axes(count):
    with pytest.raises(UserError, match="have no axes"):
        principal_axes(np.ones((count, 4)))
