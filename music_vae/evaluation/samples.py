"""Compares samples from the prior with the music of a corpus."""

from collections.abc import Iterable, Sequence

import numpy as np

from music_vae.common.constants import DEFAULT_QPM
from music_vae.configs import Config
from music_vae.dataset.windows import Window
from music_vae.evaluation import metrics
from music_vae.evaluation.evaluator import Evaluator, window_symbols
from music_vae.evaluation.metrics import Metrics
from music_vae.latent.latent_space import Prior
from music_vae.music.converters.base import Converter


def measure(
    evaluator: Evaluator,
    windows: Sequence[Window],
    number: int,
    *,
    temperature: float = 1.0,
    train_keys: set[bytes] | None = None,
    prior: Prior | None = None,
) -> Metrics:
    """Measures statistics of samples from the prior, and of the windows for comparison.

    >>> from music_vae.configs import get_config
    >>> from music_vae.dataset.windows import read_windows
    >>> from music_vae.engine.array_model import ArrayModel
    >>> from music_vae.music import notes_io
    >>> from music_vae.weights import shipped
    >>> config = get_config("cat-mel_2bar_mini")
    >>> (tune,) = notes_io.read_music_file("examples/tunes/soldiers_joy.mid")
    >>> model = ArrayModel(config, 8, shipped.folder(config.name))
    >>> result = measure(Evaluator(model), read_windows([tune], config), 16)
    >>> {name: round(result[name]["notes_per_bar"], 1) for name in ("samples", "corpus")}
    {'samples': 5.3, 'corpus': 6.8}

    Args:
      evaluator: The model that samples.
      windows: The corpus; if the config has controls, the samples take those of the windows in
        turn.
      number: Number of samples.
      temperature: Temperature of the samples.
      train_keys: `window_keys` of the training windows; None: copies are not looked for.
      prior: The prior that is drawn from; None: N(0, 1).
    """
    config, converter = evaluator.config, evaluator.converter
    label = "samples from the prior"
    outputs = {
        "samples": evaluator.draw(number, windows, label, temperature, prior),
        "corpus": [converter.dense_outputs(window.example.outputs) for window in windows],
    }
    music = {name: statistics(config, arrays) for name, arrays in outputs.items()}
    histograms = (music[name].histogram for name in music)
    result: Metrics = {
        "temperature": temperature,
        "histogram_overlap": metrics.histogram_overlap(*histograms),
    }
    for name, arrays in outputs.items():
        result[name] = {
            "pieces": music[name].pieces,
            "notes_per_bar": music[name].notes_per_bar,
            "empty_bars": music[name].empty_bars,
            "copies_of_training_windows": _copies(converter, arrays, train_keys),
        }
    return result


def statistics(config: Config, outputs: Sequence[np.ndarray]) -> metrics.MusicStatistics:
    """Computes statistics of music that is given as dense outputs `[T, output_depth]`.

    >>> from music_vae.configs import get_config
    >>> config = get_config("cat-mel_2bar_small")
    >>> tokens = np.array([47, 0, 0, 0, 49, 0, 0, 0] + [1] * 24)  # two notes in two bars
    >>> statistics(config, [config.data_converter.dense_outputs(tokens)]).notes_per_bar
    1.0
    """
    converter = config.data_converter
    return metrics.music_statistics(
        converter.from_tensors(outputs),
        num_bars=converter.bars_of(config.hparams.max_seq_len),
        bar_s=converter.quarters_per_bar * 60 / DEFAULT_QPM,
        steps_per_bar=converter.steps_per_bar,
    )


def window_keys(windows: Iterable[Window], converter: Converter) -> set[bytes]:
    """Returns keys by which windows are recognised, transposed or not; see `Converter.window_key`.

    >>> from music_vae.configs import get_config
    >>> from music_vae.dataset.windows import read_windows
    >>> from music_vae.music import notes_io
    >>> (tune,) = notes_io.read_music_file("examples/tunes/soldiers_joy.mid")
    >>> config = get_config("cat-mel_2bar_small")
    >>> windows = read_windows([tune], config)
    >>> len(windows), len(window_keys(windows + windows, config.data_converter))
    (16, 16)
    """
    return {converter.window_key(window_symbols(converter, window)) for window in windows}


def _copies(
    converter: Converter, outputs: Sequence[np.ndarray], keys: set[bytes] | None
) -> float | None:
    """Returns the share of the music whose key is one of `keys`; None if `keys` is None."""
    if keys is None:
        return None
    return float(
        np.mean([converter.window_key(converter.symbols(array)) in keys for array in outputs])
    )
