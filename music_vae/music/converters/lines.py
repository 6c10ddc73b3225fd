"""Finds lines: the stretches of a voice's notes between one long silence and the next.

A voice is the highest notes of an instrument, or all drums of a section. It becomes several lines
where it is silent for long, each of whole bars; see `extract` for the melodies and drum tracks that
are made of them.
"""

import itertools
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from music_vae.music.converters.grid import CHANGES, Grid


class Voices(NamedTuple):
    """The sounding notes of the voices of many sections, side by side: N notes of V voices.

    A note of velocity 0 does not sound, but like any other it can be where a line begins.

    Attributes:
      starts: Step at which each note starts, in ascending order within a voice, int64 `[N]`.
      ends: Step at which each note ends, int64 `[N]`.
      values: Pitch or bit mask that stands for each note in the events, `[N]`.
      sizes: Number of notes in each voice, `[V]`.
      all_starts: Steps at which all notes of the voices start, those included that do not sound.
      all_sizes: Number of all notes in each voice, `[V]`.
      grids: Number of the section to which each voice belongs.
      max_lines: Number of lines after which each voice is given up.

    >>> two_notes = np.array([0, 2])
    >>> one_voice = Voices(
    ...     starts=two_notes, ends=two_notes + 1, values=np.array([60, 64]), sizes=np.array([2]),
    ...     all_starts=two_notes, all_sizes=np.array([2]), grids=[0], max_lines=[1000])
    >>> one_voice.values[one_voice.ends <= 2]
    array([60])
    """

    starts: np.ndarray
    ends: np.ndarray
    values: np.ndarray
    sizes: np.ndarray
    all_starts: np.ndarray
    all_sizes: np.ndarray
    grids: Sequence[int]
    max_lines: Sequence[int]


class Line(NamedTuple):
    """A stretch of whole bars, and the notes of a voice that sound in it.

    Attributes:
      grid: Number of its section.
      begin: Step of the section at which it begins.
      num_steps: Number of its steps.
      first: Number of its first sounding note, counted through all voices.
      last: Number after that of its last sounding note.

    >>> line = Line(grid=0, begin=16, num_steps=32, first=5, last=9)
    >>> range(line.first, line.last)
    range(5, 9)
    """

    grid: int
    begin: int
    num_steps: int
    first: int
    last: int


def find_lines(
    grids: Sequence[Grid],
    voices: Voices,
    errors: dict[int, str],
    skipped: Sequence[Counter[str]],
    gap_bars: float,
) -> list[Line]:
    """Finds the lines of all voices, voice by voice and in order of time.

    Args:
      grids: Quantised sections.
      voices: The voices of the sections.
      errors: Reasons for which notes cannot be in a line, by the number of the note.
      skipped: Counters, one for each section, of the reasons for which music is left out.
      gap_bars: Number of silent bars that end a line.

    Here is a note in the first bar of four steps and one in the third, with a silent bar between:

    >>> from music_vae.music.converters.grid import quantise
    >>> from music_vae.music.converters.score import NOTE, Score
    >>> score = Score(np.zeros(0, NOTE), total_time_s=0.0)
    >>> grids = quantise([score], [Counter()], steps_per_quarter=1, quarters_per_bar=4)
    >>> starts, two = np.array([0, 9]), np.array([2])
    >>> voices = Voices(starts, starts + 1, np.array([60, 64]), two, starts, two, [0], [1000])
    >>> for line in find_lines(grids, voices, {}, [Counter()], gap_bars=1):
    ...     print(line)
    Line(grid=0, begin=0, num_steps=4, first=0, last=1)
    Line(grid=0, begin=8, num_steps=4, first=1, last=2)
    """
    bar_steps = [_bar_steps(grid, own) for grid, own in zip(grids, skipped, strict=True)]
    timeline = _Timeline(voices, errors, [gap_bars * bar_steps[grid] for grid in voices.grids])
    lines: list[Line] = []
    for voice in _each_voice(voices):
        if bar_steps[voice.grid]:
            lines += _lines_of(voice, timeline, bar_steps[voice.grid], skipped[voice.grid])
    return lines


def _lines_of(
    voice: "_Voice", timeline: "_Timeline", bar_steps: int, skipped: Counter[str]
) -> Iterator[Line]:
    """Finds the lines of one voice in order of time, up to the first error.

    A line goes on to the bar line after its last note. The next one begins there at the earliest,
    so that notes are lost that start in the rest of that bar.
    """
    bar_line = 0
    for number in itertools.count():
        notes = timeline.next_notes(voice, bar_line)
        if not notes:
            return
        reason = timeline.error_among(notes)
        if reason is None and number == voice.max_lines:
            reason = f"the rest of a track after {number} silences"
        if reason is not None:
            skipped[reason] += 1
            return
        start, end = timeline.next_start(voice, bar_line), timeline.ends[notes.stop - 1]
        begin = start - (start - bar_line) % bar_steps
        bar_line = end + (begin - end) % bar_steps
        yield Line(voice.grid, begin, bar_line - begin, notes.start, notes.stop)


class _Voice(NamedTuple):
    """One of many voices.

    Attributes:
      grid: Number of its section.
      notes: Numbers of its sounding notes, counted through all voices.
      all_notes: Numbers of all its notes, counted through all voices.
      max_lines: Number of lines after which it is given up.
    """

    grid: int
    notes: range
    all_notes: range
    max_lines: int


class _Timeline:
    """Answers when the notes of voices start, and which of them are in one line.

    Attributes:
      ends: Step at which each sounding note ends.
    """

    def __init__(self, voices: Voices, errors: dict[int, str], gap_steps: Sequence[float]) -> None:
        """Prepares the answers.

        Args:
          voices: The voices.
          errors: Reasons for which notes cannot be in a line, by the number of the note.
          gap_steps: Number of silent steps that end a line, for each voice.
        """
        gaps = np.repeat(gap_steps, voices.sizes)
        is_last = np.ones(len(voices.starts), bool)
        is_last[:-1] = voices.starts[1:] - voices.ends[:-1] >= gaps[1:]
        is_last[np.cumsum(voices.sizes)[voices.sizes > 0] - 1] = True
        self._last = np.flatnonzero(is_last).tolist()
        self._starts, self.ends = voices.starts.tolist(), voices.ends.tolist()
        self._all_starts = voices.all_starts.tolist()
        self._errors, self._wrong = errors, [*sorted(errors), len(self._starts)]

    def next_notes(self, voice: _Voice, step: int) -> range:
        """Returns the numbers of the notes of the first line from `step` on; empty without one."""
        first = bisect_left(self._starts, step, voice.notes.start, voice.notes.stop)
        if first == voice.notes.stop:
            return range(0)
        return range(first, self._last[bisect_left(self._last, first)] + 1)

    def error_among(self, notes: range) -> str | None:
        """Returns the reason for which the first wrong one of `notes` is wrong, or None."""
        if not self._errors:
            return None
        number = self._wrong[bisect_left(self._wrong, notes.start)]
        return self._errors[number] if number < notes.stop else None

    def next_start(self, voice: _Voice, step: int) -> int:
        """Returns the step of the first note from `step` on, which need not sound."""
        all_notes = voice.all_notes
        return self._all_starts[
            bisect_left(self._all_starts, step, all_notes.start, all_notes.stop)
        ]


def _bar_steps(grid: Grid, skipped: Counter[str]) -> int:
    """Returns the steps in a bar; 0, with a reason, if an overlooked metre makes it a fraction."""
    steps = grid.steps_per_bar
    if steps % 1:
        skipped[CHANGES] += 1
        return 0
    return int(steps)


def _each_voice(voices: Voices) -> Iterator[_Voice]:
    """Yields the voices one by one."""
    spans = _spans(voices.sizes), _spans(voices.all_sizes)
    return map(_Voice, voices.grids, *spans, voices.max_lines)


def _spans(sizes: np.ndarray) -> Iterator[range]:
    """Yields the numbers of the notes of each voice."""
    end = 0
    for size in sizes.tolist():
        end += size
        yield range(end - size, end)
