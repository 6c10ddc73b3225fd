"""Reads and writes `.safetensors` files, which hold weights as arrays by name.

Needs no TensorFlow. Arrays are views of the mapped file, so that they are read from disk only when
they are used. The format is that of huggingface/safetensors: the length of a JSON header, the
header, then the arrays end to end.
"""

import errno
import hashlib
import json
import mmap
import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

from music_vae.common import files
from music_vae.common.errors import UserError
from music_vae.common.json_values import brief

SUFFIX = ".safetensors"
WEIGHTS_FILE = f"weights{SUFFIX}"
"""Name of the file of weights in the folder of a model."""

FORMAT_VERSION = 1
"""Version of what the metadata mean; a file of a newer version is refused."""

_DTYPES: dict[str, Any] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2")}
_METADATA, _CHECKSUM = "__metadata__", "arrays_crc32c"
_LENGTH = struct.Struct("<Q")
_MAX_HEADER_BYTES = 2**24  # a model has some hundred weights
_MAX_NAME, _MAX_AXES = 200, 8
_PIECE = 2**16  # numbers whose checksum is computed at once
_SYSTEM_ERROR = re.compile(r"([^:]+) \(os error (\d+)\)")
_KEY_NUMBERS = 64  # how many numbers of each array a key is made of


class WeightsFile(Mapping[str, np.ndarray]):
    """The read-only arrays of a file by name, each read from disk as far as it is used.

    >>> weights = WeightsFile("music_vae/models/cat-mel_2bar_mini/weights.safetensors")
    >>> weights["decoder/output_projection/bias"].shape  # no event, note off, 88 pitches
    (90,)
    >>> weights.metadata["step"]
    '2500'

    Attributes:
      metadata: Texts by name that were written beside the arrays.
    """

    def __init__(self, path: str | Path) -> None:
        """Opens a file.

        Raises:
          UserError: If there is no such file, or it does not hold weights.
        """
        self._path = path = files.expand(path)
        try:
            with path.open("rb") as file:
                self._data: Any = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            header, start = _read_header(self._data)
            self.metadata = _metadata(header.pop(_METADATA, {}))
            self._arrays = {
                name: _view(self._data, start, name, entry) for name, entry in header.items()
            }
        except OSError as error:
            raise UserError(f"{str(path)!r} cannot be read: {error.strerror or error}") from error
        except ValueError as error:
            raise UserError(f"{str(path)!r} is not a file of weights: {error}") from error

    def check_numbers(self, *, needs_checksum: bool = False) -> None:
        """Raises `UserError` if the arrays are not those that were written; reads them all.

        Args:
          needs_checksum: If False, a file without a checksum passes, as one of another program.
        """
        expected = self.metadata.get(_CHECKSUM)
        if expected is None and not needs_checksum:
            return
        if expected != _checksum(self._arrays):
            raise UserError(f"{str(self._path)!r} is damaged: its arrays have another checksum")

    def __getitem__(self, name: str) -> np.ndarray:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)


def write(
    path: str | Path,
    weights: Mapping[str, np.ndarray],
    metadata: Mapping[str, str] | None = None,
    *,
    dtype: str = "float32",
) -> None:
    """Writes weights to a file, which appears only when it is complete.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / WEIGHTS_FILE
    ...     write(path, {"encoder/mu/bias": np.array([0.5, -1.0])}, {"step": "100"})
    ...     weights = WeightsFile(path)
    >>> weights["encoder/mu/bias"].tolist(), weights.metadata["step"]
    ([0.5, -1.0], '100')

    Args:
      path: The file to write, whose name ends in `.safetensors` by custom.
      weights: Arrays by name.
      metadata: Texts by name to keep beside them. The versions of the format and of this package
        are added, and a checksum.
      dtype: Type of the numbers in the file: `float32`, or `float16` for half the size.

    Raises:
      OSError: If it cannot be written, as on a full disk.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    from music_vae import __version__

    versions = {"format_version": str(FORMAT_VERSION), "music_vae_version": __version__}
    arrays = {name: np.ascontiguousarray(array, dtype) for name, array in weights.items()}
    versions[_CHECKSUM] = _checksum(arrays)
    with files.atomic_path(path) as temporary:
        try:
            save_file(arrays, temporary, {**versions, **(metadata or {})})
            _put_metadata_in_order(temporary)
        except SafetensorError as error:  # it is no OSError, even if the disk is full
            reason = _SYSTEM_ERROR.search(str(error))
            code, text = (int(reason[2]), reason[1].strip()) if reason else (errno.EIO, str(error))
            raise OSError(code, text, str(path)) from error


def _put_metadata_in_order(path: Path) -> None:
    """Orders the metadata by name, so that the same weights give the same file.

    safetensors writes them in another order in each process.
    """
    with path.open("r+b") as file:
        (size,) = _LENGTH.unpack(file.read(_LENGTH.size))
        header = json.loads(file.read(size).decode("utf-8"))
        header[_METADATA] = dict(sorted(header[_METADATA].items()))
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
        if len(text) <= size:  # else an escape is written in two ways
            file.seek(_LENGTH.size)
            file.write(text.ljust(size))


def weights_key(weights: Mapping[str, np.ndarray]) -> str:
    """Returns a digest that tells the weights of one training from those of another.

    It is the same for float32 and float16. It is made of the names, the shapes, and the first
    numbers of every array, so that little of a large file is read.

    >>> weights_key({"bias": np.array([0.5, 1], np.float32)})[:8]
    '023a39ab'
    >>> weights_key({"bias": np.array([0.5, 1], np.float16)})[:8]
    '023a39ab'
    """
    digest = hashlib.sha256()
    for name in sorted(weights):
        array = weights[name]
        digest.update(f"{name} {list(array.shape)} ".encode())
        with np.errstate(over="ignore"):
            digest.update(array.reshape(-1)[:_KEY_NUMBERS].astype("<f2").tobytes())
    return digest.hexdigest()


def _checksum(arrays: Mapping[str, np.ndarray]) -> str:
    """Returns the CRC-32C of the names, shapes and numbers of all arrays, by name."""
    checksum = google_crc32c.Checksum()
    for name in sorted(arrays):
        checksum.update(f"{name} {list(arrays[name].shape)} ".encode())
        numbers = arrays[name].reshape(-1)
        for start in range(0, numbers.size, _PIECE):  # to copy a large array whole takes far longer
            checksum.update(numbers[start : start + _PIECE].tobytes())
    return checksum.hexdigest().decode()


def _read_header(data: mmap.mmap) -> tuple[dict[str, Any], int]:
    """Returns the header of a mapped file, and where the arrays start.

    Raises:
      ValueError: If there is no header.
    """
    if len(data) < _LENGTH.size:
        raise ValueError("it is too short")
    (size,) = _LENGTH.unpack_from(data)
    start = _LENGTH.size + size
    if size > _MAX_HEADER_BYTES or start > len(data):
        raise ValueError("its header does not fit")
    try:
        header = json.loads(data[_LENGTH.size : start].decode("utf-8"))
    except (ValueError, RecursionError):
        raise ValueError("its header cannot be read") from None
    if not isinstance(header, dict):
        raise ValueError("its header is no table of arrays")
    return header, start


def _metadata(entries: Any) -> dict[str, str]:
    """Returns the metadata of a header; raises `ValueError` unless they can be understood."""
    if not isinstance(entries, dict) or not all(isinstance(v, str) for v in entries.values()):
        raise ValueError("its metadata is no table of texts")
    version = entries.get("format_version", str(FORMAT_VERSION))
    if not version.isdecimal() or int(version) > FORMAT_VERSION:
        raise ValueError(
            f"it has format version {brief(version)}; this version of music_vae reads "
            f"{FORMAT_VERSION}"
        )
    return entries


def _view(data: mmap.mmap, start: int, name: str, entry: Any) -> np.ndarray:
    """Returns the array that an entry of the header describes.

    Raises:
      ValueError: If the array is of a type that no weight has, or does not lie within the file.
    """
    try:
        dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        numbers = [begin, end, *shape]
    except (TypeError, KeyError, ValueError):
        raise ValueError(f"{brief(name)} is not described") from None
    if len(name) > _MAX_NAME or not isinstance(shape, list) or len(shape) > _MAX_AXES:
        raise ValueError(f"{brief(name)} has a name or a shape that no weight has")
    if not all(type(number) is int and 0 <= number <= len(data) for number in numbers):
        place = f"from {brief(begin)} to {brief(end)}"
        raise ValueError(f"{brief(name)} has the shape {brief(shape)} and lies {place}")
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise ValueError(
            f"{brief(name)} is of type {brief(dtype)}; expected {' or '.join(_DTYPES)}"
        )
    count = 1
    for size in shape:
        count *= size
    if end - begin != count * _DTYPES[dtype].itemsize or start + end > len(data):
        raise ValueError(f"{brief(name)} does not fit into its place")
    return np.frombuffer(data, _DTYPES[dtype], count, start + begin).reshape(shape)
