"""The forward pass of every model in NumPy: what plays music, and a second opinion on what trains.

    x --encoder--> embedding --> mu, sigma
    z --decoder--> samples of p(x | z)

`lstm_models` is the same in TensorFlow, with gradients.
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
"""At a time: of more, what a step reads and writes does not stay in a processor's cache."""


class NumpyEngine:
    """A model's forward pass; see `engine.Engine`.

    Weights are looked at when they are first used: a model that only decodes never reads those of
    its encoder. A batch is computed in one thread; several threads can use an engine at once.
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
        config: What to compute.
        arrays: float32 or float16 arrays by published name.
        source: Where they come from, for messages.
        with_encoder: Whether the model can encode.

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
        """Posterior (mu, sigma), both `[B, Z]`, of inputs `[B, T, Din]`; see `batches.Batch`.

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
        """Samples `[B, T, D]` and their lengths; see `FlatDecoder.sample`."""
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
        """What is expected of every step, told the steps before; see `engine.Engine`."""
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
    """Slices of at most `_MOST_EXAMPLES` of so many examples, all about as long."""
    number = max(1, math.ceil(count / _MOST_EXAMPLES))
    ends = [count * n // number for n in range(number + 1)]
    return [slice(*pair) for pair in itertools.pairwise(ends)]


class _Posterior:
    """q(z | x): a diagonal Gaussian whose parameters are linear in the encoder's embedding."""

    def __init__(self, encoder: EncoderPlan, plan: PosteriorPlan, weights: Weights) -> None:
        self._encoder = build_encoder(encoder, weights)
        self._mu, self._sigma = Dense(plan.mu, weights), Dense(plan.sigma, weights)

    def of(self, inputs: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(mu, sigma) of inputs `[B, T, D]`; sigma by softplus."""
        embedding = self._encoder.encode(inputs, lengths)
        return self._mu(embedding), np.logaddexp(self._sigma(embedding), np.float32(0))
