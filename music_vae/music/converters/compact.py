"""Compact arrays of classes and bit masks, and the dense arrays that they stand for."""

from functools import cache

import numpy as np

PAD = -1
"""The compact value of a step that is not there; its dense row is all zeros.

Compact floats, which may be -1 themselves, have NaN instead: see `pad_value`.
"""


@cache
def length_of(num_steps: int) -> np.ndarray:
    """The `length` of an example of so many steps; read-only, and one for all such examples."""
    length = np.array(num_steps, np.int32)
    length.flags.writeable = False
    return length


def pad_value(dtype: np.dtype) -> float:
    """What stands in compact arrays of `dtype` for a step that is not there: NaN or `PAD`."""
    return np.nan if np.issubdtype(dtype, np.floating) else PAD


def one_hot(indices: np.ndarray, depth: int) -> np.ndarray:
    """Class indices `[...]` to a boolean `[..., depth]`; `PAD` (any negative) becomes zeros."""
    indices = np.asarray(indices)
    classes = np.arange(depth)
    if depth - 1 <= np.iinfo(indices.dtype).max:
        classes = classes.astype(indices.dtype)  # narrow numbers are compared faster
    return indices[..., None] == classes


def bits(masks: np.ndarray, depth: int) -> np.ndarray:
    """Bit masks `[...]` (int64, lowest bit first) to a boolean `[..., depth]`; `PAD` to zeros."""
    masks = np.asarray(masks, np.int64)[..., None]
    return ((masks >> np.arange(depth)) & 1).astype(bool) & (masks >= 0)


def bit_masks(rows: np.ndarray) -> np.ndarray:
    """The inverse of `bits`: booleans or 0 and 1 `[..., depth]` to int64 masks `[...]`."""
    rows = np.asarray(rows) > 0.5
    return rows @ (np.int64(1) << np.arange(rows.shape[-1]))
