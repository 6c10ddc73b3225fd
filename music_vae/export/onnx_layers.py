"""Layers as ONNX nodes: LSTMs, encoders and output distributions; see `engine` for what they are.

ONNX keeps the weights of an LSTM's gates in the order i, o, f, c (which is j here), a row for each
unit, and adds nothing to the forget gate. Time is the first axis of what its layers read.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from music_vae.common import weight_names as names
from music_vae.common.hparams import HParams
from music_vae.common.specs import (
    BidirectionalEncoderSpec,
    BooleanHeadSpec,
    EncoderSpec,
    GrooveHeadSpec,
    HeadSpec,
    HierarchicalEncoderSpec,
    MultiCategoricalHeadSpec,
    NadeHeadSpec,
)
from music_vae.engine.heads import MIN_TEMPERATURE
from music_vae.engine.lstm import FORGET_BIAS
from music_vae.engine.weights import Weights
from music_vae.export.onnx_graph import Graph


class Lengths(NamedTuple):
    """Valid steps `[B]`, int32.

    Attributes:
      at_least_1: As not every runtime takes a sequence without steps.
      is_any: float32 `[B, 1]`, 0 for a sequence without steps.
    """

    at_least_1: str
    is_any: str


def lengths_of(graph: Graph, lengths: str) -> Lengths:
    """What layers need to know of lengths `[B]`."""
    is_any = graph.to_float(graph.op("Greater", lengths, graph.array(np.int32(0))))
    at_least_1 = graph.op("Max", lengths, graph.array(np.int32(1)))
    return Lengths(at_least_1, graph.unsqueeze(is_any, 1))


def dense(graph: Graph, weights: Weights, layer: str, x: str, size: int, units: int) -> str:
    """x . kernel + bias, of `[..., size]`."""
    kernel, bias = (graph.array(array) for array in weights.dense(layer, size, units))
    return graph.op("Add", graph.op("MatMul", x, kernel), bias)


class Run(NamedTuple):
    """What an LSTM layer made: outputs `[T, B, H]`, and the last c and h, `[B, H]` each."""

    outputs: str
    c: str
    h: str


def lstm_layer(
    graph: Graph,
    weights: Weights,
    scope: str,
    x: str,
    input_size: int,
    units: int,
    *,
    residual: bool = False,
    project: bool = False,
    state: tuple[str, str] | None = None,
    lengths: Lengths | None = None,
    backward: bool = False,
) -> Run:
    """One layer over `[T, B, input_size]`; see `engine.lstm`.

    Args:
      graph: Where to.
      weights: Where the weights are.
      scope: The layer's name.
      x: What it reads.
      input_size: Its width.
      units: Width of the layer.
      residual: Whether its outputs are h + x.
      project: Whether x is projected to the layer's width first.
      state: c and h before, `[B, H]` each; zeros by default.
      lengths: Valid steps; all by default.
      backward: Whether it reads the valid steps from the last to the first.
    """
    if project:
        scope = names.input_projection(scope)
        x, input_size = dense(graph, weights, scope, x, input_size, units), units
    kernel, bias = weights.dense(names.lstm_cell(scope), input_size + units, 4 * units)
    given = ["", ""] if state is None else [graph.unsqueeze(part, 0) for part in state[::-1]]
    outputs, h, c = graph.ops(
        "LSTM",
        3,
        x,
        graph.array(_gates(kernel[:input_size])),
        graph.array(_gates(kernel[input_size:])),
        graph.array(_bias(bias)),
        "" if lengths is None else lengths.at_least_1,
        *given,
        hidden_size=units,
        direction="reverse" if backward else "forward",
    )
    outputs = graph.squeeze(outputs, 1)
    if residual:
        outputs = graph.op("Add", outputs, x)
    return Run(outputs, graph.squeeze(c, 0), graph.squeeze(h, 0))


def _gates(kernel: np.ndarray) -> np.ndarray:
    """A kernel `[N, 4 * H]` of i, j, f, o as `[1, 4 * H, N]` of i, o, f, j."""
    i, j, f, o = np.split(kernel.T, 4)
    return np.concatenate([i, o, f, j])[None]


def _bias(bias: np.ndarray) -> np.ndarray:
    """Biases `[4 * H]` of i, j, f, o as `[1, 8 * H]`: those of i, o, f, j and of the recurrence."""
    i, j, f, o = np.split(bias, 4)
    ours = np.concatenate([i, o, f + np.float32(FORGET_BIAS), j])
    return np.concatenate([ours, np.zeros_like(ours)])[None]


def lstm_stack(
    graph: Graph,
    weights: Weights,
    scopes: Sequence[str],
    x: str,
    input_size: int,
    sizes: Sequence[int],
    *,
    residual: bool,
    state: str | None = None,
    lengths: Lengths | None = None,
) -> tuple[str, str]:
    """Layers that read each other's outputs forward.

    Args:
      graph: Where to.
      weights: Where the weights are.
      scopes: The layers' names.
      x: What the first layer reads, `[T, B, input_size]`.
      input_size: Its width.
      sizes: Units of each layer.
      residual: Whether a layer's outputs are h + x.
      state: `[B, S]` before, in the order c0, h0, c1, h1, ...; zeros by default.
      lengths: Valid steps; all by default.

    Returns:
      Outputs `[T, B, H]` and the state after the last valid step, `[B, S]`.
    """
    before: list[str] | None = None
    if state is not None:
        before = graph.split(state, [units for units in sizes for _ in "ch"])
    after = []
    for index, (scope, units) in enumerate(zip(scopes, sizes, strict=True)):
        run = lstm_layer(
            graph,
            weights,
            scope,
            x,
            input_size,
            units,
            residual=residual,
            project=residual and (index == 0 or input_size != units),
            state=None if before is None else (before[2 * index], before[2 * index + 1]),
            lengths=lengths,
        )
        x, input_size = run.outputs, units
        after += [run.c, run.h]
    return x, graph.concat(after)


# -- Encoders -------------------------------------------------------------------------------------


def encode(
    graph: Graph,
    weights: Weights,
    spec: EncoderSpec,
    x: str,
    lengths: str,
    hparams: HParams,
    *,
    input_size: int,
    by_segment: bool,
) -> tuple[str, int]:
    """The embedding `[B, H]` of `[B, T, D]` by an encoder, and its width H.

    `lengths` are `[B]`; if `by_segment` `[B, S]`, those of a hierarchy's segments.
    """
    if not isinstance(spec, HierarchicalEncoderSpec):
        return _encode_steps(
            graph, weights, spec, names.ENCODER, x, lengths_of(graph, lengths), hparams, input_size
        )
    segments = int(np.prod(spec.level_lengths[1:]))
    if not by_segment:
        lengths = _by_segment(graph, lengths, segments, spec.level_lengths[0])
    valid: Lengths | None = lengths_of(graph, graph.reshape(lengths, -1))
    for number, steps in enumerate(spec.level_lengths):
        x = graph.reshape(x, -1, steps, input_size)
        scope = names.encoder_level(names.ENCODER, number)
        x, input_size = _encode_steps(
            graph, weights, spec.core, scope, x, valid, hparams, input_size
        )
        valid = None  # every embedding counts
    return x, input_size


def _by_segment(graph: Graph, lengths: str, segments: int, steps: int) -> str:
    """Lengths `[B]` as those of segments, `[B, S]`."""
    starts = np.arange(segments, dtype=np.int32) * steps
    left = graph.op("Sub", graph.unsqueeze(lengths, 1), graph.array(starts))
    return graph.op("Clip", left, *(graph.array(np.int32(end)) for end in (0, steps)))


def _encode_steps(
    graph: Graph,
    weights: Weights,
    spec: EncoderSpec,
    scope: str,
    x: str,
    lengths: Lengths | None,
    hparams: HParams,
    input_size: int,
) -> tuple[str, int]:
    """One level: the embedding `[B, H]` of `[B, T, D]`, and its width H."""
    x = graph.op("Transpose", x, perm=[1, 0, 2])
    sizes, residual = hparams.enc_rnn_size, hparams.residual_encoder
    if isinstance(spec, BidirectionalEncoderSpec):
        end, size = _bidirectional(
            graph, weights, scope, x, input_size, sizes, residual=residual, lengths=lengths
        )
    else:
        scopes = [names.stacked_layer(scope, index) for index in range(len(sizes))]
        outputs, _ = lstm_stack(
            graph, weights, scopes, x, input_size, sizes, residual=residual, lengths=lengths
        )
        end, size = _last_valid(graph, outputs, lengths), sizes[-1]
    return (end if lengths is None else graph.op("Mul", end, lengths.is_any)), size


def _bidirectional(
    graph: Graph,
    weights: Weights,
    scope: str,
    x: str,
    input_size: int,
    sizes: Sequence[int],
    *,
    residual: bool,
    lengths: Lengths | None,
) -> tuple[str, int]:
    """Where both directions of the top layer end, `[B, 2 * H]`, and its width."""
    runs: list[Run] = []
    for index, units in enumerate(sizes):
        runs = [
            lstm_layer(
                graph,
                weights,
                names.bidirectional_layer(scope, index, direction),
                x,
                input_size,
                units,
                residual=residual,
                project=residual,
                lengths=lengths,
                backward=direction == names.DIRECTIONS[1],
            )
            for direction in names.DIRECTIONS
        ]
        x, input_size = graph.concat([run.outputs for run in runs]), 2 * units
    return graph.concat([run.h for run in runs]), input_size


def _last_valid(graph: Graph, outputs: str, lengths: Lengths | None) -> str:
    """The last valid step `[B, H]` of `[T, B, H]`, the first where there is none."""
    from onnx import TensorProto

    if lengths is None:
        return graph.op("Gather", outputs, graph.array(np.array(-1)), axis=0)
    last = graph.op("Sub", lengths.at_least_1, graph.array(np.int32(1)))
    last = graph.op("Cast", graph.unsqueeze(last, 1), to=TensorProto.INT64)
    by_example = graph.op("Transpose", outputs, perm=[1, 0, 2])
    return graph.op("GatherND", by_example, last, batch_dims=1)


# -- Output distributions -------------------------------------------------------------------------


def sample(
    graph: Graph,
    weights: Weights,
    spec: HeadSpec,
    decoder: str,
    parameters: str,
    noise: str,
    temperature: str,
    *,
    depth: int,
    num_hidden: int,
) -> str:
    """A step `[B, depth]` of a distribution's parameters `[B, P]`; see `engine.heads`.

    Args:
      graph: Where to.
      weights: Where the weights are.
      spec: The distribution.
      decoder: The name of its decoder.
      parameters: What the decoder gives.
      noise: `[B, K]`, uniform in [0, 1).
      temperature: `[1]`, divides the logits.
      depth: Width of a step.
      num_hidden: Hidden units of NADE.
    """
    temperature = graph.op("Max", temperature, graph.array(np.float32(MIN_TEMPERATURE)))
    if isinstance(spec, BooleanHeadSpec):
        return _bernoulli(graph, parameters, noise, temperature)
    if isinstance(spec, GrooveHeadSpec):
        hits, velocities, offsets = graph.split(parameters, [depth // 3] * 3)
        hits = _bernoulli(graph, hits, noise, temperature)
        return graph.concat([hits, graph.op("Sigmoid", velocities), graph.op("Tanh", offsets)])
    if isinstance(spec, NadeHeadSpec):
        a, b_dec = graph.split(parameters, [num_hidden, depth])
        w_enc = weights.take(names.nade_encoder(decoder), depth, 1, num_hidden)[:, 0]
        w_dec = weights.take(names.nade_decoder(decoder), depth, num_hidden, 1)[:, :, 0]
        return _nade(graph, a, b_dec, w_enc, w_dec, noise, temperature)
    depths = spec.depths if isinstance(spec, MultiCategoricalHeadSpec) else (depth,)
    parts = zip(
        graph.split(parameters, depths), graph.split(noise, [1] * len(depths)), depths, strict=True
    )
    return graph.concat([_choose(graph, *part, temperature) for part in parts])


def _bernoulli(graph: Graph, logits: str, noise: str, temperature: str) -> str:
    """1 where the noise is below sigmoid(logits / temperature)."""
    p = graph.op("Sigmoid", graph.op("Div", logits, temperature))
    return graph.to_float(graph.op("Less", noise, p))


def _choose(graph: Graph, logits: str, noise: str, depth: int, temperature: str) -> str:
    """One-hot `[B, depth]`: the class in whose share of the unit interval the noise `[B, 1]` is."""
    from onnx import TensorProto

    shares = graph.op("Softmax", graph.op("Div", logits, temperature), axis=1)
    shares = graph.op("CumSum", shares, graph.array(np.array(1)))
    whole = graph.op("Gather", shares, graph.array(np.array([depth - 1])), axis=1)
    passed = graph.op("LessOrEqual", shares, graph.op("Mul", noise, whole))
    passed = graph.op("Cast", passed, to=TensorProto.INT64)
    number = graph.op("ReduceSum", passed, graph.array(np.array([1])), keepdims=0)
    number = graph.op("Min", number, graph.array(np.array(depth - 1)))
    values = graph.array(np.array([0, 1], np.float32))
    return graph.op("OneHot", number, graph.array(np.array(depth)), values, axis=1)


def _nade(
    graph: Graph,
    a: str,
    b_dec: str,
    w_enc: np.ndarray,
    w_dec: np.ndarray,
    noise: str,
    temperature: str,
) -> str:
    """Yes or no for one number after the other, `[B, depth]`; see `engine.heads.NadeHead`."""

    def step(body: Graph, carried: list[str], now: list[str]) -> tuple[list[str], list[str]]:
        (hidden,), (bias, chance, enc, dec) = carried, now
        logits = body.op("Add", body.op("MatMul", body.op("Sigmoid", hidden), dec), bias)
        v = _bernoulli(body, logits, chance, temperature)
        added = body.op("Mul", body.unsqueeze(v, 1), enc)
        return [body.op("Add", hidden, added)], [v]

    scanned = [b_dec, noise, graph.array(w_enc), graph.array(w_dec)]
    carried = [(a, ("B", w_enc.shape[1]))]
    _, (values,) = graph.scan(step, carried, scanned, [("B",)], axes=[1, 1, 0, 0])
    return values
