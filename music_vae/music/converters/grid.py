"""Puts the notes of sections, of one metre and tempo each, on a grid of steps.

Music that cannot be used is counted in a `skipped` counter under a reason that a musician
understands. A limit far beyond any real piece keeps a false time or tempo in a broken file from
filling the memory.

The examples below count a step for each quarter note, at MIDI's default of 120 a minute.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from music_vae.common.constants import DEFAULT_QPM
from music_vae.music.converters.base import Extraction, bars
from music_vae.music.converters.score import Metre, Score, Tempo, read_all
from music_vae.music.converters.sections import sections
from music_vae.music.converters.segments import join, maxima, minima, split, take

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

# The longest real pieces stay far below: the Ring cycle has some 20,000 bars in four evenings.
MAX_BARS = 10_000  # of a section

DEFAULT_METRE = Metre(0.0, 4, 4)  # MIDI's
CHANGES = "time signature or tempo changes"


class Grid(NamedTuple):
    """A section whose notes start and end at steps.

    Attributes:
      section: The section, of one tempo and one metre.
      starts: Step at which each note starts, int64 `[N]`.
      ends: Step at which each note ends, int64 `[N]`. It is later than the start, unless the piece
        itself says that the note ends before it starts.
      last_step: The last of the ends, or 0.
      steps_per_quarter: Number of steps in a quarter note.

    >>> from music_vae.music.converters.score import NOTE
    >>> half_note = np.array([(0.0, 1.0, 60, 80, 0, 0, False)], NOTE)
    >>> grid = Grid(Score(half_note, 1.0), np.array([0]), np.array([2]), 2, steps_per_quarter=1)
    >>> grid.metre, grid.steps_per_bar, grid.steps_per_second
    ((4, 4), 4.0, 2.0)
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
        """Number of steps in a second."""
        return self.steps_per_quarter * self.section.qpm / 60.0

    @property
    def steps_per_bar(self) -> float:
        """Number of steps in a bar; a fraction in some metres."""
        numerator, denominator = self.metre
        return self.steps_per_quarter * (4.0 / denominator * numerator)

    @property
    def total_steps(self) -> int:
        """Number of steps in the section; no note ends later."""
        return max(self.step(max(self.section.total_time_s, 0.0)), self.last_step)

    @property
    def chord_steps(self) -> list[int]:
        """Steps of the chord symbols."""
        return [self.step(chord.time_s) for chord in self.section.chords]

    def step(self, time_s: float) -> int:
        """Returns the step nearest to a time."""
        return int(time_s * self.steps_per_second + 0.5)

    def only(self, chosen: np.ndarray) -> "Grid":
        """Returns the grid with those notes alone that a mask `[N]` chooses; it stays as long."""
        section = self.section._replace(notes=take(self.notes, chosen))
        return self._replace(section=section, starts=self.starts[chosen], ends=self.ends[chosen])


def quantise(
    sections: Sequence[Score],
    skipped: Sequence[Counter[str]],
    *,
    steps_per_quarter: int,
    quarters_per_bar: int,
) -> list[Grid | None]:
    """Puts each section on a grid; None, with a reason in its `skipped`, if that is impossible.

    Only a metre whose bars are as long as `quarters_per_bar` quarter notes is accepted (2/2 and 8/8
    are as good as 4/4).

    >>> from music_vae.music.converters.score import NOTE
    >>> notes = [(0.0, 0.5, 60, 80, 0, 0, False), (0.52, 0.98, 64, 80, 0, 0, False)]
    >>> section = Score(np.array(notes, NOTE), total_time_s=1.0)
    >>> (grid,) = quantise([section], [Counter()], steps_per_quarter=1, quarters_per_bar=4)
    >>> grid.starts, grid.ends
    (array([0, 1]), array([1, 2]))
    """
    accepted: list[Grid | None] = [None] * len(sections)
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
            accepted[number] = grid
    return accepted


def quantise_in_any_metre(
    sections: Sequence[Score], steps_per_quarter: int, quarters_per_bar: int = 4
) -> list[Grid | str]:
    """Puts each section on a grid, whatever its metre; returns the reason if that is impossible.

    A time goes to the nearest step, half a step to the later one; no note is shorter than a step.

    >>> from music_vae.music.converters.score import NOTE
    >>> beat = np.array([(0.0, 0.5, 60, 80, 0, 0, False)], NOTE)
    >>> waltz = Score(beat, 1.5, metres=[Metre(0.0, 3, 4)])
    >>> waltz_then_march = waltz._replace(metres=[Metre(0.0, 3, 4), Metre(1.0, 4, 4)])
    >>> grid, reason = quantise_in_any_metre([waltz, waltz_then_march], steps_per_quarter=4)
    >>> grid.ends, reason
    (array([4]), 'time signature or tempo changes')
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
    # Sections without a grid are not computed: their steps could be too large for a number.
    speed = np.repeat(np.where([reason is None for reason in reasons], speeds, 0.0), sizes)
    starts = (starts_s * speed + 0.5).astype(np.int64)
    ends = (ends_s * speed + 0.5).astype(np.int64)
    ends += ends == starts
    last_steps = maxima(ends, sizes).tolist()
    steps = zip(split(starts, sizes), split(ends, sizes), strict=True)
    grids: list[Grid | str] = []
    for section, (own_starts, own_ends), reason, last in zip(
        sections, steps, reasons, last_steps, strict=True
    ):
        grids.append(reason or Grid(section, own_starts, own_ends, last, steps_per_quarter))
    return grids


def _why_not_quantised(
    section: Score, speed: float, first_s: float, last_s: float, quarters_per_bar: int
) -> str | None:
    """Returns the reason for which the section cannot be put on a grid, or None.

    Args:
      section: The section.
      speed: Number of steps in a second.
      first_s: Earliest time of the section's notes, or 0.
      last_s: Latest time of the section's notes, or 0.
      quarters_per_bar: Number of quarter notes in a bar.
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
    """Returns the earliest time of the events that are not notes, or 0."""
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
    """Puts the sections of many pieces on grids.

    Args:
      sequences: The pieces.
      split_on_time_changes: True to cut a piece where its metre or tempo changes, False to skip it.
      steps_per_quarter: Number of steps in a quarter note.
      quarters_per_bar: Number of quarter notes in a bar; sections in other metres are skipped.
      playable: Function that returns for each section the notes of it to use, or the reason for
        which there are none; None to use all notes.

    Returns:
      An extraction for each piece, without examples yet, that counts the reasons for which parts of
      it are left out; the number of the piece to which each grid belongs; and the grids.

    >>> from music_vae.music.converters.score import NOTE
    >>> beat = np.array([(0.0, 0.5, 60, 80, 0, 0, False)], NOTE)
    >>> march, waltz = Score(beat, 2.0), Score(beat, 1.5, metres=[Metre(0.0, 3, 4)])
    >>> extractions, owners, grids = grids_of(
    ...     [waltz, march], split_on_time_changes=True, steps_per_quarter=1, quarters_per_bar=4)
    >>> extractions[0].skipped, owners, grids[0].ends
    (Counter({'time signature 3/4': 1}), [1], array([1]))
    """
    extractions = [Extraction() for _ in sequences]
    skipped = [extraction.skipped for extraction in extractions]
    scores = read_all(sequences)
    owned = [
        (owner, section)
        for owner, own in enumerate(
            sections(
                scores,
                skipped,
                steps_per_quarter=steps_per_quarter,
                split_on_time_changes=split_on_time_changes,
            )
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
    return extractions, [owner for owner, _ in kept], [grid for _, grid in kept]


def _why_not_one_metre(metres: Sequence[Metre]) -> str | None:
    """Returns the reason for which a section is not of one metre that can be used, or None.

    As in note_seq, a first metre that comes late changes the 4/4 before it.
    """
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
    """Returns the reason for which a section is not of one tempo, or None.

    As in note_seq, a first tempo that comes late changes the 120 before it.
    """
    if not tempos:
        return None
    first, *others = sorted(tempos, key=lambda tempo: tempo.time_s)
    if first.time_s != 0 and first.qpm != DEFAULT_QPM:
        return CHANGES
    return CHANGES if any(tempo.qpm != tempos[0].qpm for tempo in others) else None


def _metre_reason(numerator: int, denominator: int) -> str:
    return f"time signature {numerator}/{denominator}"
