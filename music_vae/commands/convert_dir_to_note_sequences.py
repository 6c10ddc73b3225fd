"""Converts a folder of music files to NoteSequences: `convert_dir_to_note_sequences`."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from music_vae.commands import cli, pipelines
from music_vae.common import checks, lazy_imports
from music_vae.common.errors import UserError
from music_vae.dataset import music_files
from music_vae.music import notes_io

PROGRAM = "convert_dir_to_note_sequences"
USAGE = """
Converts the music files of a folder to NoteSequences and writes them to one TFRecord file, ready
for training. Reads MIDI (.mid, .midi, .kar, .rmi), MusicXML (.xml, .musicxml, .mxl) and ABC (.abc);
follows links.

  convert_dir_to_note_sequences --input_dir=songs --output_file=songs.tfrecord --recursive
"""

FLAGS = cli.new_flags()
flags.DEFINE_string("input_dir", None, "Folder with music files.", flag_values=FLAGS)
flags.DEFINE_string("output_file", None, "TFRecord file to write.", flag_values=FLAGS)
flags.DEFINE_boolean("recursive", False, "Whether to read subfolders too.", flag_values=FLAGS)
cli.define_number(
    "num_workers",
    None,
    "How many processes read files; one per CPU unless given.",
    checks.PROCESSES,
    values=FLAGS,
)
flags.DEFINE_list(
    "pipeline_options",
    None,
    "Convert with Apache Beam, with these options of its pipeline, comma-separated: for "
    "collections that are too large for one machine.",
    flag_values=FLAGS,
)
cli.define_number(
    "output_shards", 1, "Number of output files; for Beam only.", checks.SHARDS, values=FLAGS
)


@dataclasses.dataclass(frozen=True)
class Request:
    """A request to convert a folder of music files.

    >>> Request(Path("songs"), Path("songs.tfrecord"), recursive=True).recursive
    True
    >>> Request(Path("songs"), Path("songs.tfrecord"), output_shards=8)
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `output_shards` needs `pipeline_options`, as
    --runner=DirectRunner

    Attributes:
      input_dir: The folder.
      output_file: The TFRecord file to write.
      recursive: If True, subfolders are read, too.
      num_workers: Number of processes that read files; None: one per CPU.
      pipeline_options: Options of an Apache Beam pipeline that converts; empty: no Beam.
      output_shards: Number of output files; for Beam only.

    Raises:
      UserError: If several files are asked for without Beam.
    """

    input_dir: Path
    output_file: Path
    recursive: bool = False
    num_workers: int | None = None
    pipeline_options: tuple[str, ...] = ()
    output_shards: int = 1

    def __post_init__(self) -> None:
        checks.check_numbers(self, checks.PROCESSES, "num_workers")
        checks.check_numbers(self, checks.SHARDS, "output_shards")
        if self.output_shards != 1 and not self.pipeline_options:
            raise UserError("`output_shards` needs `pipeline_options`, as --runner=DirectRunner")


def convert(request: Request) -> str:
    """Converts the folder; returns a message for the user, with the files that were skipped.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     output = Path(folder, "two_bars.tfrecord")
    ...     print(convert(Request(Path("examples/two_bars"), output, num_workers=1)))
    Converted 2 of 2 files to 2 sequences in .../two_bars.tfrecord

    Raises:
      UserError: If there is no music in the folder, or the file cannot be written.
    """
    root, output = Path(os.path.abspath(request.input_dir)), request.output_file
    _check_paths(root, output)
    names = music_files.find_music_files(root, recursive=request.recursive)
    if not names:
        raise UserError(_no_files_message(root, recursive=request.recursive))
    if request.pipeline_options:
        summary, output = _convert_with_beam(root, names, request)
    else:
        summary = music_files.write_tfrecord(root, names, output, num_processes=request.num_workers)
    return summary.describe(output)


def _convert_with_beam(
    root: Path, names: Sequence[str], request: Request
) -> tuple[music_files.Summary, Path]:
    """Converts with Apache Beam; returns a summary, and the file or a pattern of the files."""
    pipelines.require_beam("`pipeline_options`")
    lazy_imports.import_note_seq()
    from music_vae.dataset import beam_pipelines

    output, shards = str(request.output_file.absolute()), request.output_shards
    summary = beam_pipelines.convert_files(
        names, music_files.converter_of(root), output, shards, request.pipeline_options
    )
    return summary, Path(pipelines.written(output, shards))


def _check_paths(root: Path, output: Path) -> None:
    """Raises `UserError` for an input or output that cannot work, before any work is done."""
    if not root.exists():
        raise UserError(f"`input_dir={root}`: no such folder")
    if not root.is_dir():
        raise UserError(f"`input_dir={root}` is not a folder")
    if output.is_dir():
        raise UserError(f"`output_file={output}` is a folder; expected a file name")
    parent = output.absolute().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"`output_file={output}`: cannot make {parent}: {error.strerror}"
        ) from error
    if not os.access(parent, os.W_OK | os.X_OK):
        raise UserError(f"`output_file={output}`: {parent} cannot be written to")


def _no_files_message(root: Path, *, recursive: bool) -> str:
    """Returns a message with the kinds of files, and the number of those in subfolders."""
    looked_for = ", ".join(notes_io.MUSIC_SUFFIXES)
    message = f"`input_dir={root}` holds no music files; looked for {looked_for}"
    in_subfolders = 0 if recursive else len(music_files.find_music_files(root, recursive=True))
    if in_subfolders:
        message += f"; its subfolders hold {in_subfolders}: give `recursive` to read them"
    return message


def _run(values: flags.FlagValues) -> None:
    cli.require(values, "input_dir", "output_file")
    request = Request(
        cli.expand(values.input_dir),
        cli.expand(values.output_file),
        recursive=values.recursive,
        num_workers=values.num_workers,
        pipeline_options=tuple(values.pipeline_options or ()),
        output_shards=values.output_shards,
    )
    print(convert(request))


COMMAND = cli.Command(PROGRAM, USAGE, FLAGS, _run)
main = COMMAND.main
console_entry_point = COMMAND.console_entry_point

if __name__ == "__main__":
    console_entry_point()
