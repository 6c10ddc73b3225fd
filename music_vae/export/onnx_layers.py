"""Layers as ONNX nodes: LSTMs, encoders and output distributions; see `engine` for what they are.

ONNX keeps the weights of an LSTM's gates in the order i, o, f, c (which is j here), a row for each
unit, and adds nothing to the forget gate. Time is the first axis of what its layers read.
"""

import math
from typing import NamedTuple

import numpy as np

from music_vae.common.model_constants import FORGET_BIAS, MIN_TEMPERATURE
from music_vae.common.plans import (
    BidirectionalPlan,
    DensePlan,
    EncoderPlan,
    FlatEncoderPlan,
    HeadPlan,
    HierarchicalEncoderPlan,
    LstmLayerPlan,
    LstmStackPlan,
    NadePlan,
)
from music_vae.common.specs import BooleanHeadSpec, GrooveHeadSpec
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


def dense(graph: Graph, weights: Weights, plan: DensePlan, x: str) -> str:
    """x . kernel + bias, of `[..., input_size]`."""
    kernel, bias = (graph.array(array) for array in weights.dense(plan))
    return graph.op("Add", graph.op("MatMul", x, kernel), bias)


class Run(NamedTuple):
    """What an LSTM layer made: outputs `[T, B, H]`, and the last c and h, `[B, H]` each."""

    outputs: str
    c: str
    h: str


def lstm_layer(
    graph: Graph,
    weights: Weights,
    plan: LstmLayerPlan,
    x: str,
    *,
    state: tuple[str, str] | None = None,
    lengths: Lengths | None = None,
    backward: bool = False,
) -> Run:
    """One layer over `[T, B, input_size]`; see `engine.lstm`.

    Args:
      graph: Where to.
      weights: Where the weights are.
      plan: The layer.
      x: What it reads.
      state: c and h before, `[B, H]` each; zeros by default.
      lengths: Valid steps; all by default.
      backward: Whether it reads the valid steps from the last to the first.
    """
    if plan.projection is not None:
        x = dense(graph, weights, plan.projection, x)
    kernel, bias = weights.dense(plan.cell)
    given = ["", ""] if state is None else [graph.unsqueeze(part, 0) for part in state[::-1]]
    outputs, h, c = graph.ops(
        "LSTM",
        3,
        x,
        graph.array(_gates(kernel[: plan.cell_input_size])),
        graph.array(_gates(kernel[plan.cell_input_size :])),
        graph.array(_bias(bias)),
        "" if lengths is None else lengths.at_least_1,
        *given,
        hidden_size=plan.units,
        direction="reverse" if backward else "forward",
    )
    outputs = graph.squeeze(outputs, 1)
    if plan.residual:
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
    plan: LstmStackPlan,
    x: str,
    *,
    state: str | None = None,
    lengths: Lengths | None = None,
) -> tuple[str, str]:
    """Layers that read each other's outputs forward.

    Args:
      graph: Where to.
      weights: Where the weights are.
      plan: The layers.
      x: What the first layer reads, `[T, B, input_size]`.
      state: `[B, S]` before, in the order c0, h0, c1, h1, ...; zeros by default.
      lengths: Valid steps; all by default.

    Returns:
      Outputs `[T, B, H]` and the state after the last valid step, `[B, S]`.
    """
    before: list[str] | None = None
    if state is not None:
        before = graph.split(state, plan.state_widths)
    after = []
    for index, layer in enumerate(plan.layers):
        given = None if before is None else (before[2 * index], before[2 * index + 1])
        run = lstm_layer(graph, weights, layer, x, state=given, lengths=lengths)
        x = run.outputs
        after += [run.c, run.h]
    return x, graph.concat(after)


# -- Encoders -------------------------------------------------------------------------------------


def encode(
    graph: Graph,
    weights: Weights,
    plan: EncoderPlan,
    x: str,
    lengths: str,
    *,
    input_size: int,
    by_segment: bool,
) -> str:
    """The embedding `[B, H]` of `[B, T, input_size]`.

    `lengths` are `[B]`; if `by_segment` `[B, S]`, those of a hierarchy's segments.
    """
    if not isinstance(plan, HierarchicalEncoderPlan):
        return _encode_steps(graph, weights, plan, x, lengths_of(graph, lengths))
    segments = math.prod(plan.level_lengths[1:])
    if not by_segment:
        lengths = _by_segment(graph, lengths, segments, plan.level_lengths[0])
    valid: Lengths | None = lengths_of(graph, graph.reshape(lengths, -1))
    for level, steps in zip(plan.levels, plan.level_lengths, strict=True):
        x = graph.reshape(x, -1, steps, input_size)
        x, input_size = _encode_steps(graph, weights, level, x, valid), level.output_size
        valid = None  # every embedding counts
    return x


def _by_segment(graph: Graph, lengths: str, segments: int, steps: int) -> str:
    """Lengths `[B]` as those of segments, `[B, S]`."""
    starts = np.arange(segments, dtype=np.int32) * steps
    left = graph.op("Sub", graph.unsqueeze(lengths, 1), graph.array(starts))
    return graph.op("Clip", left, *(graph.array(np.int32(end)) for end in (0, steps)))


def _encode_steps(
    graph: Graph, weights: Weights, plan: FlatEncoderPlan, x: str, lengths: Lengths | None
) -> str:
    """One level: the embedding `[B, H]` of `[B, T, D]`."""
    x = graph.op("Transpose", x, perm=[1, 0, 2])
    if isinstance(plan.lstm, BidirectionalPlan):
        end = _bidirectional(graph, weights, plan.lstm, x, lengths)
    else:
        outputs, _ = lstm_stack(graph, weights, plan.lstm, x, lengths=lengths)
        end = _last_valid(graph, outputs, lengths)
    return end if lengths is None else graph.op("Mul", end, lengths.is_any)


def _bidirectional(
    graph: Graph, weights: Weights, plan: BidirectionalPlan, x: str, lengths: Lengths | None
) -> str:
    """Where both directions of the top layer end, `[B, 2 * H]`."""
    runs: list[Run] = []
    for stacks in plan.layers:
        runs = [
            lstm_layer(graph, weights, stack.layers[0], x, lengths=lengths, backward=backward)
            for stack, backward in zip(stacks, (False, True), strict=True)
        ]
        x = graph.concat([run.outputs for run in runs])
    return graph.concat([run.h for run in runs])


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
    graph: Graph, weights: Weights, plan: HeadPlan, parameters: str, noise: str, temperature: str
) -> str:
    """A step `[B, D]` of a distribution's parameters `[B, P]`; see `engine.heads`.

    Args:
      graph: Where to.
      weights: Where the weights are.
      plan: The distribution.
      parameters: What the decoder gives.
      noise: `[B, K]`, uniform in [0, 1).
      temperature: `[1]`, divides the logits.
    """
    temperature = graph.op("Max", temperature, graph.array(np.float32(MIN_TEMPERATURE)))
    if isinstance(plan.spec, BooleanHeadSpec):
        return _bernoulli(graph, parameters, noise, temperature)
    if isinstance(plan.spec, GrooveHeadSpec):
        hits, velocities, offsets = graph.split(parameters, [plan.depth // 3] * 3)
        hits = _bernoulli(graph, hits, noise, temperature)
        return graph.concat([hits, graph.op("Sigmoid", velocities), graph.op("Tanh", offsets)])
    if plan.nade is not None:
        return _nade(graph, weights, plan.nade, parameters, noise, temperature)
    depths = plan.one_hots
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
    graph: Graph, weights: Weights, plan: NadePlan, parameters: str, noise: str, temperature: str
) -> str:
    """Yes or no for one number after the other, `[B, D]`; see `engine.heads.NadeHead`."""
    a, b_dec = graph.split(parameters, [plan.num_hidden, plan.depth])
    w_enc, w_dec = weights.take(plan.encoder)[:, 0], weights.take(plan.decoder)[:, :, 0]

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
