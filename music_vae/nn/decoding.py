"""What decoders take and give.

A step reads [x(t-1), z, control(t)]. Where x(t-1) comes from is the input policy: the target
(teacher forcing), the model's own sample (free running), or one of the two by chance (scheduled
sampling).
"""

from typing import Any, NamedTuple

import tensorflow as tf

from music_vae.nn.heads import Statistics
from music_vae.nn.noise import WHOLE, Shard, fold_in
from music_vae.nn.rnn import Dropout


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
