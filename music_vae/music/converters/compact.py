"""Turns compact arrays of classes and bit masks into dense arrays, and back."""

from functools import cache

import numpy as np

PAD = -1
"""Compact value of a step of padding; its dense row is all zeros.

Compact floats, which may be -1 themselves, have NaN instead: see `pad_value`.
"""


@cache
def length_of(num_steps: int) -> np.ndarray:
    """Returns the `length` of an example: a read-only scalar, shared by all examples as long.

    >>> length_of(32)
    array(32, dtype=int32)
    """
    length = np.array(num_steps, np.int32)
    length.flags.writeable = False
    return length


def pad_value(dtype: np.dtype) -> float:
    """Returns the value of padding in compact arrays of `dtype`: NaN or `PAD`.

    >>> pad_value(np.dtype(np.int16)), pad_value(np.dtype(np.float32))
    (-1, nan)
    """
    return np.nan if np.issubdtype(dtype, np.floating) else PAD


def one_hot(indices: np.ndarray, depth: int) -> np.ndarray:
    """Turns class indices `[...]` into a boolean `[..., depth]`; `PAD` becomes zeros.

    >>> one_hot(np.array([2, 0, PAD]), 3).astype(int)
    array([[0, 0, 1],
           [1, 0, 0],
           [0, 0, 0]])
    """
    indices = np.asarray(indices)
    classes = np.arange(depth)
    if depth - 1 <= np.iinfo(indices.dtype).max:
        classes = classes.astype(indices.dtype)  # narrow numbers are compared faster
    return indices[..., None] == classes


def bits(masks: np.ndarray, depth: int) -> np.ndarray:
    """Turns bit masks `[...]` into a boolean `[..., depth]`, lowest bit first; `PAD` into zeros.

    >>> bits(np.array([0b001, 0b110, PAD]), 3).astype(int)
    array([[1, 0, 0],
           [0, 1, 1],
           [0, 0, 0]])
    """
    masks = np.asarray(masks, np.int64)[..., None]
    return ((masks >> np.arange(depth)) & 1).astype(bool) & (masks >= 0)


def bit_masks(rows: np.ndarray) -> np.ndarray:
    """Turns rows of booleans, or 0 and 1, into int64 masks `[...]`, as the inverse of `bits`.

    >>> bit_masks(np.array([[1, 0, 0], [0, 1, 1]]))
    array([1, 6])
    """
    rows = np.asarray(rows) > 0.5
    return rows @ (np.int64(1) << np.arange(rows.shape[-1]))
