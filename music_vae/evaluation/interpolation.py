"""How smooth interpolation is: figure 3 of Roberts et al. 2018.

Between two pieces A and B the model decodes points on the way between their means. The share of
tokens that differ from A's should grow evenly, and the cost to a language model of the corpus
should stay that of the ends, which is taken for 1. Beside it stands a mix of the two token
sequences, in which every token is B's with the probability of the fraction: it is as even, but no
music.
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

STEPS = 11  # from 0 to 1 by tenths
TEMPERATURE = 0.5  # of the paper
_BATCH = 64  # pairs that are decoded at once


def check(config: Config) -> None:
    """Raises `UserError` for a model whose interpolation cannot be measured."""
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
    """The curves of the model and of the mix, means over pairs of windows.

    Args:
      model: A model without controls.
      windows: Music that it has not seen; the pairs are drawn from it.
      corpus: What the language model learns.
      pairs: How many pairs.
      temperature: Of what is decoded.
      seed: Of all that is drawn.

    Returns:
      By `model` and `mix`, for each of `fractions`: `hamming`, the share of the steps that differ
      from A's, and `cost`, the sum of the costs over that of the ends' costs mixed by the fraction.
      `monotone`: whether the model's distances never fall. `end_cost_nats`: mean cost of the ends.

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
    found: Metrics = {
        "config": model.config.name,
        "pairs": pairs,
        "temperature": temperature,
        "windows": len(windows),
        "corpus_windows": len(corpus),
        "fractions": [round(float(fraction), 6) for fraction in fractions],
        "end_cost_nats": float(end_costs.mean()),
    }
    for name, paths in (("model", made), ("mix", mixed)):
        found[name] = {
            "hamming": _mean_distances([first for first, _ in ends], paths),
            "cost": [
                sum(language.cost(_hashable(path[n])) for path in paths) / base[n]
                for n in range(STEPS)
            ],
        }
    found["monotone"] = bool((np.diff(found["model"]["hamming"]) >= 0).all())
    return found


def _decoded(
    model: ArrayModel,
    windows: Sequence[Window],
    pairs: Sequence[np.ndarray],
    temperature: float,
    seed: int,
) -> list[list[np.ndarray]]:
    """For each pair the symbols of what lies on the way, ends included."""
    ends = [windows[index] for pair in pairs for index in pair]
    _, mu, _ = encode_windows(model, ends, chunk_size=2 * _BATCH)
    ways = mu.reshape(len(pairs), 2, -1)

    def decode(chunk: slice) -> list[list[np.ndarray]]:
        z = [latent_space.interpolate(first, second, STEPS) for first, second in ways[chunk]]
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
    """How far each step of the ways is from where its way starts, the mean over all ways."""
    distances = [
        [_distance(start, made) for made in path] for start, path in zip(starts, paths, strict=True)
    ]
    return [float(np.mean(step)) for step in zip(*distances, strict=True)]


def _mixes(
    first: np.ndarray, second: np.ndarray, fractions: np.ndarray, rng: np.random.Generator
) -> list[np.ndarray]:
    """The two mixed token by token, by the same chance for every fraction."""
    size = min(len(first), len(second))
    chance = rng.random((size, *(1,) * (first.ndim - 1)))
    return [np.where(chance < fraction, second[:size], first[:size]) for fraction in fractions]


def _language_model(converter: Converter, corpus: Sequence[Window]) -> LanguageModel:
    pieces = (_hashable(_tokens(converter, window)) for window in corpus)
    return language_model.train(pieces, math.prod(converter.num_symbols))


def _tokens(converter: Converter, window: Window) -> np.ndarray:
    """The symbols of the valid steps of a window."""
    symbols = window_symbols(converter, window)
    return symbols[metrics.valid_steps(len(symbols), window.example.length)]


def _hashable(symbols: np.ndarray) -> list[Hashable]:
    return symbols.tolist() if symbols.ndim == 1 else list(map(tuple, symbols.tolist()))


def _distance(true: np.ndarray, made: np.ndarray) -> float:
    """Share of the steps that differ, in any part; steps that are missing do."""
    right = metrics.right_steps(true, made, np.ones(len(true), bool))
    return 1 - float(np.mean(right if right.ndim == 1 else right.all(axis=1)))
