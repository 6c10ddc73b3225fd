"""Trains the small VAE of a personal model on the posteriors of some windows.

    loss = mean over windows of  sum over Z of (z - decoded)^2 / (2 * mean variance of posteriors)
                                 + beta * KL(q(u|z) || N(0, 1))

At every step, z is drawn anew from its posterior. A dimension that the large model does not use has
a variance near 1 and counts little. This module knows arrays only, and no music.
"""

import dataclasses
from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf

from music_vae.common import checks
from music_vae.latent.small_networks import Layers
from music_vae.training.dense_networks import arrays_of, dense_network


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of the training.

    >>> dataclasses.replace(Settings(), size=2).hidden
    (256, 64)

    Attributes:
      size: Number of dimensions of the latent space of the small VAE.
      hidden: Number of units of each hidden layer of its encoder; the decoder has them in reverse.
      batch_size: Number of windows of a step, drawn with replacement.
      learning_rate: Learning rate of Adam.
      beta: Weight of the KL divergence.
      seed: Seed of the random generators.
    """

    size: int = 4
    hidden: tuple[int, ...] = (256, 64)
    batch_size: int = 64
    learning_rate: float = 1e-3
    beta: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        checks.check_numbers(self, checks.UNITS, "size")
        checks.check_numbers(self, checks.BATCH_SIZE, "batch_size")
        checks.check_numbers(self, checks.LEARNING_RATE, "learning_rate")
        checks.check_numbers(self, checks.WEIGHT, "beta")
        checks.check_numbers(self, checks.SEED, "seed")


def train(
    mu: np.ndarray, sigma: np.ndarray, steps: Iterable[int], settings: Settings
) -> tuple[Layers, float]:
    """Trains on posteriors; returns the layers of the decoder, and the KL divergence in nats.

    >>> mu, sigma = np.zeros((10, 8), np.float32), np.ones((10, 8), np.float32)
    >>> settings = Settings(size=2, hidden=(4,), batch_size=5)
    >>> layers, kl_nats = train(mu, sigma, range(3), settings)
    >>> [kernel.shape for kernel, bias in layers]  # from 2 dimensions to the model's 8
    [(2, 4), (4, 8)]

    Args:
      mu: Means of the posteriors, `[N, Z]`.
      sigma: Standard deviations of the posteriors, `[N, Z]`.
      steps: An iterable of which each item is a step to be taken.
      settings: The settings of the training.

    Returns:
      The layers, and the mean KL divergence over the last tenth of the steps.
    """
    rng = np.random.default_rng(settings.seed)
    z_size = mu.shape[1]
    seeds = rng.integers(2**31, size=2)
    encoder = dense_network(z_size, settings.hidden, 2 * settings.size, seeds[0])
    decoder = dense_network(settings.size, settings.hidden[::-1], z_size, seeds[1])
    # The decoder begins at the mean of the music, from where a few windows are soon reached.
    decoder.layers[-1].bias.assign(mu.mean(axis=0))
    variables = encoder.trainable_variables + decoder.trainable_variables
    optimizer = keras.optimizers.Adam(settings.learning_rate)
    optimizer.build(variables)
    precision = tf.constant(1 / np.mean(sigma**2, axis=0), tf.float32)

    @tf.function
    def step(z: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            mean, log_sigma = tf.split(encoder(z), 2, axis=1)
            made = decoder(mean + tf.exp(log_sigma) * noise)
            error = tf.reduce_sum((z - made) ** 2 * precision / 2, axis=1)
            kl = tf.reduce_sum((mean**2 + tf.exp(2 * log_sigma) - 1) / 2 - log_sigma, axis=1)
            loss = tf.reduce_mean(error + settings.beta * kl)
        gradients = tape.gradient(loss, variables)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return tf.reduce_mean(kl)

    history = []
    for _ in steps:
        chosen = rng.integers(len(mu), size=settings.batch_size)
        z = mu[chosen] + sigma[chosen] * rng.standard_normal((settings.batch_size, z_size))
        noise = rng.standard_normal((settings.batch_size, settings.size))
        history.append(step(tf.constant(z, tf.float32), tf.constant(noise, tf.float32)))
    last = np.mean(np.array(history[-max(len(history) // 10, 1) :], np.float64))
    return arrays_of(decoder), float(last)
