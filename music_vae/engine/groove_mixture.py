"""Draws hits, velocities and timing of drums; see `nn.groove_mixture` for the model."""

from typing import NamedTuple

import numpy as np

from music_vae.common.model_constants import LEAST_SPREAD, LEAST_TAIL
from music_vae.engine.products import sigmoid


class Mixture(NamedTuple):
    """A mixture of logistic distributions for every drum.

    >>> even = np.zeros((1, 2))  # one drum, two components of equal weight
    >>> mixture = Mixture(even, means=np.array([[0.2, 0.8]]), scales=np.full((1, 2), 0.1))
    >>> mixture.draw(1.0, np.array([0.7]), np.array([0.5]))  # the middle of the second component
    array([0.8])
    >>> mixture.draw(0.0, np.array([0.7]), np.array([0.5]))  # the mean
    array([0.5])

    Attributes:
      logits: Logits of the components' weights, `[..., drums, components]`.
      means: Means of the components.
      scales: Scales of the components.
    """

    logits: np.ndarray
    means: np.ndarray
    scales: np.ndarray

    def log_density(self, values: np.ndarray) -> np.ndarray:
        """Returns the logarithm of the density at `values` `[..., drums]`."""
        distances = np.abs(values[..., None] - self.means) / self.scales
        terms = -distances - 2 * np.log1p(np.exp(-distances)) - np.log(self.scales)
        return np.logaddexp.reduce(np.log(_softmax(self.logits)) + terms, axis=-1)

    def draw(
        self, temperature: float, for_component: np.ndarray, for_place: np.ndarray
    ) -> np.ndarray:
        """Draws values `[..., drums]` by uniform noise of that shape.

        `temperature` scales the distance of a drawn value from the mean of its mixture.
        """
        shares = _softmax(self.logits)
        sums = np.cumsum(shares, axis=-1)
        chosen = (sums <= for_component[..., None] * sums[..., -1:]).sum(axis=-1)[..., None]
        place = np.clip(for_place, LEAST_TAIL, 1 - LEAST_TAIL)
        scale = np.take_along_axis(self.scales, chosen, axis=-1)[..., 0]
        drawn = np.take_along_axis(self.means, chosen, axis=-1)[..., 0]
        drawn = drawn + scale * (np.log(place) - np.log1p(-place))
        mean = (shares * self.means).sum(axis=-1)
        return mean + temperature * (drawn - mean)


def split_parameters(
    parameters: np.ndarray, components: int
) -> tuple[np.ndarray, Mixture, Mixture]:
    """Returns the logits of the hits `[B, drums]`, and the mixtures of velocities and offsets.

    >>> hits, velocities, offsets = split_parameters(np.zeros((1, 2 * 13)), components=2)
    >>> hits.shape, velocities.means.shape, offsets.means[0, 0].tolist()
    ((1, 2), (1, 2, 2), [0.0, 0.0])
    """
    drums = parameters.shape[1] // (1 + 6 * components)
    parts = parameters[:, drums:].reshape(len(parameters), 6, drums, components)
    v_logits, v_means, v_scales, o_logits, o_means, o_scales = np.moveaxis(parts, 1, 0)
    velocities = Mixture(v_logits, sigmoid(v_means), _scale(v_scales))
    return parameters[:, :drums], velocities, Mixture(o_logits, np.tanh(o_means), _scale(o_scales))


def _scale(raw: np.ndarray) -> np.ndarray:
    return LEAST_SPREAD + np.logaddexp(raw, 0)


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
