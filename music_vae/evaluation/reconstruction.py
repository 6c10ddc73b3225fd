"""How well a model reconstructs music it has not seen, as Roberts et al. 2018 (section 5) measure.

z is drawn from a window's posterior and decoded, once told the steps before (teacher-forced), once
on the decoder's own samples at temperature 1. The same with the z of another window must be far
worse, or the decoder does not listen to z.
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
    """The symbols of a window, `[T]` or `[T, P]`, and which of its steps are valid, `[T]`."""

    symbols: np.ndarray
    valid: np.ndarray

    @classmethod
    def of(cls, converter: Converter, window: Window) -> "Truth":
        """The truth about a window."""
        symbols = window_symbols(converter, window)
        return cls(symbols, metrics.valid_steps(len(symbols), window.example.length))


class Decoded(NamedTuple):
    """What a model makes of z, one for each window.

    Attributes:
      teacher_forced: The likeliest outcomes `[T, Dout]`, told the steps before.
      loss_nats: The negative log-likelihood of each window, `[N]`.
      samples: Samples at temperature 1, `[T, Dout]`.
      sampled: The likeliest outcomes `[T, Dout]`, having read those samples.
    """

    teacher_forced: list[np.ndarray]
    loss_nats: np.ndarray
    samples: list[np.ndarray]
    sampled: list[np.ndarray]


def measure(evaluator: Evaluator, windows: Sequence[Window]) -> Metrics:
    """Accuracies, losses and KL of the windows, and the accuracies with shuffled z.

    Right is a step whose likeliest outcome is the window's. Before it the model was told the
    window (teacher-forced), or read its own samples at temperature 1 (sampled), as Roberts et
    al. (section 5.2) count. `accuracy_of_samples` counts the samples themselves.
    """
    converter = evaluator.converter
    z, kl_bits = evaluator.encode(windows)
    truth = [Truth.of(converter, window) for window in windows]
    made = _decoded(evaluator, z, windows)
    steps = sum(int(valid.sum()) for _, valid in truth)
    found: Metrics = {
        **_accuracies(converter, truth, made),
        "accuracy_of_samples": accuracy(converter, truth, made.samples),
    }
    for part, name in enumerate(converter.parts):
        found |= _accuracies(converter, truth, made, part, f"_{name}")
    found |= {
        "kl_bits": float(kl_bits.mean()),
        "loss_nats_per_step": float(made.loss_nats.sum()) / steps,
        "shuffled_z": None,
        "groove": None,
    }
    if len(windows) > 1:
        partners = metrics.partners(len(windows), np.random.default_rng([evaluator.seed, 1]))
        others = _decoded(evaluator, z[partners], windows, ", shuffled z")
        found["shuffled_z"] = _accuracies(converter, truth, others)
    if converter.has_numbers:
        found["groove"] = {
            "teacher_forced": groove_errors(converter, windows, made.teacher_forced),
            "sampled": groove_errors(converter, windows, made.samples),
        }
    return found


def accuracy(
    converter: Converter,
    truth: Sequence[Truth],
    outputs: Sequence[np.ndarray],
    part: int | None = None,
) -> float:
    """Share of the valid steps that are right; of several parts all, or the one of a number."""
    right = [
        metrics.right_steps(symbols, converter.symbols(made), valid)
        for (symbols, valid), made in zip(truth, outputs, strict=True)
    ]
    steps = np.concatenate(right)
    return float(np.mean(steps if part is None else steps[:, part]))


def groove_errors(
    converter: Converter, windows: Sequence[Window], outputs: Sequence[np.ndarray]
) -> Metrics:
    """The errors of grooves beside the windows; see `metrics.groove_errors`."""
    truth = [converter.groove(converter.dense_outputs(w.example.outputs)) for w in windows]
    made = [converter.groove(array) for array in outputs]
    return metrics.groove_errors(truth, made, [1000 * w.step_s for w in windows])._asdict()


def _decoded(
    evaluator: Evaluator, z: np.ndarray, windows: Sequence[Window], note: str = ""
) -> Decoded:
    """What the model makes of z `[N, Z]`; `note` tells its progress bars from others."""
    expected, loss_nats = evaluator.expect(z, windows, f"teacher forcing{note}")
    samples = evaluator.sample(z, windows, f"sampling{note}")
    sampled, _ = evaluator.expect(z, windows, f"reading samples{note}", samples)
    return Decoded(expected, loss_nats, samples, sampled)


def _accuracies(
    converter: Converter,
    truth: Sequence[Truth],
    made: Decoded,
    part: int | None = None,
    suffix: str = "",
) -> Metrics:
    """The accuracies by name; of several parts all, or the one of a number."""
    return {
        f"accuracy_{name}{suffix}": accuracy(converter, truth, outputs, part)
        for name, outputs in (("teacher_forced", made.teacher_forced), ("sampled", made.sampled))
    }
