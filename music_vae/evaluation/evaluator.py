"""What a trained model is worth on music it has not seen: the figures of `music_vae_evaluate`.

The reconstruction of a window is measured as in Roberts et al. 2018 (section 5): z is drawn from
its posterior and decoded, once told the steps before (teacher-forced), once on the decoder's own
samples at temperature 1. The same with the z of another window must be far worse, or the decoder
does not listen to z. Samples from the prior are then set beside the windows themselves.

Figures are nested dictionaries of numbers; what was left out is None.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from music_vae.common import progress
from music_vae.common.constants import DEFAULT_QPM
from music_vae.common.errors import UserError
from music_vae.configs import Config
from music_vae.dataset.windows import Window
from music_vae.evaluation import metrics
from music_vae.music.converters.base import Converter
from music_vae.music.converters.groove import GrooveConverter
from music_vae.music.converters.performance import MultiInstrumentPerformanceConverter
from music_vae.music.converters.trio import PARTS, TrioConverter

if TYPE_CHECKING:
    from music_vae.trained_model import TrainedModel

Figures = dict[str, Any]
_Result = TypeVar("_Result")

_BATCH = 64  # windows that are made dense at once


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """A trained model, and how to question it.

    Attributes:
      config: The model's config.
      model: What encodes, samples, and expects.
      batch_size: How many windows are computed at once.
      seed: Of all that is drawn.
    """

    config: Config
    model: "TrainedModel"
    batch_size: int = 64
    seed: int = 0

    @property
    def converter(self) -> Converter:
        """The config's representation of music."""
        return self.config.data_converter

    # -- Reconstruction -----------------------------------------------------------------------

    def reconstruction(self, windows: Sequence[Window]) -> Figures:
        """Accuracies, losses and KL of the windows, and the accuracies with shuffled z.

        Right is a step whose likeliest outcome is the window's. Before it the model was told the
        window (teacher-forced), or read its own samples at temperature 1 (sampled), as Roberts et
        al. (section 5.2) count. `accuracy_of_samples` counts the samples themselves.
        """
        z, kl_bits = self._encode(windows)
        truth = [self._truth(window) for window in windows]
        expected, loss_nats = self._expect(z, windows, "teacher forcing")
        samples = self._sample(z, windows, "sampling")
        sampled, _ = self._expect(z, windows, "reading samples", samples)
        steps = sum(int(valid.sum()) for _, valid in truth)
        figures: Figures = {
            "accuracy_teacher_forced": self._accuracy(truth, expected),
            "accuracy_sampled": self._accuracy(truth, sampled),
            "accuracy_of_samples": self._accuracy(truth, samples),
        }
        if isinstance(self.converter, TrioConverter):
            for number, part in enumerate(PARTS):
                figures[f"accuracy_teacher_forced_{part}"] = self._accuracy(truth, expected, number)
                figures[f"accuracy_sampled_{part}"] = self._accuracy(truth, sampled, number)
        figures |= {
            "kl_bits": float(kl_bits.mean()),
            "loss_nats_per_step": float(loss_nats.sum()) / steps,
            "shuffled_z": None,
            "groove": None,
        }
        if len(windows) > 1:
            other = z[metrics.partners(len(windows), np.random.default_rng([self.seed, 1]))]
            expected_others, _ = self._expect(other, windows, "teacher forcing, shuffled z")
            made_others = self._sample(other, windows, "sampling, shuffled z")
            sampled_others, _ = self._expect(other, windows, "reading those samples", made_others)
            figures["shuffled_z"] = {
                "accuracy_teacher_forced": self._accuracy(truth, expected_others),
                "accuracy_sampled": self._accuracy(truth, sampled_others),
            }
        if has_plain_grooves(self.converter):
            figures["groove"] = {
                "teacher_forced": self._groove_errors(windows, expected),
                "sampled": self._groove_errors(windows, samples),
            }
        return figures

    def _encode(self, windows: Sequence[Window]) -> tuple[np.ndarray, np.ndarray]:
        """z drawn from the posteriors `[N, Z]`, and their KL in bits `[N]`."""

        def encode(chunk: Sequence[Window], start: int) -> tuple[np.ndarray, ...]:
            examples = [window.example for window in chunk]
            return self.model.encode_tensors(
                [self.converter.dense_inputs(e.inputs) for e in examples],
                [e.length for e in examples],
                self._controls(chunk),
                seed=self.seed + start,
            )

        parts = self._over_chunks(encode, windows, "encoding")
        z, mu, sigma = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return z, metrics.kl_bits(mu, sigma)

    def _expect(
        self,
        z: np.ndarray,
        windows: Sequence[Window],
        what: str,
        told: Sequence[np.ndarray] | None = None,
    ) -> tuple[list[np.ndarray], np.ndarray]:
        """The likeliest outcomes of every window's steps, and its loss in nats `[N]`.

        The steps before are those of the window, or of `told`, arrays `[T, Dout]`.
        """

        def expect(
            chunk: Sequence[Window], start: int
        ) -> tuple[list[np.ndarray], list[np.ndarray]]:
            examples = [window.example for window in chunk]
            before = [self.converter.dense_outputs(e.outputs) for e in examples]
            if told is not None:
                made = told[start : start + len(chunk)]
                before = [_fitted(m, len(b)) for m, b in zip(made, before, strict=True)]
            return self.model.reconstruct_tensors(
                z[start : start + len(chunk)],
                before,
                [e.length for e in examples],
                self._controls(chunk),
            )

        parts = self._over_chunks(expect, windows, what)
        outputs = [array for made, _ in parts for array in made]
        return outputs, np.array([loss.sum() for _, losses in parts for loss in losses])

    def _sample(
        self, z: np.ndarray, windows: Sequence[Window], what: str, temperature: float = 1.0
    ) -> list[np.ndarray]:
        """Samples of z `[N, Z]`, told the windows' controls."""

        def sample(chunk: Sequence[Window], start: int) -> list[np.ndarray]:
            vectors = z[start : start + len(chunk)]
            return self._decode(vectors, self._controls(chunk), temperature, self.seed + start)

        parts = self._over_chunks(sample, windows, what)
        return [array for part in parts for array in part]

    def _decode(
        self,
        z: np.ndarray,
        controls: Sequence[np.ndarray] | None,
        temperature: float,
        seed: int,
    ) -> list[np.ndarray]:
        """Samples of z `[B, Z]`; with controls one by one, as each has its own."""
        if controls is None:
            return self.model.decode_to_tensors(z, None, temperature, seed=seed)
        samples = []
        for number, (vector, control) in enumerate(zip(z, controls, strict=True)):
            padded = np.zeros((self.config.hparams.max_seq_len, control.shape[1]), np.float32)
            padded[: len(control)] = control
            samples += self.model.decode_to_tensors(
                vector[None], None, temperature, padded, seed=seed + number
            )
        return samples

    def _controls(self, windows: Sequence[Window]) -> list[np.ndarray] | None:
        if not self.converter.control_depth:
            return None
        converter: Any = self.converter
        return [converter.dense_controls(window.example.controls) for window in windows]

    def _truth(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """The symbols of a window, and which of its steps are valid."""
        outputs, length = window.example.outputs, window.example.length
        symbols = metrics.symbols(self.converter, self.converter.dense_outputs(outputs))
        return symbols, metrics.valid_steps(len(outputs), length)

    def _accuracy(
        self,
        truth: Sequence[tuple[np.ndarray, np.ndarray]],
        outputs: Sequence[np.ndarray],
        part: int | None = None,
    ) -> float:
        """Share of the steps that are right; of a trio's parts all, or the one."""
        right = [
            metrics.right_steps(symbols, metrics.symbols(self.converter, made), valid)
            for (symbols, valid), made in zip(truth, outputs, strict=True)
        ]
        steps = np.concatenate(right)
        return float(np.mean(steps if part is None else steps[:, part]))

    def _groove_errors(self, windows: Sequence[Window], outputs: Sequence[np.ndarray]) -> Figures:
        truth = [
            metrics.Groove.of(self.converter.dense_outputs(window.example.outputs))
            for window in windows
        ]
        made = [metrics.Groove.of(array) for array in outputs]
        step_ms = [1000 * window.step_s for window in windows]
        return metrics.groove_errors(truth, made, step_ms)._asdict()

    def _over_chunks(
        self,
        function: Callable[[Sequence[Window], int], _Result],
        windows: Sequence[Window],
        what: str,
    ) -> list[_Result]:
        """What a function makes of each batch of windows and the number of its first.

        As many threads call it as the model likes. A progress bar says `what` is done.
        """
        from tqdm import tqdm

        starts = range(0, len(windows), self.batch_size)
        with ThreadPoolExecutor(self.model.workers) as pool:
            results = pool.map(
                lambda start: function(windows[start : start + self.batch_size], start), starts
            )
            hidden = not progress.show_progress()
            return list(tqdm(results, what, len(starts), unit="batch", disable=hidden))

    # -- Samples ------------------------------------------------------------------------------

    def samples(
        self,
        windows: Sequence[Window],
        number: int,
        *,
        temperature: float = 1.0,
        train_keys: set[bytes] | None = None,
    ) -> Figures:
        """Statistics of samples from the prior beside those of the windows.

        Args:
          windows: The corpus; where the config has controls, the samples take theirs in turn.
          number: How many samples.
          temperature: Of the samples.
          train_keys: `window_keys` of the training windows; None: copies are not looked for.
        """
        rng = np.random.default_rng([self.seed, 2])
        shape = number, self.config.hparams.latent_size
        z = rng.standard_normal(shape, np.float32)
        told = [windows[n % len(windows)] for n in range(number)]
        outputs = self._sample(z, told, "samples from the prior", temperature)
        dense = [self.converter.dense_outputs(window.example.outputs) for window in windows]
        made, corpus = statistics(self.config, outputs), statistics(self.config, dense)
        figures: Figures = {
            "temperature": temperature,
            "histogram_overlap": metrics.histogram_overlap(made.histogram, corpus.histogram),
        }
        for name, found, arrays in (("samples", made, outputs), ("corpus", corpus, dense)):
            copies = None
            if train_keys is not None:
                keys = (
                    metrics.window_key(self.converter, metrics.symbols(self.converter, array))
                    for array in arrays
                )
                copies = float(np.mean([key in train_keys for key in keys]))
            figures[name] = {
                "pieces": found.pieces,
                "notes_per_bar": found.notes_per_bar,
                "empty_bars": found.empty_bars,
                "copies_of_training_windows": copies,
            }
        return figures


def statistics(config: Config, outputs: Sequence[np.ndarray]) -> metrics.MusicStatistics:
    """What music is like: of the dense outputs `[T, output_depth]` of windows."""
    converter: Any = config.data_converter
    return metrics.music_statistics(
        converter.from_tensors(outputs),
        num_bars=bars_of_window(config),
        bar_s=converter.quarters_per_bar * 60 / DEFAULT_QPM,
        steps_per_bar=converter.steps_per_quarter * converter.quarters_per_bar,
    )


def _fitted(array: np.ndarray, steps: int) -> np.ndarray:
    """`[T, D]` cut or filled up with zeros to so many steps."""
    return np.pad(array[:steps], ((0, max(steps - len(array), 0)), (0, 0)))


def has_plain_grooves(converter: Converter) -> bool:
    """Whether outputs are hits, velocities and offsets as numbers."""
    return isinstance(converter, GrooveConverter) and (
        converter.num_velocity_bins is None or converter.num_offset_bins is None
    )


def bars_of_window(config: Config) -> int:
    """How many bars the model makes."""
    converter: Any = config.data_converter
    if isinstance(converter, MultiInstrumentPerformanceConverter):
        return converter.hop_size_bars
    steps = config.hparams.max_seq_len - bool(converter.end_token is not None)
    if isinstance(converter, GrooveConverter) and converter.split_instruments:
        steps //= converter.num_drums
    return math.ceil(steps / (converter.steps_per_quarter * converter.quarters_per_bar))


def posteriors(model: "TrainedModel", windows: Sequence[Window]) -> tuple[np.ndarray, np.ndarray]:
    """The means and the standard deviations of the windows' posteriors, both `[N, Z]`."""
    from tqdm import tqdm

    converter, parts = model.config.data_converter, []
    starts = range(0, len(windows), _BATCH)
    for start in tqdm(starts, desc="encoding", disable=not progress.show_progress()):
        examples = [window.example for window in windows[start : start + _BATCH]]
        told = [converter.dense_controls(e.controls) for e in examples if e.controls is not None]
        inputs = [converter.dense_inputs(e.inputs) for e in examples]
        parts.append(model.encode_tensors(inputs, [e.length for e in examples], told or None)[1:])
    mu, sigma = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return mu, sigma


def subset(windows: Sequence[Window], most: int | None, seed: int) -> Sequence[Window]:
    """At most `most` windows, drawn by `seed`, in their order; None: all."""
    if most is None or len(windows) <= most:
        return windows
    chosen = np.random.default_rng([seed, 0]).choice(len(windows), most, replace=False)
    return [windows[index] for index in sorted(chosen)]


def window_keys(windows: Iterable[Window], converter: Converter) -> set[bytes]:
    """What makes each window known again, in any key; see `metrics.window_key`."""
    return {
        metrics.window_key(
            converter, metrics.symbols(converter, converter.dense_outputs(w.example.outputs))
        )
        for w in windows
    }


def check_latent(config: Config) -> None:
    """Raises `UserError` for a config without a latent space."""
    if not config.hparams.latent_size:
        raise UserError(f"{config.name} has no latent space; there is nothing to reconstruct from")
