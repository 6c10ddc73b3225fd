"""Files of weights: what is written is read back, and nothing else is taken for one."""

import json
import struct
import subprocess
import sys

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from music_vae.common.errors import UserError
from music_vae.weights import safetensors_file
from music_vae.weights.safetensors_file import WeightsFile

WEIGHTS = {
    "encoder/mu/kernel": np.arange(6, dtype=np.float32).reshape(2, 3),
    "encoder/mu/bias": np.ones(3, np.float32),
    "decoder/z_to_initial_state/kernel": np.zeros((0, 4), np.float32),
}


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_what_is_written_is_read_back(tmp_path, dtype):
    path = tmp_path / "folder" / "weights.safetensors"
    safetensors_file.write(path, WEIGHTS, {"step": "7"}, dtype=dtype)
    found = WeightsFile(path)
    assert set(found) == set(WEIGHTS)
    assert len(found) == 3
    for name, array in WEIGHTS.items():
        assert found[name].dtype == dtype
        np.testing.assert_array_equal(found[name], array)
    assert found.metadata["step"] == "7"
    assert found.metadata["format_version"] == "1"
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_the_format_is_that_of_the_library(tmp_path):
    path = tmp_path / "a.safetensors"
    safetensors_file.write(path, WEIGHTS)
    with safe_open(path, framework="np") as file:
        assert set(file.keys()) == set(WEIGHTS)
        np.testing.assert_array_equal(file.get_tensor("encoder/mu/kernel"), [[0, 1, 2], [3, 4, 5]])
    save_file(WEIGHTS, path)
    np.testing.assert_array_equal(WeightsFile(path)["encoder/mu/bias"], np.ones(3))


def test_arrays_are_views_of_the_file_and_cannot_be_written_to(tmp_path):
    path = tmp_path / "a.safetensors"
    safetensors_file.write(path, WEIGHTS)
    array = WeightsFile(path)["encoder/mu/kernel"]
    assert not array.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        array[0, 0] = 1


def content(header, data=b"", size=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if size is None else size) + text + data


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"a": {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "mmap an empty file"),
        (b"RIFF", "too short"),
        (content({}, size=2**40), "header does not fit"),
        (content({}, size=2**63), "header does not fit"),
        (content(b"\xff\xfe"), "header cannot be read"),
        (content(b"[" * 100_000), "header cannot be read"),
        (content([1]), "no table of arrays"),
        (content({"a": 3}), "a is not described"),
        (
            content({"a": {**entry()["a"], "shape": ""}}, bytes(8)),
            "a name or a shape that no weight",
        ),
        (content(entry(shape=[1] * 100), bytes(8)), "a name or a shape that no weight"),
        (content({"a" * 999: entry()["a"]}, bytes(8)), "a{60}[.]{3} has a name or a shape"),
        (
            content(entry(dtype="x" * 999), bytes(8)),
            "a is of type x{60}[.]{3}; expected F32 or F16",
        ),
        (content(entry(shape=[0, 2**70], offsets=(0, 0)), bytes(8)), r"a has the shape \[0, 118"),
        (
            content(entry(shape=[10**4000] * 8), bytes(8)),
            r"shape \[10{58}[.]{3} and lies from 0",
        ),
        (content({"a": {"dtype": "F32", "shape": [2]}}), "a is not described"),
        (content(entry("I64", (1,)), bytes(8)), "a is of type I64; expected F32 or F16"),
        (content(entry(dtype=[]), bytes(8)), "a is "),
        (content(entry(shape=(3,)), bytes(8)), "a does not fit"),
        (content(entry(), bytes(7)), "a does not fit"),
        (content(entry(shape=(-2,)), bytes(8)), r"a has the shape \[-2\]"),
        (content(entry(shape=(True, 2)), bytes(8)), "a has the shape"),
        (content(entry(shape=(2.0,)), bytes(8)), "a has the shape"),
        (content(entry(offsets=(-8, 0)), bytes(8)), "a has the shape"),
        (content(entry(shape=(0, 10**30), offsets=(0, 0))), "a "),
        (content(entry(shape=(1,) * 70, offsets=(0, 4)), bytes(8)), "a "),
        (content({"__metadata__": {"step": 3}}), "metadata is no table of texts"),
        (content({"__metadata__": {"format_version": "2"}}), "format version 2; this version"),
        (content({"__metadata__": {"format_version": "x"}}), "format version x"),
    ],
)
def test_another_file_is_refused_in_one_line(tmp_path, data, message):
    path = tmp_path / "a.safetensors"
    path.write_bytes(data)
    with pytest.raises(UserError, match=message) as error:
        WeightsFile(path)
    assert str(path) in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match=r"'.*a\.safetensors' cannot be read: No such file"):
        WeightsFile(tmp_path / "a.safetensors")


def test_a_file_that_was_cut_off_is_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    safetensors_file.write(path, WEIGHTS)
    whole = path.read_bytes()
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        with pytest.raises(UserError):
            WeightsFile(path)


def test_numbers_that_have_changed_are_noticed(tmp_path):
    path = tmp_path / "a.safetensors"
    safetensors_file.write(path, {"a": np.arange(4.0), "b": np.zeros(2)})
    WeightsFile(path).check_numbers()
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    renamed = path.read_bytes().replace(b'"b"', b'"c"')
    for changed in (content, renamed):
        path.write_bytes(changed)
        with pytest.raises(UserError, match=r"a.safetensors' is damaged: its arrays have another"):
            WeightsFile(path).check_numbers()


def test_a_file_without_a_checksum_passes_unless_it_needs_one(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(content(entry(), bytes(8)))
    WeightsFile(path).check_numbers()
    with pytest.raises(UserError, match="is damaged"):
        WeightsFile(path).check_numbers(needs_checksum=True)


def test_the_same_weights_give_the_same_file_in_every_process(tmp_path):
    code = """
import sys
import numpy as np
from music_vae.weights import safetensors_file
metadata = {name: name.upper() for name in ("step", "kind", "config", "tune \\u00fc \\x1b")}
safetensors_file.write(sys.argv[1], {"b": np.arange(3.0), "a": np.zeros(2)}, metadata)
"""
    contents = set()
    for number in range(3):
        path = tmp_path / f"{number}.safetensors"
        subprocess.run([sys.executable, "-c", code, str(path)], check=True)
        contents.add(path.read_bytes())
    assert len(contents) == 1
    weights = WeightsFile(path)
    assert list(weights.metadata) == sorted(weights.metadata)
    assert weights.metadata["tune \u00fc \x1b"] == "TUNE \u00dc \x1b"
    assert weights["b"].tolist() == [0, 1, 2]
    with safe_open(path, "numpy") as file:  # as other programs read it
        assert file.metadata() == weights.metadata
