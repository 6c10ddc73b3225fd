"""What stands side by side in an LSTM layer's input, and its product with the layer's weights.

Time is the first axis: `[T, B, ...]`. One-hot vectors stay class numbers, which look up rows of the
weights, and what is the same at every step has no time axis and is multiplied once.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import tensorflow as tf

from music_vae.nn.numerics import Numerics


class OneHot(NamedTuple):
    """Rows of one-hot vectors by their classes; a negative class is a row of zeros.

    Attributes:
      classes: int32 `[T, B]`.
      depth: Width of a row.
    """

    classes: tf.Tensor
    depth: int

    def dense(self) -> tf.Tensor:
        """The rows, `[T, B, depth]`."""
        return tf.one_hot(self.classes, self.depth)


Part: TypeAlias = tf.Tensor | OneHot
"""What stands beside other parts in a layer's input: `[B, D]` or `[T, B, D]`."""


def split_one_hots(sequence: tf.Tensor, depths: Sequence[int]) -> list[Part]:
    """Parts of `[T, B, D]`: one-hot vectors of these depths side by side, then anything else."""
    *blocks, rest = tf.split(sequence, [*depths, sequence.shape[-1] - sum(depths)], axis=-1)
    parts: list[Part] = []
    for block, depth in zip(blocks, depths, strict=True):
        there = tf.reduce_max(block, axis=-1) > 0
        parts.append(OneHot(tf.where(there, tf.argmax(block, -1, tf.int32), -1), depth))
    return [*parts, rest]


def width_of(part: Part | int) -> int:
    """Of a part, which a number may stand for."""
    if isinstance(part, int):
        return part
    return part.depth if isinstance(part, OneHot) else part.shape[-1]


def multiplied(part: Part, rows: tf.Tensor, gates: tf.Tensor, numerics: Numerics) -> tf.Tensor:
    """`[T, B, G]`: part `[T, B, D]` times rows `[D, G]`, plus gates `[G]`, `[B, G]` or `[T, B, G]`.

    Biases are added to the rows of a look-up, or in one operation with the product: their own sum
    over time would cost as much as the rest.
    """
    bias = gates if gates.shape.rank == 1 else None
    if isinstance(part, OneHot):
        table = tf.pad(rows, [[0, 1], [0, 0]])  # the last row is for negative classes
        product = _look_up(table if bias is None else table + bias, part.classes)
    else:
        flat = numerics.multiply(tf.reshape(part, [-1, part.shape[-1]]), rows)
        flat = flat if bias is None else tf.nn.bias_add(flat, bias)
        product = tf.reshape(flat, [*tf.unstack(tf.shape(part)[:2]), rows.shape[-1]])
        product.set_shape([*part.shape[:2], rows.shape[-1]])
    return product if bias is not None else product + gates


@tf.custom_gradient
def _look_up(table: tf.Tensor, classes: tf.Tensor) -> Any:
    """Rows `[D + 1, G]` of classes `[T, B]`: `[T, B, G]`; the last row for a negative class."""
    depth = tf.shape(table)[0]
    rows = tf.where(classes < 0, depth - 1, classes)

    def gradient(d_result: tf.Tensor) -> tuple[tf.Tensor, None]:
        return tf.math.unsorted_segment_sum(d_result, rows, depth), None

    return tf.gather(table, rows), gradient


def side_by_side(parts: Sequence[Part]) -> tf.Tensor:
    """Parts joined, all dense; those without time are repeated if others have it."""
    dense = [part.dense() if isinstance(part, OneHot) else part for part in parts]
    if all(part.shape.rank == 2 for part in dense):
        return tf.concat(dense, axis=-1)
    steps = next(tf.shape(part)[0] for part in dense if part.shape.rank > 2)
    return tf.concat(
        [part if part.shape.rank > 2 else tf.repeat(part[None], steps, axis=0) for part in dense],
        axis=-1,
    )


def last_valid(sequence: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """The last valid steps `[B, D]` of `[T, B, D]`; zeros where there is none."""
    batch = tf.range(tf.shape(lengths)[0])
    index = tf.stack([tf.maximum(lengths - 1, 0), batch], axis=-1)
    last = tf.gather_nd(sequence, index)
    return tf.where(lengths[:, None] > 0, last, tf.zeros_like(last))


def reverse(part: Part, lengths: tf.Tensor) -> Any:
    """Reverses the valid steps of a part over time; the others stay where they are."""
    if isinstance(part, OneHot):
        return part._replace(classes=tf.reverse_sequence(part.classes, lengths, 0, 1))
    return tf.reverse_sequence(part, lengths, seq_axis=0, batch_axis=1)
