"""Products with weights, in blocks and as look-ups, are the products they stand for."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from music_vae.engine.lstm import Entry
from music_vae.engine.products import Matrices, positions_of_ones, sigmoid


@pytest.mark.parametrize("batch", [1, 5, 8, 13, 40])
@pytest.mark.parametrize(
    ("depth", "columns"),
    [(7, 5), (7, 64), (7, 90), (7, 128), (1000, 96), (2000, 64), (10_000, 48), (20_000, 32)],
)
def test_products_in_blocks_are_products(batch, depth, columns):
    rng = np.random.default_rng(0)
    arrays = rng.normal(size=(2, 3, depth, columns)).astype(np.float32)
    x = rng.normal(size=(2, batch, depth)).astype(np.float32)
    out = np.full((3, 2, batch, columns), np.nan, np.float32)
    Matrices(arrays).multiply(x, out)
    expected = x @ arrays.transpose(1, 0, 2, 3)
    np.testing.assert_allclose(out, expected, atol=1e-5 * depth**0.5 * 4)


@pytest.mark.parametrize("depth", [7, 2000, 10_000])
def test_some_rows_of_matrices_are_multiplied(depth):
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(depth, 40)).astype(np.float32)
    matrices = Matrices([[weights]])
    for start, rows in ((0, depth - 3), (3, depth - 3), (2, 1)):
        x = rng.normal(size=(1, 20, rows)).astype(np.float32)
        out = np.empty((1, 1, 20, 40), np.float32)
        matrices.multiply(x, out, start)
        np.testing.assert_allclose(out[0, 0], x[0] @ weights[start : start + rows], atol=2e-3)


def test_matrices_are_multiplied_with_more_rows_and_fewer_again():
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(4000, 128)).astype(np.float32)
    matrices = Matrices([[weights]])
    for batch in (1, 20, 2):
        x = rng.normal(size=(1, batch, 4000)).astype(np.float32)
        out = np.empty((1, 1, batch, 128), np.float32)
        matrices.multiply(x, out)
        np.testing.assert_allclose(out[0, 0], x[0] @ weights, atol=2e-3)


@pytest.mark.parametrize("shape", [(3, 6), (2, 4, 6), (0, 6), (2, 0)])
@pytest.mark.parametrize("ones", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("start", [0, 2])
def test_rows_of_ones_and_zeros_contribute_what_their_product_is(shape, ones, start):
    rng = np.random.default_rng(1)
    inputs = np.zeros(shape, np.float32)
    inputs[..., :ones] = 1
    inputs = rng.permuted(inputs, axis=-1)
    inputs[:1] = 0
    before = inputs.copy()
    kernel = rng.normal(size=(2, shape[-1] + 3, 4)).astype(np.float32)
    share = Entry(list(kernel), np.zeros((2, 1, 4), np.float32)).share(start, inputs)
    assert share.dtype == np.float32
    rows = kernel[:, start : start + shape[-1]]
    expected = np.stack([inputs @ part for part in rows])
    np.testing.assert_allclose(share, expected, atol=1e-6)
    np.testing.assert_array_equal(inputs, before)


def test_several_threads_can_look_up_at_once():
    rng = np.random.default_rng(1)
    kernel = rng.normal(size=(4, 500, 400)).astype(np.float32)
    positions, everyone = np.array([[499]]), threading.Barrier(8)
    for _ in range(20):
        entry = Entry(list(kernel), np.zeros((4, 1, 400), np.float32))

        def look_up(_, entry=entry):
            everyone.wait()
            return entry.share_of_ones(0, positions)

        with ThreadPoolExecutor(8) as pool:
            for share in pool.map(look_up, range(8)):
                np.testing.assert_array_equal(share, kernel[:, 499:])


def test_a_few_ones_are_found_and_other_rows_are_not_looked_up():
    inputs = np.array([[0, 1, 0, 1], [0, 0, 0, 0], [0, 0, 1, 0]], np.float32)
    assert positions_of_ones(inputs).tolist() == [[1, 3], [-1, -1], [2, -1]]
    assert positions_of_ones(np.ones((2, 4), np.float32)) is None


@pytest.mark.parametrize("value", [2.0, -1.0, 0.5, np.nan])
def test_other_numbers_are_multiplied(value):
    inputs = np.array([[0, 1, 0], [value, 0, 0]], np.float32)
    assert positions_of_ones(inputs) is None
    kernel = np.arange(12, dtype=np.float32).reshape(1, 3, 4)
    share = Entry(list(kernel), np.zeros((1, 1, 4), np.float32)).share(0, inputs)
    np.testing.assert_array_equal(share, inputs @ kernel)


def test_sigmoids_do_not_overflow():
    with np.errstate(all="raise"):
        values = sigmoid(np.array([-1e8, -1, 0, 1, 1e8], np.float32))
    np.testing.assert_allclose(values, [0, 0.26894142, 0.5, 0.73105858, 1], atol=1e-7)
