"""Computes an LSTM layer over time as one operation of cuDNN, on NVIDIA's GPUs."""

import tensorflow as tf


def lstm(
    inputs: tf.Tensor,
    kernel: tf.Tensor,
    bias: tf.Tensor,
    c0: tf.Tensor,
    h0: tf.Tensor,
    lengths: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Runs an LSTM layer over sequences that are known in advance.

    Running needs an NVIDIA GPU; a graph can be built, and its shapes read, without one:

    >>> shapes = [[7, 2, 3], [3 + 4, 16], [16], [2, 4], [2, 4]]  # 7 steps, 2 sequences, 4 units
    >>> tensors = [tf.TensorSpec(shape) for shape in shapes]
    >>> graph = tf.function(lstm).get_concrete_function(*tensors, tf.TensorSpec([2], tf.int32))
    >>> [tuple(shape) for shape in graph.output_shapes]
    [(7, 2, 4), (2, 4), (2, 4)]

    Args:
      inputs: The sequences, `[T, B, D]`.
      kernel: Weights `[D + H, 4H]`, blocks in the order i, j, f, o.
      bias: Biases `[4H]`, with the forget gate's 1.
      c0: The cell before the first step, `[B, H]`.
      h0: The output before the first step, `[B, H]`.
      lengths: Valid steps of each sequence, `[B]`.

    Returns:
      h of every step `[T, B, H]`, zeros after the last valid one; and c and h `[B, H]` after the
      last valid step, zeros for a sequence that has none.
    """
    hs, h, c, *_ = tf.raw_ops.CudnnRNNV3(
        input=inputs,
        input_h=h0[None],
        input_c=c0[None],
        params=packed(kernel, bias),
        sequence_lengths=tf.maximum(lengths, 1),  # an empty one is not defined
        rnn_mode="lstm",
        input_mode="linear_input",
        direction="unidirectional",
        is_training=True,
        time_major=True,
    )
    there = lengths[:, None] > 0
    return hs, *(tf.where(there, state[0], tf.zeros_like(state[0])) for state in (c, h))


def packed(kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """Returns a layer's weights in cuDNN's order, `[4H * (D + H + 2)]`.

    First come the gates' matrices for x, transposed, in the order i, f, j, o, then those for h,
    then the biases. cuDNN adds up two biases for each gate; the second is zero here.

    >>> kernel = tf.constant([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]])  # one input, one unit
    >>> packed(kernel, tf.constant([0.1, 0.2, 0.3, 0.4])).numpy().round(1)
    array([1. , 3. , 2. , 4. , 5. , 7. , 6. , 8. , 0.1, 0.3, 0.2, 0.4, 0. , 0. , 0. , 0. ],
          dtype=float32)
    """
    units = bias.shape[0] // 4
    matrices = tf.split(kernel, [kernel.shape[0] - units, units], axis=0)
    flat = [
        tf.reshape(tf.transpose(block), [-1]) for matrix in matrices for block in _ordered(matrix)
    ]
    return tf.concat([*flat, *_ordered(bias), tf.zeros_like(bias)], axis=0)


def _ordered(blocks: tf.Tensor) -> list[tf.Tensor]:
    i, j, f, o = tf.split(blocks, 4, axis=-1)
    return [i, f, j, o]
