"""Ways through the latent space, on plain arrays: paths, grids, neighbours and directions."""

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from music_vae.common.errors import UserError

_PARALLEL = 1e-6
"""Below this angle (radians) from parallel or opposite, the sphere's formula loses all digits."""

_PIECES_OF_AN_ARC = 64
"""Chords that stand for an arc when its length is measured: 0.01 % too short for half a circle."""

GRID_CORNERS = 4
QUARTILES = 4


class Prior(NamedTuple):
    """Where samples come from instead of the prior itself.

    Attributes:
      size: How many normal numbers make a point.
      points: Makes z `[N, Z]` of normal numbers `[N, size]`.
    """

    size: int
    points: Callable[[np.ndarray], np.ndarray]


def slerp(start: np.ndarray, end: np.ndarray, fraction: float) -> np.ndarray:
    """Spherical interpolation from `start` (fraction 0) to `end` (1), both `[Z]` (Shoemake 1985).

        sin((1 - t) w) / sin(w) * start + sin(t w) / sin(w) * end,   w the angle between them

    Parallel vectors, and a vector of zeros, give the straight line. Between opposite vectors there
    are many arcs of equal length; a fixed one is taken, along which the norm changes evenly.
    """
    start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
    norms = np.linalg.norm(start), np.linalg.norm(end)
    if min(norms) == 0:
        return (1 - fraction) * start + fraction * end
    directions = start / norms[0], end / norms[1]
    angle = np.arccos(np.clip(np.dot(*directions), -1.0, 1.0))
    if angle < _PARALLEL:
        return (1 - fraction) * start + fraction * end
    if np.pi - angle < _PARALLEL:
        if start.size < 2 or fraction in (0, 1):  # a line has no way around zero
            return (1 - fraction) * start + fraction * end
        side = _perpendicular(directions[0])
        turn = np.pi * fraction
        direction = np.cos(turn) * directions[0] + np.sin(turn) * side
        return ((1 - fraction) * norms[0] + fraction * norms[1]) * direction
    weights = np.sin((1 - fraction) * angle), np.sin(fraction * angle)
    return (weights[0] * start + weights[1] * end) / np.sin(angle)


def interpolate(start: np.ndarray, end: np.ndarray, num_steps: int) -> np.ndarray:
    """`num_steps` points `[num_steps, Z]` from `start` to `end`, both included, evenly spaced."""
    return np.stack([slerp(start, end, t) for t in np.linspace(0.0, 1.0, num_steps)])


def path(points: np.ndarray, num_steps: int) -> np.ndarray:
    """`num_steps` points `[num_steps, Z]` on the way through `points` `[N, Z]`, ends included.

    The way is the arcs of `slerp` from each point to the next. The steps are of equal length along
    all of it, where the length of an arc is measured and within one arc `slerp`'s fraction is even;
    of two points it is what `interpolate` gives. A point between the ends is met only if a step
    falls on it.

    Raises:
      UserError: For fewer than two points or two steps.
    """
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or len(points) < 2:
        raise UserError(f"a path needs at least 2 points [N, Z], not {list(points.shape)}")
    if num_steps < 2:
        raise UserError(f"a path needs at least 2 steps, its ends, not {num_steps}")
    arcs = list(itertools.pairwise(points))
    lengths = np.array([_arc_length(*arc) for arc in arcs])
    if not lengths.any():
        return np.repeat(points[:1], num_steps, axis=0)
    ends = np.concatenate([[0.0], np.cumsum(lengths)]) / lengths.sum()
    found = []
    for place in np.linspace(0.0, 1.0, num_steps):
        arc = min(int(np.searchsorted(ends, place, side="right")) - 1, len(arcs) - 1)
        size = ends[arc + 1] - ends[arc]
        found.append(slerp(*arcs[arc], (place - ends[arc]) / size if size else 0.0))
    return np.stack([*found[:-1], points[-1]])


def grid(corners: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Points `[rows, columns, Z]` between four corners `[4, Z]`: bilinear on the sphere.

    The corners are the ends of the first row, then those of the last. A row is an arc of `slerp`
    between the points that lie at its height on the arcs at the left and at the right.

    Raises:
      UserError: For another number of corners, or fewer than two rows or columns.
    """
    corners = np.asarray(corners, np.float64)
    if corners.ndim != 2 or len(corners) != GRID_CORNERS:
        raise UserError(f"a grid needs {GRID_CORNERS} corners [4, Z], not {list(corners.shape)}")
    if rows < 2 or columns < 2:
        raise UserError(f"a grid needs at least 2 rows and 2 columns, not {rows} and {columns}")
    left = interpolate(corners[0], corners[2], rows)
    right = interpolate(corners[1], corners[3], rows)
    return np.stack([interpolate(*ends, columns) for ends in zip(left, right, strict=True)])


def similar(z: np.ndarray, similarity: float, rng: np.random.Generator) -> np.ndarray:
    """Neighbours of points: each of `z` `[N, Z]` moved towards a point of its own from the prior.

    Args:
      z: The points.
      similarity: How far along the arc from the random point to the one of `z`: 1 gives `z` itself,
        0 gives random points.
      rng: Draws the random points.

    Raises:
      UserError: For a similarity that is not from 0 to 1.
    """
    if not 0 <= similarity <= 1:
        raise UserError(f"similarity={similarity} must be from 0 to 1")
    z = np.asarray(z, np.float64)
    others = rng.standard_normal(z.shape)
    return np.stack(
        [slerp(other, own, similarity) for other, own in zip(others, z, strict=True)]
    ).reshape(z.shape)


def principal_axes(z: np.ndarray, count: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Points `[N, Z]` on the axes along which they vary most.

    The sign of an axis is such that its largest weight is positive.

    Returns:
      Their places on the axes, `[N, count]`; and each axis's share of the points' variance.

    Raises:
      UserError: If there are fewer than two points, or they are all the same.
    """
    z = np.asarray(z, np.float64)
    if not np.any(z[:1] != z):
        raise UserError(f"{len(z)} points that do not differ have no axes")
    centred = z - z.mean(axis=0)
    _, spreads, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:count]
    largest = np.argmax(np.abs(axes), axis=1)
    axes = axes * np.sign(axes[np.arange(len(axes)), largest])[:, None]
    return centred @ axes.T, (spreads**2 / np.sum(spreads**2))[:count]


def attribute_vector(z: np.ndarray, values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The direction `[Z]` in which an attribute grows (Roberts et al. 2018, section 5.3).

        mean of z over the quarter of the examples with the highest values
        - mean of z over the quarter with the lowest

    Args:
      z: Latent vectors of examples, `[N, Z]`.
      values: The attribute of each, `[N]`; examples where it is NaN are left out.
      rng: Which of several equal values belong to a quarter is left to chance.

    Raises:
      UserError: If fewer than 4 values are numbers, or all of them are equal.
    """
    values = np.asarray(values, np.float64)
    known = np.flatnonzero(~np.isnan(values))
    if len(known) < QUARTILES:
        raise UserError(f"{len(known)} examples have the attribute; {QUARTILES} are the fewest")
    if np.ptp(values[known]) == 0:
        raise UserError(f"the attribute is {values[known[0]]:g} in all {len(known)} examples")
    order = known[np.lexsort((rng.random(len(known)), values[known]))]
    size = len(order) // QUARTILES
    z = np.asarray(z, np.float64)
    return z[order[-size:]].mean(axis=0) - z[order[:size]].mean(axis=0)


def attribute_shift(vectors: Mapping[str, np.ndarray], amounts: Mapping[str, float]) -> np.ndarray:
    """What to add to z to change attributes: the sum of amounts times their vectors, `[Z]`.

    Raises:
      UserError: For an attribute that has no vector, or no amounts.
    """
    if not amounts:
        raise UserError(f"no attribute to change; known are {_listed(vectors)}")
    for name in amounts:
        if name not in vectors:
            raise UserError(f"unknown attribute {name!r}; known are {_listed(vectors)}")
    return np.sum([amount * vectors[name] for name, amount in amounts.items()], axis=0)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _arc_length(start: np.ndarray, end: np.ndarray) -> float:
    """The length of the arc of `slerp`, which is no circle's where the norms differ."""
    points = interpolate(start, end, _PIECES_OF_AN_ARC + 1)
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())


def _perpendicular(direction: np.ndarray) -> np.ndarray:
    """A unit vector at right angles to the unit vector `direction`, always the same one."""
    axis = np.zeros_like(direction)
    axis[np.argmin(np.abs(direction))] = 1.0
    side = axis - np.dot(axis, direction) * direction
    return side / np.linalg.norm(side)
