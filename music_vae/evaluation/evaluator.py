"""What a model makes of windows of music: the passes that the figures of an evaluation come from.

z is drawn from a window's posterior. Known music is read with it, step by step, for what the model
expects (teacher-forced); or new music is sampled. Windows are taken some at a time, and in as many
threads as the model likes.
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
from music_vae.latent import corpus
from music_vae.music.converters.base import Converter

_Result = TypeVar("_Result")


def check_latent(config: Config) -> None:
    """Raises `UserError` for a config without a latent space."""
    if not config.hparams.latent_size:
        raise UserError(f"{config.name} has no latent space; there is nothing to reconstruct from")


def window_symbols(converter: Converter, window: Window) -> np.ndarray:
    """The symbols of a window, padding included; see `Converter.symbols`."""
    return converter.symbols(converter.dense_outputs(window.example.outputs))


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """A trained model, and how to question it.

    Attributes:
      model: What encodes, samples, and expects; it says how many windows are computed at once.
      seed: Of all that is drawn.
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
        """z drawn from the posteriors `[N, Z]`, and their KL in bits `[N]`."""
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
        """The likeliest outcomes of every window's steps, and its loss in nats `[N]`.

        The steps before are those of the window, or of `read`, arrays `[T, Dout]`.
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
        """Samples of z `[N, Z]`, told the windows' controls."""

        def sample(chunk: slice) -> list[np.ndarray]:
            controls = corpus.controls_of(self.converter, windows[chunk])
            return self._decode(z[chunk], controls, temperature, self.seed + chunk.start)

        parts = self._in_chunks(sample, windows, label)
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
            told = _fitted(np.asarray(control, np.float32), self.config.hparams.max_seq_len)
            samples += self.model.decode_to_tensors(
                vector[None], None, temperature, told, seed=seed + number
            )
        return samples

    def _in_chunks(
        self, function: Callable[[slice], _Result], windows: Sequence[Window], label: str
    ) -> list[_Result]:
        size, workers = self.model.batch_size, self.model.workers
        return map_chunks(function, len(windows), size, workers=workers, label=label)


def _fitted(array: np.ndarray, steps: int) -> np.ndarray:
    """`[T, D]` cut or filled up with zeros to so many steps."""
    return np.pad(array[:steps], ((0, max(steps - len(array), 0)), (0, 0)))
