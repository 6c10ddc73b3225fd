"""Changes MIDI time that counts frames of film (SMPTE) to time that counts beats.

Such a file says at which second a note begins. Its tempo, if it has one, says which beat that is.
"""

import bisect
import itertools
from typing import NamedTuple

from music_vae.common.constants import DEFAULT_QPM
from music_vae.music.readers.midi_events import Event
from music_vae.music.unreadable import UnreadableMusicError

# MIDI 1.0: 29 stands for the 30000/1001 frames of colour television.
_FRAMES_IN_SECOND = {24: 24.0, 25: 25.0, 29: 30_000 / 1_001, 30: 30.0}
_TICKS_PER_QUARTER = 960
_MAX_TICKS_PER_QUARTER = 0x7FFF
_DEFAULT_TEMPO = round(60e6 / DEFAULT_QPM)  # in microseconds, as in MIDI


def ticks_per_second(division: int) -> float:
    """Returns the number of ticks in a second for a division of a MIDI header, which is below 0.

    >>> ticks_per_second(-6360)  # 40 ticks in each of 25 frames a second
    1000.0

    Raises:
      UnreadableMusicError: If there is no such time.
    """
    frames, ticks = -(division >> 8), division & 0xFF
    if frames not in _FRAMES_IN_SECOND or not ticks:
        expected = "expected 24, 25, 29 or 30 frames, or better ticks per quarter note"
        detail = f"{frames} frames a second with {ticks} ticks each; {expected}"
        raise UnreadableMusicError("MIDI in an unknown time", detail)
    return _FRAMES_IN_SECOND[frames] * ticks


class _Beat(NamedTuple):
    """A tempo: the tick and the quarter note from which on a quarter note has so many ticks."""

    tick: int
    quarter: float
    ticks_per_quarter: float


def count_beats(tracks: list[list[Event]], per_second: float) -> int:
    """Changes the times of all events to ticks that count beats; returns those in a quarter note.

    Without a tempo, there are 120 quarter notes a minute.

    >>> from types import SimpleNamespace
    >>> track = [SimpleNamespace(type="end_of_track", time=250)]
    >>> count_beats([track], per_second=1000.0), track[0].time
    (500, 250)
    """
    beats = _beats(tracks, per_second)
    exact = beats[0].ticks_per_quarter
    if len(beats) == 1 and exact == int(exact) and exact <= _MAX_TICKS_PER_QUARTER:
        return int(exact)
    starts = [beat.tick for beat in beats]
    for event in itertools.chain.from_iterable(tracks):
        beat = beats[bisect.bisect_right(starts, event.time) - 1]
        quarter = beat.quarter + (event.time - beat.tick) / beat.ticks_per_quarter
        event.time = round(quarter * _TICKS_PER_QUARTER)
    return _TICKS_PER_QUARTER


def _beats(tracks: list[list[Event]], per_second: float) -> list[_Beat]:
    """Returns the tempos of all tracks in order of time, the first of them at tick 0."""
    tempos = {0: _DEFAULT_TEMPO}
    events = itertools.chain.from_iterable(tracks)
    changes = [event for event in events if event.type == "set_tempo"]
    for event in sorted(changes, key=lambda event: event.time):
        tempos[event.time] = event.tempo
    beats: list[_Beat] = []
    for tick, tempo in tempos.items():
        quarter = 0.0
        if beats:
            last = beats[-1]
            quarter = last.quarter + (tick - last.tick) / last.ticks_per_quarter
        beats.append(_Beat(tick, quarter, tempo * per_second / 1e6))
    return beats
