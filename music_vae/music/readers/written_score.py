"""A score as it is written, in quarter notes, and the NoteSequence that it stands for, in seconds.

Readers of notation fill a `WrittenScore`; what they cannot understand they leave out and count.
"""

from __future__ import annotations

import bisect
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from music_vae.common.constants import DEFAULT_QPM
from music_vae.common.lazy_imports import import_note_seq

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

MODES = {
    "major": (0, 0),
    "ionian": (0, 0),
    "minor": (-3, 1),
    "aeolian": (-3, 1),
    "mixolydian": (-1, 3),
    "dorian": (-2, 4),
    "phrygian": (-4, 5),
    "lydian": (1, 6),
    "locrian": (-5, 7),
}
"""Fifths from the signature of the major key of the same tonic, and the mode's number in
NoteSequence.KeySignature."""

FREE_METRE = (0, 0)
"""The metre of music without one."""

# NoteSequence.TextAnnotation: a chord symbol, and any other text.
_CHORD_SYMBOL, _TEXT = 1, 0
_MAX_RATIO_QUARTERS = 10_000.0
_MAX_RATIO_DENOMINATOR = 1 << 13


@dataclass(slots=True)
class WrittenNote:
    """A note: `start` and length in quarter notes, and what it is played with.

    >>> WrittenNote(start=0.0, quarters=1.0, pitch=60, velocity=64).end
    1.0
    """

    start: float
    quarters: float
    pitch: int
    velocity: int
    part: int = 0
    voice: int = 0
    program: int = 0
    is_drum: bool = False

    @property
    def end(self) -> float:
        return self.start + self.quarters


@dataclass
class WrittenScore:
    """The notes of a score and what holds for all its parts; all times are in quarter notes.

    >>> score = WrittenScore(notes=[WrittenNote(0.0, 1.0, pitch=60, velocity=64)])
    >>> score.tempos.append((0.0, 60.0))
    >>> [note.end_time for note in score.to_sequence().notes]
    [1.0]

    Attributes:
      notes: The notes, part by part.
      parts: The names of the parts, each an instrument of its own.
      tempos: Time and quarter notes a minute, in order, one at a time.
      metres: Time, numerator and denominator.
      keys: Time, tonic as a pitch class and mode as the number of note_seq's enumeration.
      texts: Time, text, and true for a chord symbol.
      sections: Where each section of a tune begins.
      section_groups: Numbers of sections that are played one after the other, and how often.
      end: Where the last note or rest ends.
      ignored: Counts what was left out, in plain words.
    """

    notes: list[WrittenNote] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    tempos: list[tuple[float, float]] = field(default_factory=list)
    metres: list[tuple[float, int, int]] = field(default_factory=list)
    keys: list[tuple[float, int, int]] = field(default_factory=list)
    texts: list[tuple[float, str, bool]] = field(default_factory=list)
    sections: list[float] = field(default_factory=list)
    section_groups: list[tuple[list[int], int]] = field(default_factory=list)
    end: float = 0.0
    ignored: Counter[str] = field(default_factory=Counter)

    def to_sequence(self) -> NoteSequence:
        """Returns the score in seconds; the part is the instrument."""
        sequence = import_note_seq().NoteSequence()
        sequence.ticks_per_quarter = import_note_seq().STANDARD_PPQ
        sequence.source_info.source_type = sequence.source_info.SCORE_BASED
        clock = Clock(self.tempos)
        for start, qpm in self.tempos:
            sequence.tempos.add(time=clock.seconds(start), qpm=qpm)
        for start, numerator, denominator in self.metres:
            sequence.time_signatures.add(
                time=clock.seconds(start), numerator=numerator, denominator=denominator
            )
        for start, key, mode in self.keys:
            sequence.key_signatures.add(time=clock.seconds(start), key=key, mode=mode)
        for start, text, is_chord in self.texts:
            kind = _CHORD_SYMBOL if is_chord else _TEXT
            sequence.text_annotations.add(
                time=clock.seconds(start), text=text, annotation_type=kind
            )
        for number, name in enumerate(self.parts):
            sequence.part_infos.add(part=number, name=name)
        for number, start in enumerate(self.sections):
            sequence.section_annotations.add(time=clock.seconds(start), section_id=number)
        for numbers, times in self.section_groups:
            sections = [{"section_id": number} for number in numbers]
            sequence.section_groups.add(sections=sections, num_times=times)
        self._add_notes(sequence, clock)
        end = max(self.end, max((note.end for note in self.notes), default=0.0))
        sequence.total_time = clock.seconds(end)
        return sequence

    def _add_notes(self, sequence: NoteSequence, clock: Clock) -> None:
        ratios: dict[float, tuple[int, int]] = {}
        for note in self.notes:
            quarters = note.quarters
            ratio = ratios.get(quarters)
            if ratio is None:
                ratio = ratios[quarters] = _ratio_of_whole(quarters)
            sequence.notes.add(
                pitch=note.pitch,
                velocity=note.velocity,
                start_time=clock.seconds(note.start),
                end_time=clock.seconds(note.start + quarters),
                numerator=ratio[0],
                denominator=ratio[1],
                instrument=note.part,
                program=note.program,
                is_drum=note.is_drum,
                part=note.part,
                voice=note.voice,
            )


class Clock:
    """Turns quarter notes into seconds by the tempos of a piece.

    >>> Clock([(0.0, 60.0), (2.0, 120.0)]).seconds(4.0)
    3.0

    The tempos are those of a `WrittenScore`.
    """

    def __init__(self, tempos: list[tuple[float, float]]) -> None:
        self._starts, self._seconds, self._quarter_s = [0.0], [0.0], [60 / DEFAULT_QPM]
        for start, qpm in tempos:
            self._seconds.append(self.seconds(start))
            self._starts.append(start)
            self._quarter_s.append(60 / qpm)

    def seconds(self, quarters: float) -> float:
        """Returns the time in seconds that is `quarters` quarter notes from the beginning."""
        index = bisect.bisect_right(self._starts, quarters) - 1
        past = quarters - self._starts[index]
        return self._seconds[index] + past * self._quarter_s[index]


def _ratio_of_whole(quarters: float) -> tuple[int, int]:
    """Returns a length as a fraction of a whole note; 0/1 for one too long to be written so."""
    if not quarters <= _MAX_RATIO_QUARTERS:
        return 0, 1
    ratio = Fraction(quarters / 4).limit_denominator(_MAX_RATIO_DENOMINATOR)
    return ratio.numerator, ratio.denominator
