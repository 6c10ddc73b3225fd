"""Writes files and folders so that they appear whole or not at all.

They are written under a temporary name and renamed when they are complete.
"""

import contextlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from music_vae.common.errors import UserError

_ESCAPED = "backslashreplace"  # of the names of files, which need not be UTF-8


def expand(path: str | os.PathLike) -> Path:
    """Returns a path with the home folder for `~`; the path as it is if there is none.

    So a file may be called `~draft.mid`, and users without a home folder can give any path.

    >>> expand("~/music") == Path.home() / "music"
    True
    >>> expand("~draft.mid").name
    '~draft.mid'
    """
    return Path(os.path.expanduser(path))  # that of Path raises an error


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary path beside `path`, to which it is renamed if no error occurs.

    After an error the temporary file is removed. It has the suffix of `path`, for writers that
    choose a format by it. Missing parent directories are made.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_path(f"{folder}/new/tune.txt") as temporary:
    ...         _ = temporary.write_text("C D E")
    ...     print(Path(f"{folder}/new/tune.txt").read_text())
    C D E
    """
    target = expand(path)
    with _file_beside(target) as temporary:
        yield temporary
        _make_readable(temporary)
        os.replace(temporary, target)


@contextlib.contextmanager
def new_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary path as `atomic_path` does, for a file that replaces none.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for text in ("C D E", "F G A"):
    ...         with new_path(f"{folder}/tune.txt") as temporary:
    ...             _ = temporary.write_text(text)
    Traceback (most recent call last):
    music_vae.common.errors.UserError: /.../tune.txt: there is a file of that name already, which
    is not replaced

    Raises:
      UserError: If there is a file at `path`, before the block or by its end.
    """
    target = expand(path)
    reason = f"{path}: there is a file of that name already, which is not replaced"
    if os.path.lexists(target):
        raise UserError(reason, hint="give another name")
    with _file_beside(target) as temporary:
        yield temporary
        _make_readable(temporary)
        try:
            _rename_to_new(temporary, target)
        except FileExistsError:
            raise UserError(reason, hint="give another name") from None


@contextlib.contextmanager
def _file_beside(target: Path) -> Iterator[Path]:
    """Yields a new, empty file, and removes it unless it has been renamed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(
        dir=target.parent, prefix=f".{target.stem}.", suffix=target.suffix
    )
    os.close(handle)
    temporary = Path(name)
    try:
        with named_in_errors(target, temporary):
            yield temporary
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def named_in_errors(target: Path, temporary: Path) -> Iterator[None]:
    """Has an `OSError` of the block name `target` where it names a temporary path or none.

    A full disk does not say which file it was, and a temporary one is not what a user asked for.

    >>> with named_in_errors(Path("tune.mid"), Path(".tune.x7")):
    ...     raise OSError(28, "No space left on device", ".tune.x7/1.mid")
    Traceback (most recent call last):
    OSError: [Errno 28] No space left on device: 'tune.mid'
    """
    try:
        yield
    except OSError as error:
        if error.errno and str(error.filename or temporary).startswith(str(temporary)):
            error.filename = str(target)
        raise


def _make_readable(path: Path, most: int = 0o666) -> None:
    """Gives a file the permissions that any new one gets, where a drive lets it.

    Temporary files are private. Network and Windows drives may refuse, and have permissions of
    their own.
    """
    umask = os.umask(0)
    os.umask(umask)
    with contextlib.suppress(OSError, NotImplementedError):
        path.chmod(most & ~umask)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes a text file as UTF-8; it appears whole or not at all.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_text(f"{folder}/tune.txt", "C♯ D E")
    ...     print(Path(f"{folder}/tune.txt").read_text(encoding="utf-8"))
    C♯ D E
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors=_ESCAPED)


def write_new_text(path: str | os.PathLike, text: str) -> Path:
    """Writes a text file as UTF-8 that replaces none, and returns its path.

    If there is a file of that name, the next free one is taken, as in `index-2.html`, even if
    several processes write at once.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [write_new_text(f"{folder}/index.html", text).name for text in ("one", "two")]
    ['index.html', 'index-2.html']
    """
    wanted = expand(path)
    with _file_beside(wanted) as temporary:
        temporary.write_text(text, encoding="utf-8", errors=_ESCAPED)
        _make_readable(temporary)
        for stem in _numbered(wanted.stem):
            target = wanted.with_name(f"{stem}{wanted.suffix}")
            with contextlib.suppress(FileExistsError):
                _rename_to_new(temporary, target)
                break
    return target


def _numbered(name: str) -> Iterator[str]:
    """Yields `name`, `name-2`, `name-3` and so on."""
    yield name
    yield from (f"{name}-{number}" for number in itertools.count(2))


def _rename_to_new(source: Path, target: Path) -> None:
    """Renames a file; raises `FileExistsError` if there is one of the new name."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # a drive without links
        os.close(os.open(target, os.O_CREAT | os.O_EXCL))
        os.replace(source, target)


@contextlib.contextmanager
def free_name(folder: str | os.PathLike, name: str) -> Iterator[str]:
    """Yields a name for files in a folder that none there has: `name`, else `name-2` and so on.

    The files are then called as the name, with `-` or `.` and more behind it. In the block no other
    process is given the same name, and after it, since files of this name are there. The folder is
    made if it is missing.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for text in ("C D E", "F G A"):
    ...         with free_name(folder, "tunes") as name:
    ...             write_text(f"{folder}/{name}-1.txt", text)
    ...     sorted(os.listdir(folder))
    ['tunes-1.txt', 'tunes-2-1.txt']
    """
    directory = expand(folder)
    directory.mkdir(parents=True, exist_ok=True)
    for free in _numbered(name):
        claim = directory / f".{free}.claim"
        try:
            os.close(os.open(claim, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            continue
        try:
            # In this order: who held the claim before has written its files.
            if not any(file.startswith((f"{free}-", f"{free}.")) for file in os.listdir(directory)):
                yield free
                return
        finally:
            claim.unlink(missing_ok=True)


def check_writable(directory: str | os.PathLike, argument: str) -> None:
    """Raises `UserError` if `directory` cannot be written to, or not be made; makes nothing.

    >>> check_writable("README.md", "output_dir")
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `output_dir=README.md`: .../README.md is not a directory

    Args:
      directory: Path of a folder, which need not exist.
      argument: Name of the argument that gives it, for messages.
    """
    path = expand(directory).absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    if not path.is_dir():
        raise UserError(f"`{argument}={directory}`: {path} is not a directory")
    if not os.access(path, os.W_OK):
        raise UserError(f"`{argument}={directory}`: no permission to write to {path}")


@contextlib.contextmanager
def atomic_directory(directory: str | os.PathLike, argument: str) -> Iterator[Path]:
    """Yields a temporary folder beside `directory`, to which it is renamed if no error occurs.

    After an error the temporary folder is removed.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_directory(f"{folder}/songs", "output_dir") as temporary:
    ...         _ = (temporary / "1.txt").write_text("C D E")
    ...     os.listdir(f"{folder}/songs")
    ['1.txt']

    Args:
      directory: Path of a folder that does not exist yet or is empty.
      argument: Name of the argument that gives it, for messages.

    Raises:
      UserError: If the folder holds something, is a file, or cannot be made.
    """
    target = expand(directory).absolute()
    check_new_directory(target, argument)
    with _directory_beside(target) as temporary:
        yield temporary
        check_new_directory(target, argument)
        if target.is_dir():
            target.rmdir()
        os.rename(temporary, target)


@contextlib.contextmanager
def cached_directory(directory: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary folder beside `directory`, to which it is renamed if no error occurs.

    If another process has made `directory` by then, that stays, and the temporary folder is
    removed: in a cache, both have the same content.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with cached_directory(f"{folder}/windows") as temporary:
    ...         _ = (temporary / "part.txt").write_text("1 2 3")
    ...     os.listdir(f"{folder}/windows")
    ['part.txt']
    """
    target = expand(directory).absolute()
    with _directory_beside(target) as temporary:
        yield temporary
        with contextlib.suppress(OSError):
            os.rename(temporary, target)


@contextlib.contextmanager
def _directory_beside(target: Path) -> Iterator[Path]:
    """Yields a new folder, as readable as any other, and removes it unless it has been renamed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        _make_readable(temporary, 0o777)
        with named_in_errors(target, temporary):
            yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_new_directory(directory: str | os.PathLike, argument: str) -> None:
    """Raises `UserError` unless `directory` is empty, or can be made; makes nothing.

    >>> check_new_directory("docs", "output_dir")
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `output_dir=docs` is not empty; ...

    Args:
      directory: Path of a folder, which need not exist.
      argument: Name of the argument that gives it, for messages.
    """
    check_writable(directory, argument)
    path = expand(directory)
    if path.is_dir() and any(path.iterdir()):
        raise UserError(
            f"`{argument}={directory}` is not empty; name a folder that is not there yet"
        )
    check_writable(path.absolute().parent, argument)
