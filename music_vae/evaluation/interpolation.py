"""How smooth interpolation is: figure 3 of Roberts et al. 2018.

Between two pieces A and B the model decodes points on the way between their means. The share of
tokens that differ from A's should grow evenly, and the cost to a language model of the corpus
should stay that of the ends, which is taken for 1. Beside it stands a mix of the two token
sequences, in which every token is B's with the probability of the fraction: it is as even, but no
music.
"""

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from music_vae.common import progress
from music_vae.common.errors import UserError
from music_vae.configs import Config
from music_vae.dataset.windows import Window
from music_vae.evaluation import language_model, metrics
from music_vae.latent import latent_space
from music_vae.music.converters.base import Converter
from music_vae.music.converters.drums import DrumsConverter
from music_vae.music.converters.groove import GrooveConverter
from music_vae.music.converters.trio import TrioConverter

if TYPE_CHECKING:
    from music_vae.evaluation.language_model import LanguageModel
    from music_vae.trained_model import TrainedModel

STEPS = 11  # from 0 to 1 by tenths
TEMPERATURE = 0.5  # of the paper
_BATCH = 64  # pairs that are decoded at once

Figures = dict[str, Any]


def check(config: Config) -> None:
    """Raises `UserError` for a model whose interpolation cannot be measured."""
    if config.data_converter.control_depth:
        raise UserError(f"{config.name} has controls; `interpolation` is for models without")


def figures(
    model: "TrainedModel",
    windows: "Sequence[Window]",
    corpus: "Sequence[Window]",
    *,
    pairs: int = 256,
    temperature: float = TEMPERATURE,
    seed: int = 0,
) -> Figures:
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
    found: Figures = {
        "config": model.config.name,
        "pairs": pairs,
        "temperature": temperature,
        "windows": len(windows),
        "corpus_windows": len(corpus),
        "fractions": [round(float(fraction), 6) for fraction in fractions],
        "end_cost_nats": float(end_costs.mean()),
    }
    for name, paths in (("model", made), ("mix", mixed)):
        both = ends, paths
        found[name] = {
            "hamming": [
                float(np.mean([_distance(a, path[n]) for (a, _), path in zip(*both, strict=True)]))
                for n in range(STEPS)
            ],
            "cost": [
                sum(language.cost(_hashable(path[n])) for path in paths) / base[n]
                for n in range(STEPS)
            ],
        }
    found["monotone"] = bool((np.diff(found["model"]["hamming"]) >= 0).all())
    return found


def _decoded(
    model: "TrainedModel",
    windows: "Sequence[Window]",
    pairs: Sequence[np.ndarray],
    temperature: float,
    seed: int,
) -> list[list[np.ndarray]]:
    """For each pair the symbols of what lies on the way, ends included."""
    from tqdm import tqdm

    converter = model.config.data_converter
    found = []
    starts = range(0, len(pairs), _BATCH)
    for start in tqdm(starts, desc="interpolating", disable=not progress.show_progress()):
        chunk = pairs[start : start + _BATCH]
        examples = [windows[index].example for pair in chunk for index in pair]
        inputs = [converter.dense_inputs(example.inputs) for example in examples]
        _, mu, _ = model.encode_tensors(inputs, [example.length for example in examples])
        z = [latent_space.interpolate(a, b, STEPS) for a, b in mu.reshape(len(chunk), 2, -1)]
        made = model.decode_to_tensors(
            np.concatenate(z), None, temperature, seed=seed + start * STEPS
        )
        symbols = [metrics.symbols(converter, outputs) for outputs in made]
        found += [symbols[n * STEPS : (n + 1) * STEPS] for n in range(len(chunk))]
    return found


def _mixes(
    first: np.ndarray, second: np.ndarray, fractions: np.ndarray, rng: np.random.Generator
) -> list[np.ndarray]:
    """The two mixed token by token, by the same chance for every fraction."""
    size = min(len(first), len(second))
    chance = rng.random((size, *(1,) * (first.ndim - 1)))
    return [np.where(chance < fraction, second[:size], first[:size]) for fraction in fractions]


def _language_model(converter: Converter, corpus: "Sequence[Window]") -> "LanguageModel":
    pieces = (_hashable(_tokens(converter, window)) for window in corpus)
    return language_model.train(pieces, _vocabulary_size(converter))


def _vocabulary_size(converter: Converter) -> int:
    """How many symbols there are: see `metrics.symbols`."""
    if isinstance(converter, TrioConverter):
        return int(np.prod(converter.split_output_depths))
    if isinstance(converter, GrooveConverter):
        return 2 ** (1 if converter.split_instruments else converter.num_drums)
    if isinstance(converter, DrumsConverter) and converter.roll_output:
        return 2**converter.output_depth
    return converter.output_depth


def _tokens(converter: Converter, window: "Window") -> np.ndarray:
    """The symbols of the valid steps of a window."""
    outputs, length = window.example.outputs, window.example.length
    symbols = metrics.symbols(converter, converter.dense_outputs(outputs))
    return symbols[metrics.valid_steps(len(outputs), length)]


def _hashable(symbols: np.ndarray) -> list[Hashable]:
    return symbols.tolist() if symbols.ndim == 1 else list(map(tuple, symbols.tolist()))


def _distance(true: np.ndarray, made: np.ndarray) -> float:
    """Share of the steps that differ, in any part; steps that are missing do."""
    right = metrics.right_steps(true, made, np.ones(len(true), bool))
    return 1 - float(np.mean(right if right.ndim == 1 else right.all(axis=1)))
