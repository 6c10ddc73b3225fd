"""Defines the encoders, which turn a sequence into one vector, its embedding."""

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
    """The contract of encoders: sequences `[B, T, D]` to embeddings `[B, H]`.

    >>> from music_vae.common.model_spec import bidirectional_lstm
    >>> encoder = build_encoder(FlatEncoderPlan(bidirectional_lstm("encoder", 3, [5])))
    >>> isinstance(encoder, Encoder), encoder(tf.zeros([2, 8, 3]), tf.constant([8, 6])).shape
    (True, TensorShape([2, 10]))
    """

    @abc.abstractmethod
    def call(
        self, inputs: tf.Tensor, lengths: tf.Tensor, dropout: Dropout | None = None
    ) -> tf.Tensor:
        """Returns embeddings `[B, H]`.

        Args:
          inputs: The sequences, `[B, T, D]`.
          lengths: Valid steps of each sequence, `[B]`; for a hierarchy they may be those of each
            segment, `[B, S]`.
          dropout: Dropout on every layer's input, in training; else None.
        """


class LstmEncoder(Encoder):
    """A stack of LSTM layers that read forward; an embedding is the output at the last valid step.

    >>> from music_vae.common.model_spec import lstm_stack
    >>> encoder = LstmEncoder(lstm_stack("encoder", 3, [5]), one_hots=[3])
    >>> tunes = tf.one_hot([[2, 0, 1, 0], [2, 0, 0, 0]], 3)
    >>> first, second = encoder(tunes, lengths=tf.constant([2, 2]))  # both begin with 2, 0
    >>> len(first), bool(tf.norm(first - second) < 1e-6)
    (5, True)

    Args:
      lstm: Plan of the layers.
      one_hots: Depths of the one-hot vectors with which a step begins; none for other steps.
    """

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
    """A stack of bidirectional LSTM layers; an embedding joins the last outputs of both directions.

    >>> from music_vae.common.model_spec import bidirectional_lstm
    >>> encoder = BidirectionalLstmEncoder(bidirectional_lstm("encoder", 3, [5]))
    >>> encoder(tf.zeros([2, 8, 3]), tf.constant([8, 6])).shape
    TensorShape([2, 10])

    Args:
      lstm: Plan of the layers.
      one_hots: Depths of the one-hot vectors with which a step begins; none for other steps.
    """

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
    """Encodes segments, then the sequence of their embeddings, and so on up the levels.

    All segments of a level are encoded at once, as one batch.

    >>> from music_vae.common.hparams import HParams
    >>> from music_vae.common.model_spec import derive_encoder
    >>> from music_vae.common.specs import HierarchicalEncoderSpec
    >>> spec = HierarchicalEncoderSpec(level_lengths=(4, 2))  # segments of 4 steps, 2 of them
    >>> encoder = HierarchicalLstmEncoder(derive_encoder(spec, HParams(enc_rnn_size=(5,)), 3))
    >>> encoder(tf.zeros([1, 8, 3]), tf.constant([6])).shape
    TensorShape([1, 10])
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
    """Returns the valid steps of each segment, `[B, S]`.

    >>> segment_lengths(tf.constant([6, 4]), segments=2, steps=4).numpy().tolist()
    [[4, 2], [4, 0]]

    Args:
      lengths: Valid steps of each sequence, `[B]`; or of each segment already, `[B, S]`.
      segments: Number S of segments.
      steps: Steps of one segment, padding included.
    """
    if lengths.shape.rank == 2:
        return lengths
    starts = tf.range(segments) * steps
    return tf.clip_by_value(lengths[:, None] - starts, 0, steps)


def _padded_to(sequence: tf.Tensor, steps: int) -> tf.Tensor:
    """Pads `[B, T, D]` with zeros to `steps` steps."""
    return tf.pad(sequence, [[0, 0], [0, steps - tf.shape(sequence)[1]], [0, 0]])


def build_encoder(plan: EncoderPlan, name: str = "encoder") -> Encoder:
    """Builds the encoder that a plan describes.

    >>> from music_vae.common.model_spec import lstm_stack
    >>> build_encoder(FlatEncoderPlan(lstm_stack("encoder", 3, [5]))).name
    'encoder'
    """
    if isinstance(plan, HierarchicalEncoderPlan):
        return HierarchicalLstmEncoder(plan, name=name)
    if isinstance(plan.lstm, BidirectionalPlan):
        return BidirectionalLstmEncoder(plan.lstm, plan.one_hots, name=name)
    return LstmEncoder(plan.lstm, plan.one_hots, name=name)


def build_levels(plans: Sequence[FlatEncoderPlan]) -> list[Encoder]:
    """Builds the encoders of the levels of a hierarchy, from the bottom up.

    >>> from music_vae.common.model_spec import lstm_stack
    >>> plans = [FlatEncoderPlan(lstm_stack("encoder", width, [5])) for width in (3, 5)]
    >>> [level.name for level in build_levels(plans)]
    ['level_0', 'level_1']
    """
    return [build_encoder(plan, f"level_{number}") for number, plan in enumerate(plans)]
