"""Mixtures of Gaussians over latent vectors, fitted to posteriors by expectation maximisation.

The mixture has K components with weights w, means m, and a variance v for each of D axes:

    p(x) = sum_k w_k prod_d N(x_d; m_kd, v_kd)

It is fitted to N posteriors, each with a mean x and variances s, as to all points that could be
drawn from them (Dempster, Laird and Rubin 1977). The share r of component k in posterior n is
proportional to

    w_k exp(-1/2 sum_d [((x_nd - m_kd)^2 + s_nd) / v_kd + log v_kd])

and the components then become, with n_k = sum_n r_nk, the weighted means of x, and v = b + p with

    b_kd = (sum_n r_nk (x_nd - m_kd)^2 + c B_d) / (n_k + c)
    p_kd = (sum_n r_nk s_nd + c P_d) / (n_k + c)

B and P are the same variances of all components together. They count as c posteriors, so that a
component with few of its own does not shrink to them.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

_SHARED_COUNT = 20.0  # the number c
_WEIGHT_COUNT = 0.1  # keeps the weight of a component without posteriors above 0
_SMALLEST_VARIANCE = 1e-8
_FIRST_VARIANCE = 0.3  # of the components before the first step, as a share of that of all means
_CHUNK = 1000  # posteriors whose shares are in memory at once


class Mixture(NamedTuple):
    """A mixture of K Gaussians over D axes.

    >>> two = Mixture(np.array([0.5, 0.5]), np.array([[-2.0], [2.0]]), np.zeros((2, 1)),
    ...     np.ones((2, 1)))
    >>> np.exp(log_density(two, np.array([[2.0]]))).round(3)  # half of a normal distribution
    array([0.2])

    Attributes:
      weights: Weights `[K]`, of sum 1.
      means: Means `[K, D]`.
      between: Variances `[K, D]` of the means of the posteriors around those of the components.
      within: Variances `[K, D]` of the posteriors themselves; the two are added.
    """

    weights: np.ndarray
    means: np.ndarray
    between: np.ndarray
    within: np.ndarray

    @property
    def variances(self) -> np.ndarray:
        """The variances `[K, D]` of the components."""
        return self.between + self.within


class _Sums(NamedTuple):
    """Sums over all posteriors, each times its shares: of 1, x, x^2 and s."""

    counts: np.ndarray
    means: np.ndarray
    squares: np.ndarray
    variances: np.ndarray


def fit(
    means: np.ndarray,
    variances: np.ndarray,
    num_components: int,
    steps: Iterable[int],
    rng: np.random.Generator,
) -> Mixture:
    """Fits a mixture to posteriors; the method is that of the module.

    >>> rng = np.random.default_rng(0)
    >>> means = np.concatenate([rng.normal(-5, 1, (300, 1)), rng.normal(5, 1, (100, 1))])
    >>> found = fit(means, np.full((400, 1), 0.5), 2, range(20), rng)
    >>> order = np.argsort(found.means[:, 0])
    >>> (100 * found.weights[order]).round().tolist(), found.means[order, 0].round(1).tolist()
    ([75.0, 25.0], [-5.0, 5.0])

    Args:
      means: Means of the posteriors, `[N, D]`.
      variances: Variances of the posteriors, `[N, D]`.
      num_components: Number K of components, at most N.
      steps: Numbers of the steps, in as many of which the mixture is fitted.
      rng: Random generator that chooses the posteriors whose means the components have first.
    """
    x, s = np.asarray(means, np.float32), np.asarray(variances, np.float32)
    chosen = rng.choice(len(x), num_components, replace=False)
    everywhere = _FIRST_VARIANCE * x.var(axis=0) + _SMALLEST_VARIANCE
    mixture = Mixture(
        np.full(num_components, 1 / num_components, np.float32),
        x[chosen],
        np.repeat(everywhere[None], num_components, axis=0),
        np.repeat(s.mean(axis=0)[None], num_components, axis=0),
    )
    for _ in steps:
        mixture = _maximised(_expected(mixture, x, s))
    return mixture


def log_density(mixture: Mixture, points: np.ndarray) -> np.ndarray:
    """Returns the logarithm `[N]` of the density of a mixture at points `[N, D]`, in nats.

    >>> one = Mixture(np.ones(1), np.zeros((1, 2)), np.zeros((1, 2)), np.ones((1, 2)))
    >>> log_density(one, np.array([[0.0, 0.0], [1.0, 2.0]])).round(3)
    array([-1.838, -4.338])
    """
    exact = Mixture(*(np.asarray(array, np.float64) for array in mixture))
    points = np.asarray(points, np.float64)
    parts = [
        _log_sum(_log_joint(exact, chunk, chunk**2))
        for chunk in (points[n : n + _CHUNK] for n in range(0, len(points), _CHUNK))
    ]
    return np.concatenate(parts) - 0.5 * points.shape[1] * np.log(2 * np.pi)


def axes_within(mixture: Mixture, means: np.ndarray) -> np.ndarray:
    """Returns the axes `[D, D]`, as columns, along which points vary within the components.

    They are those of the covariance that is left of `means` `[N, D]` when the components' own means
    are taken away. Along them, the variances of the components say more than along others.

    >>> rng = np.random.default_rng(0)
    >>> points = rng.normal(0, 1, (400, 1)) + rng.choice([-9, 9], (400, 1)) * [1, 0]
    >>> found = fit(points, np.full((400, 2), 0.01), 2, range(20), rng)
    >>> np.abs(axes_within(found, points)).round(1)  # both diagonals
    array([[0.7, 0.7],
           [0.7, 0.7]])
    """
    x = np.asarray(means, np.float64)
    weighted = mixture.means * mixture.weights[:, None]
    scatter = x.T @ x / len(x) - weighted.T @ mixture.means
    return np.linalg.eigh((scatter + scatter.T) / 2)[1]


def _expected(mixture: Mixture, x: np.ndarray, s: np.ndarray) -> _Sums:
    """Returns the sums over posteriors with means x and variances s, both `[N, D]`."""
    shape = mixture.means.shape
    sums = _Sums(np.zeros(shape[0]), *(np.zeros(shape) for _ in range(3)))
    for start in range(0, len(x), _CHUNK):
        means, variances = x[start : start + _CHUNK], s[start : start + _CHUNK]
        joint = _log_joint(mixture, means, means**2 + variances)
        shares = np.exp(joint - _log_sum(joint)[:, None])
        for total, values in zip(sums[1:], (means, means**2, variances), strict=True):
            total += shares.T @ values
        sums.counts[...] += shares.sum(axis=0)
    return sums


def _maximised(sums: _Sums) -> Mixture:
    """Returns the mixture that suits the sums best."""
    counts = np.maximum(sums.counts, np.finfo(np.float32).tiny)[:, None]
    means = sums.means / counts
    scatter = np.maximum(sums.squares - sums.counts[:, None] * means**2, 0)
    between, within = (
        (own + _SHARED_COUNT * own.sum(axis=0) / sums.counts.sum()) / (counts + _SHARED_COUNT)
        for own in (scatter, sums.variances)
    )
    weights = sums.counts + _WEIGHT_COUNT
    arrays = weights / weights.sum(), means, between + _SMALLEST_VARIANCE, within
    return Mixture(*(array.astype(np.float32) for array in arrays))


def _log_joint(mixture: Mixture, x: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Returns the exponents `[N, K]` of the module's first formula, with the logarithm of w."""
    precisions = 1 / mixture.variances
    scaled = mixture.means * precisions
    constant = (mixture.means * scaled + np.log(mixture.variances)).sum(axis=1)
    distances = squares @ precisions.T - 2 * (x @ scaled.T) + constant
    return np.log(mixture.weights) - distances / 2


def _log_sum(values: np.ndarray) -> np.ndarray:
    """Returns the logarithm `[N]` of the sum of the exponentials of each row `[N, K]`."""
    largest = values.max(axis=1)
    return largest + np.log(np.exp(values - largest[:, None]).sum(axis=1))
