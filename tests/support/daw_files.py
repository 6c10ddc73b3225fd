"""MIDI files as a musician's sequencer exports them, of every kind that somebody may hand over.

`KINDS` has the name of each kind and a function that returns its bytes. Times are in quarter notes.
"""

import io
from typing import NamedTuple

import mido

DRUM_CHANNEL = 9  # counted from 0, as in files


class Track(NamedTuple):
    """A track of notes (pitch, start, length, velocity), on a channel counted from 0."""

    name: str
    channel: int
    program: int | None
    notes: list


def midi(*tracks, qpm=120.0, metre=(4, 4), ticks=960, end=None, tempos=()):
    """A file of a tempo track and of tracks that end with their last note, or together.

    Args:
      tracks: The tracks.
      qpm: Tempo in quarter notes a minute.
      metre: Numerator and denominator.
      ticks: Ticks in a quarter note.
      end: Quarter note at which all tracks end; None: each ends with its last note.
      tempos: Changes of the tempo, as (quarter note, tempo).
    """
    file = mido.MidiFile(type=1, ticks_per_beat=ticks)
    conducting = [(0, mido.MetaMessage("track_name", name="Untitled"))]
    metre_event = mido.MetaMessage("time_signature", numerator=metre[0], denominator=metre[1])
    conducting.append((0, metre_event))
    for quarter, tempo in ((0, qpm), *tempos):
        conducting.append((quarter, mido.MetaMessage("set_tempo", tempo=round(60e6 / tempo))))
    file.tracks.append(_track(conducting, ticks, end))
    for track in tracks:
        events = [(0, mido.MetaMessage("track_name", name=track.name))]
        if track.program is not None:
            program = {"channel": track.channel, "program": track.program}
            events.append((0, mido.Message("program_change", **program)))
        for pitch, start, length, velocity in track.notes:
            note = {"channel": track.channel, "note": pitch}
            events.append((start, mido.Message("note_on", velocity=velocity, **note)))
            events.append((start + length, mido.Message("note_off", **note)))
        file.tracks.append(_track(events, ticks, end))
    content = io.BytesIO()
    file.save(file=content)
    return content.getvalue()


def _track(events, ticks, end):
    track, last = mido.MidiTrack(), 0
    for time, event in sorted(events, key=lambda e: (round(e[0] * ticks), e[1].type == "note_on")):
        tick = round(time * ticks)
        track.append(event.copy(time=tick - last))
        last = tick
    rest = 0 if end is None else round(end * ticks) - last
    track.append(mido.MetaMessage("end_of_track", time=max(rest, 0)))
    return track


def line(*pitches, length=0.5, start=0.0, velocity=96):
    """Notes one after the other; None is a rest."""
    return [
        (pitch, start + number * length, length, velocity)
        for number, pitch in enumerate(pitches)
        if pitch is not None
    ]


def moved(notes, by=0.0, semitones=0):
    """The notes, later and higher."""
    return [(pitch + semitones, start + by, *rest) for pitch, start, *rest in notes]


def bars(notes, count, length=4.0):
    """Notes of a bar, several times."""
    return [note for bar in range(count) for note in moved(notes, bar * length)]


TUNE = line(66, 67, 69, 66, 62, 66, 69, 66, 62, 66, 69, 66, 64, None, 62, None)
"""A melody of two bars."""

HATS = [(42, eighth / 2, 0.1, 70) for eighth in range(8)]
BEAT = [(36, 0, 0.1, 100), (36, 2.5, 0.1, 90), (38, 1, 0.1, 100), (38, 3, 0.1, 100), *HATS]
"""A drum pattern of a bar: twelve hits on five drums' steps, all on the grid."""

WALK = line(40, 40, 43, 43, 45, 45, 47, 47)
"""A bass line of a bar. Each of its pitches is also that of a drum in General MIDI."""

LOW_TUNE = line(62, 64, 67, 69, 71, 69, 67, 64)
"""A melody of a bar, all of whose pitches are also those of drums."""

SNARE_ROLL = [(38, 3 + n / 8, 0.05, 50 + 6 * n) for n in range(8)]
"""A beat of hits of a snare, two at each sixteenth."""

FAST_ROLL = [(38, 3.5 + n / 8, 0.05, 50 + 9 * n) for n in range(4)]
"""Half a beat of hits of a snare, the last of them a 32nd before the bar line."""

KIT = [35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 56, 60, 82]
"""Drums of General MIDI's kit, from the bass drum to the shaker."""


def drums(notes, **options):
    return midi(Track("Drums", DRUM_CHANNEL, None, notes), **options)


def melody(notes, program=0, **options):
    return midi(Track("Lead", 0, program, notes), **options)


def song(notes, **options):
    """Four bars of a melody, a bass and drums."""
    return midi(
        Track("Lead", 0, 0, bars(LOW_TUNE, 4)),
        Track("Bass", 1, 33, bars(WALK, 4)),
        Track("Drums", DRUM_CHANNEL, None, notes),
        end=16,
        **options,
    )


KINDS = {
    "loop of 2 bars": lambda: melody(TUNE, end=8),
    "loop of 4 bars": lambda: melody([*TUNE, *moved(TUNE, 8)], end=16),
    "loop that ends in a rest": lambda: melody(line(60, 64, 67, 72), end=8),
    "loop at 93.5": lambda: melody(TUNE, qpm=93.5, end=8),
    "loop of 1 bar": lambda: melody(LOW_TUNE, end=4),
    "loop of 3 bars": lambda: melody([*TUNE, *moved(LOW_TUNE, 8)], end=12),
    "loop that begins with a rest": lambda: melody(moved(LOW_TUNE, 4), end=8),
    "late last note": lambda: melody([*TUNE, (64, 7.9, 0.08, 90)], end=8),
    "early held last note": lambda: melody([*TUNE, (62, 7.98, 4, 90)], end=12),
    "held last note": lambda: melody([*TUNE, (62, 8, 8, 90)], end=16),
    "pick-up": lambda: melody([(62, 3.5, 0.5, 90), *moved(TUNE, 4)]),
    "trailing tick": lambda: melody([*TUNE[:-1], (62, 7, 1 + 1 / 960, 90)]),
    "early start": lambda: melody([(p, max(s - 0.01, 0), n, v) for p, s, n, v in TUNE], end=8),
    "swing": lambda: melody([(p, s + s % 1 / 3, n / 2, v) for p, s, n, v in TUNE], end=8),
    "triplets": lambda: melody(line(*[60, 64, 67] * 8, length=1 / 3), end=8),
    "chords": lambda: melody([*TUNE, *moved(TUNE, 0, -4), *moved(TUNE, 0, -9)], end=8),
    "three octaves up": lambda: melody(moved(TUNE, 0, 36), end=8),
    "synth lead": lambda: melody(TUNE, program=81, end=8),
    "three tracks": lambda: midi(
        Track("Lead", 0, 0, TUNE),
        Track("Pad", 1, 48, moved(TUNE, 0, 12)),
        Track("Bass", 2, 33, bars(WALK, 2)),
        end=8,
    ),
    "beat of 2 bars": lambda: drums(bars(BEAT, 2), end=8),
    "beat of 3 bars": lambda: drums(bars(BEAT, 3), end=12),
    "beat of 5 bars": lambda: drums(bars(BEAT, 5), end=20),
    "beat at 93.5": lambda: drums(bars(BEAT, 2), qpm=93.5, end=8),
    "beat that ends in a rest": lambda: drums(BEAT, end=8),
    "beat that slows down": lambda: drums(bars(BEAT, 4), tempos=[(8, 100), (12, 80)], end=16),
    "drums on channel 1": lambda: midi(Track("Pads", 0, None, bars(BEAT, 2)), end=8),
    "roll to the end": lambda: drums([*bars(BEAT, 2), *moved(FAST_ROLL, 4)], end=8),
    "late ghost note": lambda: drums([*bars(BEAT, 2), (38, 7.9, 0.05, 30)], end=8),
    "late notes of two bars": lambda: drums([*bars(BEAT, 3), (38, 7.9, 0.05, 30)], end=12),
    "rolls": lambda: drums(bars([*BEAT, *SNARE_ROLL], 2), end=8),
    "GM kit": lambda: drums(line(*KIT, length=0.25, velocity=80), end=8),
    "song with drums": lambda: song(bars(BEAT, 4)),
    "song without drums": lambda: midi(
        Track("Lead", 0, 0, bars(LOW_TUNE, 4)), Track("Bass", 1, 33, bars(WALK, 4)), end=16
    ),
    "song with pads": lambda: midi(
        Track("Lead", 0, 0, bars(LOW_TUNE, 4)),
        Track("Pads", 1, None, bars(BEAT, 4)),
        Track("Bass", 2, 33, bars(WALK, 4)),
        end=16,
    ),
}
"""Every kind of file, by its name."""
