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

from music_vae.common import weight_names as names
from music_vae.common.errors import UserError
from music_vae.common.part_fit import check_parts
from music_vae.common.specs import FlatDecoderSpec, HierarchicalDecoderSpec, SplitDecoderSpec
from music_vae.configs import Config
from music_vae.engine import EVEN_CHANCE, Reconstruction
from music_vae.engine.decoders import Choice, FlatDecoder, Known
from music_vae.engine.encoders import Encoder, HierarchicalEncoder, build_encoder
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
        self._config = config
        self._weights = Weights(arrays, source)
        self._has_encoder = with_encoder and config.hparams.latent_size > 0
        survey = Weights(arrays, source, survey=True)
        self.noise_size = _survey(config, survey, with_encoder=self._has_encoder)
        survey.check(with_encoder=self._has_encoder)

    def encode(
        self, inputs: np.ndarray, lengths: np.ndarray, controls: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Posterior (mu, sigma), both `[B, Z]`, of inputs `[B, T, Din]`; see `batches.Batch`.

        Raises:
          UserError: If the model has no encoder.
        """
        if not self._has_encoder:
            raise UserError("this model has no encoder")
        steps = self._config.hparams.max_seq_len
        read = np.concatenate([inputs, controls], axis=-1, dtype=np.float32)[:, :steps]
        return self._posterior.of(read, np.minimum(lengths, steps))

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
        steps = self._config.hparams.max_seq_len
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
    def _posterior(self) -> "_Posterior":
        return _Posterior(self._config, self._weights)

    @functools.cached_property
    def _decoder(self) -> "FlatDecoder | HierarchicalDecoder":
        return _build_decoder(self._config, self._weights)


def _parts(count: int) -> list[slice]:
    """Slices of at most `_MOST_EXAMPLES` of so many examples, all about as long."""
    number = max(1, math.ceil(count / _MOST_EXAMPLES))
    ends = [count * n // number for n in range(number + 1)]
    return [slice(*pair) for pair in itertools.pairwise(ends)]


def weight_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """The shapes of all weights of the model that `config` describes, by published name."""
    survey = Weights({}, config.name, survey=True)
    _survey(config, survey, with_encoder=config.hparams.latent_size > 0)
    return survey.wanted


def _survey(config: Config, survey: Weights, *, with_encoder: bool) -> int:
    """Takes every weight that the model needs; returns its `noise_size`."""
    check_parts(config)
    if with_encoder:
        _Posterior(config, survey)
    return _build_decoder(config, survey).noise_size


class _Posterior:
    """q(z | x): a diagonal Gaussian whose parameters are linear in the encoder's embedding."""

    def __init__(self, config: Config, weights: Weights) -> None:
        converter, z_size = config.data_converter, config.hparams.latent_size
        input_size = converter.input_depth + converter.control_depth
        self._encoder: Encoder = build_encoder(
            config.encoder, weights, names.ENCODER, input_size, config.hparams
        )
        self._mu, self._sigma = (
            Dense(weights, name, self._encoder.output_size, z_size)
            for name in (names.MU, names.SIGMA)
        )

    def of(self, inputs: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(mu, sigma) of inputs `[B, T, D]`; sigma by softplus."""
        embedding = self._encoder.encode(inputs, lengths)
        return self._mu(embedding), np.logaddexp(self._sigma(embedding), np.float32(0))


def _build_decoder(config: Config, weights: Weights) -> FlatDecoder | HierarchicalDecoder:
    spec, hparams = config.decoder, config.hparams
    if not isinstance(spec, HierarchicalDecoderSpec):
        return _build_core(config, spec, weights, "", hparams.latent_size)
    reencoder = None
    if spec.reencoder is not None:
        # Where it is the model's own encoder, these are the encoder's weights.
        depth = config.data_converter.output_depth
        reencoder = HierarchicalEncoder(
            spec.reencoder, weights, names.ENCODER, depth, hparams, top=False
        )
    core = _build_core(config, spec.core, weights, names.CORE_DECODER, hparams.dec_rnn_size[-1])
    return HierarchicalDecoder(spec, weights, hparams, core=core, reencoder=reencoder)


def _build_core(
    config: Config,
    spec: FlatDecoderSpec | SplitDecoderSpec,
    weights: Weights,
    scope: str,
    z_size: int,
) -> FlatDecoder:
    """A decoder without a hierarchy, for latent vectors of width `z_size`."""
    converter = config.data_converter
    if isinstance(spec, FlatDecoderSpec):
        scopes = [scope]
        spec = SplitDecoderSpec((converter.output_depth,), (spec,))
    else:
        scopes = [names.split_core(scope, number) for number in range(len(spec.cores))]
    return FlatDecoder(
        spec.cores,
        weights,
        scopes,
        config.hparams,
        z_size=z_size,
        depths=spec.depths,
        control_depth=converter.control_depth,
    )
