"""Reads the bytes of a MIDI file as tracks of events, and ignores events that make no sense.

A damaged or hostile file of a few bytes can make a parser run for hours or fill the memory, so
lengths and counts are checked on the way. One odd event does not cost the whole file: it is left
out and named. What is kept of a track is what pretty_midi looks at, under mido's names.
"""

import struct
from collections import Counter
from dataclasses import dataclass, field
from types import SimpleNamespace

from music_vae.common.lazy_imports import MAX_TICKS
from music_vae.music.midi_events import Event, channel_event, meta_event
from music_vae.music.unreadable import UnreadableMusicError

# An event takes up to 250 bytes here. A long orchestral work has about 100,000.
MAX_MIDI_EVENTS = 1_000_000
# Converters keep a list entry per sixteenth note or so.
MAX_LENGTH_QUARTERS = 100_000.0

# MIDI 1.0: the upper four bits of a change of program, and of pressure on a channel.
_ONE_DATA_BYTE = (0xC, 0xD)
# Messages of the system, which music is not read from.
_SYSTEM_DATA_BYTES = {0xF1: 1, 0xF2: 2, 0xF3: 1, 0xF6: 0}
_SYSTEM_DATA_BYTES |= dict.fromkeys((0xF8, 0xFA, 0xFB, 0xFC, 0xFE), 0)
_SYSEX_STATUS = (0xF0, 0xF7)
_META_STATUS = 0xFF
# A variable-length quantity has at most four bytes.
_MAX_QUANTITY_BYTES = 4
_SEPARATE_PIECES = 2


@dataclass
class MidiTracks:
    """The events of a MIDI file, at absolute ticks; the last of each track is its end.

    `ignored` counts what was left out, in plain words.

    >>> empty = b"MThd" + bytes([0, 0, 0, 6, 0, 0, 0, 1, 0, 96]) + b"MTrk" + bytes(4)
    >>> [[event.type for event in track] for track in read_tracks(empty).tracks]
    [['end_of_track']]
    """

    ticks_per_quarter: int
    tracks: list[list[Event]] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)


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
      UnreadableMusicError: If the chunks and events are not sound, or too long.
    """
    if data[:4] != b"MThd" or len(data) < 14:
        raise UnreadableMusicError("not a MIDI file", "it does not start with MThd")
    header_bytes, kind, claimed, division = struct.unpack_from(">LHHh", data, 4)
    if division <= 0:
        raise UnreadableMusicError("MIDI time that is not in ticks per quarter note")
    midi = MidiTracks(division)
    chunks = _track_chunks(data, 8 + header_bytes, claimed, midi.ignored)
    if not chunks:
        raise UnreadableMusicError("MIDI without tracks")
    if kind == _SEPARATE_PIECES and len(chunks) > 1:
        detail = "save each as a file of its own"
        raise UnreadableMusicError("MIDI of type 2, whose tracks are separate pieces", detail)
    budget = MAX_MIDI_EVENTS
    for number, (start, end) in enumerate(chunks, 1):
        try:
            track, events = _read_track(data, start, end, budget, midi.ignored)
        except IndexError as error:
            raise UnreadableMusicError("damaged MIDI", f"track {number} is cut off") from error
        budget -= events
        ticks = track[-1].time
        # The parser counts from 0, and a note at the end may get a tick more.
        if ticks + 2 > MAX_TICKS:
            detail = f"track {number} ends at tick {ticks:,}"
            raise UnreadableMusicError(f"MIDI longer than {MAX_TICKS:,} ticks", detail)
        if ticks / division > MAX_LENGTH_QUARTERS:
            raise UnreadableMusicError(f"longer than {MAX_LENGTH_QUARTERS:,.0f} quarter notes")
        midi.tracks.append(track)
    return midi


def _track_chunks(
    data: bytes, position: int, claimed: int, ignored: Counter[str]
) -> list[tuple[int, int]]:
    """Finds the beginning and the end of each track, which may lie after that of the data.

    The chunks say how many tracks there are, not the header. Bytes after the last track are often
    an editor's or a mail program's, and no remark is made about them.
    """
    chunks: list[tuple[int, int]] = []
    while position + 8 <= len(data):
        start = position + 8
        end = start + int.from_bytes(data[position + 4 : start], "big")
        if data[position : position + 4] == b"MTrk":
            if len(chunks) >= claimed and end > len(data):
                break
            chunks.append((start, end))
        elif len(chunks) >= claimed or end > len(data):
            break
        else:
            ignored["a part of the file that is no track"] += 1
        position = end
    if len(chunks) != claimed:
        ignored[f"a wrong number of tracks in the header ({claimed}, not {len(chunks)})"] += 1
    return chunks


def _read_track(
    data: bytes, start: int, end: int, budget: int, ignored: Counter[str]
) -> tuple[list[Event], int]:
    """Returns the events of the track in `data[start:end]`, and how many there were to read.

    Raises `IndexError` where the data ends too soon.
    """
    track: list[Event] = []
    position, tick, events, running = start, 0, 0, 0
    while position < end:
        events += 1
        if events > budget:
            raise UnreadableMusicError(f"MIDI with more than {MAX_MIDI_EVENTS:,} events")
        delta = data[position]
        position += 1
        if delta >= 0x80:
            delta, position = _quantity(data, position - 1)
        tick += delta
        status = data[position]
        if status < 0x80:
            status = running
        else:
            position += 1
            # A meta event leaves the running status alone, as programs have come to expect.
            running = running if status == _META_STATUS else status
        event: Event | None = None
        if 0x80 <= status < 0xF0:
            first, second, position = _channel_data(data, position, status)
            event = channel_event(status, tick, first, second, ignored)
        elif status == _META_STATUS:
            length, after = _quantity(data, position + 1)
            event = meta_event(data[position], tick, data[after : after + length], ignored)
            position = after + length
        elif status in _SYSEX_STATUS and data[position - 1] == status:
            length, position = _quantity(data, position)
            position += length
        elif status in _SYSTEM_DATA_BYTES:
            position += _SYSTEM_DATA_BYTES[status]
        else:
            raise UnreadableMusicError("damaged MIDI", f"no event starts at byte {position}")
        if event is not None:
            track.append(event)
    if position != end or end > len(data):
        raise IndexError
    track.append(SimpleNamespace(type="end_of_track", time=tick))
    return track, events


def _channel_data(data: bytes, position: int, status: int) -> tuple[int, int, int]:
    """Returns both data bytes of a channel message, or one and 0, and the position after them."""
    if status >> 4 in _ONE_DATA_BYTE:
        return data[position], 0, position + 1
    return data[position], data[position + 1], position + 2


def _quantity(data: bytes, position: int) -> tuple[int, int]:
    """Reads a variable-length quantity at `position`; returns it and the position after it."""
    value = 0
    for index in range(position, position + _MAX_QUANTITY_BYTES):
        byte = data[index]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, index + 1
    raise UnreadableMusicError("damaged MIDI", f"a number at byte {position} does not end")
