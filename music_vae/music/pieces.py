"""Takes pieces of music in any form: NoteSequences, PrettyMIDI objects, files and their content.

Whatever has a piece as an argument asks `one` or `listed` for it, so all take the same.
"""

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias

from music_vae.common import files
from music_vae.common.checks import value_text
from music_vae.common.errors import UserError, naming
from music_vae.common.lazy_imports import import_note_seq
from music_vae.music import midi_writer, notes_io
from music_vae.music.converters.base import Tensors
from music_vae.music.converters.score import Score
from music_vae.music.readers import reading

if TYPE_CHECKING:
    import pretty_midi
    from note_seq.protobuf.music_pb2 import NoteSequence

    Piece: TypeAlias = NoteSequence | pretty_midi.PrettyMIDI | str | os.PathLike[str]
    """A piece of music, or the path of a file with one."""
    Pieces: TypeAlias = Piece | Iterable[Piece]
    """Several pieces, or one by itself."""

_log = logging.getLogger(__name__)

_EXPECTED = "a NoteSequence, a PrettyMIDI, or the path of a music file"
_WRITTEN_SUFFIXES = (".mid", ".midi")


# -- Files ----------------------------------------------------------------------------------------


def read(source: str | os.PathLike | bytes | IO) -> "NoteSequence":
    r"""Reads the piece in a MIDI, MusicXML or ABC file.

    >>> tune = read("examples/tunes/soldiers_joy.mid")
    >>> [note.pitch for note in tune.notes[:4]]
    [66, 67, 69, 66]
    >>> [note.pitch for note in read(b"X:1\nK:C\nCDEF|").notes]
    [60, 62, 64, 65]

    Args:
      source: Path of the file, a file that is open for reading, or the content of one.

    Raises:
      UserError: If it cannot be read, or holds several tunes; `notes_io.read_music_file` returns
        all tunes in a file.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        found, name = notes_io.read_content(bytes(source)), "the content"
    elif hasattr(source, "read"):
        name = str(getattr(source, "name", "the file"))
        found = notes_io.read_content(_content(source), name)
    elif isinstance(source, str | os.PathLike):
        found, name = notes_io.read_file(source), os.fspath(source)
    else:
        raise UserError(
            "`source` must be the path of a music file, an open file or bytes, not "
            f"{_text_of(source)}"
        )
    for reason, number in found.skipped.items():
        _log.warning("%s: tunes left out: %d: %s", name, number, reason)
    if len(found.sequences) > 1:
        raise UserError(
            f"{name}: it holds {len(found.sequences)} tunes; expected one",
            hint="`notes_io.read_music_file` returns all of them, as a list",
        )
    return found.sequences[0]


def save(piece: "Piece", target: str | os.PathLike | IO[bytes]) -> None:
    """Writes a piece as a MIDI file, which never replaces another.

    >>> import io
    >>> file = io.BytesIO()
    >>> save(read("examples/tunes/soldiers_joy.mid"), file)
    >>> len(read(file.getvalue()).notes)
    112

    Args:
      piece: The piece: a NoteSequence, a PrettyMIDI, or the path of a music file.
      target: Path of the new file, whose name ends in `.mid` or `.midi`, or a file that is open
        for writing bytes.

    Raises:
      UserError: If there is a file at the path already, or the piece cannot be written.
    """
    sequence = one("piece", piece)
    if isinstance(sequence, Score | Tensors):
        raise UserError(f"`piece` must be {_EXPECTED}, not {_text_of(piece)}")
    if isinstance(target, str | os.PathLike):
        path = files.expand(target)
        if path.suffix.lower() not in _WRITTEN_SUFFIXES:
            raise UserError(f"`target={target}` must end in .mid, as what is written is MIDI")
        with naming("target", target), files.new_path(path) as temporary:
            temporary.write_bytes(_midi_bytes(sequence))
        return
    if not hasattr(target, "write"):
        raise UserError(f"`target` must be a path or an open file, not {_text_of(target)}")
    content = _midi_bytes(sequence)
    try:
        target.write(content)
    except TypeError as error:
        raise UserError('`target` must be open for bytes, as open(path, "xb") opens it') from error


def _midi_bytes(sequence: "NoteSequence") -> bytes:
    """Returns a MIDI file of a piece, which may have notes that no file can hold."""
    try:
        return midi_writer.midi_bytes(sequence)
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"`piece` has what MIDI does not hold: {error}") from error


def _content(file: Any) -> bytes:
    """Returns the rest of an open file, up to what is too much for the largest that is read."""
    content = file.read(reading.MAX_TEXT_BYTES + 1)
    if isinstance(content, str):
        return content.encode("utf-8", "surrogateescape")
    if not isinstance(content, bytes):
        raise UserError(f"`source` must be open for reading; it gave {value_text(content)}")
    return content


# -- Arguments ------------------------------------------------------------------------------------


def one(name: str, value: Any) -> "NoteSequence":
    """Returns the piece that an argument stands for; a `Score` or `Tensors` stay as they are.

    >>> len(one("note_sequence", "examples/tunes/soldiers_joy.mid").notes)
    112
    >>> one("note_sequence", 3)
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `note_sequence` must be a NoteSequence, a PrettyMIDI, or the
    path of a music file, not 3

    Args:
      name: Name of the argument.
      value: Its value: a piece, the path of a file with one, or a list of just one.

    Raises:
      UserError: If it is none, or the file cannot be read.
    """
    if _is_list(value):
        found = listed(name, value)
        if len(found) == 1:
            return found[0]
        raise UserError(f"`{name}` must be one piece, not a list of {len(found)}")
    if _is_piece(value):
        return value
    if isinstance(value, str | os.PathLike):
        with naming(name, value):
            return read(value)
    if _is_pretty_midi(value):
        with naming(name, "PrettyMIDI"):
            return _of_pretty_midi(value)
    raise UserError(f"`{name}` must be {_EXPECTED}, not {_text_of(value)}")


def listed(name: str, value: Any) -> "list[NoteSequence]":
    """Returns the pieces that an argument stands for, of which there may be just one.

    >>> len(listed("note_sequences", ["examples/tunes/soldiers_joy.mid"])[0].notes)
    112
    >>> listed("note_sequences", None)
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `note_sequences` must be a list of pieces, each a ...

    Args:
      name: Name of the argument.
      value: Its value: any of what `one` takes, or an iterable of these.

    Raises:
      UserError: As for `one`.
    """
    if _is_list(value):
        return [one(f"{name}[{number}]", piece) for number, piece in enumerate(value)]
    if _is_music(value):
        return [one(name, value)]
    raise UserError(f"`{name}` must be a list of pieces, each {_EXPECTED}, not {_text_of(value)}")


def _of_pretty_midi(midi: "pretty_midi.PrettyMIDI") -> "NoteSequence":
    """Returns the notes of a PrettyMIDI, which anybody may have made."""
    with reading.parsing("MIDI"):
        sequence = import_note_seq().midi_to_note_sequence(midi)
    return reading.checked(sequence) if sequence.notes else sequence


def _is_list(value: object) -> bool:
    """Returns True for what may hold pieces and is none itself."""
    is_content = isinstance(value, bytes | bytearray | memoryview) or hasattr(value, "read")
    return isinstance(value, Iterable) and not (_is_music(value) or is_content)


def _is_music(value: object) -> bool:
    """Returns True for a piece and for a path."""
    return _is_piece(value) or _is_pretty_midi(value) or isinstance(value, str | os.PathLike)


def _is_piece(value: object) -> bool:
    """Returns True for a piece; needs no note_seq to see one."""
    kind = getattr(value, "DESCRIPTOR", None)
    return isinstance(value, Score | Tensors) or getattr(kind, "name", None) == "NoteSequence"


def _is_pretty_midi(value: object) -> bool:
    """Returns True for a `pretty_midi.PrettyMIDI`, without importing pretty_midi."""
    return any(kind.__name__ == "PrettyMIDI" for kind in type(value).__mro__)


def _text_of(value: object) -> str:
    """Returns a short text of a value that may be large, such as a whole piece."""
    plain = value is None or isinstance(value, str | int | float | Path)
    return value_text(value) if plain else f"a {type(value).__name__}"
