"""Shares what the readers of all formats return, and what they promise of it.

Whatever a parser raises becomes one short reason, and notes are checked before anyone relies on
them.
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from music_vae.common.constants import MAX_LENGTH_QUARTERS, MAX_MIDI_PITCH
from music_vae.music.tempo_map import TempoMap
from music_vae.music.unreadable import UnreadableMusicError

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

    from music_vae.music.readers.written_score import WrittenScore

_log = logging.getLogger(__name__)

# The text formats, uncompressed: the largest orchestral scores come to some tens of megabytes.
MAX_TEXT_BYTES = 50 * 2**20
# A day of music is a mistake.
MAX_LENGTH_S = 24 * 3600.0

_SHOWN_REMARKS = 3


class Reading(NamedTuple):
    """The sequences of a music file, and counted reasons for the tunes that were skipped.

    An ABC file or a MIDI file of type 2 holds several tunes, each with its `reference_number`; any
    other has one sequence, and nothing is skipped.

    >>> from music_vae.music.notes_io import read_file
    >>> sequences, skipped = read_file("examples/tunes/soldiers_joy.mid")
    >>> len(sequences), sum(skipped.values())
    (1, 0)
    """

    sequences: list[NoteSequence]
    skipped: Counter[str]


@contextlib.contextmanager
def parsing(kind: str) -> Iterator[None]:
    """Turns whatever a parser raises into an `UnreadableMusicError`.

    Parsers raise dozens of kinds for broken files, down to IndexError and ZeroDivisionError, so
    nothing narrower will do.

    >>> with parsing("ABC"):
    ...     [][1]
    Traceback (most recent call last):
    music_vae.music.unreadable.UnreadableMusicError: cannot be read as ABC
    """
    try:
        yield
    except UnreadableMusicError:
        raise
    except MemoryError as error:
        raise UnreadableMusicError("needs too much memory") from error
    except Exception as error:
        # What Python itself says, such as that an index is out of range, helps no musician.
        by_python = type(error).__module__ == "builtins"
        detail = "" if by_python else str(error)
        raise UnreadableMusicError(f"cannot be read as {kind}", detail) from error


def sequence_of(score: WrittenScore) -> NoteSequence:
    """Returns the sequence of a score.

    >>> from music_vae.music.readers.written_score import WrittenNote, WrittenScore
    >>> score = WrittenScore()
    >>> score.notes.append(WrittenNote(pitch=60, velocity=80, start=0, quarters=1))
    >>> sequence_of(score).total_time
    0.5

    Raises:
      UnreadableMusicError: If no notes are left; the reason is why.
    """
    if not score.notes and score.ignored:
        kinds = list(score.ignored)
        detail = f"ignored: {_listed(score.ignored)}" if len(kinds) > 1 else ""
        raise UnreadableMusicError("no notes" if detail else kinds[0], detail)
    return checked(score.to_sequence())


def checked(sequence: NoteSequence) -> NoteSequence:
    """Returns a parser's sequence, if its notes can be relied on.

    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> checked(NoteSequence())
    Traceback (most recent call last):
    music_vae.music.unreadable.UnreadableMusicError: no notes

    Raises:
      UnreadableMusicError: If it has no notes, one at an impossible time or pitch, or is too long.
    """
    if not sequence.notes:
        raise UnreadableMusicError("no notes")
    for note in sequence.notes:
        if not 0 <= note.pitch <= MAX_MIDI_PITCH:
            raise UnreadableMusicError("a pitch outside 0..127", str(note.pitch))
        if not 0 <= note.start_time <= note.end_time < math.inf:
            times = f"{note.start_time} to {note.end_time} seconds"
            raise UnreadableMusicError("a note at an impossible time", times)
    length_s = max(sequence.total_time, *(note.end_time for note in sequence.notes))
    if not length_s <= MAX_LENGTH_S:
        raise UnreadableMusicError(f"longer than {MAX_LENGTH_S / 3600:.0f} hours")
    if not TempoMap.of(sequence).quarter_at(length_s) <= MAX_LENGTH_QUARTERS:
        raise UnreadableMusicError(f"longer than {MAX_LENGTH_QUARTERS:,.0f} quarter notes")
    return sequence


def log_ignored(source: Path, ignored: Counter[str]) -> None:
    """Logs what was ignored in `source`, each kind with its count, in one line.

    >>> log_ignored(Path("a.abc"), Counter({"a lyric": 2}))  # a.abc: ignored: a lyric (2 times)
    """
    if ignored:
        _log.warning("%s: ignored: %s", source, _listed(ignored))


def _listed(counts: Counter[str]) -> str:
    """Returns the first few of `counts` in one line."""
    shown = [f"{name} ({count} times)" if count > 1 else name for name, count in counts.items()]
    more = [f"{len(shown) - _SHOWN_REMARKS} more"] if len(shown) > _SHOWN_REMARKS else []
    return ", ".join(shown[:_SHOWN_REMARKS] + more)
