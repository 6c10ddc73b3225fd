"""Plays a piece whose tempo changes at a steady one, and what is made of it with the changes again.

Models of grooves count steps, of which a piece has one length from its beginning to its end.
"""

import dataclasses
import functools
import itertools
from bisect import bisect_right
from collections.abc import Callable
from typing import TYPE_CHECKING

from music_vae.common.constants import DEFAULT_QPM
from music_vae.common.lazy_imports import import_note_seq

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence


@dataclasses.dataclass(frozen=True)
class TempoMap:
    """The tempos of a piece: one from each of the times on, of which the first is 0.

    Attributes:
      times_s: Times in seconds, ascending.
      qpms: Quarter notes a minute from each time on.

    >>> slower = TempoMap((0.0, 2.0), (120.0, 60.0))
    >>> slower.quarter_at(3.0), slower.second_at(5.0)
    (5.0, 3.0)
    """

    times_s: tuple[float, ...]
    qpms: tuple[float, ...]

    @classmethod
    def of(cls, piece: "NoteSequence") -> "TempoMap":
        """Returns the tempos of a piece; without one it begins at MIDI's default.

        >>> from note_seq.protobuf.music_pb2 import NoteSequence
        >>> TempoMap.of(NoteSequence(tempos=[{"time": 2.0, "qpm": 60}]))
        TempoMap(times_s=(0.0, 2.0), qpms=(120.0, 60.0))
        """
        tempos = {0.0: DEFAULT_QPM}
        for tempo in sorted(piece.tempos, key=lambda tempo: tempo.time):
            if tempo.qpm > 0:
                tempos[max(tempo.time, 0.0)] = tempo.qpm
        return cls(tuple(tempos), tuple(tempos.values()))

    @property
    def is_steady(self) -> bool:
        """True if all tempos are the same."""
        return len(set(self.qpms)) == 1

    @functools.cached_property
    def _quarters(self) -> list[float]:
        """The quarter note at which each tempo begins."""
        spans = zip(itertools.pairwise(self.times_s), self.qpms, strict=False)
        lengths = ((end_s - start_s) * qpm / 60 for (start_s, end_s), qpm in spans)
        return list(itertools.accumulate(lengths, initial=0.0))

    def quarter_at(self, second: float) -> float:
        """Returns the number of quarter notes, and parts of one, up to a time."""
        number = max(bisect_right(self.times_s, second) - 1, 0)
        return self._quarters[number] + (second - self.times_s[number]) * self.qpms[number] / 60

    def second_at(self, quarter: float) -> float:
        """Returns the time of a quarter note, the inverse of `quarter_at`."""
        number = max(bisect_right(self._quarters, quarter) - 1, 0)
        return self.times_s[number] + (quarter - self._quarters[number]) * 60 / self.qpms[number]

    def between(self, begin: float, end: float) -> list[float]:
        """Returns the tempos from one quarter note to another, without repetitions.

        >>> TempoMap((0.0, 2.0), (120.0, 60.0)).between(3.0, 8.0)
        [120.0, 60.0]
        """
        first = max(bisect_right(self._quarters, begin) - 1, 0)
        last = max(bisect_right(self._quarters, end) - 1, first)
        return [qpm for qpm, _ in itertools.groupby(self.qpms[first : last + 1])]

    def steady(self, piece: "NoteSequence") -> "NoteSequence":
        """Returns the piece of these tempos, played at 120 quarter notes a minute.

        >>> from note_seq.protobuf.music_pb2 import NoteSequence
        >>> beat = NoteSequence(notes=[{"pitch": 36, "start_time": 3.0, "end_time": 3.5}])
        >>> TempoMap((0.0, 2.0), (120.0, 60.0)).steady(beat).notes[0].start_time
        2.5
        """
        steady = _moved(piece, lambda second: self.quarter_at(second) * 60 / DEFAULT_QPM)
        steady.tempos.add(qpm=DEFAULT_QPM)
        return steady

    def applied(self, piece: "NoteSequence") -> "NoteSequence":
        """Returns a piece at 120 quarter notes a minute, played with these tempos.

        >>> from note_seq.protobuf.music_pb2 import NoteSequence
        >>> beat = NoteSequence(notes=[{"pitch": 36, "start_time": 2.5, "end_time": 2.75}])
        >>> played = TempoMap((0.0, 2.0), (120.0, 60.0)).applied(beat)
        >>> played.notes[0].start_time, [tempo.qpm for tempo in played.tempos]
        (3.0, [120.0, 60.0])
        """
        played = _moved(piece, lambda second: self.second_at(second * DEFAULT_QPM / 60))
        for time_s, qpm in zip(self.times_s, self.qpms, strict=True):
            played.tempos.add(time=time_s, qpm=qpm)
        return played


def _moved(piece: "NoteSequence", function: Callable[[float], float]) -> "NoteSequence":
    """Returns the piece without tempos, with all other times moved by a function."""
    moved, _ = import_note_seq().sequences_lib.adjust_notesequence_times(piece, function)
    del moved.tempos[:]
    moved.total_time = max(moved.total_time, function(piece.total_time))
    return moved
