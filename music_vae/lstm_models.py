"""MusicVAE (Roberts et al. 2018): encode, sample z, decode, loss. Start reading here.

    x --encoder--> embedding --posterior--> mu, sigma --> z = mu + sigma * noise
    z --decoder--> parameters of p(x | z) --> loss, or samples

The model knows arrays, not notes, and keeps no step counter and no random state: both are
arguments. What its parts are made of is in `music_vae.nn`.
"""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from music_vae.common.batches import Batch
from music_vae.common.errors import UserError
from music_vae.common.hparams import HParams
from music_vae.common.model_spec import ModelSpec
from music_vae.common.plans import DecoderPlan, HierarchicalDecoderPlan
from music_vae.configs import Config
from music_vae.nn import latent, schedules
from music_vae.nn.decoders import Decoder, FlatDecoder, SplitDecoder, build_core
from music_vae.nn.decoding import Policy, Reconstruction, Samples
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
    "Decoder",
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

    def __init__(self, spec: ModelSpec, hparams: HParams, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.spec, self.hparams = spec, hparams
        # Layers draw their first weights when they are built: a seed gives those of this order.
        encoder = None if spec.encoder is None else build_encoder(spec.encoder)
        decoder = _build_decoder(spec.decoder, encoder)
        self.encoder, self.posterior = encoder, None
        if spec.posterior is not None:
            self.posterior = latent.GaussianPosterior(spec.posterior, name="posterior")
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
    spec = config.model_spec if with_encoder else config.model_spec.without_encoder()
    return MusicVAE(spec, config.hparams, name="music_vae")


def _build_decoder(plan: DecoderPlan, encoder: Encoder | None) -> Decoder:
    if not isinstance(plan, HierarchicalDecoderPlan):
        return build_core(plan, name="decoder")
    hierarchy = encoder if isinstance(encoder, HierarchicalLstmEncoder) else None
    return HierarchicalDecoder(plan, hierarchy, name="decoder")
