import subprocess
import sys

import numpy as np
import pytest

from music_vae.music.converters.base import PAD, bit_masks, bits, one_hot, pad_value
from music_vae.music.converters.melody import OneHotMelodyConverter


def test_one_hot_sets_the_column_of_the_class():
    expected = [[1, 0, 0], [0, 0, 1]]
    np.testing.assert_array_equal(one_hot(np.array([0, 2]), 3), expected)


def test_one_hot_rows_of_padding_are_zero():
    np.testing.assert_array_equal(one_hot(np.array([PAD, 1]), 2), [[0, 0], [0, 1]])


def test_the_lowest_bit_of_a_mask_is_the_first_column():
    np.testing.assert_array_equal(bits(np.array([0b001, 0b110]), 3), [[1, 0, 0], [0, 1, 1]])


def test_bits_of_padding_are_zero():
    np.testing.assert_array_equal(bits(np.array([PAD]), 3), [[0, 0, 0]])


def test_padding_of_numbers_that_may_be_minus_one_is_nan():
    assert np.isnan(pad_value(np.dtype(np.float32)))
    assert pad_value(np.dtype(np.int16)) == PAD


def test_an_example_is_trained_on_as_it_stands_unless_a_converter_says_otherwise(piece):
    converter = OneHotMelodyConverter()
    (example,) = converter.extract(piece([(60, 0, 4)])).examples
    assert converter.corrupt(example, np.random.default_rng(0)) is example


@pytest.mark.parametrize("dtype", [bool, np.float32, np.int64])
def test_bit_masks_is_the_inverse_of_bits_up_to_62_columns(dtype):
    masks = np.random.default_rng(0).integers(0, 2**62, (3, 50))
    found = bit_masks(bits(masks, 62).astype(dtype))
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, masks)


@pytest.mark.parametrize("leading", [(), (4,), (2, 3)])
def test_one_hot_and_bits_take_any_leading_shape(leading):
    assert one_hot(np.zeros((*leading, 5), np.int16), 7).shape == (*leading, 5, 7)
    assert bits(np.zeros((*leading, 5), np.int64), 7).shape == (*leading, 5, 7)


def test_to_tensors_is_extract_made_dense(piece):
    sequence = piece([(60, 0, 4), (64, 20, 4)])
    converter = OneHotMelodyConverter(slice_bars=1)
    examples = converter.extract(sequence).examples
    tensors = converter.to_tensors(sequence)
    assert len(examples) == len(tensors.inputs) == len(tensors.outputs) == 2
    for i, example in enumerate(examples):
        np.testing.assert_array_equal(tensors.inputs[i], one_hot(example.inputs, 90))
        np.testing.assert_array_equal(tensors.outputs[i], one_hot(example.outputs, 90))
        assert tensors.controls[i].shape == (16, 0)
        assert tensors.lengths[i] == 16
        assert tensors.lengths[i].dtype == np.int32


@pytest.mark.parametrize("module", ["base", "extract", "melody", "drums", "trio", "groove"])
def test_importing_a_converter_loads_neither_note_seq_nor_tensorflow(module):
    code = (
        f"import sys, music_vae.music.converters.{module}\n"
        "sys.exit(bool({'note_seq', 'tensorflow'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
