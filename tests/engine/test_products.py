"""Products with weights, in blocks and as look-ups, are the products they stand for."""

import numpy as np
import pytest

from music_vae.engine.products import Matrices, project, sigmoid


@pytest.mark.parametrize("batch", [1, 5, 8, 13, 40, 5])
@pytest.mark.parametrize(
    ("depth", "columns"),
    [(7, 5), (7, 64), (7, 128), (1000, 96), (2000, 64), (10_000, 48), (200_000, 32)],
)
def test_products_in_blocks_are_products(batch, depth, columns):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(depth, columns)).astype(np.float32) for _ in range(2)]
    x = rng.normal(size=(2, batch, depth)).astype(np.float32)
    out = np.full((2, batch, columns), np.nan, np.float32)
    Matrices(arrays).multiply(x, out)
    np.testing.assert_allclose(out, x @ np.stack(arrays), atol=1e-5 * depth**0.5 * 4)


def test_matrices_are_multiplied_with_more_rows_and_fewer_again():
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(4000, 128)).astype(np.float32)
    matrices = Matrices([weights])
    for batch in (1, 20, 2):
        x = rng.normal(size=(1, batch, 4000)).astype(np.float32)
        out = np.empty((1, batch, 128), np.float32)
        matrices.multiply(x, out)
        np.testing.assert_allclose(out[0], x[0] @ weights, atol=2e-3)


@pytest.mark.parametrize("shape", [(3, 6), (2, 4, 6), (0, 6), (2, 0)])
@pytest.mark.parametrize("ones", [0, 1, 2, 3, 5])
def test_rows_of_ones_and_zeros_are_looked_up(shape, ones):
    rng = np.random.default_rng(1)
    inputs = np.zeros(shape, np.float32)
    inputs[..., :ones] = 1
    inputs = rng.permuted(inputs, axis=-1)
    inputs[:1] = 0
    before = inputs.copy()
    weights = rng.normal(size=(shape[-1], 4)).astype(np.float32)
    product = project(inputs, weights)
    assert product.dtype == np.float32
    np.testing.assert_allclose(product, inputs @ weights, atol=1e-6)
    np.testing.assert_array_equal(inputs, before)


@pytest.mark.parametrize("value", [2.0, -1.0, 0.5, np.nan])
def test_other_numbers_are_multiplied(value):
    inputs = np.array([[0, 1, 0], [value, 0, 0]], np.float32)
    weights = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.testing.assert_array_equal(project(inputs, weights), inputs @ weights)


def test_sigmoids_do_not_overflow():
    with np.errstate(all="raise"):
        values = sigmoid(np.array([-1e8, -1, 0, 1, 1e8], np.float32))
    np.testing.assert_allclose(values, [0, 0.26894142, 0.5, 0.73105858, 1], atol=1e-7)
