"""Tells pieces of music from other arguments, which a caller may have meant for them."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from music_vae.common.checks import value_text
from music_vae.common.errors import UserError
from music_vae.music.converters.base import Tensors
from music_vae.music.converters.score import Score

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence


def check(name: str, value: object) -> None:
    """Raises `UserError` unless an argument is a piece: a NoteSequence, or a `Score`.

    >>> check("note_sequence", "tune.mid")
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `note_sequence` must be a NoteSequence, not 'tune.mid'; ...

    Args:
      name: Name of the argument.
      value: Its value.
    """
    if not _is_piece(value):
        raise UserError(
            f"`{name}` must be a NoteSequence, not {_text_of(value)}; `notes_io.read_music_file` "
            "returns those in a file, as a list"
        )


def listed(name: str, value: Any) -> "Sequence[NoteSequence]":
    """Returns an argument as a list of pieces, if it is one.

    >>> listed("note_sequences", None)
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `note_sequences` must be a list of NoteSequences, not None

    Args:
      name: Name of the argument.
      value: Its value.

    Raises:
      UserError: If it is none, such as a piece by itself.
    """
    if _is_piece(value) or isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise UserError(f"`{name}` must be a list of NoteSequences, not {_text_of(value)}")
    found = list(value)
    for number, piece in enumerate(found):
        check(f"{name}[{number}]", piece)
    return found


def _is_piece(value: object) -> bool:
    """Returns True for a piece; needs no note_seq to see one."""
    kind = getattr(value, "DESCRIPTOR", None)
    return isinstance(value, Score | Tensors) or getattr(kind, "name", None) == "NoteSequence"


def _text_of(value: object) -> str:
    """Returns a short text of a value that may be large, such as a whole piece."""
    plain = value is None or isinstance(value, str | int | float | Path)
    return value_text(value) if plain else f"a {type(value).__name__}"
