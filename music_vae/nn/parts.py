"""Multiplies the parts of an LSTM layer's input, such as notes, z and controls, with its weights.

The parts stand side by side in the input, and time is their first axis: `[T, B, ...]`. Two kinds
are cheaper than a dense sequence. One-hot vectors stay class numbers, which look up rows of the
weights; and a part that is the same at every step has no time axis, and is multiplied once.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import tensorflow as tf

from music_vae.nn.numerics import Numerics


class OneHot(NamedTuple):
    """A sequence of one-hot vectors, kept as class numbers.

    >>> OneHot(tf.constant([[2], [-1]]), depth=3).dense().numpy().tolist()
    [[[0.0, 0.0, 1.0]], [[0.0, 0.0, 0.0]]]

    Attributes:
      classes: Classes, int32 `[T, B]`; a negative one stands for a vector of zeros.
      depth: Length of a vector.
    """

    classes: tf.Tensor
    depth: int

    def dense(self) -> tf.Tensor:
        """Returns the vectors, `[T, B, depth]`."""
        return tf.one_hot(self.classes, self.depth)


Part: TypeAlias = tf.Tensor | OneHot
"""A part of a layer's input, beside others: `[B, D]`, or over time `[T, B, D]`."""


def split_one_hots(sequence: tf.Tensor, depths: Sequence[int]) -> list[Part]:
    """Splits `[T, B, D]` into the one-hot vectors of these depths with which a step begins, and the
    rest.

    >>> step = tf.constant([[[0.0, 1.0, 1.0, 0.0, 0.0, 0.5]]])  # classes 1 of 2, 0 of 3, and 0.5
    >>> first, second, rest = split_one_hots(step, [2, 3])
    >>> first.classes.numpy().item(), second.classes.numpy().item(), rest.numpy().tolist()
    (1, 0, [[[0.5]]])
    """
    *blocks, rest = tf.split(sequence, [*depths, sequence.shape[-1] - sum(depths)], axis=-1)
    parts: list[Part] = []
    for block, depth in zip(blocks, depths, strict=True):
        there = tf.reduce_max(block, axis=-1) > 0
        parts.append(OneHot(tf.where(there, tf.argmax(block, -1, tf.int32), -1), depth))
    return [*parts, rest]


def width_of(part: Part | int) -> int:
    """Returns the width D of a part; a number is a width already.

    >>> [width_of(part) for part in (OneHot(tf.zeros([4, 1]), 90), tf.zeros([1, 32]), 6)]
    [90, 32, 6]
    """
    if isinstance(part, int):
        return part
    return part.depth if isinstance(part, OneHot) else part.shape[-1]


def multiplied(part: Part, rows: tf.Tensor, gates: tf.Tensor, numerics: Numerics) -> tf.Tensor:
    """Returns gates plus the product of a part with its rows of the weights, `[T, B, G]`.

    Biases are added to the rows of a look-up, or in one operation with the product: a sum of their
    own over time would cost as much as the rest.

    >>> from music_vae.nn.numerics import PLAIN
    >>> rows, biases = tf.constant([[10.0], [20.0], [30.0]]), tf.constant([1.0])
    >>> tune = OneHot(tf.constant([[2], [0], [-1]]), depth=3)
    >>> multiplied(tune, rows, biases, PLAIN).numpy().ravel().tolist()
    [31.0, 11.0, 1.0]

    Args:
      part: A part over time, `[T, B, D]`.
      rows: Its rows of the weights, `[D, G]`.
      gates: What the product is added to: biases `[G]`, or sums `[B, G]` or `[T, B, G]`.
      numerics: How products are computed.
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
    """Returns rows of a table `[D + 1, G]` for classes `[T, B]`; the last for a negative one."""
    depth = tf.shape(table)[0]
    rows = tf.where(classes < 0, depth - 1, classes)

    def gradient(d_result: tf.Tensor) -> tuple[tf.Tensor, None]:
        return tf.math.unsorted_segment_sum(d_result, rows, depth), None

    return tf.gather(table, rows), gradient


def side_by_side(parts: Sequence[Part]) -> tf.Tensor:
    """Joins parts, all dense; those without a time axis are repeated if others have one.

    >>> tune, z = OneHot(tf.constant([[1], [0]]), depth=2), tf.constant([[0.5]])
    >>> side_by_side([tune, z]).numpy().tolist()
    [[[0.0, 1.0, 0.5]], [[1.0, 0.0, 0.5]]]
    """
    dense = [part.dense() if isinstance(part, OneHot) else part for part in parts]
    if all(part.shape.rank == 2 for part in dense):
        return tf.concat(dense, axis=-1)
    steps = next(tf.shape(part)[0] for part in dense if part.shape.rank > 2)
    return tf.concat(
        [part if part.shape.rank > 2 else tf.repeat(part[None], steps, axis=0) for part in dense],
        axis=-1,
    )


def last_valid(sequence: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Returns the last valid step of each sequence, `[B, D]` of `[T, B, D]`; zeros if it has none.

    >>> sequences = tf.constant([[[1.0], [5.0]], [[2.0], [6.0]], [[3.0], [7.0]]])  # T = 3, B = 2
    >>> last_valid(sequences, tf.constant([3, 1])).numpy().tolist()
    [[3.0], [5.0]]
    """
    batch = tf.range(tf.shape(lengths)[0])
    index = tf.stack([tf.maximum(lengths - 1, 0), batch], axis=-1)
    last = tf.gather_nd(sequence, index)
    return tf.where(lengths[:, None] > 0, last, tf.zeros_like(last))


def reverse(part: Part, lengths: tf.Tensor) -> Any:
    """Reverses the valid steps of a part over time; padding stays where it is.

    >>> sequence = tf.constant([[[1.0]], [[2.0]], [[0.0]]])
    >>> reverse(sequence, tf.constant([2])).numpy().ravel().tolist()
    [2.0, 1.0, 0.0]
    """
    if isinstance(part, OneHot):
        return part._replace(classes=tf.reverse_sequence(part.classes, lengths, 0, 1))
    return tf.reverse_sequence(part, lengths, seq_axis=0, batch_axis=1)
