"""What music is like, in numbers: the attributes of melodies, drums and grooves.

Those of melodies are the five of Roberts et al. 2018 (section 5.3); drums and grooves have what
corresponds. Each is a pure function of what is on a grid of sixteenth notes; a value is NaN where
it is not defined, as the interval of a single note.

    measure(converter, outputs)               # of a window's tokens, hits or played hits
    measure_sequence(converter, sequence)     # of every window of a NoteSequence
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from music_vae.common.constants import MAX_MIDI_VELOCITY, SEMITONES
from music_vae.common.errors import UserError
from music_vae.music.converters.base import Converter
from music_vae.music.symbols import HALF_STEPS, Groove, Melody

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

C_MAJOR = (0, 2, 4, 5, 7, 9, 11)
"""The pitch classes of C major, which are those of A minor: the white keys."""

STEPS_PER_QUARTER = 4  # the grid on which syncopation is defined


# -- Melodies -------------------------------------------------------------------------------------


def c_diatonic(melody: Melody) -> float:
    """Share of the notes whose pitch is a white key: C diatonic membership. NaN without notes."""
    return _mean(np.isin(melody.pitches % SEMITONES, C_MAJOR))


def note_density(melody: Melody) -> float:
    """Notes that start, divided by the number of steps. NaN without steps."""
    return len(melody.steps) / melody.num_steps if melody.num_steps else math.nan


def average_interval(melody: Melody) -> float:
    """Mean distance in semitones from a note to the next. NaN for fewer than two notes."""
    return _mean(np.abs(np.diff(melody.pitches)))


def syncopation_16th(melody: Melody) -> float:
    """Share of the notes that start between two eighths while nothing starts on the one before.

    Steps are counted from 0: a note at an odd step is syncopated if no note starts at the step
    before it. NaN without notes.
    """
    return _share(melody, _syncopated_16ths)


def syncopation_8th(melody: Melody) -> float:
    """Share of the notes that start between two quarters while nothing starts on the one before.

    Steps are counted from 0: a note two steps after a quarter is syncopated if no note starts at
    that quarter, nor at the sixteenth after it. NaN without notes.
    """
    return _share(melody, _syncopated_8ths)


# -- Drums: booleans `[T, D]` ---------------------------------------------------------------------


def hit_density(hits: np.ndarray) -> float:
    """Hits of all drums, divided by the number of steps. NaN without steps."""
    return float(np.sum(hits)) / len(hits) if len(hits) else math.nan


def drum_syncopation(hits: np.ndarray) -> float:
    """Share of the hits that are syncopated among those of their own drum.

    As for melodies, by sixteenths or by eighths: a steady hi-hat is not syncopated, a snare before
    the beat is. NaN without hits.
    """
    hits = np.asarray(hits, bool)
    return _mean((_syncopated_16ths(hits) | _syncopated_8ths(hits))[hits])


# -- Grooves: what drums have, and how they are played --------------------------------------------


def velocity_spread(groove: Groove) -> float:
    """Standard deviation of the hits' velocities, of MIDI's 0 to 127. NaN without hits."""
    return _spread(MAX_MIDI_VELOCITY * groove.velocities[groove.hits])


def timing_spread(groove: Groove) -> float:
    """Standard deviation of the hits' offsets from their steps, in steps. NaN without hits."""
    return _spread(groove.offsets[groove.hits] / HALF_STEPS)


# -- Of a representation --------------------------------------------------------------------------

MELODY_ATTRIBUTES: dict[str, Callable[[Melody], float]] = {
    "c_diatonic": c_diatonic,
    "note_density": note_density,
    "average_interval": average_interval,
    "syncopation_16th": syncopation_16th,
    "syncopation_8th": syncopation_8th,
}
DRUM_ATTRIBUTES: dict[str, Callable[[np.ndarray], float]] = {
    "hit_density": hit_density,
    "syncopation": drum_syncopation,
}
GROOVE_ATTRIBUTES: dict[str, Callable[[Groove], float]] = {
    "hit_density": lambda groove: hit_density(groove.hits),
    "syncopation": lambda groove: drum_syncopation(groove.hits),
    "velocity_spread": velocity_spread,
    "timing_spread": timing_spread,
}


def names(converter: Converter) -> tuple[str, ...]:
    """The attributes of music in a representation.

    Raises:
      UserError: If none are defined for it.
    """
    return tuple(_kind(converter)[0])


def measure(converter: Converter, outputs: np.ndarray) -> dict[str, float]:
    """The attributes of dense outputs `[T, output_depth]`, which may be samples or scores."""
    functions, view = _kind(converter)
    music = view(outputs)
    return {name: function(music) for name, function in functions.items()}


def measure_sequence(converter: Converter, sequence: "NoteSequence") -> list[dict[str, float]]:
    """The attributes of every window that the converter finds in a sequence."""
    return [measure(converter, outputs) for outputs in converter.to_tensors(sequence).outputs]


def _kind(converter: Converter) -> tuple[dict[str, Any], Callable[[np.ndarray], Any]]:
    """The attributes of a representation, and what makes of its outputs what they measure."""
    if converter.steps_per_quarter == STEPS_PER_QUARTER:
        if converter.has_melody:
            return MELODY_ATTRIBUTES, converter.melody
        if converter.has_numbers:
            return GROOVE_ATTRIBUTES, converter.groove
        if converter.has_hits and not converter.has_bins:
            return DRUM_ATTRIBUTES, converter.hits
    raise UserError(
        "attributes are defined for melodies, drums and unbinned grooves of "
        f"{STEPS_PER_QUARTER} steps a quarter note, not for {type(converter).__name__}"
    )


def _syncopated_16ths(onsets: np.ndarray) -> np.ndarray:
    """Which onsets `[T, ...]` are at an odd step that has none before it."""
    odd = np.arange(len(onsets)) % 2 == 1
    return onsets & _along(odd, onsets) & ~_before(onsets, 1)


def _syncopated_8ths(onsets: np.ndarray) -> np.ndarray:
    """Which onsets `[T, ...]` are two steps after a quarter, with none at it or in between."""
    off_beat = np.arange(len(onsets)) % STEPS_PER_QUARTER == STEPS_PER_QUARTER // 2
    return onsets & _along(off_beat, onsets) & ~_before(onsets, 1) & ~_before(onsets, 2)


def _before(onsets: np.ndarray, steps: int) -> np.ndarray:
    """What was `steps` steps before; nothing before the beginning."""
    moved = np.zeros_like(onsets)
    moved[steps:] = onsets[:-steps]
    return moved


def _along(steps: np.ndarray, onsets: np.ndarray) -> np.ndarray:
    return steps.reshape(-1, *(1,) * (onsets.ndim - 1))


def _share(melody: Melody, syncopated: Callable[[np.ndarray], np.ndarray]) -> float:
    onsets = np.zeros(melody.num_steps, bool)
    onsets[melody.steps] = True
    return _mean(syncopated(onsets)[onsets])


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else math.nan


def _spread(values: np.ndarray) -> float:
    return float(np.std(values)) if len(values) else math.nan
