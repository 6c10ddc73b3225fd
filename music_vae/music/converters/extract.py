"""From a section on a grid of steps to its melodies and drum tracks, and to windows of them.

The order of work is that of MusicVAE (Roberts et al. 2018, section 5.1): cut the piece where its
metre or tempo changes, quantise each section (`grid`), find monophonic lines or drum tracks in it,
slide a window over each by one bar, keep equal windows once. Lines and tracks are those of
note_seq's Melody and DrumTrack.
"""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from music_vae.common.errors import UserError
from music_vae.music.converters.base import bars
from music_vae.music.converters.grid import CHANGES, Grid
from music_vae.music.converters.segments import join, ranges

MAX_NOTES_READ = 2_000_000  # all notes of a section, once for every line found in it

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


class _Voices(NamedTuple):
    """What is heard of the voices of many sections, side by side: N notes of V voices.

    Attributes:
      starts: The step at which each note starts, in ascending order in a voice, int64 `[N]`.
      ends: The step at which it ends, int64 `[N]`.
      values: What it is in the events, a pitch or a mask: `[N]`.
      sizes: How many notes each voice has, `[V]`.
      all_starts: The steps of all its notes, those included that are not heard.
      all_sizes: How many these are, `[V]`.
      grids: The number of each voice's section.
      num_notes: How many notes were read for each voice.
    """

    starts: np.ndarray
    ends: np.ndarray
    values: np.ndarray
    sizes: np.ndarray
    all_starts: np.ndarray
    all_sizes: np.ndarray
    grids: Sequence[int]
    num_notes: Sequence[int]


class _Line(NamedTuple):
    """The notes of a voice from the number `first` on and before `last`, on so many steps."""

    grid: int
    begin: int
    num_steps: int
    first: int
    last: int


def melodies(
    grids: Sequence[Grid],
    skipped: Sequence[Counter[str]],
    *,
    gap_bars: float | None,
    max_bars: int | None,
    skip_polyphony: bool,
) -> list[list[Track]]:
    """The monophonic lines of every instrument but the drums, by instrument and time.

    Args:
      grids: Quantised sections.
      skipped: For each section counts tracks given up and lines cut.
      gap_bars: A line ends where this many bars are silent, and the next begins at the next bar;
        None or 0: silence never ends a line.
      max_bars: A line is cut after this many bars; None: never.
      skip_polyphony: Gives a track up at its first chord, instead of reading the highest notes.

    Returns:
      For each section the lines, each from the bar line before its first note to the one after its
      last.
    """
    if not grids:
        return []
    voices, errors = _melodic_voices(grids, skip_polyphony=skip_polyphony)
    lines = _lines(grids, voices, errors, skipped, gap_bars or math.inf)
    numbers, places, joined = _laid_out(voices, lines, NO_EVENT, np.int16)
    # A note ends where the next starts, or before; the last one at the bar line, or before.
    offs = places + (voices.ends - voices.starts)[numbers]
    limits = np.append(places[1:], 0)
    limits[np.cumsum(_sizes(lines)) - 1] = np.cumsum([line.num_steps for line in lines])
    joined[offs[offs < limits[: len(offs)]]] = NOTE_OFF
    joined[places] = voices.values[numbers]
    tracks = _tracks(grids, lines, joined, max_bars, skipped)
    # A cut can leave silence alone.
    return [[track for track in own if track.events.max() >= 0] for own in tracks]


def _melodic_voices(
    grids: Sequence[Grid], *, skip_polyphony: bool
) -> tuple[_Voices, list[tuple[int, str]]]:
    """The highest notes of every instrument; and which of them cannot be in a line, and why."""
    notes, sizes = join([grid.notes for grid in grids])
    starts, ends = join([g.starts for g in grids])[0], join([g.ends for g in grids])[0]
    owners, instruments = np.repeat(np.arange(len(grids)), sizes), notes["instrument"]
    order = np.lexsort((-notes["pitch"], starts, instruments, owners))
    owners, instruments, all_starts = owners[order], instruments[order], starts[order]
    voice_of = np.cumsum(_changes(owners, instruments)) - 1
    grid_of = owners[_changes(voice_of)]
    is_heard = (~notes["is_drum"] & (notes["velocity"] > 0))[order]
    heard, voice_of_heard = order[is_heard], voice_of[is_heard]
    is_highest = _changes(voice_of_heard, starts[heard])
    highest = heard[is_highest]
    all_sizes = np.bincount(voice_of, minlength=len(grid_of))
    voices = _Voices(
        starts[highest],
        ends[highest],
        notes["pitch"][highest],
        np.bincount(voice_of_heard[is_highest], minlength=len(grid_of)),
        all_starts,
        all_sizes,
        grid_of.tolist(),
        all_sizes.tolist(),
    )
    wrong = np.flatnonzero(voices.ends <= voices.starts)
    errors = dict.fromkeys(wrong.tolist(), "note that ends before it starts")
    if skip_polyphony:
        for number in (np.cumsum(is_highest)[~is_highest] - 1).tolist():
            errors.setdefault(number, "polyphonic track")
    return voices, sorted(errors.items())


def _changes(*columns: np.ndarray) -> np.ndarray:
    """Which rows differ from the one before, the first included: `[N]`."""
    changed = np.ones(len(columns[0]), bool)
    if len(changed):
        changed[1:] = False
        for column in columns:
            changed[1:] |= column[1:] != column[:-1]
    return changed


def drum_tracks(
    grids: Sequence[Grid],
    masks: Sequence[np.ndarray],
    skipped: Sequence[Counter[str]],
    *,
    gap_bars: float | None,
    max_bars: int | None,
) -> list[list[Track]]:
    """The drum tracks of sections, all drum instruments together, in order of time.

    Args:
      grids: Quantised sections with drum notes alone.
      masks: For each section what its notes are in the events of a step, which are made of them by
        bitwise or: `[N]`.
      skipped: As for `melodies`, like `gap_bars` and `max_bars`.
    """
    if not grids:
        return []
    voices = _drum_voices(grids, masks)
    lines = _lines(grids, voices, [], skipped, gap_bars or math.inf)
    numbers, places, joined = _laid_out(voices, lines, 0, np.int64)
    joined[places] = voices.values[numbers]
    return _tracks(grids, lines, joined, max_bars, skipped)


def _drum_voices(grids: Sequence[Grid], masks: Sequence[np.ndarray]) -> _Voices:
    """The hits of every section, each a step long."""
    velocities, sizes = join([grid.notes["velocity"] for grid in grids])
    heard = np.flatnonzero(velocities > 0)
    starts = join([grid.starts for grid in grids])[0][heard]
    owners = np.repeat(np.arange(len(grids)), sizes)[heard]
    order = np.lexsort((starts, owners))
    starts, owners = starts[order], owners[order]
    firsts = np.flatnonzero(_changes(owners, starts))
    all_masks = join(masks)[0][heard][order]
    steps = starts[firsts]
    sizes = np.bincount(owners[firsts], minlength=len(grids))
    hits = np.bitwise_or.reduceat(all_masks, firsts) if len(firsts) else all_masks
    num_notes = [len(grid.notes) for grid in grids]
    return _Voices(steps, steps + 1, hits, sizes, steps, sizes, range(len(grids)), num_notes)


def _lines(
    grids: Sequence[Grid],
    voices: _Voices,
    errors: Sequence[tuple[int, str]],
    skipped: Sequence[Counter[str]],
    gap_bars: float,
) -> list[_Line]:
    """Where the lines of all voices are, in order.

    The next line of a voice begins from the bar line on that ends the one before: what is left of
    that bar is lost. A voice is given up at an error.
    """
    bar_steps = [_bar_steps(grid, own) for grid, own in zip(grids, skipped, strict=True)]
    gap_steps = [gap_bars * bar_steps[grid] for grid in voices.grids]
    gaps = np.repeat(gap_steps, voices.sizes)
    breaks = (np.flatnonzero(voices.starts[1:] - voices.ends[:-1] >= gaps[1:]) + 1).tolist()
    starts, ends = voices.starts.tolist(), voices.ends.tolist()
    breaks, errors = [*breaks, len(starts)], [*errors, (len(starts), "")]
    all_starts = voices.all_starts.tolist()
    found: list[_Line] = []
    for grid, voice, whole, num_notes in zip(
        voices.grids,
        _spans(voices.sizes),
        _spans(voices.all_sizes),
        voices.num_notes,
        strict=True,
    ):
        bar, bar_line, number, first = bar_steps[grid], 0, 0, voice.start
        most = max(1, MAX_NOTES_READ // max(1, num_notes))
        while bar:
            begin = bisect_left(all_starts, bar_line, whole.start, whole.stop)
            first = bisect_left(starts, bar_line, first, voice.stop)
            if begin == whole.stop or first == voice.stop:
                break
            last = min(voice.stop, breaks[bisect_left(breaks, first + 1)])
            wrong, reason = errors[bisect_left(errors, (first, ""))]
            if wrong < last:
                skipped[grid][reason] += 1
                break
            if number == most:
                skipped[grid][f"the rest of a track after {most} silences"] += 1
                break
            begin_step = all_starts[begin] - (all_starts[begin] - bar_line) % bar
            num_steps = -(-(ends[last - 1] - begin_step) // bar) * bar
            found.append(_Line(grid, begin_step, num_steps, first, last))
            bar_line, number = begin_step + num_steps, number + 1
    return found


def _bar_steps(grid: Grid, skipped: Counter[str]) -> int:
    """Steps in a bar; 0, with a reason, where a metre that was overlooked makes them a fraction."""
    if grid.steps_per_bar % 1:
        skipped[CHANGES] += 1
        return 0
    return int(grid.steps_per_bar)


def _spans(sizes: np.ndarray) -> Iterator[range]:
    """The numbers of the notes of each voice."""
    end = 0
    for size in sizes.tolist():
        end += size
        yield range(end - size, end)


def _sizes(lines: Sequence[_Line]) -> np.ndarray:
    """How many notes each line has."""
    return np.array([line.last - line.first for line in lines], int)


def _laid_out(
    voices: _Voices, lines: Sequence[_Line], silence: int, dtype: type
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The numbers of the notes of all lines, their places in the events, and events of silence."""
    sizes, steps = _sizes(lines), np.array([line.num_steps for line in lines], int)
    numbers = ranges(np.array([line.first for line in lines], int), sizes)
    shifts = np.cumsum(steps) - steps - np.array([line.begin for line in lines], int)
    places = voices.starts[numbers] + np.repeat(shifts, sizes)
    return numbers, places, np.full(int(steps.sum()), silence, dtype)


def _tracks(
    grids: Sequence[Grid],
    lines: Sequence[_Line],
    joined: np.ndarray,
    max_bars: int | None,
    skipped: Sequence[Counter[str]],
) -> list[list[Track]]:
    """By section, the lines whose events are `joined`, the first `max_bars` of each."""
    found: list[list[Track]] = [[] for _ in grids]
    end = 0
    for line in lines:
        begin, end = end, end + line.num_steps
        if max_bars is not None:
            most = max_bars * int(grids[line.grid].steps_per_bar)
            if line.num_steps > most:
                skipped[line.grid][f"the rest of a track after {bars(max_bars)}"] += 1
            track = Track(line.begin, joined[begin : min(end, begin + most)])
        else:
            track = Track(line.begin, joined[begin:end])
        found[line.grid].append(track)
    return found


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


def windows(tracks: Sequence[np.ndarray], size: int, hop: int) -> tuple[np.ndarray, np.ndarray]:
    """All windows of `size` steps that start at a multiple of `hop`.

    Args:
      tracks: Arrays `[T]`, of one dtype.
      size: Steps in a window.
      hop: Steps from one window to the next.

    Returns:
      The windows of all tracks, `[N, size]`; how many each track has, 0 where it is too short.
    """
    if not tracks:
        return np.empty((0, size), int), np.empty(0, int)
    joined, lengths = join(tracks)
    numbers = np.maximum((lengths - size) // hop + 1, 0)
    firsts = np.repeat(np.cumsum(lengths) - lengths, numbers)
    firsts += hop * ranges(np.zeros_like(numbers), numbers)
    return joined[firsts[:, None] + np.arange(size)], numbers


def unique(arrays: Iterable[np.ndarray]) -> list[np.ndarray]:
    """The arrays (of one dtype) without repetitions, in the order in which they first appear."""
    seen: dict[bytes, np.ndarray] = {}
    for array in arrays:
        seen.setdefault(array.tobytes(), array)
    return list(seen.values())
