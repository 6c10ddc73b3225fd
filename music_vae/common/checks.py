"""Checks of the fields of a frozen value, for its `__post_init__`; messages name the field.

The ranges of the numbers that commands and requests take stand here, too, so that a flag and the
field that it fills have the same one.
"""

import math
import numbers
import typing
from collections.abc import Sequence
from typing import Any, NamedTuple

from music_vae.common.errors import UserError
from music_vae.common.seeds import MAX_SEED

_MAX_SHOWN = 40  # characters of a value in a message


class Range(NamedTuple):
    """The numbers from a least one to a greatest one, both included.

    >>> print(Range(1, 1000))
    a whole number from 1 to 1000
    >>> 2.5 in Range(1, 1000), 2.5 in Range(1, 1000, whole=False)
    (False, True)
    >>> float("nan") in Range(0, 1, whole=False)
    False

    Attributes:
      least: The least of them.
      most: The greatest of them, which is finite.
      whole: True if only whole numbers belong to them.
    """

    least: float
    most: float
    whole: bool = True

    def __contains__(self, number: object) -> bool:
        """Returns True for a number of this kind that lies in the range."""
        return self.is_of_kind(number) and self.least <= number <= self.most  # type: ignore[operator]

    def is_of_kind(self, number: object) -> bool:
        """Returns True for a number of this kind, whether or not it lies in the range.

        >>> Range(0, 1).is_of_kind(3), Range(0, 1).is_of_kind(True), Range(0, 1).is_of_kind("1")
        (True, False, False)
        """
        kind = numbers.Integral if self.whole else numbers.Real
        return isinstance(number, kind) and not isinstance(number, bool)

    def expected_of(self, number: object) -> str:
        """Returns what is expected instead of something that is not in the range, as a phrase.

        >>> Range(1, 16).expected_of(0), Range(1, 16).expected_of("two")
        ('at least 1', 'a whole number from 1 to 16')
        """
        if not self.is_of_kind(number) or math.isnan(number):  # type: ignore[arg-type]
            return str(self)
        if number < self.least:  # type: ignore[operator]
            return f"at least {_text(self.least)}"
        return f"at most {_text(self.most)}"

    def __str__(self) -> str:
        """Returns the range in words."""
        kind = "whole number" if self.whole else "number"
        return f"a {kind} from {_text(self.least)} to {_text(self.most)}"


COUNT = Range(1, 10**6)
"""Numbers of pieces and samples that are made, which a command holds in memory all at once."""

COUNT_OR_NONE = Range(0, COUNT.most)

WINDOWS = Range(1, 10**9)
"""Numbers of windows of a corpus that are used at most."""

STEPS = Range(1, 10**9)
"""Numbers of steps of training, and of what happens once in some steps; years on any machine."""

STEPS_OR_NONE = Range(0, STEPS.most)

BATCH_SIZE = Range(1, 2**16)
"""Numbers of examples that are computed at once: the same as for the batches of training."""

LENGTH = Range(1, 2**16)
"""Numbers of steps of a sequence: the same as for `max_seq_len`."""

UNITS = Range(1, 2**14)
"""Widths of a layer of a small network: 32 times the latent vectors of the published models."""

PROCESSES = Range(1, 2**12)
"""Numbers of processes on one machine: more than machines have CPUs."""

COMPONENTS = Range(1, 2**14)
"""Components of a mixture, as many as a prior is fitted with."""

SHARDS = Range(1, 99_999)
"""Numbers of files of a collection, which are counted with five digits in their names."""

SEED = Range(0, MAX_SEED)

LIMIT = Range(0, 10**9)
"""Limits of filters, in notes and the like."""

DURATION = Range(0, 10**9, whole=False)
"""Durations in seconds."""

SHARE = Range(0, 1, whole=False)

AMOUNT = Range(0, 3, whole=False)
"""Amounts of a model's playing: 0 for none of it, above 1 to exaggerate it."""

HELD_OUT = Range(0.001, 0.9, whole=False)
"""Shares of a corpus that are kept back."""

TEMPERATURE = Range(0, 1000, whole=False)
"""Temperatures: at 1000 every outcome is as likely as any other, up to some percent."""

WEIGHT = Range(0, 10**6, whole=False)
"""Weights of a term of a loss."""

LEARNING_RATE = Range(1e-8, 1, whole=False)

HOURS = Range(1e-6, 10**6, whole=False)

QPM = Range(3.58, 1000, whole=False)
"""Tempos in quarter notes a minute; MIDI holds no slower one."""


def check_numbers(value: object, allowed: Range, *names: str) -> None:
    """Raises `UserError` if one of these fields is not a number of a range.

    None passes where the annotation of the field allows it.

    >>> from types import SimpleNamespace
    >>> check_numbers(SimpleNamespace(pieces=3, bars=0), Range(1, 16), "pieces", "bars")
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `bars=0` must be at least 1
    >>> check_numbers(SimpleNamespace(bars="2"), Range(1, 16), "bars")
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `bars='2'` must be a whole number from 1 to 16

    Args:
      value: The value that has the fields.
      allowed: The range.
      names: Names of the fields.
    """
    for name in names:
        number = getattr(value, name)
        if number is not None or not _may_be_none(value, name):
            check_number(name, number, allowed)


def check_number(name: str, number: Any, allowed: Range) -> None:
    """Raises `UserError` if an argument is not a number of a range.

    >>> check_number("temperature", float("inf"), TEMPERATURE)
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `temperature=inf` must be at most 1000

    Args:
      name: Name of the argument.
      number: Its value.
      allowed: The range.
    """
    if number in allowed:
        return
    raise UserError(f"`{name}={value_text(number)}` must be {allowed.expected_of(number)}")


def value_text(value: object) -> str:
    """Returns a value for a message: texts in quotes, and long values cut.

    >>> value_text(3), value_text("3"), value_text([0] * 100)
    ('3', "'3'", '[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ...')
    """
    text = repr(value) if isinstance(value, str | bytes) else str(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def check_among(value: object, name: str, choices: Sequence[str]) -> None:
    """Raises `UserError` if a field is none of the words that it may be.

    >>> from types import SimpleNamespace
    >>> check_among(SimpleNamespace(engine="jax"), "engine", ("numpy", "tensorflow"))
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `engine=jax` must be one of numpy, tensorflow
    """
    word = getattr(value, name)
    if word not in choices:
        raise UserError(f"`{name}={word}` must be one of {', '.join(choices)}")


def _may_be_none(value: object, name: str) -> bool:
    """Returns True if the annotation of a field says that it may be None."""
    return type(None) in typing.get_args(getattr(type(value), "__annotations__", {}).get(name))


def _text(number: float) -> str:
    """Returns a limit as a person would write it."""
    return str(number) if isinstance(number, int) else f"{number:g}"
