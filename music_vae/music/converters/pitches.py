"""Classes and ranges of MIDI pitches and programs."""

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

import numpy as np

from music_vae.common.constants import MAX_MIDI_PITCH, MIN_MIDI_PITCH
from music_vae.common.errors import UserError

_MAX_MIDI_NUMBER = 127  # of pitches and of programs


def class_of(classes: tuple[tuple[int, ...], ...], numbers: np.ndarray) -> np.ndarray:
    """Returns the class, counted from 0, of each of `numbers` `[N]`; -1 for one without a class.

    Args:
      classes: MIDI numbers (pitches, programs), each in one class.
      numbers: Integers, which need not be MIDI's.

    Bass drums and snares can be two classes, to which no hi-hat (42) belongs:

    >>> class_of(((36, 35), (38, 40)), np.array([36, 40, 35, 42]))
    array([ 0,  1,  0, -1])
    """
    return np.where(numbers >> 7 == 0, _class_table(classes)[numbers & _MAX_MIDI_NUMBER], -1)


@lru_cache
def _class_table(classes: tuple[tuple[int, ...], ...]) -> np.ndarray:
    table = np.full(_MAX_MIDI_NUMBER + 1, -1)
    for number, members in enumerate(classes):
        table[list(members)] = number
    return table


def transposable(
    pitches: np.ndarray, lowest: int, highest: int, bounds: tuple[int, int]
) -> tuple[int, int]:
    """Returns the lowest and highest transposition by which no pitch enters or leaves a range.

    Args:
      pitches: Pitches `[N]`, in the range or not.
      lowest: Lowest pitch of the range.
      highest: Highest pitch of the range.
      bounds: Semitones down (0 or less) and up that are allowed at most.

    Middle C and the E above it can go down 3 semitones to A, and up 5 until E would leave:

    >>> transposable(np.array([60, 64]), lowest=57, highest=69, bounds=(-12, 12))
    (-3, 5)
    """
    low, high = bounds
    below, above = pitches[pitches < lowest], pitches[pitches > highest]
    inside = pitches[(pitches >= lowest) & (pitches <= highest)]
    if len(below):
        high = min(high, lowest - int(below.max()) - 1)
    if len(above):
        low = max(low, highest - int(above.min()) + 1)
    if len(inside):
        low, high = max(low, lowest - int(inside.min())), min(high, highest - int(inside.max()))
    return low, high


def checked_pitch_classes(
    name: str, classes: Iterable[Iterable[int]], number: int | None = None
) -> tuple[tuple[int, ...], ...]:
    """Returns classes of MIDI pitches as tuples.

    Args:
      name: Name of the setting, for errors.
      classes: The classes, each of at least one pitch.
      number: Number of classes that there must be; None for any.

    Raises:
      UserError: If a class is empty, a pitch is in two classes or outside MIDI's range, or the
        number of classes is another.

    >>> checked_pitch_classes("pitch_classes", [[36, 35], [38, 36]])
    Traceback (most recent call last):
    music_vae.common.errors.UserError: pitch 36 is 2 times in pitch_classes
    """
    frozen = tuple(tuple(pitches) for pitches in classes)
    if not frozen or not all(frozen):
        raise UserError(f"{name} needs a class, and every class a pitch")
    if number is not None and len(frozen) != number:
        raise UserError(f"{name} has {len(frozen)} classes, but pitch_classes {number}")
    for pitch, times in Counter(p for pitches in frozen for p in pitches).items():
        if times > 1:
            raise UserError(f"pitch {pitch} is {times} times in {name}")
        if not MIN_MIDI_PITCH <= pitch <= MAX_MIDI_PITCH:
            raise UserError(
                f"pitch {pitch} in {name} is not from {MIN_MIDI_PITCH} to {MAX_MIDI_PITCH}"
            )
    return frozen
