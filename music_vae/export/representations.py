"""Tables of what another program knows of a representation of music, by class of converter."""

from collections.abc import Mapping
from typing import TypeVar

from music_vae.common.errors import UserError
from music_vae.music.converters.base import Converter

_Entry = TypeVar("_Entry")


def find(table: Mapping[type[Converter], _Entry], converter: Converter, program: str) -> _Entry:
    """The entry of a converter's class, or of the nearest class that it is derived from.

    Raises:
      UserError: If there is none; it names `program` and the classes that can be exported.
    """
    for kind in type(converter).__mro__:
        if kind in table:
            return table[kind]
    known = ", ".join(kind.__name__ for kind in table)
    raise UserError(
        f"{program} cannot carry music of the kind {type(converter).__name__}; "
        f"what can be exported is {known}"
    )
