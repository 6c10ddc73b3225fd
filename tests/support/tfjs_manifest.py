"""Reads weights as TensorFlow.js does: a second, plain version of the format."""

import json
import math

import numpy as np

_STORED = {"uint8": "u1", "uint16": "<u2", "float16": "<f2", "float32": "<f4"}


def read(folder):
    """The arrays in a folder by name, as float32, and the entries of the manifest."""
    arrays, entries = {}, []
    for group in json.loads((folder / "weights_manifest.json").read_text()):
        content = b"".join((folder / path).read_bytes() for path in group["paths"])
        for entry in group["weights"]:
            assert entry["dtype"] == "float32"
            quantization = entry.get("quantization", {"dtype": "float32"})
            dtype, count = np.dtype(_STORED[quantization["dtype"]]), math.prod(entry["shape"])
            stored = np.frombuffer(content, dtype, count).reshape(entry["shape"])
            content = content[count * dtype.itemsize :]
            if "scale" in quantization:
                stored = stored * np.float64(quantization["scale"]) + quantization["min"]
            arrays[entry["name"]] = stored.astype(np.float32)
            entries.append(entry)
        assert not content
    return arrays, entries
