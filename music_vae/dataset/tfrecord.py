"""Reads and writes TFRecord files without TensorFlow, whose import takes seconds.

A record is its length (8 bytes, little-endian), a masked CRC-32C of those 8 bytes, the data, and a
masked CRC-32C of the data. The mask keeps a checksum of data that itself holds checksums from
degenerating: https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
"""

import glob
import gzip
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

import google_crc32c

from music_vae.common import files
from music_vae.common.errors import UserError

# A protocol buffer, which is what the records hold here, cannot be larger.
_MAX_RECORD_BYTES = 2**31 - 1

_GZIP_MAGIC = b"\x1f\x8b"
_HEADER = struct.Struct("<QI")
_CHECKSUM = struct.Struct("<I")
_MASK_DELTA = 0xA282EAD8

# Data is read in pieces of this size, so that a false length cannot make us allocate more than
# the file really holds.
_PIECE_BYTES = 1 << 20


def write_records(path: str | os.PathLike, records: Iterable[bytes]) -> int:
    """Writes one record per item, and returns their number.

    The file appears only when `records` is exhausted; if that raises, nothing is left behind.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     number = write_records(f"{folder}/two.tfrecord", [b"first", b"second"])
    ...     number, list(read_records(f"{folder}/two.tfrecord"))
    (2, [b'first', b'second'])
    """
    count = 0
    with files.atomic_path(path) as temporary, open(temporary, "wb") as file:
        for count, data in enumerate(records, start=1):  # noqa: B007
            length = struct.pack("<Q", len(data))
            file.write(length + _CHECKSUM.pack(_masked_crc(length)))
            file.write(data)
            file.write(_CHECKSUM.pack(_masked_crc(data)))
    return count


def read_records(path: str | os.PathLike) -> Iterator[bytes]:
    """Yields the data of each record, its checksums verified; none for an empty file.

    A gzip-compressed file is read as if it were not. The file is opened at the first `next`.

    >>> next(read_records("README.md"))
    Traceback (most recent call last):
    music_vae.common.errors.UserError: README.md: record 1 has a length whose checksum is wrong;
    is this a TFRecord file?

    Raises:
      UserError: If the file is missing, truncated, damaged or not a TFRecord file; the message
        names the file, the number of the record (from 1) and the fault.
    """
    source = files.expand(path)
    try:
        with open(source, "rb") as raw:
            compressed = raw.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
            raw.seek(0)
            if compressed:
                with gzip.open(raw) as unzipped:
                    yield from _read_stream(cast(BinaryIO, unzipped), source, size_bytes=None)
            else:
                yield from _read_stream(raw, source, size_bytes=os.fstat(raw.fileno()).st_size)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{source}: damaged gzip data: {error}") from error
    except FileNotFoundError as error:
        raise UserError(f"{source}: no such file") from error
    except OSError as error:
        raise UserError(f"{source}: cannot be read: {error.strerror or error}") from error


def is_remote(path: str) -> bool:
    """Returns True for a path of another file system than this machine's.

    >>> is_remote("gs://bucket/tunes.tfrecord"), is_remote("tunes.tfrecord")
    (True, False)
    """
    return "://" in path


def expand_patterns(patterns: str) -> list[Path]:
    """Returns the files that a name, a glob pattern or a comma-separated list of them stands for.

    Each file comes once, in sorted order; `~` and `**` are understood. A name that exists is
    taken as it is, even if it holds a comma or a glob character.

    >>> [path.name for path in expand_patterns("examples/two_bars/*.mid,README.md")]
    ['README.md', 'durangs_hornpipe.mid', 'fishers_hornpipe.mid']

    Raises:
      UserError: If a pattern matches no file.
    """
    whole = files.expand(patterns)
    if patterns and whole.is_file():
        return [whole]
    paths: set[Path] = set()
    names = [name.strip() for name in patterns.split(",") if name.strip()]
    if not names:
        raise UserError("no file name given; expected a file, a pattern or a list with commas")
    for name in names:
        paths.update(_expand_pattern(name))
    return sorted(paths)


def _expand_pattern(name: str) -> list[Path]:
    """Returns the files of one pattern; raises `UserError` if there are none."""
    path = files.expand(name)
    if path.is_file():
        return [path]
    if path.is_dir():
        raise UserError(f"{name} is a directory; give its files, for example {path}/*.tfrecord")
    matches = [Path(match) for match in glob.glob(str(path), recursive=True)]
    found = [match for match in matches if match.is_file()]
    if not found:
        raise UserError(f"no file matches {name}")
    return found


def _read_stream(file: BinaryIO, source: Path, size_bytes: int | None) -> Iterator[bytes]:
    """Yields the records of an open file, whose size is `size_bytes` if that is known."""
    number = 0
    position = 0
    while header := _read_up_to(file, _HEADER.size):
        number += 1
        where = f"{source}: record {number}"
        if len(header) < _HEADER.size:
            raise UserError(f"{where} is cut off in its header; {_hint(number)}")
        length, length_crc = _HEADER.unpack(header)
        if length_crc != _masked_crc(header[:8]):
            raise UserError(f"{where} has a length whose checksum is wrong; {_hint(number)}")
        if length > _MAX_RECORD_BYTES:
            raise UserError(f"{where} claims {length} bytes, more than a record can hold")
        position += _HEADER.size
        rest = length + _CHECKSUM.size
        if size_bytes is not None and rest > size_bytes - position:
            raise UserError(f"{where} is cut off: {size_bytes - position} of {rest} bytes are left")
        body = _read_up_to(file, rest)
        if len(body) < rest:
            raise UserError(f"{where} is cut off: {len(body)} of {rest} bytes are left")
        position += rest
        data = body[:length]
        if _CHECKSUM.unpack(body[length:])[0] != _masked_crc(data):
            raise UserError(f"{where} has data whose checksum is wrong; the file is damaged")
        yield data


def _read_up_to(file: BinaryIO, size: int) -> bytes:
    """Reads `size` bytes, or as many as are left."""
    if size <= _PIECE_BYTES:
        return file.read(size)
    pieces = bytearray()
    while len(pieces) < size:
        piece = file.read(min(_PIECE_BYTES, size - len(pieces)))
        if not piece:
            break
        pieces += piece
    return bytes(pieces)


def _hint(number: int) -> str:
    """Returns the likely cause of a wrong header: at the start, that this is some other file."""
    return "is this a TFRecord file?" if number == 1 else "the file is damaged"


def _masked_crc(data: bytes) -> int:
    """Returns the CRC-32C of `data`, rotated right by 15 bits, plus a constant, modulo 2^32."""
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF
