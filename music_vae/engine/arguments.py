"""Checks the arguments of a model's methods, which anybody may call, before anything is computed.

NumPy would take most of what is wrong some steps further, and then say something about shapes.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from music_vae.common.checks import value_text
from music_vae.common.errors import UserError
from music_vae.configs import Config


def check_config(config: object) -> None:
    """Raises `UserError` unless the config of a model is one; its name alone is none.

    >>> check_config("cat-mel_2bar_mini")
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `config` must be a Config, as `get_config` returns it, not
    'cat-mel_2bar_mini'
    """
    if not isinstance(config, Config):
        raise UserError(
            f"`config` must be a Config, as `get_config` returns it, not {value_text(config)}"
        )


def check_path(name: str, path: object) -> None:
    """Raises `UserError` unless an argument can be the path of a file.

    >>> check_path("checkpoint_dir_or_path", None)
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `checkpoint_dir_or_path` must be a path, not None
    """
    if not isinstance(path, str | Path):
        raise UserError(f"`{name}` must be a path, not {value_text(path)}")


def array_of(name: str, value: object, shape: tuple[str | int, ...]) -> np.ndarray:
    """Returns an argument as a float32 array, if it can be one of this shape.

    >>> array_of("z", [[0.5, 1.0]], ("N", 2))
    array([[0.5, 1. ]], dtype=float32)
    >>> array_of("z", [0.5, float("nan")], ("N", 2))
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `z` has shape [2]; expected [N, 2]

    Args:
      name: Name of the argument.
      value: Its value.
      shape: Length of each axis; a text stands for any length.

    Raises:
      UserError: If it cannot, or holds numbers that are not finite.
    """
    with np.errstate(over="ignore"):  # which is found here
        array = _shaped(name, value, shape).astype(np.float32, copy=False)
    return _finite(name, array)


def _shaped(name: str, value: object, shape: tuple[str | int, ...]) -> np.ndarray:
    """Returns an argument as an array of the numbers that it holds; see `array_of`."""
    try:
        array = np.asarray(value)
    except ValueError:  # of rows of several lengths
        array = np.empty(0, object)
    if array.dtype.kind not in "biuf":
        raise UserError(
            f"`{name}` must be an array of numbers {_listed(shape)}, not {value_text(value)}"
        )
    fits = array.ndim == len(shape) and all(
        isinstance(wanted, str) or wanted == length
        for wanted, length in zip(shape, array.shape, strict=True)
    )
    if not fits:
        raise UserError(f"`{name}` has shape {list(array.shape)}; expected {_listed(shape)}")
    return array


def _finite(name: str, array: np.ndarray) -> np.ndarray:
    """Returns an array; raises `UserError` if it holds numbers that are not finite."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise UserError(f"`{name}` holds numbers that are not finite")
    return array


def arrays_of(name: str, value: object, depth: int) -> list[np.ndarray]:
    """Returns an argument as a list of arrays `[T, depth]` of numbers, if it can be one.

    They are not copied, as there may be many.

    >>> [array.shape for array in arrays_of("input_tensors", [np.eye(3), np.eye(3)[:2]], 3)]
    [(3, 3), (2, 3)]
    >>> arrays_of("input_tensors", None, 3)
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `input_tensors` must be a list of arrays [T, 3], not None

    Raises:
      UserError: If it cannot.
    """
    if not isinstance(value, Iterable) or isinstance(value, str | bytes):
        raise UserError(f"`{name}` must be a list of arrays [T, {depth}], not {value_text(value)}")
    named = ((f"{name}[{number}]", array) for number, array in enumerate(value))
    return [_finite(own, _shaped(own, array, ("T", depth))) for own, array in named]


def lengths_of(value: object, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Returns an argument as the numbers of valid steps of arrays, if it can be that.

    >>> [int(length) for length in lengths_of([3, 2], [np.eye(3), np.eye(3)])]
    [3, 2]
    >>> lengths_of([3, 4], [np.eye(3), np.eye(3)])
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `lengths`: 4 does not lie within the 3 steps

    Raises:
      UserError: If it cannot.
    """
    if not isinstance(value, Iterable) or isinstance(value, str | bytes):
        raise UserError(f"`lengths` must be a list of whole numbers, not {value_text(value)}")
    given: list[Any] = list(value)
    if len(given) != len(arrays):
        raise UserError(f"{len(arrays)} arrays need as many `lengths`, not {len(given)}")
    lengths = []
    for length, array in zip(given, arrays, strict=True):
        whole = np.asarray(length)
        if whole.dtype.kind not in "iu":
            raise UserError(f"`lengths` must be whole numbers, not {value_text(length)}")
        if whole.size and not 0 <= whole.min() <= whole.max() <= len(array):
            raise UserError(f"`lengths`: {length} does not lie within the {len(array)} steps")
        lengths.append(whole)
    return lengths


def _listed(shape: tuple[str | int, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]"
