"""Sorts the notes of a hop into tracks, one for each instrument, and decodes tracks to notes."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from music_vae.common.constants import DEFAULT_QPM, REDUCED_DRUM_PITCH_CLASSES
from music_vae.music.converters.performance_events import Note, Played, Vocabulary
from music_vae.music.converters.pitches import class_of
from music_vae.music.symbols import Beat, Line, Voice

Instrument = tuple[int, bool, int]
"""The number of an instrument, True if it is drums, and its program, which is 0 for drums."""


class Track(NamedTuple):
    """The notes of one instrument, chunk by chunk; drums have program 0.

    >>> Track(is_drum=False, program=32, chunks=[[Note(0, 40, 96, 4)], []]).program
    32
    """

    is_drum: bool
    program: int
    chunks: list[list[Note]]


class DecodedTrack(NamedTuple):
    """The notes of a track, and when and where its events are; see `decode_track`.

    >>> DecodedTrack(notes=[], times_s=[0.0, 0.0], places=([0, 0], [1, 2])).places
    ([0, 0], [1, 2])

    Attributes:
      notes: The notes, messages of note_seq.
      times_s: The time of every event in seconds.
      places: The indices of these events in the tokens: their chunks, and their places in these.
    """

    notes: Sequence[Any]
    times_s: list[float]
    places: tuple[list[int], list[int]]


def by_instrument(notes: Sequence[Played]) -> dict[Instrument, list[Played]]:
    """Returns the notes of every instrument.

    >>> bass = Played(0.0, 40, 80, 1, 33, False, 0, 24)
    >>> kick = Played(0.0, 36, 80, 9, 0, True, 0, 6)
    >>> list(by_instrument([bass, kick]))
    [(1, False, 33), (9, True, 0)]
    """
    groups: dict[Instrument, list[Played]] = defaultdict(list)
    for note in notes:
        groups[note.instrument, note.is_drum, 0 if note.is_drum else note.program].append(note)
    # Instruments of one program stay in the order of a set of their numbers (which is not
    # random), because they do in the data of the published models.
    order = {number: i for i, number in enumerate({note.instrument for note in notes})}
    return {key: groups[key] for key in sorted(groups, key=lambda key: (order[key[0]], key))}


def busiest(
    instruments: Mapping[Instrument, list[Played]], most: int
) -> dict[Instrument, list[Played]]:
    """Returns the `most` instruments that have the most notes, in the order that they were in.

    >>> bass = Played(0.0, 40, 80, 1, 33, False, 0, 24)
    >>> kick = Played(0.0, 36, 80, 9, 0, True, 0, 6)
    >>> list(busiest(by_instrument([bass, kick, kick]), 1))
    [(9, True, 0)]
    """
    kept = set(sorted(instruments, key=lambda key: -len(instruments[key]))[:most])
    return {key: notes for key, notes in instruments.items() if key in kept}


def tracks_of(
    instruments: Mapping[Instrument, list[Played]],
    vocabulary: Vocabulary,
    *,
    chunk_steps: int,
    num_chunks: int,
) -> list[Track]:
    """Returns a track for each instrument, by program, drums last.

    >>> bass = Played(0.0, 40, 80, 1, 33, False, 0, 24)
    >>> kick = Played(0.0, 36, 80, 9, 0, True, 0, 6)
    >>> words = Vocabulary(min_pitch=0, max_pitch=127, max_shift_steps=96, num_velocity_bins=0)
    >>> tracks = tracks_of(by_instrument([bass, kick]), words, chunk_steps=96, num_chunks=1)
    >>> [(track.program, track.is_drum) for track in tracks]
    [(33, False), (0, True)]
    >>> tracks[0].chunks
    [[Note(start=0, pitch=40, end=24, velocity_bin=0)]]

    Args:
      instruments: The notes of every instrument.
      vocabulary: The tokens that the tracks are for.
      chunk_steps: Steps in a chunk.
      num_chunks: Number of chunks of a hop.
    """
    tracks = [
        Track(is_drum, program, vocabulary.chunks(notes, chunk_steps, num_chunks))
        for (_, is_drum, program), notes in instruments.items()
    ]
    return sorted(tracks, key=lambda track: (track.is_drum, track.program))


def decode_track(
    tokens: np.ndarray, vocabulary: Vocabulary, *, steps_per_quarter: int, chunk_steps: int
) -> DecodedTrack:
    """Decodes the tokens of one instrument; the program of the first chunk counts.

    A chunk ends at its first end token. Events after its time are cut.

    >>> words = Vocabulary(min_pitch=60, max_pitch=71, max_shift_steps=96, num_velocity_bins=0)
    >>> tokens = [words.first_program, 4, words.first_shift + 23, 12 + 4, words.size]  # an E, 1/4
    >>> track = decode_track(np.array([tokens]), words, steps_per_quarter=24, chunk_steps=96)
    >>> [(note.pitch, note.start_time, note.end_time) for note in track.notes], track.times_s
    ([(64, 0.0, 0.5)], [0.0, 0.0, 0.5])

    Args:
      tokens: Tokens `[num_chunks, N]`.
      vocabulary: The tokens below the end token.
      steps_per_quarter: Steps in a quarter note.
      chunk_steps: Steps in a chunk.
    """
    step_s = 60 / DEFAULT_QPM / steps_per_quarter
    times_s: list[float] = []
    places: tuple[list[int], list[int]] = [], []
    whole = None
    for c, chunk in enumerate(tokens):
        ended = np.flatnonzero(chunk == vocabulary.size)
        part, event_places = vocabulary.decode(
            chunk[: ended[0]] if len(ended) else chunk, steps_per_quarter
        )
        for step, place in zip(part.steps, event_places.tolist(), strict=True):
            if step < chunk_steps:  # what is later is cut
                times_s.append((c * chunk_steps + step) * step_s)
                places[0].append(c)
                places[1].append(place)
        part.set_length(chunk_steps)
        if whole is None:
            whole = part
            continue
        for event in part:
            whole.append(event)
    notes = [] if whole is None else whole.to_sequence(qpm=DEFAULT_QPM).notes
    return DecodedTrack(notes, times_s, places)


def voices_of(notes: Sequence[Any], step_s: float, num_steps: int) -> list[tuple[str, Voice]]:
    """Returns the voices of decoded notes: one for each instrument, and one for all drums.

    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> kick = {"instrument": 1, "is_drum": True, "pitch": 35, "end_time": 0.5}
    >>> notes = NoteSequence(notes=[{"pitch": 60, "end_time": 0.5}, kick]).notes
    >>> (_, line), (_, drums) = voices_of(notes, step_s=0.125, num_steps=16)
    >>> line.ends.tolist(), drums.hits[0].nonzero()[0].tolist()  # the bass drum is the first
    ([4], [0])

    Args:
      notes: Messages of note_seq.
      step_s: Length of a step in seconds.
      num_steps: Length of the music in steps; notes that start later are left out.
    """
    lines: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    hits = np.zeros((num_steps, len(REDUCED_DRUM_PITCH_CLASSES)), bool)
    drums = False
    for note in notes:
        start, end = round(note.start_time / step_s), round(note.end_time / step_s)
        if start >= num_steps:
            continue
        if not note.is_drum:
            lines[note.instrument].append((start, min(end, num_steps), note.pitch))
            continue
        drums = True
        (drum,) = class_of(REDUCED_DRUM_PITCH_CLASSES, np.array([note.pitch]))
        if drum >= 0:
            hits[start, drum] = True
    voices: list[tuple[str, Voice]] = []
    for _, own in sorted(lines.items()):
        starts, ends, pitches = np.array(sorted(own)).T
        voices.append(("instrument", Line(starts, ends, pitches, num_steps)))
    if drums:
        first_pitches = tuple(pitches[0] for pitches in REDUCED_DRUM_PITCH_CLASSES)
        voices.append(("drums", Beat(hits, first_pitches)))
    return voices
