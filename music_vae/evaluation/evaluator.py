"""Runs a model over windows of music: the passes that the metrics of an evaluation come from.

A window is encoded, and z is drawn from its posterior. Given z, the decoder either reads known
music and predicts each next step (teacher-forced), or samples new music. Windows are computed in
chunks, in as many threads as suit the model.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from music_vae.common.chunks import map_chunks
from music_vae.common.errors import UserError
from music_vae.configs import Config
from music_vae.dataset.windows import Window
from music_vae.engine.array_model import ArrayModel
from music_vae.evaluation import metrics
from music_vae.latent import corpus, latent_space
from music_vae.latent.latent_space import Prior
from music_vae.music.converters.base import Converter

_Result = TypeVar("_Result")


def check_latent(config: Config) -> None:
    """Raises `UserError` for a config without a latent space.

    >>> from music_vae.configs import get_config
    >>> check_latent(get_config("cat-mel_2bar_small", "z_size=0"))
    Traceback (most recent call last):
    music_vae.common.errors.UserError: cat-mel_2bar_small has no latent space; ...
    """
    if not config.hparams.latent_size:
        raise UserError(f"{config.name} has no latent space; there is nothing to reconstruct from")


def window_symbols(converter: Converter, window: Window) -> np.ndarray:
    """Returns the symbols of a window, padding included; see `Converter.symbols`.

    >>> from music_vae.configs import get_config
    >>> from music_vae.dataset.windows import read_windows
    >>> from music_vae.music import notes_io
    >>> (tune,) = notes_io.read_music_file("examples/tunes/soldiers_joy.mid")
    >>> config = get_config("cat-mel_2bar_small")
    >>> window = read_windows([tune], config)[0]
    >>> window_symbols(config.data_converter, window)[12:20]  # 0: the note goes on
    array([47, 0, 48, 0, 50, 0, 47, 0])
    """
    return converter.symbols(converter.dense_outputs(window.example.outputs))


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """A trained model that encodes windows, predicts their steps, and samples.

    >>> from music_vae.configs import get_config
    >>> from music_vae.dataset.windows import read_windows
    >>> from music_vae.music import notes_io
    >>> from music_vae.weights import shipped
    >>> config = get_config("cat-mel_2bar_mini")
    >>> (tune,) = notes_io.read_music_file("examples/tunes/soldiers_joy.mid")
    >>> windows = read_windows([tune], config)[:4]
    >>> evaluator = Evaluator(ArrayModel(config, 8, shipped.folder(config.name)))
    >>> z, kl_bits = evaluator.encode(windows)
    >>> kl_bits.round()  # the information that z has of each window
    array([82., 93., 88., 91.])
    >>> outputs, loss_nats = evaluator.expect(z, windows, "teacher forcing")
    >>> loss_nats.round(2)  # the information that it lacks
    array([0.12, 0.23, 0.48, 0.48], dtype=float32)

    Attributes:
      model: The model; windows are computed in batches of its size.
      seed: Seed of all random choices.
    """

    model: ArrayModel
    seed: int = 0

    @property
    def config(self) -> Config:
        """The model's config."""
        return self.model.config

    @property
    def converter(self) -> Converter:
        """The config's representation of music."""
        return self.config.data_converter

    def encode(self, windows: Sequence[Window]) -> tuple[np.ndarray, np.ndarray]:
        """Returns z drawn from the posteriors `[N, Z]`, and their KL divergence in bits `[N]`."""
        size = self.model.batch_size
        z, mu, sigma = corpus.encode_windows(self.model, windows, chunk_size=size, seed=self.seed)
        return z, metrics.kl_bits(mu, sigma)

    def expect(
        self,
        z: np.ndarray,
        windows: Sequence[Window],
        label: str,
        read: Sequence[np.ndarray] | None = None,
    ) -> tuple[list[np.ndarray], np.ndarray]:
        """Predicts every step of the windows from z and the steps before it.

        Args:
          z: `[N, Z]`, a latent vector for each window.
          windows: The music whose steps are predicted.
          label: Label of the progress bar.
          read: Arrays `[T, Dout]`, the music that the decoder reads instead of the windows; None:
            the windows themselves (teacher-forced).

        Returns:
          The likeliest outcomes of each window's steps, arrays `[T, Dout]`; and the negative
          log-likelihood in nats of the music that was read, `[N]`.
        """

        def expect(chunk: slice) -> tuple[list[np.ndarray], list[np.ndarray]]:
            examples = [window.example for window in windows[chunk]]
            before = [self.converter.dense_outputs(example.outputs) for example in examples]
            if read is not None:
                before = [_fitted(r, len(b)) for r, b in zip(read[chunk], before, strict=True)]
            return self.model.reconstruct_tensors(
                z[chunk],
                before,
                [example.length for example in examples],
                corpus.controls_of(self.converter, windows[chunk]),
            )

        parts = self._in_chunks(expect, windows, label)
        outputs = [array for made, _ in parts for array in made]
        return outputs, np.array([loss.sum() for _, losses in parts for loss in losses])

    def sample(
        self, z: np.ndarray, windows: Sequence[Window], label: str, temperature: float = 1.0
    ) -> list[np.ndarray]:
        """Samples arrays `[T, Dout]` from z `[N, Z]`, conditioned on the windows' controls."""

        def sample(chunk: slice) -> list[np.ndarray]:
            controls = corpus.controls_of(self.converter, windows[chunk])
            return self._decode(z[chunk], controls, temperature, self.seed + chunk.start)

        parts = self._in_chunks(sample, windows, label)
        return [array for part in parts for array in part]

    def latent_vectors(self, number: int, prior: Prior | None) -> np.ndarray:
        """Draws latent vectors `[number, Z]` from a prior; None: from N(0, 1)."""
        rng = np.random.default_rng([self.seed, 2])
        return latent_space.draw(number, self.config.hparams.latent_size, rng, prior)

    def draw(
        self,
        number: int,
        windows: Sequence[Window],
        label: str,
        temperature: float = 1.0,
        prior: Prior | None = None,
    ) -> list[np.ndarray]:
        """Samples new music, arrays `[T, Dout]`, conditioned on the windows' controls in turn."""
        conditions = [windows[n % len(windows)] for n in range(number)]
        return self.sample(self.latent_vectors(number, prior), conditions, label, temperature)

    def _decode(
        self,
        z: np.ndarray,
        controls: Sequence[np.ndarray] | None,
        temperature: float,
        seed: int,
    ) -> list[np.ndarray]:
        """Samples from z `[B, Z]`; with controls one by one, as each has its own."""
        if controls is None:
            return self.model.decode_to_tensors(z, None, temperature, seed=seed)
        samples = []
        for number, (vector, control) in enumerate(zip(z, controls, strict=True)):
            fitted = _fitted(np.asarray(control, np.float32), self.config.hparams.max_seq_len)
            samples += self.model.decode_to_tensors(
                vector[None], None, temperature, fitted, seed=seed + number
            )
        return samples

    def _in_chunks(
        self, function: Callable[[slice], _Result], windows: Sequence[Window], label: str
    ) -> list[_Result]:
        size, workers = self.model.batch_size, self.model.workers
        return map_chunks(function, len(windows), size, workers=workers, label=label)


def _fitted(array: np.ndarray, steps: int) -> np.ndarray:
    """Cuts `[T, D]`, or fills it up with zeros, to so many steps."""
    return np.pad(array[:steps], ((0, max(steps - len(array), 0)), (0, 0)))
