"""Reads the tunes of ABC files as NoteSequences."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from music_vae.music.readers import abc_structure
from music_vae.music.readers.abc_tune import read_tune
from music_vae.music.readers.reading import Reading, log_ignored, parsing, sequence_of
from music_vae.music.unreadable import UnreadableMusicError

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence


def read_abc(data: bytes, source: Path) -> Reading:
    r"""Reads the tunes of an ABC file, and counts the skipped ones by reason.

    >>> reading = read_abc(b"X:7\nT:Scale\nL:1/4\nK:C\nCDEF|", Path("a.abc"))
    >>> [(tune.reference_number, len(tune.notes)) for tune in reading.sequences]
    [(7, 4)]

    Raises:
      UnreadableMusicError: If no tune can be read.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    sequences: list[NoteSequence] = []
    skipped: Counter[str] = Counter()
    ignored: Counter[str] = Counter()
    numbers: set[int] = set()
    unnumbered: list[NoteSequence] = []
    for tune in abc_structure.tunes(text):
        try:
            sequence, number = _read_tune(tune, ignored)
            if number in numbers:
                raise UnreadableMusicError("ABC reference number (X:) used before in its file")
        except UnreadableMusicError as error:
            skipped[error.reason] += 1
            continue
        sequences.append(sequence)
        if number is None:
            unnumbered.append(sequence)
        else:
            numbers.add(number)
    for number, sequence in enumerate(unnumbered, max(numbers, default=0) + 1):
        sequence.reference_number = number
    if not skipped and not sequences:
        raise UnreadableMusicError("not ABC", "no line starts with X: or K:")
    if not sequences:
        if len(skipped) == 1:
            raise UnreadableMusicError(next(iter(skipped)))
        detail = ", ".join(f"{count} {reason}" for reason, count in skipped.most_common())
        raise UnreadableMusicError("no tune of the ABC file can be read", detail)
    log_ignored(source, ignored)
    return Reading(sequences, skipped)


def _read_tune(text: str, ignored: Counter[str]) -> tuple[NoteSequence, int | None]:
    """Reads one tune, and its number if it has one.

    One at a time, so that a broken tune does not take the others with it.
    """
    abc_structure.check_tune(text)
    with parsing("ABC"):
        tune = read_tune(text)
        sequence = sequence_of(tune.score)
    ignored.update(tune.score.ignored)
    sequence.source_info.encoding_type = sequence.source_info.ABC
    sequence.reference_number = tune.number or 0
    sequence.sequence_metadata.title = "; ".join(tune.titles)
    sequence.sequence_metadata.composers.extend(tune.composers)
    sequence.sequence_metadata.artist = tune.composers[0] if tune.composers else ""
    return sequence, tune.number
