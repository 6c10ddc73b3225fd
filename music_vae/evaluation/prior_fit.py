"""Measures how well a fitted prior fits music: how likely the latent vectors of music are."""

import numpy as np

from music_vae.evaluation import metrics
from music_vae.evaluation.metrics import Metrics
from music_vae.latent.priors import FittedPrior


def measure(fitted: FittedPrior, z: np.ndarray, mu: np.ndarray, sigma: np.ndarray) -> Metrics:
    """Compares the densities that a fitted and the normal prior have at z, all `[N, Z]`.

    >>> from music_vae.latent import priors
    >>> rng = np.random.default_rng(0)
    >>> mu, sigma = rng.normal(0, 0.5, (400, 2)), np.full((400, 2), 0.1)
    >>> bits = measure(priors.fit(mu, sigma, num_components=1), mu, mu, sigma)
    >>> round(bits["normal"], 1), round(bits["fitted"], 1)
    (3.0, 2.1)

    Args:
      fitted: The prior.
      z: Latent vectors of music, drawn from the posteriors.
      mu: Means of the posteriors.
      sigma: Standard deviations of the posteriors.

    Returns:
      As `commands.prior.evaluate` has it, without the name of the config.
    """
    z = np.asarray(z, np.float64)
    normal = (z**2 + np.log(2 * np.pi)).sum(axis=1).mean() / 2 / np.log(2)
    own = -fitted.log_density(z).mean() / np.log(2)
    return {
        "windows": len(z),
        "fitted_to": fitted.num_windows,
        "normal": float(normal),
        "fitted": float(own),
        "gain": float(normal - own),
        "kl": float(metrics.kl_bits(mu, sigma).mean()),
    }
