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
import numpy as np
import tensorflow as tf

from music_vae.common.model_constants import FORGET_BIAS
from music_vae.common.plans import BidirectionalPlan, LstmLayerPlan, LstmStackPlan
from music_vae.nn import cudnn
from music_vae.nn.noise import WHOLE, Shard, fold_in
from music_vae.nn.numerics import PLAIN, Numerics
from music_vae.nn.parts import OneHot, Part, last_valid, multiplied, reverse, side_by_side, width_of
from music_vae.nn.recurrence import Activations, Trace, gates_to_state, recurrence, run


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
      shard: The share of a batch that is passed.
    """

    keep_prob: float
    seed: tf.Tensor
    shard: Shard = WHOLE

    def fold(self, number: int) -> "Dropout":
        """Independent noise for each number."""
        seed = fold_in(self.seed, number)
        return dataclasses.replace(self, seed=seed)

    def mask(self, shape: Sequence[Any]) -> tf.Tensor:
        """Factors `[T, B, ...]`: 0, or 1 / keep_prob so that the mean stays."""
        kept = self.shard.uniform(shape, self.seed, batch_axis=1) < self.keep_prob
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
        self.numerics = PLAIN
        self.built = True

    def project(self, parts: Sequence[Part | int]) -> "Projected":
        """The share of the inputs in the gates: their product with the kernel, and the biases.

        Args:
          parts: What stands side by side in the cell's input. What has no time axis is multiplied
            once and added to every step, and one-hot vectors look up their rows. A number is the
            width of a part that is left out.
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
        """Biases of the gates `[4 * units]`, with the forget gate's 1."""
        return tf.convert_to_tensor(self.bias) + tf.constant(
            np.repeat([0.0, 0.0, FORGET_BIAS, 0.0], self.units), self.bias.dtype
        )

    def step(
        self, projected: "Projected", state: LstmState, kept: list[Activations] | None = None
    ) -> LstmState:
        """One step from projected inputs without a time axis, and the state before.

        The gates' activations are added to `kept`.
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
        """h of every step from projected inputs over time, and the last states.

        Arguments and results as for `LstmLayer.sequence`.
        """
        gates, recurrent = projected.gates, projected.recurrent
        state = state or self.zero_state(tf.shape(gates)[1], gates.dtype)
        hs, c = recurrence(gates, recurrent, *state, lengths, trace=trace, numerics=self.numerics)
        return hs, LstmState(c, last_valid(hs, lengths))

    def fused_sequence(
        self, parts: Sequence[Part], lengths: tf.Tensor, state: LstmState | None = None
    ) -> tuple[tf.Tensor, LstmState]:
        """What cuDNN makes of the whole layer at once: h of every step, and the last states.

        Arguments and results as for `LstmLayer.sequence`, but outputs after the last valid step are
        zeros.
        """
        inputs = side_by_side(parts)
        state = state or self.zero_state(tf.shape(inputs)[1], inputs.dtype)
        kernel = tf.convert_to_tensor(self.kernel)
        hs, c, h = cudnn.lstm(inputs, kernel, self._whole_bias(), *state, lengths)
        return hs, LstmState(c, h)

    def trace(self, projected: "Projected", state: LstmState) -> Trace:
        """What `sequence` goes through, without its gradient."""
        return run(projected.gates, projected.recurrent, *state, self.numerics)

    def zero_state(self, batch: Any, dtype: Any) -> LstmState:
        """A state to start from, all zeros."""
        zeros = tf.zeros([batch, self.units], dtype)
        return LstmState(zeros, zeros)


class Projected(NamedTuple):
    """What a cell's inputs come to, and the weights that are still to be used.

    Attributes:
      gates: Sums of products and biases, `[B, 4 * units]` or `[T, B, 4 * units]`.
      recurrent: The kernel's rows for h, `[units, 4 * units]`.
      left_out: The kernel's rows for each part that was left out, `[D, 4 * units]`.
    """

    gates: tf.Tensor
    recurrent: tf.Tensor
    left_out: tuple[tf.Tensor, ...] = ()


class LstmLayer(keras.layers.Layer):
    """A cell with dropout on its inputs and, where asked for, a residual connection.

    A residual layer's output is h + x, with x as its linear projection has it where it has one.
    """

    def __init__(self, plan: LstmLayerPlan, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.residual = plan.residual
        self.projection = None
        if plan.projection is not None:
            self.projection = keras.layers.Dense(plan.projection.units, name="projection")
            self.projection.build((None, plan.projection.input_size))
        self.cell = LstmCell(plan.cell_input_size, plan.units, name="cell")
        self.built = True

    def prepare(
        self, parts: Sequence[Part], mask: tf.Tensor | None
    ) -> tuple[Projected, tf.Tensor | None]:
        """What the parts of the input, side by side, put into the gates, and what is added to h.

        Args:
          parts: See `LstmCell.project`.
          mask: Dropout's factors for all parts side by side, or None.
        """
        parts, skipped = self._read(parts, mask)
        return self.cell.project(parts), skipped

    def _read(
        self, parts: Sequence[Part], mask: tf.Tensor | None
    ) -> tuple[Sequence[Part], tf.Tensor | None]:
        """What the cell reads, and what is added to h."""
        if mask is None and not self.residual:
            return parts, None
        inputs = side_by_side(parts)
        if mask is not None:
            inputs *= mask
        if self.projection is not None:
            inputs = self.projection(inputs)
        return [inputs], inputs if self.residual else None

    def sequence(
        self,
        parts: Sequence[Part],
        lengths: tf.Tensor,
        state: LstmState | None = None,
        dropout: Dropout | None = None,
        trace: Trace | None = None,
    ) -> tuple[tf.Tensor, LstmState]:
        """All steps of inputs that are known.

        Args:
          parts: See `LstmCell.project`.
          lengths: `[B]` valid steps.
          state: To start from; zeros by default.
          dropout: Noise on the inputs, in training.
          trace: Of steps that have been taken already.

        Returns:
          Outputs `[T, B, units]`, of which those of valid steps count, and the state after the last
          of them; zeros where there is none.
        """
        parts, skipped = self._read(parts, self._mask(parts, dropout))
        if self.cell.numerics.cudnn and trace is None:
            hs, last = self.cell.fused_sequence(parts, lengths, state)
        else:
            hs, last = self.cell.sequence(self.cell.project(parts), lengths, state, trace)
        return hs if skipped is None else hs + skipped, last

    def trace(
        self, parts: Sequence[Part], state: LstmState, dropout: Dropout | None
    ) -> tuple[tf.Tensor, Trace]:
        """`sequence` without its gradient: outputs, and what the cell goes through."""
        projected, skipped = self.prepare(parts, self._mask(parts, dropout))
        trace = self.cell.trace(projected, state)
        hs = trace.hs[1:]
        return hs if skipped is None else hs + skipped, trace

    def _mask(self, parts: Sequence[Part], dropout: Dropout | None) -> tf.Tensor | None:
        """Dropout's factors for all steps of the parts side by side."""
        if dropout is None:
            return None
        whole = side_by_side(parts)
        return dropout.mask([*tf.unstack(tf.shape(whole)[:2]), whole.shape[-1]])

    def step(
        self,
        parts: Sequence[Part],
        state: LstmState,
        mask: tf.Tensor | None = None,
        kept: list[Activations] | None = None,
    ) -> tuple[tf.Tensor, LstmState]:
        """One step: output `[B, units]` and the new state; see `LstmCell.step`."""
        projected, skipped = self.prepare(parts, mask)
        state = self.cell.step(projected, state, kept)
        return state.h if skipped is None else state.h + skipped, state


class LstmStack(keras.layers.Layer):
    """LSTM layers on top of each other, the decoder's and the conductor's core."""

    def __init__(self, plan: LstmStackPlan, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.layers = [
            LstmLayer(layer, name=f"layer_{index}") for index, layer in enumerate(plan.layers)
        ]
        self.built = True

    def split_state(self, flat: tf.Tensor) -> tuple[LstmState, ...]:
        """`[B, state_size]` to a state per layer, in the order c0, h0, c1, h1, ..."""
        parts = tf.split(flat, self.plan.state_widths, axis=-1)
        return tuple(LstmState(c, h) for c, h in zip(parts[::2], parts[1::2], strict=True))

    def masks(self, dropout: Dropout | None, steps: Any, batch: Any) -> list[tf.Tensor | None]:
        """Dropout's factors of each layer, `[T, B, D]`, the same that `sequence` draws."""
        if dropout is None:
            return [None] * len(self.layers)
        return [
            dropout.fold(n).mask([steps, batch, layer.input_size])
            for n, layer in enumerate(self.plan.layers)
        ]

    def step(
        self,
        parts: Sequence[Part],
        states: Sequence[LstmState],
        masks: Sequence[tf.Tensor | None] | None = None,
        kept: list[Activations] | None = None,
    ) -> tuple[tf.Tensor, tuple[LstmState, ...]]:
        """One step of all layers: the top layer's output `[B, units]` and the new states.

        Args:
          parts: The bottom layer's input, without a time axis.
          states: A state per layer.
          masks: Dropout's factors of this step per layer.
          kept: Where each layer's activations are added.
        """
        masks = masks or [None] * len(self.layers)
        output, state = self.layers[0].step(parts, states[0], masks[0], kept)
        return self._upper_steps(output, state, states, masks, kept)

    def step_projected(
        self,
        projected: Projected,
        states: Sequence[LstmState],
        kept: list[Activations] | None = None,
    ) -> tuple[tf.Tensor, tuple[LstmState, ...]]:
        """`step` of plain layers from the bottom cell's projected inputs, without a time axis."""
        state = self.layers[0].cell.step(projected, states[0], kept)
        return self._upper_steps(state.h, state, states, [None] * len(self.layers), kept)

    def _upper_steps(
        self,
        output: tf.Tensor,
        bottom: LstmState,
        states: Sequence[LstmState],
        masks: Sequence[tf.Tensor | None],
        kept: list[Activations] | None,
    ) -> tuple[tf.Tensor, tuple[LstmState, ...]]:
        new_states = [bottom]
        for layer, state, mask in zip(self.layers[1:], states[1:], masks[1:], strict=True):
            output, state = layer.step([output], state, mask, kept)
            new_states.append(state)
        return output, tuple(new_states)

    def sequence(
        self,
        parts: Sequence[Part],
        lengths: tf.Tensor,
        states: Sequence[LstmState] | None = None,
        dropout: Dropout | None = None,
        traces: Sequence[Trace] | None = None,
    ) -> tuple[tf.Tensor, list[LstmState]]:
        """The top layer's outputs `[T, B, units]`, and every layer's last state.

        Args:
          parts: The bottom layer's input, all of it known.
          lengths: `[B]` valid steps; see `LstmLayer.sequence`.
          states: A state per layer to start from; zeros by default.
          dropout: Noise on every layer's input, in training.
          traces: What every layer went through, if the steps have been taken already.
        """
        last: list[LstmState] = []
        for number, layer in enumerate(self.layers):
            noise = None if dropout is None else dropout.fold(number)
            output, state = layer.sequence(
                parts,
                lengths,
                states[number] if states else None,
                noise,
                traces[number] if traces else None,
            )
            last.append(state)
            parts = [output]
        return output, last

    def traces(
        self, parts: Sequence[Part], states: Sequence[LstmState], dropout: Dropout | None = None
    ) -> list[Trace]:
        """What every layer goes through in `sequence`, without its gradient."""
        found = []
        for number, (layer, state) in enumerate(zip(self.layers, states, strict=True)):
            noise = None if dropout is None else dropout.fold(number)
            output, trace = layer.trace(parts, state, noise)
            found.append(trace)
            parts = [output]
        return found


class BidirectionalLstm(keras.layers.Layer):
    """Layers that read a sequence in both directions; each reads both outputs of the one below."""

    def __init__(self, plan: BidirectionalPlan, **kwargs: Any) -> None:
        super().__init__(**kwargs)

        def layers(direction: int, name: str) -> list[LstmLayer]:
            stacks = [pair[direction] for pair in plan.layers]
            return [LstmLayer(s.layers[0], name=f"{name}_{n}") for n, s in enumerate(stacks)]

        self.forward_layers = layers(0, "forward")
        self.backward_layers = layers(1, "backward")
        self.built = True

    def outputs(
        self, parts: Sequence[Part], lengths: tf.Tensor, dropout: Dropout | None = None
    ) -> tf.Tensor:
        """The top layer's outputs in both directions, `[T, B, 2 * units]`; see `last_states`."""
        return self._run(parts, lengths, dropout)[0]

    def last_states(
        self, parts: Sequence[Part], lengths: tf.Tensor, dropout: Dropout | None = None
    ) -> tf.Tensor:
        """What the top layer ends with: [last forward h, last backward h], `[B, 2 * units]`.

        Args:
          parts: What stands side by side in the input, each over time.
          lengths: `[B]` valid steps. The backward direction reads these alone, and 'last' means the
            last of them; a sequence of length 0 gives zeros.
          dropout: Noise on every layer's input, in training.
        """
        return self._run(parts, lengths, dropout)[1]

    def _run(
        self, parts: Sequence[Part], lengths: tf.Tensor, dropout: Dropout | None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        pairs = zip(self.forward_layers, self.backward_layers, strict=True)
        for number, (forward, backward) in enumerate(pairs):
            noise = [None if dropout is None else dropout.fold(2 * number + n) for n in range(2)]
            ahead, ahead_last = forward.sequence(parts, lengths, dropout=noise[0])
            behind, behind_last = backward.sequence(
                [reverse(part, lengths) for part in parts], lengths, dropout=noise[1]
            )
            outputs = tf.concat([ahead, reverse(behind, lengths)], axis=-1)
            parts = [outputs]
        return outputs, tf.concat([ahead_last.h, behind_last.h], axis=-1)


def set_numerics(model: keras.layers.Layer, numerics: Numerics) -> None:
    """Decides how every LSTM layer of a model computes from now on."""
    for layer in model._flatten_layers():
        if isinstance(layer, LstmCell):
            layer.numerics = numerics
