"""Reads the bytes of a MIDI file as tracks of events, and ignores events that make no sense.

A damaged or hostile file of a few bytes can make a parser run for hours or fill the memory, so
lengths and counts are checked on the way. One odd event or wrong length does not cost the whole
file: it is left out and named.
"""

import struct
from collections import Counter
from dataclasses import dataclass, field

from music_vae.common.constants import MAX_LENGTH_QUARTERS
from music_vae.common.lazy_imports import MAX_TICKS
from music_vae.music.readers.midi_events import Event, NoteEvent
from music_vae.music.readers.midi_frames import count_beats, ticks_per_second
from music_vae.music.readers.midi_track import Limits, TrackReading, read_track
from music_vae.music.unreadable import UnreadableMusicError

# An event takes up to 250 bytes here. A long orchestral work has about 100,000.
MAX_MIDI_EVENTS = 1_000_000

_SEPARATE_PIECES = 2
_MAX_TRACKS = 0xFFFF  # that the header can count
# The parser counts from 0, and a note at the end may get a tick more.
_MAX_TICKS = MAX_TICKS - 2
_TRACK, _HEADER = b"MTrk", b"MThd"
_CHUNK_HEAD_BYTES = 8
_LAST_EVENT = b"\xff\x2f\x00"


@dataclass
class MidiTracks:
    """The events of a MIDI file, at absolute ticks; the last of each track is its end.

    `ignored` counts what was left out, in plain words; `remarks` are what else is to be said. In a
    file of type 2, the tracks `are_pieces` of their own.

    >>> empty = b"MThd" + bytes([0, 0, 0, 6, 0, 0, 0, 1, 0, 96]) + b"MTrk" + bytes(4)
    >>> [[event.type for event in track] for track in read_tracks(empty).tracks]
    [['end_of_track']]
    """

    ticks_per_quarter: int
    tracks: list[list[Event]] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    remarks: list[str] = field(default_factory=list)
    are_pieces: bool = False

    def pieces(self) -> "list[MidiTracks]":
        """Returns each track with notes by itself, if they are pieces; otherwise all together.

        >>> note = NoteEvent("note_on", time=0, channel=0, note=60, velocity=80)
        >>> len(MidiTracks(96, [[note], [], [note]], are_pieces=True).pieces())
        2
        """
        playing = [t for t in self.tracks if any(type(event) is NoteEvent for event in t)]
        if not self.are_pieces or len(playing) < 2:
            return [self]
        return [MidiTracks(self.ticks_per_quarter, [track]) for track in playing]


def unwrapped(data: bytes) -> bytes:
    """Returns the MIDI file in a RIFF file, as `.rmi` is one; any other content as it is.

    >>> unwrapped(b"RIFF" + bytes(4) + b"RMIDdata" + struct.pack("<L", 4) + b"MThd")
    b'MThd'
    >>> unwrapped(b"MThd")
    b'MThd'
    """
    if data[:4] != b"RIFF" or data[8:12] != b"RMID":
        return data
    position = 12
    while position + 8 <= len(data):
        name, (size,) = data[position : position + 4], struct.unpack_from("<L", data, position + 4)
        if name == b"data":
            return data[position + 8 : position + 8 + size]
        position += 8 + size + size % 2  # a chunk of odd size is padded
    return data


def read_tracks(data: bytes) -> MidiTracks:
    """Returns the tracks of a MIDI file, at least one.

    >>> read_tracks(b"RIFF....WAVEfmt ")
    Traceback (most recent call last):
    ...
    music_vae.music.unreadable.UnreadableMusicError: not a MIDI file: it does not start with MThd

    Raises:
      UnreadableMusicError: If there is no music in it, with what is broken, or too much.
    """
    if data[:4] != _HEADER or len(data) < 14:
        raise UnreadableMusicError("not a MIDI file", "it does not start with MThd")
    header_bytes, kind, claimed, division = struct.unpack_from(">LHHh", data, 4)
    if division == 0:
        detail = "its header says 0 ticks per quarter note; expected 1 to 32,767"
        raise UnreadableMusicError("MIDI without a length of a beat", detail)
    per_second = ticks_per_second(division) if division < 0 else 0.0
    midi = MidiTracks(division)
    chunks = _track_chunks(data, _CHUNK_HEAD_BYTES + header_bytes, claimed, midi.ignored)
    if not chunks:
        raise UnreadableMusicError("MIDI without tracks")
    if len(chunks) > _MAX_TRACKS:
        raise UnreadableMusicError(f"MIDI with more than {_MAX_TRACKS:,} tracks")
    midi.are_pieces = kind == _SEPARATE_PIECES
    if division > 0:
        _add_tracks(midi, data, chunks, min(_MAX_TICKS, int(MAX_LENGTH_QUARTERS * division)))
        return midi
    _add_tracks(midi, data, chunks, _MAX_TICKS)
    midi.ticks_per_quarter = count_beats(midi.tracks, per_second)
    last = max(track[-1].time for track in midi.tracks)
    if last > min(_MAX_TICKS, MAX_LENGTH_QUARTERS * midi.ticks_per_quarter):
        raise UnreadableMusicError(f"longer than {MAX_LENGTH_QUARTERS:,.0f} quarter notes")
    if not any(event.type == "set_tempo" for track in midi.tracks for event in track):
        midi.remarks.append(
            "its time counts frames of film and says no tempo; read as 120 quarter notes a minute"
        )
    return midi


def _add_tracks(
    midi: MidiTracks, data: bytes, chunks: list[tuple[int, int]], most_ticks: int
) -> None:
    """Reads tracks up to a tick, and adds them.

    Raises:
      UnreadableMusicError: If there are too many events, or no music is left of a broken file.
    """
    budget = MAX_MIDI_EVENTS
    errors: list[UnreadableMusicError] = []
    for number, (start, end) in enumerate(chunks, 1):
        limits = Limits(budget, most_ticks)
        is_cut = end > len(data)
        track = read_track(data[start:end], limits, midi.ignored, start=start, is_cut=is_cut)
        budget -= track.num_events + 1
        if budget < 0:
            raise UnreadableMusicError(f"MIDI with more than {MAX_MIDI_EVENTS:,} events")
        errors += _errors(track, number, most_ticks, midi.ignored)
        midi.tracks.append(track.events)
    if errors and not any(map(_has_music, midi.tracks)):
        raise errors[0]


def _errors(
    track: TrackReading, number: int, most_ticks: int, ignored: Counter[str]
) -> list[UnreadableMusicError]:
    """Counts what a track lacks; returns why the file is unreadable if it has no other music."""
    errors = []
    if track.damage:
        ignored[f"damage: track {number} {track.damage}"] += 1
        errors.append(UnreadableMusicError("damaged MIDI", f"track {number} {track.damage}"))
    if track.is_too_long:
        ignored[f"what comes after tick {most_ticks:,} in track {number}"] += 1
    if track.is_too_long or track.has_long_rest:
        reason = f"MIDI longer than {MAX_TICKS:,} ticks"
        if most_ticks < _MAX_TICKS:
            reason = f"longer than {MAX_LENGTH_QUARTERS:,.0f} quarter notes"
        errors.append(UnreadableMusicError(reason, f"track {number} is"))
    return errors


def _has_music(track: list[Event]) -> bool:
    """Returns True if a note of the track may last some time."""
    return track[-1].time > 0 and any(type(e) is NoteEvent and e.starts for e in track)


def _track_chunks(
    data: bytes, position: int, claimed: int, ignored: Counter[str]
) -> list[tuple[int, int]]:
    """Finds the beginning and the end of each track, which may lie after that of the data.

    The chunks say how many tracks there are, not the header. Bytes after the last track are often
    an editor's or a mail program's, and no remark is made about them.
    """
    chunks: list[tuple[int, int]] = []
    if data[position : position + 4] != _TRACK and not _is_chunk(data, position):
        position = data.find(_TRACK, len(_HEADER))
    while position >= 0 and position + _CHUNK_HEAD_BYTES <= len(data):
        start = position + _CHUNK_HEAD_BYTES
        end = start + int.from_bytes(data[position + 4 : start], "big")
        is_missing = len(chunks) < claimed
        if _is_track(data, position, end, is_missing=is_missing):
            if not is_missing and end > len(data):
                break
            position = end = _mended_end(data, start, end)
            chunks.append((start, end))
        elif not is_missing:
            break
        else:
            ignored["a part of the file that is no track"] += 1
            position = end if end <= len(data) else data.find(_TRACK, start)
    if len(chunks) != claimed:
        ignored[f"a wrong number of tracks in the header ({claimed}, not {len(chunks)})"] += 1
    return chunks


def _is_track(data: bytes, position: int, end: int, *, is_missing: bool) -> bool:
    """Returns True for the name of a track, in which a letter may be damaged.

    That is believed if a track is missing, or if its last event stands at its end.
    """
    equal = sum(map(int.__eq__, data[position : position + 4], _TRACK))
    believed = is_missing or data[end - len(_LAST_EVENT) : end] == _LAST_EVENT
    return equal == len(_TRACK) or (equal == len(_TRACK) - 1 and believed)


def _mended_end(data: bytes, start: int, end: int) -> int:
    """Returns the end of a track; if its length is wrong, where the next one begins or it ends."""
    if end == len(data) or data[max(start, end - 3) : end] == _LAST_EVENT or _is_chunk(data, end):
        return end
    following = data.find(_TRACK, start)
    if following >= 0:
        return following
    last = data.find(_LAST_EVENT, min(start, end))
    if last >= 0:
        return last + len(_LAST_EVENT)
    return end if end > start else len(data)


def _is_chunk(data: bytes, position: int) -> bool:
    """Returns True if a part of the file begins here, by its name and its length."""
    name = data[position : position + 4]
    size = int.from_bytes(data[position + 4 : position + _CHUNK_HEAD_BYTES], "big")
    fits = position + _CHUNK_HEAD_BYTES + size <= len(data)
    return name == _TRACK or (len(name) == 4 and name.isalnum() and name.isascii() and fits)
