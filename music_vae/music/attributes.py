"""Measures attributes of music, such as its density of notes or its syncopation.

Melodies have the five attributes of Roberts et al. 2018 (section 5.3); drums and grooves have
corresponding ones. Each attribute is a pure function of music on a grid of sixteenth notes, and is
NaN where it is not defined: a single note has no interval.

`measure` takes the arrays of a window, `measure_sequence` all windows of a NoteSequence.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from music_vae.common.constants import MAX_MIDI_VELOCITY, PITCH_CLASSES, SEMITONES
from music_vae.common.errors import UserError
from music_vae.music.converters.base import Converter
from music_vae.music.symbols import HALF_STEPS, Groove, Melody

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

C_MAJOR = tuple(PITCH_CLASSES.values())
"""The pitch classes of C major and A minor: the white keys."""

STEPS_PER_QUARTER = 4  # the grid on which syncopation is defined


# -- Melodies -------------------------------------------------------------------------------------


def c_diatonic(melody: Melody) -> float:
    """Returns the share of notes on white keys: C diatonic membership. NaN without notes.

    >>> c_diatonic(Melody(np.array([0, 4, 8, 12]), np.array([60, 62, 63, 65]), 16))  # C D Eb F
    0.75
    """
    return _mean(np.isin(melody.pitches % SEMITONES, C_MAJOR))


def note_density(melody: Melody) -> float:
    """Returns the number of notes divided by the number of steps. NaN without steps.

    >>> note_density(Melody(np.array([0, 4, 8, 12]), np.array([60, 62, 63, 65]), 16))
    0.25
    """
    return len(melody.steps) / melody.num_steps if melody.num_steps else math.nan


def average_interval(melody: Melody) -> float:
    """Returns the mean distance in semitones from a note to the next. NaN below two notes.

    >>> average_interval(Melody(np.array([0, 4, 8]), np.array([60, 67, 62]), 16))  # 7 up, 5 down
    6.0
    """
    return _mean(np.abs(np.diff(melody.pitches)))


def syncopation_16th(melody: Melody) -> float:
    """Returns the share of notes that are syncopated by a sixteenth. NaN without notes.

    Such a note starts between two eighths while none starts on the eighth before. With steps
    counted from 0, it starts at an odd step, and no note starts at the step before it.

    >>> syncopation_16th(Melody(np.array([0, 1, 4, 7]), np.array([60, 60, 60, 60]), 16))  # step 7
    0.25
    """
    return _share(melody, _syncopated_16ths)


def syncopation_8th(melody: Melody) -> float:
    """Returns the share of notes that are syncopated by an eighth. NaN without notes.

    Such a note starts half-way between two quarters while none starts on the quarter before, nor
    on the sixteenth after that quarter.

    >>> syncopation_8th(Melody(np.array([0, 2, 6, 8]), np.array([60, 60, 60, 60]), 16))  # step 6
    0.25
    """
    return _share(melody, _syncopated_8ths)


# -- Drums: booleans `[T, D]` ---------------------------------------------------------------------


def hit_density(hits: np.ndarray) -> float:
    """Returns the number of hits of all drums divided by that of steps. NaN without steps.

    >>> hit_density(np.array([[1, 1], [0, 1], [0, 1], [0, 1]], bool))  # a bass drum and a hi-hat
    1.25
    """
    return float(np.sum(hits)) / len(hits) if len(hits) else math.nan


def drum_syncopation(hits: np.ndarray) -> float:
    """Returns the share of hits that are syncopated. NaN without hits.

    A hit counts as a note does in a melody, by sixteenths or by eighths, but only among the hits of
    its own drum: a steady hi-hat is not syncopated, a snare just before the beat is.

    >>> drum_syncopation(np.array([[1, 0], [1, 0], [1, 0], [1, 1]], bool))  # hi-hat, snare
    0.2
    """
    hits = np.asarray(hits, bool)
    return _mean((_syncopated_16ths(hits) | _syncopated_8ths(hits))[hits])


# -- Grooves: also how loud and how late the hits are ---------------------------------------------


def velocity_spread(groove: Groove) -> float:
    """Returns the standard deviation of the hits' MIDI velocities (0 to 127). NaN without hits.

    >>> groove = Groove(np.ones((2, 1), bool), np.array([[1.0], [0.0]]), np.zeros((2, 1)))
    >>> velocity_spread(groove)
    63.5
    """
    return _spread(MAX_MIDI_VELOCITY * groove.velocities[groove.hits])


def timing_spread(groove: Groove) -> float:
    """Returns the standard deviation of the hits' timing, in steps. NaN without hits.

    >>> groove = Groove(np.ones((2, 1), bool), np.ones((2, 1)), np.array([[0.5], [0.0]]))
    >>> timing_spread(groove)  # one hit is a quarter of a step early, the other on time
    0.125
    """
    return _spread(groove.offsets[groove.hits] / HALF_STEPS)


# -- The attributes of a representation -----------------------------------------------------------

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
    """Returns the names of the attributes that are defined for a converter's music.

    >>> from music_vae.music.converters.drums import DrumsConverter
    >>> names(DrumsConverter())
    ('hit_density', 'syncopation')

    Raises:
      UserError: If no attributes are defined for it.
    """
    return tuple(_kind(converter)[0])


def measure(converter: Converter, outputs: np.ndarray) -> dict[str, float]:
    """Returns the attributes of dense outputs `[T, output_depth]`, samples or scores, by name.

    >>> from music_vae.music.converters.melody import OneHotMelodyConverter
    >>> converter = OneHotMelodyConverter(min_pitch=60, max_pitch=71)
    >>> c_then_e = np.array([2, 0, 0, 0, 6, 0, 0, 0])  # notes start at the steps 0 and 4
    >>> values = measure(converter, converter.dense_outputs(c_then_e))
    >>> values["note_density"], values["average_interval"]
    (0.25, 4.0)

    Raises:
      UserError: If no attributes are defined for the representation.
    """
    functions, view = _kind(converter)
    music = view(outputs)
    return {name: function(music) for name, function in functions.items()}


def measure_sequence(converter: Converter, sequence: "NoteSequence") -> list[dict[str, float]]:
    """Returns the attributes of every window of a piece, by name.

    >>> from music_vae.music.converters.melody import OneHotMelodyConverter
    >>> from music_vae.music.notes_io import read_music_file
    >>> (tune,) = read_music_file("examples/tunes/soldiers_joy.mid")
    >>> windows = measure_sequence(OneHotMelodyConverter(slice_bars=2), tune)
    >>> [window["note_density"] for window in windows][:3]
    [0.3125, 0.40625, 0.40625]
    """
    return [measure(converter, outputs) for outputs in converter.to_tensors(sequence).outputs]


def _kind(converter: Converter) -> tuple[dict[str, Any], Callable[[np.ndarray], Any]]:
    """Returns a representation's attributes, and the function that makes music of its outputs."""
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
    """Returns, for each of the onsets `[T, ...]`, if it is at an odd step with none before it."""
    odd = np.arange(len(onsets)) % 2 == 1
    return onsets & _along(odd, onsets) & ~_before(onsets, 1)


def _syncopated_8ths(onsets: np.ndarray) -> np.ndarray:
    """Returns, for each of the onsets `[T, ...]`, if it follows an empty quarter by two steps."""
    off_beat = np.arange(len(onsets)) % STEPS_PER_QUARTER == STEPS_PER_QUARTER // 2
    return onsets & _along(off_beat, onsets) & ~_before(onsets, 1) & ~_before(onsets, 2)


def _before(onsets: np.ndarray, steps: int) -> np.ndarray:
    """Moves onsets `[T, ...]` to `steps` steps later, with none at the beginning."""
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
