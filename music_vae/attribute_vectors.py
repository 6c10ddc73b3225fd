"""Attribute vectors: the directions of a latent space in which music changes as one asks.

Found as in Roberts et al. 2018 (section 5.3): see `latent_space.attribute_vector`. The vectors of a
model are one `.safetensors` file, each under the name of its attribute.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from music_vae import weights_file
from music_vae.configs import Config
from music_vae.errors import UserError
from music_vae.run_config import TRAIN_DIR
from music_vae.weights_file import SUFFIX, WeightsFile

VECTORS_FILE = f"attributes{SUFFIX}"
"""Its name beside the weights of a model."""

_CONFIG = "config"
_KIND = "kind"
_ATTRIBUTE_VECTORS = "attribute vectors"


def write(
    path: str | Path, vectors: Mapping[str, np.ndarray], config: Config, *, num_windows: int
) -> None:
    """Writes the vectors `[Z]` of a model of `config`, found in so many windows."""
    metadata = {_KIND: _ATTRIBUTE_VECTORS, _CONFIG: config.name, "windows": str(num_windows)}
    weights_file.write(path, vectors, metadata)


def read(path: str | Path, config: Config) -> dict[str, np.ndarray]:
    """The vectors `[Z]` in a file, by attribute.

    Raises:
      UserError: If there are none, or they are of another model than one of `config`.
    """
    file = WeightsFile(path)
    if file.metadata.get(_KIND) != _ATTRIBUTE_VECTORS or not len(file):
        raise UserError(
            f"{str(path)!r} holds no attribute vectors; music_vae_attributes makes them"
        )
    other, size = file.metadata.get(_CONFIG), config.hparams.latent_size
    shapes = {array.shape for array in file.values()}
    if other != config.name or shapes != {(size,)}:
        found = ", ".join(str(list(shape)) for shape in sorted(shapes))
        raise UserError(
            f"{str(path)!r} has the attribute vectors of another model: of {other}, of shape "
            f"{found}; {config.name} needs [{size}]"
        )
    return {name: np.array(array, np.float32) for name, array in file.items()}


def default_path(source: str | Path) -> Path:
    """Where the vectors of a model are by default.

    Args:
      source: Its run or directory: `attributes.safetensors` in it. Or a file: of `mel.safetensors`
        or of a checkpoint `mel.ckpt` it is `mel.attributes.safetensors` beside it.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        return path.parent / VECTORS_FILE if path.name == TRAIN_DIR else path / VECTORS_FILE
    return path.with_name(f"{path.name.partition('.')[0]}.{VECTORS_FILE}")
