"""Attribute vectors: the directions of a latent space in which music changes as one asks.

Adding the vector of `note_density` to a latent vector, for example, gives music with more notes.
The vectors are computed as in Roberts et al. 2018 (section 5.3): see
`latent_space.attribute_vector`. `evaluation.attribute_effects` measures what they do. The vectors
of a model are kept in one `.safetensors` file, each under the name of its attribute.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from music_vae.common import checks
from music_vae.common.errors import UserError
from music_vae.common.json_values import shown
from music_vae.configs import Config, get_config
from music_vae.latent import corpus, latent_space
from music_vae.weights import locate, safetensors_file, shipped
from music_vae.weights.safetensors_file import SUFFIX, WeightsFile

if TYPE_CHECKING:
    from music_vae.dataset.windows import Window
    from music_vae.engine.array_model import ArrayModel

VECTORS_FILE = f"attributes{SUFFIX}"
"""Name of the file of vectors beside the weights of a model."""

_CONFIG = "config"
_KIND = "kind"
_ATTRIBUTE_VECTORS = "attribute vectors"

_AMOUNTS = checks.Range(-1000, 1000, whole=False)
"""Amounts of a change: a few vectors lead out of the music that a model knows already."""

_log = logging.getLogger(__name__)


def parse_amounts(texts: Sequence[str], argument: str) -> dict[str, float]:
    """Returns the amount by which each attribute is to change, from texts such as 'NAME=AMOUNT'.

    >>> parse_amounts(["note_density=+1.5,c_diatonic=1", "syncopation_8th=-2"], "attribute")
    {'note_density': 1.5, 'c_diatonic': 1.0, 'syncopation_8th': -2.0}

    Args:
      texts: Texts that each hold one change, or several with commas between them.
      argument: Name of the argument that the texts were given for, used in messages.

    Raises:
      UserError: If a text is no change, or an attribute is changed twice.
    """
    amounts: dict[str, float] = {}
    for text in ",".join(texts).split(","):
        name, _, amount = text.partition("=")
        try:
            number = float(amount)
        except ValueError:
            number = float("nan")
        if not name.strip() or number not in _AMOUNTS:
            raise UserError(
                f"`{argument}={text}` is no change; expected NAME=AMOUNT, as in note_density=+1.5, "
                f"with {_AMOUNTS}"
            )
        if name.strip() in amounts:
            raise UserError(f"`{argument}` changes {name.strip()} twice")
        amounts[name.strip()] = number
    return amounts


def find(
    model: "ArrayModel", windows: "Sequence[Window]", *, seed: int = 0
) -> dict[str, np.ndarray]:
    """Computes the attribute vectors `[Z]` of a model from windows of music.

    The latent vector of a window is the mean of its posterior. An attribute that does not vary
    among the windows gets no vector; a warning says so.

    >>> from music_vae import TrainedModel, notes_io
    >>> from music_vae.dataset.windows import read_windows
    >>> model = TrainedModel.shipped("cat-mel_2bar_mini")
    >>> tunes = notes_io.read_music_file("examples/tunes/soldiers_joy.mid")
    >>> windows = read_windows(tunes, model.config)
    >>> vectors = find(model, windows)  # no window of this tune is syncopated
    >>> sorted(vectors), vectors["note_density"].shape
    (['average_interval', 'c_diatonic', 'note_density'], (128,))

    Args:
      model: A model with an encoder.
      windows: The music to encode and to measure.
      seed: Seed of the choice among windows of which the attribute is equal.

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
    """Writes the vectors `[Z]` of a model of `config` to a file.

    `num_windows` is the number of windows that they were computed from; it is written for readers.

    >>> from tempfile import TemporaryDirectory
    >>> config, vectors = get_config("cat-mel_2bar_mini"), of_shipped("cat-mel_2bar_mini")
    >>> with TemporaryDirectory() as folder:
    ...     write(f"{folder}/mine.safetensors", vectors, config, num_windows=99)
    ...     read(f"{folder}/mine.safetensors", config)["note_density"].shape
    (128,)
    """
    metadata = {_KIND: _ATTRIBUTE_VECTORS, _CONFIG: config.name, "windows": str(num_windows)}
    safetensors_file.write(path, vectors, metadata)


def read(path: str | Path, config: Config) -> dict[str, np.ndarray]:
    """Reads the vectors `[Z]` in a file, by attribute.

    >>> path = default_path(shipped.folder("cat-drums_2bar_mini_lokl"))
    >>> sorted(read(path, get_config("cat-drums_2bar_mini_lokl")))
    ['hit_density', 'syncopation']

    Raises:
      UserError: If the file has no attribute vectors, or those of another model than one of
        `config`.
    """
    file = WeightsFile(path)
    if file.metadata.get(_KIND) != _ATTRIBUTE_VECTORS or not len(file):
        raise UserError(
            f"{str(path)!r} holds no attribute vectors; music_vae_attributes makes them"
        )
    other, size = file.metadata.get(_CONFIG), config.hparams.latent_size
    unfit = [array.shape for array in file.values() if array.shape != (size,)]
    if other != config.name or unfit:
        raise UserError(
            f"{str(path)!r} has the attribute vectors of another model: of {shown(other)}, of "
            f"shape {list(unfit[0]) if unfit else [size]}; {config.name} needs [{size}]"
        )
    vectors = {name: np.array(array, np.float32) for name, array in file.items()}
    for name, vector in vectors.items():
        if not np.isfinite(vector).all():
            raise UserError(f"{str(path)!r} has a vector of {shown(name)} that is not of numbers")
    return vectors


def of_shipped(config_name: str) -> dict[str, np.ndarray]:
    """Returns the vectors `[Z]` of a model that comes with the package, by attribute.

    >>> from music_vae import TrainedModel, latent_space
    >>> model = TrainedModel.shipped("cat-mel_2bar_mini")
    >>> vectors = of_shipped("cat-mel_2bar_mini")
    >>> for amount in (-1, 0, 1):
    ...     shift = latent_space.attribute_shift(vectors, {"note_density": amount})
    ...     (melody,) = model.sample(1, temperature=0.1, shift=shift, seed=0)
    ...     print(amount, len(melody.notes))
    -1 1
    0 10
    1 32

    Raises:
      UserError: If no model of that config comes with the package.
    """
    return read(default_path(shipped.folder(config_name)), get_config(config_name))


def default_path(source: str | Path) -> Path:
    """Returns the path where the vectors of a model are kept by default; see `locate.beside`.

    >>> default_path("models/mel.safetensors").name, default_path("models/mel.ckpt").name
    ('mel.attributes.safetensors', 'mel.attributes.safetensors')
    >>> default_path("examples").name  # a folder holds one model
    'attributes.safetensors'
    """
    return locate.beside(source, VECTORS_FILE)
