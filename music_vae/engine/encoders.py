"""Encoders: a sequence to one vector per example; see `nn.encoders` for what they are."""

import math
from typing import Protocol

import numpy as np

from music_vae.common.plans import (
    BidirectionalPlan,
    EncoderPlan,
    HierarchicalEncoderPlan,
    LstmStackPlan,
)
from music_vae.engine.lstm import BidirectionalLstm, LstmStack, last_valid
from music_vae.engine.weights import Weights


class Encoder(Protocol):
    """What every encoder is."""

    def encode(self, inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Embeddings `[B, H]` of inputs `[B, T, D]`.

        `lengths` are the valid steps `[B]`; for a hierarchy also `[B, S]`, those of each segment.
        """


class ForwardEncoder:
    """LSTM layers that read forward; the result is the output at the last valid step."""

    def __init__(self, plan: LstmStackPlan, weights: Weights) -> None:
        self._lstm = LstmStack([plan], weights)

    def encode(self, inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        (entry,) = self._lstm.entries
        share = entry.share(0, inputs.transpose(1, 0, 2)) + entry.bias[:, None]
        (outputs,), _ = self._lstm.start_from_zeros(len(inputs)).steps([share])
        return last_valid(outputs, lengths)


class BidirectionalEncoder:
    """Bidirectional LSTM layers; the result is where both directions end."""

    def __init__(self, plan: BidirectionalPlan, weights: Weights) -> None:
        self._lstm = BidirectionalLstm(plan, weights)

    def encode(self, inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        return self._lstm.last_states(inputs.transpose(1, 0, 2), lengths)


class HierarchicalEncoder:
    """Segments are encoded, then the sequence of their embeddings, and so on up the levels."""

    def __init__(self, plan: HierarchicalEncoderPlan, weights: Weights) -> None:
        self._level_lengths = plan.level_lengths
        self._levels = [build_encoder(level, weights) for level in plan.levels]

    def encode(self, inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        batch, steps, depth = inputs.shape
        sequence = np.zeros((batch, math.prod(self._level_lengths), depth), np.float32)
        sequence[:, :steps] = inputs
        segments = math.prod(self._level_lengths[1:])
        lengths = segment_lengths(lengths, segments, self._level_lengths[0]).reshape(-1)
        for number, (level, steps) in enumerate(
            zip(self._levels, self._level_lengths, strict=True)
        ):
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


def build_encoder(plan: EncoderPlan, weights: Weights) -> Encoder:
    """The encoder that a plan says."""
    if isinstance(plan, HierarchicalEncoderPlan):
        return HierarchicalEncoder(plan, weights)
    if isinstance(plan.lstm, BidirectionalPlan):
        return BidirectionalEncoder(plan.lstm, weights)
    return ForwardEncoder(plan.lstm, weights)
