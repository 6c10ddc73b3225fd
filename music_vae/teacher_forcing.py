"""`TeacherForcedDecoder`: what a trained model expects at every step, told the steps before it."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from music_vae import checkpoints
from music_vae.configs import Config
from music_vae.converters.base import Example
from music_vae.data import make_batch
from music_vae.lstm_models import (
    FlatDecoder,
    HierarchicalDecoder,
    Policy,
    SplitDecoder,
    build_model,
)
from music_vae.nn.decoders import Decoder
from music_vae.specs import Batch

_EVEN_CHANCE = 0.5  # noise for which the likelier of yes and no is taken


class Expectation(NamedTuple):
    """What the model made of some examples.

    Attributes:
      outputs: The likeliest outcome of every step, one array `[T, output_depth]` per example.
      loss_nats: Negative log-likelihood of each example, summed over its valid steps, `[N]`.
    """

    outputs: list[np.ndarray]
    loss_nats: np.ndarray


class TeacherForcedDecoder:
    """The decoder of a trained model, reading what was played instead of its own samples."""

    def __init__(self, config: Config, checkpoint_dir_or_path: str | Path) -> None:
        """Builds the decoder of `config` and loads its weights.

        Raises:
          UserError: If there is no such checkpoint, or it is one of another config.
        """
        self._config = config
        self._model = build_model(config, with_encoder=False)
        checkpoints.load_weights(self._model, checkpoint_dir_or_path)
        self._reconstruct = tf.function(self._step, reduce_retracing=True, autograph=False)

    def expect(self, z: np.ndarray, examples: Sequence[Example]) -> Expectation:
        """Decodes the examples, all in one batch, from latent vectors `[N, Z]`."""
        batch = Batch(*map(tf.constant, make_batch(examples, self._config.data_converter)))
        outputs, loss_nats = self._reconstruct(tf.constant(z, tf.float32), batch)
        steps = [len(example.outputs) for example in examples]
        arrays = [array[:n] for array, n in zip(outputs.numpy(), steps, strict=True)]
        return Expectation(arrays, loss_nats.numpy())

    def _step(self, z: tf.Tensor, batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
        policy = Policy(0.0, tf.zeros([2], tf.int32))
        result = self._model.reconstruct(z, batch, policy)
        return likeliest(self._model.decoder, result.parameters), result.loss_nats


def likeliest(decoder: Decoder, parameters: tf.Tensor) -> tf.Tensor:
    """The likeliest outcome `[B, T, output_depth]` of every step, of parameters `[B, T, P]`."""
    if isinstance(decoder, HierarchicalDecoder):
        return likeliest(decoder.core, parameters)
    if isinstance(decoder, SplitDecoder):
        sizes = [core.head.parameter_size for core in decoder.cores]
        parts = zip(decoder.cores, tf.split(parameters, sizes, axis=-1), strict=True)
        return tf.concat([likeliest(core, part) for core, part in parts], axis=-1)
    assert isinstance(decoder, FlatDecoder)
    batch, steps, size = tf.unstack(tf.shape(parameters))
    noise = tf.fill([batch * steps, decoder.noise_size], _EVEN_CHANCE)
    made = decoder.head.sample(
        tf.reshape(parameters, [batch * steps, size]), tf.constant(0.0), noise
    )
    return tf.reshape(made, [batch, steps, decoder.output_depth])
