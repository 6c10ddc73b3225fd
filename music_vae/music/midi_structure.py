"""Reads the bytes of a MIDI file as tracks of events, and ignores events that make no sense.

A damaged or hostile file of a few bytes can make a parser run for hours or fill the memory, so
lengths and counts are checked on the way. One odd event does not cost the whole file: it is left
out and named. What is kept of a track is what pretty_midi looks at, under mido's names.
"""

import struct
from collections import Counter
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from music_vae.common.constants import MAX_MIDI_VELOCITY
from music_vae.common.lazy_imports import MAX_TICKS
from music_vae.music.unreadable import UnreadableMusicError

# An event takes up to 250 bytes here. A long orchestral work has about 100,000.
MAX_MIDI_EVENTS = 1_000_000
# Converters keep a list entry per sixteenth note or so.
MAX_LENGTH_QUARTERS = 100_000.0

# MIDI 1.0: the upper four bits of a channel message.
_NOTE_OFF, _NOTE_ON, _CONTROL, _PROGRAM, _PRESSURE, _BEND = 0x8, 0x9, 0xB, 0xC, 0xD, 0xE
_BEND_CENTRE = 1 << 13
_SYSTEM_DATA_BYTES = {0xF1: 1, 0xF2: 2, 0xF3: 1, 0xF6: 0}
_SYSTEM_DATA_BYTES |= dict.fromkeys((0xF8, 0xFA, 0xFB, 0xFC, 0xFE), 0)
_SYSEX_STATUS = (0xF0, 0xF7)
_META_STATUS = 0xFF
_TEXT, _TRACK_NAME, _LYRICS, _TEMPO, _METRE, _KEY = 0x01, 0x03, 0x05, 0x51, 0x58, 0x59
_TEXTS = {_TEXT: ("text", "text"), _TRACK_NAME: ("track_name", "name"), _LYRICS: ("lyrics", "text")}
# A metre counts notes no shorter than the 128th.
_MAX_DENOMINATOR_EXPONENT = 7
# From 7 flats to 7 sharps.
_MAJOR_KEYS = "Cb,Gb,Db,Ab,Eb,Bb,F,C,G,D,A,E,B,F#,C#"
_MINOR_KEYS = "Abm,Ebm,Bbm,Fm,Cm,Gm,Dm,Am,Em,Bm,F#m,C#m,G#m,D#m,A#m"
_KEYS = (tuple(_MAJOR_KEYS.split(",")), tuple(_MINOR_KEYS.split(",")))
# A variable-length quantity has at most four bytes.
_MAX_QUANTITY_BYTES = 4
_SEPARATE_PIECES = 2


@dataclass(slots=True)
class NoteEvent:
    """The beginning or the end of a note; a beginning of velocity 0 is an end too.

    >>> NoteEvent("note_on", time=0, channel=0, note=60, velocity=0).starts
    False
    """

    type: str
    time: int
    channel: int
    note: int
    velocity: int

    @property
    def starts(self) -> bool:
        return self.velocity > 0 and self.type == "note_on"


@dataclass(slots=True)
class ControlEvent:
    """A change of a controller.

    >>> ControlEvent(time=96, channel=0, control=64, value=127).type
    'control_change'
    """

    time: int
    channel: int
    control: int
    value: int
    type: str = "control_change"


@dataclass(slots=True)
class BendEvent:
    """A bend of the pitch, from -8192 to 8191.

    >>> BendEvent(time=96, channel=0, pitch=0).type
    'pitchwheel'
    """

    time: int
    channel: int
    pitch: int
    type: str = "pitchwheel"


@dataclass(slots=True)
class ProgramEvent:
    """A change of a channel's program.

    >>> ProgramEvent(time=0, channel=0, program=33).type
    'program_change'
    """

    time: int
    channel: int
    program: int
    type: str = "program_change"


Event = Any
"""One of the classes above, or a namespace of a meta event: `type`, `time` and its values."""


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
            event = _channel_event(status, tick, first, second, ignored)
        elif status == _META_STATUS:
            length, after = _quantity(data, position + 1)
            event = _meta_event(data[position], tick, data[after : after + length], ignored)
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
    if status >> 4 in (_PROGRAM, _PRESSURE):
        return data[position], 0, position + 1
    return data[position], data[position + 1], position + 2


def _channel_event(
    status: int, tick: int, first: int, second: int, ignored: Counter[str]
) -> Event | None:
    """Returns the event of a channel message, or `None` for what music is not read from."""
    kind, channel = status >> 4, status & 0x0F
    if first > 0x7F or second > 0x7F:
        if kind == _NOTE_ON and first <= 0x7F:
            ignored[f"a velocity above {MAX_MIDI_VELOCITY} (read as {MAX_MIDI_VELOCITY})"] += 1
            second = MAX_MIDI_VELOCITY
        elif kind == _NOTE_OFF and first <= 0x7F:
            second = 0
        else:
            ignored["an event with a number above 127"] += 1
            return None
    if kind == _NOTE_ON:
        return NoteEvent("note_on", tick, channel, first, second)
    if kind == _NOTE_OFF:
        return NoteEvent("note_off", tick, channel, first, second)
    if kind == _CONTROL:
        return ControlEvent(tick, channel, first, second)
    if kind == _BEND:
        return BendEvent(tick, channel, (second << 7 | first) - _BEND_CENTRE)
    if kind == _PROGRAM:
        return ProgramEvent(tick, channel, first)
    return None


def _meta_event(kind: int, tick: int, data: bytes, ignored: Counter[str]) -> Event | None:
    """Returns the event of a meta message, or `None` for one that is odd or not about music."""
    if kind in _TEXTS:
        name, value = _TEXTS[kind]
        return SimpleNamespace(type=name, time=tick, **{value: data.decode("latin1")})
    if kind == _TEMPO:
        tempo = int.from_bytes(data[:3], "big")
        if len(data) >= 3 and tempo > 0:
            return SimpleNamespace(type="set_tempo", time=tick, tempo=tempo)
        ignored["a tempo of 0" if len(data) >= 3 else "a tempo of the wrong length"] += 1
    elif kind == _METRE:
        return _metre_event(tick, data, ignored)
    elif kind == _KEY:
        return _key_event(tick, data, ignored)
    return None


def _metre_event(tick: int, data: bytes, ignored: Counter[str]) -> Event | None:
    if len(data) < 4:
        ignored["a metre of the wrong length"] += 1
        return None
    numerator, exponent = data[0], data[1]
    if numerator == 0 or exponent > _MAX_DENOMINATOR_EXPONENT:
        short = exponent <= _MAX_DENOMINATOR_EXPONENT
        lower = str(1 << exponent) if short else f"2 to the power of {exponent}"
        ignored[f"a metre of {numerator}/{lower}"] += 1
        return None
    return SimpleNamespace(
        type="time_signature", time=tick, numerator=numerator, denominator=1 << exponent
    )


def _key_event(tick: int, data: bytes, ignored: Counter[str]) -> Event | None:
    if len(data) < 2:
        ignored["a key signature of the wrong length"] += 1
        return None
    sharps = data[0] - (256 if data[0] > 127 else 0)
    if abs(sharps) > 7:
        ignored[f"a key signature of {abs(sharps)} {'sharps' if sharps > 0 else 'flats'}"] += 1
        return None
    if data[1] > 1:
        ignored["a key signature that is neither major nor minor"] += 1
        return None
    return SimpleNamespace(type="key_signature", time=tick, key=_KEYS[data[1]][sharps + 7])


def _quantity(data: bytes, position: int) -> tuple[int, int]:
    """Reads a variable-length quantity at `position`; returns it and the position after it."""
    value = 0
    for index in range(position, position + _MAX_QUANTITY_BYTES):
        byte = data[index]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, index + 1
    raise UnreadableMusicError("damaged MIDI", f"a number at byte {position} does not end")
