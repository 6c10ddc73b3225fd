"""Writes weights as TensorFlow.js reads them: `weights_manifest.json` and shards of raw bytes.

The bytes of all shards, joined, are the arrays end to end, little-endian. An array may be stored in
fewer bits: as float16, or as whole numbers q that stand for q * scale + min.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from music_vae.common import progress
from music_vae.common.errors import UserError
from music_vae.export.quantization import check_float16, quantized

MANIFEST_FILE = "weights_manifest.json"
SHARD_BYTES = 4 * 2**20
_STORED = {"uint8": "u1", "uint16": "<u2", "float16": "<f2", None: "<f4"}

Entry = dict[str, Any]


def write(folder: Path, arrays: Mapping[str, np.ndarray], quantize: str | None = None) -> None:
    """Writes the manifest and the shards of float arrays into `folder`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(Path(folder), {"bias": np.array([0.5, 1.0])})
    ...     content = (Path(folder) / "group1-shard1of1.bin").read_bytes()
    >>> np.frombuffer(content, "<f4").tolist()
    [0.5, 1.0]

    Args:
      folder: Folder to write to, which exists.
      arrays: Arrays by name; each is read only when it is written.
      quantize: Type to store the numbers in, one of `quantization.TYPES`; None: float32.

    Raises:
      UserError: If numbers are not finite, or too large for float16.
    """
    count = sum(math.prod(array.shape) for array in arrays.values())
    total = count * np.dtype(_STORED[quantize]).itemsize
    number = max(1, math.ceil(total / SHARD_BYTES))
    paths = [f"group1-shard{n}of{number}.bin" for n in range(1, number + 1)]
    entries = []
    with _Shards(folder, paths) as shards:
        for name, array in progress.bar(arrays.items(), "writing", unit="weight"):
            entry, content = _stored(name, np.asarray(array, np.float32), quantize)
            entries.append(entry)
            shards.write(content)
    manifest = json.dumps([{"paths": paths, "weights": entries}], indent=1)
    (folder / MANIFEST_FILE).write_text(manifest + "\n", encoding="utf-8")


def _stored(name: str, array: np.ndarray, quantize: str | None) -> tuple[Entry, bytes]:
    """Returns the manifest's entry of an array, and its bytes."""
    if not np.isfinite(array).all():
        raise UserError(f"the weights {name} are not all finite numbers: the training went wrong")
    entry: Entry = {"name": name, "shape": list(array.shape), "dtype": "float32"}
    if quantize == "float16":
        check_float16(name, array)
        entry["quantization"] = {"dtype": quantize}
    elif quantize is not None:
        array, scale, least = quantized(array, quantize)
        entry["quantization"] = {"dtype": quantize, "min": least, "scale": scale}
    return entry, np.ascontiguousarray(array, _STORED[quantize]).tobytes()


class _Shards:
    """Writes bytes in a row to files of `SHARD_BYTES` each."""

    def __init__(self, folder: Path, paths: list[str]) -> None:
        self._paths = [folder / path for path in paths]
        self._left = 0
        self._file: BinaryIO | None = None

    def __enter__(self) -> "_Shards":
        self._next()
        return self

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, content: bytes) -> None:
        """Appends bytes, beginning new files where one is full."""
        rest = memoryview(content)
        while len(rest):
            if not self._left:
                self._next()
            assert self._file is not None
            written = self._file.write(rest[: self._left])
            self._left -= written
            rest = rest[written:]

    def _next(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = self._paths.pop(0).open("wb")
        self._left = SHARD_BYTES
