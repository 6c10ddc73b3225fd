"""Keeps converted examples in files, which are checked and memory-mapped when they are read.

A folder holds one raw little-endian file for each array of `example_store.Packed`, and `index.json`
with their types, shapes and checksums. A folder appears only when it is complete, since it is
written under another name and renamed. A folder that does not agree with its index is not used.
"""

import json
import logging
import math
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import google_crc32c
import numpy as np

from music_vae.common.cache import cache_dir
from music_vae.common.json_values import MALFORMED
from music_vae.dataset.example_store import Packed

FORMAT_VERSION = 1
INDEX = "index.json"
_PIECE_BYTES = 1 << 22
# The kinds of NumPy's types that each array may have: no objects, which could hold anything.
_KINDS = dict.fromkeys(Packed._fields, "i") | {
    "outputs": "if",
    "inputs": "if",
    "controls": "if",
    "own_inputs": "b",
}

_logger = logging.getLogger(__name__)


class DamagedCacheError(Exception):
    """Raised when a folder does not agree with its index, or has none.

    >>> read(Path("examples"))
    Traceback (most recent call last):
    music_vae.dataset.disk_cache.DamagedCacheError: FileNotFoundError: ...
    """


class Writer:
    """Collects examples in memory, and in files from a certain size on.

    Examples, groups and pieces are numbered through as they come.

    >>> from music_vae.dataset.example_store import PieceGroups, pack
    >>> from music_vae.music.converters.base import Example
    >>> tokens = np.array([41, 0, 43], np.int8)
    >>> piece = PieceGroups([[Example(tokens, tokens, None, np.int32(3))]], [0])
    >>> writer = Writer(None, limit_bytes=10_000)
    >>> for _ in range(2):
    ...     writer.append(pack([piece], num_transpositions=1))
    >>> writer.packed().outputs.tolist(), writer.in_files
    ([41, 0, 43, 41, 0, 43], False)

    Attributes:
      directory: Folder of the files; None as long as there is none.
      temporary: The same folder if it is a temporary one.
      in_files: True once examples have been written to files.
    """

    def __init__(self, directory: Path | None, *, limit_bytes: int) -> None:
        """Writes nothing yet.

        Args:
          directory: An existing folder for the files. None: a folder is made when it is needed,
            `temporary`, which is deleted with the last reference to it.
          limit_bytes: Number of bytes that may be kept in memory; 0: everything goes to files.
        """
        self.directory = directory
        self.temporary: tempfile.TemporaryDirectory | None = None
        self._limit_bytes = limit_bytes
        self._in_memory: dict[str, list[np.ndarray]] = {name: [] for name in Packed._fields}
        self._bytes = 0
        self._num_groups = 0
        self._arrays: dict[str, _ArrayFile] = {}
        self.in_files = False

    def append(self, packed: Packed) -> None:
        """Adds pieces."""
        first = self._num_groups
        self._num_groups += len(packed.group_sizes)
        packed = packed._replace(
            base_groups=packed.base_groups + first, groups=packed.groups + first
        )
        for name, array in packed._asdict().items():
            if len(array):
                self._in_memory[name].append(array)
                self._bytes += array.nbytes
        if self._bytes > self._limit_bytes:
            self._flush()

    def close(self) -> None:
        """Writes the rest to the files, and closes them."""
        self._flush()
        for array in self._arrays.values():
            array.close()

    def packed(self) -> Packed:
        """Returns all that was added.

        If it is in files, it is memory-mapped, and nothing more can be added.
        """
        if not self.in_files or self.directory is None:
            return Packed(*(_concatenated(self._in_memory[name]) for name in Packed._fields))
        self.close()
        return Packed(*(_mapped(self.directory, name, e) for name, e in self.entries().items()))

    def entries(self) -> dict[str, dict[str, Any]]:
        """Returns the entries of the files in an index: type, shape and checksum of each."""
        entries = {name: array.entry() for name, array in self._arrays.items()}
        return {name: entries.get(name, _EMPTY) for name in Packed._fields}

    def _flush(self) -> None:
        if self.directory is None:
            cache_dir().mkdir(parents=True, exist_ok=True)
            self.temporary = tempfile.TemporaryDirectory(dir=cache_dir(), prefix=".temporary.")
            self.directory = Path(self.temporary.name)
            _logger.info("the examples do not fit in memory; they go to %s", self.directory)
        self.in_files = True
        self._limit_bytes = min(self._limit_bytes, _PIECE_BYTES)
        for name, arrays in self._in_memory.items():
            for array in arrays:
                if name not in self._arrays:
                    self._arrays[name] = _ArrayFile(self.directory / f"{name}.bin", array)
                self._arrays[name].write(array)
            arrays.clear()
        self._bytes = 0


class _ArrayFile:
    """A file of an array that grows along its first axis."""

    def __init__(self, path: Path, like: np.ndarray) -> None:
        self._file: BinaryIO = open(path, "xb")  # noqa: SIM115
        self._dtype, self._shape = like.dtype.newbyteorder("<"), like.shape[1:]
        self._length = 0
        self._checksum = google_crc32c.Checksum()

    def write(self, array: np.ndarray) -> None:
        data = np.ascontiguousarray(array, self._dtype).tobytes()
        self._file.write(data)
        self._checksum.update(data)
        self._length += len(array)

    def close(self) -> None:
        self._file.close()

    def entry(self) -> dict[str, Any]:
        return {
            "dtype": self._dtype.str,
            "shape": [self._length, *self._shape],
            "crc32c": self._checksum.hexdigest().decode(),
        }


_EMPTY: dict[str, Any] = {"dtype": "|i1", "shape": [0], "crc32c": "00000000"}


def _concatenated(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(arrays) if arrays else np.empty(0, np.int8)


def _mapped(directory: Path, name: str, entry: dict[str, Any]) -> np.ndarray:
    if not entry["shape"][0]:
        return np.empty(entry["shape"], entry["dtype"])
    return np.memmap(
        directory / f"{name}.bin", entry["dtype"], mode="r", shape=tuple(entry["shape"])
    )


class Cached(NamedTuple):
    """The contents of a folder.

    >>> from music_vae.dataset.example_store import pack
    >>> cached = Cached(pack([], 1), num_sequences=2, skipped=Counter({"only drums": 2}))
    >>> cached.skipped["only drums"]
    2

    Attributes:
      packed: The examples.
      num_sequences: Number of sequences that they were made from.
      skipped: How often music was left out for each reason.
    """

    packed: Packed
    num_sequences: int
    skipped: Counter[str]


def write_index(folder: Path, writer: Writer, *, num_sequences: int, skipped: Counter[str]) -> None:
    """Completes a folder with the files of a writer, by an index.

    >>> from music_vae.dataset.example_store import pack
    >>> with tempfile.TemporaryDirectory() as name:
    ...     folder = Path(name)
    ...     writer = Writer(folder, limit_bytes=0)
    ...     writer.append(pack([], num_transpositions=1))
    ...     writer.close()
    ...     write_index(folder, writer, num_sequences=2, skipped=Counter({"only drums": 2}))
    ...     read(folder).num_sequences
    2

    Args:
      folder: The folder of the writer.
      writer: The writer, which has been closed.
      num_sequences: Number of sequences that the examples were made from.
      skipped: How often music was left out for each reason.
    """
    index = {
        "format_version": FORMAT_VERSION,
        "num_sequences": num_sequences,
        "skipped": dict(skipped),
        "arrays": writer.entries(),
    }
    (folder / INDEX).write_text(json.dumps(index), encoding="utf-8")


def read(folder: Path) -> Cached:
    """Returns the contents of a folder, memory-mapped.

    >>> from music_vae.dataset.example_store import PieceGroups, pack
    >>> from music_vae.music.converters.base import Example
    >>> tokens = np.array([41, 0, 43], np.int8)
    >>> piece = PieceGroups([[Example(tokens, tokens, None, np.int32(3))]], [0])
    >>> with tempfile.TemporaryDirectory() as name:
    ...     writer = Writer(Path(name), limit_bytes=0)
    ...     writer.append(pack([piece], num_transpositions=1))
    ...     writer.close()
    ...     write_index(Path(name), writer, num_sequences=1, skipped=Counter())
    ...     read(Path(name)).packed.outputs.tolist()
    [41, 0, 43]

    Raises:
      DamagedCacheError: If the folder is not as it was written.
      FileNotFoundError: If there is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(folder)
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        if index["format_version"] != FORMAT_VERSION:
            raise DamagedCacheError(f"format version {index['format_version']}")
        entries = index["arrays"]
        for name in Packed._fields:
            _check_file(folder / f"{name}.bin", entries[name], _KINDS[name])
        packed = Packed(*(_mapped(folder, name, entries[name]) for name in Packed._fields))
        _check_sizes(packed)
        skipped = {str(reason): int(number) for reason, number in index["skipped"].items()}
        return Cached(packed, int(index["num_sequences"]), Counter(skipped))
    except (OSError, *MALFORMED) as error:
        raise DamagedCacheError(f"{type(error).__name__}: {error}") from error


def _check_file(path: Path, entry: dict[str, Any], kinds: str) -> None:
    """Raises `DamagedCacheError` unless a file has the size and checksum of its entry."""
    dtype, shape = np.dtype(entry["dtype"]), entry["shape"]
    is_shape = bool(shape) and all(isinstance(n, int) and n >= 0 for n in shape)
    if not is_shape or (dtype.kind not in kinds and shape[0]):
        raise DamagedCacheError(f"{path.name} is said to be {entry}")
    if not shape[0]:
        return
    size = path.stat().st_size
    if size != math.prod(shape) * dtype.itemsize:
        raise DamagedCacheError(f"{path.name} has {size} bytes, not {shape} of {dtype}")
    checksum = google_crc32c.Checksum()
    with open(path, "rb") as file:
        while data := file.read(_PIECE_BYTES):
            checksum.update(data)
    if checksum.hexdigest().decode() != entry["crc32c"]:
        raise DamagedCacheError(f"{path.name} has a wrong checksum")


def _check_sizes(packed: Packed) -> None:
    """Raises `DamagedCacheError` unless the arrays fit together."""
    num_examples, num_groups = len(packed.steps), len(packed.group_sizes)
    steps = int(packed.steps.sum(dtype=np.int64))
    own_steps = int(packed.steps[packed.own_inputs.astype(bool)].sum(dtype=np.int64))
    numbers = [packed.base_groups.reshape(-1), packed.groups.reshape(-1)]
    if not (
        (packed.groups.ndim == 2 or not num_groups)
        and packed.steps.ndim == packed.own_inputs.ndim == packed.group_sizes.ndim == 1
        and len(packed.outputs) == steps
        and len(packed.inputs) == own_steps
        and len(packed.controls) in (0, steps)
        and len(packed.lengths) == len(packed.own_inputs) == num_examples
        and int(packed.group_sizes.sum(dtype=np.int64)) == num_examples
        and len(packed.groups) == len(packed.base_groups)
        and min(packed.steps.min(initial=0), packed.group_sizes.min(initial=0)) >= 0
        and all(0 <= n.min(initial=0) <= n.max(initial=0) < max(1, num_groups) for n in numbers)
    ):
        raise DamagedCacheError("the arrays do not fit together")
