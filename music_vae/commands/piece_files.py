"""Reads the pieces that a model is given, and names and writes those that it makes."""

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from music_vae.commands.generate_request import InputFile
from music_vae.common.constants import MAX_MIDI_PITCH, SEMITONES
from music_vae.common.errors import UserError, naming
from music_vae.music import notes_io
from music_vae.music.drum_part import NO_DRUMS, drum_part

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

    from music_vae.configs import Config

_log = logging.getLogger(__name__)


def read_one(given: InputFile) -> "NoteSequence":
    """Reads the one piece in a file, which may have any length.

    >>> tune = InputFile("input_midi", "input1", Path("examples/tunes/soldiers_joy.mid"))
    >>> read_one(tune).total_time  # seconds
    33.5

    Raises:
      UserError: If it cannot be read, or holds several pieces.
    """
    with naming(given.argument, given.path):
        sequences = notes_io.read_music_file(given.path)
        if len(sequences) > 1:
            raise UserError(f"it holds {len(sequences)} tunes; expected a file with one")
    return sequences[0]


def read_piece(config: "Config", given: InputFile) -> "tuple[NoteSequence, int]":
    """Reads the one piece in a file as a model of `config` takes it: of drums, the drums alone.

    Returned with it is the number of notes that are left out. It logs a line if the drums are on an
    unusual channel.

    >>> from music_vae.configs import get_config
    >>> tune = InputFile("input_midi", "input1", Path("examples/tunes/soldiers_joy.mid"))
    >>> piece, num_left_out = read_piece(get_config("cat-mel_2bar_mini"), tune)
    >>> len(piece.notes), num_left_out
    (112, 0)

    Args:
      config: The config of the model.
      given: The file.

    Raises:
      UserError: If it cannot be read, holds several pieces, or has no drums for a model of drums.
    """
    piece = read_one(given)
    if not config.data_converter.has_hits:
        return piece, 0
    drums, remark = drum_part(piece)
    if remark:
        _log.warning("%s: %s", given.path, remark)
    if not any(note.is_drum for note in drums.notes):
        with naming(given.argument, given.path):
            raise UserError(NO_DRUMS)
    return drums, len(piece.notes) - len(drums.notes)


def write(
    pieces: "Sequence[NoteSequence]", paths: Sequence[Path], texts: Sequence[str] | None = None
) -> None:
    """Writes each piece as a MIDI file, to the path and with the text that stand at its place.

    >>> import tempfile
    >>> (tune,) = notes_io.read_music_file("examples/tunes/soldiers_joy.mid")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths = named(Path(folder), "tune", 1, grid=None)
    ...     write([tune], paths)
    ...     len(notes_io.read_music_file(paths[0])[0].notes) == len(tune.notes)
    True
    """
    texts = [""] * len(paths) if texts is None else texts
    for piece, path, text in zip(pieces, paths, texts, strict=True):
        notes_io.write_midi(piece, path, text)


def named(output_dir: Path, name: str, count: int, grid: tuple[int, int] | None) -> list[Path]:
    """Returns the paths of the MIDI files of pieces, by number or by place in a grid.

    >>> [path.name for path in named(Path("music"), "tune", 2, grid=None)]
    ['tune-000-of-002.mid', 'tune-001-of-002.mid']
    >>> [path.name for path in named(Path("music"), "tune", 2, grid=(1, 2))]
    ['tune-row000-of-001-column000-of-002.mid', 'tune-row000-of-001-column001-of-002.mid']

    Args:
      output_dir: Folder of the files.
      name: Beginning of their names.
      count: Number of pieces.
      grid: Numbers of rows and columns; None: the pieces are counted through.
    """
    if grid is None:
        return _numbered(output_dir, name, count)
    return _by_rows_and_columns(output_dir, name, *grid)


def _numbered(output_dir: Path, name: str, count: int) -> list[Path]:
    """Returns the paths `NAME-000-of-005.mid` and so on."""
    return [output_dir / f"{name}-{index:03d}-of-{count:03d}.mid" for index in range(count)]


def _by_rows_and_columns(output_dir: Path, name: str, rows: int, columns: int) -> list[Path]:
    """Returns the paths `NAME-row000-of-005-column000-of-005.mid` and so on, row by row."""
    return [
        output_dir / f"{name}-row{row:03d}-of-{rows:03d}-column{column:03d}-of-{columns:03d}.mid"
        for row in range(rows)
        for column in range(columns)
    ]


def of_track(piece: "NoteSequence", name: str, program: int | None) -> "NoteSequence":
    """Returns a melody as one of a track, so that a sequencer plays it with the same sound.

    >>> (tune,) = notes_io.read_music_file("examples/tunes/soldiers_joy.mid")
    >>> lead = of_track(tune, "Lead", 81)
    >>> {note.program for note in lead.notes}, lead.instrument_infos[0].name
    ({81}, 'Lead')

    Args:
      piece: The melody.
      name: Name of the track; empty: it has none.
      program: MIDI program of the track; None: the melody stays as it is.
    """
    if program is None:
        return piece
    copy = type(piece)()
    copy.CopyFrom(piece)
    for note in copy.notes:
        note.program = program
    del copy.instrument_infos[:]
    if name:
        copy.instrument_infos.add(instrument=0, name=name)
    return copy


def moved(piece: "NoteSequence", semitones: int) -> "NoteSequence":
    """Returns a piece whose notes but the drums are moved up by a number of semitones.

    Notes that would leave MIDI's range stay an octave or more within it.

    >>> (tune,) = notes_io.read_music_file("examples/tunes/soldiers_joy.mid")
    >>> [note.pitch for note in moved(tune, 24).notes[:4]], tune.notes[0].pitch
    ([90, 91, 93, 90], 66)
    """
    if not semitones:
        return piece
    copy = type(piece)()
    copy.CopyFrom(piece)
    for note in copy.notes:
        if not note.is_drum:
            note.pitch += semitones
            note.pitch -= max(0, math.ceil((note.pitch - MAX_MIDI_PITCH) / SEMITONES)) * SEMITONES
    return copy
