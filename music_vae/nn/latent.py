"""The latent space: posterior, prior, and what their divergence costs."""

import math
from typing import Any

import keras
import tensorflow as tf

from music_vae.common.plans import PosteriorPlan
from music_vae.nn import noise

INITIALIZER_STDDEV = 0.001
"""Of the first weights of what makes or reads z, by which all examples begin alike."""


class GaussianPosterior(keras.layers.Layer):
    """q(z | x): a diagonal Gaussian whose parameters are linear in the encoder's embedding."""

    def __init__(self, plan: PosteriorPlan, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        initializer = keras.initializers.RandomNormal(stddev=INITIALIZER_STDDEV)
        self.mu = keras.layers.Dense(plan.mu.units, kernel_initializer=initializer, name="mu")
        self.sigma = keras.layers.Dense(
            plan.sigma.units, activation="softplus", kernel_initializer=initializer, name="sigma"
        )
        self.mu.build((None, plan.mu.input_size))
        self.sigma.build((None, plan.sigma.input_size))
        self.built = True

    def call(self, embedding: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Embeddings `[B, H]` to (mu, sigma), both `[B, Z]`, sigma above 0."""
        return self.mu(embedding), self.sigma(embedding)


def draw(
    mu: tf.Tensor, sigma: tf.Tensor, seed: tf.Tensor, shard: noise.Shard = noise.WHOLE
) -> tf.Tensor:
    """z = mu + sigma * noise, `[B, Z]`, differentiable in mu and sigma (Kingma & Welling 2014)."""
    drawn = shard.normal([tf.shape(mu)[0], mu.shape[-1]], seed)
    return mu + sigma * tf.cast(drawn, mu.dtype)


def kl_divergence(mu: tf.Tensor, sigma: tf.Tensor) -> tf.Tensor:
    """KL(N(mu, sigma) || N(0, I)) in nats per example, `[B]`."""
    # Imported where it is used: it takes a second, and making music never needs it.
    import tensorflow_probability as tfp

    posterior = tfp.distributions.MultivariateNormalDiag(mu, sigma)
    prior = tfp.distributions.MultivariateNormalDiag(tf.zeros_like(mu), tf.ones_like(sigma))
    return tfp.distributions.kl_divergence(posterior, prior)


def kl_cost(kl_nats: tf.Tensor, free_bits: float) -> tf.Tensor:
    """max(KL - free_bits * ln 2, 0) per example: the part of the divergence that costs."""
    return tf.maximum(kl_nats - free_bits * math.log(2.0), 0.0)
