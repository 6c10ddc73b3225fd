"""Defines decoders: they turn a latent vector into a distribution over every step, or into samples.

`FlatDecoder` has one LSTM stack, `SplitDecoder` one for each of several outputs; `nn.hierarchy` has
the decoder that gives each segment of a sequence an embedding of its own.

Samples carry no gradient, so scheduled sampling draws all inputs first and then computes every
layer over the whole, now known, sequence.
"""

import abc
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from music_vae.common.errors import UserError
from music_vae.common.plans import CorePlan, DecoderPlan, FlatDecoderPlan, SplitDecoderPlan
from music_vae.nn.cell import LstmState
from music_vae.nn.decoding import Policy, Reconstruction, Samples
from music_vae.nn.heads import Sums, build_head, numbered
from music_vae.nn.latent import InitialState
from music_vae.nn.parts import Part, split_one_hots
from music_vae.nn.recurrence import Activations, Recorder, Trace
from music_vae.nn.rnn import BidirectionalLstm, Dropout, LstmStack


class Decoder(keras.layers.Layer, abc.ABC):
    """The contract of decoders: from z to a loss, or to samples.

    >>> from music_vae.common.hparams import HParams
    >>> from music_vae.common.model_spec import flat_decoder
    >>> from music_vae.common.specs import FlatDecoderSpec
    >>> plan = flat_decoder(FlatDecoderSpec(), HParams(dec_rnn_size=(6,)), z_size=4, depth=3)
    >>> decoder = build_core(plan, "decoder")
    >>> sums = {"correct": np.array([8.0, 0.0, 1.0]), "total": np.array([8.0, 0.0, 2.0])}
    >>> isinstance(decoder, Decoder), decoder.summarize(sums)["metrics/accuracy"]
    (True, 0.9)

    Attributes:
      plan: The decoder's parts and their widths.
    """

    plan: DecoderPlan

    @property
    @abc.abstractmethod
    def voices(self) -> "list[FlatDecoder]":
        """The decoders of the outputs that stand side by side."""

    @abc.abstractmethod
    def reconstruct(
        self,
        z: tf.Tensor,
        targets: tf.Tensor,
        controls: tf.Tensor,
        lengths: tf.Tensor,
        policy: Policy,
        first: tf.Tensor | None = None,
    ) -> Reconstruction:
        """Decodes towards known targets.

        Args:
          z: Latent vectors, `[B, Z]`; Z is 0 for an unconditional model.
          targets: The steps as they should be, `[B, T, D]`.
          controls: Controls, `[B, T, Dc]`; Dc is 0 without controls.
          lengths: Valid steps, `[B]`; for a hierarchy they may be those of each segment, `[B, S]`.
          policy: Says where the inputs x(t-1) come from.
          first: What the first step reads as x(t-1), `[B, D]`; zeros by default.
        """

    @abc.abstractmethod
    def sample(
        self,
        z: tf.Tensor,
        controls: tf.Tensor,
        noise: tf.Tensor,
        *,
        temperature: tf.Tensor | float,
        end_token: int | None = None,
        first: tf.Tensor | None = None,
    ) -> Samples:
        """Draws at most T steps, each of which reads the sample before it.

        Args:
          z: Latent vectors, `[B, Z]`.
          controls: Controls, `[B, T, Dc]`.
          noise: Uniform numbers in [0, 1), `[B, T, K]`; equal noise gives equal samples.
          temperature: Divides the logits; near 0 the likeliest outcome is taken.
          end_token: Class that ends an example; None if there is none.
          first: What the first step reads as x(t-1), `[B, D]`; zeros by default.
        """

    @abc.abstractmethod
    def summarize(self, sums: Sums) -> dict[str, float]:
        """Returns metrics by name, given `Reconstruction.statistics` summed over examples."""


_Step: TypeAlias = Callable[..., tuple[tf.Tensor, tuple[LstmState, ...]]]
"""Takes one step: its number t, x(t-1) `[B, D]` and the states before it give the LSTM's output and
the states after it. The activations of the gates are appended to a list, if one is given."""


class FlatDecoder(Decoder):
    """One LSTM stack over the whole sequence, given z at every step.

    >>> from music_vae.common.hparams import HParams
    >>> from music_vae.common.model_spec import flat_decoder
    >>> from music_vae.common.specs import FlatDecoderSpec
    >>> plan = flat_decoder(FlatDecoderSpec(), HParams(dec_rnn_size=(6,)), z_size=4, depth=3)
    >>> decoder = FlatDecoder(plan)
    >>> _ = decoder.output_projection.bias.assign([0.0, 9.0, 0.0])  # class 1 is the likeliest
    >>> z, no_controls, noise = tf.zeros([1, 4]), tf.zeros([1, 5, 0]), tf.fill([1, 5, 1], 0.5)
    >>> samples, *_ = decoder.sample(z, no_controls, noise, temperature=0.0)
    >>> tf.argmax(samples, axis=-1).numpy().tolist()
    [[1, 1, 1, 1, 1]]
    """

    plan: FlatDecoderPlan

    def __init__(self, plan: FlatDecoderPlan, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.head = build_head(plan.head)
        self.control_lstm = None
        if plan.control_lstm is not None:
            self.control_lstm = BidirectionalLstm(plan.control_lstm, name="control_lstm")
        self.lstm = LstmStack(plan.lstm, name="lstm")
        self.z_to_initial_state = InitialState(plan.initial_state, name="z_to_initial_state")
        projection = plan.output_projection
        self.output_projection = keras.layers.Dense(projection.units, name="output_projection")
        self.output_projection.build((None, projection.input_size))
        self.built = True

    @property
    def voices(self) -> "list[FlatDecoder]":
        return [self]

    def initial_states(self, z: tf.Tensor) -> tuple[LstmState, ...]:
        """Returns the state of every layer before the first step, from z `[B, Z]`."""
        return self.lstm.split_state(self.z_to_initial_state(z))

    def reconstruct(
        self,
        z: tf.Tensor,
        targets: tf.Tensor,
        controls: tf.Tensor,
        lengths: tf.Tensor,
        policy: Policy,
        first: tf.Tensor | None = None,
    ) -> Reconstruction:
        controls = self._preprocessed(controls, lengths, policy.dropout)
        dropout = None if policy.dropout is None else policy.dropout.fold(0)
        traces = None
        if policy.forces:
            inputs = shifted(targets, first)
        else:
            inputs, traces = self._scheduled(z, targets, controls, policy, dropout, first)
        parts = self._parts(inputs, z, controls)
        hidden, last = self.lstm.sequence(parts, lengths, self.initial_states(z), dropout, traces)
        parameters = tf.transpose(self.output_projection(hidden), [1, 0, 2])
        mask = tf.sequence_mask(lengths, tf.shape(targets)[1], parameters.dtype)
        return Reconstruction(
            loss_nats=tf.reduce_sum(self.head.loss(parameters, targets) * mask, axis=1),
            parameters=parameters,
            inputs=inputs,
            final_state=_side_by_side(last),
            statistics=self.head.statistics(parameters, targets, mask),
        )

    def _parts(self, inputs: tf.Tensor, z: tf.Tensor, controls: tf.Tensor) -> list[Part]:
        """Returns what the bottom layer reads, given every step's x(t-1) `[B, T, D]`."""
        return [
            *split_one_hots(_time_major(inputs), self.plan.head.one_hots),
            z,
            _time_major(controls),
        ]

    def _scheduled(
        self,
        z: tf.Tensor,
        targets: tf.Tensor,
        controls: tf.Tensor,
        policy: Policy,
        dropout: Dropout | None,
        first: tf.Tensor | None,
    ) -> tuple[tf.Tensor, list[Trace]]:
        """Chooses inputs `[B, T, D]`: each step of each example is by chance target or own sample.

        This is scheduled sampling (Bengio et al. 2015). No gradient flows through the choice. The
        layers' traces are returned too, so that no step needs to be taken twice.
        """
        batch, steps = tf.shape(targets)[0], tf.shape(targets)[1]
        noise = policy.shard.uniform([batch, steps, self.plan.noise_size + 1], policy.seed)
        noise = _time_major(noise)
        own = noise[:, :, :1] < policy.sampling_probability

        def force() -> tuple[tf.Tensor, list[Trace]]:
            inputs = shifted(targets, first)
            parts = self._parts(inputs, z, controls)
            return inputs, self.lstm.traces(parts, self.initial_states(z), dropout)

        def run() -> tuple[tf.Tensor, list[Trace]]:
            step = self._stepper(z, controls, dropout, steps)
            return self._run_scheduled(z, targets, first, step, own, noise[:, :, 1:])

        # Early in a schedule many batches read no sample at all.
        result = tf.cond(tf.reduce_any(own[:-1]), run, force)
        return tf.nest.map_structure(tf.stop_gradient, result)

    def _run_scheduled(
        self,
        z: tf.Tensor,
        targets: tf.Tensor,
        first: tf.Tensor | None,
        step: _Step,
        own: tf.Tensor,
        noise: tf.Tensor,
    ) -> tuple[tf.Tensor, list[Trace]]:
        """Does the work of `_scheduled` step by step.

        `own` `[T, B, 1]` is True where a sample is read; it and the noise are time-major.
        """
        steps, given = tf.shape(noise)[0], _time_major(targets)

        def body(t: Any, x: Any, states: Any, inputs: Any, recorders: Any) -> Any:
            activations: list[Activations] = []
            hidden, states = step(t, x, states, activations)
            layers = zip(recorders, states, activations, strict=True)
            recorders = [recorder.add(t, *state, made) for recorder, state, made in layers]
            following = tf.where(own[t], self._sampled(hidden, 1.0, noise[t]), given[t])
            return t + 1, following, states, inputs.write(t, x), recorders

        states = self.initial_states(z)
        recorders = [Recorder.start(*state, steps) for state in states]
        *_, inputs, recorders = tf.while_loop(
            lambda t, *_: t < steps,
            body,
            (0, self._first(z, first), states, self._steps(z, steps), recorders),
        )
        jit = self.lstm.layers[0].cell.numerics.jit
        traces = [recorder.trace(z.dtype, stacked=jit) for recorder in recorders]
        return _time_major(inputs.stack()), traces

    def sample(
        self,
        z: tf.Tensor,
        controls: tf.Tensor,
        noise: tf.Tensor,
        *,
        temperature: tf.Tensor | float,
        end_token: int | None = None,
        first: tf.Tensor | None = None,
    ) -> Samples:
        batch, steps = tf.shape(noise)[0], tf.shape(noise)[1]
        full = tf.fill([batch], steps)
        step = self._stepper(z, self._preprocessed(controls, full, None), None, steps)
        noise = _time_major(noise)

        def body(t: Any, x: Any, states: Any, ended: Any, samples: Any) -> Any:
            hidden, new_states = step(t, x, states)
            x = self._sampled(hidden, temperature, noise[t])
            if end_token is not None:
                # An example that has ended keeps the state it ended with.
                new_states = tf.nest.map_structure(
                    lambda new, old: tf.where(ended[:, None], old, new), new_states, states
                )
                ended |= x[:, end_token] > 0
            return t + 1, x, new_states, ended, samples.write(t, x)

        _, _, states, _, arrays = tf.while_loop(
            lambda t, x, states, ended, _: (t < steps) & ~tf.reduce_all(ended),
            body,
            (
                0,
                self._first(z, first),
                self.initial_states(z),
                tf.zeros([batch], tf.bool),
                self._steps(z, steps),
            ),
        )
        samples, lengths = _time_major(arrays.stack()), full
        if end_token is not None:
            samples, lengths = _cut(samples, end_token)
        return Samples(samples, lengths, _side_by_side(states))

    def _sampled(
        self, hidden: tf.Tensor, temperature: tf.Tensor | float, noise: tf.Tensor
    ) -> tf.Tensor:
        """Draws a step `[B, D]` from the LSTM's output `[B, H]` and noise `[B, K]`."""
        return self.head.sample(self.output_projection(hidden), temperature, noise)

    def _first(self, z: tf.Tensor, first: tf.Tensor | None) -> tf.Tensor:
        """Returns what the first step reads as x(t-1), `[B, D]`; zeros by default."""
        if first is not None:
            return first
        return tf.zeros([tf.shape(z)[0], self.plan.output_depth], z.dtype)

    def _steps(self, z: tf.Tensor, count: tf.Tensor) -> tf.TensorArray:
        """Returns an array with room for `count` steps `[B, D]`."""
        return tf.TensorArray(z.dtype, count, element_shape=[None, self.plan.output_depth])

    def summarize(self, sums: Sums) -> dict[str, float]:
        return self.head.summarize(sums)

    def _preprocessed(
        self, controls: tf.Tensor, lengths: tf.Tensor, dropout: Dropout | None
    ) -> tf.Tensor:
        """Returns the controls as the decoder reads them, `[B, T, ...]`."""
        if self.control_lstm is None:
            return controls
        noise = None if dropout is None else dropout.fold(1)
        return _time_major(self.control_lstm.outputs([_time_major(controls)], lengths, noise))

    def _stepper(
        self, z: tf.Tensor, controls: tf.Tensor, dropout: Dropout | None, steps: tf.Tensor
    ) -> _Step:
        """Returns the function that takes one step, of `steps` in all."""
        bottom, controls = self.lstm.layers[0], _time_major(controls)
        if dropout is not None or bottom.residual:
            masks = self.lstm.masks(dropout, steps, tf.shape(z)[0])

            def noisy_step(
                t: Any, x: Any, states: Any, kept: list[Activations] | None = None
            ) -> Any:
                now = [None if mask is None else mask[t] for mask in masks]
                return self.lstm.step([x, z, controls[t]], states, now, kept)

            return noisy_step

        # All but x(t-1) is known: its product with the kernel is taken before the first step.
        known = bottom.cell.project([self.plan.output_depth, z, controls])
        (rows,) = known.left_out

        def step(t: Any, x: Any, states: Any, kept: list[Activations] | None = None) -> Any:
            now = known.gates[t] if controls.shape[-1] else known.gates
            return self.lstm.step_projected(known._replace(gates=now + x @ rows), states, kept)

        return step


class SplitDecoder(Decoder):
    """A decoder of its own for each of several outputs that stand side by side, all given one z.

    Losses add up; samples are joined in the order of the decoders.

    >>> from music_vae.common.hparams import HParams
    >>> from music_vae.common.model_spec import StepDepths, derive_decoder
    >>> from music_vae.common.specs import FlatDecoderSpec, SplitDecoderSpec
    >>> spec = SplitDecoderSpec(depths=(3, 2), cores=(FlatDecoderSpec(), FlatDecoderSpec()))
    >>> hparams, depths = HParams(z_size=4, dec_rnn_size=(6,)), StepDepths(inputs=5, outputs=5)
    >>> decoder = SplitDecoder(derive_decoder(spec, hparams, depths))
    >>> noise = tf.fill([1, 7, 2], 0.5)  # a number for each output
    >>> decoder.sample(tf.zeros([1, 4]), tf.zeros([1, 7, 0]), noise, temperature=1.0).samples.shape
    TensorShape([1, 7, 5])
    """

    plan: SplitDecoderPlan

    def __init__(self, plan: SplitDecoderPlan, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.cores = [
            FlatDecoder(core, name=f"core_decoder_{number}")
            for number, core in enumerate(plan.cores)
        ]
        self.built = True

    @property
    def voices(self) -> list[FlatDecoder]:
        return self.cores

    def _split(self, array: tf.Tensor | None) -> list[Any]:
        if array is None:
            return [None] * len(self.cores)
        return tf.split(array, [core.output_depth for core in self.plan.cores], axis=-1)

    def reconstruct(
        self,
        z: tf.Tensor,
        targets: tf.Tensor,
        controls: tf.Tensor,
        lengths: tf.Tensor,
        policy: Policy,
        first: tf.Tensor | None = None,
    ) -> Reconstruction:
        parts = [
            core.reconstruct(z, target, controls, lengths, policy.fold(number), start)
            for number, (core, target, start) in enumerate(
                zip(self.cores, self._split(targets), self._split(first), strict=True)
            )
        ]
        return Reconstruction(
            loss_nats=tf.add_n([part.loss_nats for part in parts]),
            parameters=tf.concat([part.parameters for part in parts], axis=-1),
            inputs=tf.concat([part.inputs for part in parts], axis=-1),
            final_state=tf.concat([part.final_state for part in parts], axis=-1),
            statistics={
                f"{name}/{number}": value
                for number, part in enumerate(parts)
                for name, value in part.statistics.items()
            },
        )

    def sample(
        self,
        z: tf.Tensor,
        controls: tf.Tensor,
        noise: tf.Tensor,
        *,
        temperature: tf.Tensor | float,
        end_token: int | None = None,
        first: tf.Tensor | None = None,
    ) -> Samples:
        if end_token is not None:
            raise UserError("a model of several outputs has no end token")
        noises = tf.split(noise, [core.noise_size for core in self.plan.cores], axis=-1)
        parts = [
            core.sample(z, controls, chance, temperature=temperature, first=start)
            for core, chance, start in zip(self.cores, noises, self._split(first), strict=True)
        ]
        return Samples(
            tf.concat([part.samples for part in parts], axis=-1),
            parts[0].lengths,
            tf.concat([part.final_state for part in parts], axis=-1),
        )

    def summarize(self, sums: Sums) -> dict[str, float]:
        metrics: dict[str, float] = {}
        values: dict[str, list[float]] = {}
        for number, core in enumerate(self.cores):
            for name, value in core.summarize(numbered(sums, number)).items():
                metrics[f"{name}/output_{number}"] = value
                values.setdefault(name, []).append(value)
        return metrics | {name: float(np.mean(parts)) for name, parts in values.items()}


def shifted(targets: tf.Tensor, first: tf.Tensor | None = None) -> tf.Tensor:
    """Returns the inputs of teacher forcing: the targets `[B, T, D]`, one step later.

    The first step reads `first` `[B, D]`, or zeros.

    >>> shifted(tf.constant([[[1.0], [2.0], [3.0]]])).numpy().ravel().tolist()
    [0.0, 1.0, 2.0]
    """
    if first is None:
        return tf.pad(targets[:, :-1], [[0, 0], [1, 0], [0, 0]])
    return tf.concat([first[:, None], targets[:, :-1]], axis=1)


def _cut(samples: tf.Tensor, end_token: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Ends samples `[B, T, D]` after their end token; returns them with their lengths `[B]`."""
    ended = tf.cumsum(samples[:, :, end_token], axis=1, exclusive=True) > 0
    lengths = tf.reduce_sum(tf.cast(~ended, tf.int32), axis=1)
    return tf.where(ended[..., None], tf.zeros_like(samples), samples), lengths


def _time_major(sequence: tf.Tensor) -> tf.Tensor:
    return tf.transpose(sequence, [1, 0, 2])


def _side_by_side(states: Sequence[LstmState]) -> tf.Tensor:
    """Joins the states of all layers, `[B, state_size]`."""
    return tf.concat([array for state in states for array in state], axis=-1)


def build_core(plan: CorePlan, name: str) -> FlatDecoder | SplitDecoder:
    """Builds the decoder without a hierarchy that a plan describes.

    >>> from music_vae.common.hparams import HParams
    >>> from music_vae.common.model_spec import flat_decoder
    >>> from music_vae.common.specs import FlatDecoderSpec
    >>> plan = flat_decoder(FlatDecoderSpec(), HParams(dec_rnn_size=(6,)), z_size=4, depth=3)
    >>> build_core(plan, "decoder").voices[0].lstm.plan.input_size  # x(t-1) and z
    7
    """
    if isinstance(plan, SplitDecoderPlan):
        return SplitDecoder(plan, name=name)
    return FlatDecoder(plan, name=name)
