"""Defines the hierarchical decoder, in which a conductor gives each segment its embedding.

One conductor per level unrolls its vector into one per segment (Roberts et al. 2018, section 3.2);
the core decoder is given the lowest level's vectors in place of z. If conductors do not read their
segments back, the segments are independent of each other given their embeddings, and training
decodes all of them as one batch. Sampling stays in order, as the first step of a segment reads the
last step of the segment before.

On `autoregressive` levels a conductor does read its segments back, as the final state of their
decoder, or, with a re-encoder, as an encoding of the segment.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from music_vae.common.plans import ConductorPlan, HierarchicalDecoderPlan
from music_vae.nn.decoders import Decoder, FlatDecoder, build_core
from music_vae.nn.decoding import Policy, Reconstruction, Samples
from music_vae.nn.encoders import Encoder, HierarchicalLstmEncoder, build_levels, segment_lengths
from music_vae.nn.heads import Sums
from music_vae.nn.latent import InitialState
from music_vae.nn.parts import last_valid
from music_vae.nn.rnn import Dropout, LstmStack


class Conductor(keras.layers.Layer):
    """One level of a hierarchy: it unrolls a vector `[B, Z]` into one per segment, `[B, S, E]`.

    >>> from music_vae.common.model_spec import DensePlan, lstm_stack
    >>> lstm = lstm_stack("conductor", input_size=1, sizes=[3])
    >>> initial_state = DensePlan("initial_state", input_size=2, units=lstm.state_size)
    >>> conductor = Conductor(ConductorPlan(4, None, initial_state, lstm))  # 4 segments
    >>> conductor(tf.ones([1, 2])).shape
    TensorShape([1, 4, 3])
    """

    def __init__(self, plan: ConductorPlan, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.lstm = LstmStack(plan.lstm, name="lstm")
        self.initial_state = InitialState(plan.initial_state, name="initial_state")
        self.built = True

    def call(self, z: tf.Tensor, dropout: Dropout | None = None) -> tf.Tensor:
        """Returns all vectors at once, `[B, S, E]`; nothing is read back."""
        batch, steps = tf.shape(z)[0], self.plan.steps
        zeros = tf.zeros([steps, batch, self.plan.lstm.input_size], z.dtype)
        states = self.lstm.split_state(self.initial_state(z))
        outputs, _ = self.lstm.sequence([zeros], tf.fill([batch], steps), states, dropout)
        return tf.transpose(outputs, [1, 0, 2])


class HierarchicalDecoder(Decoder):
    """Conductors over a core decoder.

    >>> from music_vae.common.hparams import HParams
    >>> from music_vae.common.model_spec import StepDepths, derive_decoder
    >>> from music_vae.common.specs import HierarchicalDecoderSpec
    >>> spec = HierarchicalDecoderSpec(level_lengths=(4, 16))  # 4 bars of 16 steps
    >>> hparams, depths = HParams(z_size=2, dec_rnn_size=(6,)), StepDepths(inputs=3, outputs=3)
    >>> decoder = HierarchicalDecoder(derive_decoder(spec, hparams, depths))
    >>> z, no_controls, noise = tf.zeros([1, 2]), tf.zeros([1, 64, 0]), tf.fill([1, 64, 1], 0.5)
    >>> decoder.embeddings(z).shape  # a vector per bar
    TensorShape([1, 4, 6])
    >>> result = decoder.sample(z, no_controls, noise, temperature=1.0)
    >>> result.samples.shape, result.lengths.numpy().tolist()
    (TensorShape([1, 64, 3]), [[16, 16, 16, 16]])

    Args:
      plan: The plan of the decoder.
      encoder: The model's encoder, if it is hierarchical: a re-encoder then shares its levels.
    """

    plan: HierarchicalDecoderPlan

    def __init__(
        self,
        plan: HierarchicalDecoderPlan,
        encoder: HierarchicalLstmEncoder | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.reencoder: list[Encoder] = []
        if plan.reencoder:
            self.reencoder = build_levels(plan.reencoder) if encoder is None else encoder.levels
        self.core = build_core(plan.core, name="core_decoder")
        self.conductors = [
            Conductor(conductor, name=f"level_{level}")
            for level, conductor in enumerate(plan.conductors)
        ]
        self.built = True

    @property
    def voices(self) -> list[FlatDecoder]:
        return self.core.voices

    def embeddings(self, z: tf.Tensor, dropout: Dropout | None = None) -> tf.Tensor:
        """Returns the embeddings of all segments, `[B, S, E]`, if nothing is read back."""
        batch = tf.shape(z)[0]
        for level, conductor in enumerate(self.conductors):
            noise = None if dropout is None else dropout.fold(level)
            z = tf.reshape(conductor(z, dropout=noise), [-1, conductor.plan.lstm.output_size])
        return tf.reshape(z, [batch, self.plan.num_segments, z.shape[-1]])

    # -- Towards known targets ----------------------------------------------------------------

    def reconstruct(
        self,
        z: tf.Tensor,
        targets: tf.Tensor,
        controls: tf.Tensor,
        lengths: tf.Tensor,
        policy: Policy,
        first: tf.Tensor | None = None,
    ) -> Reconstruction:
        total = self.plan.num_segments * self.plan.core_steps
        targets, controls = (
            tf.pad(array, [[0, 0], [0, total - tf.shape(array)[1]], [0, 0]])
            for array in (targets, controls)
        )
        lengths = segment_lengths(lengths, self.plan.num_segments, self.plan.core_steps)
        before = self._steps_before(targets, first)
        target_segments, control_segments = self._segments(targets), self._segments(controls)
        if self.plan.reads_back:
            return self._reconstruct_in_order(
                z, target_segments, control_segments, lengths, before, policy
            )
        dropout = None if policy.dropout is None else policy.dropout.fold(0)
        embeddings = self.embeddings(z, dropout)
        result = self.core.reconstruct(
            _merged(embeddings),
            _merged(target_segments),
            _merged(control_segments),
            _merged(lengths),
            policy.fold(1),
            _merged(before),
        )
        return self._joined(result, tf.shape(targets)[0])

    def _steps_before(self, targets: tf.Tensor, first: tf.Tensor | None) -> tf.Tensor:
        """Returns what each segment reads first, `[B, S, D]`: the step before it, or zeros."""
        ends = targets[:, self.plan.core_steps - 1 :: self.plan.core_steps][:, :-1]
        start = tf.zeros_like(targets[:, 0]) if first is None else first
        return tf.concat([start[:, None], ends], axis=1)

    def _segments(self, array: tf.Tensor) -> tf.Tensor:
        """Splits `[B, T, D]` into segments `[B, S, T/S, D]`."""
        shape = [tf.shape(array)[0], self.plan.num_segments, self.plan.core_steps, array.shape[-1]]
        return tf.reshape(array, shape)

    def _joined(self, result: Reconstruction, batch: tf.Tensor) -> Reconstruction:
        """Joins the segments, which the core decoded as one batch, to examples again."""

        def split(array: tf.Tensor) -> tf.Tensor:
            return tf.reshape(array, [batch, self.plan.num_segments, *array.shape[1:]])

        def sequence(array: tf.Tensor) -> tf.Tensor:
            return tf.reshape(
                array, [batch, self.plan.num_segments * self.plan.core_steps, array.shape[-1]]
            )

        return Reconstruction(
            loss_nats=tf.reduce_sum(split(result.loss_nats), axis=1),
            parameters=sequence(result.parameters),
            inputs=sequence(result.inputs),
            final_state=split(result.final_state)[:, -1],
            statistics={name: split(value) for name, value in result.statistics.items()},
        )

    def _reconstruct_in_order(
        self,
        z: tf.Tensor,
        targets: tf.Tensor,
        controls: tf.Tensor,
        lengths: tf.Tensor,
        before: tf.Tensor,
        policy: Policy,
    ) -> Reconstruction:
        """Reconstructs segment by segment, for conductors that read them back."""
        results: list[Reconstruction] = []

        def visit(embedding: tf.Tensor) -> tf.Tensor:
            n = len(results)
            result = self.core.reconstruct(
                embedding,
                targets[:, n],
                controls[:, n],
                lengths[:, n],
                policy.fold(n),
                before[:, n],
            )
            results.append(result)
            if not self.reencoder:
                return result.final_state
            segment = _decoded(result.inputs, targets[:, n], lengths[:, n], self.plan.core_steps)
            return self.reencoder[0](segment, lengths[:, n])

        self._walk(z, visit, policy.dropout)
        return Reconstruction(
            loss_nats=tf.add_n([result.loss_nats for result in results]),
            parameters=tf.concat([result.parameters for result in results], axis=1),
            inputs=tf.concat([result.inputs for result in results], axis=1),
            final_state=results[-1].final_state,
            statistics={
                name: tf.stack([result.statistics[name] for result in results], axis=1)
                for name in results[0].statistics
            },
        )

    def _walk(
        self,
        z: tf.Tensor,
        visit: Callable[[tf.Tensor], tf.Tensor],
        dropout: Dropout | None = None,
        level: int = 0,
        path: int = 0,
    ) -> tf.Tensor:
        """Calls `visit` with the embedding of every segment in order.

        Both `visit` and this method return what the level above reads back.
        """
        if level == len(self.conductors):
            return visit(z)
        conductor, steps = self.conductors[level], self.conductors[level].plan.steps
        feedback_size = conductor.plan.feedback_size
        states = conductor.lstm.split_state(conductor.initial_state(z))
        batch = tf.shape(z)[0]
        noise = None if dropout is None else dropout.fold(1000 * (level + 1) + path)
        masks = conductor.lstm.masks(noise, steps, batch)
        feedback = tf.zeros([batch, feedback_size or conductor.plan.lstm.input_size], z.dtype)
        kept = []
        for n in range(steps):
            now = [None if mask is None else mask[n] for mask in masks]
            parts = [feedback] if feedback_size is None else [feedback, z]
            output, states = conductor.lstm.step(parts, states, now)
            following = self._walk(output, visit, dropout, level + 1, path * steps + n)
            feedback = feedback if feedback_size is None else following
            kept.append(following)
        if level == 0:
            return z  # there is no level above that could read anything
        if self.reencoder:
            encoder = self.reencoder[len(self.conductors) - level]
            return encoder(tf.stack(kept, axis=1), tf.fill([batch], steps))
        return tf.concat([array for state in states for array in state], axis=-1)

    # -- Free running -------------------------------------------------------------------------

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
        noise_segments, control_segments = self._segments(noise), self._segments(controls)
        if first is None:
            first = tf.zeros([tf.shape(noise)[0], self.plan.output_depth], z.dtype)

        def segment(n: Any, embedding: tf.Tensor, first: tf.Tensor) -> Samples:
            return self.core.sample(
                embedding,
                control_segments[:, n],
                noise_segments[:, n],
                temperature=temperature,
                end_token=end_token,
                first=first,
            )

        if self.plan.reads_back:
            return self._sample_in_order(z, first, segment)
        return self._sample_embeddings(self.embeddings(z), first, segment)

    def _sample_embeddings(
        self,
        embeddings: tf.Tensor,
        first: tf.Tensor,
        segment: Callable[[Any, tf.Tensor, tf.Tensor], Samples],
    ) -> Samples:
        """Samples all segments from their embeddings `[B, S, E]`, one after the other in a loop."""

        def body(n: Any, first: Any, state: Any, samples: Any, lengths: Any) -> Any:
            result = segment(n, embeddings[:, n], first)
            last = _last_sample(result)
            samples, lengths = samples.write(n, result.samples), lengths.write(n, result.lengths)
            return n + 1, last, result.final_state, samples, lengths

        count, batch = self.plan.num_segments, tf.shape(first)[0]
        state = tf.zeros([batch, self.plan.state_size], first.dtype)
        arrays = tf.TensorArray(first.dtype, count), tf.TensorArray(tf.int32, count)
        _, _, state, samples, lengths = tf.while_loop(
            lambda n, *_: n < count, body, (0, first, state, *arrays)
        )
        joined = tf.reshape(
            tf.transpose(samples.stack(), [1, 0, 2, 3]),
            [batch, count * self.plan.core_steps, self.plan.output_depth],
        )
        return Samples(joined, tf.transpose(lengths.stack()), state)

    def _sample_in_order(
        self,
        z: tf.Tensor,
        first: tf.Tensor,
        segment: Callable[[Any, tf.Tensor, tf.Tensor], Samples],
    ) -> Samples:
        """Samples the segments of conductors that read them back."""
        results: list[Samples] = []

        def visit(embedding: tf.Tensor) -> tf.Tensor:
            start = _last_sample(results[-1]) if results else first
            results.append(segment(len(results), embedding, start))
            if not self.reencoder:
                return results[-1].final_state
            return self.reencoder[0](results[-1].samples, results[-1].lengths)

        self._walk(z, visit)
        return Samples(
            tf.concat([result.samples for result in results], axis=1),
            tf.stack([result.lengths for result in results], axis=1),
            results[-1].final_state,
        )

    # -- Metrics ------------------------------------------------------------------------------

    def summarize(self, sums: Sums) -> dict[str, float]:
        """Returns the metrics of each segment, `segment/NNN/metrics/...`, and their means."""
        metrics: dict[str, float] = {}
        values: dict[str, list[float]] = {}
        for n in range(self.plan.num_segments):
            segment = self.core.summarize({name: value[n] for name, value in sums.items()})
            for name, value in segment.items():
                metrics[f"segment/{n:03d}/{name}"] = value
                values.setdefault(name, []).append(value)
        return metrics | {name: float(np.mean(parts)) for name, parts in values.items()}


def _decoded(inputs: tf.Tensor, targets: tf.Tensor, lengths: tf.Tensor, steps: int) -> tf.Tensor:
    """Returns the steps `[B, T, D]` that a decoder went through: its inputs one step earlier.

    The last valid step, which it never read, is the target.
    """
    last = tf.one_hot(lengths - 1, steps)[..., None]
    following = tf.pad(inputs[:, 1:], [[0, 0], [0, 1], [0, 0]])
    last_targets = last_valid(tf.transpose(targets, [1, 0, 2]), lengths)[:, None]
    return following * (1 - last) + last_targets * last


def _merged(array: tf.Tensor) -> tf.Tensor:
    """Merges the segments `[B, S, ...]` of all examples into one batch `[B * S, ...]`."""
    return tf.reshape(array, [-1, *array.shape[2:]])


def _last_sample(result: Samples) -> tf.Tensor:
    """Returns the last step of each sample, `[B, D]`, before padding."""
    return last_valid(tf.transpose(result.samples, [1, 0, 2]), result.lengths)
