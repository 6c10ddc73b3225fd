"""Plays given hits without a neural network: baselines for models of grooves.

Each baseline knows grooves that drummers played, and gives every hit of another groove a velocity
and a delay: those of the grooves with the nearest hits, the median of the same drum at the same
place of a bar, or what gradient boosting makes of the hits around it. It needs scikit-learn.
"""

from typing import NamedTuple

import numpy as np

from music_vae.evaluation import learning

NEAREST = 20
"""Number of the grooves with the nearest hits, whose playing is averaged."""

_NEIGHBOURS = (-4, -3, -2, -1, 0, 1, 2, 3, 4)  # steps, at which boosting knows all hits
_MOST_HITS = 40_000  # that boosting learns from
_CHUNK = 256


class Grooves(NamedTuple):
    """Grooves of one length.

    >>> one = np.zeros((1, 32, 9))
    >>> Grooves(one > 0, velocities=one, delays=one).hits.shape
    (1, 32, 9)

    Attributes:
      hits: Booleans `[N, T, drums]`.
      velocities: MIDI velocities `[N, T, drums]`.
      delays: Steps by which hits are late, `[N, T, drums]`.
    """

    hits: np.ndarray
    velocities: np.ndarray
    delays: np.ndarray


class Playing(NamedTuple):
    """Velocities and delays of hits, each `[H]` in the order of `hits.nonzero()`.

    >>> Playing(np.array([80.0]), np.array([0.1])).delays
    array([0.1])
    """

    velocities: np.ndarray
    delays: np.ndarray


def played(grooves: Grooves) -> Playing:
    """Returns how the hits of grooves were played.

    >>> hits = np.array([[[True, False]]])
    >>> played(Grooves(hits, np.array([[[80.0, 0.0]]]), np.array([[[0.1, 0.0]]])))
    Playing(velocities=array([80.]), delays=array([0.1]))
    """
    return Playing(grooves.velocities[grooves.hits], grooves.delays[grooves.hits])


def by_median(hits: np.ndarray, known: Grooves, steps_per_bar: int) -> Playing:
    """Plays hits `[N, T, drums]` as the median of the same drum at the same place of a bar.

    A drum that was never hit there is played as the median of all its hits, or of all drums.

    >>> hits = np.array([[[True]], [[True]], [[True]]])
    >>> velocities = np.array([60.0, 70.0, 110.0]).reshape(3, 1, 1)
    >>> known = Grooves(hits, velocities, 0 * velocities)
    >>> by_median(hits[:1], known, steps_per_bar=1).velocities
    array([70.])
    """
    _, steps, drums = np.nonzero(known.hits)
    _, own_steps, own_drums = np.nonzero(hits)
    parts = []
    for values in played(known):
        table = np.full((steps_per_bar, hits.shape[2]), np.median(values))
        for drum in np.unique(drums):
            table[:, drum] = np.median(values[drums == drum])
            for place in range(steps_per_bar):
                there = (drums == drum) & (steps % steps_per_bar == place)
                if there.any():
                    table[place, drum] = np.median(values[there])
        parts.append(table[own_steps % steps_per_bar, own_drums])
    return Playing(*parts)


def by_nearest(
    hits: np.ndarray, known: Grooves, steps_per_bar: int, nearest: int = NEAREST
) -> Playing:
    """Plays hits `[N, T, drums]` as the mean of the known grooves whose hits differ least.

    Where none of these has a hit, `by_median` plays it.

    >>> hits = np.array([[[True, True]], [[True, False]]])
    >>> velocities = np.array([[[60.0, 70.0]], [[110.0, 0.0]]])
    >>> known = Grooves(hits, velocities, 0 * velocities)
    >>> by_nearest(hits[:1], known, steps_per_bar=1, nearest=1).velocities
    array([60., 70.])
    """
    flat = known.hits.reshape(len(known.hits), -1).astype(np.float32)
    sums = flat.sum(axis=1)
    values = [(own * known.hits).reshape(len(flat), -1) for own in known[1:]]
    nearest = min(nearest, len(flat))
    made: list[list[np.ndarray]] = [[], []]
    for start in range(0, len(hits), _CHUNK):
        own = hits[start : start + _CHUNK].reshape(-1, flat.shape[1])
        differing = sums - 2 * (own.astype(np.float32) @ flat.T)  # but for a number of its own
        chosen = np.argsort(differing, axis=1, kind="stable")[:, :nearest]
        for row, near in zip(own, chosen, strict=True):
            counts = flat[near][:, row].sum(axis=0)
            for part, all_values in zip(made, values, strict=True):
                total = all_values[near][:, row].sum(axis=0)
                part.append(np.where(counts > 0, total / np.maximum(counts, 1), np.nan))
    medians = by_median(hits, known, steps_per_bar)
    parts = [np.concatenate(part) for part in made]
    return Playing(
        *(np.where(np.isnan(own), m, own) for own, m in zip(parts, medians, strict=True))
    )


def by_boosting(hits: np.ndarray, known: Grooves, steps_per_bar: int, seed: int = 0) -> Playing:
    """Plays hits `[N, T, drums]` as gradient boosting predicts it from the hits around each.

    >>> hits = np.ones((60, 1, 1), bool)
    >>> velocities = np.full((60, 1, 1), 90.0)
    >>> by_boosting(hits[:1], Grooves(hits, velocities, 0 * velocities), 1).velocities.round()
    array([90.])
    """
    about, own = (_around(array, steps_per_bar) for array in (known.hits, hits))
    rng = np.random.default_rng([seed, 13])
    chosen = rng.permutation(len(about))[:_MOST_HITS]
    parts = []
    for values in played(known):
        with learning.one_thread():
            model = learning.regressor(seed).fit(about[chosen], values[chosen])
            parts.append(model.predict(own))
    return Playing(*parts)


def _around(hits: np.ndarray, steps_per_bar: int) -> np.ndarray:
    """Returns what boosting knows of each hit: its drum, its place, and all hits around it."""
    reach = max(_NEIGHBOURS)
    padded = np.pad(hits, ((0, 0), (reach, reach), (0, 0)))
    windows, steps, drums = np.nonzero(hits)
    near = [padded[windows, steps + reach + shift] for shift in _NEIGHBOURS]
    places = [steps % steps_per_bar, steps // steps_per_bar, drums]
    return np.concatenate([np.stack(places, axis=1), *near], axis=1).astype(np.float32)
