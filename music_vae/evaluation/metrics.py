"""What an evaluation measures: of steps, of grooves, and of sampled music beside a corpus.

Pure functions of arrays and NoteSequences, without TensorFlow. The *symbols* of a window are whole
numbers `[T]` or `[T, P]`: what is right or wrong at a step (see `Converter.symbols`).
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
"""Numbers by name, some of them in dictionaries of their own; what was left out is None."""


# -- Steps ----------------------------------------------------------------------------------------


def valid_steps(num_steps: int, length: np.ndarray) -> np.ndarray:
    """Which of `num_steps` steps are valid, `[T]`: the first ones, or those of every segment.

    Args:
      num_steps: T, a multiple of the number of segments where there are any.
      length: Valid steps, a scalar, or `[S]` for S segments of equal size.
    """
    length = np.asarray(length)
    if length.ndim == 0:
        return np.arange(num_steps) < length
    size = num_steps // len(length)
    return (np.arange(size) < length[:, None]).reshape(-1)


def right_steps(truth: np.ndarray, made: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Whether each valid step of `truth` is right, booleans `[N]` or `[N, P]`.

    Args:
      truth: Symbols `[T]` or `[T, P]`.
      made: Symbols of what was made; where it is shorter, the missing steps are wrong.
      valid: Which steps of `truth` count, `[T]`.
    """
    right = np.zeros(truth.shape, bool)
    both = min(len(truth), len(made))
    right[:both] = truth[:both] == made[:both]
    return right[valid]


def kl_bits(mu: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """KL divergence of N(mu, sigma) `[N, Z]` from N(0, 1) in bits, `[N]`.

    KL = sum over z of (sigma^2 + mu^2 - 1) / 2 - ln sigma, in nats.
    """
    mu, sigma = np.asarray(mu, np.float64), np.asarray(sigma, np.float64)
    return np.sum((sigma**2 + mu**2 - 1) / 2 - np.log(sigma), axis=-1) / math.log(2)


def partners(number: int, rng: np.random.Generator) -> np.ndarray:
    """For each of `number` examples another one, `[number]`; each is the partner of one."""
    order = rng.permutation(number)
    found = np.empty(number, np.int64)
    found[order] = np.roll(order, 1)
    return found


# -- Grooves --------------------------------------------------------------------------------------


class GrooveErrors(NamedTuple):
    """How far grooves are from the played ones.

    Attributes:
      precision: Share of the hits made that were played.
      recall: Share of the played hits that were made.
      onset_ms: Mean absolute error in time of the hits that both have, in milliseconds.
      onset_baseline_ms: The same of the quantised baseline, which plays every hit on its step.
      velocity: Mean absolute error of the same hits' velocities, in MIDI's 0 to 127.
      velocity_baseline: The same of the baseline, which plays all hits with one velocity: the mean
        of all hits of the true grooves.
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
    """The errors of grooves beside the true ones; `step_ms` has a step's length for each pair.

    A figure for which there is no hit is NaN.
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
    """What a heap of short pieces is like.

    Attributes:
      pieces: How many there are.
      notes_per_bar: Notes that start in a bar, the mean over all bars.
      empty_bars: Share of the bars in which nothing sounds.
      histogram: Shares of the 12 pitch classes among the notes; where there are drums alone, of
        their 128 pitches. Zeros where there are no notes.
    """

    pieces: int
    notes_per_bar: float
    empty_bars: float
    histogram: np.ndarray


def music_statistics(
    sequences: "Iterable[NoteSequence]", *, num_bars: int, bar_s: float, steps_per_bar: int
) -> MusicStatistics:
    """Statistics of pieces of `num_bars` bars of `bar_s` seconds each, of one tempo.

    Times are rounded to steps, so that a hit that comes early belongs to its own bar.
    """
    pieces, notes, sounding = 0, 0, 0
    pitches, drums = np.zeros(SEMITONES), np.zeros(MAX_MIDI_PITCH + 1)
    step_s = bar_s / steps_per_bar
    for sequence in sequences:
        pieces += 1
        heard = np.zeros(num_bars, bool)
        for note in sequence.notes:
            start = round(note.start_time / step_s)
            end = max(round(note.end_time / step_s), start + 1)
            heard[max(start, 0) // steps_per_bar : -(-end // steps_per_bar)] = True
            if note.is_drum:
                drums[note.pitch] += 1
            else:
                pitches[note.pitch % SEMITONES] += 1
        notes += len(sequence.notes)
        sounding += int(heard.sum())
    counts = pitches if pitches.any() else drums
    bars = pieces * num_bars
    return MusicStatistics(
        pieces=pieces,
        notes_per_bar=notes / bars if bars else math.nan,
        empty_bars=1 - sounding / bars if bars else math.nan,
        histogram=counts / max(counts.sum(), 1),
    )


def histogram_overlap(one: np.ndarray, other: np.ndarray) -> float:
    """What two histograms of shares have in common, from 0 to 1; 0 if their kinds differ."""
    return float(np.minimum(one, other).sum()) if one.shape == other.shape else 0.0


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else math.nan
