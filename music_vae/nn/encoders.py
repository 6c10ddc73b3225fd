"""Encoders: a sequence to one vector, an embedding, per example."""

import abc
import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from music_vae.common.hparams import HParams
from music_vae.common.specs import (
    BidirectionalEncoderSpec,
    EncoderSpec,
    HierarchicalEncoderSpec,
    LstmEncoderSpec,
)
from music_vae.nn.parts import last_valid, split_one_hots
from music_vae.nn.rnn import BidirectionalLstm, Dropout, LstmStack


class Encoder(keras.layers.Layer, abc.ABC):
    """What every encoder is."""

    @property
    @abc.abstractmethod
    def output_size(self) -> int:
        """Width H of an embedding."""

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

    def __init__(
        self, input_size: int, hparams: HParams, *, one_hots: Sequence[int] = (), **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.one_hots = tuple(one_hots)
        self.lstm = LstmStack(
            input_size, hparams.enc_rnn_size, residual=hparams.residual_encoder, name="lstm"
        )
        self.built = True

    @property
    def output_size(self) -> int:
        return self.lstm.sizes[-1]

    def call(
        self, inputs: tf.Tensor, lengths: tf.Tensor, dropout: Dropout | None = None
    ) -> tf.Tensor:
        parts = split_one_hots(tf.transpose(inputs, [1, 0, 2]), self.one_hots)
        outputs, _ = self.lstm.sequence(parts, lengths, dropout=dropout)
        return last_valid(outputs, lengths)


class BidirectionalLstmEncoder(Encoder):
    """A stack of bidirectional LSTM layers; its result is where both directions end."""

    def __init__(
        self, input_size: int, hparams: HParams, *, one_hots: Sequence[int] = (), **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.one_hots = tuple(one_hots)
        self.lstm = BidirectionalLstm(
            input_size, hparams.enc_rnn_size, residual=hparams.residual_encoder, name="lstm"
        )
        self.built = True

    @property
    def output_size(self) -> int:
        return 2 * self.lstm.sizes[-1]

    def call(
        self, inputs: tf.Tensor, lengths: tf.Tensor, dropout: Dropout | None = None
    ) -> tf.Tensor:
        parts = split_one_hots(tf.transpose(inputs, [1, 0, 2]), self.one_hots)
        return self.lstm.last_states(parts, lengths, dropout)


class HierarchicalLstmEncoder(Encoder):
    """Segments are encoded, then the sequence of their embeddings, and so on up the levels.

    All segments of a level are encoded at once, as one batch.
    """

    def __init__(
        self,
        spec: HierarchicalEncoderSpec,
        input_size: int,
        hparams: HParams,
        *,
        one_hots: Sequence[int] = (),
        top: bool = True,
        **kwargs: Any,
    ) -> None:
        """Args:
        spec: Level lengths and what encodes a level.
        input_size: Width of a step.
        hparams: Sizes.
        one_hots: See `build_encoder`.
        top: Whether there is a top level, of which a re-encoder has no use.
        """
        super().__init__(**kwargs)
        self.level_lengths = spec.level_lengths
        self.levels: list[Encoder] = []
        for number in range(len(spec.level_lengths) - (not top)):
            level = build_encoder(
                spec.core, input_size, hparams, one_hots=one_hots, name=f"level_{number}"
            )
            self.levels.append(level)
            input_size, one_hots = level.output_size, ()
        self.built = True

    @property
    def output_size(self) -> int:
        return self.levels[-1].output_size

    def call(
        self, inputs: tf.Tensor, lengths: tf.Tensor, dropout: Dropout | None = None
    ) -> tf.Tensor:
        batch = tf.shape(inputs)[0]
        sequence = _padded_to(inputs, math.prod(self.level_lengths))
        segments = math.prod(self.level_lengths[1:])
        lengths = tf.reshape(segment_lengths(lengths, segments, self.level_lengths[0]), [-1])
        for number, (level, steps) in enumerate(zip(self.levels, self.level_lengths, strict=True)):
            if number:
                segments //= steps
                lengths = tf.fill([batch * segments], steps)  # every embedding counts
            sequence = tf.reshape(sequence, [batch * segments, steps, sequence.shape[-1]])
            noise = None if dropout is None else dropout.fold(number)
            sequence = tf.reshape(
                level(sequence, lengths, dropout=noise), [batch, segments, level.output_size]
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


def build_encoder(
    spec: EncoderSpec,
    input_size: int,
    hparams: HParams,
    *,
    one_hots: Sequence[int] = (),
    name: str = "encoder",
) -> Encoder:
    """The encoder that `spec` describes.

    Args:
      spec: What to build.
      input_size: Width of a step, controls included.
      hparams: Sizes.
      one_hots: Depths of the one-hot vectors with which a step begins.
      name: Name of the layer.
    """
    if isinstance(spec, HierarchicalEncoderSpec):
        return HierarchicalLstmEncoder(spec, input_size, hparams, one_hots=one_hots, name=name)
    kinds: dict[type, Any] = {
        BidirectionalEncoderSpec: BidirectionalLstmEncoder,
        LstmEncoderSpec: LstmEncoder,
    }
    return kinds[type(spec)](input_size, hparams, one_hots=one_hots, name=name)
