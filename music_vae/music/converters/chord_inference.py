"""The chords and keys of music that has no chord symbols.

A hidden Markov model: in every frame (half a bar of 4/4) there is a key and a chord, likely one of
the key's; both tend to stay; and the pitch classes heard are likely the chord's. The most likely
sequence of them is found by the Viterbi algorithm. Model and numbers are those of
`note_seq.infer_chords_for_sequence`, and so are the results. That function makes its tables anew at
every call, most of a second each; here they are made once.
"""

import functools
import math
from typing import NamedTuple

import numpy as np

from music_vae.common.constants import SEMITONES
from music_vae.music.converters.grid import Grid
from music_vae.music.converters.score import as_sequence

CHORDS_PER_BAR = {(2, 2): 1, (2, 4): 1, (3, 4): 1, (4, 4): 2, (6, 8): 2}
MAX_FRAMES = 1000

ROOTS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
NO_CHORD = "N.C."
KINDS = {  # semitones above the root; of equally likely chords the first is taken
    "": (0, 4, 7),
    "m": (0, 3, 7),
    "+": (0, 4, 8),
    "dim": (0, 3, 6),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "m7": (0, 3, 7, 10),
    "m7b5": (0, 3, 6, 10),
}
MAJOR_SCALE = (0, 2, 4, 5, 7, 9, 11)

KEY_CHANGE = 0.001  # probabilities, from one frame to the next
CHORD_CHANGE = 0.5
OUT_OF_KEY = 0.01  # of a note of a chord
CONCENTRATION = 100.0  # how closely the notes follow the chord

_ROUNDING = 1e-9  # more than sums of a thousand frames' scores can be off


class Tables(NamedTuple):
    """The model, with K keys and N chords; a state is key * N + chord.

    Attributes:
      symbols: The N chord symbols, no chord first.
      directions: `[N, 12]`, unit vectors of pitch classes.
      in_key: `[K * N]`, log-probability of each chord given its key.
      within: `[K, N, N]`, log-probability of a chord (row) after another (column) of the same key.
      between: `[K, N]`, log-probability of a state after any one of another key.
    """

    symbols: tuple[str, ...]
    directions: np.ndarray
    in_key: np.ndarray
    within: np.ndarray
    between: np.ndarray


class Frame(NamedTuple):
    """What is inferred of a stretch of time; a key is its tonic, 0 to 11."""

    step: int
    time_s: float
    key: int
    symbol: str


def infer_chords(grid: Grid) -> list[Frame] | str:
    """The chords of a quantised section of one metre and tempo, or why there are none."""
    from note_seq import chord_inference

    metre = grid.metre
    if metre not in CHORDS_PER_BAR:
        return f"chords cannot be inferred in {metre[0]}/{metre[1]}"
    frame_steps = grid.steps_per_bar / CHORDS_PER_BAR[metre]
    if frame_steps != int(frame_steps):
        return "too few steps in a bar to infer its chords"
    frame_s = frame_steps / grid.steps_per_second
    frames = math.ceil(grid.section.total_time_s / frame_s)
    if not frames:
        return "no time to infer chords in"
    if frames > MAX_FRAMES:
        return "too long to infer its chords"
    heard = chord_inference.sequence_note_pitch_vectors(as_sequence(grid.section), frame_s)
    return [
        Frame(frame * int(frame_steps), frame * frame_s, key, symbol)
        for frame, (key, symbol) in enumerate(most_likely(heard))
    ]


def most_likely(heard: np.ndarray) -> list[tuple[int, str]]:
    """The most likely key and chord symbol of every frame.

    Args:
      heard: `[frames, 12]`, how much of each pitch class is heard; rows of norm 1, or 0 in silence.
    """
    model = tables()
    num_chords = len(model.symbols)
    keys = len(model.in_key) // num_chords
    seen = np.tile(CONCENTRATION * np.dot(heard, model.directions.T), (1, keys))
    best = -np.log(keys) + model.in_key + seen[0]
    before = np.zeros((len(heard), len(best)), np.int32)
    for frame in range(1, len(heard)):
        before[frame], best = _step(best.reshape(keys, num_chords), model)
        best = best + seen[frame]
    path = [int(best.argmax())]
    for frame in range(len(heard) - 1, 0, -1):
        path.append(int(before[frame, path[-1]]))
    return [(state // num_chords, model.symbols[state % num_chords]) for state in reversed(path)]


def _step(best: np.ndarray, model: Tables) -> tuple[np.ndarray, np.ndarray]:
    """Of every state, the first of the most likely states before it, and the score by way of it.

    All states of another key are as likely to lead here, so that only the best of them counts.
    Scores are sums of the same two numbers as if all states were compared, ties included.

    Args:
      best: `[K, N]`, the scores of the states before.
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
    """The model's tables."""
    symbols, notes = [NO_CHORD], np.zeros((1 + SEMITONES * len(KINDS), SEMITONES), int)
    for root, name in enumerate(ROOTS):
        for kind, steps in KINDS.items():
            notes[len(symbols), [(root + step) % SEMITONES for step in steps]] = 1
            symbols.append(name + kind)
    directions = notes.astype(float)
    directions[1:] /= np.linalg.norm(directions[1:], axis=1, keepdims=True)

    scales = np.zeros((SEMITONES, SEMITONES), int)
    for key in range(SEMITONES):
        scales[key, [(key + step) % SEMITONES for step in MAJOR_SCALE]] = 1
    inside, outside = scales @ notes.T, (1 - scales) @ notes.T
    given_key = (1 - OUT_OF_KEY) ** inside * OUT_OF_KEY**outside  # [K, N]
    given_key /= given_key.sum(axis=1, keepdims=True)
    within = np.empty((SEMITONES, len(symbols), len(symbols)))
    for key, to in enumerate(given_key):
        # The chord that is left shares its probability out among the others.
        to, left = to[:, None], to[None, :]
        within[key] = (1 - KEY_CHANGE) * (CHORD_CHANGE * (to + left / (len(symbols) - 1)))
        np.fill_diagonal(within[key], (1 - KEY_CHANGE) * (1 - CHORD_CHANGE))
    between = KEY_CHANGE / (SEMITONES - 1) * given_key
    return Tables(
        tuple(symbols),
        directions,
        in_key=np.log(given_key).reshape(-1),
        within=np.log(within),
        between=np.log(between),
    )
