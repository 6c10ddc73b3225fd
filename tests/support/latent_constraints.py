"""Latent constraints beside the weights of a model, random ones that are made for a test."""

import itertools

import numpy as np

from music_vae.latent import constraints
from music_vae.latent.constraints import Attribute, Constraint
from music_vae.latent.small_networks import Owner
from music_vae.weights import config_file

KNOWN = (
    Attribute("note_density", 0.5, ("high", "low")),
    Attribute("average_interval", 2.0, ("low",)),
)


def beside(run, known=KNOWN, folder=None, owner=None):
    """Writes a constraint of three layers for the model of a run; returns it as it is read."""
    owner = owner or Owner.of(config_file.read(run), run)
    rng = np.random.default_rng(0)
    sizes = [owner.z_size + len(known), 12, 9, 2 * owner.z_size]
    layers = [
        (rng.normal(0, shape[0] ** -0.5, shape), rng.normal(size=shape[1]))
        for shape in itertools.pairwise(sizes)
    ]
    folder = folder or constraints.own_folder(run)
    Constraint(layers, known).write(folder, owner, {})
    return constraints.read(folder, owner)
