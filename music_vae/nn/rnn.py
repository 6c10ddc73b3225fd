"""LSTM layers: one step, a whole sequence, stacks of layers, and both directions at once.

A cell knows one step; its `sequence` knows time. Inside this module time is the first axis:
`[T, B, ...]`. The equations are those of Hochreiter and Schmidhuber (1997) with a forget gate:

    i, j, f, o = split([x, h] . kernel + bias)
    c' = c * sigmoid(f + 1) + sigmoid(i) * tanh(j)
    h' = sigmoid(o) * tanh(c')

Weights are packed as in published checkpoints: one kernel `[input_size + units, 4 * units]`, blocks
in the order i, j, f, o, and a bias `[4 * units]` that does not contain the forget gate's 1.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

FORGET_BIAS = 1.0


class LstmState(NamedTuple):
    """State of one layer, both `[B, units]`; or of every step, both `[T, B, units]`."""

    c: tf.Tensor
    h: tf.Tensor


@dataclasses.dataclass(frozen=True)
class Dropout:
    """The noise of one pass in training: what it keeps depends on its seed alone.

    Attributes:
      keep_prob: Probability that a number is kept.
      seed: int32 `[2]`.
    """

    keep_prob: float
    seed: tf.Tensor

    def fold(self, number: int) -> "Dropout":
        """Independent noise for each number."""
        seed = tf.random.experimental.stateless_fold_in(self.seed, number)
        return Dropout(self.keep_prob, seed)

    def mask(self, shape: Any) -> tf.Tensor:
        """Factors of the given shape: 0, or 1 / keep_prob so that the mean stays."""
        kept = tf.random.stateless_uniform(shape, self.seed) < self.keep_prob
        return tf.cast(kept, tf.float32) / self.keep_prob


class LstmCell(keras.layers.Layer):
    """The recurrence of one layer."""

    def __init__(self, input_size: int, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.input_size = input_size
        self.units = units
        self.kernel = self.add_weight(
            name="kernel", shape=(input_size + units, 4 * units), initializer="glorot_uniform"
        )
        self.bias = self.add_weight(name="bias", shape=(4 * units,), initializer="zeros")
        self.built = True

    def project(self, parts: Sequence[tf.Tensor | int], *, bias: bool = True) -> Any:
        """The share of the inputs in the gates, `[..., 4 * units]`: their product with the kernel.

        Args:
          parts: What stands side by side in the cell's input, each `[B, D]` or `[T, B, D]`. What
            has no time axis is multiplied once and added to every step. A number is the width of a
            part that is left out, to be added by another call.
          bias: Whether the bias is added.
        """
        kernel, start = tf.convert_to_tensor(self.kernel), 0
        total: Any = tf.convert_to_tensor(self.bias) if bias else 0.0
        for part in parts:
            size = part if isinstance(part, int) else part.shape[-1]
            if not isinstance(part, int) and size:
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

    def sequence(self, projected: tf.Tensor, state: LstmState | None = None) -> LstmState:
        """The states after every step, `[T, B, units]`, from projected `[T, B, 4 * units]`.

        Starts from `state`, or from zeros.
        """
        if state is None:
            zeros = tf.zeros([tf.shape(projected)[1], self.units], projected.dtype)
            state = LstmState(zeros, zeros)
        recurrent = tf.convert_to_tensor(self.kernel)[self.input_size :]
        return LstmState(*_recurrence(projected, recurrent, state.c, state.h))


def _gates_to_state(gates: tf.Tensor, c: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Gate pre-activations and the old cell to (new c, new h, activations `[B, 4 * units]`)."""
    i, j, f, o = tf.split(gates, 4, axis=-1)
    i, j, f, o = tf.sigmoid(i), tf.tanh(j), tf.sigmoid(f + FORGET_BIAS), tf.sigmoid(o)
    c = c * f + i * j
    return c, tf.tanh(c) * o, tf.concat([i, j, f, o], axis=-1)


@tf.custom_gradient
def _recurrence(projected: tf.Tensor, recurrent: tf.Tensor, c0: tf.Tensor, h0: tf.Tensor) -> Any:
    """The LSTM over time with its own gradient: `[T, B, 4H]` to c and h, both `[T, B, H]`.

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

    def gradient(d_cs: tf.Tensor, d_hs: tf.Tensor) -> tuple[tf.Tensor, ...]:
        previous_cs = tf.concat([c0[None], cs[:-1]], axis=0)
        previous_hs = tf.concat([h0[None], hs[:-1]], axis=0)

        def backward(t: tf.Tensor, d_c: tf.Tensor, d_h: tf.Tensor, kept: tf.TensorArray) -> Any:
            i, j, f, o = tf.split(gates[t], 4, axis=-1)
            tanh_c = tf.tanh(cs[t])
            d_h += d_hs[t]
            d_c += d_cs[t] + d_h * o * (1 - tanh_c**2)
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

    return (cs, hs), gradient


class LstmLayer(keras.layers.Layer):
    """A cell with dropout on its inputs and, where asked for, a residual connection.

    A residual layer's output is h + x; x is first brought to the layer's width by a linear
    projection where `project` says so.
    """

    def __init__(
        self,
        input_size: int,
        units: int,
        *,
        residual: bool = False,
        project: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.residual = residual
        self.projection = None
        if residual and project:
            self.projection = keras.layers.Dense(units, name="projection")
            self.projection.build((None, input_size))
            input_size = units
        self.cell = LstmCell(input_size, units, name="cell")
        self.built = True

    def prepare(
        self, parts: Sequence[tf.Tensor], mask: tf.Tensor | None
    ) -> tuple[tf.Tensor, tf.Tensor | float]:
        """What the parts of the input, side by side, put into the gates, and what is added to h.

        Args:
          parts: Each `[B, D]` or `[T, B, D]`; see `LstmCell.project`.
          mask: Dropout's factors for all parts side by side, or None.
        """
        if mask is None and not self.residual:
            return self.cell.project(parts), 0.0
        inputs = side_by_side(parts)
        if mask is not None:
            inputs *= mask
        if self.projection is not None:
            inputs = self.projection(inputs)
        return self.cell.project([inputs]), inputs if self.residual else 0.0

    def sequence(
        self,
        parts: Sequence[tf.Tensor],
        state: LstmState | None = None,
        dropout: Dropout | None = None,
    ) -> tuple[tf.Tensor, LstmState]:
        """Outputs `[T, B, units]` and the states of every step for inputs that are all known."""
        mask = None if dropout is None else dropout.mask(tf.shape(side_by_side(parts)))
        projected, skipped = self.prepare(parts, mask)
        states = self.cell.sequence(projected, state)
        return states.h + skipped, states

    def step(
        self, parts: Sequence[tf.Tensor], state: LstmState, mask: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, LstmState]:
        """One step: output `[B, units]` and the new state."""
        projected, skipped = self.prepare(parts, mask)
        state = self.cell.step(projected, state)
        return state.h + skipped, state


class LstmStack(keras.layers.Layer):
    """LSTM layers on top of each other, the decoder's and the conductor's core."""

    def __init__(
        self, input_size: int, sizes: Sequence[int], *, residual: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.input_size = input_size
        self.sizes = tuple(sizes)
        self.layers = [
            LstmLayer(
                width,
                units,
                residual=residual,
                project=index == 0 or width != units,
                name=f"layer_{index}",
            )
            for index, (width, units) in enumerate(
                zip((input_size, *self.sizes), self.sizes, strict=False)
            )
        ]
        self.built = True

    @property
    def state_size(self) -> int:
        """Width of all states side by side."""
        return 2 * sum(self.sizes)

    def split_state(self, flat: tf.Tensor) -> tuple[LstmState, ...]:
        """`[B, state_size]` to a state per layer, in the order c0, h0, c1, h1, ..."""
        widths = [units for units in self.sizes for _ in range(2)]
        parts = tf.split(flat, widths, axis=-1)
        return tuple(LstmState(c, h) for c, h in zip(parts[::2], parts[1::2], strict=True))

    def masks(self, dropout: Dropout | None, steps: Any, batch: Any) -> list[tf.Tensor | None]:
        """Dropout's factors of each layer, `[T, B, D]`, the same that `sequence` draws."""
        if dropout is None:
            return [None] * len(self.sizes)
        widths = (self.input_size, *self.sizes[:-1])
        return [dropout.fold(n).mask([steps, batch, width]) for n, width in enumerate(widths)]

    def step(
        self,
        parts: Sequence[tf.Tensor],
        states: Sequence[LstmState],
        masks: Sequence[tf.Tensor | None] | None = None,
    ) -> tuple[tf.Tensor, tuple[LstmState, ...]]:
        """One step of all layers: the top layer's output `[B, units]` and the new states.

        Args:
          parts: The bottom layer's input, each `[B, D]`.
          states: A state per layer.
          masks: Dropout's factors of this step per layer.
        """
        masks = masks or [None] * len(self.sizes)
        output, state = self.layers[0].step(parts, states[0], masks[0])
        return self._upper_steps(output, state, states, masks)

    def step_projected(
        self, projected: tf.Tensor, states: Sequence[LstmState]
    ) -> tuple[tf.Tensor, tuple[LstmState, ...]]:
        """`step` of plain layers from the bottom cell's projected inputs `[B, 4 * units]`."""
        state = self.layers[0].cell.step(projected, states[0])
        return self._upper_steps(state.h, state, states, [None] * len(self.sizes))

    def _upper_steps(
        self,
        output: tf.Tensor,
        bottom: LstmState,
        states: Sequence[LstmState],
        masks: Sequence[tf.Tensor | None],
    ) -> tuple[tf.Tensor, tuple[LstmState, ...]]:
        new_states = [bottom]
        for layer, state, mask in zip(self.layers[1:], states[1:], masks[1:], strict=True):
            output, state = layer.step([output], state, mask)
            new_states.append(state)
        return output, tuple(new_states)

    def sequence(
        self,
        parts: Sequence[tf.Tensor],
        states: Sequence[LstmState] | None = None,
        dropout: Dropout | None = None,
    ) -> tuple[tf.Tensor, list[LstmState]]:
        """The top layer's outputs `[T, B, units]`, and every layer's states over time.

        Args:
          parts: The bottom layer's input, all of it known, each `[B, D]` or `[T, B, D]`.
          states: A state per layer to start from; zeros by default.
          dropout: Noise on every layer's input, in training.
        """
        over_time: list[LstmState] = []
        for number, layer in enumerate(self.layers):
            noise = None if dropout is None else dropout.fold(number)
            output, steps = layer.sequence(parts, states[number] if states else None, noise)
            over_time.append(steps)
            parts = [output]
        return output, over_time


class BidirectionalLstm(keras.layers.Layer):
    """Layers that read a sequence in both directions; each reads both outputs of the one below."""

    def __init__(
        self, input_size: int, sizes: Sequence[int], *, residual: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.sizes = tuple(sizes)
        widths = (input_size, *(2 * units for units in self.sizes))
        shapes = list(zip(widths, self.sizes, strict=False))

        def layers(direction: str) -> list[LstmLayer]:
            return [
                LstmLayer(width, units, residual=residual, project=True, name=f"{direction}_{n}")
                for n, (width, units) in enumerate(shapes)
            ]

        self.forward_layers = layers("forward")
        self.backward_layers = layers("backward")
        self.built = True

    def outputs(
        self, inputs: tf.Tensor, lengths: tf.Tensor, dropout: Dropout | None = None
    ) -> tf.Tensor:
        """The top layer's outputs in both directions, `[T, B, 2 * units]`; see `last_states`."""
        return self._run(inputs, lengths, dropout)[0]

    def last_states(
        self, inputs: tf.Tensor, lengths: tf.Tensor, dropout: Dropout | None = None
    ) -> tf.Tensor:
        """What the top layer ends with: [last forward h, last backward h], `[B, 2 * units]`.

        Args:
          inputs: `[T, B, D]`.
          lengths: `[B]` valid steps. The backward direction reads these alone, and 'last' means the
            last of them; a sequence of length 0 gives zeros.
          dropout: Noise on every layer's input, in training.
        """
        return self._run(inputs, lengths, dropout)[1]

    def _run(
        self, inputs: tf.Tensor, lengths: tf.Tensor, dropout: Dropout | None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        outputs = inputs
        pairs = zip(self.forward_layers, self.backward_layers, strict=True)
        for number, (forward, backward) in enumerate(pairs):
            noise = [None if dropout is None else dropout.fold(2 * number + n) for n in range(2)]
            ahead, ahead_states = forward.sequence([outputs], dropout=noise[0])
            behind, behind_states = backward.sequence(
                [_reverse(outputs, lengths)], dropout=noise[1]
            )
            outputs = tf.concat([ahead, _reverse(behind, lengths)], axis=-1)
        ends = [last_valid(states.h, lengths) for states in (ahead_states, behind_states)]
        return outputs, tf.concat(ends, axis=-1)


def side_by_side(parts: Sequence[tf.Tensor]) -> tf.Tensor:
    """Parts `[B, D]` or `[T, B, D]` joined; those without time are repeated if others have it."""
    if all(part.shape.rank == 2 for part in parts):
        return tf.concat(parts, axis=-1)
    steps = next(tf.shape(part)[0] for part in parts if part.shape.rank > 2)
    return tf.concat(
        [part if part.shape.rank > 2 else tf.repeat(part[None], steps, axis=0) for part in parts],
        axis=-1,
    )


def last_valid(sequence: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """The last valid step of `[T, B, D]`, `[B, D]`; zeros where there is none."""
    batch = tf.range(tf.shape(lengths)[0])
    last = tf.gather_nd(sequence, tf.stack([tf.maximum(lengths - 1, 0), batch], axis=-1))
    return tf.where(lengths[:, None] > 0, last, tf.zeros_like(last))


def _reverse(sequence: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Reverses the valid steps of `[T, B, D]`; the others stay where they are."""
    return tf.reverse_sequence(sequence, lengths, seq_axis=0, batch_axis=1)
