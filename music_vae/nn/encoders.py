"""Encoders: a sequence to one vector, an embedding, per example."""

import abc
import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from music_vae.common.plans import (
    BidirectionalPlan,
    EncoderPlan,
    FlatEncoderPlan,
    HierarchicalEncoderPlan,
    LstmStackPlan,
)
from music_vae.nn.parts import last_valid, split_one_hots
from music_vae.nn.rnn import BidirectionalLstm, Dropout, LstmStack


class Encoder(keras.layers.Layer, abc.ABC):
    """What every encoder is."""

    @abc.abstractmethod
    def call(
        self, inputs: tf.Tensor, lengths: tf.Tensor, dropout: Dropout | None = None
    ) -> tf.Tensor:
        """Embeddings `[B, H]` of inputs `[B, T, D]`.

        Args:
          inputs: The sequences.
          lengths: `[B]` valid steps; for a hierarchy also `[B, S]`, those of each segment.
          dropout: Noise on every layer's input, in training.
        """


class LstmEncoder(Encoder):
    """A stack of LSTM layers that read forward; its result is the output at the last valid step."""

    def __init__(self, lstm: LstmStackPlan, one_hots: Sequence[int] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.one_hots = tuple(one_hots)
        self.lstm = LstmStack(lstm, name="lstm")
        self.built = True

    def call(
        self, inputs: tf.Tensor, lengths: tf.Tensor, dropout: Dropout | None = None
    ) -> tf.Tensor:
        parts = split_one_hots(tf.transpose(inputs, [1, 0, 2]), self.one_hots)
        outputs, _ = self.lstm.sequence(parts, lengths, dropout=dropout)
        return last_valid(outputs, lengths)


class BidirectionalLstmEncoder(Encoder):
    """A stack of bidirectional LSTM layers; its result is where both directions end."""

    def __init__(
        self, lstm: BidirectionalPlan, one_hots: Sequence[int] = (), **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.one_hots = tuple(one_hots)
        self.lstm = BidirectionalLstm(lstm, name="lstm")
        self.built = True

    def call(
        self, inputs: tf.Tensor, lengths: tf.Tensor, dropout: Dropout | None = None
    ) -> tf.Tensor:
        parts = split_one_hots(tf.transpose(inputs, [1, 0, 2]), self.one_hots)
        return self.lstm.last_states(parts, lengths, dropout)


class HierarchicalLstmEncoder(Encoder):
    """Segments are encoded, then the sequence of their embeddings, and so on up the levels.

    All segments of a level are encoded at once, as one batch.
    """

    def __init__(self, plan: HierarchicalEncoderPlan, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.levels = build_levels(plan.levels)
        self.built = True

    def call(
        self, inputs: tf.Tensor, lengths: tf.Tensor, dropout: Dropout | None = None
    ) -> tf.Tensor:
        batch, level_lengths = tf.shape(inputs)[0], self.plan.level_lengths
        sequence = _padded_to(inputs, math.prod(level_lengths))
        segments = math.prod(level_lengths[1:])
        lengths = tf.reshape(segment_lengths(lengths, segments, level_lengths[0]), [-1])
        for number, (level, steps) in enumerate(zip(self.levels, level_lengths, strict=True)):
            if number:
                segments //= steps
                lengths = tf.fill([batch * segments], steps)  # every embedding counts
            sequence = tf.reshape(sequence, [batch * segments, steps, sequence.shape[-1]])
            noise = None if dropout is None else dropout.fold(number)
            sequence = tf.reshape(
                level(sequence, lengths, dropout=noise),
                [batch, segments, self.plan.levels[number].output_size],
            )
        return sequence[:, 0]


def segment_lengths(lengths: tf.Tensor, segments: int, steps: int) -> tf.Tensor:
    """Valid steps of each segment, `[B, S]`.

    Args:
      lengths: `[B, S]` already, or `[B]`, the valid steps from the beginning on.
      segments: Number S of segments.
      steps: Steps of one segment, padding included.
    """
    if lengths.shape.rank == 2:
        return lengths
    starts = tf.range(segments) * steps
    return tf.clip_by_value(lengths[:, None] - starts, 0, steps)


def _padded_to(sequence: tf.Tensor, steps: int) -> tf.Tensor:
    """`[B, T, D]` with zeros up to `steps` steps."""
    return tf.pad(sequence, [[0, 0], [0, steps - tf.shape(sequence)[1]], [0, 0]])


def build_encoder(plan: EncoderPlan, name: str = "encoder") -> Encoder:
    """The layers of an encoder."""
    if isinstance(plan, HierarchicalEncoderPlan):
        return HierarchicalLstmEncoder(plan, name=name)
    if isinstance(plan.lstm, BidirectionalPlan):
        return BidirectionalLstmEncoder(plan.lstm, plan.one_hots, name=name)
    return LstmEncoder(plan.lstm, plan.one_hots, name=name)


def build_levels(plans: Sequence[FlatEncoderPlan]) -> list[Encoder]:
    """What encodes at each level of a hierarchy."""
    return [build_encoder(plan, f"level_{number}") for number, plan in enumerate(plans)]
