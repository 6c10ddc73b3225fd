"""Decoders: a latent vector to the parameters of a distribution over every step, or to samples.

A step reads [x(t-1), z, control(t)]. Where x(t-1) comes from is the input policy: the target
(teacher forcing), the model's own sample (free running), or one of the two by chance (scheduled
sampling). Samples carry no gradient, so training draws all inputs first and then computes every
layer over the whole, now known, sequence.

`FlatDecoder` does this with one LSTM stack, `SplitDecoder` with one for each of several outputs.
`nn.hierarchy` has the decoder that gives each segment of a sequence a latent vector of its own.
"""

import abc
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from music_vae.common.errors import UserError
from music_vae.common.hparams import HParams
from music_vae.nn.heads import Head, Statistics, Sums, numbered
from music_vae.nn.noise import WHOLE, Shard, fold_in
from music_vae.nn.parts import Part, split_one_hots
from music_vae.nn.recurrence import Activations, Recorder, Trace
from music_vae.nn.rnn import BidirectionalLstm, Dropout, LstmStack, LstmState

_Z_INITIALIZER_STDDEV = 0.001


class Policy(NamedTuple):
    """Where a step's input comes from in training and evaluation.

    Attributes:
      sampling_probability: How often it is the decoder's own sample. The Python number 0.0 means
        plain teacher forcing, for which nothing is sampled.
      seed: int32 `[2]`, for samples and choices.
      dropout: Noise on every layer's input, in training.
      shard: The share of a batch that is decoded.
    """

    sampling_probability: Any
    seed: tf.Tensor
    dropout: Dropout | None = None
    shard: Shard = WHOLE

    @property
    def forces(self) -> bool:
        """Whether every input is the target."""
        return isinstance(self.sampling_probability, float) and self.sampling_probability == 0

    def fold(self, number: int) -> "Policy":
        """The same policy with independent noise for each number."""
        seed = fold_in(self.seed, number)
        dropout = None if self.dropout is None else self.dropout.fold(number)
        return self._replace(seed=seed, dropout=dropout)


class Reconstruction(NamedTuple):
    """What decoding towards known targets gives.

    Attributes:
      loss_nats: `[B]`, summed over the valid steps.
      parameters: `[B, T, P]`.
      inputs: `[B, T, D]`, what each step read as x(t-1).
      final_state: `[B, state_size]` after each example's last valid step.
      statistics: Per example; see `heads.Head.statistics`.
    """

    loss_nats: tf.Tensor
    parameters: tf.Tensor
    inputs: tf.Tensor
    final_state: tf.Tensor
    statistics: Statistics


class Samples(NamedTuple):
    """What a free-running decoder made.

    Attributes:
      samples: `[B, T, D]`; steps after an end token are zeros.
      lengths: `[B]` int32, steps up to and with the end token; `[B, S]` for a hierarchy.
      final_state: `[B, state_size]` after the last step that was computed.
    """

    samples: tf.Tensor
    lengths: tf.Tensor
    final_state: tf.Tensor


class Decoder(keras.layers.Layer, abc.ABC):
    """What every decoder is.

    Attributes:
      output_depth: Width D of a step.
      state_size: Width of all its states side by side.
    """

    output_depth: int
    state_size: int

    @property
    @abc.abstractmethod
    def noise_size(self) -> int:
        """How many uniform numbers a step of a sample takes, K."""

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
          z: `[B, Z]`; Z is 0 for an unconditional model.
          targets: `[B, T, D]`.
          controls: `[B, T, Dc]`; Dc is 0 without controls.
          lengths: `[B]` valid steps; for a hierarchy also `[B, S]`.
          policy: Where inputs come from.
          first: `[B, D]`, what the first step reads; zeros by default.
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
        """Samples of at most T steps, each step reading the sample before it.

        Args:
          z: `[B, Z]`.
          controls: `[B, T, Dc]`.
          noise: `[B, T, K]`, uniform in [0, 1): all the chance there is.
          temperature: Divides the logits; near 0 the likeliest outcome is taken.
          end_token: Class that ends an example.
          first: `[B, D]`, what the first step reads; zeros by default.
        """

    @abc.abstractmethod
    def summarize(self, sums: Sums) -> dict[str, float]:
        """Metrics of `Reconstruction.statistics` summed over examples."""


class FlatDecoder(Decoder):
    """One LSTM stack over the whole sequence that sees z at every step."""

    def __init__(
        self,
        head: Head,
        hparams: HParams,
        *,
        z_size: int,
        control_depth: int = 0,
        preprocess_controls: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.head = head
        self.output_depth = head.depth
        self.control_lstm = None
        if preprocess_controls:
            sizes = hparams.control_preprocessing_rnn_size
            self.control_lstm = BidirectionalLstm(
                control_depth, sizes, residual=hparams.residual_decoder, name="control_lstm"
            )
            control_depth = 2 * sizes[-1]
        self.lstm = LstmStack(
            self.output_depth + z_size + control_depth,
            hparams.dec_rnn_size,
            residual=hparams.residual_decoder,
            name="lstm",
        )
        self.state_size = self.lstm.state_size
        self.z_to_initial_state = InitialState(
            z_size, self.lstm.state_size, name="z_to_initial_state"
        )
        self.output_projection = keras.layers.Dense(head.parameter_size, name="output_projection")
        self.output_projection.build((None, self.lstm.sizes[-1]))
        self.built = True

    @property
    def noise_size(self) -> int:
        return self.head.noise_size

    def initial_states(self, z: tf.Tensor) -> tuple[LstmState, ...]:
        """The state of every layer before the first step, from z `[B, Z]`."""
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
            final_state=tf.concat([array for state in last for array in state], axis=-1),
            statistics=self.head.statistics(parameters, targets, mask),
        )

    def _parts(self, inputs: tf.Tensor, z: tf.Tensor, controls: tf.Tensor) -> list[Part]:
        """What the bottom layer reads, given every step's x(t-1) `[B, T, D]`."""
        return [*split_one_hots(_time_major(inputs), self.head.one_hots), z, _time_major(controls)]

    def _scheduled(
        self,
        z: tf.Tensor,
        targets: tf.Tensor,
        controls: tf.Tensor,
        policy: Policy,
        dropout: Dropout | None,
        first: tf.Tensor | None,
    ) -> tuple[tf.Tensor, list[Trace]]:
        """Inputs `[B, T, D]`, each step of each example by chance target or own sample.

        After Bengio et al. 2015. No gradient flows through the choice. What the layers went through
        on the way comes back too, so that they need not go there again.
        """
        batch, steps = tf.shape(targets)[0], tf.shape(targets)[1]
        noise = policy.shard.uniform([batch, steps, self.noise_size + 1], policy.seed)
        own = _time_major(noise[:, :, :1] < policy.sampling_probability)
        given = _time_major(targets)

        def run() -> tuple[tf.Tensor, list[Trace]]:
            result = self._run(
                z,
                controls,
                noise[:, :, 1:],
                temperature=1.0,
                first=first,
                dropout=dropout,
                following=lambda t, sample: tf.where(own[t], sample, given[t]),
                keep=True,
            )
            return result.inputs, result.traces

        def force() -> tuple[tf.Tensor, list[Trace]]:
            inputs = shifted(targets, first)
            parts = self._parts(inputs, z, controls)
            return inputs, self.lstm.traces(parts, self.initial_states(z), dropout)

        # Early in a schedule many batches read no sample at all.
        result = tf.cond(tf.reduce_any(own[:-1]), run, force)
        return tf.nest.map_structure(tf.stop_gradient, result)

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
        run = self._run(
            z,
            self._preprocessed(controls, tf.fill([batch], steps), None),
            noise,
            temperature=temperature,
            first=first,
            end_token=end_token,
        )
        if end_token is None:
            return Samples(run.samples, tf.fill([batch], steps), run.final_state)
        ended = tf.cumsum(run.samples[:, :, end_token], axis=1, exclusive=True) > 0
        lengths = tf.reduce_sum(tf.cast(~ended, tf.int32), axis=1)
        samples = tf.where(ended[..., None], tf.zeros_like(run.samples), run.samples)
        return Samples(samples, lengths, run.final_state)

    def summarize(self, sums: Sums) -> dict[str, float]:
        return self.head.summarize(sums)

    def _preprocessed(
        self, controls: tf.Tensor, lengths: tf.Tensor, dropout: Dropout | None
    ) -> tf.Tensor:
        """What the decoder reads of the controls, `[B, T, ...]`."""
        if self.control_lstm is None:
            return controls
        noise = None if dropout is None else dropout.fold(1)
        return _time_major(self.control_lstm.outputs([_time_major(controls)], lengths, noise))

    def _run(
        self,
        z: tf.Tensor,
        controls: tf.Tensor,
        noise: tf.Tensor,
        *,
        temperature: tf.Tensor | float,
        first: tf.Tensor | None,
        following: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
        dropout: Dropout | None = None,
        end_token: int | None = None,
        keep: bool = False,
    ) -> "_Run":
        """Runs step by step; `following` makes an input of a step's number and its sample.

        `keep` says that the layers' traces are wanted.
        """
        batch, steps = tf.shape(noise)[0], tf.shape(noise)[1]
        step = self._stepper(z, _time_major(controls), dropout, steps)
        chance = _time_major(noise)

        def body(
            t: Any, x: Any, states: Any, ended: Any, samples: Any, inputs: Any, kept: Any
        ) -> Any:
            activations: list[Activations] = []
            hidden, new_states = step(t, x, states, activations)
            sample = self.head.sample(self.output_projection(hidden), temperature, chance[t])
            samples, inputs = samples.write(t, sample), inputs.write(t, x)
            if keep:
                layers = zip(kept, new_states, activations, strict=True)
                kept = [recorder.add(t, *state, made) for recorder, state, made in layers]
            if end_token is not None:
                # An example that has ended keeps the state it ended with.
                new_states = tf.nest.map_structure(
                    lambda new, old: tf.where(ended[:, None], old, new), new_states, states
                )
                ended |= sample[:, end_token] > 0
            x = sample if following is None else following(t, sample)
            return t + 1, x, new_states, ended, samples, inputs, kept

        shape = [None, self.output_depth]
        arrays = [tf.TensorArray(z.dtype, steps, element_shape=shape) for _ in range(2)]
        states = self.initial_states(z)
        jit = self.lstm.layers[0].cell.numerics.jit
        kept = [Recorder.start(*state, steps) for state in states * keep]
        if first is None:
            first = tf.zeros([batch, self.output_depth], z.dtype)
        _, _, states, _, samples, inputs, kept = tf.while_loop(
            lambda t, x, states, ended, *_: (t < steps) & ~tf.reduce_all(ended),
            body,
            (0, first, states, tf.zeros([batch], tf.bool), *arrays, kept),
        )
        return _Run(
            samples=_time_major(samples.stack()),
            inputs=_time_major(inputs.stack()),
            final_state=tf.concat([array for state in states for array in state], axis=-1),
            traces=[recorder.trace(z.dtype, stacked=jit) for recorder in kept],
        )

    def _stepper(
        self, z: tf.Tensor, controls: tf.Tensor, dropout: Dropout | None, steps: tf.Tensor
    ) -> Callable[..., tuple[tf.Tensor, tuple[LstmState, ...]]]:
        """A function of (t, x(t-1), states, kept) that takes one step; controls are time-major."""
        bottom = self.lstm.layers[0]
        if dropout is not None or bottom.residual:
            masks = self.lstm.masks(dropout, steps, tf.shape(z)[0])

            def noisy_step(t: Any, x: Any, states: Any, kept: list[Activations]) -> Any:
                now = [None if mask is None else mask[t] for mask in masks]
                return self.lstm.step([x, z, controls[t]], states, now, kept)

            return noisy_step

        # All but x(t-1) is known: its product with the kernel is taken before the first step.
        known = bottom.cell.project([self.output_depth, z, controls])
        (rows,) = known.left_out

        def step(t: Any, x: Any, states: Any, kept: list[Activations]) -> Any:
            now = known.gates[t] if controls.shape[-1] else known.gates
            return self.lstm.step_projected(known._replace(gates=now + x @ rows), states, kept)

        return step


class _Run(NamedTuple):
    """Every step's sample and input, `[B, T, D]`, the state after the last, and kept traces."""

    samples: tf.Tensor
    inputs: tf.Tensor
    final_state: tf.Tensor
    traces: list[Trace]


class SplitDecoder(Decoder):
    """A decoder of its own for each of several outputs that stand side by side, all given one z.

    Losses add up; samples are joined in the order of the decoders.
    """

    def __init__(self, cores: Sequence[FlatDecoder], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cores = list(cores)
        self.output_depth = sum(core.output_depth for core in cores)
        self.state_size = sum(core.state_size for core in cores)
        self.built = True

    @property
    def noise_size(self) -> int:
        return sum(core.noise_size for core in self.cores)

    def _split(self, array: tf.Tensor | None) -> list[Any]:
        if array is None:
            return [None] * len(self.cores)
        return tf.split(array, [core.output_depth for core in self.cores], axis=-1)

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
        noises = tf.split(noise, [core.noise_size for core in self.cores], axis=-1)
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
    """Teacher forcing's inputs: `[B, T, D]` one step later, `first` `[B, D]` or zeros before."""
    if first is None:
        return tf.pad(targets[:, :-1], [[0, 0], [1, 0], [0, 0]])
    return tf.concat([first[:, None], targets[:, :-1]], axis=1)


class InitialState(keras.layers.Layer):
    """Initial states `[B, state_size]` of z `[B, z_size]`: tanh(z . kernel + bias)."""

    def __init__(self, z_size: int, state_size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kernel = self.add_weight(
            name="kernel",
            shape=(z_size, state_size),
            initializer=keras.initializers.RandomNormal(stddev=_Z_INITIALIZER_STDDEV),
        )
        self.bias = self.add_weight(name="bias", shape=(state_size,), initializer="zeros")
        self.built = True

    def call(self, z: tf.Tensor) -> tf.Tensor:
        kernel, bias = tf.convert_to_tensor(self.kernel), tf.convert_to_tensor(self.bias)
        if z.shape[-1]:
            return tf.tanh(z @ kernel + bias)
        # Without z the sum over its rows is zero; a product of width 0 can crash oneDNN.
        state = tf.tanh(tf.reduce_sum(kernel, axis=0) + bias)
        return tf.repeat(state[None], tf.shape(z)[0], axis=0)


def _time_major(sequence: tf.Tensor) -> tf.Tensor:
    return tf.transpose(sequence, [1, 0, 2])
