"""Reads the bytes of one track of a MIDI file as events, as far as they can be read.

A damaged event costs what it stands for, not the track: reading goes on at the next bytes that are
events without doubt. What was not read is named.
"""

import re
from collections import Counter
from types import SimpleNamespace
from typing import NamedTuple

from music_vae.music.readers.midi_events import Event, channel_event, meta_event

# MIDI 1.0: the upper four bits of a change of program, and of pressure on a channel.
_ONE_DATA_BYTE = (0xC, 0xD)
# Messages of the system, which music is not read from; four of them are not defined.
_SYSEX_STATUS = (0xF0, 0xF7)
_SYSTEM_DATA_BYTES = dict.fromkeys({*range(0xF1, 0xFF)} - {0xF7}, 0) | {0xF1: 1, 0xF2: 2, 0xF3: 1}
_META_STATUS = 0xFF
_END_OF_TRACK = 0x2F
# A variable-length quantity has at most four bytes.
_MAX_QUANTITY_BYTES = 4
# After damage, so many events in a row are no accident.
_SOUND_EVENTS = 4
# A track with more damage than that holds something else.
_MAX_DAMAGED = 16
_SEARCHED_BYTES = 1 << 16
# No piece rests for a tenth of the time that the longest may last, which is hours.
_LONGEST_REST_IN_TRACK = 10
# More bytes than that after the end of a track are no accident.
_MAX_BYTES_AFTER_END = 8
# The last byte of a time, and the status of an event of a channel or of a meta event.
_BEFORE_STATUS = re.compile(rb"[\x00-\x7f](?=[\x80-\xef\xff])")
_NO_PADDING = re.compile(rb"[^\x00\r\n ]")


class DamageError(ValueError):
    """Is raised where bytes are no event.

    >>> raise DamageError("no event starts at byte 12")
    Traceback (most recent call last):
    ...
    music_vae.music.readers.midi_track.DamageError: no event starts at byte 12
    """


class TrackReading(NamedTuple):
    """The events that could be read of a track.

    Attributes:
      events: Its events at absolute ticks; the last is its end.
      num_events: Number of events that there were to read.
      damage: The first thing that could not be read, as a clause; empty if all could.
      is_too_long: True if the track goes on after the most ticks or events that are read.
      has_long_rest: True if a time between two events was left out, as no music rests so long.

    >>> read_track(bytes([0, 0xFF, 0x2F, 0]), Limits(10, 1000), Counter()).damage
    ''
    """

    events: list[Event]
    num_events: int
    damage: str
    is_too_long: bool
    has_long_rest: bool


class Limits(NamedTuple):
    """Numbers of events and of ticks, of which no more are read.

    >>> Limits(events=1_000_000, ticks=10_000_000).events
    1000000
    """

    events: int
    ticks: int


def read_track(
    data: bytes, limits: Limits, ignored: Counter[str], *, start: int = 0, is_cut: bool = False
) -> TrackReading:
    """Reads a track, up to its end or that of its bytes.

    A note of 96 ticks, of whose end only the time is there:

    >>> cut = read_track(bytes([0, 0x90, 60, 80, 96]), Limits(10, 1000), Counter(), start=22)
    >>> [(event.type, event.time) for event in cut.events], cut.damage
    ([('note_on', 0), ('end_of_track', 96)], 'is cut off at byte 27')

    Args:
      data: The bytes of the track.
      limits: Numbers at which reading stops.
      ignored: Counter of what makes no sense, in plain words.
      start: Place of the bytes in the file, for what is said of damage.
      is_cut: True if there should have been more bytes.
    """
    reader, damage, position = _Reader(data, limits, ignored), "", 0
    for _ in range(_MAX_DAMAGED):
        try:
            reader.read_from(position)
        except (DamageError, IndexError) as error:
            after = _next_sound_event(data, reader.event_start + 1)
            is_end = after is None and isinstance(error, IndexError)
            place = start + (len(data) if is_end else reader.event_start)
            damage = damage or f"{'is cut off' if is_end else 'has no event'} at byte {place}"
            if after is None:
                break
            position = after
        else:
            if is_cut and not (reader.has_ended or reader.is_too_long):
                damage = damage or f"is cut off at byte {start + len(data)}"
            break
    reader.events.append(SimpleNamespace(type="end_of_track", time=reader.tick))
    return TrackReading(
        reader.events, reader.num_events, damage, reader.is_too_long, reader.has_long_rest
    )


class _Reader:
    """The state in which a track is read."""

    def __init__(self, data: bytes, limits: Limits, ignored: Counter[str]) -> None:
        self.data, self.limits, self.ignored = data, limits, ignored
        self.events: list[Event] = []
        self.num_events, self.tick, self.running, self.event_start = 0, 0, 0, 0
        self.has_ended = self.is_too_long = self.has_long_rest = False

    def read_from(self, position: int) -> None:
        """Reads events until the track ends, from `position` on.

        Raises `DamageError` or `IndexError` where there is none, which is then at `event_start`.
        """
        data, size = self.data, len(self.data)
        most_ticks, append = self.limits.ticks, self.events.append
        longest_rest = most_ticks // _LONGEST_REST_IN_TRACK
        while position < size and not self.has_ended:
            self.event_start = position
            delta = data[position]
            position += 1
            if delta >= 0x80:
                delta, position = _quantity(data, position - 1)
            self.num_events += 1
            if delta > longest_rest:
                self.ignored[f"a time of {delta:,} ticks between two events"] += 1
                delta, self.has_long_rest = 0, True
            if self.tick + delta > most_ticks or self.num_events > self.limits.events:
                self.is_too_long = True
                return
            self.tick += delta
            status = data[position]
            if status < 0x80:
                status = self.running
            else:
                position += 1
            if 0x80 <= status < 0xF0:
                # No other event ends the running status, as programs have come to expect.
                self.running = status
                first, second, position = _channel_data(data, position, status)
                event = channel_event(status, self.tick, first, second, self.ignored)
            else:
                event, position = self._other_event(position, status)
            if event is not None:
                append(event)

    def _other_event(self, position: int, status: int) -> tuple[Event | None, int]:
        """Returns a meta event and the position after it; None for an event of the system."""
        data = self.data
        if status in _SYSTEM_DATA_BYTES:
            return None, _end(data, position, _SYSTEM_DATA_BYTES[status])
        if status in _SYSEX_STATUS:
            length, position = _quantity(data, position)
            return None, _end(data, position, length)
        if status != _META_STATUS:
            raise DamageError
        kind, (length, position) = data[position], _quantity(data, position + 1)
        after = _end(data, position, length)
        if kind == _END_OF_TRACK:
            self._end_track(after)
        return meta_event(kind, self.tick, data[position:after], self.ignored), after

    def _end_track(self, position: int) -> None:
        """Ends the track, unless so much comes after its end that it cannot be the end."""
        rest = _NO_PADDING.search(self.data, position)
        if rest is None:
            self.has_ended = True
        elif len(self.data) - rest.start() <= _MAX_BYTES_AFTER_END:
            self.has_ended = True
            self.ignored["what comes after the end of a track"] += 1


def _channel_data(data: bytes, position: int, status: int) -> tuple[int, int, int]:
    """Returns both data bytes of a channel message, or one and 0, and the position after them."""
    if status >> 4 in _ONE_DATA_BYTE:
        return data[position], 0, position + 1
    return data[position], data[position + 1], position + 2


def _end(data: bytes, position: int, length: int) -> int:
    """Returns the position after `length` bytes; raises `IndexError` if there are not so many."""
    if position + length > len(data):
        raise IndexError
    return position + length


def _quantity(data: bytes, position: int) -> tuple[int, int]:
    """Reads a variable-length quantity at `position`; returns it and the position after it."""
    value = 0
    for index in range(position, position + _MAX_QUANTITY_BYTES):
        byte = data[index]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, index + 1
    raise DamageError


def _next_sound_event(data: bytes, position: int) -> int | None:
    """Returns the next place from which several events can be read without doubt, or None."""
    for match in _BEFORE_STATUS.finditer(data, position, position + _SEARCHED_BYTES):
        if _is_sound(data, match.start()):
            return match.start()
    return None


def _is_sound(data: bytes, position: int) -> bool:
    """Returns True if events with proper data bytes begin here, of which the first has a status."""
    running = 0
    try:
        for _ in range(_SOUND_EVENTS):
            _, position = _quantity(data, position)
            status = data[position]
            if status < 0x80:
                status = running
            else:
                position += 1
            if 0x80 <= status < 0xF0:
                running = status
                first, second, position = _channel_data(data, position, status)
                if first > 0x7F or second > 0x7F:
                    return False
            elif status == _META_STATUS:
                kind, (length, after) = data[position], _quantity(data, position + 1)
                position = _end(data, after, length)
                if kind == _END_OF_TRACK:
                    return length == 0
            else:
                return False
    except (DamageError, IndexError):
        return False
    return True
