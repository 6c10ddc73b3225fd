"""Arrays of many pieces side by side: what costs a call a piece costs one for all of them.

Segments are given by their sizes: `sizes = [2, 0, 3]` are rows 0 and 1, none, and rows 2 to 4.
"""

from collections.abc import Sequence

import numpy as np


def join(arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The arrays, at least one, one after the other, and how long each is."""
    sizes = np.array([len(array) for array in arrays])
    if len(arrays) == 1:
        return arrays[0], sizes
    return np.concatenate([_opaque(array) for array in arrays]).view(arrays[0].dtype), sizes


def split(joined: np.ndarray, sizes: np.ndarray) -> list[np.ndarray]:
    """The inverse of `join`: views."""
    ends = np.cumsum(sizes).tolist()
    return [joined[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


def take(rows: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """A copy of the rows `[N]` chosen by mask or number."""
    return _opaque(rows)[chosen].view(rows.dtype)


def _opaque(rows: np.ndarray) -> np.ndarray:
    """The rows as bytes, which NumPy copies much faster than field by field."""
    return rows.view(np.dtype((np.void, rows.dtype.itemsize))) if rows.dtype.names else rows


def totals(values: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The sum of each segment; of booleans, how many are true."""
    sums = np.concatenate([[0], np.cumsum(values)])
    ends = np.cumsum(sizes)
    return sums[ends] - sums[ends - sizes]


def maxima(values: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The largest value of each segment; 0 where none is larger."""
    return _reduced(np.maximum, values, sizes)


def minima(values: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The smallest value of each segment; 0 where none is smaller."""
    return _reduced(np.minimum, values, sizes)


def _reduced(function: np.ufunc, values: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    found = np.zeros(len(sizes), values.dtype)
    if len(values):
        some, starts = sizes > 0, np.cumsum(sizes) - sizes
        found[some] = function(function.reduceat(values, starts[some]), 0)
    return found


def ranges(firsts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The numbers `first, first + 1, ...` of each segment, one after the other."""
    starts = np.cumsum(sizes) - sizes
    return np.arange(int(sizes.sum())) + np.repeat(firsts - starts, sizes)
