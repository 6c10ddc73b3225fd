"""The command that turns a folder of music files into one TFRecord file of NoteSequences.

Files are read in processes of their own (see `pools`), because any one of them may be built to
exhaust whoever reads it; a file has a limit on time, too. The output does not depend on the number
of processes.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType

from absl import flags
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from music_vae.commands import cli
from music_vae.common import lazy_imports, pools, progress
from music_vae.common.errors import UserError
from music_vae.dataset import tfrecord
from music_vae.music import notes_io

PROGRAM = "convert_dir_to_note_sequences"
USAGE = """
Converts the music files of a folder to NoteSequences and writes them to one TFRecord file, ready
for training. Reads MIDI (.mid, .midi), MusicXML (.xml, .musicxml, .mxl) and ABC (.abc).

  convert_dir_to_note_sequences --input_dir=songs --output_file=songs.tfrecord --recursive
"""

FLAGS = cli.new_flags()
flags.DEFINE_string("input_dir", None, "Folder with music files.", flag_values=FLAGS)
flags.DEFINE_string("output_file", None, "TFRecord file to write.", flag_values=FLAGS)
flags.DEFINE_boolean("recursive", False, "Whether to read subfolders too.", flag_values=FLAGS)
flags.DEFINE_integer(
    "num_workers",
    None,
    "How many processes read files; one per CPU unless given.",
    lower_bound=1,
    flag_values=FLAGS,
)
flags.DEFINE_list(
    "pipeline_options",
    None,
    "Convert with Apache Beam, with these options of its pipeline, comma-separated: for "
    "collections that are too large for one machine.",
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "output_shards", 1, "Number of output files; for Beam only.", 1, flag_values=FLAGS
)

# The longest file that the limits of notes_io let through takes about a minute.
MAX_FILE_S = 300.0

_logger = logging.getLogger("music_vae.convert_dir_to_note_sequences")


@dataclass(frozen=True)
class Conversion:
    """What came of one file: its serialised NoteSequences, or why there are none."""

    name: str
    records: list[bytes] = field(default_factory=list)
    skipped_tunes: Counter[str] = field(default_factory=Counter)
    reason: str = ""
    detail: str = ""


@dataclass
class Summary:
    """Counts over a whole run."""

    files: int = 0
    sequences: int = 0
    skipped_files: Counter[str] = field(default_factory=Counter)
    skipped_tunes: Counter[str] = field(default_factory=Counter)


class _OutOfTimeError(BaseException):
    """The time of a file is over; not an `Exception`, so that no parser takes it for its own."""


def find_music_files(root: Path, *, recursive: bool) -> list[str]:
    """The music files under `root` as sorted paths relative to it, with `/` on all systems.

    Links to files are followed and links to folders are not.
    """
    names: list[str] = []
    others = 0

    def warn(error: OSError) -> None:
        _logger.warning("%s: not searched: %s", error.filename, error.strerror)

    for folder, subfolders, files in os.walk(root, onerror=warn, followlinks=False):
        for name in files:
            path = Path(folder, name)
            if path.suffix.lower() in notes_io.MUSIC_SUFFIXES:
                names.append(path.relative_to(root).as_posix())
            else:
                others += 1
        if not recursive:
            subfolders.clear()
    _logger.debug("files with other suffixes, ignored: %d", others)
    return sorted(names)


def sequence_id(name: str, collection: str, source_type: str) -> str:
    """The id of the sequence of one file: `/id/<type>/<collection>/<SHA-1 of the name>`.

    `name` is the path relative to the folder; for ABC, `_` and the reference number follow it.
    """
    digest = hashlib.sha1(name.encode("utf-8", "surrogateescape")).hexdigest()
    return f"/id/{source_type}/{collection}/{digest}"


def convert_file(name: str, *, root: Path, collection: str) -> Conversion:
    """The NoteSequences of the file `name` under `root`, with id, file name and collection set."""
    try:
        with _time_limit(MAX_FILE_S):
            reading = notes_io.read_file(root / name)
    except notes_io.UnreadableMusicError as error:
        return Conversion(name, reason=error.reason, detail=error.detail)
    except _OutOfTimeError:
        return Conversion(name, reason=f"takes longer than {MAX_FILE_S:.0f} seconds to read")
    except MemoryError:
        return Conversion(name, reason="needs too much memory")
    kind = notes_io.source_type(name)
    records = []
    for sequence in reading.sequences:
        hashed = f"{name}_{sequence.reference_number}" if kind == "abc" else name
        sequence.id = sequence_id(hashed, _printable(collection), kind)
        sequence.filename = _printable(name)
        sequence.collection_name = _printable(collection)
        records.append(sequence.SerializeToString(deterministic=True))
    return Conversion(name, records, reading.skipped)


def convert_files(
    names: Sequence[str], convert: Callable[[str], Conversion], num_workers: int
) -> Iterator[Conversion]:
    """Yields `convert(name)` for each name, in order, computed in `num_workers` processes.

    A file whose process dies gives a `Conversion` with that as its reason.
    """

    def died(name: str) -> Conversion:
        return Conversion(name, reason="the process that read it died")

    with pools.Pool(convert, num_workers, died=died) as pool:
        yield from pool.map(names)


def _run(values: flags.FlagValues) -> None:
    """Checks the flags, converts and prints the summary."""
    cli.require(values, "input_dir", "output_file")
    root = Path(os.path.abspath(cli.expand(values.input_dir)))
    output = cli.expand(values.output_file)
    _check_paths(root, output)
    names = find_music_files(root, recursive=values.recursive)
    if not names:
        raise UserError(_no_files_message(root, recursive=values.recursive))
    convert = partial(convert_file, root=root, collection=root.name)
    if values.pipeline_options:
        _run_in_beam(names, convert, output, values)
        return
    if values.output_shards != 1:
        raise UserError("--output_shards needs --pipeline_options, as --runner=DirectRunner")
    workers = min(values.num_workers or pools.num_cpus(), len(names))
    summary = Summary()
    with logging_redirect_tqdm() if progress.show_progress() else contextlib.nullcontext():
        conversions = tqdm(
            convert_files(names, convert, workers),
            total=len(names),
            unit="file",
            disable=not progress.show_progress(),
        )
        tfrecord.write_records(output, _records(conversions, summary))
    print(summary_text(summary, output))


def _run_in_beam(
    names: Sequence[str],
    convert: Callable[[str], Conversion],
    output: Path,
    values: flags.FlagValues,
) -> None:
    """Converts with Apache Beam and prints the summary."""
    from music_vae.commands import preprocess

    preprocess.require_beam("--pipeline_options")
    lazy_imports.import_note_seq()
    from music_vae.dataset import beam_pipelines

    output, shards = output.absolute(), values.output_shards
    summary = beam_pipelines.convert_files(
        names, convert, str(output), shards, values.pipeline_options
    )
    if not summary.sequences:
        raise UserError(_nothing_message(summary))
    if shards > 1:
        output = output.with_name(f"{output.name}-*-of-{shards:05d}")
    print(summary_text(summary, output))


def _nothing_message(summary: Summary) -> str:
    reasons = ", ".join(f"{n} {reason}" for reason, n in summary.skipped_files.most_common())
    return f"none of the {summary.files} music files can be converted: {reasons}"


def _records(conversions: Iterable[Conversion], summary: Summary) -> Iterator[bytes]:
    """The records of all conversions; counts them in `summary` and logs what is skipped.

    Raises `UserError` at the end if there was none, so that no file without records is written.
    """
    for conversion in conversions:
        summary.files += 1
        summary.sequences += len(conversion.records)
        summary.skipped_tunes.update(conversion.skipped_tunes)
        if conversion.reason:
            summary.skipped_files[conversion.reason] += 1
            why = f"{conversion.reason}: {conversion.detail}".removesuffix(": ")
            _logger.info("skipped %s: %s", _printable(conversion.name), why)
        for reason, count in conversion.skipped_tunes.items():
            name = _printable(conversion.name)
            _logger.info("skipped tunes of %s: %d %s", name, count, reason)
        yield from conversion.records
    if not summary.sequences:
        raise UserError(_nothing_message(summary))


def summary_text(summary: Summary, output: Path) -> str:
    """What a run prints: files and sequences, then what was skipped, by reason."""
    converted = summary.files - summary.skipped_files.total()
    lines = [
        f"Converted {converted} of {_counted(summary.files, 'file')} to "
        f"{_counted(summary.sequences, 'sequence')} in {_printable(str(output))}"
    ]
    for what, reasons in (("file", summary.skipped_files), ("ABC tune", summary.skipped_tunes)):
        if reasons:
            lines.append(f"Skipped {_counted(reasons.total(), what)}:")
            ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
            lines += [f"  {count:6d}  {reason}" for reason, count in ordered]
    return "\n".join(lines)


def _check_paths(root: Path, output: Path) -> None:
    """Raises `UserError` for an input or output that cannot work, before any work is done."""
    if not root.exists():
        raise UserError(f"--input_dir={root}: no such folder")
    if not root.is_dir():
        raise UserError(f"--input_dir={root} is not a folder")
    if output.is_dir():
        raise UserError(f"--output_file={output} is a folder; expected a file name")
    parent = output.absolute().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"--output_file={output}: cannot make {parent}: {error.strerror}"
        ) from error
    if not os.access(parent, os.W_OK | os.X_OK):
        raise UserError(f"--output_file={output}: {parent} cannot be written to")


def _no_files_message(root: Path, *, recursive: bool) -> str:
    """Says what was looked for, and whether the subfolders hold some."""
    message = f"no music files in {root}; looked for {', '.join(notes_io.MUSIC_SUFFIXES)}"
    in_subfolders = 0 if recursive else len(find_music_files(root, recursive=True))
    if in_subfolders:
        message += f"; its subfolders hold {in_subfolders}: give --recursive to read them"
    return message


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raises `_OutOfTimeError` in the block after `seconds`, where the system has such an alarm."""
    alarms_reach_here = threading.current_thread() is threading.main_thread()  # not in Beam
    if not hasattr(signal, "setitimer") or not alarms_reach_here:
        yield
        return

    def stop(_: int, __: FrameType | None) -> None:
        raise _OutOfTimeError

    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _printable(text: str) -> str:
    """`text` as valid UTF-8: file names on Unix are bytes and need not be."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


COMMAND = cli.Command(PROGRAM, USAGE, FLAGS, _run)
main = COMMAND.main
console_entry_point = COMMAND.console_entry_point

if __name__ == "__main__":
    console_entry_point()
