"""Defines the LSTM cell: the recurrence of one layer, a step at a time or over a whole sequence.

The equations are those of Hochreiter and Schmidhuber (1997) with a forget gate:

    i, j, f, o = split([x, h] . kernel + bias)
    c' = c * sigmoid(f + 1) + sigmoid(i) * tanh(j)
    h' = sigmoid(o) * tanh(c')

Weights are packed as in published checkpoints: one kernel `[input_size + units, 4 * units]`, blocks
in the order i, j, f, o, and a bias `[4 * units]` that does not contain the forget gate's 1. Time is
the first axis: `[T, B, ...]`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from music_vae.common.model_constants import FORGET_BIAS
from music_vae.nn import cudnn
from music_vae.nn.numerics import PLAIN
from music_vae.nn.parts import OneHot, Part, last_valid, multiplied, side_by_side, width_of
from music_vae.nn.recurrence import Activations, Trace, gates_to_state, recurrence, run


class LstmState(NamedTuple):
    """The state of an LSTM layer after one step, or after every step.

    >>> LstmCell(input_size=3, units=2).zero_state(1, tf.float32).h.numpy().tolist()
    [[0.0, 0.0]]

    Attributes:
      c: The cell, `[B, units]` or over time `[T, B, units]`.
      h: The output, of the same shape.
    """

    c: tf.Tensor
    h: tf.Tensor


class LstmCell(keras.layers.Layer):
    """The recurrence of one LSTM layer; it owns the weights.

    >>> cell = LstmCell(input_size=3, units=1)
    >>> _ = cell.kernel.assign(tf.zeros([3 + 1, 4]))
    >>> state = LstmState(c=tf.ones([1, 1]), h=tf.zeros([1, 1]))
    >>> projected = cell.project([tf.ones([1, 3])])
    >>> print(cell.step(projected, state).c.numpy().round(3))  # sigmoid(0 + 1) of the old cell
    [[0.731]]
    """

    def __init__(self, input_size: int, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.input_size = input_size
        self.units = units
        self.kernel = self.add_weight(
            name="kernel", shape=(input_size + units, 4 * units), initializer="glorot_uniform"
        )
        self.bias = self.add_weight(name="bias", shape=(4 * units,), initializer="zeros")
        self.numerics = PLAIN
        self.built = True

    def project(self, parts: Sequence[Part | int]) -> "Projected":
        """Returns the share of the inputs in the gates: their product with the kernel, plus biases.

        Args:
          parts: The parts of the cell's input, side by side. A part without a time axis is
            multiplied once and added to every step, and one-hot vectors look up their rows. A
            number is the width of a part that is left out.
        """
        widths = [width_of(part) for part in parts]
        if sum(widths) != self.input_size:
            raise ValueError(
                f"{self.name} expects inputs of width {self.input_size}, got {sum(widths)}"
            )
        # One split, so that the kernel's gradient is put together once.
        kernel = tf.convert_to_tensor(self.kernel)
        *blocks, recurrent = tf.split(kernel, [*widths, self.units], axis=0)
        gates = self._whole_bias()
        left_out = []
        over_time: list[tuple[Part, tf.Tensor]] = []
        for part, rows, width in zip(parts, blocks, widths, strict=True):
            if isinstance(part, int):
                left_out.append(rows)
            elif isinstance(part, OneHot) or (width and part.shape.rank > 2):
                over_time.append((part, rows))
            elif width:
                gates += self.numerics.multiply(part, rows)
        for part, rows in over_time:
            gates = multiplied(part, rows, gates, self.numerics)
        return Projected(gates, recurrent, tuple(left_out))

    def _whole_bias(self) -> tf.Tensor:
        """Returns the biases of the gates `[4 * units]`, with the forget gate's 1."""
        return tf.convert_to_tensor(self.bias) + tf.constant(
            np.repeat([0.0, 0.0, FORGET_BIAS, 0.0], self.units), self.bias.dtype
        )

    def step(
        self, projected: "Projected", state: LstmState, kept: list[Activations] | None = None
    ) -> LstmState:
        """Takes one step: returns the state after it.

        Args:
          projected: Inputs of this step, without a time axis.
          state: The state before the step.
          kept: A list that the gates' activations are appended to, if there is one.
        """
        product = self.numerics.multiply(state.h, projected.recurrent)
        c, h, activations = gates_to_state(projected.gates + product, state.c)
        if kept is not None:
            kept.append(activations)
        return LstmState(c, h)

    def sequence(
        self,
        projected: "Projected",
        lengths: tf.Tensor,
        state: LstmState | None = None,
        trace: Trace | None = None,
    ) -> tuple[tf.Tensor, LstmState]:
        """Returns h of every step `[T, B, units]`, and the state after the last valid step.

        Args:
          projected: Inputs over time.
          lengths: Valid steps of each sequence, `[B]`.
          state: The state before the first step; zeros by default.
          trace: Trace of these steps, if they have been taken already.
        """
        gates, recurrent = projected.gates, projected.recurrent
        state = state or self.zero_state(tf.shape(gates)[1], gates.dtype)
        hs, c = recurrence(gates, recurrent, *state, lengths, trace=trace, numerics=self.numerics)
        return hs, LstmState(c, last_valid(hs, lengths))

    def fused_sequence(
        self, parts: Sequence[Part], lengths: tf.Tensor, state: LstmState | None = None
    ) -> tuple[tf.Tensor, LstmState]:
        """Does what `project` and `sequence` do, with cuDNN; outputs at padding are zeros.

        Args:
          parts: The parts of the cell's input over time; see `project`.
          lengths: Valid steps of each sequence, `[B]`.
          state: The state before the first step; zeros by default.
        """
        inputs = side_by_side(parts)
        state = state or self.zero_state(tf.shape(inputs)[1], inputs.dtype)
        kernel = tf.convert_to_tensor(self.kernel)
        hs, c, h = cudnn.lstm(inputs, kernel, self._whole_bias(), *state, lengths)
        return hs, LstmState(c, h)

    def trace(self, projected: "Projected", state: LstmState) -> Trace:
        """Returns the trace of `sequence`, without its gradient."""
        return run(projected.gates, projected.recurrent, *state, self.numerics)

    def zero_state(self, batch: Any, dtype: Any) -> LstmState:
        """Returns a state of zeros to start from."""
        zeros = tf.zeros([batch, self.units], dtype)
        return LstmState(zeros, zeros)


class Projected(NamedTuple):
    """The inputs' share in a cell's gates, and the weights that have not been used yet.

    >>> projected = LstmCell(input_size=3, units=2).project([1, tf.ones([5, 1, 2])])
    >>> projected.gates.shape, projected.recurrent.shape, projected.left_out[0].shape
    (TensorShape([5, 1, 8]), TensorShape([2, 8]), TensorShape([1, 8]))

    Attributes:
      gates: Sums of products and biases, `[B, 4 * units]` or `[T, B, 4 * units]`.
      recurrent: The kernel's rows for h, `[units, 4 * units]`.
      left_out: The kernel's rows for each part that was left out, `[D, 4 * units]`.
    """

    gates: tf.Tensor
    recurrent: tf.Tensor
    left_out: tuple[tf.Tensor, ...] = ()
