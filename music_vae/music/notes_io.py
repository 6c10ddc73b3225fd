"""Reads MIDI, MusicXML and ABC files as NoteSequences, and writes NoteSequences as MIDI.

Music files come from anywhere, so they are not trusted: sizes, lengths and structure are checked
before a parser builds anything from them, and whatever a parser raises becomes one short reason.
note_seq is imported when the first file is read, not with this module.
"""

from __future__ import annotations

import contextlib
import io
import logging
import math
import os
import warnings
import zipfile
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from music_vae.common import files
from music_vae.common.constants import (
    DEFAULT_QPM,
    MAX_MIDI_PITCH,
    MAX_MIDI_QPM,
    MIN_MIDI_QPM,
)
from music_vae.common.errors import UserError
from music_vae.common.lazy_imports import import_note_seq
from music_vae.music.readers import abc_structure
from music_vae.music.readers.abc_tune import read_tune
from music_vae.music.readers.midi_repairs import pitch_of, repair
from music_vae.music.readers.midi_structure import (
    MAX_LENGTH_QUARTERS,
    MidiTracks,
    read_tracks,
    unwrapped,
)
from music_vae.music.readers.musicxml_score import read_musicxml
from music_vae.music.readers.musicxml_structure import root_files
from music_vae.music.readers.written_score import WrittenScore
from music_vae.music.tempo_map import TempoMap
from music_vae.music.unreadable import UnreadableMusicError

if TYPE_CHECKING:
    import mido
    from note_seq.protobuf.music_pb2 import NoteSequence

_log = logging.getLogger(__name__)

MIDI_SUFFIXES = (".mid", ".midi", ".kar", ".rmi")
MUSICXML_SUFFIXES = (".xml", ".musicxml", ".mxl")
ABC_SUFFIXES = (".abc",)
MUSIC_SUFFIXES = MIDI_SUFFIXES + MUSICXML_SUFFIXES + ABC_SUFFIXES

MAX_MIDI_BYTES = 10 * 2**20
# The text formats, uncompressed: the largest orchestral scores come to some tens of megabytes.
MAX_TEXT_BYTES = 50 * 2**20
# Converters keep a list entry per sixteenth note or so. A day of music is a mistake.
MAX_LENGTH_S = 24 * 3600.0

_SHOWN_REMARKS = 3
_MAX_PIECES = 1_000  # of a MIDI file
_TICKS_PER_QUARTER = 220  # of MIDI that note_seq writes
_MXL_CONTAINER = "META-INF/container.xml"
_MXL_SCORE_TYPES = (None, "application/vnd.recordare.musicxml+xml")


class Reading(NamedTuple):
    """The sequences of a music file, and counted reasons for the tunes that were skipped.

    An ABC file or a MIDI file of type 2 holds several tunes, each with its `reference_number`; any
    other has one sequence, and nothing is skipped.

    >>> sequences, skipped = read_file("examples/tunes/soldiers_joy.mid")
    >>> len(sequences), sum(skipped.values())
    (1, 0)
    """

    sequences: list[NoteSequence]
    skipped: Counter[str]


def read_music_file(path: str | os.PathLike) -> list[NoteSequence]:
    """Returns the sequences, at least one, of a file that its suffix says is MIDI, MusicXML or ABC.

    Every sequence has notes, with pitches 0..127, velocities 1..127 and times in seconds within
    `MAX_LENGTH_S`. An ABC file gives one sequence per tune that can be read, and a MIDI file of
    type 2 one per track; `read_file` also says why others cannot.

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
        return _READERS[suffix](_read_bytes(source, _size_limit(source)), source)
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


@contextlib.contextmanager
def _parsing(kind: str) -> Iterator[None]:
    """Turns whatever a parser raises into an `UnreadableMusicError`.

    Parsers raise dozens of kinds for broken files, down to IndexError and ZeroDivisionError, so
    nothing narrower will do.
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


def _read_midi(data: bytes, source: Path) -> Reading:
    """Reads the sequences of a MIDI file, which a RIFF file (`.rmi`) may wrap.

    It logs what it ignores in `source`.
    """
    tracks = read_tracks(unwrapped(data))
    pieces = tracks.pieces()
    if len(pieces) > _MAX_PIECES:
        raise UnreadableMusicError(f"MIDI of type 2 with more than {_MAX_PIECES:,} pieces")
    sequences: list[NoteSequence] = []
    errors: list[UnreadableMusicError] = []
    for number, piece in enumerate(pieces, 1):
        try:
            sequences.append(_read_piece(piece))
        except UnreadableMusicError as error:
            errors.append(error)
        else:
            sequences[-1].reference_number = number if len(pieces) > 1 else 0
    if not sequences:
        raise errors[0]
    for remark in tracks.remarks:
        _log.warning("%s: %s", source, remark)
    _log_ignored(source, tracks.ignored)
    return Reading(sequences, Counter(error.reason for error in errors))


def _read_piece(tracks: MidiTracks) -> NoteSequence:
    """Makes notes of the events of a piece, which it changes."""
    repair(tracks)
    note_seq = import_note_seq()
    import pretty_midi

    with _parsing("MIDI"), warnings.catch_warnings():
        # pretty_midi warns of tempo changes outside the first track, which are common.
        warnings.filterwarnings("ignore", message="Tempo, Key or Time signature")
        midi = pretty_midi.PrettyMIDI(mido_object=_mido_file(tracks))
        for instrument in midi.instruments:
            for note in instrument.notes:
                note.pitch = pitch_of(note.pitch)
        return _checked(note_seq.midi_to_note_sequence(midi))


def _listed(counts: Counter[str]) -> str:
    """Returns the first few of `counts` in one line."""
    shown = [f"{name} ({count} times)" if count > 1 else name for name, count in counts.items()]
    more = [f"{len(shown) - _SHOWN_REMARKS} more"] if len(shown) > _SHOWN_REMARKS else []
    return ", ".join(shown[:_SHOWN_REMARKS] + more)


def _mido_file(midi: MidiTracks) -> mido.MidiFile:
    """Returns the tracks as pretty_midi takes them: each event counts from the one before it."""
    import mido

    for track in midi.tracks:
        last = 0
        for event in track:
            event.time, last = event.time - last, event.time
    return mido.MidiFile(ticks_per_beat=midi.ticks_per_quarter, tracks=midi.tracks)


def _read_musicxml(data: bytes, source: Path) -> Reading:
    """Reads the one sequence of an uncompressed MusicXML file; logs what it ignores in `source`."""
    with _parsing("MusicXML"):
        score = read_musicxml(data)
        sequence = _sequence_of(score)
    sequence.source_info.encoding_type = sequence.source_info.MUSIC_XML
    _log_ignored(source, score.ignored)
    return Reading([sequence], Counter())


def _sequence_of(score: WrittenScore) -> NoteSequence:
    """Returns the sequence of a score; without notes, the reason is why none is left."""
    if not score.notes and score.ignored:
        kinds = list(score.ignored)
        detail = f"ignored: {_listed(score.ignored)}" if len(kinds) > 1 else ""
        raise UnreadableMusicError("no notes" if detail else kinds[0], detail)
    return _checked(score.to_sequence())


def _log_ignored(source: Path, ignored: Counter[str]) -> None:
    if ignored:
        _log.warning("%s: ignored: %s", source, _listed(ignored))


def _read_mxl(data: bytes, source: Path) -> Reading:
    """Reads the one sequence of a compressed MusicXML file."""
    with _parsing("compressed MusicXML"), zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = root_files(_read_member(archive, _MXL_CONTAINER))
        names = [name for name, kind in files if kind in _MXL_SCORE_TYPES]
        if not names:
            raise UnreadableMusicError("compressed MusicXML without a score")
        return _read_musicxml(_read_member(archive, names[0]), source)


def _read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Returns the contents of one file of an archive; never more than `MAX_TEXT_BYTES`."""
    try:
        info = archive.getinfo(name)
    except KeyError as error:
        raise UnreadableMusicError("compressed MusicXML without a score", f"no {name}") from error
    # The other methods unpack without a bound on their output.
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnreadableMusicError("compressed MusicXML with an unknown compression method")
    if info.file_size > MAX_TEXT_BYTES:
        raise UnreadableMusicError(f"larger than {MAX_TEXT_BYTES >> 20} MiB when unpacked")
    with archive.open(info) as file:
        # With a size to read, zipfile unpacks no more than that, whatever the data holds; what
        # was declared too small then fails its checksum.
        return file.read(info.file_size)


def _read_abc(data: bytes, source: Path) -> Reading:
    """Reads the tunes of an ABC file, and counts the skipped ones by reason."""
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
            sequence, number = _read_abc_tune(tune, ignored)
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
    _log_ignored(source, ignored)
    return Reading(sequences, skipped)


def _read_abc_tune(text: str, ignored: Counter[str]) -> tuple[NoteSequence, int | None]:
    """Reads one tune, and its number if it has one.

    One at a time, so that a broken tune does not take the others with it.
    """
    abc_structure.check_tune(text)
    with _parsing("ABC"):
        tune = read_tune(text)
        sequence = _sequence_of(tune.score)
    ignored.update(tune.score.ignored)
    sequence.source_info.encoding_type = sequence.source_info.ABC
    sequence.reference_number = tune.number or 0
    sequence.sequence_metadata.title = "; ".join(tune.titles)
    sequence.sequence_metadata.composers.extend(tune.composers)
    sequence.sequence_metadata.artist = tune.composers[0] if tune.composers else ""
    return sequence, tune.number


def _checked(sequence: NoteSequence) -> NoteSequence:
    """Returns a parser's sequence, if its notes can be relied on."""
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


_READERS: dict[str, Callable[[bytes, Path], Reading]] = {
    **dict.fromkeys(MIDI_SUFFIXES, _read_midi),
    **dict.fromkeys(MUSICXML_SUFFIXES, _read_musicxml),
    ".mxl": _read_mxl,
    **dict.fromkeys(ABC_SUFFIXES, _read_abc),
}
