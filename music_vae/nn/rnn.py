"""LSTM layers: one step, a whole sequence, stacks of layers, and both directions at once.

A cell knows one step; `LstmCell.sequence` knows time. Inside this module time is the first axis:
`[T, B, ...]`. The equations are those of Hochreiter and Schmidhuber (1997) with a forget gate:

    i, j, f, o = split([x, h] . kernel + bias)
    c' = c * sigmoid(f + 1) + sigmoid(i) * tanh(j)
    h' = sigmoid(o) * tanh(c')

Weights are packed as in published checkpoints: one kernel `[input_size + units, 4 * units]`, blocks
in the order i, j, f, o, and a bias `[4 * units]` that does not contain the forget gate's 1.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

FORGET_BIAS = 1.0


class LstmState(NamedTuple):
    """State of one layer, both `[B, units]`."""

    c: tf.Tensor
    h: tf.Tensor


class LstmCell(keras.layers.Layer):
    """One LSTM layer."""

    def __init__(self, input_size: int, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.input_size = input_size
        self.units = units
        self.kernel = self.add_weight(
            name="kernel", shape=(input_size + units, 4 * units), initializer="glorot_uniform"
        )
        self.bias = self.add_weight(name="bias", shape=(4 * units,), initializer="zeros")

    def project(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """The share of the inputs in the gates, `[..., 4 * units]`: their product with the kernel.

        Args:
          inputs: Parts that stand side by side in the cell's input, each `[B, D]` or `[T, B, D]`.
            What has no time axis is multiplied once and added to every step.
        """
        kernel, start = tf.convert_to_tensor(self.kernel), 0
        total = tf.convert_to_tensor(self.bias)
        for part in inputs:
            size = part.shape[-1]
            rows = kernel[start : start + size]
            total += tf.tensordot(part, rows, 1) if part.shape.rank > 2 else part @ rows
            start += size
        if start != self.input_size:
            raise ValueError(f"{self.name} expects inputs of width {self.input_size}, got {start}")
        return total

    def step(self, projected: tf.Tensor, state: LstmState) -> LstmState:
        """One step from projected inputs `[B, 4 * units]` and the state before."""
        gates = projected + state.h @ tf.convert_to_tensor(self.kernel)[self.input_size :]
        c, h, _ = _gates_to_state(gates, state.c)
        return LstmState(c, h)

    def sequence(self, projected: tf.Tensor, state: LstmState | None = None) -> tf.Tensor:
        """Outputs h `[T, B, units]` from projected inputs `[T, B, 4 * units]`.

        Starts from `state`, or from zeros.
        """
        if state is None:
            zeros = tf.zeros([tf.shape(projected)[1], self.units], projected.dtype)
            state = LstmState(zeros, zeros)
        recurrent = tf.convert_to_tensor(self.kernel)[self.input_size :]
        return _recurrence(projected, recurrent, state.c, state.h)


def _gates_to_state(gates: tf.Tensor, c: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Gate pre-activations and the old cell to (new c, new h, activations `[B, 4 * units]`)."""
    i, j, f, o = tf.split(gates, 4, axis=-1)
    i, j, f, o = tf.sigmoid(i), tf.tanh(j), tf.sigmoid(f + FORGET_BIAS), tf.sigmoid(o)
    c = c * f + i * j
    return c, tf.tanh(c) * o, tf.concat([i, j, f, o], axis=-1)


@tf.custom_gradient
def _recurrence(projected: tf.Tensor, recurrent: tf.Tensor, c0: tf.Tensor, h0: tf.Tensor) -> Any:
    """The LSTM over time with its own gradient, `[T, B, 4H]` to `[T, B, H]`.

    Automatic differentiation would add up a weight gradient at every step. Here the gates are kept
    from the forward loop, the backward loop finds the gradients of the gates alone, and the weight
    gradient is a single product over time and batch.
    """
    steps = tf.shape(projected)[0]

    def arrays(count: int) -> tuple[tf.TensorArray, ...]:
        return tuple(tf.TensorArray(projected.dtype, steps) for _ in range(count))

    def forward(t: tf.Tensor, c: tf.Tensor, h: tf.Tensor, kept: Any) -> Any:
        c, h, activations = _gates_to_state(projected[t] + h @ recurrent, c)
        cs, hs, gates = kept
        return t + 1, c, h, (cs.write(t, c), hs.write(t, h), gates.write(t, activations))

    *_, kept = tf.while_loop(lambda t, *_: t < steps, forward, (0, c0, h0, arrays(3)))
    cs, hs, gates = (array.stack() for array in kept)

    def gradient(d_hs: tf.Tensor) -> tuple[tf.Tensor, ...]:
        previous_cs = tf.concat([c0[None], cs[:-1]], axis=0)
        previous_hs = tf.concat([h0[None], hs[:-1]], axis=0)

        def backward(t: tf.Tensor, d_c: tf.Tensor, d_h: tf.Tensor, kept: tf.TensorArray) -> Any:
            i, j, f, o = tf.split(gates[t], 4, axis=-1)
            tanh_c = tf.tanh(cs[t])
            d_h += d_hs[t]
            d_c += d_h * o * (1 - tanh_c**2)
            d_gates = tf.concat(
                [
                    d_c * j * i * (1 - i),
                    d_c * i * (1 - j**2),
                    d_c * previous_cs[t] * f * (1 - f),
                    d_h * tanh_c * o * (1 - o),
                ],
                axis=-1,
            )
            return t - 1, d_c * f, d_gates @ transposed, kept.write(t, d_gates)

        transposed = tf.transpose(recurrent)  # once: a transposing product at every step is slow
        zeros = tf.zeros_like(c0)
        _, d_c0, d_h0, kept = tf.while_loop(
            lambda t, *_: t >= 0, backward, (steps - 1, zeros, zeros, arrays(1)[0])
        )
        d_projected = kept.stack()
        units = tf.shape(h0)[1]
        d_recurrent = tf.matmul(
            tf.reshape(previous_hs, [-1, units]),
            tf.reshape(d_projected, [-1, 4 * units]),
            transpose_a=True,
        )
        return d_projected, d_recurrent, d_c0, d_h0

    return hs, gradient


class LstmStack(keras.layers.Layer):
    """LSTM layers on top of each other, the decoder's and the conductor's core."""

    def __init__(self, input_size: int, sizes: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sizes = tuple(sizes)
        self.cells = [
            LstmCell(width, units, name=f"cell_{index}")
            for index, (width, units) in enumerate(
                zip((input_size, *self.sizes), self.sizes, strict=False)
            )
        ]

    @property
    def state_size(self) -> int:
        """Width of all states side by side."""
        return 2 * sum(self.sizes)

    def split_state(self, flat: tf.Tensor) -> tuple[LstmState, ...]:
        """`[B, state_size]` to a state per layer, in the order c0, h0, c1, h1, ..."""
        widths = [units for units in self.sizes for _ in range(2)]
        parts = tf.split(flat, widths, axis=-1)
        return tuple(LstmState(c, h) for c, h in zip(parts[::2], parts[1::2], strict=True))

    def step(
        self, inputs: Sequence[tf.Tensor], states: Sequence[LstmState]
    ) -> tuple[tf.Tensor, tuple[LstmState, ...]]:
        """One step of all layers: the top layer's h `[B, units]` and the new states."""
        return self.step_projected(self.cells[0].project(inputs), states)

    def step_projected(
        self, projected: tf.Tensor, states: Sequence[LstmState]
    ) -> tuple[tf.Tensor, tuple[LstmState, ...]]:
        """`step` from the first layer's projected inputs `[B, 4 * units]`."""
        new_states: list[LstmState] = []
        for cell, state in zip(self.cells, states, strict=True):
            if new_states:
                projected = cell.project([new_states[-1].h])
            new_states.append(cell.step(projected, state))
        return new_states[-1].h, tuple(new_states)

    def sequence(self, inputs: Sequence[tf.Tensor], states: Sequence[LstmState]) -> tf.Tensor:
        """The top layer's outputs `[T, B, units]` for inputs that are all known."""
        outputs = None
        for cell, state in zip(self.cells, states, strict=True):
            projected = cell.project(inputs if outputs is None else [outputs])
            outputs = cell.sequence(projected, state)
        return outputs


class BidirectionalLstm(keras.layers.Layer):
    """Layers that read a sequence in both directions; each reads both outputs of the one below."""

    def __init__(self, input_size: int, sizes: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sizes = tuple(sizes)
        widths = (input_size, *(2 * units for units in self.sizes))
        layers = list(zip(widths, self.sizes, strict=False))
        self.forward_cells = [
            LstmCell(width, units, name=f"forward_{index}")
            for index, (width, units) in enumerate(layers)
        ]
        self.backward_cells = [
            LstmCell(width, units, name=f"backward_{index}")
            for index, (width, units) in enumerate(layers)
        ]

    def last_outputs(self, inputs: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """What the top layer ends with: [last forward h, last backward h], `[B, 2 * units]`.

        Args:
          inputs: `[T, B, D]`.
          lengths: `[B]` valid steps. The backward direction reads these alone, and 'last' means the
            last of them; a sequence of length 0 gives zeros.
        """
        outputs = inputs
        for forward, backward in zip(self.forward_cells, self.backward_cells, strict=True):
            ahead = forward.sequence(forward.project([outputs]))
            reversed_inputs = _reverse(outputs, lengths)
            behind = backward.sequence(backward.project([reversed_inputs]))
            outputs = tf.concat([ahead, _reverse(behind, lengths)], axis=-1)
        return tf.concat([_last(ahead, lengths), _last(behind, lengths)], axis=-1)


def _reverse(sequence: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Reverses the valid steps of `[T, B, D]`; the others stay where they are."""
    return tf.reverse_sequence(sequence, lengths, seq_axis=0, batch_axis=1)


def _last(sequence: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """The last valid step of `[T, B, D]`, `[B, D]`; zeros where there is none."""
    batch = tf.range(tf.shape(lengths)[0])
    last = tf.gather_nd(sequence, tf.stack([tf.maximum(lengths - 1, 0), batch], axis=-1))
    return tf.where(lengths[:, None] > 0, last, tf.zeros_like(last))
