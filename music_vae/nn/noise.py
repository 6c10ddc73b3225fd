"""Random numbers that do not depend on how a batch is split over devices."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf


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

    def uniform(self, shape: Sequence[Any], seed: tf.Tensor, *, batch_axis: int = 0) -> tf.Tensor:
        """Numbers in [0, 1) of the given shape for a seed, int32 `[2]`."""
        return self._own_rows(tf.random.stateless_uniform, shape, seed, batch_axis)

    def normal(self, shape: Sequence[Any], seed: tf.Tensor, *, batch_axis: int = 0) -> tf.Tensor:
        """Numbers from N(0, 1) of the given shape for a seed, int32 `[2]`."""
        return self._own_rows(tf.random.stateless_normal, shape, seed, batch_axis)

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
