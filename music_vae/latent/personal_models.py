"""Personal models: small VAEs over the latent vectors of a model, fitted to one's own pieces.

The method is that of MidiMe (Dinculescu, Engel and Roberts 2019, *MidiMe: Personalizing a MusicVAE
Model with User Data*). The decoder of the small VAE turns a few normal numbers into a latent vector
z, which the model itself then decodes to music. `training.personal_networks` trains it; to use one
takes no TensorFlow.
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
    """The decoder of a small VAE, which makes latent vectors of a few numbers.

    This one, of a single layer, makes z of 4 numbers from 2:

    >>> kernel = np.array([[1.0, 0.0, 2.0, 0.0], [0.0, 1.0, 0.0, 2.0]])
    >>> personal = PersonalModel([(kernel, np.zeros(4))])
    >>> personal.decode(np.array([[3.0, 5.0]]))
    array([[ 3., 5., 6., 10.]])

    `TrainedModel.sample(prior=personal.prior())` makes music with it.

    Attributes:
      size: Number of numbers that make a point of its own, smaller latent space.
    """

    def __init__(self, layers: Layers) -> None:
        """Makes a personal model of the layers of a decoder."""
        self._layers = layers
        self.size = layers[0][0].shape[0]

    def decode(self, points: np.ndarray) -> np.ndarray:
        """Returns latent vectors `[N, Z]` of the model for points `[N, size]`."""
        return small_networks.forward(self._layers, points)

    def prior(self) -> Prior:
        """Returns the prior of z whose samples are like the music that it was fitted to."""
        return Prior(self.size, self.decode)

    def write(self, folder: str | Path, owner: Owner, about: Mapping[str, Any]) -> None:
        """Writes the personal model into a folder.

        Args:
          folder: The folder, which is made if it is not there.
          owner: The model whose latent vectors it makes.
          about: Further entries for `network.json`, such as how it was trained.
        """
        small_networks.write(folder, KIND, owner, self._layers, {"size": self.size, **about})


def read(folder: str | Path, owner: Owner) -> PersonalModel:
    """Reads the personal model in a folder.

    >>> from tempfile import TemporaryDirectory
    >>> owner = Owner("cat-mel_2bar_small", z_size=4, weights_key="0a1b")
    >>> with TemporaryDirectory() as folder:
    ...     PersonalModel([(np.ones((2, 4)), np.zeros(4))]).write(folder, owner, {})
    ...     read(folder, owner).size
    2

    Raises:
      UserError: If the folder holds no personal model, or that of another model.
    """
    layers, options = small_networks.read(folder, KIND, owner)
    size = options.get("size")
    if type(size) is not int:  # true would be 1
        raise UserError(f"{str(folder)!r} does not say how many numbers make a point")
    small_networks.check_shape(folder, layers, size, owner.z_size)
    return PersonalModel(layers)
