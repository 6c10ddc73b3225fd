"""Measures how a model plays grooves in use: hits are given, and the decoder runs freely.

Timing and velocities are compared with the drummer's at the hits that the model keeps, beside
baselines that play the same hits: see `groove_baselines`.
"""

from collections.abc import Sequence

import numpy as np

from music_vae.dataset.windows import Window
from music_vae.evaluation import groove_baselines, two_sample
from music_vae.evaluation.groove_baselines import Grooves, Playing
from music_vae.evaluation.metrics import Metrics
from music_vae.music.converters.base import Converter
from music_vae.music.symbols import Beat

MODEL = "model"
"""Name of the model's own playing beside the baselines."""


def has_playing(converter: Converter) -> bool:
    """Returns True for music whose hits have velocities and timing.

    >>> from music_vae.configs import get_config
    >>> has_playing(get_config("groovae_2bar_humanize").data_converter)
    True
    """
    return converter.has_numbers or converter.has_bins


def measure(
    converter: Converter,
    windows: Sequence[Window],
    made: Sequence[np.ndarray],
    training: Sequence[Window],
    *,
    seed: int = 0,
) -> Metrics:
    """Compares the playing of a model with that of the drummer, beside the baselines.

    >>> from music_vae.configs import get_config
    >>> from music_vae.music.converters.base import Example
    >>> converter = get_config("groovae_2bar_humanize").data_converter
    >>> rng = np.random.default_rng(0)
    >>> grooves = [np.concatenate([np.ones((32, 9)), rng.random((32, 18)) / 2], axis=1)] * 3
    >>> examples = [Example(own, own, None, np.array(32)) for own in grooves]
    >>> windows = [Window(example, 0.125, n) for n, example in enumerate(examples)]
    >>> found = measure(converter, windows, grooves, windows)
    >>> found["onset_ms"]["model"]["value"], found["hits_kept"]["value"]
    (0.0, 1.0)

    Args:
      converter: The representation of grooves.
      windows: Grooves that the model was not trained on.
      made: What the model made of each, dense outputs `[T, output_depth]`.
      training: Grooves that the baselines know.
      seed: Seed of the intervals and of gradient boosting.

    Returns:
      `onset_ms` and `velocity`: mean absolute errors by name of the player, each as `value`, `low`
      and `high`, at the hits that the model kept; `all_hits`, the same of the baselines at all
      hits; `hits_kept`, the share of the drummer's hits; `hits_added`, the number of hits that the
      drummer did not play, by that of those that he did; and for `timing` and `velocities`, the
      `spread`, by that of the drummer, and the `correlation` with the drummer.
    """
    true = _grooves(converter, [converter.dense_outputs(w.example.outputs) for w in windows])
    known = _grooves(converter, [converter.dense_outputs(w.example.outputs) for w in training])
    steps = max(true.hits.shape[1], known.hits.shape[1])
    true, known = _padded(true, steps), _padded(known, steps)
    new = _padded(_grooves(converter, made), steps)
    owners = np.nonzero(true.hits)[0]
    pieces = np.array([window.piece for window in windows])[owners]
    step_ms = 1000 * np.array([window.step_s for window in windows])[owners]
    kept = new.hits[true.hits]
    truth = groove_baselines.played(true)
    bar = converter.steps_per_bar
    players = {
        MODEL: Playing(new.velocities[true.hits], new.delays[true.hits]),
        "nearest": groove_baselines.by_nearest(true.hits, known, bar),
        "boosting": groove_baselines.by_boosting(true.hits, known, bar, seed),
        "median": groove_baselines.by_median(true.hits, known, bar),
        "quantised": Playing(
            np.full(len(owners), groove_baselines.played(known).velocities.mean()),
            np.zeros(len(owners)),
        ),
    }
    added = new.hits & ~true.hits
    result: Metrics = {
        "hits_kept": two_sample.mean(kept.astype(float), pieces, seed)._asdict(),
        "hits_added": float(added.sum() / max(true.hits.sum(), 1)),
        **_errors(players, truth, step_ms, pieces, kept, seed),
    }
    everywhere = np.ones(len(kept), bool)
    result["all_hits"] = _errors(players, truth, step_ms, pieces, everywhere, seed)
    model = players[MODEL]
    result["timing"] = _likeness(model.delays, truth.delays, owners, kept)
    result["velocities"] = _likeness(model.velocities, truth.velocities, owners, kept)
    return result


def _errors(
    players: dict[str, Playing],
    truth: Playing,
    step_ms: np.ndarray,
    pieces: np.ndarray,
    chosen: np.ndarray,
    seed: int,
) -> Metrics:
    """Returns the mean errors in time and in velocity at the chosen hits, by player."""
    result: Metrics = {"onset_ms": {}, "velocity": {}}
    if not chosen.any():
        return result
    for name, own in players.items():
        onsets = step_ms * np.abs(own.delays - truth.delays)
        velocities = np.abs(own.velocities - truth.velocities)
        for figure, errors in (("onset_ms", onsets), ("velocity", velocities)):
            estimate = two_sample.mean(errors[chosen], pieces[chosen], seed)
            result[figure][name] = estimate._asdict()
    return result


def _likeness(made: np.ndarray, true: np.ndarray, owners: np.ndarray, kept: np.ndarray) -> Metrics:
    """Returns the ratio of the spreads within windows, and the correlation, at kept hits."""
    made, true, owners = made[kept], true[kept], owners[kept]
    if len(made) < 2:
        return {"spread": float("nan"), "correlation": float("nan")}
    spreads = []
    for values in (made, true):
        counts = np.maximum(np.bincount(owners), 1)
        means = np.bincount(owners, values) / counts
        spreads.append(float(np.sqrt(np.mean((values - means[owners]) ** 2))))
    varies = min(np.std(made), np.std(true)) > 0
    return {
        "spread": spreads[0] / spreads[1] if spreads[1] else float("nan"),
        "correlation": float(np.corrcoef(made, true)[0, 1]) if varies else float("nan"),
    }


def _grooves(converter: Converter, outputs: Sequence[np.ndarray]) -> Grooves:
    """Returns the grooves of dense outputs, the shorter ones padded with silence."""
    beats = [voice for array in outputs for _, voice in converter.voices(array)]
    arrays = [(beat.hits, beat.velocities, beat.delays) for beat in beats if isinstance(beat, Beat)]
    steps = max(len(hits) for hits, _, _ in arrays)
    stacked = (
        np.stack([np.pad(own, ((0, steps - len(own)), (0, 0))) for own in part])
        for part in zip(*arrays, strict=True)
    )
    return Grooves(*stacked)


def _padded(grooves: Grooves, steps: int) -> Grooves:
    """Returns grooves that are cut, or continued in silence, to a number of steps."""
    missing = max(steps - grooves.hits.shape[1], 0)
    return Grooves(*(np.pad(g[:, :steps], ((0, 0), (0, missing), (0, 0))) for g in grooves))
