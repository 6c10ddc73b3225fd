"""Outputs appear whole or not at all: they are written to a temporary name and renamed."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from music_vae.errors import UserError


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


def check_writable(directory: str | os.PathLike, flag: str) -> None:
    """Raises `UserError` if `directory` cannot be written to, or not be made; makes nothing."""
    path = Path(directory).expanduser().absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    if not path.is_dir():
        raise UserError(f"--{flag}={directory}: {path} is not a directory")
    if not os.access(path, os.W_OK):
        raise UserError(f"--{flag}={directory}: no permission to write to {path}")
