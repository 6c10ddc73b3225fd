"""Defines the events of a MIDI file, and decodes them from their bytes.

An event that makes no sense is left out and named. What is kept of one is what pretty_midi looks
at, under mido's names.
"""

from collections import Counter
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from music_vae.common.constants import MAX_MIDI_VELOCITY

# MIDI 1.0: the upper four bits of a channel message.
_NOTE_OFF, _NOTE_ON, _CONTROL, _PROGRAM, _BEND = 0x8, 0x9, 0xB, 0xC, 0xE
_BEND_CENTRE = 1 << 13
_TEXT, _TRACK_NAME, _LYRICS, _TEMPO, _METRE, _KEY = 0x01, 0x03, 0x05, 0x51, 0x58, 0x59
_TEXTS = {_TEXT: ("text", "text"), _TRACK_NAME: ("track_name", "name"), _LYRICS: ("lyrics", "text")}
# A metre counts notes no shorter than the 128th.
_MAX_DENOMINATOR_EXPONENT = 7
# From 7 flats to 7 sharps.
_MAJOR_KEYS = "Cb,Gb,Db,Ab,Eb,Bb,F,C,G,D,A,E,B,F#,C#"
_MINOR_KEYS = "Abm,Ebm,Bbm,Fm,Cm,Gm,Dm,Am,Em,Bm,F#m,C#m,G#m,D#m,A#m"
_KEYS = (tuple(_MAJOR_KEYS.split(",")), tuple(_MINOR_KEYS.split(",")))


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


def channel_event(
    status: int, tick: int, first: int, second: int, ignored: Counter[str]
) -> Event | None:
    """Returns the event of a channel message, or None for one that music is not read from.

    Args:
      status: Status byte, 0x80 to 0xEF.
      tick: Time of the event.
      first: First data byte.
      second: Second data byte, or 0.
      ignored: Counter of what makes no sense, in plain words.

    >>> channel_event(0xC1, 96, 33, 0, Counter())
    ProgramEvent(time=96, channel=1, program=33, type='program_change')
    """
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


def meta_event(kind: int, tick: int, data: bytes, ignored: Counter[str]) -> Event | None:
    """Returns the event of a meta message, or None for one that is odd or not about music.

    Args:
      kind: Type byte.
      tick: Time of the event.
      data: Its bytes.
      ignored: Counter of what makes no sense, in plain words.

    >>> meta_event(0x51, 0, bytes([7, 161, 32]), Counter()).tempo
    500000
    """
    if kind in _TEXTS:
        name, value = _TEXTS[kind]
        return SimpleNamespace(type=name, time=tick, **{value: _text(data)})
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


def _text(data: bytes) -> str:
    """Returns a text, of which MIDI does not say if it is UTF-8 or Latin-1."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin1")


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
