"""Compact batches made dense by TensorFlow, on the device that computes with them.

What goes to the device is then a byte or two a step instead of a row of floats. The same as the
converters' `dense_inputs`, `dense_outputs` and `dense_controls`, which NumPy computes.
"""

import tensorflow as tf

from music_vae.common.batches import Batch, Compact, CompactBatch, Numbers, OneHot, Roll


def dense_on_device(batch: CompactBatch, compact: Compact) -> Batch:
    """A dense float32 batch.

    Args:
      batch: Compact arrays.
      compact: What they hold.
    """
    inputs = _dense(batch.inputs, compact.inputs)
    same = batch.inputs is batch.targets and compact.inputs == compact.outputs
    targets = inputs if same else _dense(batch.targets, compact.outputs)
    controls = tf.cast(batch.controls, tf.float32)
    if batch.controls.shape.rank == 2 or batch.controls.shape[-1]:
        controls = _dense(batch.controls, compact.controls)
    return Batch(inputs, targets, controls, batch.lengths)


def _dense(array: tf.Tensor, form: OneHot | Roll | Numbers) -> tf.Tensor:
    """One compact array `[..., T]` or `[..., T, C]` as float32 `[..., T, depth]`."""
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
    """Bits of masks, lowest first; of padding, which is below 0, none."""
    bits = tf.bitwise.right_shift(masks[..., None], tf.range(form.depth, dtype=tf.int64))
    columns = tf.bitwise.bitwise_and(bits, tf.constant(1, tf.int64))
    columns = tf.where(masks[..., None] >= 0, columns, 0)
    if form.has_nothing:
        nothing = tf.cast(masks == 0, tf.int64)[..., None]
        columns = tf.concat([columns, nothing], axis=-1)
    return tf.cast(columns, tf.float32)
