"""Finds the bar line at which a piece ends, and gives decoded music the length of its bars.

A NoteSequence that ends in a rest, or whose last hit rings on, does not end where its bars do. As a
file it has to: a sequencer takes the length of a loop from the end of its tracks.
"""

import math
from typing import TYPE_CHECKING, Any

from music_vae.common.constants import DEFAULT_QPM
from music_vae.music.tempo_map import TempoMap

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

    from music_vae.music.converters.base import Converter

TICKS_PER_QUARTER = 480
"""Resolution of the MIDI files that are written, which sequencers have themselves."""

_BEATS_PER_BAR, _BEAT = 4, 4  # the metre of MIDI where none is said
_QUARTERS_PER_WHOLE = 4
# Times that far apart are the same tick.
_TOLERANCE_QUARTERS = 0.5 / TICKS_PER_QUARTER


def end_quarter(piece: "NoteSequence", tempos: TempoMap) -> float:
    """Returns the quarter note of the first bar line at which a piece is over.

    Bars are counted from each time signature on, and are those of 4/4 before the first.

    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> waltz = NoteSequence(time_signatures=[{"numerator": 3, "denominator": 4}])
    >>> _ = waltz.notes.add(pitch=60, velocity=80, start_time=1.5, end_time=2.0)
    >>> end_quarter(waltz, TempoMap.of(waltz))  # of the second bar, whose last two beats are silent
    6.0

    Args:
      piece: The piece.
      tempos: Its tempos.
    """
    events = (*piece.tempos, *piece.time_signatures, *piece.key_signatures)
    events += (*piece.pitch_bends, *piece.control_changes)
    ends_s = [piece.total_time, *(note.end_time for note in piece.notes)]
    last = tempos.quarter_at(max([*ends_s, *(event.time for event in events)]))
    bars = _Bars(piece, tempos)
    starts_s = [note.start_time for note in piece.notes]
    if not starts_s:
        return bars.line_from(last)
    begun = tempos.quarter_at(max(starts_s))
    return max(bars.line_from(last), bars.line_after(begun))


def bars_begun(quarter: float, quarters_per_bar: float) -> int:
    """Returns the number of bars up to the one in which a note begins, as the note is played.

    On a grid of sixteenths the last stroke of a roll is on the bar line that follows; the loop that
    it ends has no bar there.

    >>> bars_begun(7.9, 4), bars_begun(8.0, 4)
    (2, 3)

    Args:
      quarter: Place of the note, in quarter notes from the first bar line on.
      quarters_per_bar: Length of a bar.
    """
    return max(1, _begun(quarter, quarters_per_bar))


def _begun(quarter: float, quarters_per_bar: float) -> int:
    """Returns `bars_begun` of a place that may lie before the first bar line, 0 or less."""
    return math.floor((quarter + _TOLERANCE_QUARTERS) / quarters_per_bar) + 1


def end_s(piece: "NoteSequence") -> float:
    """Returns the time in seconds of the bar line that `end_quarter` finds.

    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> tune = NoteSequence(tempos=[{"qpm": 60}], notes=[{"pitch": 60, "end_time": 0.5}])
    >>> end_s(tune)
    4.0
    """
    tempos = TempoMap.of(piece)
    return tempos.second_at(end_quarter(piece, tempos))


def decoded(converter: "Converter", samples: Any, controls: Any = None) -> "list[NoteSequence]":
    """Decodes dense outputs to pieces that say their metre and last whole bars, rests included.

    >>> import numpy as np
    >>> from music_vae.music.converters.melody import OneHotMelodyConverter
    >>> converter = OneHotMelodyConverter(slice_bars=2)
    >>> tokens = np.zeros(32, np.int16)  # no event, step after step
    >>> tokens[[0, 4]] = 41, 1  # a note on, and its note off
    >>> (piece,) = decoded(converter, [converter.dense_outputs(tokens)])
    >>> piece.notes[0].end_time, piece.total_time
    (0.5, 4.0)

    Args:
      converter: The converter.
      samples: Arrays `[T, output_depth]`, as for its `from_tensors`.
      controls: Arrays `[T, control_depth]`, or None, as for its `from_tensors`.
    """
    pieces = []
    for piece, rows in zip(converter.from_tensors(samples, controls), samples, strict=True):
        if not piece.time_signatures:
            piece.time_signatures.add(numerator=converter.quarters_per_bar, denominator=_BEAT)
        quarters = converter.bars_of(len(rows)) * converter.quarters_per_bar
        pieces.append(filled(piece, quarters * 60 / DEFAULT_QPM))
    return pieces


def line_after_notes(piece: "NoteSequence", tempos: TempoMap) -> float:
    """Returns the quarter note of the first bar line after the last note begins.

    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> hit = NoteSequence(notes=[{"pitch": 36, "start_time": 1.9, "end_time": 2.1}])
    >>> line_after_notes(hit, TempoMap.of(hit))
    4.0

    Args:
      piece: The piece; without notes it is one bar.
      tempos: Its tempos.
    """
    latest = tempos.quarter_at(max((note.start_time for note in piece.notes), default=0.0))
    return _Bars(piece, tempos).line_after(latest)


def filled(piece: "NoteSequence", least_s: float = 0.0) -> "NoteSequence":
    """Returns a copy that lasts to the bar line after its last note begins, where that ends, too.

    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> hit = NoteSequence(notes=[{"pitch": 36, "start_time": 1.9, "end_time": 2.1}])
    >>> filled(hit).notes[0].end_time, filled(hit, least_s=4.0).total_time
    (2.0, 4.0)

    Args:
      piece: The piece.
      least_s: Time in seconds that it lasts at least.
    """
    copy = type(piece)()
    copy.CopyFrom(piece)
    tempos = TempoMap.of(copy)
    copy.total_time = max(least_s, tempos.second_at(line_after_notes(copy, tempos)))
    for note in copy.notes:
        note.end_time = min(note.end_time, copy.total_time)
    return copy


class _Bars:
    """The bars of a piece."""

    def __init__(self, piece: "NoteSequence", tempos: TempoMap) -> None:
        """Finds where each metre begins, and how long its bars are, in quarter notes."""
        self._metres = [(0.0, float(_BEATS_PER_BAR))]
        for metre in sorted(piece.time_signatures, key=lambda metre: metre.time):
            if metre.numerator > 0 and metre.denominator > 0:
                quarters = _QUARTERS_PER_WHOLE * metre.numerator / metre.denominator
                self._metres.append((tempos.quarter_at(max(metre.time, 0.0)), quarters))

    def line_from(self, quarter: float) -> float:
        """Returns the first bar line at or after a place in the piece."""
        begin, bar = self._metre_at(quarter + _TOLERANCE_QUARTERS)
        return begin + bar * math.ceil((quarter - begin - _TOLERANCE_QUARTERS) / bar)

    def line_after(self, quarter: float) -> float:
        """Returns the first bar line after a place in the piece."""
        begin, bar = self._metre_at(quarter + _TOLERANCE_QUARTERS)
        return begin + bar * _begun(quarter - begin, bar)

    def _metre_at(self, quarter: float) -> tuple[float, float]:
        """Returns where the metre at a place begins, and the length of its bars."""
        return [metre for metre in self._metres if metre[0] <= max(quarter, 0.0)][-1]
