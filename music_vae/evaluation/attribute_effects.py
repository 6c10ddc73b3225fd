"""What attribute vectors do to samples from the prior: figure 4 of Roberts et al. 2018."""

from collections.abc import Mapping, Sequence

import numpy as np

from music_vae.common import progress
from music_vae.common.errors import UserError
from music_vae.engine.array_model import ArrayModel
from music_vae.evaluation.metrics import Metrics
from music_vae.music import attributes


def measure(
    model: ArrayModel,
    vectors: Mapping[str, np.ndarray],
    *,
    number: int = 256,
    temperature: float = 0.5,
    seed: int = 0,
) -> Metrics:
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


def _by_vector(names: Sequence[str], rows: Mapping[str, Mapping[str, np.ndarray]]) -> Metrics:
    return {
        sign: {name: _by_name(names, row) for name, row in by.items()} for sign, by in rows.items()
    }
