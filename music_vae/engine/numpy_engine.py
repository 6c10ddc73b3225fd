"""Computes the forward pass of every model in NumPy.

    x --encoder--> embedding --> mu, sigma
    z --decoder--> samples of p(x | z)

`lstm_models` is the same in TensorFlow, with gradients. Tests compare the two, so that each checks
the other.
"""

import functools
import itertools
import math
import os
from collections.abc import Mapping

import numpy as np

from music_vae.common.errors import UserError
from music_vae.common.plans import EncoderPlan, HierarchicalDecoderPlan, PosteriorPlan
from music_vae.configs import Config
from music_vae.engine import EVEN_CHANCE, Reconstruction
from music_vae.engine.decoders import Choice, FlatDecoder, Known
from music_vae.engine.encoders import build_encoder
from music_vae.engine.hierarchy import HierarchicalDecoder
from music_vae.engine.products import Dense
from music_vae.engine.weights import Weights

_MOST_EXAMPLES = 128
"""Number of examples that are decoded at a time. With more of them, the numbers that a step reads
and writes do not stay in a processor's cache."""


class NumpyEngine:
    """A model's forward pass in NumPy; see `engine.Engine` for its methods.

    Weights are read when they are first used: a model that only decodes never reads those of its
    encoder. A batch is computed in one thread; several threads can use an engine at once.

    >>> from music_vae.configs import get_config
    >>> from music_vae.weights import locate, shipped
    >>> name = "cat-mel_2bar_mini"
    >>> engine = NumpyEngine(get_config(name), locate.open_weights(shipped.folder(name)))
    >>> noise = np.full((1, 8, engine.noise_size), 0.5, np.float32)  # of 8 steps
    >>> z, no_controls = np.zeros((1, 128), np.float32), np.zeros((1, 8, 0), np.float32)
    >>> samples, lengths = engine.sample(z, no_controls, noise, temperature=0.01)
    >>> samples.argmax(axis=-1)  # 0: the note goes on, 2: MIDI pitch 21, 3: 22, ...
    array([[52,  0,  0,  0, 55,  0,  0,  0]])
    """

    def __init__(
        self,
        config: Config,
        arrays: Mapping[str, np.ndarray],
        *,
        source: str = "the weights",
        with_encoder: bool = True,
    ) -> None:
        """Args:
        config: Config of the model.
        arrays: Weights, float32 or float16, by published name.
        source: Origin of the weights, for messages.
        with_encoder: If False, the model cannot encode, and needs no weights of an encoder.

        Raises:
          UserError: If weights are missing or have other shapes, or the config's parts do not fit.
        """
        self.workers = os.cpu_count() or 1
        self._max_steps = config.hparams.max_seq_len
        spec = config.model_spec if with_encoder else config.model_spec.without_encoder()
        self._spec, self._weights = spec, Weights(arrays)
        self._weights.check(spec, source)
        self.noise_size = spec.decoder.noise_size

    def encode(
        self, inputs: np.ndarray, lengths: np.ndarray, controls: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Encodes inputs to the posterior (mu, sigma), both `[B, Z]`; see `engine.Engine`.

        Raises:
          UserError: If the model has no encoder.
        """
        posterior, steps = self._posterior, self._max_steps
        if posterior is None:
            raise UserError("this model has no encoder")
        read = np.concatenate([inputs, controls], axis=-1, dtype=np.float32)[:, :steps]
        return posterior.of(read, np.minimum(lengths, steps))

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
        parts = [
            self._decoder.sample(
                z[now], controls[now], noise[now], temperature=temperature, end_token=end_token
            )
            for now in _parts(len(z))
        ]
        return (
            np.concatenate([part.samples for part in parts]),
            np.concatenate([part.lengths for part in parts]),
        )

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
        steps = self._max_steps
        targets, controls = targets[:, :steps], controls[:, :steps]
        lengths = np.minimum(lengths, steps)
        if noise is None:
            noise = np.full((*targets.shape[:2], self.noise_size), EVEN_CHANCE, np.float32)
        parts = [
            self._decoder.reconstruct(
                z[now],
                Known(targets[now], controls[now], lengths[now]),
                Choice(temperature, noise[now, :steps]),
            )
            for now in _parts(len(z))
        ]
        return Reconstruction(
            np.concatenate([part.outputs for part in parts]),
            np.concatenate([part.loss_nats for part in parts]),
        )

    @functools.cached_property
    def _posterior(self) -> "_Posterior | None":
        if self._spec.encoder is None or self._spec.posterior is None:
            return None
        return _Posterior(self._spec.encoder, self._spec.posterior, self._weights)

    @functools.cached_property
    def _decoder(self) -> FlatDecoder | HierarchicalDecoder:
        plan = self._spec.decoder
        if isinstance(plan, HierarchicalDecoderPlan):
            return HierarchicalDecoder(plan, self._weights)
        return FlatDecoder(plan, self._weights)


def _parts(count: int) -> list[slice]:
    """Cuts so many examples into slices of about equal length, at most `_MOST_EXAMPLES` each."""
    number = max(1, math.ceil(count / _MOST_EXAMPLES))
    ends = [count * n // number for n in range(number + 1)]
    return [slice(*pair) for pair in itertools.pairwise(ends)]


class _Posterior:
    """The posterior q(z | x): a diagonal Gaussian, computed from the encoder's embedding."""

    def __init__(self, encoder: EncoderPlan, plan: PosteriorPlan, weights: Weights) -> None:
        self._encoder = build_encoder(encoder, weights)
        self._mu, self._sigma = Dense(plan.mu, weights), Dense(plan.sigma, weights)

    def of(self, inputs: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns (mu, sigma) for inputs `[B, T, D]`; sigma is the softplus of a linear layer."""
        embedding = self._encoder.encode(inputs, lengths)
        return self._mu(embedding), np.logaddexp(self._sigma(embedding), np.float32(0))
