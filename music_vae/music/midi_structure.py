"""Checks that a MIDI file is sound, before a parser builds anything of it.

A damaged or hostile file of a few bytes can make a parser run for hours or fill the memory.
"""

import struct

from music_vae.common.lazy_imports import MAX_TICKS
from music_vae.music.unreadable import UnreadableMusicError

# An event takes about 250 bytes in the parser. A long orchestral work has about 100,000.
MAX_MIDI_EVENTS = 1_000_000
# Converters keep a list entry per sixteenth note or so.
MAX_LENGTH_QUARTERS = 100_000.0

# MIDI 1.0: data bytes after a status byte (the upper four bits for channel messages).
_CHANNEL_DATA_BYTES = {0x8: 2, 0x9: 2, 0xA: 2, 0xB: 2, 0xC: 1, 0xD: 1, 0xE: 2}
_SYSTEM_DATA_BYTES = {0xF1: 1, 0xF2: 2, 0xF3: 1, 0xF6: 0}
_SYSTEM_DATA_BYTES |= dict.fromkeys((0xF8, 0xFA, 0xFB, 0xFC, 0xFE), 0)
_SYSEX_STATUS = (0xF0, 0xF7)
_META_STATUS = 0xFF
# A variable-length quantity has at most four bytes.
_MAX_QUANTITY_BYTES = 4


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


def check_midi(data: bytes) -> None:
    """Raises `UnreadableMusicError` unless the chunks and events are sound and not too long.

    It walks through the file as mido's parser does, but builds nothing, so it is cheap on any
    input.

    >>> check_midi(b"RIFF....WAVEfmt ")
    Traceback (most recent call last):
    ...
    music_vae.music.unreadable.UnreadableMusicError: not a MIDI file: it does not start with MThd
    """
    if data[:4] != b"MThd" or len(data) < 14:
        raise UnreadableMusicError("not a MIDI file", "it does not start with MThd")
    header_bytes, _, tracks, division = struct.unpack_from(">LHhh", data, 4)
    if division <= 0:
        raise UnreadableMusicError("MIDI time that is not in ticks per quarter note")
    if tracks <= 0:
        raise UnreadableMusicError("MIDI without tracks")
    position = 8 + header_bytes
    events = 0
    for track in range(tracks):
        name, size = data[position : position + 4], data[position + 4 : position + 8]
        if name != b"MTrk" or len(size) < 4:
            raise UnreadableMusicError("damaged MIDI", f"track {track + 1} of {tracks} is missing")
        start = position + 8
        position = start + int.from_bytes(size, "big")
        try:
            ticks, track_events = _walk_track(data, start, position)
        except IndexError as error:
            raise UnreadableMusicError("damaged MIDI", f"track {track + 1} is cut off") from error
        events += track_events
        if ticks > MAX_TICKS:
            detail = f"track {track + 1} ends at tick {ticks:,}"
            raise UnreadableMusicError(f"MIDI longer than {MAX_TICKS:,} ticks", detail)
        if ticks / division > MAX_LENGTH_QUARTERS:
            raise UnreadableMusicError(f"longer than {MAX_LENGTH_QUARTERS:,.0f} quarter notes")
        if events > MAX_MIDI_EVENTS:
            raise UnreadableMusicError(f"MIDI with more than {MAX_MIDI_EVENTS:,} events")


def _walk_track(data: bytes, start: int, end: int) -> tuple[int, int]:
    """Returns the length in ticks and the number of events of the track in `data[start:end]`.

    Raises `IndexError` where the data ends too soon.
    """
    position, ticks, events, running = start, 0, 0, 0
    while position < end:
        delta, position = _quantity(data, position)
        ticks += delta
        events += 1
        status = data[position]
        if status < 0x80:
            status = running
        else:
            position += 1
            # As in mido: a meta event leaves the running status alone.
            running = running if status == _META_STATUS else status
        if status >> 4 in _CHANNEL_DATA_BYTES:
            position += _CHANNEL_DATA_BYTES[status >> 4]
        elif status == _META_STATUS:
            length, position = _quantity(data, position + 1)
            position += length
        elif status in _SYSEX_STATUS and data[position - 1] == status:
            length, position = _quantity(data, position)
            position += length
        elif status in _SYSTEM_DATA_BYTES:
            position += _SYSTEM_DATA_BYTES[status]
        else:
            raise UnreadableMusicError("damaged MIDI", f"no event starts at byte {position}")
    if position != end or end > len(data):
        raise IndexError
    return ticks, events


def _quantity(data: bytes, position: int) -> tuple[int, int]:
    """Reads a variable-length quantity at `position`; returns it and the position after it."""
    value = 0
    for index in range(position, position + _MAX_QUANTITY_BYTES):
        byte = data[index]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, index + 1
    raise UnreadableMusicError("damaged MIDI", f"a number at byte {position} does not end")
