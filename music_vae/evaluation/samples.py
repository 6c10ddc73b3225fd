"""What samples from the prior are like, beside the music of a corpus."""

from collections.abc import Iterable, Sequence

import numpy as np

from music_vae.common.constants import DEFAULT_QPM
from music_vae.configs import Config
from music_vae.dataset.windows import Window
from music_vae.evaluation import metrics
from music_vae.evaluation.evaluator import Evaluator, window_symbols
from music_vae.evaluation.metrics import Metrics
from music_vae.music.converters.base import Converter


def measure(
    evaluator: Evaluator,
    windows: Sequence[Window],
    number: int,
    *,
    temperature: float = 1.0,
    train_keys: set[bytes] | None = None,
) -> Metrics:
    """Statistics of samples from the prior beside those of the windows.

    Args:
      evaluator: The model that samples.
      windows: The corpus; where the config has controls, the samples take theirs in turn.
      number: How many samples.
      temperature: Of the samples.
      train_keys: `window_keys` of the training windows; None: copies are not looked for.
    """
    config, converter = evaluator.config, evaluator.converter
    rng = np.random.default_rng([evaluator.seed, 2])
    z = rng.standard_normal((number, config.hparams.latent_size), np.float32)
    told = [windows[n % len(windows)] for n in range(number)]
    outputs = {
        "samples": evaluator.sample(z, told, "samples from the prior", temperature),
        "corpus": [converter.dense_outputs(window.example.outputs) for window in windows],
    }
    music = {name: statistics(config, arrays) for name, arrays in outputs.items()}
    histograms = (music[name].histogram for name in music)
    found: Metrics = {
        "temperature": temperature,
        "histogram_overlap": metrics.histogram_overlap(*histograms),
    }
    for name, arrays in outputs.items():
        found[name] = {
            "pieces": music[name].pieces,
            "notes_per_bar": music[name].notes_per_bar,
            "empty_bars": music[name].empty_bars,
            "copies_of_training_windows": _copies(converter, arrays, train_keys),
        }
    return found


def statistics(config: Config, outputs: Sequence[np.ndarray]) -> metrics.MusicStatistics:
    """What music is like: of the dense outputs `[T, output_depth]` of windows."""
    converter = config.data_converter
    return metrics.music_statistics(
        converter.from_tensors(outputs),
        num_bars=converter.bars_of(config.hparams.max_seq_len),
        bar_s=converter.quarters_per_bar * 60 / DEFAULT_QPM,
        steps_per_bar=converter.steps_per_bar,
    )


def window_keys(windows: Iterable[Window], converter: Converter) -> set[bytes]:
    """What makes each window known again, in any key; see `Converter.window_key`."""
    return {converter.window_key(window_symbols(converter, window)) for window in windows}


def _copies(
    converter: Converter, outputs: Sequence[np.ndarray], keys: set[bytes] | None
) -> float | None:
    """Share of the music whose key is one of `keys`; None without any."""
    if keys is None:
        return None
    return float(
        np.mean([converter.window_key(converter.symbols(array)) in keys for array in outputs])
    )
