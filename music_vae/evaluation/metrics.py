"""Metrics of an evaluation: of steps, of grooves, and of sampled music compared with a corpus.

All are pure functions of arrays and NoteSequences, without TensorFlow. The *symbols* of a window
are whole numbers `[T]` or `[T, P]`, each of which is right or wrong (see `Converter.symbols`).
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from music_vae.common.constants import MAX_MIDI_PITCH, MAX_MIDI_VELOCITY, SEMITONES
from music_vae.music.symbols import HALF_STEPS, Groove

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence


Metrics = dict[str, Any]
"""Metrics by name, some in dictionaries of their own; None stands for what was not measured."""


# -- Steps ----------------------------------------------------------------------------------------


def valid_steps(num_steps: int, length: np.ndarray) -> np.ndarray:
    """Returns True for valid steps of a window, `[T]`: the first ones, of all or of each segment.

    >>> valid_steps(4, 3)
    array([ True, True, True, False])
    >>> valid_steps(4, [1, 2])  # two segments of two steps
    array([ True, False, True, True])

    Args:
      num_steps: Number of steps T; with segments, a multiple of their number.
      length: Number of valid steps: a scalar, or `[S]` for S segments of equal size.
    """
    length = np.asarray(length)
    if length.ndim == 0:
        return np.arange(num_steps) < length
    size = num_steps // len(length)
    return (np.arange(size) < length[:, None]).reshape(-1)


def right_steps(truth: np.ndarray, made: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Compares each valid step of `truth` with what was made: booleans `[N]` or `[N, P]`.

    >>> truth, made = np.array([62, 0, 64, 0]), np.array([62, 0, 65])
    >>> right_steps(truth, made, valid=np.ones(4, bool))
    array([ True, True, False, False])

    Args:
      truth: Symbols `[T]` or `[T, P]` of the window.
      made: Symbols of what was made; if it is shorter, the missing steps are wrong.
      valid: Booleans `[T]`, True for the steps of `truth` that count.
    """
    right = np.zeros(truth.shape, bool)
    both = min(len(truth), len(made))
    right[:both] = truth[:both] == made[:both]
    return right[valid]


def kl_bits(mu: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Computes the KL divergence of N(mu, sigma) `[N, Z]` from N(0, 1) in bits, `[N]`.

    KL = sum over z of (sigma^2 + mu^2 - 1) / 2 - ln sigma, in nats.

    >>> mu, sigma = np.array([[0.0, 0.0], [2.0, 0.0]]), np.ones((2, 2))
    >>> kl_bits(mu, sigma).round(3)
    array([0. , 2.885])
    """
    mu, sigma = np.asarray(mu, np.float64), np.asarray(sigma, np.float64)
    return np.sum((sigma**2 + mu**2 - 1) / 2 - np.log(sigma), axis=-1) / math.log(2)


def partners(number: int, rng: np.random.Generator) -> np.ndarray:
    """Draws another example for each of `number` examples, `[number]`; each is drawn once.

    >>> partners(4, np.random.default_rng(0))
    array([2, 0, 3, 1])
    """
    order = rng.permutation(number)
    drawn = np.empty(number, np.int64)
    drawn[order] = np.roll(order, 1)
    return drawn


# -- Grooves --------------------------------------------------------------------------------------


class GrooveErrors(NamedTuple):
    """Errors of a model's grooves, compared with those that were played.

    >>> errors = GrooveErrors(1.0, 0.9, 8.0, 20.0, velocity=12.0, velocity_baseline=25.0)
    >>> errors.onset_ms / errors.onset_baseline_ms  # 0: as played, 1: no better than a grid
    0.4

    Attributes:
      precision: Share of the hits made that were played.
      recall: Share of the played hits that were made.
      onset_ms: Mean absolute error in time of the hits that both have, in milliseconds.
      onset_baseline_ms: Error in time of a baseline that plays every hit exactly on its step.
      velocity: Mean absolute error of the same hits' velocities, in MIDI's 0 to 127.
      velocity_baseline: Error in velocity of a baseline that plays all hits with one velocity: the
        mean of all hits that were played.
    """

    precision: float
    recall: float
    onset_ms: float
    onset_baseline_ms: float
    velocity: float
    velocity_baseline: float


def groove_errors(
    truth: Sequence[Groove], made: Sequence[Groove], step_ms: Sequence[float]
) -> GrooveErrors:
    """Compares grooves with the true ones.

    These are hits, velocities and offsets of two steps of one drum; the model leaves out a hit.

    >>> both, first = np.array([[True], [True]]), np.array([[True], [False]])
    >>> truth = Groove(both, np.array([[0.8], [0.4]]), np.array([[0.0], [0.5]]))
    >>> made = Groove(first, np.array([[0.6], [0.0]]), np.array([[0.2], [0.0]]))
    >>> errors = groove_errors([truth], [made], [125.0])
    >>> errors.precision, errors.recall, errors.onset_ms
    (1.0, 0.5, 12.5)

    Args:
      truth: The grooves that were played.
      made: The model's groove for each of them.
      step_ms: Length of a step in milliseconds, for each pair.

    Returns:
      The errors; those for which there is no hit are NaN.
    """
    onsets, onsets_baseline, velocities, played = [], [], [], []
    num_made = 0
    for true, new, ms in zip(truth, made, step_ms, strict=True):
        new = Groove(*(array[: len(true.hits)] for array in new))
        both = true.hits & new.hits
        onsets.append(ms / HALF_STEPS * np.abs(new.offsets - true.offsets)[both])
        onsets_baseline.append(ms / HALF_STEPS * np.abs(true.offsets)[both])
        velocities.append(np.stack([true.velocities[both], new.velocities[both]], axis=-1))
        played.append(true.velocities[true.hits])
        num_made += int(new.hits.sum())
    pairs, all_played = np.concatenate(velocities), np.concatenate(played)
    baseline = _mean(all_played)
    return GrooveErrors(
        precision=len(pairs) / num_made if num_made else math.nan,
        recall=len(pairs) / len(all_played) if len(all_played) else math.nan,
        onset_ms=_mean(np.concatenate(onsets)),
        onset_baseline_ms=_mean(np.concatenate(onsets_baseline)),
        velocity=MAX_MIDI_VELOCITY * _mean(np.abs(pairs[:, 1] - pairs[:, 0])),
        velocity_baseline=MAX_MIDI_VELOCITY * _mean(np.abs(baseline - pairs[:, 0])),
    )


# -- Music ----------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class MusicStatistics:
    """Statistics of many short pieces; `music_statistics` computes them.

    >>> MusicStatistics(pieces=2, notes_per_bar=4.5, empty_bars=0.25, histogram=np.zeros(12))
    MusicStatistics(pieces=2, notes_per_bar=4.5, empty_bars=0.25, histogram=array([...]))

    Attributes:
      pieces: Number of pieces.
      notes_per_bar: Mean number of notes that start in a bar.
      empty_bars: Share of the bars in which nothing sounds.
      histogram: Shares of the 12 pitch classes among the notes; for drums alone, shares of their
        128 pitches. All zeros if there are no notes.
    """

    pieces: int
    notes_per_bar: float
    empty_bars: float
    histogram: np.ndarray


def music_statistics(
    sequences: "Iterable[NoteSequence]", *, num_bars: int, bar_s: float, steps_per_bar: int
) -> MusicStatistics:
    """Computes statistics of pieces of one length and one tempo.

    Times are rounded to steps, so that a hit that comes early belongs to its own bar.

    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> notes = [{"pitch": pitch, "end_time": 0.5} for pitch in (60, 64, 67, 72)]
    >>> chord = NoteSequence(notes=notes)
    >>> result = music_statistics([chord], num_bars=2, bar_s=2.0, steps_per_bar=16)
    >>> result.notes_per_bar, result.empty_bars
    (2.0, 0.5)
    >>> result.histogram[[0, 4, 7]]  # C, E, G
    array([0.5 , 0.25, 0.25])

    Args:
      sequences: The pieces.
      num_bars: Number of bars of each piece.
      bar_s: Length of a bar in seconds.
      steps_per_bar: Number of steps in a bar.
    """
    pieces, notes, sounding = 0, 0, 0
    pitches, drums = np.zeros(SEMITONES), np.zeros(MAX_MIDI_PITCH + 1)
    step_s = bar_s / steps_per_bar
    for sequence in sequences:
        pieces += 1
        sounds = np.zeros(num_bars, bool)
        for note in sequence.notes:
            start = round(note.start_time / step_s)
            end = max(round(note.end_time / step_s), start + 1)
            sounds[max(start, 0) // steps_per_bar : -(-end // steps_per_bar)] = True
            if note.is_drum:
                drums[note.pitch] += 1
            else:
                pitches[note.pitch % SEMITONES] += 1
        notes += len(sequence.notes)
        sounding += int(sounds.sum())
    counts = pitches if pitches.any() else drums
    bars = pieces * num_bars
    return MusicStatistics(
        pieces=pieces,
        notes_per_bar=notes / bars if bars else math.nan,
        empty_bars=1 - sounding / bars if bars else math.nan,
        histogram=counts / max(counts.sum(), 1),
    )


def histogram_overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Returns the share that two histograms have in common, from 0 to 1; 0 if their sizes differ.

    >>> histogram_overlap(np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.5, 0.25]))
    0.75
    """
    return float(np.minimum(one, other).sum()) if one.shape == other.shape else 0.0


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else math.nan
