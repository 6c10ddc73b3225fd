"""Reads checkpoints from tar and zip archives, without trusting the archives.

An archive may come from anywhere. Only regular members named `*.index`, `*.data-*`, `*.json` or
`*.safetensors` are read, under their base names. All members are looked at first: an archive with a
link, a device, a sparse file, a path that leads outside, or more than a checkpoint can have is
refused before anything is written.
"""

import contextlib
import errno
import gzip
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from music_vae.common.errors import UserError
from music_vae.common.json_values import brief, shown

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".zip")
"""Endings of the names of archives. The content, not the name, decides how one is read."""

MAX_MEMBER_BYTES = 8 * 2**30  # of one file: twice the largest published checkpoint
MAX_TOTAL_BYTES = 12 * 2**30  # of all files, those that are not read included
MAX_MEMBERS = 10_000
_MAX_INDEX_BYTES = 2**26

_MAX_READ = 4 * 2**20  # of a tar at once: a header of its own may claim any length
_CHUNK = 2**20
_MAX_NAME = 200  # characters of a base name; some file systems take no more than 255 bytes
_MAX_REASON, _MAX_LISTED = 200, 5  # characters of a library's message; names in one of ours
# Names that begin with a dot are left out: macOS adds such a twin to every file.
_WANTED = re.compile(r"[^.].*(\.index|\.data-\d{5}-of-\d{5}|\.json|\.safetensors)")
_SHARD = re.compile(r"\.data-(\d{5})-of-(\d{5})$")
_DRIVE = re.compile(r"[A-Za-z]:")
_FILE, _FOLDER, _LINK, _DEVICE = "a file", "a folder", "a link", "a device"
_GZIP, _ZIP = b"\x1f\x8b", b"PK"
# What tarfile and zipfile raise for damage, encryption and unknown compression.
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    ArithmeticError,
    EOFError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)


class _Member(NamedTuple):
    """A member of an archive, as the archive describes it.

    Attributes:
      path: Path of the member in the archive.
      size: Number of bytes that the member claims to have.
      kind: "a file", "a folder", or a phrase for something else.
      open: Function that opens the content of the member.
    """

    path: str
    size: int
    kind: str
    open: Callable[[], IO[bytes] | None]


def is_archive(path: Path) -> bool:
    """Returns True if `path` is a file that is named like an archive.

    >>> import shutil, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     archive = shutil.make_archive(f"{folder}/tunes", "zip", "examples/two_bars")
    ...     is_archive(Path(archive)), is_archive(Path(f"{folder}/other.zip"))
    (True, False)
    """
    return path.name.lower().endswith(SUFFIXES) and path.is_file()


def check(archive: Path) -> None:
    """Raises `UserError` unless `unpack` could read `archive`, whatever its name.

    >>> check(Path("README.md"))
    Traceback (most recent call last):
    music_vae.common.errors.UserError: 'README.md' cannot be read as a tar archive: invalid header
    """
    with _opened(archive) as members:
        _only_prefix(_looked_through(members, archive), archive)


def unpack(archive: Path, folder: Path) -> Path:
    """Copies the one checkpoint in `archive` into `folder`; returns its prefix there.

    >>> import shutil, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     checkpoint = "tests/golden/models/cat-mel_2bar_small"
    ...     archive = shutil.make_archive(f"{folder}/model", "tar", checkpoint)
    ...     _ = unpack(Path(archive), Path(folder))
    ...     sorted(path.name for path in Path(folder).iterdir())
    ['model.ckpt.data-00000-of-00001', 'model.ckpt.index', 'model.tar']

    Raises:
      UserError: If the archive is damaged or refused, or holds no checkpoint, or several.
    """
    with _opened(archive) as members:
        wanted = _looked_through(members, archive)
        prefix = _only_prefix(wanted, archive)
        for name, member in wanted.items():
            if name.startswith(f"{prefix}."):
                with (folder / name).open("wb") as output:
                    for chunk in _content(member):
                        output.write(chunk)
    return folder / prefix


def read_index(archive: Path) -> bytes:
    """Returns the index of the one checkpoint in `archive`, which tells it from all others.

    >>> import shutil, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     checkpoint = "tests/golden/models/cat-mel_2bar_small"
    ...     archive = shutil.make_archive(f"{folder}/model", "tar", checkpoint)
    ...     len(read_index(Path(archive)))
    827

    Raises:
      UserError: As for `unpack`.
    """
    with _opened(archive) as members:
        wanted = _looked_through(members, archive)
        index = wanted[f"{_only_prefix(wanted, archive)}.index"]
        return _short_content(index, archive, _MAX_INDEX_BYTES)


def read_json(archive: Path, name: str, max_bytes: int) -> bytes | None:
    """Returns the content of the member `name`, or None if there is none.

    >>> import json, shutil, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model = "music_vae/models/groovae_4bar_mini"
    ...     archive = shutil.make_archive(f"{folder}/model", "tar", model)
    ...     json.loads(read_json(Path(archive), "config.json", max_bytes=10_000))["config"]["name"]
    'groovae_4bar_mini'

    Args:
      archive: A tar or zip file.
      name: Base name of the member, which ends in `.json`.
      max_bytes: Size from which on a member is refused.

    Raises:
      UserError: If the archive is damaged or refused, or the member is longer than `max_bytes`.
    """
    with _opened(archive) as members:
        member = _looked_through(members, archive).get(name)
        return None if member is None else _short_content(member, archive, max_bytes)


@contextlib.contextmanager
def open_member(archive: Path, name: str) -> Iterator[Iterator[bytes] | None]:
    """Opens the member `name` and gives its content in pieces, or None if there is none.

    >>> import shutil, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model = "music_vae/models/groovae_4bar_mini"
    ...     archive = shutil.make_archive(f"{folder}/model", "tar", model)
    ...     with open_member(Path(archive), "weights.safetensors") as pieces:
    ...         sum(len(piece) for piece in pieces)
    1000170

    Args:
      archive: A tar or zip file.
      name: Base name of a member that is named as the module says.

    Raises:
      UserError: If the archive is damaged or refused.
    """
    with _opened(archive) as members:
        member = _looked_through(members, archive).get(name)
        yield None if member is None else _content(member)


# -- Looking through ------------------------------------------------------------------------------


def _looked_through(members: Iterable[_Member], archive: Path) -> dict[str, _Member]:
    """Returns the members to be read, by base name, after all members have been looked at."""
    wanted: dict[str, _Member] = {}
    total = 0
    for number, member in enumerate(members, start=1):
        total += member.size
        problem = _problem(member)
        name = member.path.rpartition("/")[2]
        is_wanted = member.kind == _FILE and _WANTED.fullmatch(name)
        if number > MAX_MEMBERS:
            problem = f"it has more than {MAX_MEMBERS:,} members"
        elif not problem and total > MAX_TOTAL_BYTES:
            problem = f"its members claim more than {MAX_TOTAL_BYTES:,} bytes"
        elif not problem and is_wanted and name in wanted:
            problem = f"it holds two files named {shown(name)}"
        elif not problem and is_wanted and len(name) > _MAX_NAME:
            problem = f"it holds a file named {shown(name)}, which is too long a name"
        if problem:
            raise UserError(f"the archive {archive.name} is refused: {problem}")
        if is_wanted:
            wanted[name] = member
    return wanted


def _problem(member: _Member) -> str | None:
    """Returns the reason why a member is no part of an honest archive, or None."""
    path = member.path
    outside = path.startswith("/") or "\\" in path or "\0" in path or _DRIVE.match(path)
    if outside or ".." in path.split("/"):
        return f"{shown(path)} is not a path within it"
    if member.kind not in (_FILE, _FOLDER):
        return f"{shown(path)} is {member.kind}; expected files"
    if not 0 <= member.size <= MAX_MEMBER_BYTES:
        return _too_long(member, MAX_MEMBER_BYTES)
    return None


def _too_long(member: _Member, limit: int) -> str:
    """Returns the message about a member that claims more than `limit` bytes."""
    return f"{shown(member.path)} claims {member.size:,} bytes; expected at most {limit:,}"


def _only_prefix(names: Iterable[str], archive: Path) -> str:
    """Returns the base name of the one checkpoint; raises `UserError` unless it is complete."""
    names = set(names)
    prefixes = sorted(name.removesuffix(".index") for name in names if name.endswith(".index"))
    if len(prefixes) != 1:
        listed = ", ".join(map(brief, prefixes[:_MAX_LISTED])) or "none"
        listed += ", ..." if len(prefixes) > _MAX_LISTED else ""
        raise UserError(f"{archive.name} must hold one checkpoint; found {listed}")
    (prefix,) = prefixes
    shards = {name[len(prefix) :] for name in names if name.startswith(f"{prefix}.data-")}
    counts = {match[2] for match in map(_SHARD.fullmatch, shards) if match}
    count = int(counts.pop()) if len(counts) == 1 else 0
    if not count or len(shards) != count:
        raise UserError(
            f"{archive.name} holds {brief(prefix)}.index, but not all of its data files"
        )
    return prefix


def _short_content(member: _Member, archive: Path, max_bytes: int) -> bytes:
    """Returns the content of a member; raises `UserError` if it is longer than `max_bytes`."""
    if member.size > max_bytes:
        raise UserError(f"{archive.name}: {_too_long(member, max_bytes)}")
    return b"".join(_content(member))


def _content(member: _Member) -> Iterator[bytes]:
    """Yields the content of a member in pieces, never more than the member claims to have."""
    source, left = member.open(), member.size
    if source is None:
        raise EOFError(f"{shown(member.path)} has no content")
    with source:
        while left:
            chunk = source.read(min(left, _CHUNK))
            if not chunk:
                raise EOFError(f"{shown(member.path)} ends {left:,} bytes early")
            left -= len(chunk)
            yield chunk
        # Reading past the end lets zipfile compare its checksum.
        if source.read(1):
            raise EOFError(f"{shown(member.path)} is longer than it claims")


# -- Tar and zip ----------------------------------------------------------------------------------


@contextlib.contextmanager
def _opened(archive: Path) -> Iterator[Iterable[_Member]]:
    """Opens an archive and gives its members; turns damage met meanwhile into a `UserError`."""
    kind = "archive"
    try:
        with contextlib.ExitStack() as stack:
            file: Any = stack.enter_context(archive.open("rb"))
            magic = file.read(2)
            file.seek(0)
            kind = "zip archive" if magic == _ZIP else "tar archive"
            if magic == _ZIP:
                yield _zip_members(stack.enter_context(zipfile.ZipFile(file)))
                return
            if magic == _GZIP:
                file = stack.enter_context(gzip.GzipFile(fileobj=file))
            reader: Any = _CautiousReader(file)
            yield _tar_members(stack.enter_context(tarfile.open(fileobj=reader, mode="r:")))
    except UserError:
        raise
    except (*_DAMAGE, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # the system's: no permission, a full disk
        reason = (str(error) or type(error).__name__)[:_MAX_REASON]  # which may quote the file
        raise UserError(f"{str(archive)!r} cannot be read as a {kind}: {reason}") from error


class _CautiousReader:
    """Reads the bytes of a tar, but refuses to read as many at once as a false header may claim."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MAX_READ:
            raise tarfile.ReadError(f"a header claims a length of {size:,}")
        return self._file.read(size)


def _tar_members(tar: tarfile.TarFile) -> Iterator[_Member]:
    for member in tar:
        yield _Member(member.name, member.size, _tar_kind(member), _tar_opener(tar, member))


def _tar_opener(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Callable[[], IO[bytes] | None]:
    return lambda: tar.extractfile(member)


def _tar_kind(member: tarfile.TarInfo) -> str:
    if member.issparse():
        return "a sparse file"
    if member.issym() or member.islnk():
        return _LINK
    if member.isdir():
        return _FOLDER
    return _FILE if member.isreg() else _DEVICE


def _zip_members(archive: zipfile.ZipFile) -> Iterator[_Member]:
    for member in archive.infolist():
        yield _Member(
            member.filename, member.file_size, _zip_kind(member), _zip_opener(archive, member)
        )


def _zip_opener(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Callable[[], IO[bytes]]:
    return lambda: archive.open(member)


def _zip_kind(member: zipfile.ZipInfo) -> str:
    mode = stat.S_IFMT(member.external_attr >> 16)  # 0 where no Unix made it
    if mode == stat.S_IFLNK:
        return _LINK
    if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
        return _DEVICE
    if member.flag_bits & 1:
        return "an encrypted file"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "a file of an unusual compression"
    return _FOLDER if member.is_dir() else _FILE
