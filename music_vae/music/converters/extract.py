"""Finds melodies and drum tracks in quantised sections, and cuts windows out of them.

The steps are those of MusicVAE (Roberts et al. 2018, section 5.1): cut the piece where its metre or
tempo changes, quantise each section (`grid`), find monophonic melodies or drum tracks in it, slide
a window over each by one bar, keep equal windows once. The melodies and tracks are the same as
note_seq's Melody and DrumTrack.

The examples below count a step for each quarter note, at MIDI's default of 120 a minute.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from music_vae.common.errors import UserError
from music_vae.music.converters.base import bars
from music_vae.music.converters.grid import Grid
from music_vae.music.converters.lines import Line, Voices, find_lines
from music_vae.music.converters.segments import join, ranges

MAX_NOTES_READ = 2_000_000  # lines of a section times the notes that are searched for each

_MAX_STEPS_PER_QUARTER = 9600  # ten times the ticks that sequencers count
_MAX_QUARTERS_PER_BAR = 1024

NO_EVENT, NOTE_OFF = -2, -1
"""The two events of a melody that are not pitches: nothing happens, and a note ends."""


class Track(NamedTuple):
    """A melody or drum track that begins at a bar line.

    Attributes:
      start_step: Step of the section at which the track begins.
      events: One event for each step, `[T]`: for a melody int16 pitches, `NO_EVENT` and `NOTE_OFF`;
        for drums int64 bit masks.

    >>> Track(start_step=16, events=np.array([60, NO_EVENT, NOTE_OFF, 62], np.int16)).events
    array([60, -2, -1, 62], dtype=int16)
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
    """Checks the settings that converters of melodies and drums share.

    Raises:
      UserError: If no music could meet one of them.

    >>> settings = {"steps_per_quarter": 4, "quarters_per_bar": 4, "max_bars": None}
    >>> check_grid(**settings, slice_bars=0, gap_bars=1, max_tensors_per_notesequence=None)
    Traceback (most recent call last):
    music_vae.common.errors.UserError: slice_bars must be a whole number from 1 on, not 0
    """
    whole = {"steps_per_quarter": steps_per_quarter, "quarters_per_bar": quarters_per_bar}
    optional = {
        "max_bars": max_bars,
        "slice_bars": slice_bars,
        "max_tensors_per_notesequence": max_tensors_per_notesequence,
    }
    whole |= {name: value for name, value in optional.items() if value is not None}
    most = {"steps_per_quarter": _MAX_STEPS_PER_QUARTER, "quarters_per_bar": _MAX_QUARTERS_PER_BAR}
    for name, value in whole.items():
        if not isinstance(value, int) or value < 1:
            raise UserError(f"{name} must be a whole number from 1 on, not {value!r}")
        if value > most.get(name, value):
            raise UserError(f"{name} must be a whole number up to {most[name]}, not {value!r}")
    if gap_bars is not None and not gap_bars >= 0:
        raise UserError(f"gap_bars must be 0 or more, or None to ignore gaps, not {gap_bars!r}")
    if max_bars is not None and slice_bars is not None and max_bars < slice_bars:
        raise UserError(f"max_bars={max_bars} leaves no room for slice_bars={slice_bars}")


def melodies(
    grids: Sequence[Grid],
    skipped: Sequence[Counter[str]],
    *,
    gap_bars: float | None,
    max_bars: int | None,
    skip_polyphony: bool,
) -> list[list[Track]]:
    """Finds the monophonic lines of every instrument but the drums, by instrument and time.

    Args:
      grids: Quantised sections.
      skipped: Counters, one for each section, of the reasons for which music is left out.
      gap_bars: Number of silent bars that end a line; the next line begins at the next bar. None
        or 0: silence never ends a line.
      max_bars: Number of bars after which a line is cut; None: never.
      skip_polyphony: True to give a track up at its first chord, False to read the highest notes.

    Returns:
      For each section its lines, each from the bar line before its first note to the one after its
      last.

    >>> from music_vae.music.converters.grid import quantise
    >>> from music_vae.music.converters.score import NOTE, Score
    >>> notes = [(0.0, 0.5, 60, 80, 0, 0, False), (0.5, 1.0, 64, 80, 0, 0, False)]
    >>> score = Score(np.array(notes, NOTE), total_time_s=1.0)
    >>> grids = quantise([score], [Counter()], steps_per_quarter=1, quarters_per_bar=4)
    >>> melodies(grids, [Counter()], gap_bars=1, max_bars=None, skip_polyphony=False)
    [[Track(start_step=0, events=array([60, 64, -1, -2], dtype=int16))]]
    """
    if not grids:
        return []
    voices, errors = _melodic_voices(grids, skip_polyphony=skip_polyphony)
    lines = find_lines(grids, voices, errors, skipped, gap_bars or math.inf)
    sizes = _Sizes.of(lines)
    numbers, places, joined = _laid_out(voices, sizes, NO_EVENT, np.int16)
    # A note ends where the next starts, or before; the last one at the bar line, or before.
    offs = places + (voices.ends - voices.starts)[numbers]
    limits = np.append(places[1:], 0)
    limits[np.cumsum(sizes.num_notes) - 1] = np.cumsum(sizes.num_steps)
    joined[offs[offs < limits[: len(offs)]]] = NOTE_OFF
    joined[places] = voices.values[numbers]
    tracks = _tracks(grids, lines, joined, max_bars, skipped)
    # A cut can leave silence alone.
    return [[track for track in own if track.events.max() >= 0] for own in tracks]


def _melodic_voices(
    grids: Sequence[Grid], *, skip_polyphony: bool
) -> tuple[Voices, dict[int, str]]:
    """Returns the highest notes of every instrument, and the errors among them.

    An error is a note that cannot be in a line: its number, and the reason.
    """
    notes, sizes = join([grid.notes for grid in grids])
    starts, ends = join([g.starts for g in grids])[0], join([g.ends for g in grids])[0]
    owners, instruments = np.repeat(np.arange(len(grids)), sizes), notes["instrument"]
    order = np.lexsort((-notes["pitch"], starts, instruments, owners))
    owners, instruments, all_starts = owners[order], instruments[order], starts[order]
    voice_of = np.cumsum(_changes(owners, instruments)) - 1
    grid_of = owners[_changes(voice_of)]
    sounds = (~notes["is_drum"] & (notes["velocity"] > 0))[order]
    sounding, voice_of_sounding = order[sounds], voice_of[sounds]
    is_highest = _changes(voice_of_sounding, starts[sounding])
    highest = sounding[is_highest]
    all_sizes = np.bincount(voice_of, minlength=len(grid_of))
    voices = Voices(
        starts[highest],
        ends[highest],
        notes["pitch"][highest],
        np.bincount(voice_of_sounding[is_highest], minlength=len(grid_of)),
        all_starts,
        all_sizes,
        grid_of.tolist(),
        _max_lines(all_sizes.tolist()),
    )
    wrong = np.flatnonzero(voices.ends <= voices.starts)
    errors = dict.fromkeys(wrong.tolist(), "note that ends before it starts")
    if skip_polyphony:
        for number in (np.cumsum(is_highest)[~is_highest] - 1).tolist():
            errors.setdefault(number, "polyphonic track")
    return voices, errors


def _changes(*columns: np.ndarray) -> np.ndarray:
    """Marks the rows that differ from the one before, the first included: `[N]`."""
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
    """Finds the drum tracks of sections, all drum instruments together, in order of time.

    Args:
      grids: Quantised sections with drum notes alone.
      masks: Bit masks of the notes of each section, `[N]`. The event of a step is the bitwise or
        of the notes that start at it.
      skipped: Counters, one for each section, of the reasons for which music is left out.
      gap_bars: Number of bars without a hit that end a track, as for `melodies`.
      max_bars: Number of bars after which a track is cut; None: never.

    >>> from music_vae.music.converters.grid import quantise
    >>> from music_vae.music.converters.score import NOTE, Score
    >>> hits = [(0.0, 0.1, 36, 80, 9, 0, True), (0.0, 0.1, 42, 80, 9, 0, True)]
    >>> score = Score(np.array(hits, NOTE), total_time_s=2.0)
    >>> grids = quantise([score], [Counter()], steps_per_quarter=1, quarters_per_bar=4)
    >>> bass_drum_and_hi_hat = np.array([0b01, 0b10])
    >>> drum_tracks(grids, [bass_drum_and_hi_hat], [Counter()], gap_bars=1, max_bars=None)
    [[Track(start_step=0, events=array([3, 0, 0, 0]))]]
    """
    if not grids:
        return []
    voices = _drum_voices(grids, masks)
    lines = find_lines(grids, voices, {}, skipped, gap_bars or math.inf)
    numbers, places, joined = _laid_out(voices, _Sizes.of(lines), 0, np.int64)
    joined[places] = voices.values[numbers]
    return _tracks(grids, lines, joined, max_bars, skipped)


def _drum_voices(grids: Sequence[Grid], masks: Sequence[np.ndarray]) -> Voices:
    """Returns the hits of every section as a voice, each hit a step long."""
    velocities, sizes = join([grid.notes["velocity"] for grid in grids])
    sounding = np.flatnonzero(velocities > 0)
    starts = join([grid.starts for grid in grids])[0][sounding]
    owners = np.repeat(np.arange(len(grids)), sizes)[sounding]
    order = np.lexsort((starts, owners))
    starts, owners = starts[order], owners[order]
    firsts = np.flatnonzero(_changes(owners, starts))
    all_masks = join(masks)[0][sounding][order]
    steps = starts[firsts]
    sizes = np.bincount(owners[firsts], minlength=len(grids))
    hits = np.bitwise_or.reduceat(all_masks, firsts) if len(firsts) else all_masks
    max_lines = _max_lines([len(grid.notes) for grid in grids])
    return Voices(steps, steps + 1, hits, sizes, steps, sizes, range(len(grids)), max_lines)


def _max_lines(num_notes: Sequence[int]) -> list[int]:
    """Returns how many lines to look for in voices of so many notes."""
    return [max(1, MAX_NOTES_READ // max(1, number)) for number in num_notes]


class _Sizes(NamedTuple):
    """Lines as arrays `[L]`, see `Line`; `num_notes` says how many notes each has."""

    begin: np.ndarray
    num_steps: np.ndarray
    first: np.ndarray
    num_notes: np.ndarray

    @classmethod
    def of(cls, lines: Sequence[Line]) -> "_Sizes":
        """Returns the arrays of lines."""
        numbers = np.fromiter(itertools.chain.from_iterable(lines), int)
        _, begin, num_steps, first, last = numbers.reshape(-1, len(Line._fields)).T
        return cls(begin, num_steps, first, last - first)


def _laid_out(
    voices: Voices, sizes: _Sizes, silence: int, dtype: type
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lays the events of all lines out, one line after the other.

    Returns:
      The numbers of the notes of all lines, their places among the events, and events of silence.
    """
    numbers = ranges(sizes.first, sizes.num_notes)
    shifts = np.cumsum(sizes.num_steps) - sizes.num_steps - sizes.begin
    places = voices.starts[numbers] + np.repeat(shifts, sizes.num_notes)
    return numbers, places, np.full(int(sizes.num_steps.sum()), silence, dtype)


def _tracks(
    grids: Sequence[Grid],
    lines: Sequence[Line],
    joined: np.ndarray,
    max_bars: int | None,
    skipped: Sequence[Counter[str]],
) -> list[list[Track]]:
    """Returns the lines with their events, which are `joined`, by section; cut after `max_bars`."""
    tracks: list[list[Track]] = [[] for _ in grids]
    most: list[int] = []
    if max_bars is not None:
        reason = f"the rest of a track after {bars(max_bars)}"
        most = [max_bars * int(grid.steps_per_bar) for grid in grids]
    end = 0
    for line in lines:
        begin, end = end, end + line.num_steps
        events = joined[begin:end]
        if most and line.num_steps > most[line.grid]:
            skipped[line.grid][reason] += 1
            events = events[: most[line.grid]]
        tracks[line.grid].append(Track(line.begin, events))
    return tracks


def pad_melody(track: Track, total_steps: int) -> Track:
    """Adds silence before and after a line, from the beginning of a section to `total_steps`.

    >>> line = Track(start_step=2, events=np.array([60, NO_EVENT], np.int16))
    >>> pad_melody(line, 6).events.tolist()
    [-2, -2, 60, -2, -1, -2]
    """
    padded = _padded(track, total_steps, NO_EVENT)
    end = track.start_step + len(track.events)
    changes = track.events[track.events != NO_EVENT]
    if end < total_steps and len(changes) and changes[-1] != NOTE_OFF:  # a note sounds to its end
        padded.events[end] = NOTE_OFF
    return padded


def pad_drums(track: Track, total_steps: int) -> Track:
    """Adds silence before and after a drum track, as `pad_melody` does to a line.

    >>> pad_drums(Track(start_step=2, events=np.array([0b11, 0b01])), 6).events.tolist()
    [0, 0, 3, 1, 0, 0]
    """
    return _padded(track, total_steps, 0)


def _padded(track: Track, total_steps: int, silence: int) -> Track:
    events = np.full(total_steps, silence, track.events.dtype)
    own = events[track.start_step : track.start_step + len(track.events)]
    own[:] = track.events[: len(own)]
    return Track(0, events)


def windows(tracks: Sequence[np.ndarray], size: int, hop: int) -> tuple[np.ndarray, np.ndarray]:
    """Cuts all windows of `size` steps that start at a multiple of `hop`.

    Args:
      tracks: Events `[T]` of tracks, all of one dtype.
      size: Number of steps in a window.
      hop: Number of steps from one window to the next.

    Returns:
      The windows of all tracks, `[N, size]`, and the number of windows of each track, which is 0
      for one that is too short.

    >>> cut, numbers = windows([np.array([1, 2, 3, 4, 5, 6]), np.array([7])], size=4, hop=2)
    >>> cut.tolist(), numbers.tolist()
    ([[1, 2, 3, 4], [3, 4, 5, 6]], [2, 0])
    """
    if not tracks:
        return np.empty((0, size), int), np.empty(0, int)
    joined, lengths = join(tracks)
    numbers = np.maximum((lengths - size) // hop + 1, 0)
    firsts = np.repeat(np.cumsum(lengths) - lengths, numbers)
    firsts += hop * ranges(np.zeros_like(numbers), numbers)
    return joined[firsts[:, None] + np.arange(size)], numbers


def unique(arrays: Iterable[np.ndarray]) -> list[np.ndarray]:
    """Leaves out arrays that repeat an earlier one; all have one dtype.

    >>> unique([np.array([1, 2]), np.array([3]), np.array([1, 2])])
    [array([1, 2]), array([3])]
    """
    seen: dict[bytes, np.ndarray] = {}
    for array in arrays:
        seen.setdefault(array.tobytes(), array)
    return list(seen.values())
