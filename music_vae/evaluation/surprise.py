"""Measures how surprising windows are to one who knows the training music, and finds copies."""

import math
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np

from music_vae.common import progress
from music_vae.dataset.windows import Window
from music_vae.evaluation import language_model, metrics
from music_vae.evaluation.metrics import Metrics
from music_vae.music.converters.base import Converter


class Surprise(NamedTuple):
    """The knowledge of training music: an n-gram model of it, and all of its windows.

    >>> from music_vae.configs import get_config
    >>> from music_vae.dataset.windows import read_windows
    >>> from music_vae.music import notes_io
    >>> config = get_config("cat-mel_2bar_small")
    >>> converter = config.data_converter
    >>> (tune,) = notes_io.read_music_file("examples/tunes/soldiers_joy.mid")
    >>> windows = read_windows([tune], config)
    >>> surprise = Surprise.of(converter, windows)
    >>> own = [converter.dense_outputs(window.example.outputs) for window in windows]
    >>> {name: round(figure, 1) for name, figure in surprise.measure(own).items()}
    {'bits_per_step': 0.6, 'copies': 1.0}

    Attributes:
      converter: The representation of the music.
      language: The n-gram model of the training music.
      known: The `key` of every window of it.
    """

    converter: Converter
    language: language_model.LanguageModel
    known: set[bytes]

    @classmethod
    def of(cls, converter: Converter, training: Sequence[Window]) -> "Surprise":
        """Learns windows; shows progress."""
        learned, known = [], set()
        for window in progress.bar(training, "learning n-grams", unit="window"):
            outputs = converter.dense_outputs(window.example.outputs)
            learned.append(tokens(converter, outputs, window.example.length))
            known.add(key(converter, outputs))
        language = language_model.train(learned, math.prod(converter.num_symbols))
        return cls(converter, language, known)

    def measure(self, outputs: Sequence[np.ndarray]) -> Metrics:
        """Returns the bits of a step of dense outputs, and the share of copies among them."""
        pieces = [tokens(self.converter, array) for array in outputs]
        nats = sum(map(self.language.cost, pieces))
        copies = [key(self.converter, array) in self.known for array in outputs]
        return {
            "bits_per_step": nats / math.log(2) / max(sum(map(len, pieces)), 1),
            "copies": float(np.mean(copies)),
        }


def tokens(converter: Converter, outputs: np.ndarray, length: Any = None) -> list[Hashable]:
    """Returns the symbols of a window, of its valid steps, the same in any key.

    >>> from music_vae.music.converters.melody import OneHotMelodyConverter
    >>> converter = OneHotMelodyConverter()
    >>> two = [converter.dense_outputs(np.array(own)) for own in ([41, 0, 43], [46, 0, 48])]
    >>> [tokens(converter, outputs) for outputs in two]
    [[1024, 0, 1026], [1024, 0, 1026]]

    Args:
      converter: The representation of the music.
      outputs: Dense outputs `[T, output_depth]`.
      length: Number of valid steps, of all or of each segment; None: segments end with rows of
        zeros, and other music is valid throughout.
    """
    symbols = converter.symbols(outputs)
    if length is not None:
        symbols = symbols[metrics.valid_steps(len(symbols), length)]
    elif converter.length_shape:  # segments end with rows of zeros
        symbols = symbols[np.asarray(outputs).any(axis=-1)]
    symbols = converter.without_key(symbols)
    return symbols.tolist() if symbols.ndim == 1 else list(map(tuple, symbols.tolist()))


def key(converter: Converter, outputs: np.ndarray, *, any_key: bool = False) -> bytes:
    """Returns bytes that are equal for equal outputs, or for those of the same music in any key.

    >>> from music_vae.music.converters.melody import OneHotMelodyConverter
    >>> converter = OneHotMelodyConverter()
    >>> c, f = (converter.dense_outputs(np.array(own)) for own in ([41, 0, 43], [46, 0, 48]))
    >>> key(converter, c) == key(converter, f)
    False
    >>> key(converter, c, any_key=True) == key(converter, f, any_key=True)
    True
    """
    if converter.has_numbers:
        return np.asarray(outputs, np.float32).tobytes()
    symbols = converter.symbols(outputs)
    return converter.window_key(symbols) if any_key else np.asarray(symbols, np.int64).tobytes()
