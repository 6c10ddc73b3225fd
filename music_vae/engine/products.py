"""Products with weights, in one thread: of dense rows by blocks, of one-hot rows as look-ups."""

import math
from collections.abc import Sequence

import numpy as np

from music_vae.common.plans import DensePlan
from music_vae.engine.weights import Weights

_SMALL_PRODUCT = 10**6
"""Multiplications up to which OpenBLAS multiplies without copying the weights first and without
waiting for threads. With a few rows to multiply, the copy takes longer than all the rest; with many
rows, small products are as quick as large ones, and leave other threads alone."""

_BLOCK_WIDTHS = (64, 32, 16)  # the quickest first
_ENOUGH_ROWS = 8  # at once, for a block that is read for them to be worth its time
_MOST_PADDING = 1 / 8  # of the columns: wider blocks are not worth more
_MOST_ONES = 3  # in a row that is looked up: the outputs of a trio


class Matrices:
    """G matrices `[K, N]` for each of D inputs, which are multiplied again and again.

    They are kept once more in blocks of columns `[D, G, N/w, K, w]`, padded with zeros: each of
    them, and as many rows as make a small product, are multiplied at a time.
    """

    def __init__(self, arrays: Sequence[Sequence[np.ndarray]]) -> None:
        """`arrays` are the G matrices of each of the D inputs."""
        self._arrays = [list(group) for group in arrays]
        self._blocks: np.ndarray | None = None

    def multiply(self, x: np.ndarray, out: np.ndarray, start: int = 0) -> None:
        """Sets out `[G, D, B, N]`, contiguous, to products of x `[D, B, R]`.

        Args:
          x: The rows, of each input.
          out: Where the products go.
          start: With which row of the matrices those R begin that are multiplied.
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
    """The widest blocks of which a product with enough rows is small; None for a plain product."""
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
    """D times G arrays `[K, N]` as `[D, G, N/w, K, w]`, each block in one piece of memory."""
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
    """A layer x . kernel + bias, `[N, K]` to `[N, W]`."""

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
    """Where rows `[N, K]` have their ones, `[N, n]`, filled up with -1.

    None for rows that are not made of zeros and at most a few ones.
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
    """1 / (1 + exp(-x)), by way of tanh, which does not overflow."""
    return 0.5 * np.tanh(0.5 * x) + np.float32(0.5)
