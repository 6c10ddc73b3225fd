"""Draws random numbers that depend neither on the device nor on how a batch is split over devices.

TensorFlow and XLA draw the same bits (Philox; Salmon et al. 2011), but make other floats of them.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

_ALGORITHM = "philox"
"""Named here because TensorFlow's own choice differs from device to device."""
_MANTISSA_BITS = 23
_SMALLEST_UNIFORM = 1e-7  # in place of zeros, which have no logarithm


def fold_in(seed: tf.Tensor, number: Any) -> tf.Tensor:
    """Returns a new seed, int32 `[2]`, from a seed and a number; each number gives another one.

    >>> seed = tf.constant([1, 2])
    >>> [fold_in(seed, number).numpy().tolist() for number in (0, 1)]
    [[1105988140, 0], [1105988140, 1]]
    """
    return tf.random.experimental.stateless_fold_in(seed, number, alg=_ALGORITHM)


@dataclasses.dataclass(frozen=True)
class Shard:
    """One of several equal shares of a batch, which draws the random numbers of its rows.

    The numbers of an example depend on nothing but the seed and its place in the whole batch: the
    numbers of the whole batch are drawn, and the share keeps its own rows.

    >>> seed = tf.constant([1, 2])
    >>> print(WHOLE.uniform([4], seed).numpy().round(3))
    [0.844 0.192 0.996 0.16 ]
    >>> print(*[half.uniform([2], seed).numpy().round(3) for half in WHOLE.split(2)])
    [0.844 0.192] [0.996 0.16 ]

    Attributes:
      index: Index of the share: of B rows each, it has rows index * B to (index + 1) * B - 1.
      count: Number of shares.
    """

    index: Any = 0
    count: int = 1

    def split(self, count: int) -> list["Shard"]:
        """Splits this share into `count` equal shares."""
        return [Shard(self.index * count + n, self.count * count) for n in range(count)]

    def uniform(self, shape: Sequence[Any], seed: tf.Tensor, *, batch_axis: int = 0) -> tf.Tensor:
        """Draws uniform numbers in [0, 1) of the given shape from a seed, int32 `[2]`."""
        return self._own_rows(_uniform, shape, seed, batch_axis)

    def normal(self, shape: Sequence[Any], seed: tf.Tensor, *, batch_axis: int = 0) -> tf.Tensor:
        """Draws numbers from N(0, 1) of the given shape from a seed, int32 `[2]`."""
        return self._own_rows(_normal, shape, seed, batch_axis)

    def rows(self, array: tf.Tensor, *, batch_axis: int = 0) -> tf.Tensor:
        """Returns this share's rows of an array of the whole batch."""
        size = tf.shape(array)[batch_axis] // self.count
        begin = [0] * array.shape.rank
        begin[batch_axis] = self.index * size
        extent = [-1] * array.shape.rank
        extent[batch_axis] = size
        return tf.slice(array, begin, extent)

    def _own_rows(
        self, draw: Callable[..., tf.Tensor], shape: Sequence[Any], seed: tf.Tensor, axis: int
    ) -> tf.Tensor:
        if self.count == 1:
            return draw(shape, seed)
        whole = [size * self.count if n == axis else size for n, size in enumerate(shape)]
        rows = self.rows(draw(whole, seed), batch_axis=axis)
        return tf.ensure_shape(rows, [s if isinstance(s, int) else None for s in shape])


WHOLE = Shard()
"""The only share of a batch that is not split."""


def _uniform(shape: Sequence[Any], seed: tf.Tensor) -> tf.Tensor:
    bits = tf.random.stateless_uniform(
        shape, seed, minval=None, maxval=None, dtype=tf.uint32, alg=_ALGORITHM
    )
    mantissas = tf.bitcast(bits & (2**_MANTISSA_BITS - 1), tf.int32)
    return tf.cast(mantissas, tf.float32) * 2.0**-_MANTISSA_BITS


def _normal(shape: Sequence[Any], seed: tf.Tensor) -> tf.Tensor:
    """Draws normal numbers in pairs, after Box and Muller (1958)."""
    size = tf.reduce_prod(shape)
    first, second = tf.unstack(_uniform([(size + 1) // 2, 2], seed), axis=1)
    radius = tf.sqrt(-2.0 * tf.math.log(tf.maximum(first, _SMALLEST_UNIFORM)))
    angle = 2.0 * math.pi * second
    pairs = tf.stack([tf.sin(angle) * radius, tf.cos(angle) * radius], axis=1)
    return tf.reshape(tf.reshape(pairs, [-1])[:size], shape)
