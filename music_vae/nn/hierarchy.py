"""The hierarchical decoder: a conductor gives each segment an embedding, from which it is decoded.

One conductor per level unrolls its vector into one per segment (Roberts et al. 2018, section 3.2);
the core decoder takes the last level's vectors in the place of z. A conductor that does not read
its segments back makes them independent of each other, given their embeddings: training decodes all
of them as one batch. Sampling stays in order, as a segment begins with the end of the one before.

A conductor may read back what its segments came to (`autoregressive` levels): their decoder's final
state, or, with a re-encoder, an encoding of the segment.
"""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from music_vae.common.hparams import HParams
from music_vae.common.specs import HierarchicalDecoderSpec
from music_vae.nn.decoders import Decoder, InitialState, Policy, Reconstruction, Samples
from music_vae.nn.encoders import HierarchicalLstmEncoder, segment_lengths
from music_vae.nn.heads import Sums
from music_vae.nn.parts import last_valid
from music_vae.nn.rnn import Dropout, LstmStack

_NO_INPUT_SIZE = 1  # of the zeros that a conductor reads when it reads nothing back


class Conductor(keras.layers.Layer):
    """One level: a vector `[B, Z]` to one vector `[B, E]` per segment of that level."""

    def __init__(
        self, z_size: int, input_size: int, hparams: HParams, *, steps: int, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.steps = steps
        self.lstm = LstmStack(
            input_size, hparams.dec_rnn_size, residual=hparams.residual_decoder, name="lstm"
        )
        self.initial_state = InitialState(z_size, self.lstm.state_size, name="initial_state")
        self.built = True

    @property
    def output_size(self) -> int:
        """Width E."""
        return self.lstm.sizes[-1]

    def call(self, z: tf.Tensor, dropout: Dropout | None = None) -> tf.Tensor:
        """All vectors at once, `[B, S, E]`, reading nothing back."""
        zeros = tf.zeros([self.steps, tf.shape(z)[0], _NO_INPUT_SIZE], z.dtype)
        states = self.lstm.split_state(self.initial_state(z))
        lengths = tf.fill([tf.shape(z)[0]], self.steps)
        outputs, _ = self.lstm.sequence([zeros], lengths, states, dropout)
        return tf.transpose(outputs, [1, 0, 2])


class HierarchicalDecoder(Decoder):
    """Conductors over a core decoder."""

    def __init__(
        self,
        spec: HierarchicalDecoderSpec,
        hparams: HParams,
        *,
        make_core: Callable[[int], Decoder],
        reencoder: HierarchicalLstmEncoder | None = None,
        **kwargs: Any,
    ) -> None:
        """Args:
        spec: Level lengths, and which levels read back.
        hparams: Sizes.
        make_core: Builds the core decoder for embeddings of the given width.
        reencoder: What encodes segments to be read back, if anything.
        """
        super().__init__(**kwargs)
        *self.level_lengths, self.core_steps = spec.level_lengths
        self.autoregressive = spec.autoregressive_levels
        self.reencoder = reencoder
        self.core = make_core(hparams.dec_rnn_size[-1])
        self.output_depth = self.core.output_depth
        self.state_size = self.core.state_size
        self.conductors = [
            Conductor(
                hparams.latent_size if level == 0 else hparams.dec_rnn_size[-1],
                self._input_size(level, hparams),
                hparams,
                steps=steps,
                name=f"level_{level}",
            )
            for level, steps in enumerate(self.level_lengths)
        ]
        self.built = True

    def _input_size(self, level: int, hparams: HParams) -> int:
        """Width of what the conductor of a level reads at each step."""
        if level not in self.autoregressive:
            return _NO_INPUT_SIZE
        own_input = hparams.latent_size if level == 0 else hparams.dec_rnn_size[-1]
        return self._feedback_size(level, hparams) + own_input

    def _feedback_size(self, level: int, hparams: HParams) -> int:
        if self.reencoder is not None:
            return self.reencoder.levels[0].output_size
        if level == len(self.level_lengths) - 1:
            return self.core.state_size
        return 2 * sum(hparams.dec_rnn_size)

    @property
    def num_segments(self) -> int:
        """Segments of the whole sequence, S."""
        return math.prod(self.level_lengths)

    @property
    def noise_size(self) -> int:
        return self.core.noise_size

    def embeddings(self, z: tf.Tensor, dropout: Dropout | None = None) -> tf.Tensor:
        """The embeddings of all segments, `[B, S, E]`, of conductors that read nothing back."""
        batch = tf.shape(z)[0]
        for level, conductor in enumerate(self.conductors):
            noise = None if dropout is None else dropout.fold(level)
            z = tf.reshape(conductor(z, dropout=noise), [-1, conductor.output_size])
        return tf.reshape(z, [batch, self.num_segments, z.shape[-1]])

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
        total = self.num_segments * self.core_steps
        targets, controls = (
            tf.pad(array, [[0, 0], [0, total - tf.shape(array)[1]], [0, 0]])
            for array in (targets, controls)
        )
        lengths = segment_lengths(lengths, self.num_segments, self.core_steps)
        before = self._steps_before(targets, first)
        target_segments, control_segments = self._segments(targets), self._segments(controls)
        if self.autoregressive:
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
        """What each segment reads first, `[B, S, D]`: the step before it, padding being zeros."""
        ends = targets[:, self.core_steps - 1 :: self.core_steps][:, :-1]
        start = tf.zeros_like(targets[:, 0]) if first is None else first
        return tf.concat([start[:, None], ends], axis=1)

    def _segments(self, array: tf.Tensor) -> tf.Tensor:
        """`[B, T, D]` to `[B, S, T/S, D]`."""
        shape = [tf.shape(array)[0], self.num_segments, self.core_steps, array.shape[-1]]
        return tf.reshape(array, shape)

    def _joined(self, result: Reconstruction, batch: tf.Tensor) -> Reconstruction:
        """What the core made of all segments as one batch, per example again."""

        def split(array: tf.Tensor) -> tf.Tensor:
            return tf.reshape(array, [batch, self.num_segments, *array.shape[1:]])

        def sequence(array: tf.Tensor) -> tf.Tensor:
            return tf.reshape(array, [batch, self.num_segments * self.core_steps, array.shape[-1]])

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
        """`reconstruct` segment by segment, for conductors that read them back."""
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
            if self.reencoder is None:
                return result.final_state
            # What the decoder went through: its inputs one step on, and the last target.
            last = tf.one_hot(lengths[:, n] - 1, self.core_steps)[..., None]
            following = tf.pad(result.inputs[:, 1:], [[0, 0], [0, 1], [0, 0]])
            heard = (
                following * (1 - last)
                + last_valid(tf.transpose(targets[:, n], [1, 0, 2]), lengths[:, n])[:, None] * last
            )
            return self.reencoder.levels[0](heard, lengths[:, n])

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
        """Calls `visit` with the embedding of every segment in order; it returns what is read back.

        Returns what the level above reads back of this one.
        """
        if level == len(self.conductors):
            return visit(z)
        conductor = self.conductors[level]
        reads_back = level in self.autoregressive
        states = conductor.lstm.split_state(conductor.initial_state(z))
        batch, size = tf.shape(z)[0], conductor.lstm.input_size
        noise = None if dropout is None else dropout.fold(1000 * (level + 1) + path)
        masks = conductor.lstm.masks(noise, conductor.steps, batch)
        heard = tf.zeros([batch, size - z.shape[-1] if reads_back else size], z.dtype)
        kept = []
        for n in range(conductor.steps):
            now = [None if mask is None else mask[n] for mask in masks]
            parts = [heard, z] if reads_back else [heard]
            output, states = conductor.lstm.step(parts, states, now)
            following = self._walk(output, visit, dropout, level + 1, path * conductor.steps + n)
            heard = following if reads_back else heard
            kept.append(following)
        if level == 0:
            return z  # there is no level above that could read anything
        if self.reencoder is not None:
            encoder = self.reencoder.levels[len(self.conductors) - level]
            return encoder(tf.stack(kept, axis=1), tf.fill([batch], conductor.steps))
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
        noises, told = self._segments(noise), self._segments(controls)
        if first is None:
            first = tf.zeros([tf.shape(noise)[0], self.output_depth], z.dtype)

        def segment(n: Any, embedding: tf.Tensor, first: tf.Tensor) -> Samples:
            return self.core.sample(
                embedding,
                told[:, n],
                noises[:, n],
                temperature=temperature,
                end_token=end_token,
                first=first,
            )

        if self.autoregressive:
            return self._sample_in_order(z, first, segment)
        return self._sample_embeddings(self.embeddings(z), first, segment)

    def _sample_embeddings(
        self,
        embeddings: tf.Tensor,
        first: tf.Tensor,
        segment: Callable[[Any, tf.Tensor, tf.Tensor], Samples],
    ) -> Samples:
        """Samples all segments `[B, S, E]` one after the other in one loop."""

        def body(n: Any, first: Any, state: Any, samples: Any, lengths: Any) -> Any:
            result = segment(n, embeddings[:, n], first)
            last = _last_sample(result)
            samples, lengths = samples.write(n, result.samples), lengths.write(n, result.lengths)
            return n + 1, last, result.final_state, samples, lengths

        count, batch = self.num_segments, tf.shape(first)[0]
        state = tf.zeros([batch, self.state_size], first.dtype)
        arrays = tf.TensorArray(first.dtype, count), tf.TensorArray(tf.int32, count)
        _, _, state, samples, lengths = tf.while_loop(
            lambda n, *_: n < count, body, (0, first, state, *arrays)
        )
        joined = tf.reshape(
            tf.transpose(samples.stack(), [1, 0, 2, 3]),
            [batch, count * self.core_steps, self.output_depth],
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
            if self.reencoder is None:
                return results[-1].final_state
            return self.reencoder.levels[0](results[-1].samples, results[-1].lengths)

        self._walk(z, visit)
        return Samples(
            tf.concat([result.samples for result in results], axis=1),
            tf.stack([result.lengths for result in results], axis=1),
            results[-1].final_state,
        )

    # -- Metrics ------------------------------------------------------------------------------

    def summarize(self, sums: Sums) -> dict[str, float]:
        """Metrics of each segment, `segment/NNN/metrics/...`, and their means."""
        metrics: dict[str, float] = {}
        values: dict[str, list[float]] = {}
        for n in range(self.num_segments):
            segment = self.core.summarize({name: value[n] for name, value in sums.items()})
            for name, value in segment.items():
                metrics[f"segment/{n:03d}/{name}"] = value
                values.setdefault(name, []).append(value)
        return metrics | {name: float(np.mean(parts)) for name, parts in values.items()}


def _merged(array: tf.Tensor) -> tf.Tensor:
    """`[B, S, ...]` to `[B * S, ...]`."""
    return tf.reshape(array, [-1, *array.shape[2:]])


def _last_sample(result: Samples) -> tf.Tensor:
    """The last step before the end of each sample, `[B, D]`."""
    return last_valid(tf.transpose(result.samples, [1, 0, 2]), result.lengths)
