"""Scores as they are written, and the stretches of them that a model can be trained on.

Readers of notation fill a `Score`; all its times are in quarter notes, as fractions. Repeats are
not played out: they would only say the same bars twice.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from music_vae.common import lazy_imports
from music_vae.common.constants import DEFAULT_QPM, OUTPUT_VELOCITY
from music_vae.music.tempo_map import TempoMap

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

# The metres that the models know, and the quarter notes of a measure. Two bars of 2/4 make one of
# 4/4.
MEASURE_QUARTERS = {"4/4": 4, "2/2": 4, "2/4": 2}
BAR_QUARTERS = 4
STEPS_PER_QUARTER = 4

# A shorter stretch is not looked at, not even counted.
_MIN_SECTION_BARS = 2
# NoteSequences hold seconds. No note begins or ends on a finer grid of a quarter note than this:
# 128th notes, triplets, quintuplets and septuplets of them.
_GRID = 2**5 * 3**2 * 5 * 7


class Note(NamedTuple):
    """A note, a grace note excepted."""

    start: Fraction
    end: Fraction
    pitch: int


@dataclasses.dataclass
class Voice:
    """What is written on one staff; `program` is that of General MIDI, from 0."""

    program: int = 0
    notes: list[Note] = dataclasses.field(default_factory=list)


class Measure(NamedTuple):
    """A measure; `metre` is written as 4/4, and empty where none is known."""

    start: Fraction
    end: Fraction
    metre: str


@dataclasses.dataclass
class Score:
    """A score: its voices, the highest first, and its measures."""

    title: str = ""
    voices: list[Voice] = dataclasses.field(default_factory=list)
    measures: list[Measure] = dataclasses.field(default_factory=list)


class Section(NamedTuple):
    """A stretch of whole bars in one metre; `number` counts those of a score from 0."""

    number: int
    start: Fraction
    end: Fraction

    @property
    def bars(self) -> float:
        """Its length in bars of four quarter notes."""
        return float(self.end - self.start) / BAR_QUARTERS


def sections(score: Score) -> list[Section]:
    """The stretches of whole measures in one of the metres of `MEASURE_QUARTERS`.

    A measure that is too long or too short ends a stretch, and so pick-ups are cut off. Two short
    ones that make a measure, as at a repeat in its middle, count as one.
    """
    found: list[list[Measure]] = []
    run: list[Measure] = []
    for measure in _joined(score.measures):
        whole = measure.end - measure.start == MEASURE_QUARTERS.get(measure.metre)
        if not whole or (run and (run[-1].metre, run[-1].end) != (measure.metre, measure.start)):
            run = []
        if whole:
            if not run:
                found.append(run)
            run.append(measure)
    stretches = [(run[0].start, run[-1].end) for run in found]
    long = [(a, b) for a, b in stretches if b - a >= _MIN_SECTION_BARS * BAR_QUARTERS]
    return [Section(number, start, end) for number, (start, end) in enumerate(long)]


def _joined(measures: Sequence[Measure]) -> Iterator[Measure]:
    """The measures, two that make a whole one together as one."""
    left = list(reversed([measure for measure in measures if measure.end > measure.start]))
    while left:
        measure = left.pop()
        if left and left[-1].metre == measure.metre:
            whole = MEASURE_QUARTERS.get(measure.metre)
            if measure.end - measure.start != whole and left[-1].end - measure.start == whole:
                measure = measure._replace(end=left.pop().end)
        yield measure


def melody(voice: Voice, section: Section) -> list[Note]:
    """One note at a time of a stretch, from its beginning, each until the next begins.

    Of notes that begin together the highest counts.
    """
    highest: dict[Fraction, Note] = {}
    for note in _within(voice, section):
        if note.start not in highest or highest[note.start].pitch < note.pitch:
            highest[note.start] = note
    line = [highest[start] for start in sorted(highest)]
    line = [a._replace(end=min(a.end, b.start)) for a, b in itertools.pairwise(line)] + line[-1:]
    return line


def off_steps(voice: Voice) -> float:
    """The part of the notes that begin off the sixteenths, as triplets do."""
    off = sum((note.start * STEPS_PER_QUARTER).denominator != 1 for note in voice.notes)
    return off / max(len(voice.notes), 1)


def all_voices(score: Score, section: Section) -> list[Voice]:
    """The voices of a stretch, from its beginning; one that is silent in it keeps its place."""
    return [Voice(voice.program, sorted(_within(voice, section))) for voice in score.voices]


def _within(voice: Voice, section: Section) -> Iterator[Note]:
    """The notes that begin in a stretch, their times counted from its beginning."""
    for start, end, pitch in voice.notes:
        if section.start <= start < section.end:
            end = min(end, section.end)
            yield Note(start - section.start, end - section.start, pitch)


def to_sequence(voices: Sequence[Voice], quarters: Fraction) -> "NoteSequence":
    """The voices as the instruments of a NoteSequence in 4/4 at 120 quarter notes a minute."""
    note_seq = lazy_imports.import_note_seq()
    sequence = note_seq.NoteSequence(ticks_per_quarter=note_seq.STANDARD_PPQ)
    sequence.time_signatures.add(numerator=4, denominator=4)
    sequence.tempos.add(qpm=DEFAULT_QPM)
    quarter_s = Fraction(60) / Fraction(DEFAULT_QPM)
    for instrument, voice in enumerate(voices):
        for start, end, pitch in voice.notes:
            sequence.notes.add(
                pitch=pitch,
                velocity=OUTPUT_VELOCITY,
                start_time=float(start * quarter_s),
                end_time=float(end * quarter_s),
                instrument=instrument,
                program=voice.program,
            )
    sequence.total_time = float(quarters * quarter_s)
    return sequence


# -- NoteSequences of other readers ---------------------------------------------------------------


def from_sequence(sequence: "NoteSequence", first_measure: Fraction = Fraction(0)) -> Score:
    """A written score that a reader has made a NoteSequence of; a part is a voice.

    Such a sequence has no bar lines: measures are counted from every change of the metre, after one
    of the length `first_measure` at the beginning.
    """
    tempos = TempoMap.of(sequence)

    def quarters(seconds: float) -> Fraction:
        return on_grid(tempos.quarter_at(seconds))

    score = Score(title=sequence.sequence_metadata.title)
    voices: dict[int, Voice] = {}
    for note in sequence.notes:
        start, end = quarters(note.start_time), quarters(note.end_time)
        if end > start and not note.is_drum:  # a grace note may have no length
            voice = voices.setdefault(note.part, Voice(note.program))
            voice.notes.append(Note(start, end, note.pitch))
    score.voices = [voices[part] for part in sorted(voices)]
    metres = {
        quarters(m.time): (m.numerator, m.denominator)
        for m in sequence.time_signatures
        if m.numerator > 0 and m.denominator > 0
    }
    starts = sorted(metres)
    ends = [*starts, quarters(sequence.total_time)][1:]
    for start, end in zip(starts, ends, strict=True):
        numerator, denominator = metres[start]
        length = Fraction(4 * numerator, denominator)
        metre = f"{numerator}/{denominator}"
        if start == 0 < first_measure < min(length, end):
            score.measures.append(Measure(start, first_measure, metre))
            start = first_measure
        while start < end:
            score.measures.append(Measure(start, min(start + length, end), metre))
            start += length
    if score.measures and starts[-1] <= score.measures[-1].start:
        # The last measure may lack its rests: the sequence ends with a note.
        last = score.measures[-1]
        score.measures[-1] = last._replace(end=last.start + length)
    return score


def on_grid(quarters: float) -> Fraction:
    """A time in quarter notes as a fraction, on the grid."""
    return Fraction(round(quarters * _GRID), _GRID)
