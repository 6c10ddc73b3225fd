"""Trains the actor of a latent constraint against its critics (Engel, Hoffman and Roberts 2018).

    realism critic    D(z): logit that z is drawn from the posterior of a real window, and neither
                      from the prior nor moved by the actor
    attribute critic  C(z): logits that the attributes of the window of z are high
    actor             G(z, wanted) with z from the prior, trained to minimise
                      bce(D(G), 1) + sum over wanted attributes of bce(C(G), wanted)
                      + weight * mean over Z of log(1 + (G - z)^2) / (mean variance of posteriors)

All are dense networks with ReLUs; `bce` is the binary cross-entropy. This module knows arrays only,
and no music.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from music_vae.common import checks
from music_vae.latent.small_networks import Layers
from music_vae.training.dense_networks import arrays_of, dense_network


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of the training.

    >>> dataclasses.replace(Settings(), batch_size=64).hidden
    (256, 256, 256)

    Attributes:
      hidden: Number of units of each hidden layer, in all networks.
      batch_size: Number of latent vectors of a step from posteriors, and as many from the prior.
      learning_rate: Learning rate of Adam.
      distance_weight: Weight of the distance by which the actor moves a latent vector.
      asked: Probability with which the actor is asked for a side of an attribute.
      any_music: Share of the latent vectors for which it is asked for no attribute at all.
      seed: Seed of the random generators.
    """

    hidden: tuple[int, ...] = (256, 256, 256)
    batch_size: int = 256
    learning_rate: float = 1e-3
    distance_weight: float = 0.1
    asked: float = 0.4
    any_music: float = 0.3
    seed: int = 0

    def __post_init__(self) -> None:
        checks.check_numbers(self, checks.BATCH_SIZE, "batch_size")
        checks.check_numbers(self, checks.LEARNING_RATE, "learning_rate")
        checks.check_numbers(self, checks.WEIGHT, "distance_weight")
        checks.check_numbers(self, checks.SHARE, "asked", "any_music")
        checks.check_numbers(self, checks.SEED, "seed")


class Encoded(NamedTuple):
    """Windows of real music, as their posteriors and attributes.

    >>> data = Encoded(np.zeros((3, 8)), np.ones((3, 8)), labels=np.array([[1], [0], [-1]]))
    >>> data.labels[:, 0].tolist()  # a busy window, one in between, and a calm one
    [1, 0, -1]

    Attributes:
      mu: Means of the posteriors, `[N, Z]`.
      sigma: Standard deviations of the posteriors, `[N, Z]`.
      labels: For each attribute 1 if it is high, -1 if it is low, and 0 in between, `[N, A]`.
    """

    mu: np.ndarray
    sigma: np.ndarray
    labels: np.ndarray


class Losses(NamedTuple):
    """The terms of the losses of a step, before they are weighted.

    >>> losses = Losses(critic=2.1, attributes=0.7, realism=0.7, wanted=0.7, distance=0.1)
    >>> losses.critic
    2.1

    Attributes:
      critic: Cross-entropy of the realism critic.
      attributes: Cross-entropy of the attribute critic.
      realism: Cross-entropy of the realism that the actor is to reach.
      wanted: Cross-entropy of the attributes that the actor is asked for.
      distance: Distance by which the actor moves latent vectors.
    """

    critic: float
    attributes: float
    realism: float
    wanted: float
    distance: float


def train(
    data: Encoded, sides: Sequence[Sequence[int]], steps: Iterable[int], settings: Settings
) -> tuple[Layers, Losses]:
    """Trains an actor and its critics; returns the layers of the actor, and the losses.

    >>> windows = Encoded(np.zeros((3, 8)), np.ones((3, 8)), np.array([[1], [0], [-1]]))
    >>> settings = Settings(hidden=(4,), batch_size=5)
    >>> layers, losses = train(windows, [(1, -1)], range(3), settings)
    >>> [kernel.shape for kernel, bias in layers]  # z and 1 attribute; then target and gate
    [(9, 4), (4, 16)]

    Args:
      data: The windows.
      sides: For each attribute the sides that the actor may be asked for, of 1 and -1.
      steps: An iterable of which each item is a step to be taken.
      settings: The settings of the training.

    Returns:
      The layers, and the mean losses over the last tenth of the steps.
    """
    rng = np.random.default_rng(settings.seed)
    trainer = _Trainer(data, settings)
    history = []
    for _ in steps:
        chosen = rng.integers(len(data.mu), size=settings.batch_size)
        noise = rng.standard_normal((2, settings.batch_size, data.mu.shape[1]))
        real = data.mu[chosen] + data.sigma[chosen] * noise[0]
        wanted = _draw_wanted(rng, sides, settings)
        batch = (real, data.labels[chosen], noise[1], wanted)
        history.append(trainer.step(*(tf.constant(array, tf.float32) for array in batch)))
    last = np.mean(np.array(history[-max(len(history) // 10, 1) :], np.float64), axis=0)
    return arrays_of(trainer.actor), Losses(*map(float, last))


class _Trainer:
    """The networks with their optimizers."""

    def __init__(self, data: Encoded, settings: Settings) -> None:
        z_size, count = data.mu.shape[1], data.labels.shape[1]
        seeds = np.random.default_rng([settings.seed, 1]).integers(2**31, size=3)
        self.actor = dense_network(z_size + count, settings.hidden, 2 * z_size, seeds[0])
        self._realism = dense_network(z_size, settings.hidden, 1, seeds[1])
        self._attributes = dense_network(z_size, settings.hidden, max(count, 1), seeds[2])
        self._weight = settings.distance_weight
        self._variance = tf.constant(np.mean(data.sigma**2, axis=0), tf.float32)
        self._sides = tf.constant(_weights_of_sides(data.labels), tf.float32)
        self._actor_optimizer, self._critic_optimizer = (
            keras.optimizers.Adam(settings.learning_rate) for _ in range(2)
        )
        self._actor_optimizer.build(self.actor.trainable_variables)
        self._critic_optimizer.build(self._critic_variables)

    @property
    def _critic_variables(self) -> list[keras.Variable]:
        asked = self._attributes.trainable_variables if self._sides.shape[1] else []
        return self._realism.trainable_variables + asked

    @tf.function
    def step(
        self, real: tf.Tensor, labels: tf.Tensor, prior: tf.Tensor, wanted: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        """Takes a step of the critics, then one of the actor; returns the terms of `Losses`."""
        moved = self._move(prior, wanted)
        with tf.GradientTape() as tape:
            critic = (
                _bce(self._realism(real), 1.0)
                + _bce(self._realism(prior), 0.0)
                + _bce(self._realism(moved), 0.0)
            )
            attributes = self._labelled(real, labels)
            loss = critic + attributes
        variables = self._critic_variables
        self._critic_optimizer.apply_gradients(
            zip(tape.gradient(loss, variables), variables, strict=True)
        )
        with tf.GradientTape() as tape:
            moved = self._move(prior, wanted)
            realism = _bce(self._realism(moved), 1.0)
            met = self._met(moved, wanted)
            distance = tf.reduce_mean(tf.math.log1p((moved - prior) ** 2) / self._variance)
            loss = realism + met + self._weight * distance
        variables = self.actor.trainable_variables
        self._actor_optimizer.apply_gradients(
            zip(tape.gradient(loss, variables), variables, strict=True)
        )
        return critic, attributes, realism, met, distance

    def _move(self, prior: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
        """Returns latent vectors of the prior, `[B, Z]`, as the actor moves them."""
        target, gate = tf.split(self.actor(tf.concat([prior, wanted], axis=1)), 2, axis=1)
        share = tf.sigmoid(gate)
        return (1 - share) * prior + share * target

    def _labelled(self, z: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Returns the cross-entropy of the labels, weighted so that high and low count the same."""
        if not labels.shape[1]:
            return tf.zeros([])
        weights = tf.where(labels > 0, self._sides[0], self._sides[1]) * tf.abs(labels)
        return tf.reduce_mean(tf.reduce_sum(weights * self._entropy(z, labels), axis=1))

    def _met(self, z: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
        """Returns the cross-entropy of the attributes that are asked for."""
        if not wanted.shape[1]:
            return tf.zeros([])
        return tf.reduce_mean(tf.reduce_sum(tf.abs(wanted) * self._entropy(z, wanted), axis=1))

    def _entropy(self, z: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        return tf.nn.sigmoid_cross_entropy_with_logits((labels + 1) / 2, self._attributes(z))


def _draw_wanted(
    rng: np.random.Generator, sides: Sequence[Sequence[int]], settings: Settings
) -> np.ndarray:
    """Draws what the actor is asked for, `[B, A]`: sides of some attributes, 0 for the others."""
    columns = [rng.choice(list(choice), settings.batch_size) for choice in sides]
    shape = (len(sides), settings.batch_size)
    asked = rng.random(shape) < settings.asked
    asked &= rng.random(settings.batch_size) >= settings.any_music
    return (np.reshape(columns, shape) * asked).T


def _weights_of_sides(labels: np.ndarray) -> np.ndarray:
    """Returns weights of high and of low windows, `[2, A]`, such that both sides count the same."""
    shares = np.stack([np.mean(labels == side, axis=0) for side in (1, -1)])
    return 0.5 / np.maximum(shares, 1 / max(len(labels), 1))


def _bce(logits: tf.Tensor, label: float) -> tf.Tensor:
    """Returns the mean binary cross-entropy of logits, all with the same label."""
    labels = tf.fill(tf.shape(logits), label)
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels, logits))
