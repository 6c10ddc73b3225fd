"""MusicVAE (Roberts et al. 2018): encode, sample z, decode, loss. Start reading here.

    x --encoder--> embedding --posterior--> mu, sigma --> z = mu + sigma * noise
    z --decoder--> parameters of p(x | z) --> loss, or samples

The model knows arrays, not notes, and keeps no step counter and no random state: both are
arguments. What its parts are made of is in `music_vae.nn`.
"""

import functools
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from music_vae.common.batches import Batch
from music_vae.common.errors import UserError
from music_vae.common.hparams import HParams
from music_vae.common.part_fit import check_parts
from music_vae.common.specs import (
    BooleanHeadSpec,
    CategoricalHeadSpec,
    FlatDecoderSpec,
    GrooveHeadSpec,
    HeadSpec,
    HierarchicalDecoderSpec,
    MultiCategoricalHeadSpec,
    NadeHeadSpec,
    SplitDecoderSpec,
)
from music_vae.configs import Config
from music_vae.nn import heads, latent, schedules
from music_vae.nn.decoders import (
    Decoder,
    FlatDecoder,
    Policy,
    Reconstruction,
    Samples,
    SplitDecoder,
)
from music_vae.nn.encoders import (
    BidirectionalLstmEncoder,
    Encoder,
    HierarchicalLstmEncoder,
    LstmEncoder,
    build_encoder,
)
from music_vae.nn.hierarchy import HierarchicalDecoder
from music_vae.nn.rnn import Dropout

__all__ = [
    "BidirectionalLstmEncoder",
    "Dropout",
    "FlatDecoder",
    "HierarchicalDecoder",
    "HierarchicalLstmEncoder",
    "Loss",
    "LstmEncoder",
    "MusicVAE",
    "Policy",
    "SplitDecoder",
    "build_model",
]


class Loss(NamedTuple):
    """What a batch costs: scalars in nats, the mean over its examples.

    Attributes:
      total: recon + beta * kl_cost.
      recon: Negative log-likelihood of the targets, summed over the steps.
      kl: KL divergence of posterior and prior.
      kl_cost: The part of it above the free bits.
      beta: Weight of `kl_cost` at this step.
      statistics: Sums over the batch that `decoder.summarize` turns into metrics.
    """

    total: tf.Tensor
    recon: tf.Tensor
    kl: tf.Tensor
    kl_cost: tf.Tensor
    beta: tf.Tensor
    statistics: dict[str, tf.Tensor]


class MusicVAE(keras.Model):
    """A recurrent variational autoencoder of sequences; without an encoder, its decoder alone."""

    def __init__(
        self, encoder: Encoder | None, decoder: Decoder, hparams: HParams, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.hparams = hparams
        self.encoder = encoder
        self.posterior = None
        if encoder is not None:
            self.posterior = latent.GaussianPosterior(
                encoder.output_size, hparams.latent_size, name="posterior"
            )
        self.decoder = decoder

    def encode(
        self,
        inputs: tf.Tensor,
        lengths: tf.Tensor,
        controls: tf.Tensor,
        dropout: Dropout | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Posterior (mu, sigma), both `[B, Z]`, of inputs `[B, T, Din]`; see `Batch`.

        Raises:
          UserError: If the model has no latent space.
        """
        if self.encoder is None or self.posterior is None:
            raise UserError("this model has no encoder")
        lengths = tf.minimum(lengths, self.hparams.max_seq_len)
        inputs = tf.concat([inputs, controls], axis=-1)[:, : self.hparams.max_seq_len]
        return self.posterior(self.encoder(inputs, lengths, dropout=dropout))

    def reconstruct(self, z: tf.Tensor, batch: Batch, policy: Policy) -> Reconstruction:
        """Decodes z `[B, Z]` towards the batch's targets; see `Decoder.reconstruct`."""
        steps = self.hparams.max_seq_len
        lengths = tf.minimum(batch.lengths, steps)
        targets, controls = batch.targets[:, :steps], batch.controls[:, :steps]
        return self.decoder.reconstruct(z, targets, controls, lengths, policy)

    def elbo_loss(self, batch: Batch, *, step: tf.Tensor, policy: Policy) -> Loss:
        """The negative evidence lower bound, with beta and free bits (Roberts et al., section 2.1).

        Args:
          batch: Examples.
          step: Number of the training step, for beta.
          policy: Where the decoder's inputs come from, and all the noise there is.
        """
        if self.encoder is None:
            none = tf.zeros([tf.shape(batch.targets)[0], 0])
            return self.elbo_loss_at(none, none, none, batch, step=step, policy=policy)
        noise = policy.fold(0)
        mu, sigma = self.encode(batch.inputs, batch.lengths, batch.controls, noise.dropout)
        z = latent.draw(mu, sigma, noise.seed, noise.shard)
        return self.elbo_loss_at(z, mu, sigma, batch, step=step, policy=policy.fold(1))

    def elbo_loss_at(
        self,
        z: tf.Tensor,
        mu: tf.Tensor,
        sigma: tf.Tensor,
        batch: Batch,
        *,
        step: tf.Tensor,
        policy: Policy,
    ) -> Loss:
        """`elbo_loss` with z given, `[B, Z]`, instead of drawn from the posterior (mu, sigma)."""
        result = self.reconstruct(z, batch, policy)
        recon = tf.reduce_mean(result.loss_nats)
        kl_nats = tf.zeros_like(result.loss_nats)
        if self.encoder is not None:
            kl_nats = latent.kl_divergence(mu, sigma)
        kl_cost = tf.reduce_mean(latent.kl_cost(kl_nats, self.hparams.free_bits))
        beta = tf.cast(schedules.beta(self.hparams, tf.cast(step, tf.float32)), recon.dtype)
        return Loss(
            total=recon + beta * kl_cost,
            recon=recon,
            kl=tf.reduce_mean(kl_nats),
            kl_cost=kl_cost,
            beta=beta,
            statistics={
                name: tf.reduce_sum(value, axis=0) for name, value in result.statistics.items()
            },
        )

    def sample(
        self,
        z: tf.Tensor,
        controls: tf.Tensor,
        noise: tf.Tensor,
        *,
        temperature: tf.Tensor | float,
        end_token: int | None = None,
    ) -> Samples:
        """Decodes z `[B, Z]` on the model's own samples; see `Decoder.sample`."""
        return self.decoder.sample(z, controls, noise, temperature=temperature, end_token=end_token)


# -- From values to layers ------------------------------------------------------------------------


def build_model(config: Config, *, with_encoder: bool = True) -> MusicVAE:
    """Fresh layers, with fresh weights, for what `config` describes.

    Weights are drawn by Keras: `keras.utils.set_random_seed` makes them repeatable.

    Args:
      config: What to build.
      with_encoder: Whether there is an encoder, which can be the larger part of a model and which
        sampling does not need.

    Raises:
      UserError: If the parts of the config do not fit each other.
    """
    check_parts(config)
    converter, hparams = config.data_converter, config.hparams
    encoder = None
    if hparams.latent_size and with_encoder:
        encoder = build_encoder(
            config.encoder,
            converter.input_depth + converter.control_depth,
            hparams,
            one_hots=converter.input_one_hots,
        )
    return MusicVAE(encoder, _build_decoder(config, encoder), hparams, name="music_vae")


def _build_decoder(config: Config, encoder: Encoder | None) -> Decoder:
    spec, hparams, converter = config.decoder, config.hparams, config.data_converter
    depths = {"output_depth": converter.output_depth, "control_depth": converter.control_depth}
    if not isinstance(spec, HierarchicalDecoderSpec):
        return _build_core(spec, hparams, **depths, z_size=hparams.latent_size, name="decoder")
    make_core = functools.partial(_build_core, spec.core, hparams, **depths, name="core_decoder")
    return HierarchicalDecoder(
        spec,
        hparams,
        make_core=lambda size: make_core(z_size=size),
        reencoder=_build_reencoder(config, encoder),
        name="decoder",
    )


def _build_reencoder(config: Config, encoder: Encoder | None) -> HierarchicalLstmEncoder | None:
    """What encodes segments to be read back: the model's own encoder, where it is a hierarchy."""
    spec, converter = config.decoder, config.data_converter
    if not isinstance(spec, HierarchicalDecoderSpec) or spec.reencoder is None:
        return None
    if not isinstance(encoder, HierarchicalLstmEncoder):
        return HierarchicalLstmEncoder(
            spec.reencoder, converter.output_depth, config.hparams, top=False, name="reencoder"
        )
    return encoder


def _build_core(
    spec: FlatDecoderSpec | SplitDecoderSpec,
    hparams: HParams,
    *,
    z_size: int,
    output_depth: int,
    control_depth: int,
    name: str,
) -> FlatDecoder | SplitDecoder:
    """A decoder without a hierarchy, for latent vectors of width `z_size`."""
    if isinstance(spec, FlatDecoderSpec):
        return FlatDecoder(
            _build_head(spec.head, output_depth, hparams),
            hparams,
            z_size=z_size,
            control_depth=control_depth,
            preprocess_controls=spec.preprocess_controls,
            name=name,
        )
    cores = []
    for number, (core, depth) in enumerate(zip(spec.cores, spec.depths, strict=True)):
        built = _build_core(
            core,
            hparams,
            z_size=z_size,
            output_depth=depth,
            control_depth=control_depth,
            name=f"core_decoder_{number}",
        )
        assert isinstance(built, FlatDecoder)
        cores.append(built)
    return SplitDecoder(cores, name=name)


def _build_head(spec: HeadSpec, depth: int, hparams: HParams) -> heads.Head:
    if isinstance(spec, MultiCategoricalHeadSpec):
        return heads.MultiCategoricalHead(spec.depths, name="head")
    if isinstance(spec, NadeHeadSpec):
        return heads.NadeHead(depth, hparams.nade_num_hidden, name="head")
    kinds: dict[type, type[heads.Head]] = {
        CategoricalHeadSpec: heads.CategoricalHead,
        BooleanHeadSpec: heads.BooleanHead,
        GrooveHeadSpec: heads.GrooveHead,
    }
    return kinds[type(spec)](depth, name="head")
