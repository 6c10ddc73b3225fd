"""Outputs appear whole or not at all: they are written to a temporary name and renamed."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from music_vae.common.errors import UserError


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary path beside `path`; on success it replaces `path`, on an error it goes.

    The temporary file keeps the suffix of `path`, for writers that choose a format by it. Missing
    parent directories are made.
    """
    target = Path(path).expanduser()
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(
        dir=target.parent, prefix=f".{target.stem}.", suffix=target.suffix
    )
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes a text file atomically, as UTF-8."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def check_writable(directory: str | os.PathLike, argument: str) -> None:
    """Raises `UserError` if `directory` cannot be written to, or not be made; makes nothing.

    Args:
      directory: A folder, which need not be there.
      argument: The name of the argument that gives it, for messages.
    """
    path = Path(directory).expanduser().absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    if not path.is_dir():
        raise UserError(f"`{argument}={directory}`: {path} is not a directory")
    if not os.access(path, os.W_OK):
        raise UserError(f"`{argument}={directory}`: no permission to write to {path}")


@contextlib.contextmanager
def atomic_directory(directory: str | os.PathLike, argument: str) -> Iterator[Path]:
    """Yields a temporary folder beside `directory`; on success it becomes it, on an error it goes.

    Args:
      directory: What must not be there yet, or be empty.
      argument: As for `check_writable`.

    Raises:
      UserError: If it holds something, is a file, or cannot be made.
    """
    target = Path(directory).expanduser().absolute()
    check_new_directory(target, argument)
    with _directory_beside(target) as temporary:
        yield temporary
        check_new_directory(target, argument)
        if target.is_dir():
            target.rmdir()
        os.rename(temporary, target)


@contextlib.contextmanager
def cached_directory(directory: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary folder beside `directory`, which becomes it; on an error it goes.

    What another process has made there by then is equal, for a cache: it stays, and this one goes.
    """
    target = Path(directory).expanduser().absolute()
    with _directory_beside(target) as temporary:
        yield temporary
        with contextlib.suppress(OSError):
            os.rename(temporary, target)


@contextlib.contextmanager
def _directory_beside(target: Path) -> Iterator[Path]:
    """A new folder, as readable as any other; what has not been renamed by the end goes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o777 & ~umask)
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_new_directory(directory: str | os.PathLike, argument: str) -> None:
    """Raises `UserError` unless `directory` is empty, or can be made; makes nothing."""
    check_writable(directory, argument)
    path = Path(directory).expanduser()
    if path.is_dir() and any(path.iterdir()):
        raise UserError(
            f"`{argument}={directory}` is not empty; name a folder that is not there yet"
        )
    check_writable(path.absolute().parent, argument)
