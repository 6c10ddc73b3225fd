"""Puts into order what the tracks of a MIDI file say, before pretty_midi makes notes of them.

pretty_midi reads tempo, metre and key from the first track only, programs from the track that the
notes are on, and drops notes that last no time or never end. Files of all these kinds are common.
Whatever a file says in the usual way is left exactly as it is.
"""

import bisect
import heapq
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from operator import attrgetter, itemgetter
from types import SimpleNamespace

from music_vae.common.constants import DRUMS_INSTRUMENT, MAX_MIDI_PITCH
from music_vae.music.readers.midi_events import Event, NoteEvent, ProgramEvent
from music_vae.music.readers.midi_structure import MidiTracks

_PITCHES = MAX_MIDI_PITCH + 1
_MAX_SHARED = 0.5  # of the time of a note, which it sounds together with the next of its pitch
_LEAST_NOTES_IN_QUARTER = 16  # 64ths
_GLOBAL_VALUES = {
    "set_tempo": attrgetter("tempo"),
    "time_signature": attrgetter("numerator", "denominator"),
    "key_signature": attrgetter("key"),
}
_TIME = attrgetter("time")


Span = tuple[int, int, int]
"""A note: its first tick, the tick at which it ends, and its velocity."""


def repair(midi: MidiTracks) -> None:
    """Changes `midi` so that pretty_midi reads all that it says.

    - Tempo, metre and key of all tracks hold for all tracks.
    - The programs of a channel hold for all tracks that play it.
    - A note keeps the program that it began with.
    - A note without length gets the shortest, a note that never ends ends with its track, no note
      is cut by the end of the one before, and a hit of a drum ends at the next one of that drum.

    >>> end = NoteEvent("note_off", time=96, channel=0, note=60, velocity=0)
    >>> midi = MidiTracks(96, [[NoteEvent("note_on", 0, 0, 60, 80), end]])
    >>> repair(midi)
    >>> midi.tracks[0][-1] is end
    True
    """
    _gather_global_events(midi.tracks)
    _spread_programs(midi.tracks)
    least_ticks = max(midi.ticks_per_quarter // _LEAST_NOTES_IN_QUARTER, 1)
    midi.tracks[:] = [
        _with_programs_kept(_with_whole_notes(track), least_ticks) for track in midi.tracks
    ]


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
    """Returns the track with an end, after its beginning, for every note.

    Notes of one pitch that overlap have numbers of their own until `pitch_of` is asked.
    """
    troubled, overlapping = _troubled_notes(track)
    if not troubled and not overlapping:
        return track
    end = track[-1].time
    notes: dict[tuple[int, int], list[NoteEvent]] = defaultdict(list)
    for event in track:
        if type(event) is NoteEvent and (event.channel, event.note) in troubled | overlapping:
            notes[event.channel, event.note].append(event)
    rebuilt: list[Event] = []
    for key, events in list(notes.items()):
        channel, pitch = key
        spans = _drum_spans(events, end) if channel == DRUMS_INSTRUMENT else _spans(events, end)
        if key not in troubled and sorted(spans) == sorted(_ended_together(events, end)):
            del notes[key]
            continue
        for number, (start, stop, velocity) in _numbered(spans, pitch):
            rebuilt.append(NoteEvent("note_on", start, channel, number, velocity))
            rebuilt.append(NoteEvent("note_off", stop, channel, number, 0))
    # Of what is at one tick, ends come first.
    rebuilt.sort(key=lambda event: (event.time, event.starts))
    rest = [e for e in track if type(e) is not NoteEvent or (e.channel, e.note) not in notes]
    return _merged(rebuilt, rest)


def pitch_of(number: int) -> int:
    """Returns the pitch of a note from the number that it has in repaired tracks.

    >>> pitch_of(60), pitch_of(60 + 2 * 128)  # the third of its pitch that sounds
    (60, 60)
    """
    return number % _PITCHES


def _numbered(spans: list[Span], pitch: int) -> Iterator[tuple[int, Span]]:
    """Yields notes of one pitch, each with a number that no other has while it sounds."""
    free: list[int] = []
    used: list[tuple[int, int]] = []  # end and number of the notes that sound
    for span in sorted(spans, key=itemgetter(0)):
        while used and used[0][0] <= span[0]:
            heapq.heappush(free, heapq.heappop(used)[1])
        number = heapq.heappop(free) if free else pitch + _PITCHES * len(used)
        heapq.heappush(used, (span[1], number))
        yield number, span


def _troubled_notes(track: list[Event]) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
    """Finds the channels and pitches of which pretty_midi would lose or cut a note, or might."""
    troubled: set[tuple[int, int]] = set()
    overlapping: set[tuple[int, int]] = set()
    starts: dict[tuple[int, int], list[int]] = {}  # of the notes that sound
    for event in track:
        if type(event) is not NoteEvent:
            continue
        key = (event.channel, event.note)
        if event.velocity > 0 and event.type == "note_on":
            starts.setdefault(key, []).append(event.time)
            continue
        sounding = starts.pop(key, [])
        before = bisect.bisect_left(sounding, event.time)  # notes that did not begin just now
        if sounding and not before:
            troubled.add(key)
        elif before < len(sounding):
            starts[key] = sounding[before:]
        if before > 1:
            if key[0] != DRUMS_INSTRUMENT:
                overlapping.add(key)
            elif sounding[0] != sounding[before - 1]:
                troubled.add(key)
    return troubled.union(starts), overlapping


def _spans(events: list[NoteEvent], end: int) -> list[Span]:
    """Returns the notes of one channel and pitch.

    An end is that of the note that began first, if the others have ends before the next note
    begins, or if they began not long ago. Otherwise, and where a note never ends, it is that of all
    notes that began before it.
    """
    spans: list[Span] = []
    sounding: list[NoteEvent] = []
    settled = 0, 0  # numbers of events and of notes up to the last silence
    for number, event in enumerate(events):
        if event.starts:
            if spans and not sounding and spans[-1][:2] == (event.time, event.time):
                # One that lasted no time, and is struck again at once, is the same note.
                spans.pop()
            sounding.append(event)
        elif sounding:
            ended = _ended(sounding, events, number)
            spans += [(note.time, event.time, note.velocity) for note in sounding[:ended]]
            del sounding[:ended]
            if not sounding:
                settled = number + 1, len(spans)
    if sounding:
        spans[settled[1] :] = _ended_together(events[settled[0] :], end)
    return [(start, max(stop, start + 1), velocity) for start, stop, velocity in spans]


def _ended(sounding: list[NoteEvent], events: list[NoteEvent], number: int) -> int:
    """Returns how many of the notes that sound are over with an event, the first of them."""
    time = events[number].time
    before = sum(note.time < time for note in sounding) or len(sounding)
    ends = itertools.takewhile(lambda event: not event.starts, events[number : number + before])
    if before == 1 or len(list(ends)) == before:
        return 1
    # The end of a note that is held a little too long comes soon after the next has begun.
    shared = time - sounding[before - 1].time
    return 1 if shared < (time - sounding[0].time) * _MAX_SHARED else before


def _ended_together(events: Iterable[NoteEvent], end: int) -> Iterator[Span]:
    """Yields notes that end all together; those that never end, at the next one or at `end`."""
    sounding: list[NoteEvent] = []
    for event in events:
        if event.starts:
            sounding.append(event)
            continue
        before = [note for note in sounding if note.time < event.time]
        # With nothing before it, an end is that of a note without length.
        for note in before or sounding:
            yield note.time, event.time, note.velocity
        sounding = sounding[len(before) :] if before else []
    for note, following in zip_longest(sounding, sounding[1:]):
        stop = following.time if following else end
        yield note.time, stop, note.velocity


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


def _with_programs_kept(track: list[Event], least_ticks: int) -> list[Event]:
    """Returns the track with the program of each note in force where it ends, too.

    pretty_midi gives a note the program that its channel has at the end of it. A program that is
    set less than `least_ticks` after the beginning of a note is meant for it.
    """
    if not any(event.type == "program_change" for event in track):
        return track
    changes: dict[int, list[tuple[int, int]]] = defaultdict(list)  # ticks and programs
    began: dict[tuple[int, int], int] = {}
    kept: list[Event] = []
    for event in track:
        kept.append(event)
        if type(event) is ProgramEvent:
            changes[event.channel].append((event.time, event.program))
        elif type(event) is NoteEvent and event.starts:
            began.setdefault((event.channel, event.note), event.time)
        elif type(event) is NoteEvent:
            own = changes[event.channel]
            start = began.pop((event.channel, event.note), event.time)
            number = bisect.bisect_left(own, (start + least_ticks,))
            if number < len(own):
                before, now = own[number - 1][1] if number else 0, own[-1][1]
                first, last = (ProgramEvent(event.time, event.channel, p) for p in (before, now))
                kept[-1:] = [first, event, last]
    return kept


def _merged(first: list[Event], second: list[Event]) -> list[Event]:
    """Returns the events of both in order of time, those of `first` first, and one end last."""
    events = sorted([*first, *second], key=_TIME)
    ends = [event for event in events if event.type == "end_of_track"]
    events = [event for event in events if event.type != "end_of_track"]
    for event in ends[-1:]:
        event.time = max(event.time, events[-1].time if events else 0)
        events.append(event)
    return events
