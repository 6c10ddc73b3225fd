"""Measures features of short pieces: those by which one hears if music is real.

Lines of notes, drums, and drums as they are played have features of their own. A feature is a pure
function of a voice on a grid of steps, and NaN where it is not defined: a single note has no
interval. `measure` takes the arrays of a window.
"""

import itertools
import math
import warnings
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from music_vae.common.constants import SEMITONES
from music_vae.music.attributes import C_MAJOR
from music_vae.music.converters.base import Converter
from music_vae.music.symbols import Beat, Line, Voice

Features = dict[str, float]
"""Features by name."""

HARMONIC_MINOR = (0, 2, 3, 5, 7, 8, 11)
"""The pitch classes of C minor with its leading note."""

STEP, FIFTH, OCTAVE = 2, 7, 12
"""Intervals in semitones: the largest step of a scale, the fifth, the octave."""

KICK, SNARE = frozenset({35, 36}), frozenset({38, 40})
TOMS = frozenset({41, 43, 45, 47, 48, 50})
HATS = frozenset({42, 44, 46})
"""MIDI pitches of bass drums, snares, toms and hi-hats."""

_PLACES = ("on beats", "on eighths", "on sixteenths")
_KEYS = np.array(
    [
        np.isin(np.arange(SEMITONES), (np.array(scale) + tonic) % SEMITONES)
        for scale in (C_MAJOR, HARMONIC_MINOR)
        for tonic in range(SEMITONES)
    ]
)


class Metre(NamedTuple):
    """The grid of steps: how quarter notes and bars consist of them.

    >>> Metre(steps_per_quarter=4, quarters_per_bar=3).steps_per_bar
    12

    Attributes:
      steps_per_quarter: Number of steps in a quarter note.
      quarters_per_bar: Number of quarter notes in a bar.
    """

    steps_per_quarter: int
    quarters_per_bar: int

    @property
    def steps_per_bar(self) -> int:
        """Number of steps in a bar."""
        return self.steps_per_quarter * self.quarters_per_bar


def measure(converter: Converter, outputs: np.ndarray) -> Features:
    """Returns the features of dense outputs `[T, output_depth]`, by name.

    If music has several kinds of voices, names begin with that of the voice. Instruments of one
    kind, whose number is a feature, too, are measured together, as means over them.

    >>> from music_vae.music.converters.melody import OneHotMelodyConverter
    >>> converter = OneHotMelodyConverter(slice_bars=1)
    >>> tokens = np.array([41, 0, 0, 0, 43, 0, 0, 0, 45, 0, 0, 0, 57, 0, 0, 0])  # C D E E'
    >>> values = measure(converter, converter.dense_outputs(tokens))
    >>> values["notes per bar"], round(values["steps"], 2), values["leap over an octave"]
    (4.0, 0.67, 0.0)

    Raises:
      UserError: If the representation has no voices.
    """
    metre = Metre(converter.steps_per_quarter, converter.quarters_per_bar)
    voices = converter.voices(outputs)
    if len(voices) == 1 and not converter.parts:
        return of_voice(voices[0][1], metre)
    features: Features = {"voices": float(len(voices))}
    for kind in dict.fromkeys(name for name, _ in voices):
        own = [of_voice(voice, metre) for name, voice in voices if name == kind]
        for name in own[0]:
            features[f"{kind}: {name}"] = _mean([values[name] for values in own])
    return features


def of_voice(voice: Voice, metre: Metre) -> Features:
    """Returns the features of notes or of drums, by name.

    >>> beat = Beat(np.array([[True, False], [False, True]] * 8), pitches=(36, 42))
    >>> of_voice(beat, Metre(4, 4))["kick on 1"]
    1.0
    """
    if isinstance(voice, Line):
        return line_features(voice, metre)
    return beat_features(voice, metre) | playing_features(voice, metre)


# -- Notes ----------------------------------------------------------------------------------------


def line_features(line: Line, metre: Metre) -> Features:
    """Returns the features of a line of notes.

    Intervals are those between the highest notes of consecutive onsets; lengths are in quarter
    notes. `bars alike` is the share of the notes, by place and pitch, that two consecutive bars
    have in common (Jaccard), and `rhythms alike` the same of the places alone. `in key` is the
    share of the notes in the best fitting major or harmonic minor key.

    >>> c, d, e = 60, 62, 64
    >>> line = Line(np.array([0, 4, 16, 20]), np.array([4, 8, 20, 32]), np.array([c, d, c, e]), 32)
    >>> found = line_features(line, Metre(4, 4))
    >>> found["notes per bar"], found["rests"], found["mean length"], found["range"]
    (2.0, 0.25, 1.5, 4.0)
    >>> round(found["bars alike"], 2), found["rhythms alike"]  # one note of three is in both
    (0.33, 1.0)
    """
    onsets, tops = _highest(line)
    intervals = np.abs(np.diff(tops))
    lengths = (line.ends - line.starts) / metre.steps_per_quarter
    bars = _bars(line.num_steps, metre)
    notes = list(zip(line.starts.tolist(), line.pitches.tolist(), strict=True))
    return {
        "notes per bar": len(line.starts) / bars if bars else math.nan,
        "rests": 1 - _mean(_sounding(line)),
        "repeated notes": _mean(intervals == 0),
        "steps": _mean((intervals > 0) & (intervals <= STEP)),
        "leaps over a fifth": _mean(intervals > FIFTH),
        "leap over an octave": float(np.any(intervals > OCTAVE)),
        "mean interval": _mean(intervals),
        "in key": _in_key(line.pitches),
        "mean pitch": _mean(line.pitches),
        "range": float(np.ptp(line.pitches)) if len(line.pitches) else math.nan,
        "pitches": float(len(set(line.pitches.tolist()))),
        "mean length": _mean(lengths),
        "spread of lengths": float(np.std(lengths)) if len(lengths) else math.nan,
        "bars alike": _alike(notes, bars, metre),
        "rhythms alike": _alike([(step, 0) for step in onsets.tolist()], bars, metre),
        **_places(onsets, metre),
    }


def _highest(line: Line) -> tuple[np.ndarray, np.ndarray]:
    """Returns the different onsets `[N]` and the highest pitch at each."""
    onsets, places = np.unique(line.starts, return_inverse=True)
    tops = np.zeros(len(onsets), np.int64)
    np.maximum.at(tops, places, line.pitches)
    return onsets, tops


def _sounding(line: Line) -> np.ndarray:
    """Returns True for steps `[T]` at which a note sounds."""
    changes = np.zeros(line.num_steps + 1, np.int64)
    np.add.at(changes, line.starts, 1)
    np.add.at(changes, line.ends, -1)
    return np.cumsum(changes)[:-1] > 0


def _in_key(pitches: np.ndarray) -> float:
    """Returns the share of the notes that are in the best fitting key."""
    if not len(pitches):
        return math.nan
    counts = np.bincount(np.asarray(pitches) % SEMITONES, minlength=SEMITONES)
    return float((_KEYS @ counts).max() / len(pitches))


# -- Drums ----------------------------------------------------------------------------------------


def beat_features(beat: Beat, metre: Metre) -> Features:
    """Returns the features of drums, but not those of their playing.

    `bars alike` is the share of the hits, by place and drum, that two consecutive bars have in
    common (Jaccard). `longest gap` is the longest time without a hit in quarter notes.

    >>> hits = np.zeros((32, 3), bool)  # bass drum, snare, high tom
    >>> hits[[0, 16], 0] = hits[[4, 12, 20], 1] = hits[[29, 30], 2] = True
    >>> found = beat_features(Beat(hits, (36, 38, 50)), Metre(4, 4))
    >>> found["hits per bar"], found["kick on 1"], found["snare on 2 and 4"], found["toms"]
    (3.5, 1.0, 0.75, 2.0)
    >>> found["kinds of drums"], found["longest gap"], found["bars alike"]  # 2 of 5 hits
    (3.0, 2.0, 0.4)
    """
    hits, spb = beat.hits, metre.steps_per_bar
    bars = _bars(len(hits), metre)
    steps, drums = np.nonzero(hits)
    sounding = np.flatnonzero(hits.any(axis=1))
    gaps = np.diff(np.concatenate([[-1], sounding, [len(hits)]])) - 1
    kicks, snares = (np.any(hits[:, _drums(beat, kind)], axis=1) for kind in (KICK, SNARE))
    all_steps = np.arange(len(hits))
    backbeats = all_steps % (2 * metre.steps_per_quarter) == metre.steps_per_quarter
    return {
        "hits per bar": len(steps) / bars if bars else math.nan,
        "bars alike": _alike(list(zip(steps.tolist(), drums.tolist(), strict=True)), bars, metre),
        **_places(steps, metre),
        "kick on 1": _mean(kicks[all_steps % spb == 0]),
        "snare on 2 and 4": _mean(snares[backbeats]),
        "kinds of drums": float(hits.any(axis=0).sum()),
        "hits at once": len(steps) / len(sounding) if len(sounding) else math.nan,
        "hi-hats": _mean(np.isin(drums, _drums(beat, HATS))),
        "toms": float(np.isin(drums, _drums(beat, TOMS)).sum()),
        "longest gap": float(gaps.max()) / metre.steps_per_quarter,
    }


def playing_features(beat: Beat, metre: Metre) -> Features:
    """Returns the features of how drums are played: loudness (0 to 127) and delays, in steps.

    There are none where hits lack one or the other.

    Delays are means and spreads of the steps by which hits come late; those `on beats`, `on
    eighths` and `on sixteenths` are of the hits at such places.

    >>> hits, velocities = np.ones((4, 1), bool), np.array([[100.0], [60.0], [80.0], [60.0]])
    >>> delays = np.array([[0.0], [0.2], [0.0], [0.2]])
    >>> found = playing_features(Beat(hits, (42,), velocities, delays), Metre(4, 4))
    >>> found["velocity"], found["velocity on beats"], round(found["delay on sixteenths"], 2)
    (75.0, 100.0, 0.2)
    """
    if beat.velocities is None or beat.delays is None:
        return {}
    steps, _ = np.nonzero(beat.hits)
    features = {}
    for name, values in (("velocity", beat.velocities), ("delay", beat.delays)):
        own = values[beat.hits]
        features[name] = _mean(own)
        features[f"{name} spread"] = float(np.std(own)) if len(own) else math.nan
        by_place = zip(_PLACES, _by_place(steps, metre), strict=True)
        features |= {f"{name} {place}": _mean(own[chosen]) for place, chosen in by_place}
    return features


def _drums(beat: Beat, pitches: frozenset[int]) -> list[int]:
    """Returns the indices of the drums that have one of these pitches."""
    return [index for index, pitch in enumerate(beat.pitches) if pitch in pitches]


# -- Of both --------------------------------------------------------------------------------------


def _places(steps: np.ndarray, metre: Metre) -> Features:
    """Returns the shares of onsets on beats, half-way between them, and elsewhere."""
    by_place = zip(_PLACES, _by_place(steps, metre), strict=True)
    return {place: _mean(chosen) for place, chosen in by_place}


def _by_place(steps: np.ndarray, metre: Metre) -> list[np.ndarray]:
    """Returns, for each of the three places, True for the onsets `[N]` that are there."""
    place = 2 * (np.asarray(steps) % metre.steps_per_quarter)
    beats, eighths = place == 0, place == metre.steps_per_quarter
    return [beats, eighths, ~(beats | eighths)]


def _bars(num_steps: int, metre: Metre) -> int:
    return -(-num_steps // metre.steps_per_bar)


def _alike(events: Iterable[tuple[int, int]], bars: int, metre: Metre) -> float:
    """Returns the mean share of events (step, kind) that consecutive bars have in common.

    Two silent bars do not count; NaN if no two bars do.
    """
    by_bar: list[set[tuple[int, int]]] = [set() for _ in range(bars)]
    for step, kind in events:
        bar, place = divmod(step, metre.steps_per_bar)
        by_bar[bar].add((place, kind))
    pairs = [(a, b) for a, b in itertools.pairwise(by_bar) if a or b]
    return _mean([len(a & b) / len(a | b) for a, b in pairs])


def _mean(values: Iterable[float]) -> float:
    """Returns the mean of the values that are numbers, or NaN."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # there may be none
        return float(np.nanmean(np.asarray(values, np.float64)))
