"""Computes densities and draws of velocities and timing, for the heads of grooves.

A drum that is hit has a velocity from 0 to 1 and an offset from -1 to 1, each from a mixture of
logistic distributions (as Salimans et al. 2017 have for pixels, but of continuous values): a
drummer's timing has a spread, and a single value per hit has none.
"""

from typing import NamedTuple

import tensorflow as tf

from music_vae.common.model_constants import LEAST_SPREAD, LEAST_TAIL


class Mixture(NamedTuple):
    """A mixture of logistic distributions for every drum.

    >>> even = tf.zeros([1, 2])  # one drum, two components of equal weight
    >>> mixture = Mixture(even, means=tf.constant([[0.2, 0.8]]), scales=tf.fill([1, 2], 0.1))
    >>> second = tf.constant([0.7]), tf.constant([0.5])  # the middle of the second component
    >>> mixture.draw(1.0, *second).numpy().round(2), mixture.draw(0.0, *second).numpy().round(2)
    (array([0.8], dtype=float32), array([0.5], dtype=float32))

    Attributes:
      logits: Logits of the components' weights, `[..., drums, components]`.
      means: Means of the components.
      scales: Scales of the components.
    """

    logits: tf.Tensor
    means: tf.Tensor
    scales: tf.Tensor

    def log_density(self, values: tf.Tensor) -> tf.Tensor:
        """Returns the logarithm of the density at `values` `[..., drums]`."""
        distances = tf.abs(values[..., None] - self.means) / self.scales
        terms = -distances - 2 * tf.math.log1p(tf.exp(-distances)) - tf.math.log(self.scales)
        return tf.reduce_logsumexp(tf.nn.log_softmax(self.logits) + terms, axis=-1)

    def draw(
        self, temperature: tf.Tensor, for_component: tf.Tensor, for_place: tf.Tensor
    ) -> tf.Tensor:
        """Draws values `[..., drums]` by uniform noise of that shape.

        `temperature` scales the distance of a drawn value from the mean of its mixture.
        """
        shares = tf.nn.softmax(self.logits)
        sums = tf.cumsum(shares, axis=-1)
        passed = tf.cast(sums <= for_component[..., None] * sums[..., -1:], tf.int32)
        chosen = tf.reduce_sum(passed, axis=-1)
        chosen = tf.one_hot(chosen, self.logits.shape[-1], dtype=self.means.dtype)
        place = tf.clip_by_value(for_place, LEAST_TAIL, 1 - LEAST_TAIL)
        scale = tf.reduce_sum(chosen * self.scales, axis=-1)
        drawn = tf.reduce_sum(chosen * self.means, axis=-1)
        drawn += scale * (tf.math.log(place) - tf.math.log1p(-place))
        mean = tf.reduce_sum(shares * self.means, axis=-1)
        return mean + temperature * (drawn - mean)


def split_parameters(
    parameters: tf.Tensor, drums: int, components: int
) -> tuple[tf.Tensor, Mixture, Mixture]:
    """Returns the logits of the hits `[..., drums]`, and the mixtures of velocities and offsets.

    >>> hits, velocities, offsets = split_parameters(tf.zeros([1, 2 * 13]), drums=2, components=2)
    >>> hits.shape, velocities.means.shape, offsets.means[0, 0].numpy().tolist()
    (TensorShape([1, 2]), TensorShape([1, 2, 2]), [0.0, 0.0])
    """
    size = drums * components
    hit_logits, *rest = tf.split(parameters, [drums] + 6 * [size], axis=-1)
    shape = tf.concat([tf.shape(parameters)[:-1], [drums, components]], axis=0)
    v_logits, v_means, v_scales, o_logits, o_means, o_scales = (
        tf.ensure_shape(tf.reshape(part, shape), [*parameters.shape[:-1], drums, components])
        for part in rest
    )
    velocities = Mixture(v_logits, tf.sigmoid(v_means), _scale(v_scales))
    return hit_logits, velocities, Mixture(o_logits, tf.tanh(o_means), _scale(o_scales))


def _scale(raw: tf.Tensor) -> tf.Tensor:
    return LEAST_SPREAD + tf.nn.softplus(raw)
