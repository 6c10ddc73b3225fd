"""Finds paths, grids, neighbours and directions in a latent space, on plain arrays.

`TrainedModel` applies these functions to music: see `TrainedModel.interpolate` and its neighbours.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from music_vae.common import checks
from music_vae.common.errors import UserError

_PARALLEL = 1e-6
"""Below this angle (radians) from parallel or opposite, the sphere's formula loses all digits."""

_PIECES_OF_AN_ARC = 64
"""Straight pieces that stand for an arc when its length is measured: for half a circle the result
is 0.01 % too short."""

_NO_LENGTH = 1e-6
"""An arc that is a smaller share of a path is from a point to itself."""

GRID_CORNERS = 4
QUARTILES = 4


class Prior(NamedTuple):
    """A distribution of latent vectors that samples come from instead of the model's own prior.

    >>> loud = Prior(size=2, points=lambda normal: 10 * normal)
    >>> loud.points(np.array([[0.5, -1.0]]))
    array([[  5., -10.]])

    Attributes:
      size: Number of standard normal numbers that make one latent vector.
      points: Function from standard normal numbers `[N, size]` to latent vectors `[N, Z]`.
    """

    size: int
    points: Callable[[np.ndarray], np.ndarray]


def slerp(start: np.ndarray, end: np.ndarray, fraction: float) -> np.ndarray:
    """Interpolates on the sphere from `start` (fraction 0) to `end` (1), both `[Z]`.

    The formula is that of Shoemake 1985, where w is the angle between the two vectors and t the
    fraction:

        sin((1 - t) w) / sin(w) * start + sin(t w) / sin(w) * end

    Samples of a prior of many dimensions have nearly equal norms; the arc keeps them, where a
    straight line would pass near zero. Parallel vectors, and a vector of zeros, give the straight
    line. Between opposite vectors there are many arcs of equal length; a fixed one is taken, along
    which the norm changes evenly.

    >>> slerp([2.0, 0.0], [0.0, 2.0], 1 / 3).round(3)  # 30 degrees up from the first axis
    array([1.732, 1. ])
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
    """Returns evenly spaced points `[num_steps, Z]` on the arc from `start` to `end`, with both.

    >>> interpolate([1.0, 0.0], [0.0, 1.0], 3).round(3)
    array([[1. , 0. ],
           [0.707, 0.707],
           [0. , 1. ]])
    """
    return np.stack([slerp(start, end, t) for t in np.linspace(0.0, 1.0, num_steps)])


def path(points: np.ndarray, num_steps: int) -> np.ndarray:
    """Returns points `[num_steps, Z]` on a path through `points` `[N, Z]`, these among them.

    The path consists of the arcs of `slerp` from each point to the next. Each arc gets steps in
    proportion to its length, as nearly as whole numbers are; within an arc the fraction of `slerp`
    grows evenly. For two points the result is that of `interpolate`. With fewer steps than points
    the steps are equally long, and only the ends are sure to be in the result.

    >>> corners = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]
    >>> path(corners, 5).round(3)  # half a circle, by 45 degrees
    array([[ 1. , 0. ],
           [ 0.707, 0.707],
           [ 0. , 1. ],
           [-0.707, 0.707],
           [-1. , 0. ]])

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
    lengths[lengths < _NO_LENGTH * lengths.sum()] = 0.0
    if num_steps > np.count_nonzero(lengths):
        legs = [
            slerp(*arc, fraction)
            for arc, count in zip(arcs, _step_counts(lengths, num_steps - 1), strict=True)
            for fraction in np.linspace(0.0, 1.0, count + 1)[:-1]
        ]
        return np.stack([*legs, points[-1]])
    ends = np.concatenate([[0.0], np.cumsum(lengths)]) / lengths.sum()
    steps = []
    for place in np.linspace(0.0, 1.0, num_steps):
        arc = min(int(np.searchsorted(ends, place, side="right")) - 1, len(arcs) - 1)
        size = ends[arc + 1] - ends[arc]
        steps.append(slerp(*arcs[arc], (place - ends[arc]) / size if size else 0.0))
    return np.stack([*steps[:-1], points[-1]])


def _step_counts(lengths: np.ndarray, total: int) -> list[int]:
    """Returns a number of steps for each arc, of which there are so many in all.

    Each arc that has a length gets one at least; the longest step is made shorter until all are
    given away.
    """
    counts = np.where(lengths > 0, np.maximum(1, lengths / lengths.sum() * total // 1), 0)
    while counts.sum() > total:
        spare = np.where(counts > 1, lengths / np.maximum(counts - 1, 1), np.inf)
        counts[spare.argmin()] -= 1
    while counts.sum() < total:
        counts[(lengths / np.maximum(counts, 1)).argmax()] += 1
    return counts.astype(int).tolist()


def grid(corners: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Returns points `[rows, columns, Z]` between four corners `[4, Z]`, bilinear on the sphere.

    The corners are the two ends of the first row, then those of the last row. A row is an arc of
    `slerp` between the points that lie at its height on the arcs at the left and at the right.

    >>> corners = [[2.0, 0.0], [0.0, 2.0], [4.0, 0.0], [0.0, 4.0]]
    >>> inner, outer = grid(corners, 2, 3).round(2)  # a quarter of a circle, and a larger one
    >>> inner.tolist()
    [[2.0, 0.0], [1.41, 1.41], [0.0, 2.0]]
    >>> outer.tolist()
    [[4.0, 0.0], [2.83, 2.83], [0.0, 4.0]]

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


def draw(
    count: int, z_size: int, rng: np.random.Generator, prior: Prior | None = None
) -> np.ndarray:
    """Draws latent vectors `[count, z_size]` from a prior; None: from N(0, 1).

    >>> far = Prior(size=1, points=lambda normal: normal + [100, 200])
    >>> draw(1, 2, np.random.default_rng(0), far).round()
    array([[101., 201.]])
    """
    normal = rng.standard_normal((count, z_size if prior is None else prior.size), np.float32)
    return normal if prior is None else prior.points(normal)


def similar(
    z: np.ndarray, similarity: float, rng: np.random.Generator, prior: Prior | None = None
) -> np.ndarray:
    """Returns neighbours of latent vectors: each is moved towards a random point of the prior.

    >>> z = np.array([[3.0, 4.0]])
    >>> for similarity in (1.0, 0.9, 0.0):
    ...     print(similarity, similar(z, similarity, np.random.default_rng(0)).round(2))
    1.0 [[3. 4.]]
    0.9 [[3.06 4.03]]
    0.0 [[ 0.13 -0.13]]

    Args:
      z: The latent vectors, `[N, Z]`; each is moved towards a random point of its own.
      similarity: Fraction of the arc from the random point to that of `z`: 1 gives `z` itself, 0
        gives random points.
      rng: Random generator that draws the points.
      prior: Prior that they are drawn from; None: N(0, 1).

    Raises:
      UserError: For a similarity that is not from 0 to 1.
    """
    checks.check_number("similarity", similarity, checks.SHARE)
    z = np.asarray(z, np.float64)
    size = z.shape if prior is None else (len(z), prior.size)
    others = rng.standard_normal(size)  # in float64, as ever, so that a seed gives the same music
    others = others if prior is None else prior.points(others)
    return np.stack(
        [slerp(other, own, similarity) for other, own in zip(others, z, strict=True)]
    ).reshape(z.shape)


def principal_axes(z: np.ndarray, count: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Projects points `[N, Z]` onto the axes along which they vary most.

    The sign of an axis is such that its largest weight is positive.

    >>> points = [[0.0, 0.0, 7.0], [2.0, 2.0, 7.0], [4.0, 4.0, 7.0]]
    >>> places, shares = principal_axes(points, count=1)
    >>> places.round(3)  # these points lie on one line
    array([[-2.828],
           [ 0. ],
           [ 2.828]])
    >>> shares.round(3)
    array([1.])

    Returns:
      The points' places on the axes, `[N, count]`; and each axis's share of their variance.

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
    """Returns the direction `[Z]` in which an attribute grows (Roberts et al. 2018, section 5.3).

        mean of z over the quarter of the examples with the highest values
        - mean of z over the quarter with the lowest

    >>> z = np.array([[0.0, 5.0], [1.0, 5.0], [2.0, 5.0], [3.0, 5.0]])
    >>> attribute_vector(z, [10, 20, 30, 40], np.random.default_rng(0))
    array([3., 0.])

    Args:
      z: Latent vectors of examples, `[N, Z]`.
      values: Attribute of each example, `[N]`; examples for which it is NaN are left out.
      rng: Random generator that chooses among equal values at the limit of a quarter.

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
    """Returns the vector `[Z]` to add to z to change attributes: a weighted sum of their vectors.

    >>> vectors = {"note_density": np.array([1.0, 0.0]), "syncopation": np.array([0.0, 1.0])}
    >>> attribute_shift(vectors, {"note_density": 1.5, "syncopation": -2})
    array([ 1.5, -2. ])

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
    """Measures an arc of `slerp`, which is not a circle's if the norms of its ends differ."""
    points = interpolate(start, end, _PIECES_OF_AN_ARC + 1)
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())


def _perpendicular(direction: np.ndarray) -> np.ndarray:
    """Returns a unit vector at right angles to the unit vector `direction`, always the same."""
    axis = np.zeros_like(direction)
    axis[np.argmin(np.abs(direction))] = 1.0
    side = axis - np.dot(axis, direction) * direction
    return side / np.linalg.norm(side)
