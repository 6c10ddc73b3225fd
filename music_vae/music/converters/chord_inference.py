"""Infers the chords and keys of music that has no chord symbols.

The model is a hidden Markov model. Every frame (half a bar of 4/4) has a key and a chord, which is
likely a chord of that key; both tend to stay; and the pitch classes that sound are likely those of
the chord. The Viterbi algorithm finds the most likely sequence of keys and chords. The model, its
numbers and its results are those of `note_seq.infer_chords_for_sequence`. That function makes its
tables anew at every call, which takes most of a second; here they are made once.
"""

import functools
import math
from typing import NamedTuple

import numpy as np

from music_vae.common.constants import SEMITONES
from music_vae.music.converters.grid import Grid
from music_vae.music.converters.score import as_sequence

_CHORDS_PER_BAR = {(2, 2): 1, (2, 4): 1, (3, 4): 1, (4, 4): 2, (6, 8): 2}
_MAX_FRAMES = 1000

_ROOTS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_NO_CHORD = "N.C."
_KINDS = {  # semitones above the root; of equally likely chords the first is taken
    "": (0, 4, 7),
    "m": (0, 3, 7),
    "+": (0, 4, 8),
    "dim": (0, 3, 6),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "m7": (0, 3, 7, 10),
    "m7b5": (0, 3, 6, 10),
}
_MAJOR_SCALE = (0, 2, 4, 5, 7, 9, 11)

_KEY_CHANGE = 0.001  # probabilities, from one frame to the next
_CHORD_CHANGE = 0.5
_OUT_OF_KEY = 0.01  # probability that a note of a chord is not in the key
_CONCENTRATION = 100.0  # how closely the notes follow the chord

_ROUNDING = 1e-9  # more than sums of a thousand frames' scores can be off


class Tables(NamedTuple):
    """The model, with K keys and N chords; a state is key * N + chord.

    Attributes:
      symbols: The N chord symbols, no chord first.
      directions: Unit vectors of the pitch classes of each chord, `[N, 12]`.
      in_key: Log-probability of each chord given its key, `[K * N]`.
      within: Log-probability of a chord (row) after another (column) of the same key, `[K, N, N]`.
      between: Log-probability of a state after any one of another key, `[K, N]`.

    In C major, G7 is a million times (13.8 = log 1e6) as likely as F#, all whose notes are foreign:

    >>> model: Tables = tables()
    >>> in_c_major = model.in_key[: len(model.symbols)]
    >>> g7, f_sharp = (in_c_major[model.symbols.index(symbol)] for symbol in ("G7", "F#"))
    >>> round(float(g7 - f_sharp), 1)
    13.8
    """

    symbols: tuple[str, ...]
    directions: np.ndarray
    in_key: np.ndarray
    within: np.ndarray
    between: np.ndarray


class Frame(NamedTuple):
    """The chord and key that are inferred for a stretch of time.

    Attributes:
      step: Step at which it begins.
      time_s: Time at which it begins.
      key: Tonic of the key, 0 (C) to 11 (B).
      symbol: Chord symbol.

    >>> frame = Frame(step=8, time_s=1.0, key=0, symbol="G7")
    >>> f"{frame.symbol} at {frame.time_s} s"
    'G7 at 1.0 s'
    """

    step: int
    time_s: float
    key: int
    symbol: str


def infer_chords(grid: Grid) -> list[Frame] | str:
    """Infers the chords of a quantised section; returns the reason if that is impossible.

    >>> from collections import Counter
    >>> from music_vae.music.converters.grid import quantise
    >>> from music_vae.music.converters.score import NOTE, Score
    >>> c_then_f = [(0, 1, 60), (0, 1, 64), (0, 1, 67), (1, 2, 60), (1, 2, 65), (1, 2, 69)]
    >>> notes = np.array([(*note, 80, 0, 0, False) for note in c_then_f], NOTE)
    >>> score = Score(notes, total_time_s=2.0)
    >>> (grid,) = quantise([score], [Counter()], steps_per_quarter=4, quarters_per_bar=4)
    >>> [(frame.step, frame.symbol) for frame in infer_chords(grid)]
    [(0, 'C'), (8, 'F')]
    """
    from note_seq import chord_inference

    metre = grid.metre
    if metre not in _CHORDS_PER_BAR:
        return f"chords cannot be inferred in {metre[0]}/{metre[1]}"
    frame_steps = grid.steps_per_bar / _CHORDS_PER_BAR[metre]
    if frame_steps != int(frame_steps):
        return "too few steps in a bar to infer its chords"
    frame_s = frame_steps / grid.steps_per_second
    frames = math.ceil(grid.section.total_time_s / frame_s)
    if not frames:
        return "no time to infer chords in"
    if frames > _MAX_FRAMES:
        return "too long to infer its chords"
    sounding = chord_inference.sequence_note_pitch_vectors(as_sequence(grid.section), frame_s)
    return [
        Frame(frame * int(frame_steps), frame * frame_s, key, symbol)
        for frame, (key, symbol) in enumerate(most_likely(sounding))
    ]


def most_likely(sounding: np.ndarray) -> list[tuple[int, str]]:
    """Finds the most likely key and chord symbol of every frame.

    Args:
      sounding: Share of each pitch class from C up in the sound of each frame, `[frames, 12]`; a
        row is a unit vector, or 0 in silence.

    >>> c_e_g = np.eye(12)[[0, 4, 7]].sum(axis=0) / np.sqrt(3)
    >>> g_b_d_f = np.eye(12)[[7, 11, 2, 5]].sum(axis=0) / 2
    >>> most_likely(np.stack([c_e_g, g_b_d_f]))
    [(0, 'C'), (0, 'G7')]
    """
    model = tables()
    num_chords = len(model.symbols)
    keys = len(model.in_key) // num_chords
    seen = np.tile(_CONCENTRATION * np.dot(sounding, model.directions.T), (1, keys))
    best = -np.log(keys) + model.in_key + seen[0]
    before = np.zeros((len(sounding), len(best)), np.int32)
    for frame in range(1, len(sounding)):
        before[frame], best = _step(best.reshape(keys, num_chords), model)
        best = best + seen[frame]
    path = [int(best.argmax())]
    for frame in range(len(sounding) - 1, 0, -1):
        path.append(int(before[frame, path[-1]]))
    return [(state // num_chords, model.symbols[state % num_chords]) for state in reversed(path)]


def _step(best: np.ndarray, model: Tables) -> tuple[np.ndarray, np.ndarray]:
    """Finds for every state the most likely state before it, and the score by way of that one.

    All states of another key are equally likely to lead to a state, so that only the best of them
    counts. The scores are sums of the same two numbers as if all states were compared; among equal
    ones the first state counts.

    Args:
      best: Scores of the states in the frame before, `[K, N]`.
      model: The tables.

    Returns:
      States `[K * N]` and scores `[K * N]`.
    """
    keys, num_chords = best.shape
    scores = best[:, None, :] + model.within  # [K, to, from]
    chord = scores.argmax(axis=2)
    score = np.take_along_axis(scores, chord[..., None], axis=2)[..., 0]
    before = np.arange(keys)[:, None] * num_chords + chord

    # The best key is entered from the best of the others, the others from the best one. Scores that
    # are equal but for rounding can become equal, and then the first counts.
    flat, bests = best.reshape(-1), best.max(axis=1)
    is_other = np.arange(keys) != bests.argmax()
    near_best = flat >= bests.max() - _ROUNDING
    near_second = (flat >= bests[is_other].max() - _ROUNDING) & np.repeat(is_other, num_chords)
    for states, to in ((near_best, is_other), (near_second, ~is_other)):
        for state in np.flatnonzero(states).tolist():
            entered = to & (np.arange(keys) != state // num_chords)
            changed = flat[state] + model.between
            better = (changed > score) | ((changed == score) & (state < before))
            better &= entered[:, None]
            score[better], before[better] = changed[better], state
    return before.reshape(-1), score.reshape(-1)


@functools.cache
def tables() -> Tables:
    """Returns the tables of the model, which are made once.

    >>> tables().symbols[:9]
    ('N.C.', 'C', 'Cm', 'C+', 'Cdim', 'C7', 'Cmaj7', 'Cm7', 'Cm7b5')
    """
    symbols, notes = [_NO_CHORD], np.zeros((1 + SEMITONES * len(_KINDS), SEMITONES), int)
    for root, name in enumerate(_ROOTS):
        for kind, steps in _KINDS.items():
            notes[len(symbols), [(root + step) % SEMITONES for step in steps]] = 1
            symbols.append(name + kind)
    directions = notes.astype(float)
    directions[1:] /= np.linalg.norm(directions[1:], axis=1, keepdims=True)

    scales = np.zeros((SEMITONES, SEMITONES), int)
    for key in range(SEMITONES):
        scales[key, [(key + step) % SEMITONES for step in _MAJOR_SCALE]] = 1
    inside, outside = scales @ notes.T, (1 - scales) @ notes.T
    given_key = (1 - _OUT_OF_KEY) ** inside * _OUT_OF_KEY**outside  # [K, N]
    given_key /= given_key.sum(axis=1, keepdims=True)
    within = np.empty((SEMITONES, len(symbols), len(symbols)))
    for key, to in enumerate(given_key):
        # The chord that is left shares its probability out among the others.
        to, left = to[:, None], to[None, :]
        within[key] = (1 - _KEY_CHANGE) * (_CHORD_CHANGE * (to + left / (len(symbols) - 1)))
        np.fill_diagonal(within[key], (1 - _KEY_CHANGE) * (1 - _CHORD_CHANGE))
    between = _KEY_CHANGE / (SEMITONES - 1) * given_key
    return Tables(
        tuple(symbols),
        directions,
        in_key=np.log(given_key).reshape(-1),
        within=np.log(within),
        between=np.log(between),
    )
