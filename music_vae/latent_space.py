"""Paths through the latent space, on plain arrays."""

import numpy as np

_PARALLEL = 1e-6
"""Below this angle (radians) from parallel or opposite, the sphere's formula loses all digits."""


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


def _perpendicular(direction: np.ndarray) -> np.ndarray:
    """A unit vector at right angles to the unit vector `direction`, always the same one."""
    axis = np.zeros_like(direction)
    axis[np.argmin(np.abs(direction))] = 1.0
    side = axis - np.dot(axis, direction) * direction
    return side / np.linalg.norm(side)
