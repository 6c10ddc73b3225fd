"""Encodes sequences, each to one vector, the embedding; see `nn.encoders` for the models."""

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
    """Defines the method of every encoder.

    >>> from music_vae.common.model_spec import lstm_stack, shapes_of
    >>> plan = lstm_stack("encoder", input_size=3, sizes=[5])
    >>> weights = Weights({name: np.zeros(shape) for name, shape in shapes_of(plan).items()})
    >>> encoder: Encoder = ForwardEncoder(plan, weights)
    >>> encoder.encode(np.zeros((2, 8, 3)), lengths=np.array([8, 6])).shape  # 2 sequences
    (2, 5)
    """

    def encode(self, inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Computes embeddings `[B, H]` of inputs `[B, T, D]`.

        `lengths` are the valid steps `[B]`; for a hierarchy also `[B, S]`, those of each segment.
        """


class ForwardEncoder:
    """LSTM layers that read forward; the embedding is the output at the last valid step.

    With these weights, the one cell of an LSTM counts the ones that it reads:

    >>> from music_vae.common.model_spec import lstm_stack
    >>> plan = lstm_stack("encoder", input_size=1, sizes=[1])
    >>> cell = plan.layers[0].cell
    >>> kernel = np.array([[0, 9, 0, 0], [0, 0, 0, 0]])  # of the gates i, j, f, o
    >>> weights = Weights({cell.kernel: kernel, cell.bias: np.array([9, 0, 9, 9])})
    >>> steps = np.array([[[1], [0], [1], [1]]])
    >>> embedding = ForwardEncoder(plan, weights).encode(steps, lengths=np.array([3]))
    >>> np.arctanh(embedding).round(1)  # two of the three valid steps
    array([[2.]], dtype=float32)
    """

    def __init__(self, plan: LstmStackPlan, weights: Weights) -> None:
        self._lstm = LstmStack([plan], weights)

    def encode(self, inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        (entry,) = self._lstm.entries
        share = entry.share(0, inputs.transpose(1, 0, 2)) + entry.bias[:, None]
        (outputs,), _ = self._lstm.start_from_zeros(len(inputs)).steps([share])
        return last_valid(outputs, lengths)


class BidirectionalEncoder:
    """Bidirectional LSTM layers; the embedding is the last output of both directions.

    >>> from music_vae.common.model_spec import bidirectional_lstm, shapes_of
    >>> plan = bidirectional_lstm("encoder", input_size=3, sizes=[5])
    >>> weights = Weights({name: np.zeros(shape) for name, shape in shapes_of(plan).items()})
    >>> BidirectionalEncoder(plan, weights).encode(np.zeros((2, 8, 3)), np.array([8, 6])).shape
    (2, 10)
    """

    def __init__(self, plan: BidirectionalPlan, weights: Weights) -> None:
        self._lstm = BidirectionalLstm(plan, weights)

    def encode(self, inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        return self._lstm.last_states(inputs.transpose(1, 0, 2), lengths)


class HierarchicalEncoder:
    """Encodes segments, then the sequence of their embeddings, and so on up the levels.

    Here 8 segments of 4 steps give 8 embeddings, and these give the embedding of the whole:

    >>> from music_vae.common.hparams import HParams
    >>> from music_vae.common.model_spec import derive_encoder, shapes_of
    >>> from music_vae.common.specs import HierarchicalEncoderSpec
    >>> hparams = HParams(enc_rnn_size=(5,), max_seq_len=32)
    >>> plan = derive_encoder(HierarchicalEncoderSpec(level_lengths=(4, 8)), hparams, input_size=3)
    >>> weights = Weights({name: np.zeros(shape) for name, shape in shapes_of(plan).items()})
    >>> HierarchicalEncoder(plan, weights).encode(np.zeros((2, 32, 3)), np.array([32, 20])).shape
    (2, 10)
    """

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
    """Returns the valid steps `[B, S]` of S segments of `steps` steps.

    `lengths` are the valid steps of the whole, `[B]`, or already those of the segments, `[B, S]`.

    >>> segment_lengths(np.array([10, 3]), segments=3, steps=4)
    array([[4, 4, 2],
           [3, 0, 0]])
    """
    if lengths.ndim == 2:
        return lengths
    return np.clip(lengths[:, None] - np.arange(segments) * steps, 0, steps)


def build_encoder(plan: EncoderPlan, weights: Weights) -> Encoder:
    """Builds the encoder of a plan.

    >>> from music_vae.configs import get_config
    >>> spec = get_config("cat-mel_2bar_small", "enc_rnn_size=[5]").model_spec
    >>> weights = Weights({name: np.zeros(shape) for name, shape in spec.weight_shapes.items()})
    >>> type(build_encoder(spec.encoder, weights)).__name__
    'BidirectionalEncoder'
    """
    if isinstance(plan, HierarchicalEncoderPlan):
        return HierarchicalEncoder(plan, weights)
    if isinstance(plan.lstm, BidirectionalPlan):
        return BidirectionalEncoder(plan.lstm, weights)
    return ForwardEncoder(plan.lstm, weights)
