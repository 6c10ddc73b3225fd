"""Reads MIDI, MusicXML and ABC files as NoteSequences, and writes NoteSequences as MIDI.

Music files come from anywhere, so they are not trusted: sizes, lengths and structure are checked
before a parser builds anything from them, and whatever a parser raises becomes one short reason.
note_seq is imported when the first file is read, not with this module.
"""

from __future__ import annotations

import logging
import math
import os
from bisect import bisect_right
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from music_vae.common import files
from music_vae.common.constants import DEFAULT_QPM, MAX_MIDI_QPM, MIN_MIDI_QPM
from music_vae.common.errors import UserError
from music_vae.common.lazy_imports import import_note_seq
from music_vae.music.readers.reading import MAX_TEXT_BYTES, Reading
from music_vae.music.unreadable import UnreadableMusicError

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

_log = logging.getLogger(__name__)

MIDI_SUFFIXES = (".mid", ".midi", ".kar", ".rmi")
MUSICXML_SUFFIXES = (".xml", ".musicxml", ".mxl")
ABC_SUFFIXES = (".abc",)
MUSIC_SUFFIXES = MIDI_SUFFIXES + MUSICXML_SUFFIXES + ABC_SUFFIXES

MAX_MIDI_BYTES = 10 * 2**20

_TICKS_PER_QUARTER = 220  # of MIDI that note_seq writes


def read_music_file(path: str | os.PathLike) -> list[NoteSequence]:
    """Returns the sequences, at least one, of a file that its suffix says is MIDI, MusicXML or ABC.

    Every sequence has notes, with pitches 0..127, velocities 1..127 and times within a day. An
    ABC file gives one sequence per tune that can be read, and a MIDI file of type 2 one per track;
    `read_file` also says why others cannot.

    >>> (tune,) = read_music_file("examples/tunes/soldiers_joy.mid")
    >>> [note.pitch for note in tune.notes[:4]]
    [66, 67, 69, 66]

    Raises:
      UnreadableMusicError: If the file is missing, is not of its kind, or gives no notes.
    """
    return read_file(path).sequences


def read_file(path: str | os.PathLike) -> Reading:
    r"""Reads a file as `read_music_file` does, and also counts why tunes of it were skipped.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "tunes.abc")
    ...     _ = path.write_text("X:1\nK:C\nCDEF|\n\nX:1\nK:C\nGABc|")
    ...     read_file(path).skipped
    Counter({'ABC reference number (X:) used before in its file': 1})
    """
    source = files.expand(path)
    suffix = source.suffix.lower()
    try:
        if suffix not in MUSIC_SUFFIXES:
            raise UnreadableMusicError(
                f"unknown kind of music file; expected one of {', '.join(MUSIC_SUFFIXES)}"
            )
        return _read(_read_bytes(source, _size_limit(source)), suffix, source)
    except UnreadableMusicError as error:
        raise UnreadableMusicError(error.reason, error.detail, path=source) from error


def write_midi(sequence: NoteSequence, path: str | os.PathLike) -> None:
    """Writes `sequence` as a MIDI file, whole or not at all; `sequence` stays as it is.

    A tempo that MIDI does not hold is clipped with a line in the log; notes keep their seconds.

    >>> (tune,) = read_music_file("examples/tunes/soldiers_joy.mid")
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_midi(with_tempo(tune, 60), Path(folder, "slow.mid"))
    ...     tempo_of(*read_music_file(Path(folder, "slow.mid")))
    60.0

    Raises:
      UserError: If the path is that of a directory.
    """
    target = files.expand(path)
    if target.is_dir():
        raise UserError(f"{target} is a directory; expected the name of a MIDI file")
    midi = import_note_seq().note_sequence_to_pretty_midi(_writable(sequence))
    with files.atomic_path(target) as temporary:
        midi.write(str(temporary))


def with_tempo(sequence: NoteSequence, qpm: float) -> NoteSequence:
    """Returns a copy of a piece of one tempo that is played at `qpm` quarter notes a minute.

    A tempo that MIDI does not hold is clipped with a line in the log.

    >>> (tune,) = read_music_file("examples/tunes/soldiers_joy.mid")
    >>> round(tune.total_time, 1), round(with_tempo(tune, 60).total_time, 1)  # seconds
    (33.5, 67.0)
    """
    qpm = _midi_tempo(qpm)
    factor = tempo_of(sequence) / qpm
    copy = import_note_seq().sequences_lib.stretch_note_sequence(sequence, factor)
    del copy.tempos[:]
    copy.tempos.add(qpm=qpm)
    return copy


def tempo_of(sequence: NoteSequence) -> float:
    """Returns the tempo at the beginning, in quarter notes a minute; without one MIDI's default.

    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> tempo_of(NoteSequence(tempos=[{"qpm": 96}])), tempo_of(NoteSequence())
    (96.0, 120.0)
    """
    first = min(sequence.tempos, key=lambda tempo: tempo.time, default=None)
    return first.qpm if first is not None and first.qpm > 0 else DEFAULT_QPM


def source_type(path: str | os.PathLike) -> str:
    """Returns `midi`, `musicxml` or `abc` by the suffix of a path, or raises `KeyError`.

    >>> source_type("tunes/reel.MID"), source_type("tunes/waltz.mxl")
    ('midi', 'musicxml')
    """
    suffix = Path(path).suffix.lower()
    for name, suffixes in (
        ("midi", MIDI_SUFFIXES),
        ("musicxml", MUSICXML_SUFFIXES),
        ("abc", ABC_SUFFIXES),
    ):
        if suffix in suffixes:
            return name
    raise KeyError(suffix)


def _midi_tempo(qpm: float) -> float:
    """Returns the tempo that is next to `qpm` of those that MIDI holds."""
    clipped = min(max(qpm, MIN_MIDI_QPM), MAX_MIDI_QPM)
    # A parser's tempo of the slowest file is off by a rounding error.
    if not math.isclose(clipped, qpm):
        _log.warning("MIDI holds no tempo of %g; written as %.2f", qpm, clipped)
        return clipped
    return qpm


def _writable(sequence: NoteSequence) -> NoteSequence:
    """Returns `sequence`, or a copy that note_seq and MIDI can write.

    note_seq keeps only the last program of instrument 0 when it writes; all other instruments may
    have several. In MIDI, the end of a note is the end of all notes of its pitch that sound, so a
    note that does not end with the next of its pitch ends where that begins, at the latest.
    """
    events = (*sequence.notes, *sequence.pitch_bends, *sequence.control_changes)
    shared = len({(e.program, e.is_drum) for e in events if e.instrument == 0}) > 1
    tempos = [_midi_tempo(t.qpm) if t.qpm > 0 else DEFAULT_QPM for t in sequence.tempos]
    ends_s = _ends_before_the_next(sequence)
    if not (shared or ends_s) and tempos == [tempo.qpm for tempo in sequence.tempos]:
        return sequence
    copy = type(sequence)()
    copy.CopyFrom(sequence)
    for tempo, qpm in zip(copy.tempos, tempos, strict=True):
        tempo.qpm = qpm
    for number, end_s in ends_s.items():
        copy.notes[number].end_time = end_s
    if shared:
        for group in (copy.notes, copy.pitch_bends, copy.control_changes, copy.instrument_infos):
            for event in group:
                event.instrument += 1
    return copy


def _ends_before_the_next(sequence: NoteSequence) -> dict[int, float]:
    """Returns the end in seconds of the notes, by number, that overlap the next of their pitch.

    Notes that begin or end within a tick of each other are not told apart.
    """
    keys: dict[tuple[int, int, bool, int], list[tuple[float, float, int]]] = defaultdict(list)
    for number, note in enumerate(sequence.notes):
        key = note.instrument, note.program, note.is_drum, note.pitch
        keys[key].append((note.start_time, note.end_time, number))
    ticks = sequence.ticks_per_quarter or _TICKS_PER_QUARTER
    fastest = max((tempo.qpm for tempo in sequence.tempos), default=0.0)
    tick_s = 60 / (fastest if fastest > 0 else DEFAULT_QPM) / ticks
    ends_s: dict[int, float] = {}
    for spans in keys.values():
        spans.sort()
        starts_s = [start_s for start_s, _, _ in spans]
        for start_s, end_s, number in spans:
            following = bisect_right(starts_s, start_s + tick_s)
            if following == len(spans):
                continue
            next_s, next_end_s, _ = spans[following]
            if next_s < end_s and abs(end_s - next_end_s) > tick_s:
                ends_s[number] = next_s
    return ends_s


def _size_limit(path: Path) -> int:
    return MAX_MIDI_BYTES if path.suffix.lower() in MIDI_SUFFIXES else MAX_TEXT_BYTES


def _read_bytes(path: Path, limit: int) -> bytes:
    """Returns the contents of a regular file of at most `limit` bytes."""
    try:
        if not path.exists():
            raise UnreadableMusicError("no such file")
        if not path.is_file():
            raise UnreadableMusicError("not a regular file")
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > limit:
                raise UnreadableMusicError(f"larger than {limit >> 20} MiB")
            return file.read(size)
    except OSError as error:
        raise UnreadableMusicError("cannot be opened", error.strerror or str(error)) from error


def _read(data: bytes, suffix: str, source: Path) -> Reading:
    """Reads a file of the kind that its suffix names.

    The readers are imported here: whoever samples, which is most, reads no music.
    """
    if suffix in MIDI_SUFFIXES:
        from music_vae.music.readers.midi_file import read_midi as reader
    elif suffix in ABC_SUFFIXES:
        from music_vae.music.readers.abc_file import read_abc as reader
    elif suffix == ".mxl":
        from music_vae.music.readers.musicxml_file import read_mxl as reader
    else:
        from music_vae.music.readers.musicxml_file import read_musicxml as reader
    return reader(data, source)
