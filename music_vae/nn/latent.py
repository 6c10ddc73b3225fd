"""Defines what surrounds the latent vector z: its posterior, its prior, their KL divergence, and
the layer that turns z into the initial state of an LSTM.
"""

import math
from typing import Any

import keras
import tensorflow as tf

from music_vae.common.plans import DensePlan, PosteriorPlan
from music_vae.nn import noise

INITIALIZER_STDDEV = 0.001
"""Spread of the initial weights that make or read z: so small that all examples begin alike."""


class GaussianPosterior(keras.layers.Layer):
    """The posterior q(z | x): a diagonal Gaussian computed from the encoder's embedding.

    mu is linear in the embedding, and sigma is the softplus of another linear function of it.

    >>> mu, sigma = DensePlan("mu", input_size=3, units=2), DensePlan("sigma", 3, 2)
    >>> posterior = GaussianPosterior(PosteriorPlan(mu, sigma))
    >>> mu, sigma = posterior(tf.zeros([1, 3]))
    >>> print(mu.numpy(), sigma.numpy().round(3))  # softplus(0) = ln 2
    [[0. 0.]] [[0.693 0.693]]
    """

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
        """Returns (mu, sigma), both `[B, Z]` and sigma above 0, of embeddings `[B, H]`."""
        return self.mu(embedding), self.sigma(embedding)


def draw(
    mu: tf.Tensor, sigma: tf.Tensor, seed: tf.Tensor, shard: noise.Shard = noise.WHOLE
) -> tf.Tensor:
    """Draws z = mu + sigma * noise, `[B, Z]`, from N(mu, sigma), both `[B, Z]`.

    It is differentiable in mu and sigma: the reparametrisation trick (Kingma & Welling 2014).

    >>> mu, seed = tf.constant([[3.0, -1.0]]), tf.constant([1, 2])
    >>> print(draw(mu, tf.constant([[1.0, 0.0]]), seed).numpy().round(2))  # sigma 0 leaves mu
    [[ 3.54 -1.  ]]

    Args:
      mu: Means.
      sigma: Standard deviations.
      seed: Seed of the noise, int32 `[2]`.
      shard: The share of a batch that mu and sigma belong to.
    """
    drawn = shard.normal([tf.shape(mu)[0], mu.shape[-1]], seed)
    return mu + sigma * tf.cast(drawn, mu.dtype)


def kl_divergence(mu: tf.Tensor, sigma: tf.Tensor) -> tf.Tensor:
    """Returns KL(N(mu, sigma) || N(0, I)) in nats per example, `[B]`.

    >>> kl_divergence(tf.constant([[0.0, 0.0], [2.0, 0.0]]), tf.ones([2, 2])).numpy().tolist()
    [0.0, 2.0]
    """
    # Imported where it is used: it takes a second, and making music never needs it.
    try:
        import tensorflow_probability as tfp
    except ImportError:  # it is not there, or not yet for this TensorFlow
        return tf.reduce_sum((mu**2 + sigma**2 - 1) / 2 - tf.math.log(sigma), axis=-1)

    posterior = tfp.distributions.MultivariateNormalDiag(mu, sigma)
    prior = tfp.distributions.MultivariateNormalDiag(tf.zeros_like(mu), tf.ones_like(sigma))
    return tfp.distributions.kl_divergence(posterior, prior)


def kl_cost(kl_nats: tf.Tensor, free_bits: float) -> tf.Tensor:
    """Returns max(KL - free_bits * ln 2, 0) per example: the part of the KL divergence that costs.

    >>> print(kl_cost(tf.constant([20.0, 40.0]), free_bits=48).numpy().round(2))  # 33.27 nats free
    [0.   6.73]
    """
    return tf.maximum(kl_nats - free_bits * math.log(2.0), 0.0)


class InitialState(keras.layers.Layer):
    """Turns z `[B, Z]` into initial states `[B, state_size]`: tanh(z . kernel + bias).

    >>> initial_state = InitialState(DensePlan("z_to_initial_state", input_size=2, units=3))
    >>> _ = initial_state.kernel.assign([[1.0, 0.0, -1.0], [0.0, 0.0, 0.0]])
    >>> print(initial_state(tf.constant([[1.0, 5.0]])).numpy().round(2))
    [[ 0.76  0.   -0.76]]
    """

    def __init__(self, plan: DensePlan, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kernel = self.add_weight(
            name="kernel",
            shape=(plan.input_size, plan.units),
            initializer=keras.initializers.RandomNormal(stddev=INITIALIZER_STDDEV),
        )
        self.bias = self.add_weight(name="bias", shape=(plan.units,), initializer="zeros")
        self.built = True

    def call(self, z: tf.Tensor) -> tf.Tensor:
        kernel, bias = tf.convert_to_tensor(self.kernel), tf.convert_to_tensor(self.bias)
        if z.shape[-1]:
            return tf.tanh(z @ kernel + bias)
        # Without z the sum over its rows is zero; a product of width 0 can crash oneDNN.
        state = tf.tanh(tf.reduce_sum(kernel, axis=0) + bias)
        return tf.repeat(state[None], tf.shape(z)[0], axis=0)
