"""Finds the files of a checkpoint, whatever way the user names it.

The files of a TensorFlow checkpoint share a prefix: `model.ckpt-1000` stands for
`model.ckpt-1000.index` and `model.ckpt-1000.data-00000-of-00001`. Needs no TensorFlow.
"""

import contextlib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from music_vae.common import files
from music_vae.common.errors import UserError, did_you_mean
from music_vae.weights import archives, published
from music_vae.weights.config_file import TRAIN_DIR

STATE_FILE = "checkpoint"
"""Name of the file that TensorFlow writes beside checkpoints; it names the newest of them."""

PATTERN_CHARACTERS = frozenset("*?[]")
"""Characters that make a path a pattern for TensorFlow, which then does not match itself."""

_NEWEST = re.compile(rb'^model_checkpoint_path: "((?:[^"\\]|\\.)*)"', re.MULTILINE)
_SUFFIX = re.compile(r"\.(index|data-\d{5}-of-\d{5})$")


@contextlib.contextmanager
def open_prefix(path: str | Path) -> Iterator[Path]:
    """Gives the checkpoint prefix that `path` stands for, which is valid inside the context.

    >>> with open_prefix("tests/golden/models/cat-mel_2bar_small") as prefix:
    ...     prefix.name
    'model.ckpt'

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


def check_there(path: str | Path, others: str = "") -> None:
    """Raises `UserError` if `path` stands for no TensorFlow checkpoint; see `locate.check_there`.

    Nothing is downloaded or unpacked.

    >>> check_there("tests/golden/models/cat-mel_2bar_small")
    >>> check_there("examples")
    Traceback (most recent call last):
    music_vae.common.errors.UserError: there is no checkpoint in the directory 'examples'

    Args:
      path: The checkpoint, as for `open_prefix`.
      others: Further things that the caller takes, for the message: a list that ends with a comma.
    """
    if published.find(path) is not None:
        return
    path = files.expand(path)
    if path.is_dir():
        newest_prefix(path)
    elif not archives.is_archive(path):
        _prefix(path, others)


def newest_prefix(directory: Path) -> Path:
    """Returns the prefix of the newest checkpoint in `directory`, or else in its folder `train`.

    >>> newest_prefix(Path("tests/golden/models/cat-mel_2bar_small")).name
    'model.ckpt'

    Raises:
      UserError: If there is no checkpoint.
    """
    newest = find_newest(directory) or find_newest(directory / TRAIN_DIR)
    if newest is None:
        raise UserError(f"there is no checkpoint in the directory {str(directory)!r}")
    return newest


def find_newest(folder: Path) -> Path | None:
    """Returns the prefix of the newest checkpoint in `folder`, or None if there is none.

    That is the checkpoint which the file `checkpoint` names; if there is no such file, or the
    checkpoint is gone that it names, the one that was written last.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for step in 100, 200:
    ...         Path(folder, f"model.ckpt-{step}.index").touch()
    ...     _ = Path(folder, "checkpoint").write_text('model_checkpoint_path: "model.ckpt-100"')
    ...     find_newest(Path(folder)).name
    'model.ckpt-100'
    """
    named = _named_newest(folder)
    if named is not None:
        return named
    indices = sorted(folder.glob("*.index"), key=lambda path: path.stat().st_mtime)
    return indices[-1].with_suffix("") if indices else None


def _prefix(path: Path, others: str = "") -> Path:
    """Returns the prefix of the checkpoint that has the file `path`, or whose prefix it is."""
    prefix = path.with_name(_SUFFIX.sub("", path.name))
    if not index_of(prefix).is_file():
        raise UserError(
            f"there is no checkpoint {str(path)!r}; expected a prefix such as "
            f"RUN_DIR/train/model.ckpt-1000, {others}a directory, a "
            f"{', '.join(archives.SUFFIXES)}, or the id of a published checkpoint "
            f"({did_you_mean(str(path), published.PUBLISHED)})"
        )
    return prefix


def _named_newest(folder: Path) -> Path | None:
    """Returns the checkpoint that the state file of `folder` names, or None if it is not there.

    A state file that makes no sense names none.
    """
    try:
        match = _NEWEST.search((folder / STATE_FILE).read_bytes())
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    if match is None:
        return None
    try:
        # A text-format protocol buffer: UTF-8 with the escapes of C.
        name = match[1].decode("unicode_escape").encode("latin-1", "replace")
        prefix = folder / name.decode("utf-8", "replace")
        return prefix if index_of(prefix).is_file() else None
    except (ValueError, OSError):  # no escape, or no name that a file can have
        return None


def index_of(prefix: Path) -> Path:
    """Returns the path of the index file of the checkpoint with the given prefix.

    >>> index_of(Path("model.ckpt-1000")).name
    'model.ckpt-1000.index'
    """
    return prefix.with_name(f"{prefix.name}.index")
