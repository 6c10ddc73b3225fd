"""Puts into order what the tracks of a MIDI file say, before pretty_midi makes notes of them.

pretty_midi reads tempo, metre and key from the first track only, programs from the track that the
notes are on, and drops notes that last no time or never end. Files of all these kinds are common.
Whatever a file says in the usual way is left exactly as it is.
"""

import bisect
from collections import defaultdict
from collections.abc import Iterable
from itertools import zip_longest
from operator import attrgetter
from types import SimpleNamespace

from music_vae.music.midi_events import Event, NoteEvent, ProgramEvent
from music_vae.music.midi_structure import MidiTracks

_DRUM_CHANNEL = 9
_GLOBAL_VALUES = {
    "set_tempo": attrgetter("tempo"),
    "time_signature": attrgetter("numerator", "denominator"),
    "key_signature": attrgetter("key"),
}
_TIME = attrgetter("time")


def repair(midi: MidiTracks) -> None:
    """Changes `midi` so that pretty_midi reads all that it says.

    - Tempo, metre and key of all tracks hold for all tracks.
    - The programs of a channel hold for all tracks that play it.
    - A note without length gets the shortest, a note that never ends ends with its track, and a
      hit of a drum ends at the next one of the same drum.

    >>> end = NoteEvent("note_off", time=96, channel=0, note=60, velocity=0)
    >>> midi = MidiTracks(96, [[NoteEvent("note_on", 0, 0, 60, 80), end]])
    >>> repair(midi)
    >>> midi.tracks[0][-1] is end
    True
    """
    _gather_global_events(midi.tracks)
    _spread_programs(midi.tracks)
    midi.tracks[:] = [_with_whole_notes(track) for track in midi.tracks]


def _gather_global_events(tracks: list[list[Event]]) -> None:
    """Copies changes of tempo, metre and key on later tracks to the first.

    Many programs repeat them on every track, so what changes nothing is not copied. Where two
    tracks disagree at one time, the earlier track is right.
    """
    if not any(event.type in _GLOBAL_VALUES for track in tracks[1:] for event in track):
        return
    events = [
        (event.time, number, event)
        for number, track in enumerate(tracks)
        for event in track
        if event.type in _GLOBAL_VALUES
    ]
    events.sort(key=lambda entry: entry[:2])
    moved: list[Event] = []
    current: dict[str, tuple[int, int, object]] = {}  # time, track and value
    for time, number, event in events:
        value = _GLOBAL_VALUES[event.type](event)
        last_time, last_number, last_value = current.get(event.type, (-1, 0, None))
        if number > 0 and (value == last_value or (time == last_time and number != last_number)):
            continue
        current[event.type] = (time, number, value)
        if number > 0:
            moved.append(SimpleNamespace(**vars(event)))
    tracks[0] = _merged(tracks[0], moved)


def _spread_programs(tracks: list[list[Event]]) -> None:
    """Inserts the programs of a channel into the tracks that play it but do not set them.

    A track that sets the program of a channel keeps it, even if others play the channel too: some
    programs reuse a channel on many tracks.
    """
    programs: dict[int, list[tuple[int, ProgramEvent]]] = defaultdict(list)
    for number, track in enumerate(tracks):
        for event in track:
            if event.type == "program_change":
                programs[event.channel].append((number, event))
    if len(tracks) == 1 or not programs:
        return
    played = [{event.channel for event in t if event.type == "note_on"} for t in tracks]
    for number, track in enumerate(tracks):
        inserted: list[Event] = []
        for channel in sorted(played[number] & programs.keys()):
            own = any(other == number for other, _ in programs[channel])
            # Beside its own, only those of tracks that play nothing on the channel are meant.
            inserted += [
                ProgramEvent(event.time, channel, event.program)
                for other, event in programs[channel]
                if other != number and not (own and channel in played[other])
            ]
        if inserted:
            tracks[number] = _merged(inserted, track)


def _with_whole_notes(track: list[Event]) -> list[Event]:
    """Returns the track with an end, after its beginning, for every note."""
    troubled = _troubled_notes(track)
    if not troubled:
        return track
    end = track[-1].time
    rest, notes = [], defaultdict(list)
    for event in track:
        key = (event.channel, event.note) if isinstance(event, NoteEvent) else None
        if key in troubled:
            notes[key].append(event)
        else:
            rest.append(event)
    rebuilt: list[Event] = []
    for (channel, pitch), events in notes.items():
        spans = _drum_spans(events, end) if channel == _DRUM_CHANNEL else _spans(events, end)
        for start, stop, velocity in spans:
            rebuilt.append(NoteEvent("note_on", start, channel, pitch, velocity))
            rebuilt.append(NoteEvent("note_off", stop, channel, pitch, 0))
    # Of what is at one tick, ends come first.
    rebuilt.sort(key=lambda event: (event.time, event.starts))
    return _merged(rebuilt, rest)


def _troubled_notes(track: list[Event]) -> set[tuple[int, int]]:
    """Finds the channels and pitches of which pretty_midi would lose or cut a note."""
    troubled: set[tuple[int, int]] = set()
    starts: dict[tuple[int, int], list[int]] = {}  # of the notes that sound
    for event in track:
        if type(event) is not NoteEvent:
            continue
        key = (event.channel, event.note)
        if event.velocity > 0 and event.type == "note_on":
            if key in starts:
                starts[key].append(event.time)
            else:
                starts[key] = [event.time]
        elif key in starts:
            sounding = starts.pop(key)
            time = event.time
            if sounding[-1] == time:
                kept = [start for start in sounding if start == time]
                if len(kept) == len(sounding):
                    troubled.add(key)
                    continue
                starts[key] = kept
                sounding = sounding[: -len(kept)]
            if key[0] == _DRUM_CHANNEL and sounding[0] != sounding[-1]:
                troubled.add(key)
    return troubled.union(starts)


Span = tuple[int, int, int]
"""A note: its first tick, the tick at which it ends, and its velocity."""


def _spans(events: Iterable[NoteEvent], end: int) -> list[Span]:
    """Returns the notes of one channel and pitch; an end ends all that began before it."""
    spans: list[Span] = []
    sounding: list[NoteEvent] = []
    for event in events:
        if event.starts:
            if spans and spans[-1][:2] == (event.time, event.time + 1):
                # One that lasted no time, and is struck again at once, is the same note.
                spans.pop()
            sounding.append(event)
            continue
        before = [note for note in sounding if note.time < event.time]
        # With nothing before it, an end is that of a note without length.
        for note in before or sounding:
            spans.append((note.time, max(event.time, note.time + 1), note.velocity))
        sounding = sounding[len(before) :] if before else []
    for note, following in zip_longest(sounding, sounding[1:]):
        stop = following.time if following else end
        spans.append((note.time, max(stop, note.time + 1), note.velocity))
    return spans


def _drum_spans(events: list[NoteEvent], end: int) -> list[Span]:
    """Returns the hits of one drum: each ends with its own end, or at the next hit before that.

    With an end for each hit, the first is that of the first hit, and so on; otherwise a hit ends
    at the first end after it.
    """
    hits = [event for event in events if event.starts]
    ends = [event.time for event in events if not event.starts]
    paired = len(ends) == len(hits) and all(
        stop >= hit.time for stop, hit in zip(ends, hits, strict=True)
    )
    spans: list[Span] = []
    following = end
    for index in reversed(range(len(hits))):
        time = hits[index].time
        if index + 1 < len(hits) and hits[index + 1].time > time:
            following = hits[index + 1].time
        after = index if paired else bisect.bisect_right(ends, time)
        stop = min(ends[after], following) if after < len(ends) else following
        stop = max(stop, time + 1)
        if spans and spans[-1][0] == time:
            # pretty_midi ends all hits of one tick together.
            stop = max(stop, spans[-1][1])
            spans[-1] = (time, stop, spans[-1][2])
        spans.append((time, stop, hits[index].velocity))
    return spans[::-1]


def _merged(first: list[Event], second: list[Event]) -> list[Event]:
    """Returns the events of both in order of time, those of `first` first, and one end last."""
    events = sorted([*first, *second], key=_TIME)
    ends = [event for event in events if event.type == "end_of_track"]
    events = [event for event in events if event.type != "end_of_track"]
    for event in ends[-1:]:
        event.time = max(event.time, events[-1].time if events else 0)
        events.append(event)
    return events
