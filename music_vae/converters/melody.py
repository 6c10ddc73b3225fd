"""Melodies: one voice, a token a step.

Token 0 is 'no event' (a note or a rest goes on), 1 ends a note, 2 and up start a note of
`min_pitch` and up; the end token, where there is one, is the last class. An example is the same
array as input and output (Roberts et al. 2018, section 5.1).
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from music_vae.constants import (
    DEFAULT_QPM,
    MAX_MIDI_PITCH,
    MIN_MIDI_PITCH,
    OUTPUT_VELOCITY,
    PIANO_MAX_PITCH,
    PIANO_MIN_PITCH,
)
from music_vae.converters.base import Converter, Example, Extraction, one_hot
from music_vae.converters.extract import (
    bars,
    check_grid,
    melodies,
    pad_to,
    quantise,
    sections,
    unique,
    windows,
)
from music_vae.errors import UserError

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

NO_EVENT = 0
NOTE_OFF = 1
FIRST_PITCH = 2
"""The tokens; note_seq's melody events are two lower, and its pitches not shifted."""

MAX_PROGRAM = 127  # General MIDI's programs, counted from 0


@dataclasses.dataclass(frozen=True)
class OneHotMelodyConverter(Converter):
    """Melodies as one-hot classes; see the module for the tokens.

    Attributes:
      min_pitch: Lowest MIDI pitch; notes below it are left out.
      max_pitch: Highest MIDI pitch; notes above it are left out.
      valid_programs: MIDI programs (from 0) whose notes are read; None: all.
      skip_polyphony: Leaves a track with chords out instead of reading its highest notes.
      max_bars: A melody is cut after this many bars, before windows are taken; None: never.
      slice_bars: Length of an example in bars; windows slide by one bar. None: whole melodies.
      gap_bars: Bars of silence that end a melody; None or 0: silence never does.
      steps_per_quarter: Steps in a quarter note.
      quarters_per_bar: Quarter notes in a bar; music in other metres is skipped.
      add_end_token: Whether an example ends with one step of the end token.
      pad_to_total_time: Whether a melody is stretched with silence to the whole section.
      max_tensors_per_notesequence: How many examples of a sequence to use (see `data.limit`);
        `extract` returns all.
      presplit_on_time_changes: Whether a piece is cut where its metre or tempo changes; else such
        a piece is skipped.
      chord_encoding: Must be None: chords are not supported yet.
      condition_on_key: Must be False: keys are not supported yet.
      dedupe_event_lists: Whether equal windows of a section are kept once.

    Raises:
      UserError: For a setting that is impossible or not supported.
    """

    min_pitch: int = PIANO_MIN_PITCH
    max_pitch: int = PIANO_MAX_PITCH
    valid_programs: tuple[int, ...] | None = None
    skip_polyphony: bool = False
    max_bars: int | None = None
    slice_bars: int | None = None
    gap_bars: float | None = 1.0
    steps_per_quarter: int = 4
    quarters_per_bar: int = 4
    add_end_token: bool = False
    pad_to_total_time: bool = False
    max_tensors_per_notesequence: int | None = 5
    presplit_on_time_changes: bool = True
    chord_encoding: Any = None
    condition_on_key: bool = False
    dedupe_event_lists: bool = True

    def __post_init__(self) -> None:
        if self.valid_programs is not None:
            programs = tuple(self.valid_programs)
            if not programs or not all(0 <= program <= MAX_PROGRAM for program in programs):
                raise UserError(f"valid_programs must be from 0 to {MAX_PROGRAM}, not {programs}")
            object.__setattr__(self, "valid_programs", programs)
        if not MIN_MIDI_PITCH <= self.min_pitch <= self.max_pitch <= MAX_MIDI_PITCH:
            raise UserError(
                f"min_pitch={self.min_pitch}, max_pitch={self.max_pitch} must be in this order "
                f"and from {MIN_MIDI_PITCH} to {MAX_MIDI_PITCH}"
            )
        check_grid(
            steps_per_quarter=self.steps_per_quarter,
            quarters_per_bar=self.quarters_per_bar,
            max_bars=self.max_bars,
            slice_bars=self.slice_bars,
            gap_bars=self.gap_bars,
            max_tensors_per_notesequence=self.max_tensors_per_notesequence,
        )
        if self.chord_encoding is not None:
            raise UserError("chords are not supported yet")
        if self.condition_on_key:
            raise UserError("keys are not supported yet")

    @property
    def steps_per_bar(self) -> int:
        """Steps in a bar, by which windows slide."""
        return self.steps_per_quarter * self.quarters_per_bar

    @property
    def output_depth(self) -> int:
        """Number of classes: no event, note off, the pitches, and perhaps the end."""
        return FIRST_PITCH + self.max_pitch - self.min_pitch + 1 + self.add_end_token

    @property
    def input_depth(self) -> int:
        """As `output_depth`."""
        return self.output_depth

    @property
    def end_token(self) -> int | None:
        """The last class, or None."""
        return self.output_depth - 1 if self.add_end_token else None

    def extract(self, sequence: "NoteSequence") -> Extraction:
        """All windows of all melodies as int16 tokens `[T]`, by section, instrument and time."""
        found = Extraction()
        for section in sections(
            sequence, found.skipped, split_on_time_changes=self.presplit_on_time_changes
        ):
            self._keep_playable_notes(section, found.skipped)
            if not section.notes:
                continue
            quantised = quantise(
                section,
                found.skipped,
                steps_per_quarter=self.steps_per_quarter,
                quarters_per_bar=self.quarters_per_bar,
            )
            if quantised is not None:
                tokens = self._windows(quantised, found.skipped)
                found.examples += [self._example(t) for t in tokens]
        if not found.examples and not found.skipped:
            found.skipped["no melody"] += 1
        return found

    def _keep_playable_notes(self, section: "NoteSequence", skipped: Counter[str]) -> None:
        """Removes, in place, the notes of other programs and those outside the pitch range."""
        programs = None if self.valid_programs is None else frozenset(self.valid_programs)
        low, high = self.min_pitch, self.max_pitch
        notes = [n for n in section.notes if programs is None or n.program in programs]
        kept = [n for n in notes if low <= n.pitch <= high]
        if all(n.is_drum for n in kept):
            if all(n.is_drum for n in section.notes):
                reason = "only drums"
            elif all(n.is_drum for n in notes):
                reason = f"no notes in programs {_ranges(self.valid_programs or ())}"
            else:
                reason = "no melody in the pitch range"
            skipped[reason] += 1
            kept = []
        if len(kept) < len(section.notes):
            del section.notes[:]
            section.notes.extend(kept)

    def _windows(self, quantised: "NoteSequence", skipped: Counter[str]) -> list[np.ndarray]:
        """Token arrays `[T]` of one section, end tokens not yet added."""
        lines = melodies(
            quantised,
            skipped,
            gap_bars=self.gap_bars,
            max_bars=self.max_bars,
            skip_polyphony=self.skip_polyphony,
        )
        found: list[np.ndarray] = []
        for line in lines:
            if self.pad_to_total_time:
                pad_to(line, quantised.total_quantized_steps)
            events = np.fromiter(line, np.int16, len(line))
            tokens = np.where(events < 0, events, events - self.min_pitch) + FIRST_PITCH
            if self.slice_bars is None:
                found.append(tokens)
                continue
            cut = windows(tokens, self.slice_bars * self.steps_per_bar, self.steps_per_bar)
            if not len(cut):
                skipped[f"melody shorter than {bars(self.slice_bars)}"] += 1
            found.extend(_without_leading_note_off(cut))
        return unique(found) if self.dedupe_event_lists else found

    def _example(self, tokens: np.ndarray) -> Example:
        if self.end_token is not None:
            tokens = np.append(tokens, np.int16(self.end_token))
        return Example(tokens, tokens, None, np.array(len(tokens), np.int32))

    def dense_inputs(self, inputs: np.ndarray) -> np.ndarray:
        """Tokens `[..., T]` to boolean one-hot `[..., T, input_depth]`; `PAD` to zeros."""
        return one_hot(inputs, self.input_depth)

    def dense_outputs(self, outputs: np.ndarray) -> np.ndarray:
        """As `dense_inputs`."""
        return one_hot(outputs, self.output_depth)

    def from_tensors(self, samples: Any, controls: Any = None) -> list["NoteSequence"]:
        """Decodes one-hot arrays or class scores `[T, output_depth]`, up to the first end token.

        Every sequence is at 120 quarter notes a minute, on instrument 0 and program 0.
        """
        del controls  # this converter has none
        return [self._sequence(np.argmax(sample, axis=-1)) for sample in samples]

    def _sequence(self, tokens: np.ndarray) -> "NoteSequence":
        from note_seq import Melody

        if self.end_token is not None:
            tokens = tokens[: _first(tokens == self.end_token)]
        pitched = tokens >= FIRST_PITCH
        events = np.where(pitched, tokens + self.min_pitch, tokens) - FIRST_PITCH
        melody = Melody(
            events.tolist(),
            steps_per_bar=self.steps_per_bar,
            steps_per_quarter=self.steps_per_quarter,
        )
        return melody.to_sequence(velocity=OUTPUT_VELOCITY, qpm=DEFAULT_QPM)

    def transpose(self, example: Example, semitones: int) -> Example | None:
        """The example with every pitch moved, or None where one would leave the pitch range."""
        tokens = example.outputs
        pitched = tokens >= FIRST_PITCH
        if self.end_token is not None:
            pitched &= tokens != self.end_token
        moved = tokens[pitched] + semitones
        highest = FIRST_PITCH + self.max_pitch - self.min_pitch
        if moved.size and not FIRST_PITCH <= moved.min() <= moved.max() <= highest:
            return None
        transposed = tokens.copy()
        transposed[pitched] = moved
        return example._replace(inputs=transposed, outputs=transposed)

    def transposable_range(self, sequence: "NoteSequence") -> tuple[int, int]:
        """Semitones down (0 or less) and up for which no note enters or leaves the pitch range."""
        limit = MAX_MIDI_PITCH
        last_end = max((n.end_time for n in sequence.notes), default=0.0)
        # note_seq sets total_time to the end of the last note as it transposes.
        if sequence.total_time < last_end or (
            self.pad_to_total_time and sequence.total_time != last_end
        ):
            return 0, 0
        low, high = -limit, limit
        programs = None if self.valid_programs is None else frozenset(self.valid_programs)
        for pitch, program in {(n.pitch, n.program) for n in sequence.notes if not n.is_drum}:
            if self.pad_to_total_time:  # a note beyond MIDI's range is lost, and its time with it
                low, high = max(low, -pitch), min(high, limit - pitch)
            if programs is not None and program not in programs:
                continue
            if pitch < self.min_pitch:
                high = min(high, self.min_pitch - pitch - 1)
            elif pitch > self.max_pitch:
                low = max(low, self.max_pitch - pitch + 1)
            else:
                low, high = max(low, self.min_pitch - pitch), min(high, self.max_pitch - pitch)
        return low, high


def _without_leading_note_off(tokens: np.ndarray) -> np.ndarray:
    """Windows `[N, T]` in which a note that began before the window does not end in it."""
    sounding = np.logical_or.accumulate(tokens >= FIRST_PITCH, axis=1)
    return np.where(sounding, tokens, np.int16(NO_EVENT))


def _first(found: np.ndarray) -> int:
    """Index of the first True of `[T]`, or T."""
    return int(np.argmax(found)) if found.any() else len(found)


def _ranges(numbers: Iterable[int]) -> str:
    """Whole numbers in short: (0, 1, 2, 5) is '0-2, 5'."""
    spans: list[list[int]] = []
    for number in sorted(set(numbers)):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)
