"""Writes layers as ONNX nodes: LSTMs, encoders and output distributions.

They compute the same as the layers in `engine`. An ONNX LSTM keeps the weights of its gates in the
order i, o, f, c (here called j), with a row for each unit, and adds nothing to the forget gate.
Time is the first axis of the arrays that it reads.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from music_vae.common.model_constants import FORGET_BIAS, LEAST_SPREAD, LEAST_TAIL, MIN_TEMPERATURE
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
from music_vae.common.specs import BooleanHeadSpec, GrooveHeadSpec, MixtureGrooveHeadSpec
from music_vae.engine.weights import Weights
from music_vae.export.onnx_graph import Graph


class _Lengths(NamedTuple):
    """Numbers of valid steps of a batch, in the two forms that layers need.

    Attributes:
      at_least_1: The lengths `[B]`, int32, with 1 in place of 0, since not every runtime accepts a
        sequence without steps.
      is_any: float32 `[B, 1]`, 0 for a sequence without steps, else 1.
    """

    at_least_1: str
    is_any: str


def _lengths_of(graph: Graph, lengths: str) -> _Lengths:
    """Prepares lengths `[B]` for layers."""
    is_any = graph.to_float(graph.op("Greater", lengths, graph.array(np.int32(0))))
    at_least_1 = graph.op("Max", lengths, graph.array(np.int32(1)))
    return _Lengths(at_least_1, graph.unsqueeze(is_any, 1))


def dense(graph: Graph, weights: Weights, plan: DensePlan, x: str) -> str:
    """Adds a dense layer, x . kernel + bias, where x is `[..., input_size]`.

    >>> from onnx.reference import ReferenceEvaluator
    >>> weights = Weights({"mu/kernel": np.ones((3, 2)), "mu/bias": np.array([0, 0.5])})
    >>> graph = Graph("dense layer")
    >>> x = graph.input("x", ("B", 3))
    >>> graph.output("y", dense(graph, weights, DensePlan("mu", 3, 2), x), ("B", 2))
    >>> model = ReferenceEvaluator(graph.model("1.0"))
    >>> model.run(["y"], {"x": np.array([[1, 2, 3]], np.float32)})[0].tolist()
    [[6.0, 6.5]]
    """
    kernel, bias = (graph.array(array) for array in weights.dense(plan))
    return graph.op("Add", graph.op("MatMul", x, kernel), bias)


class _Run(NamedTuple):
    """The results of an LSTM layer: outputs `[T, B, H]`, and the last c and h, `[B, H]` each."""

    outputs: str
    c: str
    h: str


def _lstm_layer(
    graph: Graph,
    weights: Weights,
    plan: LstmLayerPlan,
    x: str,
    *,
    state: tuple[str, str] | None = None,
    lengths: _Lengths | None = None,
    backward: bool = False,
) -> _Run:
    """Adds an LSTM layer over `[T, B, input_size]`; see `engine.lstm`.

    Args:
      graph: Graph to which the layer is added.
      weights: Weights of the model.
      plan: Plan of the layer.
      x: Input of the layer.
      state: The initial c and h, `[B, H]` each; zeros by default.
      lengths: Valid steps; all by default.
      backward: If True, the valid steps are read from the last to the first.
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
    return _Run(outputs, graph.squeeze(c, 0), graph.squeeze(h, 0))


def _gates(kernel: np.ndarray) -> np.ndarray:
    """Reorders a kernel `[N, 4 * H]` of i, j, f, o to `[1, 4 * H, N]` of i, o, f, j."""
    i, j, f, o = np.split(kernel.T, 4)
    return np.concatenate([i, o, f, j])[None]


def _bias(bias: np.ndarray) -> np.ndarray:
    """Reorders biases `[4 * H]` of i, j, f, o to `[1, 8 * H]`.

    The first half are those of i, o, f, j; the second, those of the recurrence, are zeros.
    """
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
    lengths: _Lengths | None = None,
) -> tuple[str, str]:
    """Adds LSTM layers on top of each other, all of which read forward.

    >>> from music_vae.common import model_spec
    >>> plan = model_spec.lstm_stack("decoder", 3, [5, 4])
    >>> shapes = {}
    >>> for layer in plan.layers:
    ...     shapes |= layer.cell.shapes
    >>> weights = Weights({name: np.zeros(shape) for name, shape in shapes.items()})
    >>> graph = Graph("two layers")
    >>> outputs, state = lstm_stack(graph, weights, plan, graph.input("x", ("T", "B", 3)))
    >>> [node.op_type for node in graph.model("1.0").graph.node].count("LSTM")
    2

    Args:
      graph: Graph to which the layers are added.
      weights: Weights of the model.
      plan: Plan of the layers.
      x: Input of the first layer, `[T, B, input_size]`.
      state: The initial state `[B, S]`, in the order c0, h0, c1, h1, ...; zeros by default.
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
        run = _lstm_layer(graph, weights, layer, x, state=given, lengths=lengths)
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
    """Adds an encoder, and returns the embedding `[B, H]` of `x`, which is `[B, T, input_size]`.

    >>> from music_vae.common.hparams import HParams
    >>> from music_vae.common.model_spec import ModelSpec, derive_encoder
    >>> from music_vae.common.specs import BidirectionalEncoderSpec
    >>> plan = derive_encoder(BidirectionalEncoderSpec(), HParams(enc_rnn_size=(2,)), 3)
    >>> shapes = ModelSpec(plan, None, None).weight_shapes
    >>> weights = Weights({name: np.zeros(shape) for name, shape in shapes.items()})
    >>> graph = Graph("encoder")
    >>> x, lengths = graph.input("x", ("B", "T", 3)), graph.input("lengths", ("B",), "int32")
    >>> embedding = encode(graph, weights, plan, x, lengths, input_size=3, by_segment=False)
    >>> [node.op_type for node in graph.model("1.0").graph.node].count("LSTM")  # two directions
    2

    Args:
      graph: Graph to which the encoder is added.
      weights: Weights of the model.
      plan: Plan of the encoder.
      x: Steps that the encoder reads.
      lengths: Valid steps of each example, `[B]`; of each segment, `[B, S]`, if `by_segment`.
      input_size: Width of a step.
      by_segment: True if `lengths` are those of the segments of a hierarchy.
    """
    if not isinstance(plan, HierarchicalEncoderPlan):
        return _encode_steps(graph, weights, plan, x, _lengths_of(graph, lengths))
    segments = math.prod(plan.level_lengths[1:])
    if not by_segment:
        lengths = _by_segment(graph, lengths, segments, plan.level_lengths[0])
    valid: _Lengths | None = _lengths_of(graph, graph.reshape(lengths, -1))
    for level, steps in zip(plan.levels, plan.level_lengths, strict=True):
        x = graph.reshape(x, -1, steps, input_size)
        x, input_size = _encode_steps(graph, weights, level, x, valid), level.output_size
        valid = None  # every embedding counts
    return x


def _by_segment(graph: Graph, lengths: str, segments: int, steps: int) -> str:
    """Returns the lengths of segments `[B, S]` that follow from those of examples, `[B]`."""
    starts = np.arange(segments, dtype=np.int32) * steps
    left = graph.op("Sub", graph.unsqueeze(lengths, 1), graph.array(starts))
    return graph.op("Clip", left, *(graph.array(np.int32(end)) for end in (0, steps)))


def _encode_steps(
    graph: Graph, weights: Weights, plan: FlatEncoderPlan, x: str, lengths: _Lengths | None
) -> str:
    """Adds one level of an encoder, and returns the embedding `[B, H]` of `[B, T, D]`."""
    x = graph.op("Transpose", x, perm=[1, 0, 2])
    if isinstance(plan.lstm, BidirectionalPlan):
        end = _bidirectional(graph, weights, plan.lstm, x, lengths)
    else:
        outputs, _ = lstm_stack(graph, weights, plan.lstm, x, lengths=lengths)
        end = _last_valid(graph, outputs, lengths)
    return end if lengths is None else graph.op("Mul", end, lengths.is_any)


def _bidirectional(
    graph: Graph, weights: Weights, plan: BidirectionalPlan, x: str, lengths: _Lengths | None
) -> str:
    """Returns the last h of both directions of the top layer, `[B, 2 * H]`."""
    runs = _bidirectional_runs(graph, weights, plan, x, lengths)
    return graph.concat([run.h for run in runs])


def bidirectional_outputs(graph: Graph, weights: Weights, plan: BidirectionalPlan, x: str) -> str:
    """Adds bidirectional LSTM layers, which read all of `[T, B, D]`: returns `[T, B, 2 * H]`.

    >>> from onnx.reference import ReferenceEvaluator
    >>> from music_vae.configs import get_config
    >>> spec = get_config("cat-mel_2bar_small", "z_size=4,enc_rnn_size=[6]").model_spec
    >>> arrays = {name: np.ones(shape) for name, shape in spec.weight_shapes.items()}
    >>> graph, plan = Graph("both directions"), spec.encoder.lstm
    >>> x = graph.input("x", ("T", "B", 90))
    >>> outputs = bidirectional_outputs(graph, Weights(arrays), plan, x)
    >>> graph.output("y", outputs, ("T", "B", 12))
    >>> model = ReferenceEvaluator(graph.model("1.0"))
    >>> model.run(["y"], {"x": np.ones((5, 2, 90), np.float32)})[0].shape
    (5, 2, 12)
    """
    runs = _bidirectional_runs(graph, weights, plan, x, None)
    return graph.concat([run.outputs for run in runs])


def _bidirectional_runs(
    graph: Graph, weights: Weights, plan: BidirectionalPlan, x: str, lengths: _Lengths | None
) -> list[_Run]:
    """Returns what the two directions of the top layer give."""
    runs: list[_Run] = []
    for stacks in plan.layers:
        runs = [
            _lstm_layer(graph, weights, stack.layers[0], x, lengths=lengths, backward=backward)
            for stack, backward in zip(stacks, (False, True), strict=True)
        ]
        x = graph.concat([run.outputs for run in runs])
    return runs


def _last_valid(graph: Graph, outputs: str, lengths: _Lengths | None) -> str:
    """Returns the last valid step `[B, H]` of `[T, B, H]`; without valid steps, the first one."""
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
    """Draws a step `[B, D]` from the decoder's output distribution; see `engine.heads`.

    >>> from onnx.reference import ReferenceEvaluator
    >>> from music_vae.common.model_spec import derive_head
    >>> from music_vae.common.specs import CategoricalHeadSpec
    >>> graph = Graph("draws one of three classes")
    >>> names = {"logits": 3, "noise": 1}
    >>> ends = [graph.input(name, ("B", width)) for name, width in names.items()]
    >>> plan = derive_head(CategoricalHeadSpec(), 3)
    >>> step = sample(graph, Weights({}), plan, *ends, graph.array(np.array([1.0])))
    >>> graph.output("step", step, ("B", 3))
    >>> given = {"logits": np.float32([[0, 0, 9]]), "noise": np.float32([[0.5]])}
    >>> ReferenceEvaluator(graph.model("1.0")).run(["step"], given)[0].tolist()
    [[0.0, 0.0, 1.0]]

    Args:
      graph: Graph to which the nodes are added.
      weights: Weights of the model.
      plan: Plan of the distribution.
      parameters: The distribution's parameters, the decoder's output `[B, P]`.
      noise: Numbers `[B, K]`, uniform in [0, 1).
      temperature: A number `[1]` by which the logits are divided.
    """
    temperature = graph.op("Max", temperature, graph.array(np.float32(MIN_TEMPERATURE)))
    if isinstance(plan.spec, BooleanHeadSpec):
        return _bernoulli(graph, parameters, noise, temperature)
    if isinstance(plan.spec, GrooveHeadSpec):
        hits, velocities, offsets = graph.split(parameters, [plan.depth // 3] * 3)
        hits = _bernoulli(graph, hits, noise, temperature)
        return graph.concat([hits, graph.op("Sigmoid", velocities), graph.op("Tanh", offsets)])
    if isinstance(plan.spec, MixtureGrooveHeadSpec):
        return _mixture_groove(graph, plan, parameters, noise, temperature)
    if plan.nade is not None:
        return _nade(graph, weights, plan.nade, parameters, noise, temperature)
    depths = plan.one_hots
    parts = zip(
        graph.split(parameters, depths), graph.split(noise, [1] * len(depths)), depths, strict=True
    )
    return graph.concat([_choose(graph, *part, temperature) for part in parts])


def _bernoulli(graph: Graph, logits: str, noise: str, temperature: str) -> str:
    """Returns 1 where the noise is below sigmoid(logits / temperature), else 0."""
    p = graph.op("Sigmoid", graph.op("Div", logits, temperature))
    return graph.to_float(graph.op("Less", noise, p))


def _choose(graph: Graph, logits: str, noise: str, depth: int, temperature: str) -> str:
    """Draws a class, as a one-hot vector `[B, depth]`.

    Each class has a share of the unit interval; the class in whose share the noise `[B, 1]` lies is
    drawn.
    """
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


def _mixture_groove(
    graph: Graph, plan: HeadPlan, parameters: str, noise: str, temperature: str
) -> str:
    """Draws hits, velocities and offsets `[B, D]`; see `engine.heads.MixtureGrooveHead`."""
    assert isinstance(plan.spec, MixtureGrooveHeadSpec)
    drums, components = plan.depth // 3, plan.spec.components
    hits, *values = graph.split(parameters, [drums] + 6 * [drums * components])
    for_hits, *places = graph.split(noise, [drums] * 5)
    hits = _bernoulli(graph, hits, for_hits, temperature)
    parts = [hits]
    for squash, least, number in (("Sigmoid", 0.0, 0), ("Tanh", -1.0, 1)):
        logits, means, scales = (
            graph.reshape(value, 0, drums, components)
            for value in values[3 * number : 3 * number + 3]
        )
        mixture = [graph.op("Softmax", logits, axis=2), graph.op(squash, means)]
        spread = graph.op("Add", graph.op("Softplus", scales), graph.array(LEAST_SPREAD))
        drawn = _draw(
            graph, [*mixture, spread], places[2 * number : 2 * number + 2], components, temperature
        )
        clipped = graph.op("Clip", drawn, graph.array(least), graph.array(1.0))
        parts.append(graph.op("Mul", hits, clipped))
    return graph.concat(parts)


def _draw(
    graph: Graph, mixture: Sequence[str], noise: Sequence[str], components: int, temperature: str
) -> str:
    """Draws values `[B, drums]` from shares, means and scales; see `engine.groove_mixture`."""
    from onnx import TensorProto

    (shares, means, scales), (for_component, for_place), axis = mixture, noise, np.array([2])
    sums = graph.op("CumSum", shares, graph.array(np.array(2)))
    whole = graph.op("Gather", sums, graph.array(np.array([components - 1])), axis=2)
    limit = graph.op("Mul", graph.unsqueeze(for_component, 2), whole)
    passed = graph.op("Cast", graph.op("LessOrEqual", sums, limit), to=TensorProto.INT64)
    number = graph.op("ReduceSum", passed, graph.array(axis), keepdims=0)
    number = graph.op("Min", number, graph.array(np.array(components - 1)))
    values = graph.array(np.array([0, 1], np.float32))
    chosen = graph.op("OneHot", number, graph.array(np.array(components)), values, axis=2)

    def total(weights: str, value: str) -> str:
        return graph.op("ReduceSum", graph.op("Mul", weights, value), graph.array(axis), keepdims=0)

    place = graph.op("Clip", for_place, graph.array(LEAST_TAIL), graph.array(1 - LEAST_TAIL))
    others = graph.op("Sub", graph.array(1.0), place)
    place = graph.op("Sub", graph.op("Log", place), graph.op("Log", others))
    drawn = graph.op("Add", total(chosen, means), graph.op("Mul", total(chosen, scales), place))
    mean = total(shares, means)
    return graph.op("Add", mean, graph.op("Mul", temperature, graph.op("Sub", drawn, mean)))


def _nade(
    graph: Graph, weights: Weights, plan: NadePlan, parameters: str, noise: str, temperature: str
) -> str:
    """Draws 0 or 1 for one number after the other, `[B, D]`; see `engine.heads.NadeHead`."""
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
