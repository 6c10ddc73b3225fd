"""Checks of the fields of a frozen value, for its `__post_init__`; messages name the field."""

from collections.abc import Sequence

from music_vae.common.errors import UserError


def check_at_least(value: object, least: float, *names: str) -> None:
    """Raises `UserError` if one of these fields is a number below the least that it may be.

    Fields that are None pass.

    >>> from fractions import Fraction
    >>> check_at_least(Fraction(3, 4), 4, "numerator", "denominator")
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `numerator=3` must be at least 4
    """
    for name in names:
        number = getattr(value, name)
        if number is not None and number < least:
            raise UserError(f"`{name}={number}` must be at least {least:g}")


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
