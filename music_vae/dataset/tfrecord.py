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
from typing import BinaryIO, NamedTuple, cast

import google_crc32c

from music_vae.common import files
from music_vae.common.errors import UserError

# A protocol buffer, which is what the records hold here, cannot be larger.
_MAX_RECORD_BYTES = 2**31 - 1

_GZIP_MAGIC = b"\x1f\x8b"
_ZLIB = "the file is packed with zlib; files packed with gzip or not at all are read"
_HEADER = struct.Struct("<QI")
_CHECKSUM = struct.Struct("<I")
_MASK_DELTA = 0xA282EAD8

# Data is read in pieces of this size, so that a false length cannot make us allocate more than
# the file really holds.
_PIECE_BYTES = 1 << 20
_BEGINNING_BYTES = 1 << 12  # enough of packed data to unpack its first bytes


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
    for scanned in scan(path):
        if scanned.data is None:
            raise UserError(scanned.fault)
        yield scanned.data


class Scanned(NamedTuple):
    """A record that was read, or the fault of one that could not be.

    >>> Scanned(3, None, "a: record 3 is cut off in its header", "9 of 14 bytes were read").line
    'a: record 3 is cut off in its header; 9 of 14 bytes were read'

    Attributes:
      number: Number of the record in its file, from 1.
      data: The data of the record; None if it is damaged.
      fault: The file, the number and the fault of a damaged record.
      extent: For a fault that ends the file, the part of it that was read.
    """

    number: int
    data: bytes | None
    fault: str = ""
    extent: str = ""

    @property
    def line(self) -> str:
        """Line for the user that says all about a damaged record."""
        return "; ".join(filter(None, (self.fault, self.extent)))


def scan(path: str | os.PathLike) -> Iterator[Scanned]:
    """Yields each record as `read_records` does, and a fault in the place of a damaged one.

    Data whose checksum is wrong costs one record. After a false length, or where a file is cut off,
    nothing more can be found in it: that counts as one damaged record, and is the last.

    >>> scanned = next(scan("README.md"))
    >>> scanned.data, scanned.line
    (None, 'README.md: record 1 has a length whose checksum is wrong; is this a TFRecord file?; 0 of
    ... bytes were read')

    Raises:
      UserError: If the file is missing, or cannot be read.
    """
    source = files.expand(path)
    number, position = 0, 0
    try:
        with open(source, "rb") as raw:
            size_bytes = os.fstat(raw.fileno()).st_size
            compressed = raw.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
            raw.seek(0)
            file = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if compressed else raw
            stream = _Stream(file, source, None if compressed else size_bytes)
            for scanned in stream.records():
                number, position = scanned.number, stream.position
                yield scanned
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        fault = f"{source}: damaged gzip data: {error}"
        yield Scanned(number + 1, None, fault, _extent(position, None))
    except FileNotFoundError as error:
        raise UserError(f"{source}: no such file") from error
    except OSError as error:
        raise UserError(f"{source}: cannot be read: {error.strerror or error}") from error


def check_damaged(
    source: str, num_damaged: int, num_read: int, max_damaged: float, first_fault: str = ""
) -> None:
    """Raises `UserError` if so many records are damaged that the others should not be used.

    >>> check_damaged("a.tfrecord", num_damaged=1, num_read=999, max_damaged=0.01)
    >>> check_damaged("a.tfrecord", num_damaged=1, num_read=9, max_damaged=0.01)
    Traceback (most recent call last):
    music_vae.common.errors.UserError: 1 of 10 records of a.tfrecord is damaged, more than
    `max_damaged=0.01` allows

    Args:
      source: Name of the file or files.
      num_damaged: Number of damaged records.
      num_read: Number of records that could be read.
      max_damaged: Largest share of all records that may be damaged.
      first_fault: Fault of the first of them, if it is known.
    """
    total = num_damaged + num_read
    if not num_damaged or (num_read and num_damaged <= max_damaged * total):
        return
    if total == 1 and first_fault:
        raise UserError(first_fault)
    verb = "is" if num_damaged == 1 else "are"
    limit = f"more than `max_damaged={max_damaged:g}` allows" if num_read else "none is left"
    what = f"{num_damaged} of {total} records of {source} {verb} damaged, {limit}"
    raise UserError(f"{what}; the first: {first_fault}" if first_fault else what)


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


class _Stream:
    """An open file of records, and the place in it.

    Attributes:
      position: Number of bytes that were read as records.
    """

    def __init__(self, file: BinaryIO, source: Path, size_bytes: int | None) -> None:
        self._file, self._source, self._size_bytes = file, source, size_bytes
        self.position = 0

    def records(self) -> Iterator[Scanned]:
        """Yields the records; the last may be a fault that ends the file."""
        number = 0
        while header := _read_up_to(self._file, _HEADER.size):
            number += 1
            where = f"{self._source}: record {number}"
            length, fault = self._length(header, number)
            if fault:
                yield Scanned(number, None, fault, _extent(self.position, self._size_bytes))
                return
            data, checksum, fault = self._body(length, where)
            if fault:
                yield Scanned(number, None, fault, _extent(self.position, self._size_bytes))
                return
            self.position += _HEADER.size + length + _CHECKSUM.size
            if _CHECKSUM.unpack(checksum)[0] != _masked_crc(data):
                fault = f"{where} has data whose checksum is wrong; the file is damaged"
                yield Scanned(number, None, fault)
            else:
                yield Scanned(number, data)

    def _length(self, header: bytes, number: int) -> tuple[int, str]:
        """Returns the length that a header states, and its fault, if any."""
        where = f"{self._source}: record {number}"
        if len(header) < _HEADER.size:
            return 0, f"{where} is cut off in its header; {_hint(number)}"
        length, length_crc = _HEADER.unpack(header)
        if length_crc != _masked_crc(header[:8]):
            if number == 1 and _is_zlib(header + self._file.read(_BEGINNING_BYTES)):
                return 0, f"{self._source}: these records are not NoteSequences: {_ZLIB}"
            return 0, f"{where} has a length whose checksum is wrong; {_hint(number)}"
        if length > _MAX_RECORD_BYTES:
            return 0, f"{where} claims {length} bytes, more than a record can hold"
        return length, ""

    def _body(self, length: int, where: str) -> tuple[bytes, bytes, str]:
        """Returns the data of a record, its checksum, and the fault of one that is cut off."""
        rest = length + _CHECKSUM.size
        if self._size_bytes is not None:
            left = self._size_bytes - self.position - _HEADER.size
            if rest > left:
                return b"", b"", f"{where} is cut off: {left} of {rest} bytes are left"
        body = _read_up_to(self._file, rest)
        if len(body) < rest:
            return b"", b"", f"{where} is cut off: {len(body)} of {rest} bytes are left"
        return body[:length], body[length:], ""


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


def _extent(position: int, size_bytes: int | None) -> str:
    """Returns the part of a file that was read; a compressed file's whole size is not known."""
    if size_bytes is None:
        return f"{position} bytes of its unpacked data were read"
    return f"{position} of {size_bytes} bytes were read"


def _is_zlib(beginning: bytes) -> bool:
    """Returns True for the beginning of records that zlib packed."""
    try:
        header = zlib.decompressobj().decompress(beginning, _HEADER.size)
    except zlib.error:
        return False
    if len(header) < _HEADER.size:
        return False
    return bool(_HEADER.unpack(header)[1] == _masked_crc(header[:8]))


def _hint(number: int) -> str:
    """Returns the likely cause of a wrong header: at the start, that this is some other file."""
    return "is this a TFRecord file?" if number == 1 else "the file is damaged"


def _masked_crc(data: bytes) -> int:
    """Returns the CRC-32C of `data`, rotated right by 15 bits, plus a constant, modulo 2^32."""
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF
