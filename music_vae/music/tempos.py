"""Gives what a model makes of a piece, at 120 quarter notes a minute, the tempo of that piece."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from music_vae.music import notes_io
from music_vae.music.converters.base import Tensors
from music_vae.music.converters.score import Score
from music_vae.music.tempo_map import TempoMap

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

Tempo: TypeAlias = float | TempoMap
"""Quarter notes a minute, or those of each part of a piece."""


def of(piece: "NoteSequence | Score | Tensors") -> float | None:
    """Returns the tempo at the beginning of a piece; None if it is one of which that is not known.

    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> of(NoteSequence(tempos=[{"qpm": 96}]))
    96.0
    >>> import numpy as np
    >>> from music_vae.music.converters.score import NOTE
    >>> print(of(Score(np.zeros(0, NOTE), 4.0)))
    None
    """
    return None if isinstance(piece, Score | Tensors) else notes_io.tempo_of(piece)


def steady(piece: "NoteSequence") -> "tuple[NoteSequence, Tempo]":
    """Returns a piece without changes of tempo, and the tempo that is to be given back to it.

    If its tempo changes, it is played at 120 quarter notes a minute, else as it was.

    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> beat = NoteSequence(notes=[{"pitch": 36, "start_time": 1.0, "end_time": 2.0}])
    >>> _ = beat.tempos.add(qpm=60)
    >>> steady(beat)[1]
    60.0
    >>> _ = beat.tempos.add(qpm=120, time=1.0)
    >>> even, tempo = steady(beat)
    >>> even.notes[0].start_time, tempo.qpms
    (0.5, (60.0, 120.0))
    """
    tempo_map = TempoMap.of(piece)
    if tempo_map.is_steady:
        return piece, tempo_map.qpms[0]
    return tempo_map.steady(piece), tempo_map


def applied(pieces: "Sequence[NoteSequence]", tempo: Tempo | None) -> "list[NoteSequence]":
    """Returns pieces of one tempo, such as 120 quarter notes a minute, at another tempo.

    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> middle_c = NoteSequence(notes=[{"pitch": 60, "velocity": 80, "end_time": 2}], total_time=2)
    >>> (slow,) = applied([middle_c], 60)
    >>> slow.notes[0].end_time
    4.0

    Args:
      pieces: The pieces; if the tempo changes, they are at 120 quarter notes a minute.
      tempo: The tempo; None: they stay as they are.
    """
    if tempo is None:
        return list(pieces)
    if isinstance(tempo, TempoMap):
        return [tempo.applied(piece) for piece in pieces]
    return [notes_io.with_tempo(piece, tempo) for piece in pieces]
