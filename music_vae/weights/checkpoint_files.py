"""Finding a checkpoint: every spelling of where it is, to the prefix of its files.

Needs no TensorFlow.
"""

import contextlib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from music_vae.common.errors import UserError, did_you_mean
from music_vae.weights import archives, published
from music_vae.weights.config_file import TRAIN_DIR

STATE_FILE = "checkpoint"
"""Beside the checkpoints of a run: names the newest, as TensorFlow writes it."""

PATTERN_CHARACTERS = frozenset("*?[]")
"""A path with one of them is a pattern to TensorFlow, which does not match itself."""

_NEWEST = re.compile(rb'^model_checkpoint_path: "((?:[^"\\]|\\.)*)"', re.MULTILINE)
_SUFFIX = re.compile(r"\.(index|data-\d{5}-of-\d{5})$")


@contextlib.contextmanager
def open_prefix(path: str | Path) -> Iterator[Path]:
    """The checkpoint prefix that `path` means, for as long as the context is open.

    Args:
      path: A prefix, its `.index` or `.data-*` file, a directory (the newest checkpoint in it, or
        in its folder `train`), an archive (`.tar`, `.tar.gz`, `.tgz` or `.zip`) with one
        checkpoint, or the id of a published checkpoint. `~` is expanded.

    Raises:
      UserError: If there is no such checkpoint, or the archive is damaged or refused.
    """
    path = published.resolve(path)
    if archives.is_archive(path):
        with tempfile.TemporaryDirectory(prefix="music_vae-") as folder:
            yield archives.unpack(path, Path(folder))
        return
    prefix = newest_prefix(path) if path.is_dir() else _prefix(path)
    if not PATTERN_CHARACTERS & set(str(prefix)):
        yield prefix
        return
    # TensorFlow would take such a name for a pattern, which does not match itself.
    with tempfile.TemporaryDirectory(prefix="music_vae-") as folder:
        plain = Path(folder) / "model.ckpt"
        for file in prefix.parent.iterdir():
            if file.name.startswith(f"{prefix.name}."):
                suffix = file.name.removeprefix(prefix.name)
                plain.with_name(plain.name + suffix).symlink_to(file.resolve())
        yield plain


def check_there(path: str | Path) -> None:
    """Raises `UserError` if `path` means no checkpoint; opens no archive and downloads nothing."""
    if published.find(path) is not None:
        return
    path = Path(path).expanduser()
    if path.is_dir():
        newest_prefix(path)
    elif not archives.is_archive(path):
        _prefix(path)


def newest_prefix(directory: Path) -> Path:
    """The newest checkpoint in `directory`, or else in its folder `train`; see `find_newest`."""
    newest = find_newest(directory) or find_newest(directory / TRAIN_DIR)
    if newest is None:
        raise UserError(f"there is no checkpoint in the directory {str(directory)!r}")
    return newest


def find_newest(folder: Path) -> Path | None:
    """The checkpoint that the file `checkpoint` names, or else the one written last; None if none.

    The file may be left of a checkpoint that is not there any more.
    """
    named = _named_newest(folder)
    if named is not None:
        return named
    found = sorted(folder.glob("*.index"), key=lambda path: path.stat().st_mtime)
    return found[-1].with_suffix("") if found else None


def _prefix(path: Path) -> Path:
    prefix = path.with_name(_SUFFIX.sub("", path.name))
    if not index_of(prefix).is_file():
        raise UserError(
            f"there is no checkpoint {str(path)!r}; expected a prefix such as "
            f"RUN_DIR/train/model.ckpt-1000, a directory, a {', '.join(archives.SUFFIXES)}, or the "
            f"id of a published checkpoint ({did_you_mean(str(path), published.PUBLISHED)})"
        )
    return prefix


def _named_newest(folder: Path) -> Path | None:
    """The checkpoint that the state file of `folder` names, if it is there."""
    try:
        match = _NEWEST.search((folder / STATE_FILE).read_bytes())
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    if match is None:
        return None
    # A text-format protocol buffer: UTF-8 with the escapes of C.
    name = match[1].decode("unicode_escape").encode("latin-1", "replace").decode("utf-8", "replace")
    prefix = folder / name
    return prefix if index_of(prefix).is_file() else None


def index_of(prefix: Path) -> Path:
    """The index file of the checkpoint with that prefix."""
    return prefix.with_name(f"{prefix.name}.index")
