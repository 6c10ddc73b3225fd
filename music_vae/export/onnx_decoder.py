"""Decoders as ONNX graphs: whole, or as a start and a step; see `engine.decoders`, `.hierarchy`."""

import dataclasses
import math

import numpy as np

from music_vae.common import weight_names as names
from music_vae.common.specs import (
    FlatDecoderSpec,
    HeadSpec,
    HierarchicalDecoderSpec,
    SplitDecoderSpec,
)
from music_vae.configs import Config
from music_vae.engine import heads
from music_vae.engine.weights import Weights
from music_vae.export import onnx_layers as layers
from music_vae.export.onnx_graph import Graph, Shape


@dataclasses.dataclass(frozen=True)
class _Voice:
    """One of several outputs: its distribution, the path of its parts, and its widths."""

    head: HeadSpec
    decoder: str
    depth: int
    parameter_size: int
    noise_size: int


class Decoder:
    """Makes the graphs that decode.

    A segment is decoded from a context `[B, C]`: z, or a conductor's embedding. States of all
    voices stand side by side, each c0, h0, c1, h1, ...
    """

    def __init__(self, config: Config, weights: Weights) -> None:
        self._config, self._weights = config, weights
        hparams, converter, spec = config.hparams, config.data_converter, config.decoder
        self._sizes = hparams.dec_rnn_size
        self._conductor_steps: tuple[int, ...] = ()
        self._context_size, scope = hparams.latent_size, ""
        if isinstance(spec, HierarchicalDecoderSpec):
            self._conductor_steps = spec.level_lengths[:-1]
            self._context_size, scope = self._sizes[-1], names.CORE_DECODER
            spec = spec.core
        self._segments = math.prod(self._conductor_steps)
        self._segment_steps = hparams.max_seq_len // self._segments
        scopes = [scope]
        if isinstance(spec, FlatDecoderSpec):
            spec = SplitDecoderSpec((converter.output_depth,), (spec,))
        else:
            scopes = [names.split_core(scope, number) for number in range(len(spec.cores))]
        self._voices = [
            self._voice(core, names.flat_decoder(scope), depth)
            for core, scope, depth in zip(spec.cores, scopes, spec.depths, strict=True)
        ]
        self._voice_state_size = 2 * sum(self._sizes)
        self._state_size = self._voice_state_size * len(self._voices)
        self._depth, self._control_depth = converter.output_depth, converter.control_depth
        self._parameter_size = sum(voice.parameter_size for voice in self._voices)
        self._noise_size = sum(voice.noise_size for voice in self._voices)
        self._end_token = converter.end_token

    def _voice(self, spec: FlatDecoderSpec, decoder: str, depth: int) -> _Voice:
        head = heads.build_head(spec.head, depth, self._config.hparams, self._weights, decoder)
        return _Voice(spec.head, decoder, depth, head.parameter_size, head.noise_size)

    # -- The three graphs -------------------------------------------------------------------------

    def start(self) -> Graph:
        """z to contexts and first states of all segments."""
        graph = Graph("start of the decoder")
        contexts, states = self._start(graph, self._z(graph))
        graph.output("contexts", contexts, ("B", self._segments, self._context_size))
        graph.output("states", states, ("B", self._segments, self._state_size))
        return graph

    def step(self) -> Graph:
        """One step, its distribution's parameters, and the state after it."""
        graph = Graph("step of the decoder")
        previous = graph.input("previous", ("B", self._depth))
        context = graph.input("context", ("B", self._context_size))
        told = []
        if self._control_depth:
            told = [graph.input("control", ("B", self._control_depth))]
        state = graph.input("state", ("B", self._state_size))
        noise = graph.input("noise", ("B", self._noise_size))
        temperature = graph.input("temperature", (1,))
        parameters, state = self._step(graph, [previous, context, *told], state)
        made = self._sample(graph, parameters, noise, temperature)
        graph.output("sample", made, ("B", self._depth))
        graph.output("parameters", parameters, ("B", self._parameter_size))
        graph.output("next_state", state, ("B", self._state_size))
        return graph

    def whole(self) -> Graph:
        """z to samples of all steps, and their lengths if samples can end."""
        graph = Graph("decoder")
        z = self._z(graph)
        steps: int | str = self._config.hparams.max_seq_len if self._conductor_steps else "T"
        scanned = [graph.input("noise", ("B", steps, self._noise_size))]
        if self._control_depth:
            scanned.append(graph.input("controls", ("B", steps, self._control_depth)))
        temperature = graph.input("temperature", (1,))
        contexts, states = self._start(graph, z)
        first = graph.filled(0, graph.rows(z), self._depth)
        if self._conductor_steps:
            samples, lengths = self._segment_by_segment(
                graph, first, contexts, states, scanned, temperature
            )
        else:
            context, state = graph.squeeze(contexts, 1), graph.squeeze(states, 1)
            _, samples, lengths = self._segment(graph, first, context, state, scanned, temperature)
        graph.output("samples", samples, ("B", steps, self._depth))
        if lengths is not None:
            from onnx import TensorProto

            lengths = graph.op("Cast", lengths, to=TensorProto.INT32)
            by_segment = (self._segments,) if self._conductor_steps else ()
            graph.output("lengths", lengths, ("B", *by_segment), "int32")
        return graph

    # -- Their parts ------------------------------------------------------------------------------

    def _z(self, graph: Graph) -> str:
        return graph.input("z", ("B", self._config.hparams.latent_size))

    def _start(self, graph: Graph, z: str) -> tuple[str, str]:
        """Contexts `[B, S, C]` and first states `[B, S, state_size]` of S segments."""
        contexts = self._conduct(graph, z) if self._conductor_steps else graph.unsqueeze(z, 1)
        states = [
            self._initial_state(graph, names.decoder_state(voice.decoder), contexts)
            for voice in self._voices
        ]
        return contexts, graph.concat(states)

    def _initial_state(self, graph: Graph, layer: str, z: str, size: int | None = None) -> str:
        size = self._context_size if size is None else size
        return graph.op(
            "Tanh",
            layers.dense(graph, self._weights, layer, z, size, self._voice_state_size),
        )

    def _conduct(self, graph: Graph, z: str) -> str:
        """Embeddings of all segments, `[B, S, E]`."""
        size = self._config.hparams.latent_size
        for level, steps in enumerate(self._conductor_steps):
            scope = names.conductor("", level)
            state = self._initial_state(graph, names.conductor_state(scope), z, size)
            outputs, _ = layers.lstm_stack(
                graph,
                self._weights,
                [names.conductor_layer(scope, index) for index in range(len(self._sizes))],
                graph.filled(0, steps, graph.rows(z), 1),
                1,
                self._sizes,
                residual=self._config.hparams.residual_decoder,
                state=state,
            )
            size = self._sizes[-1]
            z = graph.reshape(graph.op("Transpose", outputs, perm=[1, 0, 2]), -1, size)
        return graph.reshape(z, -1, self._segments, size)

    def _step(self, graph: Graph, read: list[str], state: str) -> tuple[str, str]:
        """Parameters `[B, P]` of a step that reads [x(t-1), context, control], and the state."""
        previous, *rest = read
        heard = graph.split(previous, [voice.depth for voice in self._voices])
        before = graph.split(state, [self._voice_state_size] * len(self._voices))
        parameters, after = [], []
        for voice, own, voice_state in zip(self._voices, heard, before, strict=True):
            outputs, voice_state = layers.lstm_stack(
                graph,
                self._weights,
                [names.stacked_layer(voice.decoder, n) for n in range(len(self._sizes))],
                graph.unsqueeze(graph.concat([own, *rest]), 0),
                voice.depth + self._context_size + self._control_depth,
                self._sizes,
                residual=self._config.hparams.residual_decoder,
                state=voice_state,
            )
            after.append(voice_state)
            parameters.append(
                layers.dense(
                    graph,
                    self._weights,
                    names.output_projection(voice.decoder),
                    graph.squeeze(outputs, 0),
                    self._sizes[-1],
                    voice.parameter_size,
                )
            )
        return graph.concat(parameters), graph.concat(after)

    def _sample(self, graph: Graph, parameters: str, noise: str, temperature: str) -> str:
        """A step `[B, D]` of its parameters `[B, P]`."""
        voices = self._voices
        parts = zip(
            voices,
            graph.split(parameters, [voice.parameter_size for voice in voices]),
            graph.split(noise, [voice.noise_size for voice in voices]),
            strict=True,
        )
        return graph.concat(
            [
                layers.sample(
                    graph,
                    self._weights,
                    voice.head,
                    voice.decoder,
                    own,
                    chance,
                    temperature,
                    depth=voice.depth,
                    num_hidden=self._config.hparams.nade_num_hidden,
                )
                for voice, own, chance in parts
            ]
        )

    def _segment(
        self,
        graph: Graph,
        previous: str,
        context: str,
        state: str,
        scanned: list[str],
        temperature: str,
    ) -> tuple[str, str, str | None]:
        """The last sample before the end `[B, D]`, samples `[B, T, D]`, and lengths `[B]` or None.

        `scanned` are noise `[B, T, K]` and controls `[B, T, Dc]`, if any.
        """

        def turn(body: Graph, carried: list[str], now: list[str]) -> tuple[list[str], list[str]]:
            before, state, *running = carried
            noise, *told = now
            parameters, state = self._step(body, [before, context, *told], state)
            made = self._sample(body, parameters, noise, temperature)
            if not running:
                return [made, state], [made]
            (goes_on,) = running  # 1, and 0 after the end token
            made = body.op("Mul", made, goes_on)
            kept = body.op("Sub", body.array(np.float32(1)), goes_on)
            last = body.op("Add", made, body.op("Mul", before, kept))
            end = body.op("Gather", made, body.array(np.array([self._end_token])), axis=1)
            still = body.op("Mul", goes_on, body.op("Sub", body.array(np.float32(1)), end))
            return [last, state, still], [made, goes_on]

        step: Shape = ("B", self._depth)
        carried: list[tuple[str, Shape]] = [(previous, step), (state, ("B", self._state_size))]
        if self._end_token is None:
            (last, _), (samples,) = graph.scan(turn, carried, scanned, [step])
            return last, samples, None
        carried.append((graph.filled(1, graph.rows(context), 1), ("B", 1)))
        (last, *_), (samples, counted) = graph.scan(turn, carried, scanned, [step, ("B", 1)])
        lengths = graph.op("ReduceSum", counted, graph.array(np.array([1, 2])), keepdims=0)
        return last, samples, lengths

    def _segment_by_segment(
        self,
        graph: Graph,
        first: str,
        contexts: str,
        states: str,
        scanned: list[str],
        temperature: str,
    ) -> tuple[str, str | None]:
        """Samples `[B, S * T, D]`, each segment beginning with the end of the one before.

        The second is their lengths `[B, S]`, or None.
        """

        def turn(body: Graph, carried: list[str], now: list[str]) -> tuple[list[str], list[str]]:
            context, state, *rest = now
            last, samples, lengths = self._segment(
                body, carried[0], context, state, rest, temperature
            )
            return [last], [samples] if lengths is None else [samples, lengths]

        by_segment = [
            graph.reshape(value, 0, self._segments, -1, width)
            for value, width in zip(scanned, (self._noise_size, self._control_depth), strict=False)
        ]
        shapes: list[Shape] = [("B", self._segment_steps, self._depth)]
        if self._end_token is not None:
            shapes.append(("B",))
        _, (samples, *lengths) = graph.scan(
            turn, [(first, ("B", self._depth))], [contexts, states, *by_segment], shapes
        )
        samples = graph.reshape(samples, 0, self._config.hparams.max_seq_len, self._depth)
        return samples, lengths[0] if lengths else None
