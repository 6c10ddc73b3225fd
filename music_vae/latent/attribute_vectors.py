"""Attribute vectors: the directions of a latent space in which music changes as one asks.

Found as in Roberts et al. 2018 (section 5.3): see `latent_space.attribute_vector`; what they do is
measured by `attribute_effects`. The vectors of a model are one `.safetensors` file, each under the
name of its attribute.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from music_vae.common.errors import UserError
from music_vae.configs import Config, get_config
from music_vae.latent import corpus, latent_space
from music_vae.weights import safetensors_file, shipped
from music_vae.weights.config_file import TRAIN_DIR
from music_vae.weights.safetensors_file import SUFFIX, WeightsFile

if TYPE_CHECKING:
    from music_vae.dataset.windows import Window
    from music_vae.engine.array_model import ArrayModel

VECTORS_FILE = f"attributes{SUFFIX}"
"""Its name beside the weights of a model."""

_CONFIG = "config"
_KIND = "kind"
_ATTRIBUTE_VECTORS = "attribute vectors"

_log = logging.getLogger(__name__)


def parse_amounts(texts: Sequence[str], argument: str) -> dict[str, float]:
    """The attributes to change, each with how much, from texts such as 'note_density=+1.5,...'.

    Args:
      texts: What was given, each with one change or several.
      argument: As what it was given, for messages.

    Raises:
      UserError: If a text says something else, or something twice.
    """
    amounts: dict[str, float] = {}
    for text in ",".join(texts).split(","):
        name, _, amount = text.partition("=")
        try:
            number = float(amount)
        except ValueError:
            number = float("nan")
        if not name.strip() or not abs(number) < float("inf"):
            raise UserError(
                f"`{argument}={text}` is no change; expected NAME=AMOUNT, as in note_density=+1.5"
            )
        if name.strip() in amounts:
            raise UserError(f"`{argument}` changes {name.strip()} twice")
        amounts[name.strip()] = number
    return amounts


def find(
    model: "ArrayModel", windows: "Sequence[Window]", *, seed: int = 0
) -> dict[str, np.ndarray]:
    """The attribute vectors `[Z]` of a model, from windows of music.

    z is the mean of a window's posterior. An attribute that does not vary has no vector, which is
    logged.

    Raises:
      UserError: If no attributes are defined for the model's music, or none of them varies.
    """
    rng = np.random.default_rng(seed)
    values = corpus.measure_windows(model.config.data_converter, windows)
    _, mu, _ = corpus.encode_windows(model, windows)
    vectors = {}
    for name in values:
        try:
            vectors[name] = latent_space.attribute_vector(mu, values[name], rng)
        except UserError as error:
            _log.warning("%s has no vector: %s", name, error)
    if not vectors:
        raise UserError(f"none of {', '.join(values)} varies in {len(windows)} windows")
    return vectors


def write(
    path: str | Path, vectors: Mapping[str, np.ndarray], config: Config, *, num_windows: int
) -> None:
    """Writes the vectors `[Z]` of a model of `config`, found in so many windows."""
    metadata = {_KIND: _ATTRIBUTE_VECTORS, _CONFIG: config.name, "windows": str(num_windows)}
    safetensors_file.write(path, vectors, metadata)


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
    vectors = {name: np.array(array, np.float32) for name, array in file.items()}
    for name, vector in vectors.items():
        if not np.isfinite(vector).all():
            raise UserError(f"{str(path)!r} has a vector of {name} that is not of numbers")
    return vectors


def of_shipped(config_name: str) -> dict[str, np.ndarray]:
    """The vectors `[Z]` of a model that comes with the package, by attribute.

    Raises:
      UserError: If no model of that config does.
    """
    return read(default_path(shipped.folder(config_name)), get_config(config_name))


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
