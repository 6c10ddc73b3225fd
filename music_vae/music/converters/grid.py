"""From a score to its parts of one metre and tempo, and to their notes on a grid of steps.

Whatever cannot be used is counted in a `skipped` counter under a reason that a musician
understands. That holds for music that no musician wrote, too: limits far beyond any real piece keep
a false time or tempo from filling the memory.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from music_vae.common.constants import DEFAULT_QPM, MAX_MIDI_VELOCITY
from music_vae.music.converters.base import Extraction, bars
from music_vae.music.converters.score import Metre, Score, Tempo, change_times, cut, read_all
from music_vae.music.converters.segments import join, maxima, minima, split, take

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

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
      section: The section, of one tempo and one metre.
      starts: The step at which each note starts, int64 `[N]`.
      ends: The step at which it ends, int64 `[N]`; at least one later, if it does not end first.
      last_step: The last of the ends, or 0.
      steps_per_quarter: Steps in a quarter note.
    """

    section: Score
    starts: np.ndarray
    ends: np.ndarray
    last_step: int
    steps_per_quarter: int

    @property
    def notes(self) -> np.ndarray:
        """The notes of the section."""
        return self.section.notes

    @property
    def metre(self) -> tuple[int, int]:
        """Numerator and denominator of the time signature."""
        metre = self.section.metres[0] if self.section.metres else DEFAULT_METRE
        return metre.numerator, metre.denominator

    @property
    def steps_per_second(self) -> float:
        """Steps in a second."""
        return self.steps_per_quarter * self.section.qpm / 60.0

    @property
    def steps_per_bar(self) -> float:
        """Steps in a bar."""
        numerator, denominator = self.metre
        return self.steps_per_quarter * (4.0 / denominator * numerator)

    @property
    def total_steps(self) -> int:
        """The length of the section; no note ends later."""
        return max(self.step(max(self.section.total_time_s, 0.0)), self.last_step)

    @property
    def chord_steps(self) -> list[int]:
        """The steps of the chord symbols."""
        return [self.step(chord.time_s) for chord in self.section.chords]

    def step(self, time_s: float) -> int:
        """The step nearest to a time."""
        return int(time_s * self.steps_per_second + 0.5)

    def only(self, chosen: np.ndarray) -> "Grid":
        """The grid with the chosen notes alone, by mask `[N]`; it stays as long."""
        section = self.section._replace(notes=take(self.notes, chosen))
        return self._replace(section=section, starts=self.starts[chosen], ends=self.ends[chosen])


def sections(
    scores: Sequence[Score],
    skipped: Sequence[Counter[str]],
    *,
    split_on_time_changes: bool,
    with_pedals: bool = False,
) -> list[list[Score]]:
    """The parts of pieces that keep one metre and tempo, each shifted to time zero.

    Args:
      scores: Pieces that have not been quantised.
      skipped: For each piece counts why it cannot be used, and the notes that lie outside the time
        from 0 to its total time.
      split_on_time_changes: Without it, the one section is the whole piece.
      with_pedals: Whether the sections have the changes of the sustain pedal.

    Returns:
      For each piece the sections with notes, in order.
    """
    found: list[list[Score]] = [[] for _ in scores]
    used = []
    for number, (score, reason) in enumerate(zip(scores, why_impossible(scores), strict=True)):
        if not len(score.notes):
            reason = "no notes"
        elif reason is None and split_on_time_changes and score.is_quantised:
            reason = "already quantised"
        if reason:
            skipped[number][reason] += 1
        elif split_on_time_changes:
            used.append(number)
        else:
            found[number] = [score]
    chosen = [scores[number] for number in used]
    parts = cut(chosen, [change_times(score) for score in chosen], with_pedals=with_pedals)
    for number, own in zip(used, parts, strict=True):
        lost = len(scores[number].notes) - sum(len(part.notes) for part in own)
        if lost:
            skipped[number]["note before the beginning or after the end of the piece"] += lost
        found[number] = [part for part in own if len(part.notes)]
    return found


def why_impossible(scores: Sequence[Score]) -> list[str | None]:
    """Why each of the pieces is no music at all, or None."""
    if not scores:
        return []
    notes, sizes = join([score.notes for score in scores])
    latest_s = np.maximum(
        maxima(np.abs(notes["start_s"]), sizes), maxima(np.abs(notes["end_s"]), sizes)
    )
    velocities = minima(notes["velocity"], sizes), maxima(notes["velocity"], sizes)
    limits = (latest_s.tolist(), *(v.tolist() for v in velocities))
    return list(map(_why_impossible, scores, *limits))


def _why_impossible(score: Score, latest_s: float, softest: int, loudest: int) -> str | None:
    """Why a piece is none, of whose notes these are the limits."""
    times_s = [latest_s, score.total_time_s, *score.remark_times_s]
    for events in (score.tempos, score.metres, score.keys, score.chords):
        times_s += [event.time_s for event in events]
    if len(score.controls):
        times_s.append(float(np.abs(score.controls["time_s"]).max()))
    if not all(map(math.isfinite, times_s)):
        return "a time that is not a number"
    if max(map(abs, times_s)) > MAX_TIME_S:
        return f"a time beyond {MAX_TIME_S:.0f} seconds"
    if not all(0 <= tempo.qpm < math.inf for tempo in score.tempos):
        return "a tempo that is not a number from 0 on"
    if not 0 <= softest <= loudest <= MAX_MIDI_VELOCITY:
        return f"a velocity outside 0-{MAX_MIDI_VELOCITY}"
    if len(score.tempos) + len(score.metres) > MAX_TIME_CHANGES:
        return f"more than {MAX_TIME_CHANGES} changes of metre and tempo"
    if (
        len(score.notes) > MAX_INSTRUMENTS
        and len(set(score.notes["instrument"].tolist())) > MAX_INSTRUMENTS
    ):
        return f"more than {MAX_INSTRUMENTS} instruments"
    return None


def quantise(
    sections: Sequence[Score],
    skipped: Sequence[Counter[str]],
    *,
    steps_per_quarter: int,
    quarters_per_bar: int,
) -> list[Grid | None]:
    """Each section on a grid, or None with a reason in its `skipped`.

    Only a metre whose bars are as long as `quarters_per_bar` quarter notes is accepted (2/2 and 8/8
    are as good as 4/4).
    """
    found: list[Grid | None] = [None] * len(sections)
    used = []
    for number, section in enumerate(sections):
        first = min(section.metres or [DEFAULT_METRE], key=lambda metre: metre.time_s)
        if 4 * first.numerator == quarters_per_bar * first.denominator:
            used.append(number)
        else:
            skipped[number][_metre_reason(first.numerator, first.denominator)] += 1
    grids = quantise_in_any_metre([sections[n] for n in used], steps_per_quarter, quarters_per_bar)
    for number, grid in zip(used, grids, strict=True):
        if isinstance(grid, str):
            skipped[number][grid] += 1
        else:
            found[number] = grid
    return found


def quantise_in_any_metre(
    sections: Sequence[Score], steps_per_quarter: int, quarters_per_bar: int = 4
) -> list[Grid | str]:
    """Each section on a grid, or why there is none; see `quantise`.

    A time goes to the nearest step, half a step to the later one; no note is shorter than a step.
    """
    if not sections:
        return []
    notes, sizes = join([section.notes for section in sections])
    starts_s, ends_s = notes["start_s"], notes["end_s"]
    last_s = np.maximum(maxima(starts_s, sizes), maxima(ends_s, sizes)).tolist()
    first_s = np.minimum(minima(starts_s, sizes), minima(ends_s, sizes)).tolist()
    speeds = [steps_per_quarter * section.qpm / 60.0 for section in sections]
    reasons = [
        _why_not_quantised(section, speed, begin_s, end_s, quarters_per_bar)
        for section, speed, begin_s, end_s in zip(sections, speeds, first_s, last_s, strict=True)
    ]
    # What has no grid is not computed: it could be too large for a number.
    speed = np.repeat(np.where([reason is None for reason in reasons], speeds, 0.0), sizes)
    starts = (starts_s * speed + 0.5).astype(np.int64)
    ends = (ends_s * speed + 0.5).astype(np.int64)
    ends += ends == starts
    last_steps = maxima(ends, sizes).tolist()
    steps = zip(split(starts, sizes), split(ends, sizes), strict=True)
    found: list[Grid | str] = []
    for section, (own_starts, own_ends), reason, last in zip(
        sections, steps, reasons, last_steps, strict=True
    ):
        found.append(reason or Grid(section, own_starts, own_ends, last, steps_per_quarter))
    return found


def _why_not_quantised(
    section: Score, speed: float, first_s: float, last_s: float, quarters_per_bar: int
) -> str | None:
    """Why there is no grid of the section, or None.

    Args:
      section: The section.
      speed: Steps in a second.
      first_s: The earliest time of its notes, or 0.
      last_s: The latest time of its notes, or 0.
      quarters_per_bar: Quarter notes in a bar.
    """
    if not section.qpm > 0:
        return "a tempo of 0"
    quarters = max(last_s, section.total_time_s) * section.qpm / 60
    if not (quarters <= MAX_BARS * quarters_per_bar and math.isfinite(speed)):
        return f"longer than {bars(MAX_BARS)}"
    reason = _why_not_one_metre(section.metres) or _why_not_one_tempo(section.tempos)
    if reason is None and min(first_s, _first_event_s(section)) * speed + 0.5 <= -1:
        return "negative time"  # rounded towards zero, these are the steps below it
    return reason


def _first_event_s(section: Score) -> float:
    """The earliest time of what goes to a step and is no note, or 0."""
    chord_times_s = (chord.time_s for chord in section.chords)
    controls_s = section.controls["time_s"]
    first_control_s = controls_s.min() if len(controls_s) else 0.0
    return min(0.0, first_control_s, *section.remark_times_s, *chord_times_s)


def grids_of(
    sequences: "Sequence[NoteSequence | Score]",
    *,
    split_on_time_changes: bool,
    steps_per_quarter: int,
    quarters_per_bar: int,
    playable: Callable[[Sequence[Score]], list[np.ndarray | str]] | None = None,
) -> tuple[list[Extraction], list[int], list[Grid]]:
    """The sections of many pieces on grids.

    Args:
      sequences: The pieces.
      split_on_time_changes: As for `sections`.
      steps_per_quarter: As for `quantise`, like `quarters_per_bar`.
      quarters_per_bar: See there.
      playable: Gives for each section the notes of it to use, or why there is none; None: all.

    Returns:
      What is found of each piece: why parts of it are left out, and no examples yet. The number of
      each section's piece, and the sections.
    """
    found = [Extraction() for _ in sequences]
    skipped = [extraction.skipped for extraction in found]
    scores = read_all(sequences)
    owned = [
        (owner, section)
        for owner, own in enumerate(
            sections(scores, skipped, split_on_time_changes=split_on_time_changes)
        )
        for section in own
    ]
    if playable is not None and owned:
        notes_of = zip(owned, playable([section for _, section in owned]), strict=True)
        owned = []
        for (owner, section), notes in notes_of:
            if isinstance(notes, str):
                skipped[owner][notes] += 1
            else:
                owned.append((owner, section._replace(notes=notes)))
    grids = quantise(
        [section for _, section in owned],
        [skipped[owner] for owner, _ in owned],
        steps_per_quarter=steps_per_quarter,
        quarters_per_bar=quarters_per_bar,
    )
    kept = [
        (owner, grid) for (owner, _), grid in zip(owned, grids, strict=True) if grid is not None
    ]
    return found, [owner for owner, _ in kept], [grid for _, grid in kept]


def _why_not_one_metre(metres: Sequence[Metre]) -> str | None:
    """As in note_seq, a first metre that comes late changes the 4/4 before it."""
    if not metres:
        return None
    first, *others = sorted(metres, key=lambda metre: metre.time_s)
    only = metres[0][1:]
    if (first.time_s != 0 and first[1:] != DEFAULT_METRE[1:]) or any(m[1:] != only for m in others):
        return CHANGES
    numerator, denominator = only
    if numerator == 0 or denominator <= 0 or denominator & (denominator - 1):
        return _metre_reason(numerator, denominator)
    return None


def _why_not_one_tempo(tempos: Sequence[Tempo]) -> str | None:
    """As in note_seq, a first tempo that comes late changes the 120 before it."""
    if not tempos:
        return None
    first, *others = sorted(tempos, key=lambda tempo: tempo.time_s)
    if first.time_s != 0 and first.qpm != DEFAULT_QPM:
        return CHANGES
    return CHANGES if any(tempo.qpm != tempos[0].qpm for tempo in others) else None


def _metre_reason(numerator: int, denominator: int) -> str:
    return f"time signature {numerator}/{denominator}"
