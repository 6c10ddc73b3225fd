"""Looks up what another program knows about a representation of music.

An export has a table with an entry for every class of converter whose music that program can play.
"""

from collections.abc import Mapping
from typing import TypeVar

from music_vae.common.errors import UserError
from music_vae.music.converters.base import Converter

_Entry = TypeVar("_Entry")


def find(table: Mapping[type[Converter], _Entry], converter: Converter, program: str) -> _Entry:
    """Returns the entry of a converter's class, or else of its nearest base class in the table.

    >>> from music_vae.music.converters.melody import OneHotMelodyConverter
    >>> class MyMelodies(OneHotMelodyConverter):
    ...     pass
    >>> find({OneHotMelodyConverter: "melodies"}, MyMelodies(), "My program")
    'melodies'

    Raises:
      UserError: If there is no entry; the message names `program` and the classes that can be
        exported.
    """
    for kind in type(converter).__mro__:
        if kind in table:
            return table[kind]
    known = ", ".join(kind.__name__ for kind in table)
    raise UserError(
        f"{program} cannot carry music of the kind {type(converter).__name__}; "
        f"what can be exported is {known}"
    )
