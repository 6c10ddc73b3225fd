"""Defines LSTM layers, stacks of them, and layers that read in both directions.

Each can take a single step or read a whole sequence. Time is the first axis: `[T, B, ...]`. See
`music_vae.nn.cell` for the equations.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from music_vae.common.plans import BidirectionalPlan, LstmLayerPlan, LstmStackPlan
from music_vae.nn.cell import LstmCell, LstmState, Projected
from music_vae.nn.noise import WHOLE, Shard, fold_in
from music_vae.nn.numerics import Numerics
from music_vae.nn.parts import Part, reverse, side_by_side
from music_vae.nn.recurrence import Activations, Trace


@dataclasses.dataclass(frozen=True)
class Dropout:
    """Dropout in one training pass; its seed alone decides what is kept.

    >>> dropout = Dropout(keep_prob=0.5, seed=tf.constant([1, 2]))
    >>> dropout.mask([1, 1, 8]).numpy().ravel().tolist()
    [0.0, 2.0, 0.0, 2.0, 2.0, 0.0, 2.0, 2.0]

    Attributes:
      keep_prob: Probability that a number is kept.
      seed: Seed of the noise, int32 `[2]`.
      shard: The share of a batch that goes through the model.
    """

    keep_prob: float
    seed: tf.Tensor
    shard: Shard = WHOLE

    def fold(self, number: int) -> "Dropout":
        """Returns dropout with noise of its own for each number."""
        seed = fold_in(self.seed, number)
        return dataclasses.replace(self, seed=seed)

    def mask(self, shape: Sequence[Any]) -> tf.Tensor:
        """Draws factors `[T, B, ...]`: 0, or 1 / keep_prob so that the mean stays the same."""
        kept = self.shard.uniform(shape, self.seed, batch_axis=1) < self.keep_prob
        return tf.cast(kept, tf.float32) / self.keep_prob


class LstmLayer(keras.layers.Layer):
    """An LSTM layer: a cell with dropout on its inputs and, if planned, a residual connection.

    The output of a residual layer is h + x, or h + projection(x) if it has a linear projection.

    >>> from music_vae.common.plans import DensePlan
    >>> layer = LstmLayer(LstmLayerPlan(False, None, cell=DensePlan("cell", 3 + 5, 4 * 5)))
    >>> outputs, last = layer.sequence([tf.ones([7, 2, 3])], lengths=tf.constant([7, 0]))
    >>> outputs.shape, last.h.numpy()[1].tolist()  # nothing to read leaves zeros
    (TensorShape([7, 2, 5]), [0.0, 0.0, 0.0, 0.0, 0.0])
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
        """Returns the share of the inputs in the gates, and what is added to h: x, or None.

        Args:
          parts: The parts of the layer's input; see `LstmCell.project`.
          mask: Dropout's factors for all parts side by side, or None.
        """
        parts, skipped = self._read(parts, mask)
        return self.cell.project(parts), skipped

    def _read(
        self, parts: Sequence[Part], mask: tf.Tensor | None
    ) -> tuple[Sequence[Part], tf.Tensor | None]:
        """Returns what the cell reads, and what is added to h."""
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
        """Takes all steps of inputs that are known in advance.

        Args:
          parts: The parts of the layer's input over time; see `LstmCell.project`.
          lengths: Valid steps of each sequence, `[B]`.
          state: The state before the first step; zeros by default.
          dropout: Dropout on the inputs, in training; else None.
          trace: Trace of these steps, if they have been taken already.

        Returns:
          Outputs `[T, B, units]`, meaningful at valid steps, and the state after the last valid
          step; zeros if there is none.
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
        """Returns the outputs of `sequence`, without its gradient, and the trace of the cell."""
        projected, skipped = self.prepare(parts, self._mask(parts, dropout))
        trace = self.cell.trace(projected, state)
        hs = trace.hs[1:]
        return hs if skipped is None else hs + skipped, trace

    def _mask(self, parts: Sequence[Part], dropout: Dropout | None) -> tf.Tensor | None:
        """Draws dropout's factors for all steps of the parts side by side."""
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
        """Takes one step: returns output `[B, units]` and new state; see `LstmCell.step`."""
        projected, skipped = self.prepare(parts, mask)
        state = self.cell.step(projected, state, kept)
        return state.h if skipped is None else state.h + skipped, state


class LstmStack(keras.layers.Layer):
    """LSTM layers on top of each other, the core of decoders and conductors.

    >>> from music_vae.common.model_spec import lstm_stack
    >>> stack = LstmStack(lstm_stack("decoder", 3, [5, 4]))
    >>> outputs, states = stack.sequence([tf.ones([7, 2, 3])], lengths=tf.constant([7, 6]))
    >>> outputs.shape, [state.c.shape[-1] for state in states]
    (TensorShape([7, 2, 4]), [5, 4])
    """

    def __init__(self, plan: LstmStackPlan, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.layers = [
            LstmLayer(layer, name=f"layer_{index}") for index, layer in enumerate(plan.layers)
        ]
        self.built = True

    def split_state(self, flat: tf.Tensor) -> tuple[LstmState, ...]:
        """Splits `[B, state_size]` into a state per layer, in the order c0, h0, c1, h1, ..."""
        parts = tf.split(flat, self.plan.state_widths, axis=-1)
        return tuple(LstmState(c, h) for c, h in zip(parts[::2], parts[1::2], strict=True))

    def masks(self, dropout: Dropout | None, steps: Any, batch: Any) -> list[tf.Tensor | None]:
        """Draws dropout's factors for each layer, `[T, B, D]`, the same as `sequence` draws."""
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
        """Takes one step: returns the top layer's output `[B, units]` and the new states.

        Args:
          parts: The parts of the bottom layer's input, without a time axis.
          states: A state per layer.
          masks: Dropout's factors at this step per layer.
          kept: A list that the activations of each layer are appended to, if there is one.
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
        """Takes one step as `step` does, given the bottom cell's projected inputs.

        The layers must be without residual connections, and there is no dropout.
        """
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
        """Returns the top layer's outputs `[T, B, units]`, and every layer's last state.

        Args:
          parts: The parts of the bottom layer's input over time.
          lengths: Valid steps of each sequence, `[B]`; see `LstmLayer.sequence`.
          states: A state per layer before the first step; zeros by default.
          dropout: Dropout on every layer's input, in training; else None.
          traces: Trace of every layer, if the steps have been taken already.
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
        """Returns the trace of every layer in `sequence`, without its gradient."""
        traces = []
        for number, (layer, state) in enumerate(zip(self.layers, states, strict=True)):
            noise = None if dropout is None else dropout.fold(number)
            output, trace = layer.trace(parts, state, noise)
            traces.append(trace)
            parts = [output]
        return traces


class BidirectionalLstm(keras.layers.Layer):
    """LSTM layers that read in both directions; each reads both outputs of the one below.

    >>> from music_vae.common.model_spec import bidirectional_lstm
    >>> lstm = BidirectionalLstm(bidirectional_lstm("encoder", 3, [5]))
    >>> inputs, lengths = [tf.ones([7, 2, 3])], tf.constant([7, 6])
    >>> lstm.outputs(inputs, lengths).shape, lstm.last_states(inputs, lengths).shape
    (TensorShape([7, 2, 10]), TensorShape([2, 10]))
    """

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
        """Returns the top layer's outputs in both directions, `[T, B, 2 * units]`.

        Arguments are those of `last_states`.
        """
        return self._run(parts, lengths, dropout)[0]

    def last_states(
        self, parts: Sequence[Part], lengths: tf.Tensor, dropout: Dropout | None = None
    ) -> tf.Tensor:
        """Returns the top layer's last outputs: [forward h, backward h], `[B, 2 * units]`.

        Args:
          parts: The parts of the input over time.
          lengths: Valid steps of each sequence, `[B]`. The forward direction's last output is that
            after them, and the backward direction reads these alone; without any, both are zeros.
          dropout: Dropout on every layer's input, in training; else None.
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
    """Sets how every LSTM layer of a model computes from now on.

    >>> from music_vae.common.model_spec import lstm_stack
    >>> stack = LstmStack(lstm_stack("decoder", 3, [5]))
    >>> set_numerics(stack, Numerics(products="bfloat16"))
    >>> stack.layers[0].cell.numerics.products
    'bfloat16'
    """
    for layer in model._flatten_layers():
        if isinstance(layer, LstmCell):
            layer.numerics = numerics
