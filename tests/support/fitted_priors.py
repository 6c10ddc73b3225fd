"""Fitted priors beside the weights of a model, of posteriors that are made for a test."""

import numpy as np

from music_vae.latent import priors
from music_vae.latent.small_networks import Owner
from music_vae.weights import config_file


def narrow(run, path=None, at=3.0):
    """Writes a prior for the model of a run, all of whose points lie near (at, at, ...)."""
    _write(run, np.full((20, _size(run)), at), 0.01, path)


def of_two(run):
    """Writes a prior of two components: at (-2, -2, ...) for three fourths, and at (3, 3, ...).

    Returns it, and the means of the posteriors that it is fitted to.
    """
    rng = np.random.default_rng(0)
    centres = np.where(rng.random((400, 1)) < 0.75, -2.0, 3.0)
    mu = centres + rng.normal(0, 0.2, (400, _size(run)))
    return _write(run, mu, 0.3, num_components=2), mu


def _size(run):
    return config_file.read(run).hparams.latent_size


def _write(run, mu, sigma, path=None, **options):
    fitted = priors.fit(mu, np.full(mu.shape, sigma), **options)
    fitted.write(path or priors.default_path(run), Owner.of(config_file.read(run), run))
    return fitted
