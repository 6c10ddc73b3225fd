"""The chords and keys of music that has no chord symbols.

A hidden Markov model: in every frame (half a bar of 4/4) there is a key and a chord, likely one of
the key's; both tend to stay; and the pitch classes heard are likely the chord's. The most likely
sequence of them is found by the Viterbi algorithm. Model and numbers are those of
`note_seq.infer_chords_for_sequence`, and so are the results. That function makes its tables anew at
every call, most of a second each; here they are made once.
"""

import functools
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from music_vae.constants import SEMITONES

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

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


class Tables(NamedTuple):
    """The model, with K keys and N chords; a state is key * N + chord.

    Attributes:
      symbols: The N chord symbols, no chord first.
      directions: `[N, 12]`, unit vectors of pitch classes.
      in_key: `[K * N]`, log-probability of each chord given its key.
      transitions: `[K * N, K * N]`, log-probability of a state (row) after another (column).
    """

    symbols: tuple[str, ...]
    directions: np.ndarray
    in_key: np.ndarray
    transitions: np.ndarray


class Frame(NamedTuple):
    """What is inferred of a stretch of time; a key is its tonic, 0 to 11."""

    step: int
    time_s: float
    key: int
    symbol: str


def infer_chords(quantised: "NoteSequence") -> list[Frame] | str:
    """The chords of a quantised section of one metre and tempo, or why there are none."""
    from note_seq import chord_inference, sequences_lib

    metre = quantised.time_signatures[0].numerator, quantised.time_signatures[0].denominator
    if metre not in CHORDS_PER_BAR:
        return f"chords cannot be inferred in {metre[0]}/{metre[1]}"
    qpm = quantised.tempos[0].qpm
    if not qpm > 0:
        return "a tempo of 0"
    bar_steps = sequences_lib.steps_per_bar_in_quantized_sequence(quantised)
    frame_steps = bar_steps / CHORDS_PER_BAR[metre]
    if frame_steps != int(frame_steps):
        return "too few steps in a bar to infer its chords"
    frame_s = frame_steps / (quantised.quantization_info.steps_per_quarter * qpm / 60)
    frames = math.ceil(quantised.total_time / frame_s)
    if not frames:
        return "no time to infer chords in"
    if frames > MAX_FRAMES:
        return "too long to infer its chords"
    heard = chord_inference.sequence_note_pitch_vectors(quantised, frame_s)
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
    every = np.arange(len(best))
    for frame in range(1, len(heard)):
        scores = best + model.transitions
        before[frame] = scores.argmax(axis=1)
        best = scores[every, before[frame]] + seen[frame]
    path = [int(best.argmax())]
    for frame in range(len(heard) - 1, 0, -1):
        path.append(int(before[frame, path[-1]]))
    return [(state // num_chords, model.symbols[state % num_chords]) for state in reversed(path)]


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
    return Tables(tuple(symbols), directions, np.log(given_key).reshape(-1), _log(given_key))


def _log(given_key: np.ndarray) -> np.ndarray:
    """Log-probabilities of transitions from those of chords `[K, N]`; see `Tables`."""
    keys, chords = given_key.shape
    transitions = np.empty((keys, chords, keys, chords))  # to key and chord, from key and chord
    transitions[...] = (KEY_CHANGE / (keys - 1) * given_key)[:, :, None, None]
    for key, probabilities in enumerate(given_key):
        # The chord that is left shares its probability out among the others.
        to, left = probabilities[:, None], probabilities[None, :]
        within = (1 - KEY_CHANGE) * (CHORD_CHANGE * (to + left / (chords - 1)))
        np.fill_diagonal(within, (1 - KEY_CHANGE) * (1 - CHORD_CHANGE))
        transitions[key, :, key, :] = within
    return np.log(transitions).reshape(keys * chords, keys * chords)
