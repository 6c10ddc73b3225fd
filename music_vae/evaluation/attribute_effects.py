"""Measures the effects of attribute vectors on samples: figure 4 of Roberts et al. 2018."""

from collections.abc import Mapping, Sequence

import numpy as np

from music_vae.common import progress
from music_vae.common.errors import UserError
from music_vae.engine.array_model import ArrayModel
from music_vae.evaluation.metrics import Metrics
from music_vae.latent.latent_space import Prior
from music_vae.music import attributes


def measure(
    model: ArrayModel,
    vectors: Mapping[str, np.ndarray],
    *,
    number: int = 256,
    temperature: float = 0.5,
    seed: int = 0,
    prior: Prior | None = None,
) -> Metrics:
    """Measures how music from the prior changes when attribute vectors are added to its z.

    Each vector is added to, and subtracted from, the latent vector of every sample. The music that
    is decoded from it, with the same noise, is compared with that of the sample itself.

    >>> from music_vae.configs import get_config
    >>> from music_vae.latent import attribute_vectors
    >>> from music_vae.weights import shipped
    >>> name = "cat-mel_2bar_mini"
    >>> model = ArrayModel(get_config(name), 8, shipped.folder(name))
    >>> vectors = {"note_density": attribute_vectors.of_shipped(name)["note_density"]}
    >>> result = measure(model, vectors, number=8)
    >>> for sign in ("plus", "minus"):  # change in notes per step
    ...     print(sign, round(result["change"][sign]["note_density"]["note_density"], 2))
    plus 0.61
    minus -0.23

    Args:
      model: A model without controls.
      vectors: Attribute vectors of the model, by attribute.
      number: Number of samples.
      temperature: Temperature at which all music is decoded.
      seed: Seed of the samples and of the noise.
      prior: The prior that samples are drawn from; None: N(0, 1).

    Returns:
      The mean and the standard deviation of each attribute among the samples (`plain`); by vector
      and attribute, the mean change that adding (`plus`) and subtracting (`minus`) it brings, in
      the attribute's unit (`change`) and in those standard deviations (`relative`); and the number
      of vectors whose own attribute changes the right way and more than any other (`dominant`).

    Raises:
      UserError: If the model has controls, or no attributes are defined for its music.
    """
    config, converter = model.config, model.converter
    names = attributes.names(converter)
    if converter.control_depth:
        raise UserError(f"{config.name} has controls; its samples depend on what they are told")
    z = _drawn(number, config.hparams.latent_size, seed, prior)

    def measured(points: np.ndarray) -> np.ndarray:
        made = model.decode_to_tensors(points, None, temperature, seed=seed)
        values = [attributes.measure(converter, outputs) for outputs in made]
        return np.array([[own[name] for name in names] for own in values])

    plain = measured(z)
    changes: dict[str, dict[str, np.ndarray]] = {"plus": {}, "minus": {}}
    for name in progress.bar([name for name in names if name in vectors], "decoding"):
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


def _drawn(number: int, z_size: int, seed: int, prior: Prior | None) -> np.ndarray:
    """Draws latent vectors `[number, z_size]`, in float64 where they are of N(0, 1)."""
    rng = np.random.default_rng([seed, 0])
    if prior is None:
        return rng.standard_normal((number, z_size))
    return prior.points(rng.standard_normal((number, prior.size)))


def _is_dominant(row: np.ndarray, own: int, sign: int) -> bool:
    """Returns True if a vector's own attribute changes most, and the right way."""
    others = np.abs(np.delete(row, own))
    return bool(sign * row[own] > np.nanmax(others, initial=0.0))


def _mean(values: np.ndarray) -> np.ndarray:
    """Returns the means `[A]` of `[N, A]` without NaN; NaN where nothing else is left."""
    known = ~np.isnan(values)
    return _divided(np.where(known, values, 0).sum(axis=0), known.sum(axis=0))


def _divided(values: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Divides; the result is NaN for a divisor of 0."""
    return np.where(by == 0, np.nan, values / np.where(by == 0, 1, by))


def _by_name(names: Sequence[str], values: np.ndarray) -> dict[str, float]:
    return dict(zip(names, map(float, values), strict=True))


def _by_vector(names: Sequence[str], rows: Mapping[str, Mapping[str, np.ndarray]]) -> Metrics:
    return {
        sign: {name: _by_name(names, row) for name, row in by.items()} for sign, by in rows.items()
    }
