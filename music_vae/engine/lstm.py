"""Computes LSTM layers: one stack, several stacks at once, and in both directions.

    i, j, f, o = split([x, h] . kernel + bias)
    c' = c * sigmoid(f + 1) + sigmoid(i) * tanh(j)
    h' = sigmoid(o) * tanh(c')

(Hochreiter & Schmidhuber 1997, with a forget gate.) D stacks of the same sizes run side by side,
such as the decoders of a trio or the two directions of an encoder. Arrays of a step are
`[D, B, ...]`. The gates are `[4, D, B, H]`, each contiguous in memory, in the order i, f, o, j.

An input contributes to the gates, or in a residual layer to a projection: G is 4 or 1 accordingly.
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
_FORGET = 1  # index of f in that order

Addition = Callable[[np.ndarray], None]
"""Function that adds the contribution of a step's inputs to an array `[G, D, B, H]`."""


class Entry:
    """The weights by which inputs enter the bottom layer of one stack: a kernel and a bias.

    Inputs enter the four gates of a plain layer, and the one projection of a residual layer. An
    input may be given in parts that stand side by side; their contributions add up.

    >>> kernel = np.array([[1, 2], [3, 4], [5, 6]], np.float32)  # of one gate (G = 1)
    >>> entry = Entry([kernel], bias=np.zeros((1, 1, 2), np.float32))
    >>> entry.share(1, np.array([[0.5, 0.5]]))  # the input's last two columns
    array([[[4., 5.]]], dtype=float32)

    Attributes:
      bias: The bias, `[G, 1, H]`.
    """

    def __init__(self, parts: Sequence[np.ndarray], bias: np.ndarray) -> None:
        """Takes the G parts of the kernel, each `[input size, H]`, and the bias."""
        self._parts = parts
        self._matrices = Matrices([parts])
        self._rows: np.ndarray | None = None
        self.bias = bias

    def share(self, start: int, part: np.ndarray) -> np.ndarray:
        """Returns the contribution `[G, ..., H]` of a part of the input.

        Args:
          start: Column of the input at which the part begins.
          part: `[..., N]`.
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
        """Returns the contribution `[G, B, H]` of ones at `positions` `[B, n]`; -1 is no one."""
        rows = self._rows
        if rows is None:
            none = np.zeros((1, self._parts[0].shape[1]), np.float32)  # the last row, at -1
            # Assigned only when complete, because other threads may read it.
            self._rows = rows = np.stack([np.concatenate([p, none]) for p in self._parts])
        at = np.where(positions < 0, -1, positions + start)
        total = rows.take(at[:, 0], axis=1)
        for column in at[:, 1:].T:
            total += rows.take(column, axis=1)
        return total


class _Layer:
    """One layer of D stacks.

    Attributes:
      units: Width H of the layer.
      residual: True if the layer adds its input to its output.
      adds_to_gates: True for a plain bottom layer, the inputs of which are added to its gates.
      projects: True if the layer projects the outputs of the layer below.
      entries: The entries of inputs from outside, in the bottom layer; those of the outputs of the
        layer below, in a layer that projects them.
      input_size: Width of x in the cell's input [x, h]; 0 if `adds_to_gates`.
      gates: The weights of [x, h] for the gates.
      bias: `[4, D, 1, H]`.
    """

    def __init__(self, plans: Sequence[LstmLayerPlan], weights: Weights, *, bottom: bool) -> None:
        """Args:
        plans: The layer of each of the D stacks, of one width.
        weights: The model's weights.
        bottom: True for the first layer of a stack.
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
        """Returns the layer's input `[D, ..., H]` for the outputs of the layer below."""
        if not self.projects:
            return below
        pairs = zip(self.entries, below, strict=True)
        return np.stack([entry.share(0, h)[0] + entry.bias[0] for entry, h in pairs])


def _gates_of(array: np.ndarray) -> list[np.ndarray]:
    """Splits `[..., 4 * units]` into the four gates, `[..., units]` each, in our order."""
    parts = np.split(array, 4, axis=-1)
    return [parts[n] for n in _GATE_ORDER]


class LstmStack:
    """D stacks of LSTM layers of the same sizes.

    With these weights, the one cell of a stack counts the ones that it reads, and its output is the
    hyperbolic tangent of the count:

    >>> from music_vae.common.model_spec import lstm_stack
    >>> plan = lstm_stack("decoder", input_size=1, sizes=[1])
    >>> cell = plan.layers[0].cell
    >>> kernel = np.array([[0, 9, 0, 0], [0, 0, 0, 0]])  # of the gates i, j, f, o
    >>> weights = Weights({cell.kernel: kernel, cell.bias: np.array([9, 0, 9, 9])})
    >>> stack = LstmStack([plan], weights)
    >>> (entry,) = stack.entries
    >>> inputs = np.array([1, 0, 1, 1]).reshape(4, 1, 1)  # 4 steps of one example
    >>> outputs, _ = stack.start_from_zeros(1).steps([entry.share(0, inputs) + entry.bias[:, None]])
    >>> np.arctanh(outputs).round(1).ravel()
    array([1., 1., 2., 3.], dtype=float32)
    """

    def __init__(self, plans: Sequence[LstmStackPlan], weights: Weights) -> None:
        """Takes the plans of the D stacks, whose layers have the same widths."""
        self.layers = [
            _Layer(layers, weights, bottom=index == 0)
            for index, layers in enumerate(zip(*(plan.layers for plan in plans), strict=True))
        ]
        self._state_size = plans[0].state_size

    @property
    def entries(self) -> list[Entry]:
        """The entries of inputs into each of the D stacks."""
        return self.layers[0].entries

    def start(self, state: np.ndarray) -> "Run":
        """Starts from a state `[D, B, state_size]`, in the order c0, h0, c1, h1, ..."""
        return Run(self.layers, state)

    def start_from_zeros(self, batch: int) -> "Run":
        """Starts from a state of zeros, for a batch of so many examples."""
        return self.start(np.zeros((len(self.entries), batch, self._state_size), np.float32))


class Run:
    """A run of D stacks: their state, and arrays for a step, which are allocated once.

    >>> from music_vae.common.model_spec import lstm_stack, shapes_of
    >>> plan = lstm_stack("decoder", input_size=3, sizes=[5, 4])
    >>> weights = Weights({name: np.zeros(shape) for name, shape in shapes_of(plan).items()})
    >>> run = LstmStack([plan], weights).start_from_zeros(batch=2)
    >>> def no_inputs(gates): pass
    >>> run.step(no_inputs).shape, run.state.shape  # h of the top layer; c and h of both
    ((1, 2, 4), (1, 2, 18))
    """

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
        """The current state, `[D, B, state_size]`."""
        parts = []
        for layer, c, joined in zip(self._layers, self._cells, self._inputs, strict=True):
            parts += [c, joined[..., layer.input_size :]]
        return np.concatenate(parts, axis=-1)

    def step(self, add_inputs: Addition) -> np.ndarray:
        """Takes a step; returns the top layer's output `[D, B, units]`, valid until the next."""
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

        The inputs of a layer are multiplied in one product for all steps; only h is multiplied step
        by step.

        Args:
          shares: Contributions of the inputs to each of the D stacks, `[G, T, B, H]`.

        Returns:
          The top layer's outputs and its h, both `[D, T, B, units]`; they differ in a residual
          layer only.
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
    """Returns inputs `[D, T, B, N]` times weights, plus bias: for each stack `[4, T, B, H]`."""
    stacks, steps, batch, size = inputs.shape
    products = np.empty((4, stacks, steps * batch, layer.units), np.float32)
    layer.gates.multiply(inputs.reshape(stacks, steps * batch, size), products)
    products += layer.bias
    return list(products.reshape(4, stacks, steps, batch, layer.units).swapaxes(0, 1))


def _update(gates: np.ndarray, c: np.ndarray, h: np.ndarray) -> None:
    """Updates c and h by a step, and overwrites the gates, which include the forget bias."""
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
    """LSTM layers that read in both directions; each reads both outputs of the layer below.

    >>> from music_vae.common.model_spec import bidirectional_lstm, shapes_of
    >>> plan = bidirectional_lstm("encoder", input_size=3, sizes=[5])
    >>> weights = Weights({name: np.zeros(shape) for name, shape in shapes_of(plan).items()})
    >>> lstm, inputs = BidirectionalLstm(plan, weights), np.zeros((8, 2, 3))
    >>> lengths = np.array([8, 6])
    >>> lstm.outputs(inputs, lengths).shape, lstm.last_states(inputs, lengths).shape
    ((8, 2, 10), (2, 10))
    """

    def __init__(self, plan: BidirectionalPlan, weights: Weights) -> None:
        self._layers = [LstmStack(directions, weights) for directions in plan.layers]

    def outputs(self, inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Computes both outputs of the top layer, `[T, B, 2 * units]`, for inputs `[T, B, D]`.

        `lengths` `[B]` are the valid steps.
        """
        return self._run(inputs, lengths)[0]

    def last_states(self, inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Computes [last forward h, last backward h] of the top layer, `[B, 2 * units]`.

        Args:
          inputs: `[T, B, D]`.
          lengths: `[B]` valid steps; the backward direction reads only these. A sequence of length
            0 gives zeros.
        """
        longest = max(int(lengths.max(initial=0)), 1)
        return self._run(inputs[:longest], lengths)[1]

    def _run(self, inputs: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        outputs, ends = inputs, []
        for layer in self._layers:
            reads = (outputs, _reversed(outputs, lengths))
            shares = [
                entry.share(0, read) + entry.bias[:, None]
                for entry, read in zip(layer.entries, reads, strict=True)
            ]
            run = layer.start_from_zeros(inputs.shape[1])
            (ahead, behind), hidden = run.steps(shares)
            outputs = np.concatenate([ahead, _reversed(behind, lengths)], axis=-1)
            ends = [last_valid(h, lengths) for h in hidden]
        return outputs, np.concatenate(ends, axis=-1)


def last_valid(sequence: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Returns the last valid step `[B, D]` of `[T, B, D]`; zeros if there is none.

    >>> sequence = np.array([[[10.0], [20.0]], [[11.0], [21.0]]])  # 2 steps of 2 examples
    >>> last_valid(sequence, np.array([2, 1]))
    array([[11.],
           [20.]])
    """
    last = sequence[np.maximum(lengths - 1, 0), np.arange(len(lengths))]
    return np.where(lengths[:, None] > 0, last, np.float32(0))


def _reversed(sequence: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Reverses the valid steps of `[T, B, D]`; the others stay where they are."""
    steps = np.arange(len(sequence))[:, None]
    steps = np.where(steps < lengths, lengths - 1 - steps, steps)
    return sequence[steps, np.arange(len(lengths))]
