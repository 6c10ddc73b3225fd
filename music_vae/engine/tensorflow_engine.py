"""Computes the forward pass of a model in TensorFlow, as an engine."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from music_vae.common.batches import Batch
from music_vae.configs import Config
from music_vae.engine import EVEN_CHANCE, Reconstruction
from music_vae.lstm_models import Decoder, Policy, build_model
from music_vae.weights import tf_checkpoints


class TensorFlowEngine:
    """A model's forward pass in compiled TensorFlow; see `engine.Engine` for its methods.

    It uses all cores for one batch.

    >>> from music_vae.configs import get_config
    >>> from music_vae.weights import shipped
    >>> config = get_config("cat-mel_2bar_mini")
    >>> engine = TensorFlowEngine(config, shipped.folder(config.name), with_encoder=False)
    >>> noise = np.full((1, 8, engine.noise_size), 0.5, np.float32)  # of 8 steps
    >>> z, no_controls = np.zeros((1, 128), np.float32), np.zeros((1, 8, 0), np.float32)
    >>> samples, lengths = engine.sample(z, no_controls, noise, temperature=0.01)
    >>> samples.argmax(axis=-1)  # as `NumpyEngine` samples it
    array([[52,  0,  0,  0, 55,  0,  0,  0]])
    """

    workers = 1

    def __init__(self, config: Config, path: str | Path, *, with_encoder: bool = True) -> None:
        """Args:
        config: Config of the model.
        path: Place of the weights: see `locate.open_weights`.
        with_encoder: If False, the model cannot encode, and needs no weights of an encoder.

        Raises:
          UserError: If there are no such weights, or they are of another config.
        """
        self._config = config
        self._decoders: dict[int | None, Any] = {}
        spec = config.model_spec if with_encoder else config.model_spec.without_encoder()
        self.noise_size = spec.decoder.noise_size
        with tf_checkpoints.open_fitting(path, spec) as weights:
            self._model = build_model(config, with_encoder=with_encoder)
            tf_checkpoints.set_weights(self._model, weights)

    def encode(
        self, inputs: np.ndarray, lengths: np.ndarray, controls: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Encodes inputs to the posterior (mu, sigma), both `[B, Z]`; see `engine.Engine`."""
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
        """Decodes z to samples `[B, T, D]`, and returns their lengths too; see `engine.Engine`."""
        if end_token not in self._decoders:
            self._decoders[end_token] = self._compiled(end_token)
        samples, lengths = self._decoders[end_token](z, controls, noise, temperature)
        return samples.numpy(), lengths.numpy()

    def reconstruct(
        self,
        z: np.ndarray,
        targets: np.ndarray,
        lengths: np.ndarray,
        controls: np.ndarray,
        *,
        temperature: float = 0.0,
        noise: np.ndarray | None = None,
    ) -> Reconstruction:
        """Predicts every step of known sequences (teacher-forced); see `engine.Engine`."""
        most = self._config.hparams.max_seq_len
        targets, controls = targets[:, :most], controls[:, :most]
        lengths = np.minimum(lengths, most).astype(np.int32)
        steps = targets.shape[1]
        if noise is None:
            noise = np.full((len(z), steps, self.noise_size), EVEN_CHANCE, np.float32)
        outputs, losses = self._reconstruct(
            z, targets, lengths, controls, temperature, noise[:, :steps]
        )
        return Reconstruction(outputs.numpy(), losses.numpy() * _valid(lengths, most)[:, :steps])

    @functools.cached_property
    def _encode(self) -> Any:
        converter = self._config.data_converter
        signature = [
            tf.TensorSpec([None, None, converter.input_depth], tf.float32),
            tf.TensorSpec([None, *converter.length_shape], tf.int32),
            tf.TensorSpec([None, None, converter.control_depth], tf.float32),
        ]
        return tf.function(self._model.encode, input_signature=signature, autograph=False)

    @functools.cached_property
    def _reconstruct(self) -> Any:
        def reconstruct(
            z: tf.Tensor,
            targets: tf.Tensor,
            lengths: tf.Tensor,
            controls: tf.Tensor,
            temperature: tf.Tensor,
            noise: tf.Tensor,
        ) -> tuple[tf.Tensor, tf.Tensor]:
            policy = Policy(0.0, tf.zeros([2], tf.int32))
            result = self._model.reconstruct(z, Batch(None, targets, controls, lengths), policy)
            parameters = result.parameters[:, : tf.shape(targets)[1]]
            decoder = self._model.decoder
            return (
                _outcomes(decoder, parameters, temperature, noise),
                _losses(decoder, parameters, targets),
            )

        converter = self._config.data_converter
        signature = [
            tf.TensorSpec([None, self._config.hparams.latent_size], tf.float32),
            tf.TensorSpec([None, None, converter.output_depth], tf.float32),
            tf.TensorSpec([None, *converter.length_shape], tf.int32),
            tf.TensorSpec([None, None, converter.control_depth], tf.float32),
            tf.TensorSpec([], tf.float32),
            tf.TensorSpec([None, None, self.noise_size], tf.float32),
        ]
        return tf.function(reconstruct, input_signature=signature, autograph=False)

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


def _outcomes(
    decoder: Decoder, parameters: tf.Tensor, temperature: tf.Tensor, noise: tf.Tensor
) -> tf.Tensor:
    """Returns the outcomes `[B, T, D]` for parameters `[B, T, P]` and noise `[B, T, K]`."""
    plans = decoder.plan.voices
    parts = zip(
        decoder.voices,
        tf.split(parameters, [plan.parameter_size for plan in plans], axis=-1),
        tf.split(noise, [plan.noise_size for plan in plans], axis=-1),
        strict=True,
    )
    made = [voice.head.sample(_rows(part), temperature, _rows(own)) for voice, part, own in parts]
    return tf.reshape(tf.concat(made, axis=-1), [*tf.unstack(tf.shape(noise)[:2]), -1])


def _losses(decoder: Decoder, parameters: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Computes the negative log-likelihood in nats `[B, T]` of targets `[B, T, D]`."""
    plans = decoder.plan.voices
    parts = zip(
        decoder.voices,
        tf.split(parameters, [plan.parameter_size for plan in plans], axis=-1),
        tf.split(targets, [plan.output_depth for plan in plans], axis=-1),
        strict=True,
    )
    return tf.add_n([voice.head.loss(part, target) for voice, part, target in parts])


def _rows(array: tf.Tensor) -> tf.Tensor:
    """Reshapes `[B, T, D]` to `[B * T, D]`."""
    return tf.reshape(array, [-1, array.shape[-1]])


def _valid(lengths: np.ndarray, steps: int) -> np.ndarray:
    """Returns True for the valid ones of `steps` steps, `[B, T]`, for lengths `[B]` or `[B, S]`."""
    by_segment = lengths.reshape(len(lengths), -1, 1)
    positions = np.arange(steps // by_segment.shape[1])
    return (positions < by_segment).reshape(len(lengths), -1)
