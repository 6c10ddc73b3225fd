"""Writes NoteSequences as MIDI files, laid out as sequencers expect them.

The first track has the tempos, the metres and the keys, from tick 0 on, and what is said of the
piece; then comes a track for each instrument, with its name. All end on the bar line at which the
piece is over, so that a sequencer loops it without a gap.
"""

import io
import logging
import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from music_vae.common.constants import (
    DRUMS_INSTRUMENT,
    MAX_MIDI_QPM,
    MIN_MIDI_QPM,
    SEMITONES,
)
from music_vae.common.errors import UserError
from music_vae.common.texts import printable
from music_vae.music.bar_lines import TICKS_PER_QUARTER, end_quarter
from music_vae.music.tempo_map import TempoMap

if TYPE_CHECKING:
    import mido
    from note_seq.protobuf.music_pb2 import NoteSequence

_log = logging.getLogger(__name__)

_CHARSET = "latin1"  # as pretty_midi and note_seq read texts, and mido writes them
_FIRST_TRACK = "Tempo"
_DRUMS = "Drums"
_MICROSECONDS = 60e6  # in a minute
_MAX_TICKS = (1 << 28) - 1  # in four bytes of seven bits
_CHANNELS = [channel for channel in range(16) if channel != DRUMS_INSTRUMENT]
_MAJOR = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_MINOR = ("Cm", "C#m", "Dm", "D#m", "Em", "Fm", "F#m", "Gm", "G#m", "Am", "Bbm", "Bm")


class _Part(NamedTuple):
    """The key of the events that have a track of their own."""

    instrument: int
    program: int
    is_drum: bool


class _Event(NamedTuple):
    """An event at a tick; of those at one tick, the ones of lower rank come first."""

    tick: int
    rank: int
    message: Any


class _Span(NamedTuple):
    """A note from one tick to another."""

    start: int
    end: int
    pitch: int
    velocity: int


def midi_bytes(sequence: "NoteSequence", text: str = "") -> bytes:
    """Returns a MIDI file of a piece, of `TICKS_PER_QUARTER` ticks.

    In MIDI, the end of a note is the end of all notes of its pitch that sound, so a note that does
    not end with the next of its pitch ends where that begins, at the latest.

    >>> import io, mido
    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> beat = NoteSequence(notes=[{"pitch": 36, "velocity": 90, "end_time": 0.1, "is_drum": True}])
    >>> file = mido.MidiFile(file=io.BytesIO(midi_bytes(beat)))
    >>> [track.name for track in file.tracks], file.length  # a bar of 4/4
    (['Tempo', 'Drums'], 2.0)

    Args:
      sequence: The piece, which stays as it is. A tempo that MIDI does not hold is clipped with a
        line in the log; notes keep their seconds.
      text: Text event at the beginning, such as how the piece was made; empty: there is none.

    Raises:
      UserError: If the piece is too long for a MIDI file.
      ValueError: For a pitch, a velocity or the like that MIDI does not hold.
    """
    import mido

    tempos = _on_ticks(_written_tempos(sequence))
    end = _tick(end_quarter(sequence, tempos))
    if end > _MAX_TICKS:
        quarters = end // TICKS_PER_QUARTER
        raise UserError(f"a piece of {quarters:,} quarter notes is too long for a MIDI file")
    file = mido.MidiFile(ticks_per_beat=TICKS_PER_QUARTER, charset=_CHARSET)
    file.tracks.append(_track(_conducting_events(sequence, tempos, text), end))
    file.tracks.extend(_track(events, end) for events in _parts(sequence, tempos, end))
    content = io.BytesIO()
    file.save(file=content)
    return content.getvalue()


def nearest_tempo(qpm: float) -> float:
    """Returns the tempo that is next to `qpm` of those that MIDI holds.

    >>> nearest_tempo(93.5)
    93.5
    """
    clipped = min(max(qpm, MIN_MIDI_QPM), MAX_MIDI_QPM)
    # A parser's tempo of the slowest file is off by a rounding error.
    if not math.isclose(clipped, qpm):
        _log.warning("MIDI holds no tempo of %g; written as %.2f", qpm, clipped)
        return clipped
    return qpm


# -- Tempo ----------------------------------------------------------------------------------------


def _written_tempos(sequence: "NoteSequence") -> TempoMap:
    """Returns the tempos of a piece as MIDI holds them; one that is none is the default."""
    tempos = TempoMap.of(sequence)
    return TempoMap(tempos.times_s, tuple(map(nearest_tempo, tempos.qpms)))


def _on_ticks(tempos: TempoMap) -> TempoMap:
    """Returns tempos of which each begins at the tick that is next to its time."""
    times_s, qpms = [0.0], [tempos.qpms[0]]
    for time_s, qpm in zip(tempos.times_s[1:], tempos.qpms[1:], strict=True):
        tick_s = 60 / qpms[-1] / TICKS_PER_QUARTER
        ticks = round((time_s - times_s[-1]) / tick_s)
        if ticks > 0:
            times_s.append(times_s[-1] + ticks * tick_s)
            qpms.append(qpm)
        else:
            qpms[-1] = qpm
    return TempoMap(tuple(times_s), tuple(qpms))


def _tick(quarter: float) -> int:
    """Returns the tick of a place in the piece; the first one is 0."""
    return max(round(quarter * TICKS_PER_QUARTER), 0)


def _ticks(tempos: TempoMap) -> Callable[[float], int]:
    """Returns the function from a time in seconds to its tick."""
    return lambda time_s: _tick(tempos.quarter_at(time_s))


# -- Tracks ---------------------------------------------------------------------------------------


def _track(events: Iterable[_Event], end: int) -> "mido.MidiTrack":
    """Returns a track of events, in order of time, that ends at a tick."""
    import mido

    track, last = mido.MidiTrack(), 0
    for event in sorted(events, key=lambda event: event[:2]):
        track.append(event.message.copy(time=event.tick - last))
        last = event.tick
    track.append(mido.MetaMessage("end_of_track", time=max(end - last, 0)))
    return track


def _conducting_events(sequence: "NoteSequence", tempos: TempoMap, text: str) -> Iterator[_Event]:
    """Yields the events of the first track: name, text, tempos, metres and keys."""
    import mido

    at, title = _ticks(tempos), sequence.sequence_metadata.title
    yield _named(title or _FIRST_TRACK)
    if text:
        yield _Event(0, 1, mido.MetaMessage("text", text=_text(text)))
    for time_s, qpm in zip(tempos.times_s, tempos.qpms, strict=True):
        tempo = min(round(_MICROSECONDS / qpm), 0xFFFFFF)
        yield _Event(at(time_s), 2, mido.MetaMessage("set_tempo", tempo=tempo))
    metres = [(at(m.time), m.numerator, m.denominator) for m in sequence.time_signatures]
    if not any(tick == 0 for tick, _, _ in metres):
        metres.append((0, 4, 4))
    for tick, numerator, denominator in metres:
        metre = {"numerator": numerator, "denominator": denominator}
        yield _Event(tick, 3, mido.MetaMessage("time_signature", **metre))
    for key in sequence.key_signatures:
        names = _MINOR if key.mode == key.MINOR else _MAJOR
        name = names[key.key % SEMITONES]
        yield _Event(at(key.time), 4, mido.MetaMessage("key_signature", key=name))


def _named(name: str) -> _Event:
    """Returns the event that names a track."""
    import mido

    return _Event(0, 0, mido.MetaMessage("track_name", name=_text(name)))


def _text(text: str) -> str:
    """Returns a text of characters that print, whose bytes are UTF-8 where Latin-1 lacks one."""
    shown = printable(text)
    try:
        shown.encode(_CHARSET)
    except UnicodeEncodeError:
        return shown.encode("utf-8", "backslashreplace").decode(_CHARSET)
    return shown


def _parts(sequence: "NoteSequence", tempos: TempoMap, end: int) -> Iterator[list[_Event]]:
    """Yields the events of each instrument."""
    at = _ticks(tempos)
    notes, changes = _by_part(sequence.notes), _by_part(sequence.control_changes)
    bends = _by_part(sequence.pitch_bends)
    names = {info.instrument: info.name for info in sequence.instrument_infos}
    channels = iter(_CHANNELS * (len({*notes, *changes, *bends}) // len(_CHANNELS) + 1))

    for part in sorted({*notes, *changes, *bends}):
        channel = DRUMS_INSTRUMENT if part.is_drum else next(channels)
        messages = _Messages(channel)
        events = [_named(names.get(part.instrument) or _name_of(part)), messages.program(part)]
        events += [messages.control(at(event.time), event) for event in changes[part]]
        events += [messages.bend(at(event.time), event) for event in bends[part]]
        for span in _spans(notes[part], at, end):
            events += messages.note(span)
        yield events


def _by_part(events: Iterable[Any]) -> "defaultdict[_Part, list[Any]]":
    parts: defaultdict[_Part, list[Any]] = defaultdict(list)
    for event in events:
        parts[_Part(event.instrument, event.program, event.is_drum)].append(event)
    return parts


def _name_of(part: _Part) -> str:
    """Returns the name of the program in General MIDI."""
    import pretty_midi

    return _DRUMS if part.is_drum else pretty_midi.program_to_instrument_name(part.program)


class _Messages(NamedTuple):
    """The messages of a channel, each with its place among those of one tick."""

    channel: int

    def program(self, part: _Part) -> _Event:
        """Returns the program of a track, at its beginning."""
        return self._event(0, 1, "program_change", program=part.program)

    def control(self, tick: int, change: Any) -> _Event:
        """Returns a change of a controller."""
        values = {"control": change.control_number, "value": change.control_value}
        return self._event(tick, 2, "control_change", **values)

    def bend(self, tick: int, bend: Any) -> _Event:
        """Returns a bend of the pitch."""
        return self._event(tick, 3, "pitchwheel", pitch=bend.bend)

    def note(self, span: _Span) -> list[_Event]:
        """Returns the beginning and the end of a note."""
        return [
            self._event(span.start, 5, "note_on", note=span.pitch, velocity=span.velocity),
            self._event(span.end, 4, "note_off", note=span.pitch),
        ]

    def _event(self, tick: int, rank: int, kind: str, **values: int) -> _Event:
        import mido

        return _Event(tick, rank, mido.Message(kind, channel=self.channel, **values))


# -- Notes ----------------------------------------------------------------------------------------


def _spans(notes: Iterable[Any], at: Callable[[float], int], end: int) -> list[_Span]:
    """Returns the notes of a track, each at least a tick long and none longer than the track."""
    pitches: defaultdict[int, list[_Span]] = defaultdict(list)
    for note in notes:
        start = at(note.start_time)
        stop = max(min(at(note.end_time), end), start + 1)
        pitches[note.pitch].append(_Span(start, stop, note.pitch, note.velocity))
    return sorted(span for spans in pitches.values() for span in _ended_before_the_next(spans))


def _ended_before_the_next(spans: list[_Span]) -> Iterator[_Span]:
    """Yields notes of one pitch, of which none sounds beyond the beginning of another.

    Notes that begin or end within a tick of each other are not told apart.
    """
    spans = sorted(spans)
    starts = [span.start for span in spans]
    for span in spans:
        after = bisect_right(starts, span.start + 1)
        following = spans[after] if after < len(spans) else None
        overlaps = following is not None and following.start < span.end
        if following is None or not overlaps or abs(span.end - following.end) <= 1:
            yield span
        else:
            yield span._replace(end=following.start)
