"""The model that was trained, as an engine: compiled TensorFlow."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from music_vae import checkpoints, weights_source
from music_vae.configs import Config
from music_vae.lstm_models import build_model


class TensorFlowEngine:
    """A model's forward pass; see `engine.Engine`. It uses all cores for one batch."""

    workers = 1

    def __init__(self, config: Config, path: str | Path, *, with_encoder: bool = True) -> None:
        """Args:
        config: What to compute.
        path: Where its weights are: see `weights_source.open_weights`.
        with_encoder: Whether the model can encode.

        Raises:
          UserError: If there are no such weights, or they are of another config.
        """
        self._config = config
        self._model = build_model(config, with_encoder=with_encoder)
        self._decoders: dict[int | None, Any] = {}
        self.noise_size = self._model.decoder.noise_size
        weights = weights_source.find_file(path)
        if weights is None:
            checkpoints.load_weights(self._model, path)
        else:
            checkpoints.assign_weights(self._model, weights, str(path))

    def encode(
        self, inputs: np.ndarray, lengths: np.ndarray, controls: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Posterior (mu, sigma), both `[B, Z]`; see `engine.Engine`."""
        mu, sigma = self._encode(inputs, lengths, controls)
        return mu.numpy(), sigma.numpy()

    def sample(
        self,
        z: np.ndarray,
        controls: np.ndarray,
        noise: np.ndarray,
        *,
        temperature: float,
        end_token: int | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Samples `[B, T, D]` and their lengths; see `engine.Engine`."""
        if end_token not in self._decoders:
            self._decoders[end_token] = self._compiled(end_token)
        samples, lengths = self._decoders[end_token](z, controls, noise, temperature)
        return samples.numpy(), lengths.numpy()

    @functools.cached_property
    def _encode(self) -> Any:
        converter = self._config.data_converter
        signature = [
            tf.TensorSpec([None, None, converter.input_depth], tf.float32),
            tf.TensorSpec([None, *converter.length_shape], tf.int32),
            tf.TensorSpec([None, None, converter.control_depth], tf.float32),
        ]
        return tf.function(self._model.encode, input_signature=signature, autograph=False)

    def _compiled(self, end_token: int | None) -> Any:
        def decode(
            z: tf.Tensor, controls: tf.Tensor, noise: tf.Tensor, temperature: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor]:
            made = self._model.sample(
                z, controls, noise, temperature=temperature, end_token=end_token
            )
            return made.samples, made.lengths

        signature = [
            tf.TensorSpec([None, self._config.hparams.latent_size], tf.float32),
            tf.TensorSpec([None, None, self._config.data_converter.control_depth], tf.float32),
            tf.TensorSpec([None, None, self.noise_size], tf.float32),
            tf.TensorSpec([], tf.float32),
        ]
        return tf.function(decode, input_signature=signature, autograph=False)
