"""Classes and ranges of MIDI pitches and programs."""

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

import numpy as np

from music_vae.common.constants import MAX_MIDI_PITCH, MIN_MIDI_PITCH
from music_vae.common.errors import UserError

MAX_MIDI_NUMBER = 127  # of pitches and of programs


def class_of(classes: tuple[tuple[int, ...], ...], numbers: np.ndarray) -> np.ndarray:
    """The class, from 0, that has each of the `numbers` `[N]`; -1 where none has.

    Args:
      classes: MIDI numbers (pitches, programs), each in one class.
      numbers: Numbers, MIDI's or not.
    """
    return np.where(numbers >> 7 == 0, _class_table(classes)[numbers & MAX_MIDI_NUMBER], -1)


@lru_cache
def _class_table(classes: tuple[tuple[int, ...], ...]) -> np.ndarray:
    table = np.full(MAX_MIDI_NUMBER + 1, -1)
    for number, members in enumerate(classes):
        table[list(members)] = number
    return table


def transposable(
    pitches: np.ndarray, lowest: int, highest: int, bounds: tuple[int, int]
) -> tuple[int, int]:
    """By how many semitones pitches can move so that none enters or leaves a range.

    Args:
      pitches: `[N]`, in the range or not.
      lowest: Of the range.
      highest: Of the range.
      bounds: Semitones down (0 or less) and up that are allowed for other reasons.
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
    """The classes as tuples.

    Raises:
      UserError: If they are not (`number`) classes of MIDI pitches, each pitch in one class.
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
