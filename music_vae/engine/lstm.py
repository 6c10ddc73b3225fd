"""LSTM layers: of a stack, of several stacks at once, and in both directions.

    i, j, f, o = split([x, h] . kernel + bias)
    c' = c * sigmoid(f + 1) + sigmoid(i) * tanh(j)
    h' = sigmoid(o) * tanh(c')

(Hochreiter & Schmidhuber 1997, with a forget gate.) D stacks of the same sizes run side by side:
the decoders of a trio, the two directions of an encoder. Arrays of a step are `[D, B, ...]`; gates
are `[4, D, B, H]`, each in one piece of memory, in the order i, f, o, j.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from music_vae.common.model_constants import FORGET_BIAS
from music_vae.common.plans import BidirectionalPlan, LstmLayerPlan, LstmStackPlan
from music_vae.engine.products import Matrices, positions_of_ones
from music_vae.engine.weights import Weights

_GATE_ORDER = (0, 2, 3, 1)  # the three sigmoids first: of i, j, f, o as they are in a kernel
_FORGET = 1  # where f is in that order

Addition = Callable[[np.ndarray], None]
"""Adds to what it is given, `[G, D, B, H]`, what the inputs of a step contribute."""


class Entry:
    """How inputs enter the bottom layer of one stack: a kernel `[input size, G * H]` and a bias.

    They enter its four gates; in a residual stack, the one projection of its input.

    Attributes:
      bias: `[G, 1, H]`.
    """

    def __init__(self, parts: Sequence[np.ndarray], bias: np.ndarray) -> None:
        """`parts` are the G parts of the kernel, `[input size, H]`."""
        self._parts = parts
        self._matrices = Matrices([parts])
        self._rows: np.ndarray | None = None
        self.bias = bias

    def share(self, start: int, part: np.ndarray) -> np.ndarray:
        """What `part` `[..., N]` contributes, standing at column `start` of the input.

        Returns `[G, ..., H]`.
        """
        before, units = part.shape[:-1], self.bias.shape[-1]
        rows = part.reshape(math.prod(before), part.shape[-1])
        rows = rows.astype(np.float32, copy=False)
        positions = positions_of_ones(rows)
        if positions is None:
            share = np.empty((len(self._parts), 1, len(rows), units), np.float32)
            self._matrices.multiply(rows[None], share, start)
        else:
            share = self.share_of_ones(start, positions)
        return share.reshape(len(self._parts), *before, units)

    def share_of_ones(self, start: int, positions: np.ndarray) -> np.ndarray:
        """What ones at `positions` `[B, n]` contribute, `[G, B, H]`; -1 stands for none."""
        rows = self._rows
        if rows is None:
            none = np.zeros((1, self._parts[0].shape[1]), np.float32)  # the last row, at -1
            # Kept when it is whole, as other threads may look.
            self._rows = rows = np.stack([np.concatenate([p, none]) for p in self._parts])
        at = np.where(positions < 0, -1, positions + start)
        total = rows.take(at[:, 0], axis=1)
        for column in at[:, 1:].T:
            total += rows.take(column, axis=1)
        return total


class _Layer:
    """One layer of D stacks.

    Attributes:
      entries: How inputs that are given from outside enter, in the bottom layer; how outputs of
        the layer below are projected, in a residual layer.
      input_size: Width of what stands beside h in a step; inputs from outside enter the gates of a
        plain bottom layer (`adds_to_gates`) without it.
      gates: The weights of [x, h] for the gates.
      bias: `[4, D, 1, H]`.
    """

    def __init__(self, plans: Sequence[LstmLayerPlan], weights: Weights, *, bottom: bool) -> None:
        """Args:
        plans: The layer of each of the D stacks, of one width.
        weights: Where the weights are.
        bottom: Whether it is the first of a stack.
        """
        self.units = units = plans[0].units
        self.residual = plans[0].residual
        self.adds_to_gates = bottom and not self.residual
        self.projects = plans[0].projection is not None and not bottom
        self.entries, biases, matrices = [], [], []
        for plan in plans:
            if plan.projection is not None:
                kernel, bias = weights.dense(plan.projection)
                self.entries.append(Entry([kernel], bias[None, None]))
            kernel, bias = weights.dense(plan.cell)
            parts = _gates_of(kernel)
            biases.append(np.stack(_gates_of(bias))[:, None])
            biases[-1][_FORGET] += FORGET_BIAS
            if self.adds_to_gates:
                self.entries.append(Entry([part[:-units] for part in parts], biases[-1]))
                parts = [part[-units:] for part in parts]
            matrices.append(parts)
        self.input_size = len(matrices[0][0]) - units
        self.gates = Matrices(matrices)
        self.bias = np.stack(biases, axis=1)

    def projected(self, below: np.ndarray) -> np.ndarray:
        """What the layer reads, `[D, ..., H]`, of the outputs of the one below."""
        if not self.projects:
            return below
        pairs = zip(self.entries, below, strict=True)
        return np.stack([entry.share(0, h)[0] + entry.bias[0] for entry, h in pairs])


def _gates_of(array: np.ndarray) -> list[np.ndarray]:
    """`[..., 4 * units]` as the four gates in our order, `[..., units]` each."""
    parts = np.split(array, 4, axis=-1)
    return [parts[n] for n in _GATE_ORDER]


class LstmStack:
    """D stacks of LSTM layers of the same sizes."""

    def __init__(self, plans: Sequence[LstmStackPlan], weights: Weights) -> None:
        """`plans` are the D stacks, the layers of which have the same widths."""
        self.layers = [
            _Layer(layers, weights, bottom=index == 0)
            for index, layers in enumerate(zip(*(plan.layers for plan in plans), strict=True))
        ]
        self._state_size = plans[0].state_size

    @property
    def entries(self) -> list[Entry]:
        """How inputs enter each of the D stacks."""
        return self.layers[0].entries

    def start(self, state: np.ndarray) -> "Run":
        """A run from a state `[D, B, state_size]`, in the order c0, h0, c1, h1, ..."""
        return Run(self.layers, state)

    def start_from_zeros(self, batch: int) -> "Run":
        """A run from a state of zeros."""
        return self.start(np.zeros((len(self.entries), batch, self._state_size), np.float32))


class Run:
    """D stacks as they run; what a step needs is allocated once."""

    def __init__(self, layers: Sequence[_Layer], state: np.ndarray) -> None:
        stacks, batch = state.shape[:2]
        self._layers = layers
        self._cells, self._inputs, self._gates = [], [], []
        start = 0
        for layer in layers:
            # A layer's input and its h stand side by side, as in the kernel: one product for both.
            joined = np.zeros((stacks, batch, layer.input_size + layer.units), np.float32)
            c, h = start, start + layer.units
            start += 2 * layer.units
            self._cells.append(state[..., c:h].astype(np.float32))
            joined[..., layer.input_size :] = state[..., h:start]
            self._inputs.append(joined)
            self._gates.append(np.zeros((4, stacks, batch, layer.units), np.float32))

    @property
    def state(self) -> np.ndarray:
        """The state now, `[D, B, state_size]`."""
        parts = []
        for layer, c, joined in zip(self._layers, self._cells, self._inputs, strict=True):
            parts += [c, joined[..., layer.input_size :]]
        return np.concatenate(parts, axis=-1)

    def step(self, add_inputs: Addition) -> np.ndarray:
        """Takes one step; returns the top layer's output `[D, B, units]`, good until the next."""
        output: np.ndarray | None = None
        for layer, c, joined, gates in zip(
            self._layers, self._cells, self._inputs, self._gates, strict=True
        ):
            inputs, h = joined[..., : layer.input_size], joined[..., layer.input_size :]
            if output is not None:
                inputs[...] = layer.projected(output)
            elif not layer.adds_to_gates:
                inputs[...] = 0
                add_inputs(inputs[None])
            layer.gates.multiply(joined, gates)
            if layer.adds_to_gates:
                add_inputs(gates)
            else:
                gates += layer.bias
            _update(gates, c, h)
            output = h + inputs if layer.residual else h
        assert output is not None
        return output

    def steps(self, shares: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Takes T steps whose inputs are all known, layer by layer.

        What a layer reads is multiplied in one product for all steps; only h goes step by step.

        Args:
          shares: What the inputs contribute to each of the D stacks, `[G, T, B, H]`.

        Returns:
          The top layer's outputs and its h, both `[D, T, B, units]`; the same if not residual.
        """
        known = shares
        outputs: Any = None
        hidden: Any = None
        for layer, c, joined, gates in zip(
            self._layers, self._cells, self._inputs, self._gates, strict=True
        ):
            inputs, h = outputs, joined[..., layer.input_size :]
            if not layer.adds_to_gates:
                if layer is self._layers[0]:
                    inputs = np.stack([share[0] for share in shares])
                else:
                    inputs = layer.projected(outputs)
                known = _products(inputs, layer)
            hidden = np.empty((len(known), *known[0].shape[1:]), np.float32)
            before = np.ascontiguousarray(h)
            for t in range(hidden.shape[1]):
                layer.gates.multiply(before, gates, layer.input_size)
                for d, share in enumerate(known):
                    gates[:, d] += share[:, t]
                before = hidden[:, t]
                _update(gates, c, before)
            h[...] = before
            outputs = hidden + inputs if layer.residual else hidden
        return outputs, hidden


def _products(inputs: np.ndarray, layer: _Layer) -> list[np.ndarray]:
    """What inputs `[D, T, B, N]` contribute to the gates, bias included, D of `[4, T, B, H]`."""
    stacks, steps, batch, size = inputs.shape
    products = np.empty((4, stacks, steps * batch, layer.units), np.float32)
    layer.gates.multiply(inputs.reshape(stacks, steps * batch, size), products)
    products += layer.bias
    return list(products.reshape(4, stacks, steps, batch, layer.units).swapaxes(0, 1))


def _update(gates: np.ndarray, c: np.ndarray, h: np.ndarray) -> None:
    """Sets c and h to those after a step; overwrites the gates, whose forget bias is added."""
    # sigmoid(x) = (tanh(x / 2) + 1) / 2: one tanh serves all four gates.
    sigmoids = gates[:3]
    sigmoids *= 0.5
    np.tanh(gates, out=gates)
    sigmoids += 1
    i, f, o, j = gates
    i *= j
    c *= f
    c += i
    c *= 0.5
    np.tanh(c, out=j)
    o *= 0.5
    np.multiply(o, j, out=h)


class BidirectionalLstm:
    """Layers that read a sequence in both directions; each reads both outputs of the one below."""

    def __init__(self, plan: BidirectionalPlan, weights: Weights) -> None:
        self._layers = [LstmStack(directions, weights) for directions in plan.layers]

    def outputs(self, inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """The top layer's outputs in both directions, `[T, B, 2 * units]`, of `[T, B, D]`."""
        return self._run(inputs, lengths)[0]

    def last_states(self, inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """What the top layer ends with: [last forward h, last backward h], `[B, 2 * units]`.

        Args:
          inputs: `[T, B, D]`.
          lengths: `[B]` valid steps; the backward direction reads these alone. A sequence of length
            0 gives zeros.
        """
        longest = max(int(lengths.max(initial=0)), 1)
        return self._run(inputs[:longest], lengths)[1]

    def _run(self, inputs: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        outputs, ends = inputs, []
        for layer in self._layers:
            reads = (outputs, reversed_to(outputs, lengths))
            shares = [
                entry.share(0, read) + entry.bias[:, None]
                for entry, read in zip(layer.entries, reads, strict=True)
            ]
            run = layer.start_from_zeros(inputs.shape[1])
            (ahead, behind), hidden = run.steps(shares)
            outputs = np.concatenate([ahead, reversed_to(behind, lengths)], axis=-1)
            ends = [last_valid(h, lengths) for h in hidden]
        return outputs, np.concatenate(ends, axis=-1)


def last_valid(sequence: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The last valid step of `[T, B, D]`, `[B, D]`; zeros where there is none."""
    last = sequence[np.maximum(lengths - 1, 0), np.arange(len(lengths))]
    return np.where(lengths[:, None] > 0, last, np.float32(0))


def reversed_to(sequence: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """`[T, B, D]` with its valid steps reversed; the others stay where they are."""
    steps = np.arange(len(sequence))[:, None]
    steps = np.where(steps < lengths, lengths - 1 - steps, steps)
    return sequence[steps, np.arange(len(lengths))]
