"""Defines MusicVAE (Roberts et al. 2018): encode, sample z, decode, loss. Start reading here.

    x --encoder--> embedding --posterior--> mu, sigma --> z = mu + sigma * noise
    z --decoder--> parameters of p(x | z) --> loss, or samples

The model knows arrays, not notes. The number of the training step and the seeds of its noise are
arguments, so that it keeps no state but its weights. Its parts are defined in `music_vae.nn`.
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
    """The loss of a batch: scalars in nats, means over its examples.

    >>> loss = Loss(total=4.2, recon=4.0, kl=3.0, kl_cost=1.0, beta=0.2, statistics={})
    >>> loss.recon + loss.beta * loss.kl_cost  # the total
    4.2

    Attributes:
      total: The negative evidence lower bound, recon + beta * kl_cost: what training minimises.
      recon: Negative log-likelihood of the targets, summed over the steps.
      kl: KL divergence of the posterior from the prior.
      kl_cost: The part of the KL divergence above the free bits.
      beta: Weight of `kl_cost` at this training step.
      statistics: Sums over the batch, from which `decoder.summarize` computes metrics.
    """

    total: tf.Tensor
    recon: tf.Tensor
    kl: tf.Tensor
    kl_cost: tf.Tensor
    beta: tf.Tensor
    statistics: dict[str, tf.Tensor]


class MusicVAE(keras.Model):
    """A recurrent variational autoencoder of sequences; without an encoder, a decoder alone.

    >>> from music_vae.configs import get_config
    >>> config = get_config("cat-mel_2bar_small", "z_size=4,enc_rnn_size=[5],dec_rnn_size=[6]")
    >>> model = build_model(config)
    >>> _ = model.decoder.output_projection.kernel.assign(tf.zeros([6, 90]))  # all tokens equal
    >>> tune = tf.one_hot([[41, 0, 0, 0, 45, 0, 0, 0, 48, 0, 0, 0, 1, 0, 0, 0] * 2], 90)  # C, E, G
    >>> batch = Batch(inputs=tune, targets=tune, controls=tf.zeros([1, 32, 0]), lengths=[32])
    >>> loss = model.elbo_loss(batch, step=0, policy=Policy(0.0, tf.constant([1, 2])))
    >>> print(loss.recon.numpy().round(2))  # 32 ln 90
    143.99
    >>> mu, sigma = model.encode(batch.inputs, batch.lengths, batch.controls)
    >>> samples, *_ = model.sample(mu, batch.controls, tf.fill([1, 32, 1], 0.5), temperature=1.0)
    >>> mu.shape, samples.shape
    (TensorShape([1, 4]), TensorShape([1, 32, 90]))

    Args:
      spec: The plan of the model; a config has it.
      hparams: Hyper-parameters: the length of sequences, free bits, and beta.
    """

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
        """Returns the posterior (mu, sigma), both `[B, Z]`, of inputs `[B, T, Din]`; see `Batch`.

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
        """Returns the negative evidence lower bound, with beta and free bits (section 2.1).

        Args:
          batch: Examples.
          step: Number of the training step, on which beta depends.
          policy: Says where the decoder's inputs come from, and holds the seeds of all noise.
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
        """Returns `elbo_loss` for a z `[B, Z]` that was drawn from the posterior (mu, sigma)."""
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
        """Decodes z `[B, Z]`, each step reading the sample before it; see `Decoder.sample`."""
        return self.decoder.sample(z, controls, noise, temperature=temperature, end_token=end_token)


# -- From values to layers ------------------------------------------------------------------------


def build_model(config: Config, *, with_encoder: bool = True) -> MusicVAE:
    """Builds the model that a config describes, with new random weights.

    Keras draws the weights: `keras.utils.set_random_seed` makes them repeatable.

    >>> from music_vae.configs import get_config
    >>> config = get_config("cat-mel_2bar_small", "z_size=4,enc_rnn_size=[5],dec_rnn_size=[6]")
    >>> for encodes in (True, False):
    ...     model = build_model(config, with_encoder=encodes)
    ...     print(sum(weight.numpy().size for weight in model.weights), "weights")
    7042 weights
    3114 weights

    Args:
      config: The config to build.
      with_encoder: If False, the encoder is left out; it can be the larger part of a model, and
        sampling does not need it.

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
