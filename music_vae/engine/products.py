"""Products with weights: of few rows at the speed of memory, of one-hot rows as look-ups."""

import math
from collections.abc import Sequence

import numpy as np

_SMALL_PRODUCT = 10**6
"""Multiplications up to which OpenBLAS multiplies without copying the weights first and without
waiting for threads. With a few rows to multiply, the copy takes longer than all the rest."""

_BLOCK_WIDTHS = (64, 32, 16)  # the quickest first
_ENOUGH_ROWS = 8  # at once, for a block that is read for them to be worth its time
_MOST_ONES = 3  # in a row that is looked up: the outputs of a trio


class Matrices:
    """D matrices `[K, N]` of one shape, which are multiplied again and again.

    They are kept once more in blocks of columns `[D, N/w, K, w]`: each of them, and as many rows as
    make a small product, are multiplied at a time.
    """

    def __init__(self, arrays: Sequence[np.ndarray]) -> None:
        self._arrays = list(arrays)
        self._blocks: np.ndarray | None = None

    def multiply(self, x: np.ndarray, out: np.ndarray) -> None:
        """Sets out `[D, B, N]`, contiguous, to the products of x `[D, B, K]`."""
        batch, depth = x.shape[1:]
        width = _block_width(batch, depth, out.shape[2])
        if width is None:
            for inputs, weights, outputs in zip(x, self._arrays, out, strict=True):
                np.matmul(inputs, weights, out=outputs)
            return
        blocks = self._blocks
        if blocks is None or blocks.shape[3] > width:
            self._blocks = blocks = _in_blocks(self._arrays, width)
        width = blocks.shape[3]
        blocked = out.reshape(len(out), batch, -1, width).transpose(0, 2, 1, 3)
        parts = math.ceil(batch * depth * width / _SMALL_PRODUCT)
        rows = math.ceil(batch / parts)
        for start in range(0, batch, rows):
            now = slice(start, start + rows)
            np.matmul(x[:, None, now], blocks, out=blocked[:, :, now])


def _block_width(batch: int, depth: int, columns: int) -> int | None:
    """The widest blocks of which a product with enough rows is small; None for a plain product."""
    rows = min(batch, _ENOUGH_ROWS)
    for width in _BLOCK_WIDTHS:
        if columns % width == 0 and columns > width and rows * depth * width <= _SMALL_PRODUCT:
            return width
    return None


def _in_blocks(arrays: Sequence[np.ndarray], width: int) -> np.ndarray:
    """D arrays `[K, N]` as `[D, N/w, K, w]`, each block in one piece of memory."""
    depth, columns = arrays[0].shape
    blocks = np.empty((len(arrays), columns // width, depth, width), np.float32)
    for copy, array in zip(blocks, arrays, strict=True):
        copy[...] = array.reshape(depth, -1, width).transpose(1, 0, 2)
    return blocks


def project(inputs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """inputs `[..., K]` times weights `[K, N]`.

    Where every row has at most a few ones and else zeros, rows of the weights are looked up.
    """
    if not inputs.shape[-1]:
        return np.zeros((*inputs.shape[:-1], weights.shape[1]), np.float32)
    ones = int(np.count_nonzero(inputs, axis=-1).max(initial=0))
    if ones > _MOST_ONES or ((inputs != 0) & (inputs != 1)).any():
        flat = inputs.reshape(-1, inputs.shape[-1]).astype(np.float32, copy=False)
        return (flat @ weights).reshape(*inputs.shape[:-1], -1)
    total = np.zeros((*inputs.shape[:-1], weights.shape[1]), np.float32)
    left = inputs.copy()
    for _ in range(ones):
        position = left.argmax(axis=-1)[..., None]
        present = np.take_along_axis(left, position, axis=-1)
        total += present * weights[position[..., 0]]
        np.put_along_axis(left, position, 0, axis=-1)
    return total


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), by way of tanh, which does not overflow."""
    return 0.5 * np.tanh(0.5 * x) + np.float32(0.5)
