"""Attribute vectors: the directions of a latent space in which music changes as one asks.

Found and judged as in Roberts et al. 2018 (section 5.3, figure 4): see
`latent_space.attribute_vector`. The vectors of a model are one `.safetensors` file, each under the
name of its attribute.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from music_vae.common import progress
from music_vae.common.errors import UserError
from music_vae.configs import Config, get_config
from music_vae.evaluation import evaluator
from music_vae.latent import latent_space
from music_vae.music import attributes
from music_vae.weights import safetensors_file, shipped
from music_vae.weights.config_file import TRAIN_DIR
from music_vae.weights.safetensors_file import SUFFIX, WeightsFile

if TYPE_CHECKING:
    from music_vae.evaluation.evaluator import Window
    from music_vae.trained_model import TrainedModel

VECTORS_FILE = f"attributes{SUFFIX}"
"""Its name beside the weights of a model."""

_CONFIG = "config"
_KIND = "kind"
_ATTRIBUTE_VECTORS = "attribute vectors"

Figures = dict[str, Any]

_log = logging.getLogger(__name__)


def parse_amounts(texts: Sequence[str], flag: str) -> dict[str, float]:
    """The attributes to change, each with how much, from texts such as 'note_density=+1.5,...'.

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
                f"--{flag}={text} is no change; expected NAME=AMOUNT, as in note_density=+1.5"
            )
        if name.strip() in amounts:
            raise UserError(f"--{flag} changes {name.strip()} twice")
        amounts[name.strip()] = number
    return amounts


def find(
    model: "TrainedModel", windows: "Sequence[Window]", *, seed: int = 0
) -> dict[str, np.ndarray]:
    """The attribute vectors `[Z]` of a model, from windows of music.

    z is the mean of a window's posterior. An attribute that does not vary has no vector, which is
    logged.

    Raises:
      UserError: If no attributes are defined for the model's music, or none of them varies.
    """
    rng = np.random.default_rng(seed)
    names = attributes.names(model.config.data_converter)
    mu, values = encoded(model, windows)
    vectors = {}
    for name in names:
        try:
            vectors[name] = latent_space.attribute_vector(mu, values[name], rng)
        except UserError as error:
            _log.warning("%s has no vector: %s", name, error)
    if not vectors:
        raise UserError(f"none of {', '.join(names)} varies in {len(windows)} windows")
    return vectors


def encoded(
    model: "TrainedModel", windows: "Sequence[Window]"
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The means of the windows' posteriors, `[N, Z]`, and by name their attributes, `[N]`.

    Raises:
      UserError: If no attributes are defined for the model's music.
    """
    converter = model.config.data_converter
    names = attributes.names(converter)
    measured = [
        attributes.measure(converter, converter.dense_outputs(window.example.outputs))
        for window in windows
    ]
    mu, _ = evaluator.posteriors(model, windows)
    return mu, {name: np.array([values[name] for values in measured]) for name in names}


def effects(
    model: "TrainedModel",
    vectors: Mapping[str, np.ndarray],
    *,
    number: int = 256,
    temperature: float = 0.5,
    seed: int = 0,
) -> Figures:
    """What the vectors do to samples from the prior: figure 4 of the paper.

    Each vector is added to, and subtracted from, the z of every sample, and what is decoded from it
    (with the same noise) is measured beside what the sample itself gives.

    Args:
      model: A model without controls.
      vectors: Its attribute vectors.
      number: How many samples.
      temperature: Of all that is decoded.
      seed: Of samples and noise.

    Returns:
      The mean and the standard deviation of each attribute among the samples; by vector and
      attribute, the mean change that adding (`plus`) and subtracting (`minus`) it brings, in the
      attribute's unit (`change`) and in those standard deviations (`relative`); and for how many
      vectors their own attribute changes the way it should and more than any other (`dominant`).

    Raises:
      UserError: If the model has controls, or no attributes are defined for its music.
    """
    config, converter = model.config, model.converter
    names = attributes.names(converter)
    if converter.control_depth:
        raise UserError(f"{config.name} has controls; its samples depend on what they are told")
    z = np.random.default_rng([seed, 0]).standard_normal((number, config.hparams.latent_size))

    def measured(points: np.ndarray) -> np.ndarray:
        made = model.decode_to_tensors(points, None, temperature, seed=seed)
        found = [attributes.measure(converter, outputs) for outputs in made]
        return np.array([[values[name] for name in names] for values in found])

    plain = measured(z)
    changes: dict[str, dict[str, np.ndarray]] = {"plus": {}, "minus": {}}
    for name in _progress([name for name in names if name in vectors], "decoding"):
        for sign, by in ((1, changes["plus"]), (-1, changes["minus"])):
            by[name] = _mean(measured(z + sign * vectors[name]) - plain)
    spread = np.sqrt(_mean((plain - _mean(plain)) ** 2))
    relative = {
        sign: {name: _divided(row, spread) for name, row in by.items()}
        for sign, by in changes.items()
    }
    return {
        "config": config.name,
        "samples": number,
        "temperature": temperature,
        "plain": {
            "mean": _by_name(names, _mean(plain)),
            "standard_deviation": _by_name(names, spread),
        },
        "change": _by_vector(names, changes),
        "relative": _by_vector(names, relative),
        "dominant": {
            sign: sum(
                _is_dominant(row, names.index(name), 1 if sign == "plus" else -1)
                for name, row in by.items()
            )
            for sign, by in relative.items()
        },
    }


def _is_dominant(row: np.ndarray, own: int, sign: int) -> bool:
    """Whether the own attribute changes most, and the right way."""
    others = np.abs(np.delete(row, own))
    return bool(sign * row[own] > np.nanmax(others, initial=0.0))


def _mean(values: np.ndarray) -> np.ndarray:
    """Means `[A]` of `[N, A]` over what are numbers; NaN where there are none."""
    known = ~np.isnan(values)
    return _divided(np.where(known, values, 0).sum(axis=0), known.sum(axis=0))


def _divided(values: np.ndarray, by: np.ndarray) -> np.ndarray:
    """The quotients, NaN for a divisor of 0."""
    return np.where(by == 0, np.nan, values / np.where(by == 0, 1, by))


def _by_name(names: Sequence[str], values: np.ndarray) -> dict[str, float]:
    return dict(zip(names, map(float, values), strict=True))


def _by_vector(names: Sequence[str], rows: Mapping[str, Mapping[str, np.ndarray]]) -> Figures:
    return {
        sign: {name: _by_name(names, row) for name, row in by.items()} for sign, by in rows.items()
    }


def _progress(items: Iterable[Any], what: str) -> Iterable[Any]:
    from tqdm import tqdm

    return tqdm(items, desc=what, disable=not progress.show_progress())


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
    return read(default_path(shipped.locate(config_name)), get_config(config_name))


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
