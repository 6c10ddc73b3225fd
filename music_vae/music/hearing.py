"""Finds the windows of a piece that a model can take, in a file that somebody hands over.

A converter's `extract` looks for music to train on: it takes windows at every bar of every
instrument, leaves out rare programs, repetitions and silence, and says nothing about places. A
musician has one piece, and wants to know which bars of which track a model hears, and what it
leaves out. Here windows follow each other from the first whole bar of a part on, so that together
they are all of it.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from music_vae.common.constants import DEFAULT_QPM, MAX_MIDI_PITCH, SEMITONES
from music_vae.common.errors import NoExtractedExamplesError
from music_vae.music import bar_lines, remarks
from music_vae.music.converters.base import Converter
from music_vae.music.converters.grid import DEFAULT_METRE, Grid, quantise_in_any_metre
from music_vae.music.converters.score import Score, Tempo, read
from music_vae.music.converters.sections import cut_at_changes, why_impossible
from music_vae.music.heard_windows import Section, Window, bars_text, cut_windows
from music_vae.music.tempo_map import TempoMap

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

_MELODIC_NAMES = ("lead", "melod", "voc", "voice", "solo", "sing", "theme", "tune")
"""Parts of the names that musicians give to the track of the melody."""

_ROUNDING = 1e-6  # of a bar
# Quarter notes: as much as somebody plays too early, and as much as nobody holds a note too long.
_EARLY, _HELD = 1 / 16, 1 / 2

# Of windows of tunes whose mean pitch is 71, the shipped model of melodies reconstructs 89 % of the
# notes; of the same an octave or more higher 75 % (83), 43 % (91) and 8 % (100).
_HIGHEST_MEAN = 84


class Part(NamedTuple):
    """A part of a piece that a model hears: a track, all drums, or everything.

    Attributes:
      name: Name of the track; empty if it has none.
      number: Number of the track among those with notes, from 1 on; 0 if a part is no one track.
      program: MIDI program of the track, from 0; None if a part is no one track.
      windows: The windows, which follow each other.
      pickup: Window that ends with the pick-up of the first of the others, or None.
      remarks: Clauses on what is left out or changed of all of it.
      height: Mean pitch of its notes.

    >>> Part("Lead", 1, 81, windows=()).text
    "track 'Lead' (program 81)"
    """

    name: str
    number: int
    program: int | None
    windows: Sequence[Window]
    pickup: Window | None = None
    remarks: tuple[str, ...] = ()
    height: float = 0.0

    @property
    def title(self) -> str:
        """Its name in quotes, or its number; empty if it is no one track."""
        if self.name:
            return remarks.quoted(self.name)
        return str(self.number) if self.number else ""

    @property
    def text(self) -> str:
        """Its name and its program, in words; empty if it is no one track."""
        return f"track {self.title} (program {self.program})" if self.title else ""


@dataclasses.dataclass(frozen=True)
class Hearing:
    """The parts of a piece that a model can take, at least one, and what it cannot.

    Attributes:
      parts: The parts, each with a window at least.
      remarks: Clauses on what is left out or changed of the whole piece.
      tempo_map: Tempos of the piece, which are no more in the windows if they change; None if the
        places of windows are not known.

    >>> from music_vae.music.converters.melody import OneHotMelodyConverter
    >>> from music_vae.music.notes_io import read_music_file
    >>> (tune,) = read_music_file("examples/tunes/soldiers_joy.mid")
    >>> len(hear(tune, OneHotMelodyConverter(slice_bars=2)).windows)
    8
    """

    parts: Sequence[Part]
    remarks: tuple[str, ...] = ()
    tempo_map: TempoMap | None = None

    @property
    def windows(self) -> list[tuple[Part, Window]]:
        """All windows, each with its part."""
        return [(part, window) for part in self.parts for window in part.windows]

    @property
    def main(self) -> Part:
        """The part that is probably the melody: by its name, else the highest."""

        def likelihood(part: Part) -> tuple[bool, float]:
            name = part.name.lower()
            return any(word in name for word in _MELODIC_NAMES), part.height

        return max(self.parts, key=likelihood)


def hear(piece: "NoteSequence", converter: Converter) -> Hearing:
    """Finds the parts and the windows of a piece that a model can take.

    >>> from music_vae.music.converters.melody import OneHotMelodyConverter
    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> piece = NoteSequence(total_time=1.0, notes=[
    ...     {"pitch": pitch, "velocity": 80, "end_time": 1, "program": 81} for pitch in (60, 64)])
    >>> hearing = hear(piece, OneHotMelodyConverter(slice_bars=1))
    >>> (window,) = hearing.main.windows
    >>> window.bars, hearing.main.text, window.remarks
    ('bar 1', 'track 1 (program 81)', ('chords: top notes kept',))

    Args:
      piece: The piece; for a model of drums its drums alone.
      converter: The converter of the model, as `Converter.for_inference` returns it.

    Raises:
      NoExtractedExamplesError: If there is no window; the message is a reason of
        `Extraction.skipped`.
    """
    score = read(piece)
    (reason,) = why_impossible([score])
    if reason is not None:
        raise NoExtractedExamplesError(reason)
    expression = tuple(remarks.on_expression(piece, converter))
    if converter.has_melody and score.notes["is_drum"].any():
        expression = ("the drums left out", *expression)
    if converter.window_bars is None or not (converter.has_melody or converter.has_hits):
        return Hearing([_as_extracted(piece, score.qpm, converter)], expression)
    tempo_map = TempoMap.of(piece)
    if not tempo_map.is_steady:
        score = _at_one_tempo(score, tempo_map)
    grids, left_out = _grids(score, converter)
    if converter.has_melody:
        parts = _tracks(piece, score, grids, converter)
    else:
        parts = [_part(Part("", 0, None, ()), grids, None, converter)]
    heard = [_at_tempos(part, tempo_map, converter) for part in parts if part.windows]
    if not heard:
        refused = [clause for part in parts for clause in part.remarks]
        raise NoExtractedExamplesError(_why_nothing(score, converter, refused))
    if converter.has_hits:
        drums = score.notes["pitch"][score.notes["is_drum"]]
        left_out += remarks.on_kit(drums.tolist(), converter.kit, are_taps=converter.reads_taps)
    return Hearing(heard, (*left_out, *expression), tempo_map)


def _at_one_tempo(score: Score, tempo_map: TempoMap) -> Score:
    """Returns a score of these tempos as it is played at 120 quarter notes a minute.

    It does what `TempoMap.steady` does, and keeps notes without length, as some drums are.
    """
    quarter_s = 60 / DEFAULT_QPM

    def moved(time_s: float) -> float:
        return tempo_map.quarter_at(time_s) * quarter_s

    notes = score.notes.copy()
    for name in ("start_s", "end_s"):
        notes[name] = list(map(moved, notes[name].tolist()))
    return score._replace(
        notes=notes,
        total_time_s=moved(score.total_time_s),
        tempos=[Tempo(0.0, DEFAULT_QPM)],
        metres=[metre._replace(time_s=moved(metre.time_s)) for metre in score.metres],
        keys=[key._replace(time_s=moved(key.time_s)) for key in score.keys],
        chords=[chord._replace(time_s=moved(chord.time_s)) for chord in score.chords],
    )


def _at_tempos(part: Part, tempo_map: TempoMap, converter: Converter) -> Part:
    """Returns a part of a piece that was read at one tempo, its windows at their own.

    A tempo that a program sets a tick after a window begins is meant for all of it.
    """
    if tempo_map.is_steady:
        return part
    step = 1 / converter.steps_per_quarter

    def at_tempo(window: Window) -> Window:
        begin = max(0.0, window.start_quarter) + step
        end = window.start_quarter + (window.num_bars or 1) * converter.quarters_per_bar - step
        qpm, *others = tempo_map.between(begin, end)
        return dataclasses.replace(window, qpm=qpm, has_tempo_changes=bool(others))

    windows = [at_tempo(window) for window in part.windows]
    return part._replace(windows=windows, pickup=part.pickup and at_tempo(part.pickup))


def _as_extracted(piece: "NoteSequence", first_qpm: float, converter: Converter) -> Part:
    """Returns the whole piece as a part, with the windows that training would have."""
    extraction = converter.extract(piece)
    if not extraction.examples:
        raise NoExtractedExamplesError(", ".join(extraction.skipped) or "no music of its kind")
    qpms = extraction.qpms or itertools.repeat(first_qpm)
    windows = []
    for example, qpm in zip(extraction.examples, qpms, strict=False):
        one = dataclasses.replace(extraction, examples=[example], qpms=[qpm])
        windows.append(Window(converter.dense(one), qpm))
    left_out = tuple(f"left out ({reason})" for reason in extraction.skipped)
    return Part("", 0, None, windows, remarks=left_out)


# -- Sections -------------------------------------------------------------------------------------


def _grids(score: Score, converter: Converter) -> tuple[list[Section], list[str]]:
    """Returns the sections that a model can take, and clauses on the others.

    Raises:
      NoExtractedExamplesError: If there is none.
    """
    score = score._replace(total_time_s=max(score.total_time_s, score.last_end_s))
    (parts,) = cut_at_changes([score], converter.steps_per_quarter)
    if not parts:
        raise NoExtractedExamplesError("no notes")
    sections, left_out, reasons, bar = [], [], [], 0
    for part, following in zip(parts, [*parts[1:], None], strict=True):
        metre = part.metres[0] if part.metres else DEFAULT_METRE
        quarters = 4 * metre.numerator / metre.denominator if metre.denominator else 0
        begun = _bars_begun(part, quarters) if quarters else 1
        number = begun
        if quarters and following is not None:
            length = (following.begin_s - part.begin_s) * part.qpm / 60
            number = max(1, math.ceil(length / quarters - _ROUNDING))
        reason = None
        if quarters != converter.quarters_per_bar:
            reason = f"time signature {metre.numerator}/{metre.denominator}"
        else:
            grid = _grid(part, converter, begun)
            if isinstance(grid, str):
                reason = grid
            elif len(part.notes):
                sections.append(Section(grid, bar, begun))
        if reason is not None and len(part.notes):
            reasons.append(reason)
            left_out.append(f"{bars_text(bar, number)} left out ({reason})")
        bar += number
    if not sections:
        raise NoExtractedExamplesError(reasons[0] if reasons else "no notes")
    return sections, left_out


def _bars_begun(part: Score, quarters_per_bar: float) -> int:
    """Returns the number of bars of a section up to that in which its last note begins.

    A note just before a bar line that is held beyond it is meant for the bar that begins there.
    """
    if not len(part.notes):
        return 1
    starts, ends = (part.notes[name] * part.qpm / 60 for name in ("start_s", "end_s"))
    number = bar_lines.bars_begun(float(starts.max()), quarters_per_bar)
    line = number * quarters_per_bar
    is_held = ~part.notes["is_drum"] & (starts > line - _EARLY) & (ends > line + _HELD)
    return number + int(is_held.any())


def _grid(part: Score, converter: Converter, num_bars: int) -> Grid | str:
    """Returns a section on the grid, or the reason for which it cannot be put there.

    What is nearest to the bar line at its end is on the last step of its bars.
    """
    (grid,) = quantise_in_any_metre([part], converter.steps_per_quarter, converter.quarters_per_bar)
    if isinstance(grid, str):
        return grid
    last_step = num_bars * converter.steps_per_bar - 1
    return grid._replace(starts=np.minimum(grid.starts, last_step))


# -- Parts ----------------------------------------------------------------------------------------


def _tracks(
    piece: "NoteSequence", score: Score, sections: Sequence[Section], converter: Converter
) -> list[Part]:
    """Returns each instrument but the drums as a part."""
    names = _names(piece)
    pitched = score.notes[~score.notes["is_drum"]]
    parts = []
    for number, instrument in enumerate(dict.fromkeys(pitched["instrument"].tolist()), start=1):
        own = pitched[pitched["instrument"] == instrument]
        part = Part(names.get(instrument, ""), number, int(own["program"][0]), ())
        part = part._replace(height=float(own["pitch"].mean()))
        octaves = _octaves(own["pitch"], converter.pitches)
        if octaves:
            where = "lower" if octaves < 0 else "higher"
            by = remarks.counted(abs(octaves), "octave")
            part = part._replace(remarks=(f"read {by} {where}, where the model knows melodies",))
        parts.append(_part(part, sections, instrument, converter, SEMITONES * octaves))
    return parts


def _names(piece: "NoteSequence") -> dict[int, str]:
    """Returns the names of instruments, by number, as far as the file has names."""
    of_parts = {info.part: info.name for info in piece.part_infos if info.name.strip()}
    names = {note.instrument: of_parts[note.part] for note in piece.notes if note.part in of_parts}
    names |= {info.instrument: info.name for info in piece.instrument_infos if info.name.strip()}
    return names


def _octaves(pitches: np.ndarray, read_pitches: frozenset[int] | None) -> int:
    """Returns by how many octaves a melody moves up to where a model knows melodies; below 0: down.

    That is into the range of pitches, if it fits, and not far above the melodies of the corpora.
    """
    least, most = int(pitches.min()), int(pitches.max())
    low, high = (min(read_pitches), max(read_pitches)) if read_pitches else (0, MAX_MIDI_PITCH)
    too_high = max(float(pitches.mean()) - _HIGHEST_MEAN, most - high)
    if too_high > 0:
        return -min(math.ceil(too_high / SEMITONES), max(0, least - low) // SEMITONES)
    up = math.ceil((low - least) / SEMITONES)
    return up if up > 0 and most + SEMITONES * up <= high else 0


def _part(
    part: Part,
    sections: Sequence[Section],
    instrument: int | None,
    converter: Converter,
    semitones: int = 0,
) -> Part:
    """Returns a part with its windows.

    Args:
      part: The part.
      sections: The sections of the piece.
      instrument: Instrument whose notes are read; None: all drums.
      converter: The converter of the model.
      semitones: Number of semitones by which the notes are moved.
    """
    windows: list[Window] = []
    refused: list[str] = []
    pickup, outside = None, 0
    for section in sections:
        notes = section.grid.notes
        chosen = notes["is_drum"] if instrument is None else notes["instrument"] == instrument
        if instrument is not None:
            chosen = chosen & ~notes["is_drum"]
        grid = _moved(section.grid.only(chosen & (notes["velocity"] > 0)), semitones)
        is_read = np.isin(grid.notes["pitch"], sorted(converter.pitches or range(128)))
        outside += int((~is_read).sum())
        own, before = cut_windows(section._replace(grid=grid.only(is_read)), converter, refused)
        pickup = before if not windows else pickup
        windows += own
    if semitones:
        windows = [dataclasses.replace(window, semitones=semitones) for window in windows]
        pickup = pickup and dataclasses.replace(pickup, semitones=semitones)
    if outside and instrument is not None:
        lost = remarks.counted(outside, "note")
        refused.append(f"{lost} outside the model's range left out")
    return part._replace(windows=windows, pickup=pickup, remarks=(*part.remarks, *refused))


def _moved(grid: Grid, semitones: int) -> Grid:
    """Returns a grid whose notes are moved by a number of semitones."""
    if not semitones:
        return grid
    notes = grid.notes.copy()
    notes["pitch"] += semitones
    return grid._replace(section=grid.section._replace(notes=notes))


def _why_nothing(score: Score, converter: Converter, refused: Sequence[str]) -> str:
    """Returns the reason for which a piece has no part, as `Extraction.skipped` has it."""
    if not len(score.notes):
        return "no notes"
    if converter.has_melody and score.notes["is_drum"].all():
        return "only drums"
    if refused:
        return "; ".join(refused)
    if converter.has_hits:
        return "no drums of its kit" if score.notes["is_drum"].any() else "no drums"
    return "no notes in its range"


def each_window(part: Part) -> Iterator[Window]:
    """Yields all windows of a part, its pick-up included.

    >>> list(each_window(Part("Lead", 1, 0, windows=())))
    []
    """
    if part.pickup is not None:
        yield part.pickup
    yield from part.windows
