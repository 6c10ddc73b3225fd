"""Measures the effects of a latent constraint on samples: the metrics of `music_vae_constrain`.

The attributes are measured on the decoded music. The critics that the constraint was trained
against have never seen any, so that this is an independent check.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from music_vae.common.errors import UserError
from music_vae.dataset.windows import Window
from music_vae.engine.array_model import ArrayModel
from music_vae.evaluation import metrics, samples
from music_vae.evaluation.metrics import Metrics
from music_vae.latent.constraints import SIDES, Constraint
from music_vae.music import attributes


def measure(
    model: ArrayModel,
    constraint: Constraint,
    wishes: Sequence[Mapping[str, str]],
    windows: Sequence[Window] | None = None,
    *,
    number: int = 256,
    temperature: float = 0.5,
    seed: int = 0,
) -> Metrics:
    """Compares samples from the prior, unchanged and moved, decoded with the same noise.

    >>> from music_vae.configs import get_config
    >>> from music_vae.latent import constraints
    >>> from music_vae.weights import shipped
    >>> name = "cat-mel_2bar_mini"
    >>> model = ArrayModel(get_config(name), 8, shipped.folder(name))
    >>> wishes = [{"note_density": "high"}, {"note_density": "low"}]
    >>> result = measure(model, constraints.of_shipped(name), wishes, number=8)
    >>> [(wish["without"], wish["with"]) for wish in result["wishes"]]  # shares of the samples
    [(0.5, 1.0), (0.5, 1.0)]

    Args:
      model: A model without controls.
      constraint: The model's constraint.
      wishes: Wishes, each of which is measured by itself: the wanted sides of attributes.
      windows: Music that the samples are compared with; None: no comparison.
      number: Number of samples.
      temperature: Temperature at which all music is decoded.
      seed: Seed of the samples and of the noise.

    Returns:
      For every wish the share of the samples that have what is wanted, without the constraint
      (`without`), with realism alone (`realism`) and with the wish (`with`), and the distance by
      which it moved them (`moved`): the root mean square over the dimensions of z, in standard
      deviations of the prior, as a mean over the samples. Then the same distance for realism alone
      (`moved_by_realism`); and statistics of the samples, of those moved by realism alone, and of
      the windows (`music`).

    Raises:
      UserError: If the model has controls.
    """
    config = model.config
    if model.converter.control_depth:
        raise UserError(f"{config.name} has controls; its samples depend on what they are told")
    z = np.random.default_rng([seed, 0]).standard_normal((number, config.hparams.latent_size))

    def decoded(points: np.ndarray) -> list[np.ndarray]:
        return model.decode_to_tensors(points, None, temperature, seed=seed)

    real = constraint.apply(z, constraint.wanted({}))
    music = {"without": decoded(z), "realism": decoded(real)}
    rows = []
    for wish in wishes:
        moved = constraint.apply(z, constraint.wanted(wish))
        made = {**music, "with": decoded(moved)}
        shares = {name: _accepted(model, constraint, wish, made[name]) for name in made}
        rows.append({"wanted": dict(wish), **shares, "moved": _distance(z, moved)})
    if windows:
        converter = config.data_converter
        music["corpus"] = [converter.dense_outputs(w.example.outputs) for w in windows]
    return {
        "config": config.name,
        "samples": number,
        "temperature": temperature,
        "moved_by_realism": _distance(z, real),
        "wishes": rows,
        "music": _likeness(model, music),
    }


def _accepted(
    model: ArrayModel,
    constraint: Constraint,
    wish: Mapping[str, str],
    made: Sequence[np.ndarray],
) -> float:
    """Returns the share of the music that has all that is wanted."""
    values = [attributes.measure(model.converter, outputs) for outputs in made]
    right = np.ones(len(made), bool)
    for attribute in constraint.attributes:
        if attribute.name in wish:
            own = attribute.labels(np.array([measured[attribute.name] for measured in values]))
            right &= own == SIDES[wish[attribute.name]]
    return float(np.mean(right))


def _distance(z: np.ndarray, moved: np.ndarray) -> float:
    return float(np.mean(np.sqrt(np.mean((moved - z) ** 2, axis=1))))


def _likeness(model: ArrayModel, music: Mapping[str, Sequence[np.ndarray]]) -> Metrics:
    """Returns each one's statistics, mean attributes, and overlap of pitches with the corpus."""
    known = {name: samples.statistics(model.config, made) for name, made in music.items()}
    result: Metrics = {}
    for name, made in music.items():
        own = {"notes_per_bar": known[name].notes_per_bar, "empty_bars": known[name].empty_bars}
        if "corpus" in known:
            both = known[name].histogram, known["corpus"].histogram
            own["histogram_overlap"] = metrics.histogram_overlap(*both)
        result[name] = own | _mean_attributes(model, made)
    return result


def _mean_attributes(model: ArrayModel, made: Sequence[np.ndarray]) -> dict[str, float | None]:
    """Returns the mean of each attribute, without NaN; empty if the music has no attributes."""
    try:
        names = attributes.names(model.converter)
    except UserError:
        return {}
    values = [attributes.measure(model.converter, outputs) for outputs in made]
    means: dict[str, float | None] = {}
    for name in names:
        own = [measured[name] for measured in values if not math.isnan(measured[name])]
        means[name] = float(np.mean(own)) if own else None
    return means
