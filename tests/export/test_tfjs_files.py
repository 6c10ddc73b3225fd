"""Weights in TensorFlow.js's files: the same numbers again, or near ones in fewer bits."""

import numpy as np
import pytest

from music_vae.common.errors import UserError
from music_vae.export import quantization, tfjs_files
from support import tfjs_manifest


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {
        "a/kernel": rng.normal(0, 0.5, (7, 12)).astype(np.float32),
        "a/bias": rng.uniform(1, 3, 12).astype(np.float16),
        "b": np.array(0.25, np.float32),
        "c": np.full((2, 3), -1.5, np.float32),
    }


def test_arrays_come_back_with_their_names_shapes_and_order(arrays, tmp_path):
    tfjs_files.write(tmp_path, arrays)
    found, entries = tfjs_manifest.read(tmp_path)
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array.astype(np.float32), strict=True)
    assert entries[0] == {"name": "a/kernel", "shape": [7, 12], "dtype": "float32"}


def test_bytes_are_cut_into_shards_of_one_size_even_within_a_number(arrays, tmp_path, monkeypatch):
    monkeypatch.setattr(tfjs_files, "SHARD_BYTES", 101)
    tfjs_files.write(tmp_path, arrays)
    total = 4 * (7 * 12 + 12 + 1 + 6)
    sizes = {path.name: path.stat().st_size for path in tmp_path.glob("*.bin")}
    assert sizes == {
        **{f"group1-shard{n}of5.bin": 101 for n in range(1, 5)},
        "group1-shard5of5.bin": total - 404,
    }
    found, _ = tfjs_manifest.read(tmp_path)
    np.testing.assert_array_equal(found["a/kernel"], arrays["a/kernel"])


def test_a_total_of_whole_shards_leaves_no_empty_one(tmp_path, monkeypatch):
    monkeypatch.setattr(tfjs_files, "SHARD_BYTES", 16)
    tfjs_files.write(tmp_path, {"a": np.zeros(8, np.float32)})
    assert [path.stat().st_size for path in tmp_path.glob("*.bin")] == [16, 16]


@pytest.mark.parametrize(("dtype", "steps"), [("uint8", 255), ("uint16", 65535)])
def test_whole_numbers_are_within_a_step_and_zero_stays_zero(tmp_path, dtype, steps):
    rng = np.random.default_rng(1)
    for low, high in ((-2, 1), (-1e-3, 4), (0, 3), (-3, 0), (2, 5), (-5, -2)):
        array = rng.uniform(low, high, (40, 50)).astype(np.float32)
        array[0, :2] = low, high
        if low <= 0 <= high:
            array[1] = 0
        tfjs_files.write(tmp_path, {"a": array}, dtype)
        found, (entry,) = tfjs_manifest.read(tmp_path)
        step = entry["quantization"]["scale"]
        assert step == pytest.approx((high - low) / steps, rel=1e-6)
        # Half a step by rounding, and less than half by the move that keeps 0.
        rounding = np.finfo(np.float32).eps * 5
        assert np.abs(found["a"] - array).max() <= step + rounding
        assert np.abs(found["a"] - array)[2:].mean() < 0.3 * step
        assert (found["a"][array == 0] == 0).all()


def test_a_range_without_zero_is_within_half_a_step():
    array = np.linspace(2, 5, 1000, dtype=np.float32)
    stored, scale, least = quantization.quantized(array, "uint8")
    assert np.abs(stored * scale + least - array).max() <= scale / 2 + 1e-6


def test_equal_numbers_are_stored_exactly(arrays, tmp_path):
    tfjs_files.write(tmp_path, {"c": arrays["c"]}, "uint8")
    found, (entry,) = tfjs_manifest.read(tmp_path)
    assert entry["quantization"] == {"dtype": "uint8", "min": -1.5, "scale": 1.0}
    assert (found["c"] == arrays["c"]).all()


def test_float16_is_what_numpy_rounds_to(arrays, tmp_path):
    tfjs_files.write(tmp_path, arrays, "float16")
    found, entries = tfjs_manifest.read(tmp_path)
    assert entries[0]["quantization"] == {"dtype": "float16"}
    for name, array in arrays.items():
        assert (found[name] == array.astype(np.float16)).all()


@pytest.mark.parametrize(
    ("number", "quantize", "message"),
    [
        (np.nan, None, "a/bias are not all finite numbers"),
        (np.inf, "uint8", "a/bias are not all finite numbers"),
        (7e4, "float16", "a/bias is too large"),
    ],
)
def test_numbers_that_cannot_be_stored_are_refused(tmp_path, number, quantize, message):
    with pytest.raises(UserError, match=message):
        tfjs_files.write(tmp_path, {"a/bias": np.array([0, number], np.float32)}, quantize)
