"""Encodes the notes of one instrument as performance events, one token each, and decodes them.

Events are those of note_seq's MetricPerformance: a note starts, a note ends, time passes, the
loudness changes (Oore et al. 2018, "This Time with Feeling"). Time is a grid of steps.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from music_vae.common.constants import MAX_MIDI_PITCH, MAX_MIDI_VELOCITY, MIN_MIDI_PITCH
from music_vae.common.errors import UserError
from music_vae.music.converters.grid import Grid

if TYPE_CHECKING:
    from note_seq import MetricPerformance
    from note_seq.performance_lib import PerformanceEvent

PROGRAMS = 128  # of General MIDI; the token after them stands for drums
_DEFAULT_VELOCITY = 100  # of note_seq, before the first velocity event


class Note(NamedTuple):
    """A note on the grid of steps.

    >>> Note(start=0, pitch=60, end=24, velocity_bin=3).end
    24

    Attributes:
      start: The step at which it starts.
      pitch: MIDI pitch.
      end: The step at which it ends.
      velocity_bin: The class of its loudness, counted from 0.
    """

    start: int
    pitch: int
    end: int
    velocity_bin: int


class Played(NamedTuple):
    """A note as it was played, with the steps at which it starts and ends; see `played_notes`.

    >>> Played(0.5, 60, 80, 0, 0, False, start_step=24, end_step=48).start_s
    0.5
    """

    start_s: float
    pitch: int
    velocity: int
    instrument: int
    program: int
    is_drum: bool
    start_step: int
    end_step: int


def played_notes(grid: Grid) -> list[Played]:
    """Returns the notes of a quantised section, in its order.

    >>> from collections import Counter
    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> from music_vae.music.converters.grid import quantise
    >>> from music_vae.music.converters.score import read
    >>> piece = NoteSequence(tempos=[{"qpm": 120}], total_time=1.0)
    >>> _ = piece.notes.add(pitch=60, velocity=80, start_time=0.5, end_time=1.0)
    >>> (grid,) = quantise([read(piece)], [Counter()], steps_per_quarter=24, quarters_per_bar=4)
    >>> [(note.pitch, note.start_step, note.end_step) for note in played_notes(grid)]
    [(60, 24, 48)]
    """
    columns = [grid.notes[name] for name in Played._fields[:-2]]
    return list(map(Played, *(c.tolist() for c in (*columns, grid.starts, grid.ends))))


class Events(NamedTuple):
    """Event tokens, and the step at which each happens; a time shift happens where it begins.

    >>> Events(tokens=[60, 256 + 23], steps=[0, 0]).tokens  # a note on, a time shift of 24 steps
    [60, 279]
    """

    tokens: list[int]
    steps: list[int]


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """Encodes notes as event tokens and decodes these.

    The tokens, with P pitches, are in this order: P notes on, P notes off, time shifts, velocities,
    128 programs, drums.

    >>> words = Vocabulary(min_pitch=60, max_pitch=71, max_shift_steps=96, num_velocity_bins=0)
    >>> words.encode([Note(start=0, pitch=64, end=24, velocity_bin=0)], begin=0, end=24).tokens
    [4, 47, 16]
    >>> performance, _ = words.decode(np.array([4, 47, 16]), steps_per_quarter=24)
    >>> [(event.event_type, event.event_value) for event in performance]  # on, shift, off
    [(1, 64), (3, 24), (2, 64)]

    Attributes:
      min_pitch: Lowest MIDI pitch.
      max_pitch: Highest MIDI pitch.
      max_shift_steps: The longest time shift of one event; the shortest is one step.
      num_velocity_bins: Number of loudness classes; 0: loudness is left out.

    Raises:
      UserError: For a setting that is impossible.
    """

    min_pitch: int
    max_pitch: int
    max_shift_steps: int
    num_velocity_bins: int

    def __post_init__(self) -> None:
        if not MIN_MIDI_PITCH <= self.min_pitch <= self.max_pitch <= MAX_MIDI_PITCH:
            raise UserError(
                f"min_pitch={self.min_pitch}, max_pitch={self.max_pitch} must be in this order "
                f"and from {MIN_MIDI_PITCH} to {MAX_MIDI_PITCH}"
            )
        if not 0 <= self.num_velocity_bins <= MAX_MIDI_VELOCITY:
            raise UserError(
                f"num_velocity_bins must be from 0 to {MAX_MIDI_VELOCITY}, "
                f"not {self.num_velocity_bins}"
            )

    @property
    def num_pitches(self) -> int:
        """Number of pitches in the range, P; also the first note-off token."""
        return self.max_pitch - self.min_pitch + 1

    @property
    def first_shift(self) -> int:
        """The token of a time shift of one step; tokens below it have a pitch."""
        return 2 * self.num_pitches

    @property
    def first_velocity(self) -> int:
        """The token of the softest velocity bin."""
        return self.first_shift + self.max_shift_steps

    @property
    def first_program(self) -> int:
        """The token of program 0; tokens below it are events."""
        return self.first_velocity + self.num_velocity_bins

    @property
    def drums(self) -> int:
        """The token in the place of a program that stands for drums."""
        return self.first_program + PROGRAMS

    @property
    def size(self) -> int:
        """Number of tokens."""
        return self.drums + 1

    def velocity_bin(self, velocity: int) -> int:
        """Returns the bin of a MIDI velocity; 0 is in the softest bin."""
        if not self.num_velocity_bins:
            return 0
        bin_size = -(-MAX_MIDI_VELOCITY // self.num_velocity_bins)  # rounded up
        return (min(max(velocity, 1), MAX_MIDI_VELOCITY) - 1) // bin_size

    def encode(self, notes: Sequence[Note], begin: int, end: int) -> Events:
        """Returns the events of notes from step `begin` on; time passes up to step `end`."""
        notes = sorted(notes, key=lambda note: (note.start, note.pitch))
        events = Events([], [])
        now, velocity_bin = begin, -1

        def add(token: int) -> None:
            events.tokens.append(token)
            events.steps.append(now)

        def wait(until: int) -> None:
            nonlocal now
            while now < until:
                size = min(until - now, self.max_shift_steps)
                add(self.first_shift + size - 1)
                now += size

        for step, index, is_end in _in_time([(note.start, note.end) for note in notes]):
            wait(step)
            note = notes[index]
            if self.num_velocity_bins and not is_end and note.velocity_bin != velocity_bin:
                velocity_bin = note.velocity_bin
                add(self.first_velocity + velocity_bin)
            add(note.pitch - self.min_pitch + is_end * self.num_pitches)
        wait(end)
        return events

    def event(self, token: int) -> "PerformanceEvent":
        """Returns the event of a token below `first_program`."""
        from note_seq.performance_lib import PerformanceEvent

        if token < self.num_pitches:
            return PerformanceEvent(PerformanceEvent.NOTE_ON, self.min_pitch + token)
        if token < self.first_shift:
            pitch = self.min_pitch + token - self.num_pitches
            return PerformanceEvent(PerformanceEvent.NOTE_OFF, pitch)
        if token < self.first_velocity:
            return PerformanceEvent(PerformanceEvent.TIME_SHIFT, token - self.first_shift + 1)
        return PerformanceEvent(PerformanceEvent.VELOCITY, token - self.first_velocity + 1)

    def decode(
        self, tokens: np.ndarray, steps_per_quarter: int
    ) -> tuple["MetricPerformance", np.ndarray]:
        """Decodes tokens `[N]` of any kind; the first program or drums token counts.

        Returns:
          The performance, and the indices of its events in `tokens`.
        """
        from note_seq import MetricPerformance

        programs = tokens[tokens >= self.first_program]
        program = int(programs[0]) if len(programs) else self.first_program
        performance = MetricPerformance(
            steps_per_quarter=steps_per_quarter,
            num_velocity_bins=self.num_velocity_bins,
            program=0 if program == self.drums else program - self.first_program,
            is_drum=program == self.drums,
        )
        places = np.flatnonzero(tokens < self.first_program)
        for token in tokens[places].tolist():
            performance.append(self.event(token))
        return performance, places

    def chunks(self, notes: Sequence[Played], chunk_steps: int, number: int) -> list[list[Note]]:
        """Sorts notes by the chunk of time in which they start, and cuts them at its end.

        In a performance that is cut in time, a note ends with the first end of its pitch in the
        chunk, and is as loud as the last velocity event in the chunk says. One is sent only where
        the velocity changes: notes before the first have note_seq's default velocity.

        Args:
          notes: The notes of one instrument.
          chunk_steps: Steps in a chunk.
          number: Number of chunks; notes that start later are left out.
        """
        notes = sorted(notes, key=lambda note: (note.start_s, note.pitch))
        chunks: list[list[Note]] = [[] for _ in range(number)]
        sounding: list[dict[int, list[Note]]] = [defaultdict(list) for _ in range(number)]
        current = [self.velocity_bin(_DEFAULT_VELOCITY)] * number
        sent = -1
        spans = [(note.start_step, note.end_step) for note in notes]
        for step, index, is_end in _in_time(spans):
            chunk = max(0, step - is_end) // chunk_steps
            if chunk >= number:
                continue
            same_pitch = sounding[chunk][notes[index].pitch]
            if not is_end:
                velocity_bin = self.velocity_bin(notes[index].velocity)
                if velocity_bin != sent:
                    current[chunk] = sent = velocity_bin
                end = (chunk + 1) * chunk_steps
                same_pitch.append(Note(step, notes[index].pitch, end, current[chunk]))
            elif same_pitch:
                note = same_pitch.pop(0)
                if note.start < step:
                    chunks[chunk].append(note._replace(end=step))
        for own, by_pitch in zip(chunks, sounding, strict=True):
            own.extend(note for same_pitch in by_pitch.values() for note in same_pitch)
        return chunks


def _in_time(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int, bool]]:
    """Returns starts and ends as (step, number of the note, True for an end), in order of time.

    At one step earlier notes come first, so that one ends before another of its pitch starts.
    """
    starts = [(start, index, False) for index, (start, _) in enumerate(spans)]
    ends = [(end, index, True) for index, (_, end) in enumerate(spans)]
    return sorted(starts + ends)
