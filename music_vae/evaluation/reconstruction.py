"""Measures how well a model reconstructs music, as Roberts et al. 2018 (section 5) do.

z is drawn from a window's posterior. It is decoded twice: once the decoder reads the window's own
steps (teacher-forced), once its own samples at temperature 1. With the z of another window, the
results must be far worse, or the decoder makes no use of z.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from music_vae.dataset.windows import Window
from music_vae.evaluation import metrics
from music_vae.evaluation.evaluator import Evaluator, window_symbols
from music_vae.evaluation.metrics import Metrics
from music_vae.music.converters.base import Converter


class Truth(NamedTuple):
    """The symbols of a window, and its valid steps.

    >>> from music_vae.configs import get_config
    >>> from music_vae.dataset.windows import read_windows
    >>> from music_vae.music import notes_io
    >>> (tune,) = notes_io.read_music_file("examples/tunes/soldiers_joy.mid")
    >>> config = get_config("cat-mel_2bar_small")
    >>> truth = Truth.of(config.data_converter, read_windows([tune], config)[0])
    >>> truth.symbols[12:20]  # 0: the note goes on
    array([47, 0, 48, 0, 50, 0, 47, 0])
    >>> int(truth.valid.sum())  # steps of two bars
    32

    Attributes:
      symbols: Whole numbers `[T]` or `[T, P]`; see `Converter.symbols`.
      valid: Booleans `[T]`, False for padding.
    """

    symbols: np.ndarray
    valid: np.ndarray

    @classmethod
    def of(cls, converter: Converter, window: Window) -> "Truth":
        """Returns the truth about a window."""
        symbols = window_symbols(converter, window)
        return cls(symbols, metrics.valid_steps(len(symbols), window.example.length))


class _Decoded(NamedTuple):
    """Reconstructions of windows from their z.

    Attributes:
      teacher_forced: Likeliest outcomes `[T, Dout]` of each window, given its own steps.
      loss_nats: Negative log-likelihood of each window, `[N]`.
      samples: Samples `[T, Dout]` at temperature 1, one for each window.
      sampled: Likeliest outcomes `[T, Dout]` of each window, given the steps of that sample.
    """

    teacher_forced: list[np.ndarray]
    loss_nats: np.ndarray
    samples: list[np.ndarray]
    sampled: list[np.ndarray]


def measure(evaluator: Evaluator, windows: Sequence[Window]) -> Metrics:
    """Measures accuracies, losses and KL divergence of windows, and accuracies with shuffled z.

    A step is right if its likeliest outcome is the window's. The model has read the steps of the
    window before it (teacher-forced), or its own samples at temperature 1 (sampled), as Roberts et
    al. (section 5.2) count. `accuracy_of_samples` counts the right steps of the samples themselves.

    >>> from music_vae.configs import get_config
    >>> from music_vae.dataset.windows import read_windows
    >>> from music_vae.engine.array_model import ArrayModel
    >>> from music_vae.music import notes_io
    >>> from music_vae.weights import shipped
    >>> config = get_config("cat-mel_2bar_mini")
    >>> (tune,) = notes_io.read_music_file("examples/tunes/soldiers_joy.mid")
    >>> model = ArrayModel(config, 8, shipped.folder(config.name))
    >>> result = measure(Evaluator(model), read_windows([tune], config)[:4])
    >>> result["accuracy_sampled"], result["shuffled_z"]["accuracy_sampled"]
    (1.0, 0.6875)
    """
    converter = evaluator.converter
    z, kl_bits = evaluator.encode(windows)
    truth = [Truth.of(converter, window) for window in windows]
    made = _decoded(evaluator, z, windows)
    steps = sum(int(valid.sum()) for _, valid in truth)
    result: Metrics = {
        **_accuracies(converter, truth, made),
        "accuracy_of_samples": accuracy(converter, truth, made.samples),
    }
    for part, name in enumerate(converter.parts):
        result |= _accuracies(converter, truth, made, part, f"_{name}")
    result |= {
        "kl_bits": float(kl_bits.mean()),
        "loss_nats_per_step": float(made.loss_nats.sum()) / steps,
        "shuffled_z": None,
        "groove": None,
    }
    if len(windows) > 1:
        partners = metrics.partners(len(windows), np.random.default_rng([evaluator.seed, 1]))
        others = _decoded(evaluator, z[partners], windows, ", shuffled z")
        result["shuffled_z"] = _accuracies(converter, truth, others)
    if converter.has_numbers:
        result["groove"] = {
            "teacher_forced": groove_errors(converter, windows, made.teacher_forced),
            "sampled": groove_errors(converter, windows, made.samples),
        }
    return result


def accuracy(
    converter: Converter,
    truth: Sequence[Truth],
    outputs: Sequence[np.ndarray],
    part: int | None = None,
) -> float:
    """Returns the share of the valid steps that are right.

    >>> from music_vae.configs import get_config
    >>> converter = get_config("cat-mel_2bar_small").data_converter
    >>> truth = Truth(np.array([47, 0, 50, 0]), valid=np.array([True, True, True, False]))
    >>> outputs = converter.dense_outputs(np.array([47, 0, 48, 0]))
    >>> round(accuracy(converter, [truth], [outputs]), 2)  # two of three
    0.67

    Args:
      converter: The representation of the music.
      truth: The truth about each window.
      outputs: Arrays `[T, Dout]` that were made of each window.
      part: Number of the part of a step that counts, such as one voice of a trio; None: all parts.
    """
    right = [
        metrics.right_steps(symbols, converter.symbols(made), valid)
        for (symbols, valid), made in zip(truth, outputs, strict=True)
    ]
    steps = np.concatenate(right)
    return float(np.mean(steps if part is None else steps[:, part]))


def groove_errors(
    converter: Converter, windows: Sequence[Window], outputs: Sequence[np.ndarray]
) -> Metrics:
    """Compares grooves with the windows; see `metrics.groove_errors`.

    >>> from music_vae.configs import get_config
    >>> from music_vae.music.converters.base import Example
    >>> converter = get_config("groovae_2bar_humanize").data_converter
    >>> bass_drum = np.zeros((32, 27), np.float32)  # 9 hits, then velocities, then offsets
    >>> bass_drum[0, [0, 9]] = 1, 0.8
    >>> early = bass_drum.copy()
    >>> early[0, 18] = -0.2
    >>> window = Window(Example(bass_drum, bass_drum, None, np.array(32)), step_s=0.125)
    >>> round(groove_errors(converter, [window], [early])["onset_ms"], 2)
    12.5
    """
    truth = [converter.groove(converter.dense_outputs(w.example.outputs)) for w in windows]
    made = [converter.groove(array) for array in outputs]
    return metrics.groove_errors(truth, made, [1000 * w.step_s for w in windows])._asdict()


def _decoded(
    evaluator: Evaluator, z: np.ndarray, windows: Sequence[Window], note: str = ""
) -> _Decoded:
    """Decodes z `[N, Z]`; `note` is added to the labels of the progress bars."""
    expected, loss_nats = evaluator.expect(z, windows, f"teacher forcing{note}")
    samples = evaluator.sample(z, windows, f"sampling{note}")
    sampled, _ = evaluator.expect(z, windows, f"reading samples{note}", samples)
    return _Decoded(expected, loss_nats, samples, sampled)


def _accuracies(
    converter: Converter,
    truth: Sequence[Truth],
    made: _Decoded,
    part: int | None = None,
    suffix: str = "",
) -> Metrics:
    """Returns the accuracies by name, of all parts of a step or of one; see `accuracy`."""
    return {
        f"accuracy_{name}{suffix}": accuracy(converter, truth, outputs, part)
        for name, outputs in (("teacher_forced", made.teacher_forced), ("sampled", made.sampled))
    }
