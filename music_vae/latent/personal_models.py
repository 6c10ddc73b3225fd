"""A personal model: a small VAE over the z of a model, fitted to some pieces of one's own.

As MidiMe (Dinculescu, Engel and Roberts 2019, *MidiMe: Personalizing a MusicVAE Model with User
Data*). Its decoder makes z of a few normal numbers; z is then decoded by the model itself. It is
trained by `personal_networks`; here it needs no TensorFlow.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from music_vae.common.errors import UserError
from music_vae.latent import small_networks
from music_vae.latent.latent_space import Prior
from music_vae.latent.small_networks import Layers, Owner

KIND = "personal model"


class PersonalModel:
    """The decoder of the small VAE.

    Attributes:
      size: How many numbers make a point of it.
    """

    def __init__(self, layers: Layers) -> None:
        self._layers = layers
        self.size = layers[0][0].shape[0]

    def decode(self, points: np.ndarray) -> np.ndarray:
        """z `[N, Z]` of points `[N, size]`."""
        return small_networks.forward(self._layers, points)

    def prior(self) -> Prior:
        """Where z of its own music comes from."""
        return Prior(self.size, self.decode)

    def write(self, folder: str | Path, owner: Owner, about: Mapping[str, Any]) -> None:
        """Writes it into a folder, for the model whose z it makes."""
        small_networks.write(folder, KIND, owner, self._layers, {"size": self.size, **about})


def read(folder: str | Path, owner: Owner) -> PersonalModel:
    """The personal model in a folder.

    Raises:
      UserError: If there is none, or it is of another model.
    """
    layers, options = small_networks.read(folder, KIND, owner)
    size = options.get("size")
    if not isinstance(size, int):
        raise UserError(f"{str(folder)!r} does not say how many numbers make a point")
    small_networks.check_shape(folder, layers, size, owner.z_size)
    return PersonalModel(layers)
