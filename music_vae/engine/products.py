"""Multiplies rows by weights in one thread, and finds the ones of rows that need no product.

The product of a one-hot row and a matrix is a row of the matrix, which is quicker to look up.
"""

import math
from collections.abc import Sequence

import numpy as np

from music_vae.common.plans import DensePlan
from music_vae.engine.weights import Weights

_SMALL_PRODUCT = 10**6
"""Number of multiplications up to which OpenBLAS multiplies without copying the weights first and
without waiting for threads. With a few rows to multiply, the copy takes longer than all the rest;
with many rows, small products are as quick as large ones, and leave other threads alone."""

_BLOCK_WIDTHS = (64, 32, 16)  # the quickest first
_ENOUGH_ROWS = 8  # to multiply at once, so that reading a block is worth its time
_MOST_PADDING = 1 / 8  # as a share of the columns: wider blocks are not worth more
_MOST_ONES = 3  # in a row that is looked up, as in the outputs of a trio


class Matrices:
    """G matrices `[K, N]` for each of D inputs, which are multiplied again and again.

    They are kept a second time in blocks of columns `[D, G, N/w, K, w]`, padded with zeros. One
    block and as many rows as make a small product are multiplied at a time.

    >>> double = 2 * np.eye(3, dtype=np.float32)
    >>> out = np.empty((1, 1, 2, 3), np.float32)
    >>> Matrices([[double]]).multiply(np.array([[[1, 2, 3], [4, 5, 6]]], np.float32), out)
    >>> out[0, 0]
    array([[ 2., 4., 6.],
           [ 8., 10., 12.]], dtype=float32)
    """

    def __init__(self, arrays: Sequence[Sequence[np.ndarray]]) -> None:
        """Takes the G matrices of each of the D inputs."""
        self._arrays = [list(group) for group in arrays]
        self._blocks: np.ndarray | None = None

    def multiply(self, x: np.ndarray, out: np.ndarray, start: int = 0) -> None:
        """Multiplies rows x `[D, B, R]` by R rows of the matrices.

        Args:
          x: The rows of each input.
          out: Contiguous array `[G, D, B, N]`, to which the products are written.
          start: Index of the first of the R rows of the matrices.
        """
        batch, depth = x.shape[1:]
        columns = out.shape[3]
        width = _block_width(batch, len(self._arrays[0][0]), columns)
        if width is None:
            for d, group in enumerate(self._arrays):
                for g, array in enumerate(group):
                    np.matmul(x[d], array[start : start + depth], out=out[g, d])
            return
        blocks = self._blocks
        if blocks is None or blocks.shape[4] > width:
            self._blocks = blocks = _in_blocks(self._arrays, width)
        number, width = blocks.shape[2], blocks.shape[4]
        padded = out
        if number * width > columns:
            padded = np.empty((*out.shape[:3], number * width), np.float32)
        blocked = padded.reshape(*out.shape[:3], number, width).transpose(1, 0, 3, 2, 4)
        now_blocks = blocks[..., start : start + depth, :]
        parts = math.ceil(batch * depth * width / _SMALL_PRODUCT) or 1
        rows = math.ceil(batch / parts)
        for first in range(0, batch, rows or 1):
            now = slice(first, first + rows)
            np.matmul(x[:, None, None, now], now_blocks, out=blocked[:, :, :, now])
        if padded is not out:
            out[...] = padded[..., :columns]


def _block_width(batch: int, depth: int, columns: int) -> int | None:
    """Returns the greatest width of blocks that makes small products; None for a plain product."""
    rows = min(batch, _ENOUGH_ROWS)
    for width in _BLOCK_WIDTHS:
        padding = -columns % width
        narrowest = width == _BLOCK_WIDTHS[-1]
        if (padding <= _MOST_PADDING * columns or narrowest) and (
            rows * depth * width <= _SMALL_PRODUCT
        ):
            return width
    return None


def _in_blocks(arrays: Sequence[Sequence[np.ndarray]], width: int) -> np.ndarray:
    """Cuts D times G arrays `[K, N]` to `[D, G, N/w, K, w]`, each block contiguous in memory."""
    depth, columns = arrays[0][0].shape
    number = math.ceil(columns / width)
    blocks = np.zeros((len(arrays), len(arrays[0]), number, depth, width), np.float32)
    for copies, group in zip(blocks, arrays, strict=True):
        for copy, array in zip(copies, group, strict=True):
            for n, block in enumerate(copy):
                part = array[:, n * width : (n + 1) * width]
                block[:, : part.shape[1]] = part
    return blocks


class Dense:
    """A layer x . kernel + bias, from `[N, K]` to `[N, W]`.

    >>> plan = DensePlan("layer", input_size=2, units=1)
    >>> layer = Dense(plan, Weights({plan.kernel: np.ones((2, 1)), plan.bias: np.array([0.5])}))
    >>> layer(np.array([[3.0, 4.0]], np.float32))
    array([[7.5]], dtype=float32)
    """

    def __init__(self, plan: DensePlan, weights: Weights) -> None:
        kernel, self._bias = weights.dense(plan)
        self._kernel = Matrices([[kernel]])

    def __call__(self, x: np.ndarray) -> np.ndarray:
        out = np.empty((1, 1, len(x), len(self._bias)), np.float32)
        self._kernel.multiply(x[None], out)
        product = out[0, 0]
        product += self._bias
        return product


def positions_of_ones(inputs: np.ndarray) -> np.ndarray | None:
    """Finds the positions of the ones in rows `[N, K]`, as `[N, n]` filled up with -1.

    Returns None if the rows do not consist of zeros and at most a few ones.

    >>> positions_of_ones(np.array([[0, 0, 1], [1, 1, 0]]))
    array([[ 2, -1],
           [ 0, 1]])
    >>> positions_of_ones(np.array([[0.5, 0.5]])) is None
    True
    """
    counts = np.count_nonzero(inputs, axis=1)
    most = int(counts.max(initial=0))
    if most > _MOST_ONES or ((inputs != 0) & (inputs != 1)).any():
        return None
    rows, columns = np.nonzero(inputs)
    positions = np.full((len(inputs), max(most, 1)), -1)
    positions[rows, np.arange(len(rows)) - (np.cumsum(counts) - counts)[rows]] = columns
    return positions


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Computes 1 / (1 + exp(-x)), by way of tanh, which does not overflow.

    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    return 0.5 * np.tanh(0.5 * x) + np.float32(0.5)
