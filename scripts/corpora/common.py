"""What the scripts of this folder share: flags, archives that are not trusted, and what is written.

Every script writes OUTPUT_DIR/{train,validation,test}.tfrecord, TFRecords of NoteSequences; given
the same music it writes the same files.
"""

import contextlib
import functools
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from absl import flags
from splits import SPLITS, TEST, VALIDATION, Shares, split, without_copies

from music_vae.commands import cli
from music_vae.common import checks, files, lazy_imports, progress
from music_vae.common.errors import UserError
from music_vae.dataset import music_files, tfrecord
from music_vae.music import notes_io

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

# All MIDI of the largest corpus here comes to about ten megabytes.
MAX_ARCHIVE_FILES = 20_000
MAX_ARCHIVE_BYTES = 500 * 2**20

MIDI_MAGIC = b"MThd"  # how a MIDI file begins


def new_flags() -> flags.FlagValues:
    """The flags that every script has."""
    values = cli.new_flags()
    flags.DEFINE_string(
        "output_dir",
        None,
        "Where train.tfrecord, validation.tfrecord and test.tfrecord go.",
        flag_values=values,
    )
    return values


def define_shares(values: flags.FlagValues) -> None:
    """Adds the flags for what is held out."""
    for name in (VALIDATION, TEST):
        default = getattr(Shares, name)
        cli.define_number(
            f"{name}_share", default, f"Part of the tunes for {name}.", checks.SHARE, values=values
        )


def shares_of(values: flags.FlagValues) -> Shares:
    """What the flags say is held out."""
    return Shares(values.validation_share, values.test_share)


def output_dir_of(values: flags.FlagValues) -> Path:
    """The folder to write to; raises `UserError` if it was not given or cannot be written to."""
    cli.require(values, "output_dir")
    files.check_writable(values.output_dir, "output_dir")
    return cli.expand(values.output_dir)


def listed(text: str) -> list[str]:
    """The names in a flag, which has commas between them."""
    return [name.strip() for name in text.split(",") if name.strip()]


# -- Reading --------------------------------------------------------------------------------------


def read_midi_files(root: Path, collection: str, skipped: Counter[str]) -> "list[NoteSequence]":
    """The sequences of the MIDI files under `root`, in the order of their names.

    They are read in processes of their own with limits on memory and time. An id is made of
    `collection` and the path under `root`.
    """
    names = music_files.find_music_files(root, recursive=True)
    midi = [name for name in names if name.lower().endswith(notes_io.MIDI_SUFFIXES)]
    note_sequence = lazy_imports.import_note_seq().NoteSequence
    convert = functools.partial(music_files.convert_file, root=root, collection=collection)
    converted = music_files.convert_files(midi, convert, num_processes=2)
    found = []
    for file in progress.bar(converted, "reading", unit="file", total=len(midi)):
        if file.reason:
            skipped[file.reason] += 1
        found += [note_sequence.FromString(record) for record in file.records]
    return found


@contextlib.contextmanager
def unpacked(source: Path, suffixes: Sequence[str]) -> Iterator[Path]:
    """A folder with the files of a folder or a zip; of a zip only those with these suffixes.

    Raises:
      UserError: If there is no such folder or zip, or its contents are not to be trusted.
    """
    if source.is_dir():
        yield source
        return
    if not source.exists():
        raise UserError(f"{source}: no such file or folder")
    with tempfile.TemporaryDirectory() as directory:
        members = list(_zip_members(source, suffixes))
        for name, data in members:
            target = safe_path(Path(directory), name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        yield Path(directory)


def _zip_members(source: Path, suffixes: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(source) as archive:
            wanted = [
                info
                for info in archive.infolist()
                if not info.is_dir() and info.filename.lower().endswith(tuple(suffixes))
            ]
            check_sizes(source, [info.file_size for info in wanted])
            for info in wanted:
                with archive.open(info) as file:  # never more than `file_size`
                    yield info.filename, file.read(info.file_size)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise UserError(f"{source} is not a folder or a zip that can be read: {error}") from error


def check_sizes(source: Path, sizes: Sequence[int]) -> None:
    """Raises `UserError` for an archive with too many or too large files."""
    if len(sizes) > MAX_ARCHIVE_FILES or sum(sizes) > MAX_ARCHIVE_BYTES:
        raise UserError(
            f"{source} holds {len(sizes)} files of {sum(sizes) >> 20} MiB, more than the "
            f"{MAX_ARCHIVE_FILES} files or {MAX_ARCHIVE_BYTES >> 20} MiB that are read"
        )


def safe_path(root: Path, name: str) -> Path:
    """`name` of an archive under `root`; raises `UserError` if it leads elsewhere."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name or "\\" in name:
        raise UserError(f"the archive holds a file with the name {name!r}, which is not safe")
    return root / path


# -- Writing --------------------------------------------------------------------------------------


def write_tunes(
    sequences: "Iterable[NoteSequence]",
    output_dir: Path,
    shares: Shares,
    skipped: Counter[str],
) -> None:
    """Leaves copies out, splits by tune, writes the three files and prints what they hold."""
    kept = without_copies(sequences, skipped)
    if not kept:
        raise no_music(skipped)
    write_splits(split(kept, shares), output_dir, skipped)


def write_splits(
    parts: "Mapping[str, Sequence[NoteSequence]]", output_dir: Path, skipped: Counter[str]
) -> None:
    """Writes the three files and prints what they hold."""
    for name in SPLITS:
        records = (s.SerializeToString(deterministic=True) for s in parts[name])
        tfrecord.write_records(output_dir / f"{name}.tfrecord", records)
        print(f"{len(parts[name]):6d} sequences in {output_dir / name}.tfrecord")
    for reason, count in sorted(skipped.items(), key=lambda item: (-item[1], item[0])):
        print(f"{count:6d} skipped: {reason}")


def no_music(skipped: Counter[str]) -> UserError:
    """The error of a run that has nothing to write, with what it left out."""
    reasons = ", ".join(f"{count} {reason}" for reason, count in skipped.most_common())
    return UserError(f"there is no music to write; skipped: {reasons or 'nothing'}")


def remove_cache(cache: Path) -> None:
    """Removes the files that a run kept of what it had read; what else is there stays."""
    for file in cache.glob("*.json"):
        file.unlink()
    with contextlib.suppress(OSError):
        cache.rmdir()
