"""Converts folders of music files to NoteSequences.

Files are read in processes of their own (see `pools`), because a file may be built to exhaust the
memory of its reader; there is a limit on time, too. The result does not depend on the number of
processes.
"""

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

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from music_vae.common import pools, progress
from music_vae.common.errors import UserError
from music_vae.dataset import tfrecord
from music_vae.music import notes_io

# The longest file that the limits of notes_io let through takes about a minute.
MAX_FILE_S = 300.0

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ConvertedFile:
    """The result of converting one file: serialised NoteSequences, or the reason for none.

    >>> ConvertedFile("tune.mid", reason="cannot be parsed as MIDI").records
    []

    Attributes:
      name: Path of the file relative to the folder.
      records: The serialised NoteSequences.
      skipped_tunes: For each reason, the number of tunes of an ABC file that were left out for it.
      reason: The reason why there are no records; empty if there are.
      detail: More about that reason, for this file.
    """

    name: str
    records: list[bytes] = field(default_factory=list)
    skipped_tunes: Counter[str] = field(default_factory=Counter)
    reason: str = ""
    detail: str = ""


@dataclass
class Summary:
    """Counts over all files of a folder.

    >>> summary = Summary()
    >>> summary.add(ConvertedFile("reel.mid", records=[b"..."]))
    >>> summary.add(ConvertedFile("noise.mid", reason="cannot be parsed as MIDI"))
    >>> print(summary.describe(Path("tunes.tfrecord")))
    Converted 1 of 2 files to 1 sequence in tunes.tfrecord
    Skipped 1 file:
           1  cannot be parsed as MIDI

    Attributes:
      files: Number of files.
      sequences: Number of NoteSequences that they gave.
      skipped_files: For each reason, the number of files that were left out for it.
      skipped_tunes: For each reason, the number of tunes of ABC files that were left out for it.
    """

    files: int = 0
    sequences: int = 0
    skipped_files: Counter[str] = field(default_factory=Counter)
    skipped_tunes: Counter[str] = field(default_factory=Counter)

    def add(self, converted: ConvertedFile) -> None:
        """Counts one more file."""
        self.files += 1
        self.sequences += len(converted.records)
        self.skipped_tunes.update(converted.skipped_tunes)
        if converted.reason:
            self.skipped_files[converted.reason] += 1

    def check_any(self) -> None:
        """Raises `UserError`, with the reasons, if no file gave a sequence."""
        if not self.sequences:
            reasons = ", ".join(f"{n} {reason}" for reason, n in self.skipped_files.most_common())
            raise UserError(f"none of the {self.files} music files can be converted: {reasons}")

    def describe(self, output: Path) -> str:
        """Returns a line on what was written to `output`, then lines on what was left out."""
        converted = self.files - self.skipped_files.total()
        lines = [
            f"Converted {converted} of {_counted(self.files, 'file')} to "
            f"{_counted(self.sequences, 'sequence')} in {_printable(str(output))}"
        ]
        for what, reasons in (("file", self.skipped_files), ("ABC tune", self.skipped_tunes)):
            if reasons:
                lines.append(f"Skipped {_counted(reasons.total(), what)}:")
                ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
                lines += [f"  {count:6d}  {reason}" for reason, count in ordered]
        return "\n".join(lines)


class _OutOfTimeError(BaseException):
    """Raised when the time of a file is over.

    It is not an `Exception`, so that no parser can catch it as an error of its own.
    """


def find_music_files(root: Path, *, recursive: bool) -> list[str]:
    """Returns the music files under `root` as sorted paths relative to it, with `/` everywhere.

    Links are followed. A folder that several of them lead to is searched once, under its own name
    if it has one.

    >>> find_music_files(Path("examples/two_bars"), recursive=False)
    ['durangs_hornpipe.mid', 'fishers_hornpipe.mid']

    Args:
      root: The folder.
      recursive: True to search the folders in it, too.
    """
    names: list[str] = []
    others = 0
    for folder, files in _folders(root, recursive=recursive):
        for name in files:
            path = Path(folder, name)
            if path.suffix.lower() in notes_io.MUSIC_SUFFIXES:
                names.append(path.relative_to(root).as_posix())
            else:
                others += 1
    _logger.debug("files with other suffixes, ignored: %d", others)
    return sorted(names)


def _folders(root: Path, *, recursive: bool) -> Iterator[tuple[str, list[str]]]:
    """Yields the path of each folder with the names of its files; links come last."""

    def warn(error: OSError) -> None:
        _logger.warning("%s: not searched: %s", error.filename, error.strerror)

    searched: set[str] = set()
    pending = [str(root)]
    while pending:
        links: list[str] = []
        for top in pending:
            for folder, subfolders, files in os.walk(top, onerror=warn, followlinks=False):
                real = os.path.realpath(folder)
                if real in searched or not recursive:
                    subfolders.clear()
                if real not in searched:
                    searched.add(real)
                    links += (path for path in _joined(folder, subfolders) if os.path.islink(path))
                    yield folder, files
        pending = sorted(links)  # the order in which a folder lists its content is chance


def _joined(folder: str, names: Iterable[str]) -> list[str]:
    return [os.path.join(folder, name) for name in names]


def converter_of(root: Path) -> Callable[[str], ConvertedFile]:
    """Returns a function that converts a file of the folder `root` by its name.

    It can be pickled, and so be sent to another process.

    >>> convert = converter_of(Path("examples/two_bars"))
    >>> convert("durangs_hornpipe.mid").name
    'durangs_hornpipe.mid'
    """
    return partial(convert_file, root=root, collection=root.name)


def write_tfrecord(
    root: Path, names: Sequence[str], output: Path, *, num_processes: int | None = None
) -> Summary:
    """Writes the NoteSequences of music files to a TFRecord file, in their order.

    Shows a progress bar on a terminal.

    >>> import tempfile
    >>> root = Path("examples/two_bars")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     output = Path(folder) / "tunes.tfrecord"
    ...     summary = write_tfrecord(root, ["durangs_hornpipe.mid"], output)
    ...     summary.sequences, len(list(tfrecord.read_records(output)))
    (1, 1)

    Args:
      root: The folder.
      names: Paths of the files in it, as `find_music_files` returns them.
      output: The file to write.
      num_processes: Number of processes that read files; None: one for each CPU.

    Raises:
      UserError: If no file can be converted; nothing is then written.
    """
    num_processes = min(num_processes or pools.num_cpus(), len(names))
    summary, shown = Summary(), progress.show_progress()
    with logging_redirect_tqdm() if shown else contextlib.nullcontext():
        converted = convert_files(names, converter_of(root), num_processes)
        bar = tqdm(converted, total=len(names), unit="file", disable=not shown)
        tfrecord.write_records(output, _records(bar, summary))
    return summary


def convert_files(
    names: Sequence[str], convert: Callable[[str], ConvertedFile], num_processes: int
) -> Iterator[ConvertedFile]:
    """Yields `convert(name)` for each name, in order, computed in `num_processes` processes.

    A file whose process dies gives a `ConvertedFile` with that as its reason.

    >>> convert = converter_of(Path("examples/two_bars"))
    >>> converted = convert_files(["durangs_hornpipe.mid", "none.mid"], convert, num_processes=0)
    >>> [(file.name, len(file.records)) for file in converted]
    [('durangs_hornpipe.mid', 1), ('none.mid', 0)]

    Args:
      names: Names of the files.
      convert: Function that converts a file; it can be pickled.
      num_processes: Number of processes; 0: this one alone.
    """

    def died(name: str) -> ConvertedFile:
        return ConvertedFile(name, reason="the process that read it died")

    with pools.Pool(convert, num_processes, died=died) as pool:
        yield from pool.map(names)


def convert_file(name: str, *, root: Path, collection: str) -> ConvertedFile:
    """Converts a file to NoteSequences, with their ids, file names and collections set.

    >>> file = convert_file("README.md", root=Path("."), collection="texts")
    >>> file.reason
    'unknown kind of music file; expected one of .mid, .midi, .kar, ...'

    Args:
      name: Path of the file relative to `root`.
      root: The folder.
      collection: Name of the collection, which becomes part of the ids.
    """
    try:
        with _time_limit(MAX_FILE_S):
            reading = notes_io.read_file(root / name)
    except notes_io.UnreadableMusicError as error:
        return ConvertedFile(name, reason=error.reason, detail=error.detail)
    except _OutOfTimeError:
        return ConvertedFile(name, reason=f"takes longer than {MAX_FILE_S:.0f} seconds to read")
    except MemoryError:
        return ConvertedFile(name, reason="needs too much memory")
    kind = notes_io.source_type(name)
    records = []
    for sequence in reading.sequences:
        has_number = kind == "abc" or len(reading.sequences) > 1
        hashed = f"{name}_{sequence.reference_number}" if has_number else name
        sequence.id = _sequence_id(hashed, _printable(collection), kind)
        sequence.filename = _printable(name)
        sequence.collection_name = _printable(collection)
        records.append(sequence.SerializeToString(deterministic=True))
    return ConvertedFile(name, records, reading.skipped)


def _sequence_id(name: str, collection: str, source_type: str) -> str:
    """Returns the id of a sequence: `/id/<type>/<collection>/<SHA-1 of the name>`.

    `name` is the path relative to the folder; in files of several tunes, as ABC files are, `_` and
    the reference number follow it.
    """
    digest = hashlib.sha1(name.encode("utf-8", "surrogateescape")).hexdigest()
    return f"/id/{source_type}/{collection}/{digest}"


def _records(converted: Iterable[ConvertedFile], summary: Summary) -> Iterator[bytes]:
    """Yields the records of all files, counts them in `summary` and logs what is left out.

    Raises `UserError` at the end if there was none, so that no file without records is written.
    """
    for file in converted:
        summary.add(file)
        if file.reason:
            why = f"{file.reason}: {file.detail}".removesuffix(": ")
            _logger.info("skipped %s: %s", _printable(file.name), why)
        for reason, count in file.skipped_tunes.items():
            _logger.info("skipped tunes of %s: %d %s", _printable(file.name), count, reason)
        yield from file.records
    summary.check_any()


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raises `_OutOfTimeError` in the block after `seconds`, if the system has such an alarm."""
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
    """Returns `text` as valid UTF-8, which the bytes of a file name on Unix need not be."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
