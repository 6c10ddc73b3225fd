"""MusicVAE (Roberts et al. 2018): encode, sample z, decode, loss. Start reading here.

    x --encoder--> embedding --posterior--> mu, sigma --> z = mu + sigma * noise
    z --decoder--> parameters of p(x | z) --> loss, or samples

The model knows arrays, not notes, and keeps no step counter and no random state: both are
arguments. What its parts are made of is in `music_vae.nn`.
"""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from music_vae import schedules
from music_vae.configs import Config
from music_vae.nn import latent
from music_vae.nn.decoders import FlatDecoder, Samples, build_decoder, shifted
from music_vae.nn.encoders import BidirectionalLstmEncoder, build_encoder
from music_vae.specs import Batch, HParams

__all__ = ["Batch", "BidirectionalLstmEncoder", "FlatDecoder", "Loss", "MusicVAE", "build_model"]


class Loss(NamedTuple):
    """What a batch costs: scalars in nats, the mean over its examples.

    Attributes:
      total: recon + beta * kl_cost.
      recon: Negative log-likelihood of the targets, summed over the steps.
      kl: KL divergence of posterior and prior.
      kl_cost: The part of it above the free bits.
      beta: Weight of `kl_cost` at this step.
      statistics: Sums that the decoder's head turns into metrics.
    """

    total: tf.Tensor
    recon: tf.Tensor
    kl: tf.Tensor
    kl_cost: tf.Tensor
    beta: tf.Tensor
    statistics: dict[str, tf.Tensor]


class MusicVAE(keras.Model):
    """A recurrent variational autoencoder of sequences."""

    def __init__(
        self,
        encoder: BidirectionalLstmEncoder,
        decoder: FlatDecoder,
        hparams: HParams,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.hparams = hparams
        self.encoder = encoder
        self.posterior = latent.GaussianPosterior(
            encoder.output_size, hparams.z_size, name="posterior"
        )
        self.decoder = decoder

    def encode(
        self, inputs: tf.Tensor, lengths: tf.Tensor, controls: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Posterior (mu, sigma), both `[B, Z]`, of inputs `[B, T, Din]`; see `Batch`."""
        lengths = tf.minimum(lengths, self.hparams.max_seq_len)
        inputs = tf.concat([inputs, controls], axis=-1)[:, : self.hparams.max_seq_len]
        return self.posterior(self.encoder(inputs, lengths))

    def decode(self, z: tf.Tensor, targets: tf.Tensor, controls: tf.Tensor) -> tf.Tensor:
        """Teacher-forced parameters `[B, T, P]` of p(targets | z)."""
        return self.decoder(z, shifted(targets), controls)

    def reconstruction(
        self, z: tf.Tensor, batch: Batch, *, sampling_probability: Any, seed: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Loss in nats per example `[B]`, and the head's statistics.

        Args:
          z: `[B, Z]`.
          batch: The batch to reconstruct.
          sampling_probability: How often the decoder reads its own samples; the number 0 means
            plain teacher forcing.
          seed: int32 `[2]`.
        """
        steps = self.hparams.max_seq_len
        targets, controls = batch.targets[:, :steps], batch.controls[:, :steps]
        inputs = shifted(targets)
        if not (isinstance(sampling_probability, float) and sampling_probability == 0):
            inputs = self.decoder.scheduled_inputs(z, targets, controls, sampling_probability, seed)
        parameters = self.decoder(z, inputs, controls)
        lengths = tf.minimum(batch.lengths, steps)
        mask = tf.sequence_mask(lengths, tf.shape(targets)[1], parameters.dtype)
        loss = tf.reduce_sum(self.decoder.head.loss(parameters, targets) * mask, axis=1)
        return loss, self.decoder.head.statistics(parameters, targets, mask)

    def elbo_loss(
        self, batch: Batch, *, step: tf.Tensor, sampling_probability: Any, seed: tf.Tensor
    ) -> Loss:
        """The negative evidence lower bound, with beta and free bits (Roberts et al., section 2.1).

        Args:
          batch: Examples.
          step: Number of the training step, for beta.
          sampling_probability: See `reconstruction`.
          seed: int32 `[2]`, for z and for scheduled sampling.
        """
        mu, sigma = self.encode(batch.inputs, batch.lengths, batch.controls)
        seeds = tf.random.experimental.stateless_split(seed, 2)
        z = latent.draw(mu, sigma, seeds[0])
        return self.elbo_loss_at(
            z, mu, sigma, batch, step=step, sampling_probability=sampling_probability, seed=seeds[1]
        )

    def elbo_loss_at(
        self,
        z: tf.Tensor,
        mu: tf.Tensor,
        sigma: tf.Tensor,
        batch: Batch,
        *,
        step: tf.Tensor,
        sampling_probability: Any,
        seed: tf.Tensor,
    ) -> Loss:
        """`elbo_loss` with z given, `[B, Z]`, instead of drawn from the posterior (mu, sigma)."""
        recon_nats, statistics = self.reconstruction(
            z, batch, sampling_probability=sampling_probability, seed=seed
        )
        kl_nats = latent.kl_divergence(mu, sigma)
        recon, kl = tf.reduce_mean(recon_nats), tf.reduce_mean(kl_nats)
        kl_cost = tf.reduce_mean(latent.kl_cost(kl_nats, self.hparams.free_bits))
        beta = tf.cast(schedules.beta(self.hparams, tf.cast(step, tf.float32)), recon.dtype)
        return Loss(recon + beta * kl_cost, recon, kl, kl_cost, beta, statistics)

    def sample(
        self,
        z: tf.Tensor,
        controls: tf.Tensor,
        noise: tf.Tensor,
        *,
        temperature: tf.Tensor | float,
        end_token: int | None = None,
    ) -> Samples:
        """Decodes z `[B, Z]` on the model's own samples; see `FlatDecoder.sample`."""
        return self.decoder.sample(z, controls, noise, temperature=temperature, end_token=end_token)


def build_model(config: Config) -> MusicVAE:
    """Fresh layers, with fresh weights, for what `config` describes.

    Weights are drawn by Keras: `keras.utils.set_random_seed` makes them repeatable.
    """
    converter, hparams = config.data_converter, config.hparams
    encoder = build_encoder(
        config.encoder, converter.input_depth + converter.control_depth, hparams
    )
    decoder = build_decoder(
        config.decoder,
        hparams,
        output_depth=converter.output_depth,
        control_depth=converter.control_depth,
    )
    return MusicVAE(encoder, decoder, hparams, name="music_vae")
