"""From a score to its parts of one metre and tempo, and to their notes on a grid of steps.

Whatever cannot be used is counted in a `skipped` counter under a reason that a musician
understands. That holds for music that no musician wrote, too: limits far beyond any real piece keep
a false time or tempo from filling the memory.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from music_vae.constants import DEFAULT_QPM, MAX_MIDI_VELOCITY
from music_vae.converters.score import Metre, Score, Tempo, change_times, cut

# What the longest real pieces stay far below: the Ring cycle has some 20,000 bars in four evenings.
MAX_BARS = 10_000  # of a section
MAX_TIME_S = 1e7
MAX_TIME_CHANGES = 10_000
MAX_INSTRUMENTS = 1_000

DEFAULT_METRE = Metre(0.0, 4, 4)  # MIDI's
CHANGES = "time signature or tempo changes"


class Grid(NamedTuple):
    """A section whose notes start and end at steps.

    Attributes:
      section: The section.
      starts: The step at which each note starts, int64 `[N]`.
      ends: The step at which it ends, int64 `[N]`; at least one later, if it does not end first.
      total_steps: The length of the section; no note ends later.
      chord_steps: The steps of its chord symbols.
      steps_per_quarter: Steps in a quarter note.
      qpm: Quarter notes a minute.
      metre: Numerator and denominator of the time signature.
    """

    section: Score
    starts: np.ndarray
    ends: np.ndarray
    total_steps: int
    chord_steps: Sequence[int]
    steps_per_quarter: int
    qpm: float
    metre: tuple[int, int]

    @property
    def notes(self) -> np.ndarray:
        """The notes of the section."""
        return self.section.notes

    @property
    def steps_per_second(self) -> float:
        """Steps in a second."""
        return self.steps_per_quarter * self.qpm / 60.0

    @property
    def steps_per_bar(self) -> float:
        """Steps in a bar."""
        numerator, denominator = self.metre
        return self.steps_per_quarter * (4.0 / denominator * numerator)

    def only(self, chosen: np.ndarray) -> "Grid":
        """The grid with the chosen notes alone, by mask `[N]`; it stays as long."""
        section = self.section._replace(notes=self.notes[chosen])
        return self._replace(section=section, starts=self.starts[chosen], ends=self.ends[chosen])


def sections(
    score: Score,
    skipped: Counter[str],
    *,
    split_on_time_changes: bool,
    with_pedals: bool = False,
) -> list[Score]:
    """The parts of a piece that keep one metre and tempo, each shifted to time zero.

    Args:
      score: A piece that has not been quantised.
      skipped: Counts why the piece cannot be used, and the notes that lie outside the time from
        0 to its total time.
      split_on_time_changes: Without it, the one section is the whole piece.
      with_pedals: Whether the sections have the changes of the sustain pedal.

    Returns:
      The sections with notes, in order.
    """
    if not len(score.notes):
        skipped["no notes"] += 1
        return []
    impossible = why_impossible(score)
    if impossible:
        skipped[impossible] += 1
        return []
    if not split_on_time_changes:
        return [score]
    if score.is_quantised:
        skipped["already quantised"] += 1
        return []
    parts = cut(score, change_times(score), with_pedals=with_pedals)
    lost = len(score.notes) - sum(len(part.notes) for part in parts)
    if lost:
        skipped["note before the beginning or after the end of the piece"] += lost
    return [part for part in parts if len(part.notes)]


def why_impossible(score: Score) -> str | None:
    """Why a piece is no music at all, or None."""
    notes = score.notes
    times_s = [score.total_time_s, *score.remark_times_s]
    for events in (score.tempos, score.metres, score.keys, score.chords):
        times_s += [event.time_s for event in events]
    arrays = notes["start_s"], notes["end_s"], score.controls["time_s"], np.array(times_s)
    latest_s = [float(np.abs(array).max(initial=0.0)) for array in arrays]
    if not all(map(math.isfinite, latest_s)):
        return "a time that is not a number"
    if max(latest_s) > MAX_TIME_S:
        return f"a time beyond {MAX_TIME_S:.0f} seconds"
    if not all(0 <= tempo.qpm < math.inf for tempo in score.tempos):
        return "a tempo that is not a number from 0 on"
    velocities = notes["velocity"]
    if not 0 <= velocities.min(initial=0) <= velocities.max(initial=0) <= MAX_MIDI_VELOCITY:
        return f"a velocity outside 0-{MAX_MIDI_VELOCITY}"
    if len(score.tempos) + len(score.metres) > MAX_TIME_CHANGES:
        return f"more than {MAX_TIME_CHANGES} changes of metre and tempo"
    if len(set(notes["instrument"].tolist())) > MAX_INSTRUMENTS:
        return f"more than {MAX_INSTRUMENTS} instruments"
    return None


def quantise(
    section: Score, skipped: Counter[str], *, steps_per_quarter: int, quarters_per_bar: int
) -> Grid | None:
    """The section on a grid, or None with a reason in `skipped`.

    Only a metre whose bars are as long as `quarters_per_bar` quarter notes is accepted (2/2 and 8/8
    are as good as 4/4).
    """
    _, *metre = min(section.metres or [DEFAULT_METRE], key=lambda m: m.time_s)
    if 4 * metre[0] != quarters_per_bar * metre[1]:
        skipped[_metre_reason(*metre)] += 1
        return None
    grid = quantise_in_any_metre(section, steps_per_quarter, quarters_per_bar)
    if isinstance(grid, str):
        skipped[grid] += 1
        return None
    return grid


def quantise_in_any_metre(
    section: Score, steps_per_quarter: int, quarters_per_bar: int = 4
) -> Grid | str:
    """The section on a grid, or why there is none; see `quantise`.

    A time goes to the nearest step, half a step to the later one; no note is shorter than a step.
    """
    qpm, notes = section.qpm, section.notes
    if not qpm > 0:
        return "a tempo of 0"
    last_s = max(section.total_time_s, section.last_end_s, notes["start_s"].max(initial=0.0))
    steps_per_s = steps_per_quarter * qpm / 60.0
    if not (last_s * qpm / 60 <= MAX_BARS * quarters_per_bar and math.isfinite(steps_per_s)):
        return f"longer than {bars(MAX_BARS)}"
    metre = _only_metre(section.metres)
    if isinstance(metre, str):
        return metre
    if not _is_one_tempo(section.tempos):
        return CHANGES
    starts, ends = notes["start_s"] * steps_per_s + 0.5, notes["end_s"] * steps_per_s + 0.5
    texts_s = [*section.remark_times_s, *(chord.time_s for chord in section.chords)]
    first_s = min(section.controls["time_s"].min(initial=0.0), *texts_s, 0.0)
    if min(starts.min(initial=0.0), ends.min(initial=0.0), first_s * steps_per_s + 0.5) <= -1:
        return "negative time"  # rounded towards zero, these are the steps below it
    starts, ends = starts.astype(np.int64), ends.astype(np.int64)
    ends += ends == starts
    return Grid(
        section,
        starts,
        ends,
        max(int(section.total_time_s * steps_per_s + 0.5), int(ends.max(initial=0))),
        [int(chord.time_s * steps_per_s + 0.5) for chord in section.chords],
        steps_per_quarter,
        qpm,
        metre,
    )


def bars(number: int) -> str:
    """'1 bar', '2 bars'."""
    return f"{number} bar" if number == 1 else f"{number} bars"


def _only_metre(metres: Sequence[Metre]) -> tuple[int, int] | str:
    """The one metre of a section, or why it is none.

    As in note_seq, a first one that comes late changes the 4/4 before it, and of those that do not
    come in order of time the earliest may be another.
    """
    if not metres:
        return DEFAULT_METRE.numerator, DEFAULT_METRE.denominator
    first, *others = sorted(metres, key=lambda m: m.time_s)
    only = metres[0][1:]
    if (first.time_s != 0 and first[1:] != DEFAULT_METRE[1:]) or any(m[1:] != only for m in others):
        return CHANGES
    numerator, denominator = only
    if numerator == 0 or denominator <= 0 or denominator & (denominator - 1):
        return _metre_reason(numerator, denominator)
    return only


def _is_one_tempo(tempos: Sequence[Tempo]) -> bool:
    if not tempos:
        return True
    first, *others = sorted(tempos, key=lambda tempo: tempo.time_s)
    if first.time_s != 0 and first.qpm != DEFAULT_QPM:
        return False
    return all(tempo.qpm == tempos[0].qpm for tempo in others)


def _metre_reason(numerator: int, denominator: int) -> str:
    return f"time signature {numerator}/{denominator}"
