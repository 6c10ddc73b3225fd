"""What a loop over time leaves at every step, `[B, D]`: as a list, or stacked.

A list holds tensors where they are, which will do for what the backward loop reads step by step.
Stacking copies them all.
"""

from typing import Any

import tensorflow as tf


def reserve(count: Any, dtype: tf.DType) -> tf.Tensor:
    """A list of so many steps, none of them there yet."""
    return tf.raw_ops.TensorListReserve(element_shape=-1, num_elements=count, element_dtype=dtype)


def put(steps: tf.Tensor, t: Any, value: tf.Tensor) -> tf.Tensor:
    """The list with `value` at step t."""
    return tf.raw_ops.TensorListSetItem(input_handle=steps, index=t, item=value)


def stack(steps: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """`[T, B, D]` of a list; what is stacked already stays as it is."""
    if steps.dtype != tf.variant:
        return steps
    return tf.raw_ops.TensorListStack(
        input_handle=steps, element_shape=[-1, -1], element_dtype=dtype
    )


def at(steps: tf.Tensor, t: Any, dtype: tf.DType) -> tf.Tensor:
    """Step t, `[B, D]`, of a list or of `[T, B, D]`."""
    if steps.dtype != tf.variant:
        return steps[t]
    return tf.raw_ops.TensorListGetItem(
        input_handle=steps, index=t, element_shape=[-1, -1], element_dtype=dtype
    )
