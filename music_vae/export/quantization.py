"""Stores weights in fewer bits than the 32 of float32, for smaller exports.

As float16, or as whole numbers q that stand for q * scale + min.
"""

import numpy as np

from music_vae.common.errors import UserError

TYPES = ("uint8", "uint16", "float16")
"""The types in which arrays can be stored instead of float32."""


def quantized(array: np.ndarray, dtype: str) -> tuple[np.ndarray, float, float]:
    """Returns float32 numbers as whole numbers q `[...]`, with the scale and min to restore them.

    The range is that of the numbers, moved by less than half a step so that a 0 in it stays 0.

    >>> q, scale, least = quantized(np.array([-1, 0, 1.5], np.float32), "uint8")
    >>> q.tolist(), (q * scale + least).round(2).tolist()
    ([0, 102, 255], [-1.0, 0.0, 1.5])
    """
    most = np.iinfo(dtype).max
    least, greatest = float(array.min(initial=np.inf)), float(array.max(initial=-np.inf))
    if not least < greatest:
        return np.zeros(array.shape, dtype), 1.0, least if array.size else 0.0
    scale = (greatest - least) / most
    if least <= 0 <= greatest:
        least = -round(-least / scale) * scale
    steps = np.rint((array.astype(np.float64) - least) / scale)
    return steps.clip(0, most).astype(dtype), scale, least


def check_float16(name: str, array: np.ndarray) -> None:
    """Raises `UserError` if the numbers of an array are too large for float16.

    >>> check_float16("bias", np.array([1e5]))
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `quantize=float16`: bias is too large for it; uint16 has ...
    """
    if np.abs(array).max(initial=0) > np.finfo(np.float16).max:
        raise UserError(f"`quantize=float16`: {name} is too large for it; uint16 has no limit")
