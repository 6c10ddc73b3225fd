"""Defines the arguments and results of decoders.

A decoder's step reads [x(t-1), z, control(t)]. The input policy says where x(t-1) comes from: from
the target (teacher forcing), from the model's own sample (free running), or from one of the two by
chance (scheduled sampling).
"""

from typing import Any, NamedTuple

import tensorflow as tf

from music_vae.nn.heads import Statistics
from music_vae.nn.noise import WHOLE, Shard, fold_in
from music_vae.nn.rnn import Dropout


class Policy(NamedTuple):
    """The input policy of a decoder in training and evaluation, and its noise.

    >>> teacher_forcing = Policy(sampling_probability=0.0, seed=tf.constant([1, 2]))
    >>> teacher_forcing.forces
    True
    >>> teacher_forcing._replace(sampling_probability=0.5).forces  # scheduled sampling
    False

    Attributes:
      sampling_probability: Probability that a step reads the decoder's own sample. The Python
        number 0.0 means plain teacher forcing, for which nothing is sampled.
      seed: Seed of the samples and of the choices, int32 `[2]`.
      dropout: Dropout on every layer's input, in training; else None.
      shard: The share of a batch that is decoded.
    """

    sampling_probability: Any
    seed: tf.Tensor
    dropout: Dropout | None = None
    shard: Shard = WHOLE

    @property
    def forces(self) -> bool:
        """True if every step reads the target."""
        return isinstance(self.sampling_probability, float) and self.sampling_probability == 0

    def fold(self, number: int) -> "Policy":
        """Returns the same policy with noise of its own for each number."""
        seed = fold_in(self.seed, number)
        dropout = None if self.dropout is None else self.dropout.fold(number)
        return self._replace(seed=seed, dropout=dropout)


class Reconstruction(NamedTuple):
    """The result of decoding towards known targets, with its loss.

    >>> from music_vae.common.hparams import HParams
    >>> from music_vae.common.model_spec import flat_decoder
    >>> from music_vae.common.specs import FlatDecoderSpec
    >>> from music_vae.nn.decoders import FlatDecoder
    >>> plan = flat_decoder(FlatDecoderSpec(), HParams(dec_rnn_size=(6,)), z_size=4, depth=3)
    >>> targets = tf.one_hot([[2, 0, 0, 1, 0]], 3)
    >>> z, no_controls, forcing = tf.zeros([1, 4]), tf.zeros([1, 5, 0]), Policy(0.0, [1, 2])
    >>> result = FlatDecoder(plan).reconstruct(z, targets, no_controls, tf.constant([4]), forcing)
    >>> result.loss_nats.shape, result.parameters.shape, result.statistics["total"].numpy().tolist()
    (TensorShape([1]), TensorShape([1, 5, 3]), [[2.0, 1.0, 1.0]])

    Attributes:
      loss_nats: Negative log-likelihood of the targets `[B]`, summed over the valid steps.
      parameters: Parameters of every step's distribution, `[B, T, P]`.
      inputs: What each step read as x(t-1), `[B, T, D]`.
      final_state: State `[B, state_size]` after each example's last valid step.
      statistics: Statistics per example; see `heads.Head.statistics`.
    """

    loss_nats: tf.Tensor
    parameters: tf.Tensor
    inputs: tf.Tensor
    final_state: tf.Tensor
    statistics: Statistics


class Samples(NamedTuple):
    """The samples of a free-running decoder.

    >>> from music_vae.common.hparams import HParams
    >>> from music_vae.common.model_spec import flat_decoder
    >>> from music_vae.common.specs import FlatDecoderSpec
    >>> from music_vae.nn.decoders import FlatDecoder
    >>> plan = flat_decoder(FlatDecoderSpec(), HParams(dec_rnn_size=(6,)), z_size=4, depth=3)
    >>> z, no_controls, noise = tf.zeros([1, 4]), tf.zeros([1, 5, 0]), tf.fill([1, 5, 1], 0.5)
    >>> result = FlatDecoder(plan).sample(z, no_controls, noise, temperature=1.0)
    >>> result.samples.shape, result.lengths.numpy().tolist()
    (TensorShape([1, 5, 3]), [5])

    Attributes:
      samples: Steps `[B, T, D]`; those after an end token are zeros.
      lengths: Steps up to and with the end token, int32 `[B]`; `[B, S]` for a hierarchy.
      final_state: State `[B, state_size]` after the last step that was computed.
    """

    samples: tf.Tensor
    lengths: tf.Tensor
    final_state: tf.Tensor
