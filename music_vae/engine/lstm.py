"""LSTM layers, one step at a time: of a stack, of several stacks at once, and in both directions.

    i, j, f, o = split([x, h] . kernel + bias)
    c' = c * sigmoid(f + 1) + sigmoid(i) * tanh(j)
    h' = sigmoid(o) * tanh(c')

(Hochreiter & Schmidhuber 1997, with a forget gate.) D stacks of the same sizes run side by side:
the decoders of a trio, the two directions of an encoder. Arrays of a step are `[D, B, ...]`.
"""

from collections.abc import Callable, Sequence

import numpy as np

from music_vae import weight_names as names
from music_vae.engine.products import Matrices, project
from music_vae.engine.weights import Weights

FORGET_BIAS = 1.0

Addition = Callable[[np.ndarray], None]
"""Adds to what it is given, `[D, B, W]`, what the inputs of a step contribute."""


class Entry:
    """How inputs enter the bottom layer of one stack: a kernel `[input size, W]` and a bias.

    They enter its gates; in a residual stack, the projection of its input.
    """

    def __init__(self, kernel: np.ndarray, bias: np.ndarray) -> None:
        self.kernel = kernel
        self.bias = bias

    def share(self, start: int, part: np.ndarray) -> np.ndarray:
        """What `part` `[..., N]` contributes, standing at column `start` of the input."""
        return project(part, self.rows(start, part.shape[-1]))

    def rows(self, start: int, size: int) -> np.ndarray:
        """The rows of the kernel that belong to these columns of the input."""
        return self.kernel[start : start + size]


class _Layer:
    """One layer of D stacks.

    Attributes:
      entries: How inputs that are given from outside enter, in the bottom layer.
      projections: How outputs of the layer below are projected, in a residual layer.
    """

    def __init__(
        self,
        weights: Weights,
        scopes: Sequence[str],
        input_sizes: Sequence[int],
        units: int,
        *,
        bottom: bool,
        residual: bool,
        project: bool,
    ) -> None:
        self.units = units
        self.residual = residual
        kernels, biases, entries = [], [], []
        for scope, size in zip(scopes, input_sizes, strict=True):
            if project:
                scope = names.input_projection(scope)
                entries.append(Entry(*weights.dense(scope, size, units)))
                size = units
            kernel, bias = weights.dense(names.lstm_cell(scope), size + units, 4 * units)
            kernels.append(kernel)
            biases.append(_with_forget_bias(bias))
        # Inputs from outside enter the gates of a plain bottom layer without passing through here.
        self.adds_to_gates = bottom and not residual
        if self.adds_to_gates:
            entries = [Entry(k[:-units], b) for k, b in zip(kernels, biases, strict=True)]
            kernels = [kernel[-units:] for kernel in kernels]
        self.entries = entries
        self.input_size = len(kernels[0]) - units
        self.projects = project and not bottom
        self.kernel = Matrices(kernels)
        self.bias = np.stack(biases)[:, None]


class LstmStack:
    """D stacks of LSTM layers of the same sizes."""

    def __init__(
        self,
        weights: Weights,
        scopes: Sequence[Sequence[str]],
        input_sizes: Sequence[int],
        sizes: Sequence[int],
        *,
        residual: bool = False,
    ) -> None:
        """Args:
        weights: Where the weights are.
        scopes: The names of the layers of each of the D stacks.
        input_sizes: Width of the input of each.
        sizes: Units of each layer.
        residual: Whether a layer's output is h + x.
        """
        self.sizes = tuple(sizes)
        self.residual = residual
        self.layers = []
        widths = list(input_sizes)
        for index, units in enumerate(sizes):
            self.layers.append(
                _Layer(
                    weights,
                    [stack[index] for stack in scopes],
                    widths,
                    units,
                    bottom=index == 0,
                    residual=residual,
                    project=residual and (index == 0 or set(widths) != {units}),
                )
            )
            widths = [units] * len(widths)

    @property
    def entries(self) -> list[Entry]:
        """How inputs enter each of the D stacks."""
        return self.layers[0].entries

    @property
    def state_size(self) -> int:
        """Width of the states of one stack side by side."""
        return 2 * sum(self.sizes)

    def start(self, state: np.ndarray) -> "Run":
        """A run from a state `[D, B, state_size]`, in the order c0, h0, c1, h1, ..."""
        return Run(self.layers, state)

    def start_from_zeros(self, batch: int) -> "Run":
        """A run from a state of zeros."""
        return self.start(np.zeros((len(self.entries), batch, self.state_size), np.float32))


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
            self._gates.append(np.zeros((stacks, batch, 4 * layer.units), np.float32))

    @property
    def state(self) -> np.ndarray:
        """The state now, `[D, B, state_size]`."""
        parts = []
        for layer, c, joined in zip(self._layers, self._cells, self._inputs, strict=True):
            parts += [c, joined[..., layer.input_size :]]
        return np.concatenate(parts, axis=-1)

    @property
    def hidden(self) -> np.ndarray:
        """The top layer's h, `[D, B, units]`, good until the next step."""
        return self._inputs[-1][..., self._layers[-1].input_size :]

    def step(self, add_inputs: Addition) -> np.ndarray:
        """Takes one step; returns the top layer's output `[D, B, units]`, good until the next."""
        output: np.ndarray | None = None
        for layer, c, joined, gates in zip(
            self._layers, self._cells, self._inputs, self._gates, strict=True
        ):
            inputs, h = joined[..., : layer.input_size], joined[..., layer.input_size :]
            if output is not None:
                inputs[...] = _projected(output, layer) if layer.projects else output
            elif not layer.adds_to_gates:
                inputs[...] = 0
                add_inputs(inputs)
            layer.kernel.multiply(joined, gates)
            if layer.adds_to_gates:
                add_inputs(gates)
            else:
                gates += layer.bias
            _update(gates, c, h)
            output = h + inputs if layer.residual else h
        assert output is not None
        return output


def _projected(output: np.ndarray, layer: _Layer) -> np.ndarray:
    return np.stack(
        [h @ entry.kernel + entry.bias for h, entry in zip(output, layer.entries, strict=True)]
    )


def _update(gates: np.ndarray, c: np.ndarray, h: np.ndarray) -> None:
    """Sets c and h to those after a step; overwrites the gates, whose forget bias is added."""
    units = c.shape[-1]
    i, f_and_o = gates[..., :units], gates[..., 2 * units :]
    # sigmoid(x) = (tanh(x / 2) + 1) / 2: one tanh serves all four gates.
    for part in (i, f_and_o):
        part *= 0.5
    np.tanh(gates, out=gates)
    for part in (i, f_and_o):
        part *= 0.5
        part += 0.5
    i, j, f, o = (gates[..., n * units : (n + 1) * units] for n in range(4))
    i *= j
    c *= f
    c += i
    np.tanh(c, out=h)
    h *= o


def _with_forget_bias(bias: np.ndarray) -> np.ndarray:
    units = len(bias) // 4
    bias = bias.copy()
    bias[2 * units : 3 * units] += FORGET_BIAS
    return bias


class BidirectionalLstm:
    """Layers that read a sequence in both directions; each reads both outputs of the one below."""

    def __init__(
        self,
        weights: Weights,
        scope: str,
        input_size: int,
        sizes: Sequence[int],
        *,
        residual: bool = False,
    ) -> None:
        self.output_size = 2 * sizes[-1]
        self._layers = []
        for index, units in enumerate(sizes):
            scopes = [[names.bidirectional_layer(scope, index, d)] for d in names.DIRECTIONS]
            self._layers.append(
                LstmStack(weights, scopes, [input_size] * 2, [units], residual=residual)
            )
            input_size = 2 * units

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
        return self._run(inputs, lengths)[1]

    def _run(self, inputs: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        outputs, ends = inputs, []
        for layer in self._layers:
            reads = (outputs, reversed_to(outputs, lengths))
            shares = [
                entry.share(0, read) + entry.bias
                for entry, read in zip(layer.entries, reads, strict=True)
            ]
            (ahead, behind), states = _over_time(layer, shares, int(lengths.max(initial=0)))
            outputs = np.concatenate([ahead, reversed_to(behind, lengths)], axis=-1)
            ends = [last_valid(h, lengths) for h in states]
        return outputs, np.concatenate(ends, axis=-1)


def _over_time(
    stack: LstmStack, shares: Sequence[np.ndarray], steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Outputs and h of the first `steps` steps, zeros after, both `[D, T, B, units]`.

    Args:
      stack: D stacks of one layer.
      shares: What the inputs contribute to each, `[T, B, W]`.
      steps: How many steps matter.
    """
    length, batch = shares[0].shape[:2]
    run = stack.start_from_zeros(batch)
    outputs = np.zeros((len(shares), length, batch, stack.sizes[-1]), np.float32)
    hidden = np.zeros_like(outputs) if stack.residual else outputs

    def add_inputs(target: np.ndarray) -> None:
        for part, share in zip(target, shares, strict=True):
            part += share[t]

    for t in range(steps):
        outputs[:, t] = run.step(add_inputs)
        hidden[:, t] = run.hidden
    return outputs, hidden


def last_valid(sequence: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The last valid step of `[T, B, D]`, `[B, D]`; zeros where there is none."""
    last = sequence[np.maximum(lengths - 1, 0), np.arange(len(lengths))]
    return np.where(lengths[:, None] > 0, last, np.float32(0))


def reversed_to(sequence: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """`[T, B, D]` with its valid steps reversed; the others stay where they are."""
    steps = np.arange(len(sequence))[:, None]
    steps = np.where(steps < lengths, lengths - 1 - steps, steps)
    return sequence[steps, np.arange(len(lengths))]
