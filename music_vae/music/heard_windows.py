"""Cuts the windows of a part of a piece out of it, one after the other, silent bars included."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from music_vae.music import remarks
from music_vae.music.converters.base import Converter, Tensors
from music_vae.music.converters.grid import Grid
from music_vae.music.converters.score import Score, cut

_ROUNDING = 1e-3  # of a step


@dataclasses.dataclass(frozen=True)
class Window:
    """A window of a piece, as a model takes it.

    Attributes:
      tensors: The one example that it is.
      qpm: Its tempo in quarter notes a minute.
      score: Its notes, which begin at time 0; None if that is not known.
      first_bar: Number of its first bar in the piece, from 0; None if that is not known.
      num_bars: Number of bars of the piece that it has; None if that is not known. What is left of
        a window after the piece is filled up with silence.
      start_quarter: Number of quarter notes before it in a piece of one tempo; below 0 for silence
        before a pick-up.
      semitones: Number of semitones by which it is moved up, so that the model knows such music.
      has_tempo_changes: True if its tempo is that of its beginning alone.
      remarks: Clauses on what is left out or changed of it.
      sounds_until: Quarter note, from its beginning on, up to which its last note sounds in the
        piece, if that is a melody; it can be after the end of the window. 0: not known.
      track: Name of the track that it is of; empty if it has none, or is of several.
      program: MIDI program of that track; None if it is of several, or of drums.

    >>> from music_vae.music.converters.melody import OneHotMelodyConverter
    >>> from music_vae.music.hearing import hear
    >>> from music_vae.music.notes_io import read_music_file
    >>> (tune,) = read_music_file("examples/tunes/soldiers_joy.mid")
    >>> part = hear(tune, OneHotMelodyConverter(slice_bars=2)).main
    >>> [window.bars for window in part.windows][:2], part.pickup.bars
    (['bars 2-3', 'bars 4-5'], 'the pick-up to bar 2')
    """

    tensors: Tensors
    qpm: float
    score: Score | None = None
    first_bar: int | None = None
    num_bars: int | None = None
    start_quarter: float = 0.0
    semitones: int = 0
    has_tempo_changes: bool = False
    remarks: tuple[str, ...] = ()
    sounds_until: float = 0.0
    track: str = ""
    program: int | None = None

    @property
    def bars(self) -> str:
        """Its bars, as musicians count them."""
        return "" if self.first_bar is None else bars_text(self.first_bar, self.num_bars or 1)


class Section(NamedTuple):
    """A section of a piece on the grid, or those of its notes that belong to a part.

    Attributes:
      grid: The section.
      first_bar: Number of its first bar in the piece, from 0.
      num_bars: Number of bars up to that in which the last note of the section begins.

    >>> from music_vae.music.converters.score import NOTE
    >>> silence = Grid(Score(np.zeros(0, NOTE), 2.0), np.array([]), np.array([]), 0, 4)
    >>> Section(silence, first_bar=4, num_bars=1).first_bar
    4
    """

    grid: Grid
    first_bar: int
    num_bars: int


def bars_text(first: int, number: int) -> str:
    """Returns a number of bars from the first one on, which counts from 0, in words.

    >>> bars_text(0, 2), bars_text(4, 1)
    ('bars 1-2', 'bar 5')
    """
    if first < 0:
        return f"the pick-up to bar {first + number + 1}"
    return f"bar {first + 1}" if number == 1 else f"bars {first + 1}-{first + number}"


def cut_windows(
    section: Section, converter: Converter, refused: list[str]
) -> tuple[list[Window], Window | None]:
    """Returns the windows of a section's notes, and the one that ends with their pick-up.

    They follow each other from the bar of the first note on, or from the first bar if the section
    is no longer than a window.

    >>> from music_vae.music.converters.grid import quantise_in_any_metre
    >>> from music_vae.music.converters.melody import OneHotMelodyConverter
    >>> from music_vae.music.converters.score import NOTE
    >>> whole_note = Score(np.array([(4.0, 6.0, 60, 80, 0, 0, False)], NOTE), total_time_s=6.0)
    >>> (grid,) = quantise_in_any_metre([whole_note], steps_per_quarter=4)
    >>> (window,), _ = cut_windows(Section(grid, 0, 3), OneHotMelodyConverter(slice_bars=1), [])
    >>> window.bars
    'bar 3'

    Args:
      section: The section, with the notes of a part alone.
      converter: The converter of the model.
      refused: Clauses on windows that the model cannot take are added to it.
    """
    size = converter.window_bars
    assert size is not None
    if not len(section.grid.starts):
        return [], None
    order = np.argsort(section.grid.starts, kind="stable")
    section = section._replace(grid=section.grid.only(order))
    starts, pickup = section.grid.starts, None
    fits = section.num_bars <= size
    first = 0 if fits else int(starts[0]) // converter.steps_per_bar
    if not fits and _has_pickup(starts, converter.steps_per_bar, size):
        pickup = _window(section, first + 1 - size, converter, refused)
        first += 1
    bars = starts[starts >= first * converter.steps_per_bar] // converter.steps_per_bar
    begins = np.unique((bars - first) // size) * size + first
    found = [_window(section, begin, converter, refused) for begin in begins.tolist()]
    return [window for window in found if window is not None], pickup


def _has_pickup(starts: np.ndarray, steps_per_bar: int, size: int) -> bool:
    """Returns True if the first bar has only a pick-up, and whole windows follow it."""
    bars = starts // steps_per_bar
    first, last = int(bars.min()), int(bars.max())
    is_late = starts.min() % steps_per_bar >= steps_per_bar / 2
    return bool(is_late and last > first and (last - first) % size == 0)


def _window(
    section: Section, begin: int, converter: Converter, refused: list[str]
) -> Window | None:
    """Returns the window that begins at a bar of a section; None if a model cannot take it."""
    grid, size = section.grid, converter.window_bars
    assert size is not None
    begin_step, num_steps = begin * converter.steps_per_bar, size * converter.steps_per_bar
    chosen = np.searchsorted(grid.starts, [begin_step, begin_step + num_steps])
    own, first_bar = grid.only(np.arange(*chosen)), section.first_bar + begin
    num_bars = min(size, _num_bars(section, converter) - begin)
    score = _cut_out(own, begin_step, num_steps, converter)
    extraction = converter.window(score)
    if len(extraction.examples) != 1:
        why = ", ".join(extraction.skipped) or "nothing to encode"
        refused.append(f"{bars_text(first_bar, num_bars)} left out ({why})")
        return None
    return Window(
        converter.dense(extraction),
        grid.section.qpm,
        score,
        first_bar,
        num_bars,
        grid.section.begin_s * grid.section.qpm / 60 + begin * converter.quarters_per_bar,
        remarks=tuple(_clauses(own, converter)),
        sounds_until=_last_end(own, begin_step) if converter.has_melody else 0.0,
    )


def _last_end(grid: Grid, begin_step: int) -> float:
    """Returns the quarter note, from a step on, at which the last of a window's notes ends.

    Of notes that begin at once it is the highest, which a melody has.
    """
    last = grid.starts == grid.starts[-1]
    top = np.argmax(np.where(last, grid.notes["pitch"], -1))
    return float(grid.ends[top] - begin_step) / grid.steps_per_quarter


def on_ends(
    windows: Sequence[Window], converter: Converter, *, last: Window, are_joined: bool
) -> list[str]:
    """Returns clauses on notes that end with the window in which they begin.

    >>> from music_vae.music.converters.melody import OneHotMelodyConverter
    >>> two_bars = OneHotMelodyConverter(slice_bars=2)
    >>> silence = Tensors([], [], [], [], skipped={})
    >>> tie = Window(silence, 120.0, first_bar=0, num_bars=2, sounds_until=9.0)
    >>> on_ends([tie], two_bars, last=tie, are_joined=False)
    ['the last note ends with bar 2']

    Args:
      windows: The windows that are heard: one, or all those of a part.
      converter: The converter of the model.
      last: The last window of the part.
      are_joined: True if windows are cut to the bars that the piece has, and joined.
    """
    clauses, crossing = [], 0
    for window in windows:
        size = window.num_bars if are_joined else converter.window_bars
        if window.first_bar is None or size is None:
            continue
        end = size * converter.quarters_per_bar + 1 / converter.steps_per_quarter
        if window.sounds_until <= end:
            continue
        bar = window.first_bar + size
        if window is last:
            clauses.append(f"the last note ends with bar {bar}")
        elif not are_joined:
            clauses.append(f"the note across the end of bar {bar} ends there")
        else:
            crossing += 1
    if crossing:
        verbs = ("crosses", "ends") if crossing == 1 else ("cross", "end")
        notes = remarks.counted(crossing, "note")
        clauses.insert(0, f"{notes} that {verbs[0]} from one window to the next {verbs[1]} there")
    return clauses


def _num_bars(section: Section, converter: Converter) -> int:
    """Returns the number of bars of a section, up to that which a last long note fills by half."""
    if not converter.has_melody:  # how long a drum sounds says nothing
        return section.num_bars
    sounding = int(section.grid.ends.max() / converter.steps_per_bar + 0.5)
    return max(section.num_bars, sounding)


def _clauses(grid: Grid, converter: Converter) -> list[str]:
    """Returns clauses on what is left out or changed of the notes of a window."""
    if converter.has_melody:
        return remarks.on_voices(grid) + remarks.on_timing(grid)
    if converter.has_numbers or converter.has_bins:
        late = int(_is_late(grid).sum())
        hits = remarks.counted(late, "hit")
        return [f"{hits} just before the end played up to half a step earlier"] if late else []
    return remarks.on_repeated_hits(grid) + remarks.on_timing(grid)


def _is_late(grid: Grid) -> np.ndarray:
    """Returns True for notes `[N]` that were moved to the step before the one nearest to them."""
    return grid.notes["start_s"] * grid.steps_per_second >= grid.starts + 0.5


def _cut_out(grid: Grid, begin_step: int, num_steps: int, converter: Converter) -> Score:
    """Returns the notes of a window as a piece of its own, which is as long as the window."""
    step_s = 1 / grid.steps_per_second
    begin_s, length_s = begin_step * step_s, num_steps * step_s
    section, notes = grid.section, grid.notes.copy()
    if converter.has_numbers or converter.has_bins:  # which hear the timing
        latest_s = (grid.starts + 0.5 - _ROUNDING) * step_s  # of their steps
        notes["start_s"] = np.minimum(notes["start_s"], latest_s) - begin_s
        notes["end_s"] = np.minimum(notes["end_s"] - begin_s, length_s)
    else:
        notes["start_s"] = (grid.starts - begin_step) * step_s
        notes["end_s"] = np.minimum(grid.ends - begin_step, num_steps) * step_s
    ((events,),) = cut(
        [section._replace(notes=section.notes[:0])], [[max(begin_s, 0.0), begin_s + length_s]]
    )
    late_s = max(0.0, -begin_s)
    chords = [chord._replace(time_s=chord.time_s + late_s) for chord in events.chords]
    return events._replace(notes=notes, total_time_s=length_s, chords=chords)
