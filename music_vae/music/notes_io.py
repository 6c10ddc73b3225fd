"""Reads MIDI, MusicXML and ABC files as NoteSequences, and writes NoteSequences as MIDI.

Music files come from anywhere, so they are not trusted: sizes, lengths and structure are checked
before a parser builds anything from them, and whatever a parser raises becomes one short reason.
note_seq is imported when the first file is read, not with this module.
"""

from __future__ import annotations

import codecs
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from music_vae.common import files
from music_vae.common.constants import DEFAULT_QPM
from music_vae.common.errors import UserError
from music_vae.common.lazy_imports import import_note_seq
from music_vae.music import midi_writer
from music_vae.music.readers.reading import MAX_TEXT_BYTES, Reading
from music_vae.music.unreadable import UnreadableMusicError

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

MIDI_SUFFIXES = (".mid", ".midi", ".kar", ".rmi")
MUSICXML_SUFFIXES = (".xml", ".musicxml", ".mxl")
ABC_SUFFIXES = (".abc",)
MUSIC_SUFFIXES = MIDI_SUFFIXES + MUSICXML_SUFFIXES + ABC_SUFFIXES

MAX_MIDI_BYTES = 10 * 2**20


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
        if source.is_dir():
            raise UnreadableMusicError("a folder; expected a file of music")
        if suffix not in MUSIC_SUFFIXES:
            raise UnreadableMusicError(
                f"unknown kind of music file; expected one of {', '.join(MUSIC_SUFFIXES)}"
            )
        return _read(_read_bytes(source, _size_limit(source)), suffix, source)
    except UnreadableMusicError as error:
        raise UnreadableMusicError(error.reason, error.detail, path=source) from error


def read_content(content: bytes, name: str = "the content") -> Reading:
    r"""Reads the content of a MIDI, MusicXML or ABC file, which shows what it is.

    >>> read_content(Path("examples/tunes/soldiers_joy.mid").read_bytes()).sequences[0].total_time
    33.5
    >>> read_content(b"\x00\x01")
    Traceback (most recent call last):
    music_vae.music.unreadable.UnreadableMusicError: the content: neither MIDI nor MusicXML nor ABC

    Args:
      content: The content.
      name: Name of it for messages.

    Raises:
      UnreadableMusicError: If it is not that of such a file, or gives no notes.
    """
    source, suffix = Path(name), _suffix_of(content)
    try:
        if not suffix:
            raise UnreadableMusicError("neither MIDI nor MusicXML nor ABC")
        limit = _size_limit(Path(f"music{suffix}"))
        if len(content) > limit:
            raise UnreadableMusicError(f"larger than {limit >> 20} MiB")
        return _read(content, suffix, source)
    except UnreadableMusicError as error:
        raise UnreadableMusicError(error.reason, error.detail, path=source) from error


def _suffix_of(content: bytes) -> str:
    """Returns the suffix of a file with this content; empty if it is of no kind that is read."""
    if content.startswith((b"MThd", b"RIFF")):
        return ".mid"
    if content.startswith(b"PK"):
        return ".mxl"
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return ".xml"
    text = content.removeprefix(codecs.BOM_UTF8).lstrip()
    if text.startswith(b"<"):
        return ".xml"
    return ".abc" if re.search(rb"^X:\s*\d", text, re.MULTILINE) else ""


def write_midi(sequence: NoteSequence, path: str | os.PathLike, text: str = "") -> None:
    """Writes `sequence` as a MIDI file, whole or not at all; `sequence` stays as it is.

    The file is as `midi_writer.midi_bytes` makes it: it ends on a bar line, and its tracks have
    names.

    >>> (tune,) = read_music_file("examples/tunes/soldiers_joy.mid")
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_midi(with_tempo(tune, 60), Path(folder, "slow.mid"))
    ...     tempo_of(*read_music_file(Path(folder, "slow.mid")))
    60.0

    Args:
      sequence: The piece. A tempo that MIDI does not hold is clipped with a line in the log; notes
        keep their seconds.
      path: Path of the file.
      text: Text event at the beginning, such as how the piece was made; empty: there is none.

    Raises:
      UserError: If the path is that of a directory, or the piece is too long for a MIDI file.
    """
    target = files.expand(path)
    if target.is_dir():
        raise UserError(f"{target} is a directory; expected the name of a MIDI file")
    content = midi_writer.midi_bytes(sequence, text)
    with files.atomic_path(target) as temporary:
        temporary.write_bytes(content)


def with_tempo(sequence: NoteSequence, qpm: float) -> NoteSequence:
    """Returns a copy of a piece of one tempo that is played at `qpm` quarter notes a minute.

    A tempo that MIDI does not hold is clipped with a line in the log.

    >>> (tune,) = read_music_file("examples/tunes/soldiers_joy.mid")
    >>> round(tune.total_time, 1), round(with_tempo(tune, 60).total_time, 1)  # seconds
    (33.5, 67.0)
    """
    qpm = midi_writer.nearest_tempo(qpm)
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
