"""Works on the arrays of many pieces at once, which takes one call instead of one for each piece.

The arrays lie one after the other, as segments of a long one. Segments are given by their sizes:
`sizes = [2, 0, 3]` are rows 0 and 1, no row, and rows 2 to 4.
"""

from collections.abc import Sequence

import numpy as np


def join(arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Joins arrays, of which there is at least one; returns the joined array and their sizes.

    >>> join([np.array([5, 6]), np.array([7])])
    (array([5, 6, 7]), array([2, 1]))
    """
    sizes = np.array([len(array) for array in arrays])
    if len(arrays) == 1:
        return arrays[0], sizes
    return np.concatenate([_opaque(array) for array in arrays]).view(arrays[0].dtype), sizes


def split(joined: np.ndarray, sizes: np.ndarray) -> list[np.ndarray]:
    """Splits a joined array into views of its segments, as the inverse of `join`.

    >>> split(np.array([5, 6, 7]), np.array([2, 0, 1]))
    [array([5, 6]), array([], dtype=int64), array([7])]
    """
    ends = np.cumsum(sizes).tolist()
    return [joined[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


def take(rows: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Copies the rows `[N]` that are chosen by a mask or by numbers.

    >>> notes = np.array([(60, 0.0), (64, 0.5)], [("pitch", int), ("start_s", float)])
    >>> take(notes, notes["pitch"] > 60).tolist()
    [(64, 0.5)]
    """
    return _opaque(rows)[chosen].view(rows.dtype)


def _opaque(rows: np.ndarray) -> np.ndarray:
    """Views rows as bytes, which NumPy copies much faster than field by field."""
    return rows.view(np.dtype((np.void, rows.dtype.itemsize))) if rows.dtype.names else rows


def totals(values: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Returns the sum of each segment; for booleans, the number of true ones.

    >>> totals(np.array([5, 6, 7]), np.array([2, 0, 1]))
    array([11,  0,  7])
    """
    sums = np.concatenate([[0], np.cumsum(values)])
    ends = np.cumsum(sizes)
    return sums[ends] - sums[ends - sizes]


def maxima(values: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Returns the largest value of each segment; 0 if none is larger.

    >>> maxima(np.array([5, 6, -7]), np.array([2, 0, 1]))
    array([6, 0, 0])
    """
    return _reduced(np.maximum, values, sizes)


def minima(values: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Returns the smallest value of each segment; 0 if none is smaller.

    >>> minima(np.array([5, 6, -7]), np.array([2, 0, 1]))
    array([ 0,  0, -7])
    """
    return _reduced(np.minimum, values, sizes)


def _reduced(function: np.ufunc, values: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    results = np.zeros(len(sizes), values.dtype)
    if len(values):
        some, starts = sizes > 0, np.cumsum(sizes) - sizes
        results[some] = function(function.reduceat(values, starts[some]), 0)
    return results


def ranges(firsts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Counts from the first number of each segment on, one segment after the other.

    >>> ranges(np.array([10, 50]), np.array([3, 2]))
    array([10, 11, 12, 50, 51])
    """
    starts = np.cumsum(sizes) - sizes
    return np.arange(int(sizes.sum())) + np.repeat(firsts - starts, sizes)
