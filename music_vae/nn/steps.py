"""Keeps the results of a loop over time, `[B, D]` at every step: as a list, or stacked.

A list holds the tensors where they are, which is enough for a backward loop that reads them step by
step. Stacking copies them all.
"""

from typing import Any

import tensorflow as tf


def reserve(count: Any, dtype: tf.DType) -> tf.Tensor:
    """Returns a list with room for `count` steps, all empty.

    >>> tf.raw_ops.TensorListLength(input_handle=reserve(3, tf.float32)).numpy().item()
    3
    """
    return tf.raw_ops.TensorListReserve(element_shape=-1, num_elements=count, element_dtype=dtype)


def put(steps: tf.Tensor, t: Any, value: tf.Tensor) -> tf.Tensor:
    """Returns the list with `value` at step t.

    >>> kept = put(reserve(2, tf.float32), 1, tf.constant([[5.0, 7.0]]))
    >>> at(kept, 1, tf.float32).numpy().tolist()
    [[5.0, 7.0]]
    """
    return tf.raw_ops.TensorListSetItem(input_handle=steps, index=t, item=value)


def stack(steps: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """Returns the steps of a list as one tensor `[T, B, D]`; a tensor stays as it is.

    >>> kept = put(reserve(2, tf.float32), 0, tf.constant([[1.0]]))
    >>> kept = put(kept, 1, tf.constant([[2.0]]))
    >>> stack(kept, tf.float32).numpy().tolist()
    [[[1.0]], [[2.0]]]
    """
    if steps.dtype != tf.variant:
        return steps
    return tf.raw_ops.TensorListStack(
        input_handle=steps, element_shape=[-1, -1], element_dtype=dtype
    )


def at(steps: tf.Tensor, t: Any, dtype: tf.DType) -> tf.Tensor:
    """Returns step t, `[B, D]`, of a list or of a tensor `[T, B, D]`.

    >>> at(tf.constant([[[1.0]], [[2.0]]]), 1, tf.float32).numpy().tolist()
    [[2.0]]
    """
    if steps.dtype != tf.variant:
        return steps[t]
    return tf.raw_ops.TensorListGetItem(
        input_handle=steps, index=t, element_shape=[-1, -1], element_dtype=dtype
    )
