"""Writes arrays for programs that have no library for them: a file of JSON and one of numbers."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np


def write(
    described_in: Path,
    numbers_in: Path,
    described: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    use: Sequence[str],
) -> list[Path]:
    """Writes arrays and their description; returns the paths of the two files.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths = Path(folder, "mean.json"), Path(folder, "mean.bin")
    ...     _ = write(*paths, {"z": 2}, {"mean": np.array([0.5, 1.0])}, ["z = mean"])
    ...     print(paths[0].read_text())
    {
      "z": 2,
      "file": "mean.bin",
      "dtype": "float32, little-endian, one array after the other, each row by row",
      "arrays": {
        "mean": [
          2
        ]
      },
      "use": [
        "z = mean"
      ]
    }

    Args:
      described_in: Path of the JSON file.
      numbers_in: Path of the file of numbers, in the same folder.
      described: The first entries of the JSON file.
      arrays: The arrays by name.
      use: Lines that say what is computed with the arrays.
    """
    described = {
        **described,
        "file": numbers_in.name,
        "dtype": "float32, little-endian, one array after the other, each row by row",
        "arrays": {name: list(array.shape) for name, array in arrays.items()},
        "use": list(use),
    }
    numbers = np.concatenate([array.reshape(-1) for array in arrays.values()]).astype("<f4")
    described_in.write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
    numbers_in.write_bytes(numbers.tobytes())
    return [described_in, numbers_in]
