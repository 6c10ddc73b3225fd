"""Random numbers that do not depend on what computes them or how a batch is split over devices.

TensorFlow and XLA draw the same bits (Philox; Salmon et al. 2011), but make other floats of them.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

_ALGORITHM = "philox"
"""The automatic choice differs from device to device."""
_MANTISSA_BITS = 23
_SMALLEST_UNIFORM = 1e-7  # in place of zeros, which have no logarithm


def fold_in(seed: tf.Tensor, number: Any) -> tf.Tensor:
    """A seed, int32 `[2]`, of its own for each number."""
    return tf.random.experimental.stateless_fold_in(seed, number, alg=_ALGORITHM)


@dataclasses.dataclass(frozen=True)
class Shard:
    """One of several equal shares of a batch, and the random numbers of its rows.

    What an example is given depends on the seed and its place in the whole batch alone: the numbers
    of the whole batch are drawn and the share's own rows kept.

    Attributes:
      index: Which share: rows [index * B, (index + 1) * B) for B rows each.
      count: How many shares there are.
    """

    index: Any = 0
    count: int = 1

    def split(self, count: int) -> list["Shard"]:
        """Equal shares of this one."""
        return [Shard(self.index * count + n, self.count * count) for n in range(count)]

    def uniform(self, shape: Sequence[Any], seed: tf.Tensor, *, batch_axis: int = 0) -> tf.Tensor:
        """Numbers in [0, 1) of the given shape for a seed, int32 `[2]`."""
        return self._own_rows(_uniform, shape, seed, batch_axis)

    def normal(self, shape: Sequence[Any], seed: tf.Tensor, *, batch_axis: int = 0) -> tf.Tensor:
        """Numbers from N(0, 1) of the given shape for a seed, int32 `[2]`."""
        return self._own_rows(_normal, shape, seed, batch_axis)

    def rows(self, array: tf.Tensor, *, batch_axis: int = 0) -> tf.Tensor:
        """This share's rows of what belongs to the whole batch."""
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
"""A batch that is not split."""


def _uniform(shape: Sequence[Any], seed: tf.Tensor) -> tf.Tensor:
    bits = tf.random.stateless_uniform(
        shape, seed, minval=None, maxval=None, dtype=tf.uint32, alg=_ALGORITHM
    )
    mantissas = tf.bitcast(bits & (2**_MANTISSA_BITS - 1), tf.int32)
    return tf.cast(mantissas, tf.float32) * 2.0**-_MANTISSA_BITS


def _normal(shape: Sequence[Any], seed: tf.Tensor) -> tf.Tensor:
    """Pairs by Box and Muller (1958)."""
    size = tf.reduce_prod(shape)
    first, second = tf.unstack(_uniform([(size + 1) // 2, 2], seed), axis=1)
    radius = tf.sqrt(-2.0 * tf.math.log(tf.maximum(first, _SMALLEST_UNIFORM)))
    angle = 2.0 * math.pi * second
    pairs = tf.stack([tf.sin(angle) * radius, tf.cos(angle) * radius], axis=1)
    return tf.reshape(tf.reshape(pairs, [-1])[:size], shape)
