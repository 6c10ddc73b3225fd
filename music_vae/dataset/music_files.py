"""Folders of music files, converted to NoteSequences.

Files are read in processes of their own (see `pools`), because any one of them may be built to
exhaust whoever reads it; a file has a limit on time, too. The result does not depend on the number
of processes.
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
    """What came of one file: its serialised NoteSequences, or why there are none.

    Attributes:
      name: Its path relative to the folder.
      records: The NoteSequences.
      skipped_tunes: How many tunes of an ABC file gave none, by reason.
      reason: Why there are none; empty if there are.
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

    Attributes:
      files: How many there were.
      sequences: How many NoteSequences they gave.
      skipped_files: How many files gave none, by reason.
      skipped_tunes: How many tunes of ABC files gave none, by reason.
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
        """What was written to `output`, then what was skipped, by reason; a line each."""
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


def converter_of(root: Path) -> Callable[[str], ConvertedFile]:
    """What converts a file of the folder `root`, by its name; it can be pickled."""
    return partial(convert_file, root=root, collection=root.name)


def write_tfrecord(
    root: Path, names: Sequence[str], output: Path, *, num_processes: int | None = None
) -> Summary:
    """Writes the NoteSequences of music files to a TFRecord file, in their order; shows progress.

    Args:
      root: The folder.
      names: Files in it, as `find_music_files` gives them.
      output: The file to write.
      num_processes: How many processes read files; None: one for each CPU.

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
    """

    def died(name: str) -> ConvertedFile:
        return ConvertedFile(name, reason="the process that read it died")

    with pools.Pool(convert, num_processes, died=died) as pool:
        yield from pool.map(names)


def convert_file(name: str, *, root: Path, collection: str) -> ConvertedFile:
    """The NoteSequences of the file `name` under `root`, with id, file name and collection set."""
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
        hashed = f"{name}_{sequence.reference_number}" if kind == "abc" else name
        sequence.id = sequence_id(hashed, _printable(collection), kind)
        sequence.filename = _printable(name)
        sequence.collection_name = _printable(collection)
        records.append(sequence.SerializeToString(deterministic=True))
    return ConvertedFile(name, records, reading.skipped)


def sequence_id(name: str, collection: str, source_type: str) -> str:
    """The id of the sequence of one file: `/id/<type>/<collection>/<SHA-1 of the name>`.

    `name` is the path relative to the folder; for ABC, `_` and the reference number follow it.
    """
    digest = hashlib.sha1(name.encode("utf-8", "surrogateescape")).hexdigest()
    return f"/id/{source_type}/{collection}/{digest}"


def _records(converted: Iterable[ConvertedFile], summary: Summary) -> Iterator[bytes]:
    """The records of all files; counts them in `summary` and logs what is skipped.

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
