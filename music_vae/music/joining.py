"""Joins pieces to one, each of them where it belongs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from music_vae.common.lazy_imports import import_note_seq
from music_vae.music import bar_lines

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence


_ROUNDING_S = 1e-6


def placed(parts: "Sequence[tuple[float, NoteSequence]]") -> "NoteSequence":
    """Returns one piece of several of one tempo, each of which begins at a time in seconds.

    Notes before time 0 of a piece that begins before it are left out: a model may play in the
    silence before a pick-up.

    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> middle_c = NoteSequence(notes=[{"pitch": 60, "end_time": 1.0}], total_time=1.0)
    >>> [note.start_time for note in placed([(-1.0, middle_c), (2.0, middle_c)]).notes]
    [2.0]

    Args:
      parts: The pieces, at least one, each after the time at which it begins.
    """
    whole = type(parts[0][1])()
    whole.CopyFrom(parts[0][1])
    for group in (whole.notes, whole.text_annotations):
        del group[:]
    whole.total_time = 0.0
    for begin_s, part in parts:
        for note in part.notes:
            if begin_s >= 0 or begin_s + note.start_time >= 0:
                whole.notes.add().CopyFrom(note)
                whole.notes[-1].start_time += begin_s
                whole.notes[-1].end_time += begin_s
        for text in part.text_annotations:
            whole.text_annotations.add().CopyFrom(text)
            whole.text_annotations[-1].time = max(0.0, text.time + begin_s)
        whole.total_time = max(whole.total_time, begin_s + part.total_time)
    return whole


def beginning(piece: "NoteSequence", length_s: float) -> "NoteSequence":
    """Returns the beginning of a piece, up to a time in seconds at which its last notes end.

    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> notes = [{"pitch": 60, "end_time": 3.0}, {"pitch": 62, "start_time": 3.0, "end_time": 4.0}]
    >>> bar = beginning(NoteSequence(notes=notes, total_time=4.0), 2.0)
    >>> [note.end_time for note in bar.notes], bar.total_time
    ([2.0], 2.0)

    Args:
      piece: The piece, which stays as it is.
      length_s: Length of the beginning; a shorter piece keeps its own.
    """
    copy = type(piece)()
    copy.CopyFrom(piece)
    del copy.notes[:], copy.text_annotations[:]
    copy.notes.extend(note for note in piece.notes if note.start_time < length_s - _ROUNDING_S)
    copy.text_annotations.extend(text for text in piece.text_annotations if text.time < length_s)
    for note in copy.notes:
        note.end_time = min(note.end_time, length_s)
    copy.total_time = min(copy.total_time, length_s)
    return copy


def joined(pieces: "Sequence[NoteSequence]") -> "NoteSequence":
    """Returns one piece of several, each from the bar line on at which the one before it ends.

    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> middle_c = NoteSequence(notes=[{"pitch": 60, "velocity": 80, "end_time": 0.5}])
    >>> [note.start_time for note in joined([middle_c, middle_c]).notes]
    [0.0, 2.0]

    Args:
      pieces: The pieces, at least one.
    """
    lengths_s = [max(bar_lines.end_s(piece), piece.total_time) for piece in pieces]
    whole = import_note_seq().sequences_lib.concatenate_sequences(list(pieces), lengths_s)
    whole.total_time = sum(lengths_s)
    return whole
