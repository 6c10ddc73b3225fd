"""Reads the arrays that an exported model has beside it, as their JSON file says."""

import json

import numpy as np


def read(path):
    """What a JSON file describes, and the arrays in the file that it names."""
    described = json.loads(path.read_text())
    numbers = np.frombuffer((path.parent / described["file"]).read_bytes(), "<f4")
    arrays, start = {}, 0
    for name, shape in described["arrays"].items():
        arrays[name] = numbers[start : start + np.prod(shape)].reshape(shape)
        start += np.prod(shape)
    assert start == len(numbers)
    return described, arrays
