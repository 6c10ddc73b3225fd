"""What an evaluation measures: of steps, of grooves, and of sampled music beside a corpus.

Pure functions of arrays and NoteSequences, without TensorFlow. The *symbols* of a window are whole
numbers `[T]` or `[T, P]`: what is right or wrong at a step (see `symbols`).
"""

from typing import TYPE_CHECKING

import numpy as np

from music_vae.converters.base import Converter, bit_masks
from music_vae.converters.drums import DrumsConverter
from music_vae.converters.groove import GrooveConverter
from music_vae.converters.melody import FIRST_PITCH, OneHotMelodyConverter
from music_vae.converters.trio import PARTS, TrioConverter

if TYPE_CHECKING:
    pass

_ANY_KEY = 1 << 10  # where the first pitch of a window goes that is to have no key


def symbols(converter: Converter, outputs: np.ndarray) -> np.ndarray:
    """The symbols of dense outputs `[..., T, output_depth]`, which may be samples or scores.

    Melodies and performances: the class, `[..., T]`. Drums: the class, or the bit mask of a roll.
    Trios: the classes of melody, bass and drums, `[..., T, 3]`. Grooves: the bit mask of the hits.
    """
    outputs = np.asarray(outputs)
    if isinstance(converter, TrioConverter):
        ends = np.cumsum(converter.split_output_depths)[:-1]
        return np.stack([np.argmax(p, axis=-1) for p in np.split(outputs, ends, axis=-1)], axis=-1)
    if isinstance(converter, GrooveConverter):
        return bit_masks(outputs[..., : 1 if converter.split_instruments else converter.num_drums])
    if isinstance(converter, DrumsConverter) and converter.roll_output:
        return bit_masks(outputs)
    return np.argmax(outputs, axis=-1)


def window_key(converter: Converter, window: np.ndarray) -> bytes:
    """Equal for the symbols of two windows that are the same music, in the same or in another key.

    Args:
      converter: Of whose symbols `window` is.
      window: Symbols `[T]` or `[T, P]` without padding.
    """
    window = np.array(window, np.int64)  # a copy
    if isinstance(converter, OneHotMelodyConverter):
        lines, end = window, converter.end_token
    elif isinstance(converter, TrioConverter):
        lines, end = window[:, : PARTS.index("drums")], None
    else:
        return window.tobytes()
    pitched = lines >= FIRST_PITCH
    if end is not None:
        pitched &= lines != end
    if pitched.any():
        lines[pitched] += _ANY_KEY - lines[pitched][0]
    return window.tobytes()
