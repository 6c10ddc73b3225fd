"""Encodes the windows of a corpus, and measures the attributes of their music.

Windows are kept in a compact form. They become dense arrays here, but only a chunk of them at a
time, so that a large corpus fits in memory.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from music_vae.common.chunks import map_chunks
from music_vae.music import attributes
from music_vae.music.converters.base import Converter

if TYPE_CHECKING:
    from music_vae.dataset.windows import Window
    from music_vae.engine.array_model import ArrayModel

CHUNK_SIZE = 64
"""Number of windows that are dense arrays at once."""


def encode_windows(
    model: "ArrayModel",
    windows: "Sequence[Window]",
    *,
    chunk_size: int = CHUNK_SIZE,
    seed: int | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Encodes windows to latent vectors (z, mu, sigma), all `[N, Z]`; shows progress.

    z is drawn from the posterior N(mu, sigma).

    >>> from music_vae import TrainedModel, notes_io
    >>> from music_vae.dataset.windows import read_windows
    >>> model = TrainedModel.shipped("cat-mel_2bar_mini")
    >>> tunes = notes_io.read_music_file("examples/tunes/soldiers_joy.mid")
    >>> windows = read_windows(tunes, model.config)
    >>> z, mu, sigma = encode_windows(model, windows, seed=0)
    >>> z.shape, mu.shape, sigma.shape  # 16 windows of two bars
    ((16, 128), (16, 128), (16, 128))

    Args:
      model: A model with an encoder.
      windows: The music to encode.
      chunk_size: Number of windows that the model is given at once; z of a seed depends on it.
      seed: Seed of z; None: every call draws another z.
    """
    converter = model.config.data_converter

    def encode(chunk: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        examples = [window.example for window in windows[chunk]]
        return model.encode_tensors(
            [converter.dense_inputs(example.inputs) for example in examples],
            [example.length for example in examples],
            controls_of(converter, windows[chunk]),
            seed=None if seed is None else seed + chunk.start,
        )

    parts = map_chunks(encode, len(windows), chunk_size, workers=model.workers, label="encoding")
    z, mu, sigma = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return z, mu, sigma


def controls_of(converter: Converter, windows: "Sequence[Window]") -> list[np.ndarray] | None:
    """Returns the dense controls `[T, Dc]` of each window; None if the music has no controls.

    >>> from music_vae import notes_io
    >>> from music_vae.configs import get_config
    >>> from music_vae.dataset.windows import read_windows
    >>> (tune,) = notes_io.read_music_file("examples/tunes/soldiers_joy.mid")
    >>> config = get_config("cat-mel_2bar_med_chords")
    >>> controls_of(config.data_converter, read_windows([tune], config))[0].shape  # one-hot chords
    (32, 49)
    """
    if not converter.control_depth:
        return None
    controls = [window.example.controls for window in windows]
    return [converter.dense_controls(array) for array in controls if array is not None]


def measure_windows(converter: Converter, windows: "Sequence[Window]") -> dict[str, np.ndarray]:
    """Measures the attributes `[N]` of the windows' music, by name.

    >>> from music_vae import notes_io
    >>> from music_vae.configs import get_config
    >>> from music_vae.dataset.windows import read_windows
    >>> (tune,) = notes_io.read_music_file("examples/tunes/soldiers_joy.mid")
    >>> config = get_config("cat-mel_2bar_small")
    >>> values = measure_windows(config.data_converter, read_windows([tune], config)[:3])
    >>> values["note_density"]  # notes per step
    array([0.3125 , 0.40625, 0.40625])

    Raises:
      UserError: If no attributes are defined for the music.
    """
    names = attributes.names(converter)
    measured = [
        attributes.measure(converter, converter.dense_outputs(window.example.outputs))
        for window in windows
    ]
    return {name: np.array([values[name] for values in measured]) for name in names}
