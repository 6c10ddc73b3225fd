"""Defines melodies, drums and grooves as arrays on a grid of steps, so that they can be measured.

Converters make them of a model's outputs: see `Converter.melody`, `Converter.groove` and
`Converter.voices`.
"""

from typing import NamedTuple

import numpy as np

HALF_STEPS = 2
"""Half steps in a step; a half step is the unit of a groove's offsets."""

_ANY_KEY = 1 << 10  # to which the first pitch of a window moves


class Melody(NamedTuple):
    """The notes of one voice.

    >>> Melody(steps=np.array([0, 4]), pitches=np.array([60, 64]), num_steps=16)  # C, then E
    Melody(steps=array([0, 4]), pitches=array([60, 64]), num_steps=16)

    Attributes:
      steps: The step at which each note starts, `[N]`, ascending.
      pitches: The MIDI pitch of each note, `[N]`.
      num_steps: Length of the melody in steps.
    """

    steps: np.ndarray
    pitches: np.ndarray
    num_steps: int


class Groove(NamedTuple):
    """Drums with the loudness and the timing of every hit; three arrays `[T, drums]`.

    >>> hits = np.array([[True], [False]])  # two steps of one drum
    >>> late = Groove(hits, velocities=0.8 * hits, offsets=-0.1 * hits)
    >>> late.velocities[late.hits].tolist(), late.offsets[late.hits].tolist()
    ([0.8], [-0.1])

    Attributes:
      hits: True where a drum is hit.
      velocities: Loudness, 0 to 1.
      offsets: Timing in half steps, -1 to 1; positive is early.
    """

    hits: np.ndarray
    velocities: np.ndarray
    offsets: np.ndarray


class DrumHits(NamedTuple):
    """Hits of drums one by one, each with its own pitch; five arrays `[N]`.

    Two snares at a step are one to a `Groove`, which has the louder. Here are a flam and its hit:

    >>> flam = DrumHits(
    ...     steps=np.array([4, 4]), drums=np.array([1, 1]), pitches=np.array([38, 38]),
    ...     velocities=np.array([40, 100]), offsets=np.array([0.5, 0.0]))
    >>> flam.velocities[flam.offsets > 0].tolist()  # of the hit that comes early
    [40]

    Attributes:
      steps: The step to which each hit is nearest.
      drums: The number of its drum in a `Groove`; -1 for a drum that is not in it.
      pitches: Its MIDI pitch.
      velocities: Its MIDI velocity.
      offsets: Its timing in half steps, -1 to 1; positive is early.
    """

    steps: np.ndarray
    drums: np.ndarray
    pitches: np.ndarray
    velocities: np.ndarray
    offsets: np.ndarray


class Line(NamedTuple):
    """The notes of an instrument with their lengths; several may sound at once.

    >>> chord = Line(np.array([0, 0]), np.array([4, 4]), np.array([60, 64]), num_steps=16)
    >>> (chord.ends - chord.starts).tolist()
    [4, 4]

    Attributes:
      starts: The step at which each note starts, `[N]`, ascending.
      ends: The step before which each note ends, `[N]`.
      pitches: The MIDI pitch of each note, `[N]`.
      num_steps: Length of the music in steps.
    """

    starts: np.ndarray
    ends: np.ndarray
    pitches: np.ndarray
    num_steps: int


class Beat(NamedTuple):
    """The hits of drums, perhaps with the loudness and the timing of each.

    >>> bass_drum = Beat(np.array([[True], [False]]), pitches=(36,))
    >>> bass_drum.velocities is None  # no hit is louder than another
    True

    Attributes:
      hits: Booleans `[T, drums]`, True where a drum is hit.
      pitches: A MIDI pitch of each drum.
      velocities: MIDI velocities `[T, drums]`, 0 to 127; None if hits have no loudness.
      delays: Steps by which hits come after their own, `[T, drums]`, below 0 if early; None if all
        are on time.
    """

    hits: np.ndarray
    pitches: tuple[int, ...]
    velocities: np.ndarray | None = None
    delays: np.ndarray | None = None


Voice = Line | Beat
"""Notes or drums, one of the voices of a piece."""


class FillsIn(NamedTuple):
    """The parts of a groove that the inputs of a model lack, and which it is to fill in.

    >>> humanize = FillsIn(velocities=True, timing=True)
    >>> humanize.drums  # the hits stay as they are
    ()

    Attributes:
      hits: True if inputs do not say which drums are hit, or not all hits.
      drums: Numbers of the drums that inputs lack, where they have the hits of all others.
      velocities: True if inputs have no velocities.
      timing: True if inputs have no timing.
    """

    hits: bool = False
    drums: tuple[int, ...] = ()
    velocities: bool = False
    timing: bool = False


def without_key(tokens: np.ndarray, is_pitch: np.ndarray) -> np.ndarray:
    """Moves pitches so that the tokens of music are the same in any key.

    Args:
      tokens: Whole numbers of any shape; those that are pitches count semitones.
      is_pitch: True for the tokens that are pitches, of the same shape. They all move together, so
        that the first becomes a fixed number.

    >>> without_key(np.array([42, 0, 44]), np.array([True, False, True])).tolist()
    [1024, 0, 1026]
    """
    if not is_pitch.any():
        return tokens
    return np.where(is_pitch, tokens - tokens[is_pitch][0] + _ANY_KEY, tokens)
