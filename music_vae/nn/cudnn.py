"""An LSTM layer over time as one operation of cuDNN, on NVIDIA's GPUs."""

import tensorflow as tf


def lstm(
    inputs: tf.Tensor,
    kernel: tf.Tensor,
    bias: tf.Tensor,
    c0: tf.Tensor,
    h0: tf.Tensor,
    lengths: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """h of every step `[T, B, H]`, zeros after the last valid one, and the last c and h, `[B, H]`.

    Args:
      inputs: `[T, B, D]`.
      kernel: `[D + H, 4H]`, blocks in the order i, j, f, o.
      bias: `[4H]`, with the forget gate's 1.
      c0: `[B, H]`.
      h0: `[B, H]`.
      lengths: `[B]` valid steps; c and h of a sequence without any are zeros.
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
    """A layer's weights in cuDNN's order, `[4H * (D + H + 2)]`.

    The gates' matrices for x, transposed, in the order i, f, j, o; those for h; and the biases, of
    which cuDNN adds up two for each gate.
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
