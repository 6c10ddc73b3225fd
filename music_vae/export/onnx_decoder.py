"""Builds the ONNX graphs of a decoder: the whole loop, or its parts and one step of it.

The computations are those of `engine.decoders` and `engine.hierarchy`.
"""

import numpy as np

from music_vae.common.plans import (
    ConductorPlan,
    DecoderPlan,
    DensePlan,
    HierarchicalDecoderPlan,
)
from music_vae.engine.weights import Weights
from music_vae.export import onnx_layers as layers
from music_vae.export.onnx_graph import Graph, Shape


class Decoder:
    """Builds the graphs that decode the latent vector z.

    A segment is decoded from a context `[B, C]`: z itself, or a conductor's embedding. The LSTM
    states of all voices stand side by side, each as c0, h0, c1, h1, ...

    >>> from music_vae.configs import get_config
    >>> config = get_config("hierdec-mel_16bar", "z_size=4,dec_rnn_size=[6]")
    >>> plan = config.model_spec.decoder
    >>> arrays = {name: np.zeros(shape) for name, shape in config.model_spec.weight_shapes.items()}
    >>> decoder = Decoder(plan, Weights(arrays), steps=256, end_token=None)
    >>> {name: tensor.shape for name, tensor in decoder.start().outputs.items()}
    {'contexts': ('B', 16, 6), 'states': ('B', 16, 12)}
    """

    def __init__(
        self,
        plan: DecoderPlan,
        weights: Weights,
        *,
        steps: int,
        end_token: int | None,
    ) -> None:
        """Takes what all graphs are built from.

        Args:
          plan: Plan of the decoder.
          weights: Weights of the model.
          steps: Number of steps of the longest sequence.
          end_token: Class that ends a segment; None if segments have one length.
        """
        self._plan, self._weights = plan, weights
        self._conductors: tuple[ConductorPlan, ...] = ()
        self._z_size, self._segments = plan.voices[0].z_size, 1
        if isinstance(plan, HierarchicalDecoderPlan):
            self._conductors, self._segments = plan.conductors, plan.num_segments
            self._z_size = plan.conductors[0].z_size
        self._steps, self._end_token = steps, end_token
        self._context_size = plan.voices[0].z_size
        self._control_depth = plan.voices[0].control_depth
        # A step of the controls as they are read: shared, or each voice's own side by side.
        self._control_sizes = [voice.control_size for voice in plan.voices]
        self._control_size = self._control_depth
        if plan.reads_controls_first:
            self._control_size = sum(self._control_sizes)

    # -- The graphs -------------------------------------------------------------------------------

    def controls(self) -> Graph:
        """Builds the graph from all controls to what a step of the decoder reads of them.

        Only a decoder that reads all controls in both directions first has one.
        """
        assert self._plan.reads_controls_first
        graph = Graph("controls of the decoder")
        steps: int | str = self._steps if self._conductors else "T"
        given = graph.input("controls", ("B", steps, self._control_depth))
        graph.output("read", self._read_controls(graph, given), ("B", steps, self._control_size))
        return graph

    def start(self) -> Graph:
        """Builds the graph from z to the contexts and first states of all segments."""
        graph = Graph("start of the decoder")
        contexts, states = self._start(graph, self._z(graph))
        graph.output("contexts", contexts, ("B", self._segments, self._context_size))
        graph.output("states", states, ("B", self._segments, self._plan.state_size))
        return graph

    def step(self) -> Graph:
        """Builds the graph of one step: a sample, its distribution's parameters, the next state."""
        graph = Graph("step of the decoder")
        previous = graph.input("previous", ("B", self._plan.output_depth))
        context = graph.input("context", ("B", self._context_size))
        controls = []
        if self._control_depth:
            controls = [graph.input("control", ("B", self._control_size))]
        state = graph.input("state", ("B", self._plan.state_size))
        noise = graph.input("noise", ("B", self._plan.noise_size))
        temperature = graph.input("temperature", (1,))
        parameters, state = self._step(graph, [previous, context, *controls], state)
        made = self._sample(graph, parameters, noise, temperature)
        graph.output("sample", made, ("B", self._plan.output_depth))
        graph.output("parameters", parameters, ("B", self._plan.parameter_size))
        graph.output("next_state", state, ("B", self._plan.state_size))
        return graph

    def whole(self) -> Graph:
        """Builds the graph from z to samples of all steps, and their lengths if samples can end."""
        graph = Graph("decoder")
        z = self._z(graph)
        steps: int | str = self._steps if self._conductors else "T"
        scanned = [graph.input("noise", ("B", steps, self._plan.noise_size))]
        if self._control_depth:
            controls = graph.input("controls", ("B", steps, self._control_depth))
            scanned.append(self._read_controls(graph, controls))
        temperature = graph.input("temperature", (1,))
        contexts, states = self._start(graph, z)
        first = graph.filled(0, graph.rows(z), self._plan.output_depth)
        if self._conductors:
            samples, lengths = self._segment_by_segment(
                graph, first, contexts, states, scanned, temperature
            )
        else:
            context, state = graph.squeeze(contexts, 1), graph.squeeze(states, 1)
            _, samples, lengths = self._segment(graph, first, context, state, scanned, temperature)
        graph.output("samples", samples, ("B", steps, self._plan.output_depth))
        if lengths is not None:
            from onnx import TensorProto

            lengths = graph.op("Cast", lengths, to=TensorProto.INT32)
            by_segment = (self._segments,) if self._conductors else ()
            graph.output("lengths", lengths, ("B", *by_segment), "int32")
        return graph

    # -- Their parts ------------------------------------------------------------------------------

    def _z(self, graph: Graph) -> str:
        return graph.input("z", ("B", self._z_size))

    def _read_controls(self, graph: Graph, controls: str) -> str:
        """Returns controls `[B, S * T, Dc]` as a step reads them, by segment if there are any."""
        if not self._plan.reads_controls_first:
            return controls
        if self._conductors:
            steps = self._steps // self._segments
            controls = graph.reshape(controls, -1, steps, self._control_depth)
        time_major = graph.op("Transpose", controls, perm=[1, 0, 2])
        read = graph.concat(
            [
                layers.bidirectional_outputs(graph, self._weights, voice.control_lstm, time_major)
                if voice.control_lstm is not None
                else time_major
                for voice in self._plan.voices
            ]
        )
        read = graph.op("Transpose", read, perm=[1, 0, 2])
        if self._conductors:
            read = graph.reshape(read, -1, self._steps, self._control_size)
        return read

    def _start(self, graph: Graph, z: str) -> tuple[str, str]:
        """Returns contexts `[B, S, C]` and first states `[B, S, state_size]` of S segments."""
        contexts = self._conduct(graph, z) if self._conductors else graph.unsqueeze(z, 1)
        states = [
            self._initial_state(graph, voice.initial_state, contexts) for voice in self._plan.voices
        ]
        return contexts, graph.concat(states)

    def _initial_state(self, graph: Graph, plan: DensePlan, z: str) -> str:
        return graph.op("Tanh", layers.dense(graph, self._weights, plan, z))

    def _conduct(self, graph: Graph, z: str) -> str:
        """Returns the conductors' embeddings of all segments, `[B, S, E]`."""
        for conductor in self._conductors:
            state = self._initial_state(graph, conductor.initial_state, z)
            nothing = graph.filled(0, conductor.steps, graph.rows(z), conductor.lstm.input_size)
            outputs, _ = layers.lstm_stack(
                graph, self._weights, conductor.lstm, nothing, state=state
            )
            z = graph.op("Transpose", outputs, perm=[1, 0, 2])
            z = graph.reshape(z, -1, conductor.lstm.output_size)
        return graph.reshape(z, -1, self._segments, self._context_size)

    def _step(self, graph: Graph, read: list[str], state: str) -> tuple[str, str]:
        """Returns the parameters `[B, P]` of a step's distribution and the state after it.

        `read` are [x(t-1), context, control].
        """
        previous, context, *control = read
        voices, parameters, after = self._plan.voices, [], []
        controls = [control] * len(voices)
        if self._plan.reads_controls_first:
            controls = [[own] for own in graph.split(control[0], self._control_sizes)]
        own_previous = graph.split(previous, [voice.output_depth for voice in voices])
        before = graph.split(state, [voice.state_size for voice in voices])
        parts = zip(voices, own_previous, controls, before, strict=True)
        for voice, own, own_control, voice_state in parts:
            x = graph.unsqueeze(graph.concat([own, context, *own_control]), 0)
            outputs, voice_state = layers.lstm_stack(
                graph, self._weights, voice.lstm, x, state=voice_state
            )
            after.append(voice_state)
            output = graph.squeeze(outputs, 0)
            parameters.append(layers.dense(graph, self._weights, voice.output_projection, output))
        return graph.concat(parameters), graph.concat(after)

    def _sample(self, graph: Graph, parameters: str, noise: str, temperature: str) -> str:
        """Draws a step `[B, D]` from the distribution with the parameters `[B, P]`."""
        heads = [voice.head for voice in self._plan.voices]
        parts = zip(
            heads,
            graph.split(parameters, [head.parameter_size for head in heads]),
            graph.split(noise, [head.noise_size for head in heads]),
            strict=True,
        )
        return graph.concat(
            [layers.sample(graph, self._weights, *part, temperature) for part in parts]
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
        """Decodes one segment.

        `scanned` are noise `[B, T, K]` and controls `[B, T, Dc]`, if any.

        Returns:
          The last sample before the end `[B, D]`, all samples `[B, T, D]`, and the lengths `[B]`,
          or None if segments have one length.
        """

        def turn(body: Graph, carried: list[str], now: list[str]) -> tuple[list[str], list[str]]:
            before, state, *running = carried
            noise, *controls = now
            parameters, state = self._step(body, [before, context, *controls], state)
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

        step: Shape = ("B", self._plan.output_depth)
        carried: list[tuple[str, Shape]] = [(previous, step), (state, ("B", self._plan.state_size))]
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
        """Decodes all segments, each of which begins with the last sample of the one before.

        Returns:
          Samples `[B, S * T, D]`, and their lengths `[B, S]`, or None if they have one length.
        """

        def turn(body: Graph, carried: list[str], now: list[str]) -> tuple[list[str], list[str]]:
            context, state, *rest = now
            last, samples, lengths = self._segment(
                body, carried[0], context, state, rest, temperature
            )
            return [last], [samples] if lengths is None else [samples, lengths]

        by_segment = [
            graph.reshape(value, 0, self._segments, -1, width)
            for value, width in zip(
                scanned, (self._plan.noise_size, self._control_size), strict=False
            )
        ]
        shapes: list[Shape] = [("B", self._steps // self._segments, self._plan.output_depth)]
        if self._end_token is not None:
            shapes.append(("B",))
        _, (samples, *lengths) = graph.scan(
            turn, [(first, ("B", self._plan.output_depth))], [contexts, states, *by_segment], shapes
        )
        samples = graph.reshape(samples, 0, self._steps, self._plan.output_depth)
        return samples, lengths[0] if lengths else None
