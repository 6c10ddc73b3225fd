"""The MIDI files that ever lay in a git repository, one version of each song.

Songs that were replaced are as good to learn from as those that replaced them, unless they were
removed for their rights.
"""

import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import common
import splits
import works

from music_vae.common.errors import UserError

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

_SUFFIXES = (".mid", ".midi", ".mus")  # Freedoom has MIDI under the names of MUS files, too
_REGULAR_FILE = b"100"  # how the mode of a file begins that is no link
_DELETED = b"D"

# Two files are versions of a song if they share this part of the phrases of the one with fewer.
_VERSION_SHARE = 0.7


class Blob(NamedTuple):
    """The contents of a file: the path where they lay last, and all folders that they lay in."""

    path: str
    folders: frozenset[str]


def midi_history(
    clone: Path, removed: Sequence[str], target: Path, skipped: Counter[str]
) -> dict[str, str]:
    """Writes the MIDI files that ever lay in a repository to `target`, the oldest first.

    Args:
      clone: The repository, with its whole history.
      removed: Folders that are left out with all that ever lay in them, wherever else it lies.
      target: The folder to write to; a file's name is the beginning of its hash.
      skipped: Counts what is left out.

    Returns:
      The path in the repository of each file that was written.
    """
    wanted: dict[str, str] = {}
    for name, blob in blobs(clone).items():
        if any(f"{folder}/".startswith(f"{top}/") for folder in blob.folders for top in removed):
            skipped["file that was removed from the repository for its rights"] += 1
        else:
            wanted[name] = blob.path
    written: dict[str, str] = {}
    for name, contents in _contents(clone, list(wanted), skipped):
        if contents.startswith(common.MIDI_MAGIC):
            file = f"{len(written):05d}_{name[:12]}.mid"
            (target / file).write_bytes(contents)
            written[file] = wanted[name]
        else:
            skipped["file that is not MIDI"] += 1
    return written


def blobs(clone: Path) -> dict[str, Blob]:
    """What ever lay in a repository under the name of a music file, by its hash, the oldest first.

    Raises:
      UserError: If it is no repository, or has only the last commit.
    """
    if _git(clone, "rev-parse", "--is-shallow-repository").strip() == b"true":
        raise UserError(f"{clone} has no history: git fetch --unshallow, or clone without --depth")
    raw = ("--all", "-m", "--reverse", "--format=", "--raw", "--no-abbrev", "--no-renames", "-z")
    fields = iter(_git(clone, "log", *raw).split(b"\0"))
    found: dict[str, Blob] = {}
    for field in fields:
        # ":old-mode new-mode old-hash new-hash status", then the path
        _, _, change = field.rpartition(b":")
        if not change:
            continue
        _, mode, _, name, status = change.split()
        path = next(fields).decode("utf-8", "replace")
        if status == _DELETED or not mode.startswith(_REGULAR_FILE):
            continue
        if path.lower().endswith(_SUFFIXES):
            folder = path.rpartition("/")[0]
            before = found.get(name.decode())
            folders = before.folders if before else frozenset()
            found[name.decode()] = Blob(path, folders | {folder})
    return found


def _git(clone: Path, *arguments: str) -> bytes:
    """What git says about a repository."""
    command = ["git", "--no-pager", "-C", str(clone), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise UserError("there is no git here to read a history with") from error
    if done.returncode:
        message = done.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise UserError(f"{clone} is no git repository that can be read: {message}")
    return done.stdout


def _contents(
    clone: Path, names: Sequence[str], skipped: Counter[str]
) -> Iterator[tuple[str, bytes]]:
    """The contents of files by their hashes; those that the clone lacks are counted."""
    common.check_sizes(clone, [0] * len(names))
    for name in names:
        try:
            size = int(_git(clone, "cat-file", "-s", name))
            common.check_sizes(clone, [size])
            yield name, _git(clone, "cat-file", "blob", name)
        except UserError:
            skipped["file that the clone lacks or that is too large"] += 1


def one_version(sequences: Sequence["NoteSequence"], skipped: Counter[str]) -> list["NoteSequence"]:
    """The sequences without other versions of a song: that with the most notes stays.

    Of those with as many notes the last one does.
    """
    pieces = [works.Piece(sequence.id, splits.all_phrases(sequence)) for sequence in sequences]
    links = works.links(pieces, len(pieces), _VERSION_SHARE)
    kept = []
    for group in splits.connected(len(pieces), links):
        kept.append(max(group, key=lambda index: (len(sequences[index].notes), index)))
        skipped["another version of a song"] += len(group) - 1
    return [sequences[index] for index in sorted(kept)]


def label(sequences: Sequence["NoteSequence"], paths: Mapping[str, str], collection: str) -> None:
    """Names sequences, in place, after their files in the repository."""
    for sequence in sequences:
        name = sequence.filename
        sequence.id = f"/id/midi/{collection}/{Path(name).stem.rpartition('_')[2]}"
        sequence.filename = paths[name]
        sequence.collection_name = collection
