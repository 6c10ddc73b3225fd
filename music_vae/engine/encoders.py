"""Encoders: a sequence to one vector per example; see `nn.encoders` for what they are."""

import math
from typing import Protocol

import numpy as np

from music_vae.common import weight_names as names
from music_vae.common.hparams import HParams
from music_vae.common.specs import BidirectionalEncoderSpec, EncoderSpec, HierarchicalEncoderSpec
from music_vae.engine.lstm import BidirectionalLstm, LstmStack, last_valid
from music_vae.engine.weights import Weights


class Encoder(Protocol):
    """What every encoder is.

    Attributes:
      output_size: Width H of an embedding.
    """

    output_size: int

    def encode(self, inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Embeddings `[B, H]` of inputs `[B, T, D]`.

        `lengths` are the valid steps `[B]`; for a hierarchy also `[B, S]`, those of each segment.
        """


class ForwardEncoder:
    """LSTM layers that read forward; the result is the output at the last valid step."""

    def __init__(self, weights: Weights, scope: str, input_size: int, hparams: HParams) -> None:
        sizes = hparams.enc_rnn_size
        scopes = [names.stacked_layer(scope, index) for index in range(len(sizes))]
        self._lstm = LstmStack(
            weights, [scopes], [input_size], sizes, residual=hparams.residual_encoder
        )
        self.output_size = sizes[-1]

    def encode(self, inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        (entry,) = self._lstm.entries
        share = entry.share(0, inputs.transpose(1, 0, 2)) + entry.bias[:, None]
        (outputs,), _ = self._lstm.start_from_zeros(len(inputs)).steps([share])
        return last_valid(outputs, lengths)


class BidirectionalEncoder:
    """Bidirectional LSTM layers; the result is where both directions end."""

    def __init__(self, weights: Weights, scope: str, input_size: int, hparams: HParams) -> None:
        self._lstm = BidirectionalLstm(
            weights, scope, input_size, hparams.enc_rnn_size, residual=hparams.residual_encoder
        )
        self.output_size = self._lstm.output_size

    def encode(self, inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        return self._lstm.last_states(inputs.transpose(1, 0, 2), lengths)


class HierarchicalEncoder:
    """Segments are encoded, then the sequence of their embeddings, and so on up the levels."""

    def __init__(
        self,
        spec: HierarchicalEncoderSpec,
        weights: Weights,
        scope: str,
        input_size: int,
        hparams: HParams,
        *,
        top: bool = True,
    ) -> None:
        """`top` says whether there is a top level, of which a re-encoder has no use."""
        self.level_lengths = spec.level_lengths
        self.levels: list[Encoder] = []
        for number in range(len(spec.level_lengths) - (not top)):
            level = build_encoder(
                spec.core, weights, names.encoder_level(scope, number), input_size, hparams
            )
            self.levels.append(level)
            input_size = level.output_size
        self.output_size = input_size

    def encode(self, inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        batch, steps, depth = inputs.shape
        sequence = np.zeros((batch, math.prod(self.level_lengths), depth), np.float32)
        sequence[:, :steps] = inputs
        segments = math.prod(self.level_lengths[1:])
        lengths = segment_lengths(lengths, segments, self.level_lengths[0]).reshape(-1)
        for number, (level, steps) in enumerate(zip(self.levels, self.level_lengths, strict=True)):
            if number:
                segments //= steps
                lengths = np.full(batch * segments, steps)  # every embedding counts
            merged = sequence.reshape(batch * segments, steps, -1)
            sequence = level.encode(merged, lengths).reshape(batch, segments, -1)
        return sequence[:, 0]


def segment_lengths(lengths: np.ndarray, segments: int, steps: int) -> np.ndarray:
    """Valid steps `[B, S]` of S segments of `steps` steps, from `[B]` or from what they are."""
    if lengths.ndim == 2:
        return lengths
    return np.clip(lengths[:, None] - np.arange(segments) * steps, 0, steps)


def build_encoder(
    spec: EncoderSpec, weights: Weights, scope: str, input_size: int, hparams: HParams
) -> Encoder:
    """The encoder that `spec` describes, for inputs of width `input_size` (controls included)."""
    if isinstance(spec, HierarchicalEncoderSpec):
        return HierarchicalEncoder(spec, weights, scope, input_size, hparams)
    if isinstance(spec, BidirectionalEncoderSpec):
        return BidirectionalEncoder(weights, scope, input_size, hparams)
    return ForwardEncoder(weights, scope, input_size, hparams)
