"""Measures how smooth interpolation is: figure 3 of Roberts et al. 2018.

The model decodes points on the arc between the means of two pieces A and B. The share of tokens
that differ from A's should grow evenly. The cost of the results to a language model of the corpus
should stay that of the two pieces, which is taken for 1. A mix of the two token sequences serves as
the baseline: every token is B's with a probability equal to the fraction of the way. Its distance
from A grows as evenly, but it is no music, so its cost is higher.
"""

import math
from collections.abc import Hashable, Sequence

import numpy as np

from music_vae.common.chunks import map_chunks
from music_vae.common.errors import UserError
from music_vae.configs import Config
from music_vae.dataset.windows import Window
from music_vae.engine.array_model import ArrayModel
from music_vae.evaluation import language_model, metrics
from music_vae.evaluation.evaluator import window_symbols
from music_vae.evaluation.language_model import LanguageModel
from music_vae.evaluation.metrics import Metrics
from music_vae.latent import latent_space
from music_vae.latent.corpus import encode_windows
from music_vae.music.converters.base import Converter

STEPS = 11  # fractions of the way, from 0 to 1 by tenths
TEMPERATURE = 0.5  # as in the paper
_BATCH = 64  # pairs that are decoded at once


def check(config: Config) -> None:
    """Raises `UserError` for a model whose interpolation cannot be measured.

    >>> from music_vae.configs import get_config
    >>> check(get_config("cat-mel_2bar_med_chords"))
    Traceback (most recent call last):
    music_vae.common.errors.UserError: cat-mel_2bar_med_chords has controls; ...
    """
    if config.data_converter.control_depth:
        raise UserError(f"{config.name} has controls; `interpolation` is for models without")


def measure(
    model: ArrayModel,
    windows: Sequence[Window],
    corpus: Sequence[Window],
    *,
    pairs: int = 256,
    temperature: float = TEMPERATURE,
    seed: int = 0,
) -> Metrics:
    """Measures the curves of the model and of the mix, as means over pairs of windows.

    >>> from music_vae.configs import get_config
    >>> from music_vae.dataset.windows import read_windows
    >>> from music_vae.music import notes_io
    >>> from music_vae.weights import shipped
    >>> config = get_config("cat-mel_2bar_mini")
    >>> (tune,) = notes_io.read_music_file("examples/tunes/soldiers_joy.mid")
    >>> windows = read_windows([tune], config)
    >>> model = ArrayModel(config, 8, shipped.folder(config.name))
    >>> curves = measure(model, windows, corpus=windows, pairs=4)
    >>> [round(share, 2) for share in curves["model"]["hamming"]]
    [0.0, 0.0, 0.04, 0.18, 0.28, 0.38, 0.45, 0.47, 0.48, 0.48, 0.48]

    Args:
      model: A model without controls.
      windows: Music that the model has not seen; the pairs are drawn from it.
      corpus: Music that the language model is trained on.
      pairs: Number of pairs.
      temperature: Temperature at which all music is decoded.
      seed: Seed of the pairs, the samples and the mixes.

    Returns:
      By `model` and `mix`, for each of `fractions`: `hamming`, the share of the steps that differ
      from A's; and `cost`, the summed cost of all pairs over the cost of their two ends, which is
      interpolated by the fraction. `monotone` is True if the model's distances never fall, and
      `end_cost_nats` is the mean cost of the ends.

    Raises:
      UserError: If the model has controls, or there are fewer than two windows.
    """
    check(model.config)
    if len(windows) < 2:
        raise UserError(f"{len(windows)} window is no pair; give more music")
    converter, rng = model.config.data_converter, np.random.default_rng([seed, 3])
    chosen = [rng.choice(len(windows), 2, replace=False) for _ in range(pairs)]
    fractions = np.linspace(0.0, 1.0, STEPS)
    language = _language_model(converter, corpus)
    ends = [[_tokens(converter, windows[index]) for index in pair] for pair in chosen]
    made = _decoded(model, windows, chosen, temperature, seed)
    mixed = [_mixes(first, second, fractions, rng) for first, second in ends]
    end_costs = np.array([[language.cost(_hashable(end)) for end in pair] for pair in ends])
    base = end_costs.sum(axis=0) @ np.stack([1 - fractions, fractions])
    result: Metrics = {
        "config": model.config.name,
        "pairs": pairs,
        "temperature": temperature,
        "windows": len(windows),
        "corpus_windows": len(corpus),
        "fractions": [round(float(fraction), 6) for fraction in fractions],
        "end_cost_nats": float(end_costs.mean()),
    }
    for name, paths in (("model", made), ("mix", mixed)):
        result[name] = {
            "hamming": _mean_distances([first for first, _ in ends], paths),
            "cost": [
                sum(language.cost(_hashable(path[n])) for path in paths) / base[n]
                for n in range(STEPS)
            ],
        }
    result["monotone"] = bool((np.diff(result["model"]["hamming"]) >= 0).all())
    return result


def _decoded(
    model: ArrayModel,
    windows: Sequence[Window],
    pairs: Sequence[np.ndarray],
    temperature: float,
    seed: int,
) -> list[list[np.ndarray]]:
    """Decodes the points on the way of each pair, ends included, to symbols."""
    ends = [windows[index] for pair in pairs for index in pair]
    _, mu, _ = encode_windows(model, ends, chunk_size=2 * _BATCH)
    means = mu.reshape(len(pairs), 2, -1)

    def decode(chunk: slice) -> list[list[np.ndarray]]:
        z = [latent_space.interpolate(first, second, STEPS) for first, second in means[chunk]]
        made = model.decode_to_tensors(
            np.concatenate(z), None, temperature, seed=seed + chunk.start * STEPS
        )
        symbols = [model.config.data_converter.symbols(outputs) for outputs in made]
        return [symbols[n * STEPS : (n + 1) * STEPS] for n in range(len(z))]

    batches = map_chunks(decode, len(pairs), _BATCH, label="interpolating")
    return [symbols for batch in batches for symbols in batch]


def _mean_distances(
    starts: Sequence[np.ndarray], paths: Sequence[Sequence[np.ndarray]]
) -> list[float]:
    """Returns the distance of each point on the paths from the start, as means over all paths."""
    distances = [
        [_distance(start, made) for made in path] for start, path in zip(starts, paths, strict=True)
    ]
    return [float(np.mean(step)) for step in zip(*distances, strict=True)]


def _mixes(
    first: np.ndarray, second: np.ndarray, fractions: np.ndarray, rng: np.random.Generator
) -> list[np.ndarray]:
    """Mixes two token sequences for each fraction, with the same random numbers for all."""
    size = min(len(first), len(second))
    chance = rng.random((size, *(1,) * (first.ndim - 1)))
    return [np.where(chance < fraction, second[:size], first[:size]) for fraction in fractions]


def _language_model(converter: Converter, corpus: Sequence[Window]) -> LanguageModel:
    pieces = (_hashable(_tokens(converter, window)) for window in corpus)
    return language_model.train(pieces, math.prod(converter.num_symbols))


def _tokens(converter: Converter, window: Window) -> np.ndarray:
    """Returns the symbols of the valid steps of a window."""
    symbols = window_symbols(converter, window)
    return symbols[metrics.valid_steps(len(symbols), window.example.length)]


def _hashable(symbols: np.ndarray) -> list[Hashable]:
    return symbols.tolist() if symbols.ndim == 1 else list(map(tuple, symbols.tolist()))


def _distance(true: np.ndarray, made: np.ndarray) -> float:
    """Returns the share of the steps that differ in any part; missing steps count as different."""
    right = metrics.right_steps(true, made, np.ones(len(true), bool))
    return 1 - float(np.mean(right if right.ndim == 1 else right.all(axis=1)))
