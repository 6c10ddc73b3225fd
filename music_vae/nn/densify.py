"""Makes compact batches dense with TensorFlow, on the device that computes with them.

A byte or two a step then goes to the device, instead of a row of floats. The results equal those of
the converters' `dense_inputs`, `dense_outputs` and `dense_controls`, which use NumPy.
"""

import tensorflow as tf

from music_vae.common.batches import Batch, Compact, CompactBatch, Numbers, OneHot, Roll


def dense_on_device(batch: CompactBatch, compact: Compact) -> Batch:
    """Returns the dense float32 form of a compact batch.

    >>> tokens = tf.constant([[2, 0, -1]], tf.int8)  # two steps, and one of padding
    >>> batch = CompactBatch(tokens, tokens, tf.zeros([1, 3, 0]), tf.constant([2]))
    >>> dense_on_device(batch, Compact(OneHot((3,)), OneHot((3,)))).targets.numpy().tolist()
    [[[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]

    Args:
      batch: Compact arrays, as tensors.
      compact: The form of these arrays, which says how to make them dense.
    """
    inputs = _dense(batch.inputs, compact.inputs)
    same = batch.inputs is batch.targets and compact.inputs == compact.outputs
    targets = inputs if same else _dense(batch.targets, compact.outputs)
    controls = tf.cast(batch.controls, tf.float32)
    if batch.controls.shape.rank == 2 or batch.controls.shape[-1]:
        controls = _dense(batch.controls, compact.controls)
    return Batch(inputs, targets, controls, batch.lengths)


def _dense(array: tf.Tensor, form: OneHot | Roll | Numbers) -> tf.Tensor:
    """Makes one compact array `[..., T]` or `[..., T, C]` float32 `[..., T, depth]`."""
    if isinstance(form, Numbers):
        numbers = tf.cast(array, tf.float32)
        # Padding is NaN among floats and below 0 among whole numbers.
        is_number = (
            tf.math.logical_not(tf.math.is_nan(numbers))
            if array.dtype.is_floating
            else (array >= 0)
        )
        return tf.where(is_number, numbers, 0.0)
    if isinstance(form, Roll):
        return _roll(tf.cast(array, tf.int64), form)
    indices = tf.cast(array, tf.int32)
    if len(form.depths) == 1:
        return tf.one_hot(indices, form.depths[0])
    columns = tf.unstack(indices, len(form.depths), axis=-1)
    return tf.concat(
        [tf.one_hot(column, depth) for column, depth in zip(columns, form.depths, strict=True)],
        axis=-1,
    )


def _roll(masks: tf.Tensor, form: Roll) -> tf.Tensor:
    """Returns the bits of masks, lowest first; padding, which is below 0, has none."""
    bits = tf.bitwise.right_shift(masks[..., None], tf.range(form.depth, dtype=tf.int64))
    columns = tf.bitwise.bitwise_and(bits, tf.constant(1, tf.int64))
    columns = tf.where(masks[..., None] >= 0, columns, 0)
    if form.has_nothing:
        nothing = tf.cast(masks == 0, tf.int64)[..., None]
        columns = tf.concat([columns, nothing], axis=-1)
    return tf.cast(columns, tf.float32)
