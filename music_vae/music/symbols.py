"""Music on a grid, as arrays that can be measured: a melody, and a groove.

Converters read them off what a model makes: see `Converter.melody` and `Converter.groove`.
"""

from typing import NamedTuple

import numpy as np

HALF_STEPS = 2
"""In a step: the unit of a groove's offsets."""

_ANY_KEY = 1 << 10  # where the first pitch of a window goes that is to have no key


class Melody(NamedTuple):
    """The notes of one voice.

    Attributes:
      steps: The step at which each note starts, `[N]`, ascending.
      pitches: Its MIDI pitch, `[N]`.
      num_steps: Length of the melody in steps.
    """

    steps: np.ndarray
    pitches: np.ndarray
    num_steps: int


class Groove(NamedTuple):
    """Hits (booleans), velocities (0 to 1) and offsets (-1 to 1, in half steps), `[T, drums]`."""

    hits: np.ndarray
    velocities: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, outputs: np.ndarray) -> "Groove":
        """Of dense outputs `[T, 3 * drums]` that are not binned."""
        hits, velocities, offsets = np.split(np.asarray(outputs, np.float64), 3, axis=-1)
        return cls(hits > 0.5, velocities, offsets)


def without_key(tokens: np.ndarray, is_pitch: np.ndarray) -> np.ndarray:
    """Tokens that are the same for the same music in any key.

    Args:
      tokens: Whole numbers of any shape, a semitone apart where they are pitches.
      is_pitch: Which of them are pitches; all move together, so that the first gets a fixed place.

    >>> without_key(np.array([42, 0, 44]), np.array([True, False, True])).tolist()
    [1024, 0, 1026]
    """
    if not is_pitch.any():
        return tokens
    return np.where(is_pitch, tokens - tokens[is_pitch][0] + _ANY_KEY, tokens)
