"""What a latent constraint does to samples from the prior: the figures of `music_vae_constrain`.

The check is the attribute itself, measured on what is decoded, which the critics that the
constraint was trained against have never seen.
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
    """Samples from the prior, unchanged and moved, decoded with the same noise.

    Args:
      model: A model without controls.
      constraint: Its constraint.
      wishes: What is asked for, each time by itself: sides of attributes.
      windows: Music that the samples are set beside; None for none.
      number: How many samples.
      temperature: Of all that is decoded.
      seed: Of samples and noise.

    Returns:
      For every wish the share of the samples that have what is wanted, without the constraint
      (`without`), with realism alone (`realism`) and with the wish (`with`), and how far it moved
      them (`moved`): the root mean square over the dimensions of z, in standard deviations of the
      prior, the mean over the samples. The same distance of realism alone; and what the samples,
      those of realism alone, and the windows are like.

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
    """The share of the music that has all that is wanted."""
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
    """Statistics and mean attributes of each; the overlap of pitches with the corpus."""
    found = {name: samples.statistics(model.config, made) for name, made in music.items()}
    figures: Metrics = {}
    for name, made in music.items():
        own = {"notes_per_bar": found[name].notes_per_bar, "empty_bars": found[name].empty_bars}
        if "corpus" in found:
            both = found[name].histogram, found["corpus"].histogram
            own["histogram_overlap"] = metrics.histogram_overlap(*both)
        figures[name] = own | _mean_attributes(model, made)
    return figures


def _mean_attributes(model: ArrayModel, made: Sequence[np.ndarray]) -> dict[str, float | None]:
    """The mean of each attribute over what has it; none for music that has no attributes."""
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
