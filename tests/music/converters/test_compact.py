import numpy as np
import pytest

from music_vae.music.converters.compact import PAD, bit_masks, bits, one_hot, pad_value


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
