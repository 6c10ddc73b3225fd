"""Pieces as files: those that a model is given, and those that it made."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from music_vae.commands.generate_request import InputFile
from music_vae.common.errors import UserError
from music_vae.music import notes_io

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

    from music_vae.configs import Config


def read_windows(
    config: "Config", inputs: Sequence[InputFile], output_dir: Path, stamp: str
) -> "list[NoteSequence]":
    """The pieces in files that give one example each; what is wrong with any is said of all.

    Raises:
      UserError: If a file gives no example, with the reasons; or several: then each is written to
        `output_dir` first, and the message says where.
    """
    pieces, errors = [], []
    for given in inputs:
        try:
            pieces.append(_window(config, given, output_dir, stamp))
        except UserError as error:
            errors.append(str(error))
    if errors:
        raise UserError("; ".join(errors))
    return pieces


def read_one(path: Path) -> "NoteSequence":
    """The piece in a file of any length.

    Raises:
      UserError: If it cannot be read, or holds several.
    """
    sequences = notes_io.read_music_file(path)
    if len(sequences) > 1:
        raise UserError(f"{path} holds {len(sequences)} tunes; expected a file with one")
    return sequences[0]


def write(pieces: "Sequence[NoteSequence]", paths: Sequence[Path]) -> None:
    """Writes each piece as the MIDI file of its path."""
    for piece, path in zip(pieces, paths, strict=True):
        notes_io.write_midi(piece, path)


def named(output_dir: Path, name: str, count: int, grid: tuple[int, int] | None) -> list[Path]:
    """The MIDI files of pieces, by their numbers, or by the rows and columns of a grid."""
    if grid is None:
        return numbered(output_dir, name, count)
    return by_rows_and_columns(output_dir, name, *grid)


def numbered(output_dir: Path, name: str, count: int) -> list[Path]:
    """`NAME-000-of-005.mid` and so on."""
    return [output_dir / f"{name}-{index:03d}-of-{count:03d}.mid" for index in range(count)]


def by_rows_and_columns(output_dir: Path, name: str, rows: int, columns: int) -> list[Path]:
    """`NAME-row000-of-005-column000-of-005.mid` and so on, row by row."""
    return [
        output_dir / f"{name}-row{row:03d}-of-{rows:03d}-column{column:03d}-of-{columns:03d}.mid"
        for row in range(rows)
        for column in range(columns)
    ]


def _window(config: "Config", given: InputFile, output_dir: Path, stamp: str) -> "NoteSequence":
    """The piece in a file that gives one example."""
    sequence = read_one(given.path)
    converter = config.data_converter.for_inference()
    tensors = converter.to_tensors(sequence)
    count = len(tensors.outputs)
    if count == 1:
        return sequence
    if count == 0:
        reasons = ", ".join(f"{why} ({n})" for why, n in tensors.skipped.most_common())
        raise UserError(f"{given.path} holds nothing that {config.name} can encode: {reasons}")
    controls = tensors.controls if converter.control_depth else None
    extracts = converter.from_tensors(tensors.outputs, controls)
    tempo = notes_io.tempo_of(sequence)
    extracts = [notes_io.with_tempo(extract, tempo) for extract in extracts]
    name = f"{config.name}_{given.label}-extractions_{stamp}"
    paths = numbered(output_dir, name, count)
    write(extracts, paths)
    # A piece that ends in silence is shorter as MIDI and may not fit any more.
    fitting = [p for p in paths if len(converter.extract(_read_back(p)).examples) == 1]
    advice = f": choose one, as in `{given.argument}={fitting[0]}`" if fitting else ""
    raise UserError(
        f"{given.path} holds {count} pieces that {config.name} can encode, and one is needed; they "
        f"are now in {output_dir} as {name}-*.mid ({len(fitting)} of them fit as they are){advice}"
    )


def _read_back(path: Path) -> "NoteSequence":
    """A file that was just written; a sequence without notes if there are none in it."""
    from note_seq import NoteSequence

    try:
        return notes_io.read_music_file(path)[0]
    except notes_io.UnreadableMusicError:
        return NoteSequence()
