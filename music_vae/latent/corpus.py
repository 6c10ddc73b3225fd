"""A corpus in the latent space: the posteriors of its windows, and the attributes of their music.

Windows are compact; here they become wide arrays, no more of them at a time than are needed.
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
"""How many windows are arrays at once."""


def encode_windows(
    model: "ArrayModel",
    windows: "Sequence[Window]",
    *,
    chunk_size: int = CHUNK_SIZE,
    seed: int | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Latent vectors (z, mu, sigma) of the windows, all `[N, Z]`; shows progress.

    Args:
      model: What encodes.
      windows: The music.
      chunk_size: How many windows are given to the model at once; z of a seed depends on it.
      seed: Makes z repeatable, which is drawn from the posterior N(mu, sigma).
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
    """The dense controls `[T, Dc]` of each window; None where the representation has none."""
    if not converter.control_depth:
        return None
    controls = [window.example.controls for window in windows]
    return [converter.dense_controls(array) for array in controls if array is not None]


def measure_windows(converter: Converter, windows: "Sequence[Window]") -> dict[str, np.ndarray]:
    """The attributes `[N]` of the windows' music, by name.

    Raises:
      UserError: If no attributes are defined for the music.
    """
    names = attributes.names(converter)
    measured = [
        attributes.measure(converter, converter.dense_outputs(window.example.outputs))
        for window in windows
    ]
    return {name: np.array([values[name] for values in measured]) for name in names}
