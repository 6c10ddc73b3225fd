"""From a section on a grid of steps to its melodies and drum tracks, and to windows of them.

The order of work is that of MusicVAE (Roberts et al. 2018, section 5.1): cut the piece where its
metre or tempo changes, quantise each section (`grid`), find monophonic lines or drum tracks in it,
slide a window over each by one bar, keep equal windows once. Lines and tracks are those of
note_seq's Melody and DrumTrack.
"""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from music_vae.constants import MAX_MIDI_PITCH, MIN_MIDI_PITCH
from music_vae.converters.grid import CHANGES, Grid, bars
from music_vae.errors import UserError

MAX_NOTES_READ = 2_000_000  # all notes of a section, once for every line found in it

MAX_MIDI_NUMBER = 127  # of pitches and of programs

NO_EVENT, NOTE_OFF = -2, -1
"""The events of a melody that are no pitches."""


class Track(NamedTuple):
    """A melody or drum track, from a bar line on.

    Attributes:
      start_step: Its first step.
      events: int16 pitches, `NO_EVENT` and `NOTE_OFF`, or int64 masks of drums: `[T]`.
    """

    start_step: int
    events: np.ndarray


def check_grid(
    *,
    steps_per_quarter: int,
    quarters_per_bar: int,
    max_bars: int | None,
    slice_bars: int | None,
    gap_bars: float | None,
    max_tensors_per_notesequence: int | None,
) -> None:
    """Raises UserError for a setting that no music could meet."""
    whole = {"steps_per_quarter": steps_per_quarter, "quarters_per_bar": quarters_per_bar}
    optional = {
        "max_bars": max_bars,
        "slice_bars": slice_bars,
        "max_tensors_per_notesequence": max_tensors_per_notesequence,
    }
    whole |= {name: value for name, value in optional.items() if value is not None}
    for name, value in whole.items():
        if not isinstance(value, int) or value < 1:
            raise UserError(f"{name} must be a whole number from 1 on, not {value!r}")
    if gap_bars is not None and not gap_bars >= 0:
        raise UserError(f"gap_bars must be 0 or more, or None to ignore gaps, not {gap_bars!r}")
    if max_bars is not None and slice_bars is not None and max_bars < slice_bars:
        raise UserError(f"max_bars={max_bars} leaves no room for slice_bars={slice_bars}")


def melodies(
    grid: Grid,
    skipped: Counter[str],
    *,
    gap_bars: float | None,
    max_bars: int | None,
    skip_polyphony: bool,
) -> list[Track]:
    """The monophonic lines of every instrument but the drums, by instrument and time.

    Args:
      grid: A quantised section.
      skipped: Counts tracks given up and lines cut.
      gap_bars: A line ends where this many bars are silent, and the next begins at the next bar;
        None or 0: silence never ends a line.
      max_bars: A line is cut after this many bars; None: never.
      skip_polyphony: Gives a track up at its first chord, instead of reading the highest notes.

    Returns:
      Each line from the bar line before its first note to the one after its last.
    """
    bar_steps = _bar_steps(grid, skipped)
    if not bar_steps:
        return []
    lines = []
    for alone in _by_instrument(grid):
        found = _lines_of(alone, skipped, bar_steps, gap_bars or math.inf, skip_polyphony)
        for line in _within_limit(found, len(alone.notes), skipped):
            line = _cut_after(line, max_bars, bar_steps, skipped)
            if line.events.max() >= 0:  # a cut can leave silence alone
                lines.append(line)
    return lines


def _bar_steps(grid: Grid, skipped: Counter[str]) -> int:
    """Steps in a bar; 0, with a reason, where a metre that was overlooked makes them a fraction."""
    if grid.steps_per_bar % 1:
        skipped[CHANGES] += 1
        return 0
    return int(grid.steps_per_bar)


def _by_instrument(grid: Grid) -> Iterator[Grid]:
    """The notes of every instrument with notes that are no drums, in order."""
    instruments, is_drum = grid.notes["instrument"], grid.notes["is_drum"]
    melodic = sorted(set(instruments[~is_drum].tolist()))
    for instrument in melodic:
        own = instruments == instrument
        yield grid if own.all() else grid.only(own)


def _within_limit(
    tracks: Iterable[Track], num_notes: int, skipped: Counter[str]
) -> Iterator[Track]:
    """The tracks, until finding them has read `MAX_NOTES_READ` notes: each reads them all."""
    most = max(1, MAX_NOTES_READ // num_notes)
    for number, track in enumerate(tracks):
        if number == most:
            skipped[f"the rest of a track after {most} silences"] += 1
            return
        yield track


def _lines_of(
    grid: Grid, skipped: Counter[str], bar_steps: int, gap_bars: float, skip_polyphony: bool
) -> Iterator[Track]:
    """The lines of one instrument, of which the highest note of every step counts."""
    notes = grid.notes
    order = np.lexsort((-notes["pitch"], grid.starts))
    all_starts = grid.starts[order].tolist()  # a line may begin with what is not heard
    heard = order[(~notes["is_drum"] & (notes["velocity"] > 0))[order]]
    starts = grid.starts[heard]
    is_first = np.ones(len(starts), bool)
    np.not_equal(starts[1:], starts[:-1], out=is_first[1:])
    highest = heard[is_first]
    starts, ends, pitches = starts[is_first], grid.ends[highest], notes["pitch"][highest]
    breaks = _breaks(starts, ends, gap_bars * bar_steps)
    errors = _errors(starts, ends, is_first if skip_polyphony else None)
    firsts = starts.tolist()
    bar_line = 0
    while (number := bisect_left(all_starts, bar_line)) < len(all_starts):
        begin = all_starts[number] - (all_starts[number] - bar_line) % bar_steps
        first = bisect_left(firsts, bar_line)
        if first == len(firsts):
            return
        last = _next(breaks, first, len(firsts))
        wrong = bisect_left(errors, (first,))
        if wrong < len(errors) and errors[wrong][0] < last:
            skipped[errors[wrong][1]] += 1
            return
        own = slice(first, last)
        events = _line(starts[own] - begin, ends[own] - begin, pitches[own], bar_steps)
        yield Track(begin, events)
        bar_line = begin + len(events)


def _errors(
    starts: np.ndarray, ends: np.ndarray, is_first: np.ndarray | None
) -> list[tuple[int, str]]:
    """The notes of a line that it cannot have, by number, and why.

    Args:
      starts: Of the notes that count, `[N]`.
      ends: Of these.
      is_first: Of all notes, which of them count; None: the others do no harm.
    """
    wrong = np.flatnonzero(ends <= starts)
    found = [(number, "note that ends before it starts") for number in wrong.tolist()]
    if is_first is not None:
        in_chords = np.cumsum(is_first)[~is_first] - 1
        known = set(wrong.tolist())
        chords = sorted(set(in_chords.tolist()) - known)
        found = sorted(found + [(number, "polyphonic track") for number in chords])
    return found


def _line(starts: np.ndarray, ends: np.ndarray, pitches: np.ndarray, bar_steps: int) -> np.ndarray:
    """The events `[T]` of notes up to a bar line; a note ends where the next starts, or before."""
    last = int(ends[-1])
    events = np.full(-(-last // bar_steps) * bar_steps, NO_EVENT, np.int16)
    offs = ends[:-1]
    events[offs[offs < starts[1:]]] = NOTE_OFF
    if last < len(events):
        events[last] = NOTE_OFF
    events[starts] = pitches
    return events


def drum_tracks(
    grid: Grid,
    masks: np.ndarray,
    skipped: Counter[str],
    *,
    gap_bars: float | None,
    max_bars: int | None,
) -> list[Track]:
    """The drum tracks of a quantised section, all drum instruments together, in order of time.

    Args:
      grid: Drum notes alone.
      masks: What each note is in the events of a step, which are made of them by bitwise or.
      skipped: As for `melodies`, like `gap_bars` and `max_bars`.
    """
    bar_steps = _bar_steps(grid, skipped)
    if not bar_steps:
        return []
    heard = grid.notes["velocity"] > 0
    found = _drum_tracks(grid.starts[heard], masks[heard], bar_steps, gap_bars or math.inf)
    return [
        _cut_after(track, max_bars, bar_steps, skipped)
        for track in _within_limit(found, max(1, len(grid.notes)), skipped)
    ]


def _drum_tracks(
    starts: np.ndarray, masks: np.ndarray, bar_steps: int, gap_bars: float
) -> Iterator[Track]:
    hits = np.zeros(starts.max(initial=-1) + 1, np.int64)
    np.bitwise_or.at(hits, starts, masks)
    hit_steps = np.flatnonzero(hits)
    breaks = _breaks(hit_steps, hit_steps + 1, gap_bars * bar_steps)
    steps = hit_steps.tolist()
    bar_line = 0
    while (first := bisect_left(steps, bar_line)) < len(steps):
        begin = steps[first] - (steps[first] - bar_line) % bar_steps
        end = steps[_next(breaks, first, len(steps)) - 1] + 1
        events = np.zeros(-(-(end - begin) // bar_steps) * bar_steps, np.int64)
        events[: end - begin] = hits[begin:end]
        yield Track(begin, events)
        bar_line = begin + len(events)


def _breaks(starts: np.ndarray, ends: np.ndarray, gap_steps: float) -> list[int]:
    """The numbers of notes that start so long after the one before has ended."""
    return (np.flatnonzero(starts[1:] - ends[:-1] >= gap_steps) + 1).tolist()


def _next(breaks: list[int], first: int, number: int) -> int:
    """The first of the breaks after a note, or the number of notes."""
    at = bisect_left(breaks, first + 1)
    return breaks[at] if at < len(breaks) else number


def _cut_after(track: Track, max_bars: int | None, bar_steps: int, skipped: Counter[str]) -> Track:
    if max_bars is None or len(track.events) <= max_bars * bar_steps:
        return track
    skipped[f"the rest of a track after {bars(max_bars)}"] += 1
    return track._replace(events=track.events[: max_bars * bar_steps])


def pad_melody(track: Track, total_steps: int) -> Track:
    """The line with silence before and after it, from the beginning of a piece to `total_steps`."""
    padded = _padded(track, total_steps, NO_EVENT)
    end = track.start_step + len(track.events)
    changes = track.events[track.events != NO_EVENT]
    if end < total_steps and len(changes) and changes[-1] != NOTE_OFF:  # a note sounds to its end
        padded.events[end] = NOTE_OFF
    return padded


def pad_drums(track: Track, total_steps: int) -> Track:
    """The same for a drum track."""
    return _padded(track, total_steps, 0)


def _padded(track: Track, total_steps: int, silence: int) -> Track:
    events = np.full(total_steps, silence, track.events.dtype)
    own = events[track.start_step : track.start_step + len(track.events)]
    own[:] = track.events[: len(own)]
    return Track(0, events)


def windows(steps: np.ndarray, size: int, hop: int) -> np.ndarray:
    """All windows of `size` steps that start at a multiple of `hop`: `[T]` to `[N, size]`.

    N is 0 where `steps` is too short.
    """
    firsts = np.arange(0, len(steps) - size + 1, hop)
    return steps[firsts[:, None] + np.arange(size)]


def unique(arrays: Iterable[np.ndarray]) -> list[np.ndarray]:
    """The arrays (of one dtype) without repetitions, in the order in which they first appear."""
    seen: dict[bytes, np.ndarray] = {}
    for array in arrays:
        seen.setdefault(array.tobytes(), array)
    return list(seen.values())


def class_of(classes: tuple[tuple[int, ...], ...], numbers: np.ndarray) -> np.ndarray:
    """The class, from 0, that has each of the `numbers` `[N]`; -1 where none has.

    Args:
      classes: MIDI numbers (pitches, programs), each in one class.
      numbers: Numbers, MIDI's or not.
    """
    return np.where(numbers >> 7 == 0, _class_table(classes)[numbers & MAX_MIDI_NUMBER], -1)


@lru_cache
def _class_table(classes: tuple[tuple[int, ...], ...]) -> np.ndarray:
    table = np.full(MAX_MIDI_NUMBER + 1, -1)
    for number, members in enumerate(classes):
        table[list(members)] = number
    return table


def transposable(
    pitches: np.ndarray, lowest: int, highest: int, bounds: tuple[int, int]
) -> tuple[int, int]:
    """By how many semitones pitches can move so that none enters or leaves a range.

    Args:
      pitches: `[N]`, in the range or not.
      lowest: Of the range.
      highest: Of the range.
      bounds: Semitones down (0 or less) and up that are allowed for other reasons.
    """
    low, high = bounds
    below, above = pitches[pitches < lowest], pitches[pitches > highest]
    inside = pitches[(pitches >= lowest) & (pitches <= highest)]
    if len(below):
        high = min(high, lowest - int(below.max()) - 1)
    if len(above):
        low = max(low, highest - int(above.min()) + 1)
    if len(inside):
        low, high = max(low, lowest - int(inside.min())), min(high, highest - int(inside.max()))
    return low, high


def checked_pitch_classes(
    name: str, classes: Iterable[Iterable[int]], number: int | None = None
) -> tuple[tuple[int, ...], ...]:
    """The classes as tuples.

    Raises:
      UserError: If they are not (`number`) classes of MIDI pitches, each pitch in one class.
    """
    frozen = tuple(tuple(pitches) for pitches in classes)
    if not frozen or not all(frozen):
        raise UserError(f"{name} needs a class, and every class a pitch")
    if number is not None and len(frozen) != number:
        raise UserError(f"{name} has {len(frozen)} classes, but pitch_classes {number}")
    for pitch, times in Counter(p for pitches in frozen for p in pitches).items():
        if times > 1:
            raise UserError(f"pitch {pitch} is {times} times in {name}")
        if not MIN_MIDI_PITCH <= pitch <= MAX_MIDI_PITCH:
            raise UserError(
                f"pitch {pitch} in {name} is not from {MIN_MIDI_PITCH} to {MAX_MIDI_PITCH}"
            )
    return frozen
