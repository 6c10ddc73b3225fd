"""Represents a melody, which has one voice, by a token at every step.

Token 0 is 'no event' (a note or a rest goes on), 1 ends a note, and 2 and above start a note: 2 the
lowest pitch, `min_pitch`, 3 the next higher one. The end token, if there is one, is the last class.
An example is the same array as input and as output (Roberts et al. 2018, section 5.1).
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from music_vae.common.batches import Compact, OneHot
from music_vae.common.constants import (
    DEFAULT_QPM,
    MAX_MIDI_PITCH,
    MIN_MIDI_PITCH,
    OUTPUT_VELOCITY,
    PIANO_MAX_PITCH,
    PIANO_MIN_PITCH,
)
from music_vae.common.errors import UserError
from music_vae.music.converters.base import Conditioning, Converter, Example, Extraction, bars
from music_vae.music.converters.compact import length_of, one_hot
from music_vae.music.converters.controls import Harmony, HarmonyTrack, check_chord_encoding
from music_vae.music.converters.extract import check_grid, melodies, pad_melody, unique, windows
from music_vae.music.converters.grid import Grid, grids_of
from music_vae.music.converters.pitches import class_of, transposable
from music_vae.music.converters.score import Score, read
from music_vae.music.converters.segments import join, split, take, totals
from music_vae.music.symbols import Line, Melody, Voice, without_key

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

NO_EVENT = 0
NOTE_OFF = 1
FIRST_PITCH = 2
"""The tokens. Melody events of note_seq are -2 and -1 instead, and MIDI pitches."""

_MAX_PROGRAM = 127  # General MIDI's programs, counted from 0


@dataclasses.dataclass(frozen=True)
class OneHotMelodyConverter(Converter):
    """Converts melodies to one-hot classes and back; see the module for the tokens.

    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> tune = NoteSequence(tempos=[{"qpm": 120}], total_time=2.0)
    >>> for start, pitch in [(0.0, 60), (0.5, 64), (1.0, 67)]:  # C, E, G: quarter notes
    ...     _ = tune.notes.add(pitch=pitch, velocity=80, start_time=start, end_time=start + 0.5)
    >>> converter = OneHotMelodyConverter(min_pitch=60, max_pitch=71, slice_bars=1)
    >>> (example,) = converter.extract(tune).examples
    >>> example.outputs.tolist()
    [2, 0, 0, 0, 6, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0]
    >>> (again,) = converter.from_tensors([converter.dense_outputs(example.outputs)])
    >>> [note.pitch for note in again.notes]
    [60, 64, 67]

    Attributes:
      min_pitch: Lowest MIDI pitch; notes below it are left out.
      max_pitch: Highest MIDI pitch; notes above it are left out.
      valid_programs: MIDI programs (from 0) whose notes are read; None: all.
      skip_polyphony: If True, a track with chords is skipped; else its highest notes are read.
      max_bars: A melody is cut after this many bars, before windows are taken; None: never.
      slice_bars: Length of an example in bars; windows slide by one bar. None: whole melodies.
      gap_bars: Bars of silence that end a melody; None or 0: silence never does.
      steps_per_quarter: Steps in a quarter note.
      quarters_per_bar: Quarter notes in a bar; music in other metres is skipped.
      add_end_token: If True, an example ends with one step of the end token.
      pad_to_total_time: If True, silence fills a melody up to the length of the whole section.
      max_tensors_per_notesequence: How many examples of a sequence to use (see `data.limit`);
        `extract` returns all.
      presplit_on_time_changes: If True, a piece is cut where its metre or tempo changes; else such
        a piece is skipped.
      chord_encoding: "triad" (or note_seq's TriadChordOneHotEncoding, which becomes that) if the
        chord of every step is a control; None: no chords. See `controls`.
      condition_on_key: If True, the key of every step is a control.
      dedupe_event_lists: If True, equal windows of a section with equal controls are kept once.

    Raises:
      UserError: For a setting that is impossible.
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
            if not programs or not all(0 <= program <= _MAX_PROGRAM for program in programs):
                raise UserError(f"valid_programs must be from 0 to {_MAX_PROGRAM}, not {programs}")
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
        object.__setattr__(self, "chord_encoding", check_chord_encoding(self.chord_encoding))

    @property
    def window_bars(self) -> int | None:
        """Length of an example in bars, `slice_bars`; None: whole melodies."""
        return self.slice_bars

    @property
    def output_depth(self) -> int:
        """Number of classes: no event, note off, the pitches, and perhaps the end."""
        return FIRST_PITCH + self.max_pitch - self.min_pitch + 1 + self.add_end_token

    @property
    def input_depth(self) -> int:
        """Number of classes, the same as `output_depth`."""
        return self.output_depth

    @property
    def input_one_hots(self) -> tuple[int, ...]:
        """The depth of the one one-hot vector of a step."""
        return (self.input_depth,)

    @property
    def harmony(self) -> Harmony:
        """The chords and keys that the music is conditioned on."""
        return Harmony(chords=self.chord_encoding is not None, keys=self.condition_on_key)

    @property
    def control_depth(self) -> int:
        """Width of the controls: 49 columns for chords, then 12 for keys, where there are such."""
        return self.harmony.depth

    @property
    def end_token(self) -> int | None:
        """The last class, which ends a melody; None without an end token."""
        return self.output_depth - 1 if self.add_end_token else None

    def extract(self, sequence: "NoteSequence | Score") -> Extraction:
        """Returns all windows as int16 tokens `[T]`, by section, instrument and time."""
        return self.extract_all([sequence])[0]

    def extract_all(self, sequences: Sequence["NoteSequence | Score"]) -> list[Extraction]:
        """Extracts the windows of each sequence; faster than one by one."""
        extractions, owners, grids = grids_of(
            sequences,
            split_on_time_changes=self.presplit_on_time_changes,
            steps_per_quarter=self.steps_per_quarter,
            quarters_per_bar=self.quarters_per_bar,
            playable=self._playable,
        )
        skipped = [extractions[owner].skipped for owner in owners]
        lines = melodies(
            grids,
            skipped,
            gap_bars=self.gap_bars,
            max_bars=self.max_bars,
            skip_polyphony=self.skip_polyphony,
        )
        if self.pad_to_total_time:
            lines = [
                [pad_melody(line, grid.total_steps) for line in own]
                for grid, own in zip(grids, lines, strict=True)
            ]
        cut = iter(self._windows([line.events for own in lines for line in own]))
        for owner, grid, own in zip(owners, grids, lines, strict=True):
            tokens = [next(cut) for _ in own]
            starts = [line.start_step for line in own]
            extraction = extractions[owner]
            examples = self._examples(grid, starts, tokens, extraction.skipped)
            extraction.add(examples, grid.section.qpm)
        for extraction in extractions:
            if not extraction.examples and not extraction.skipped:
                extraction.skipped["no melody"] += 1
        return extractions

    @property
    def pitches(self) -> frozenset[int]:
        """The MIDI pitches that are read, `min_pitch` to `max_pitch`."""
        return frozenset(range(self.min_pitch, self.max_pitch + 1))

    def window(self, score: Score) -> Extraction:
        """Returns the example of a window of one instrument, whatever its program."""
        exact = dataclasses.replace(
            self,
            valid_programs=None,
            max_bars=None,
            gap_bars=None,
            pad_to_total_time=True,
            presplit_on_time_changes=False,
        )
        return exact.extract(score)

    def _playable(self, sections: Sequence[Score]) -> list[np.ndarray | str]:
        """Returns each section's notes in the programs and the pitch range, or why it has none."""
        notes, sizes = join([section.notes for section in sections])
        pitches, is_pitched = notes["pitch"], ~notes["is_drum"]
        chosen = self._is_chosen(notes["program"])
        kept = chosen & (pitches >= self.min_pitch) & (pitches <= self.max_pitch)
        numbers = (
            totals(mask, sizes).tolist()
            for mask in (kept & is_pitched, is_pitched, chosen & is_pitched)
        )
        playable = split(take(notes, kept), totals(kept, sizes))
        notes_or_reasons: list[np.ndarray | str] = []
        for own, num_kept, num_pitched, num_chosen in zip(playable, *numbers, strict=True):
            if num_kept:
                notes_or_reasons.append(own)
            elif not num_pitched:
                notes_or_reasons.append("only drums")
            elif not num_chosen:
                programs = _ranges(self.valid_programs or ())
                notes_or_reasons.append(f"no notes in programs {programs}")
            else:
                notes_or_reasons.append("no melody in the pitch range")
        return notes_or_reasons

    def _is_chosen(self, programs: np.ndarray) -> np.ndarray:
        """Returns True for the programs whose notes are read."""
        if self.valid_programs is None:
            return np.ones(len(programs), bool)
        return class_of((self.valid_programs,), programs) >= 0

    def _windows(self, events: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Returns the windows of each melody as tokens `[N, T]`, without end tokens."""
        if self.slice_bars is None:
            return [self._tokens(own)[None] for own in events]
        cut, numbers = windows(events, self.slice_bars * self.steps_per_bar, self.steps_per_bar)
        return split(_without_leading_note_off(self._tokens(cut)), numbers)

    def _tokens(self, events: np.ndarray) -> np.ndarray:
        """Returns the tokens of note_seq's melody events."""
        return np.where(events < 0, events, events - np.int16(self.min_pitch)) + FIRST_PITCH

    def _examples(
        self,
        grid: Grid,
        start_steps: Sequence[int],
        windows: Sequence[np.ndarray],
        skipped: Counter[str],
    ) -> list[Example]:
        """Returns the examples of one section, given the start and the windows of its melodies."""
        track = None
        if windows and self.control_depth:
            track = self.harmony.read(grid, skipped)
            if track is None:
                return []
        short = sum(not len(tokens) for tokens in windows)
        if short:
            skipped[f"melody shorter than {bars(self.slice_bars or 0)}"] += short
        if track is None:
            melodies = [own for tokens in windows for own in tokens]
            if self.dedupe_event_lists:
                melodies = unique(melodies)
            return [self._example(own, None) for own in melodies]
        return self._conditioned_examples(start_steps, windows, track, skipped)

    def _conditioned_examples(
        self,
        start_steps: Sequence[int],
        windows: Sequence[np.ndarray],
        track: HarmonyTrack,
        skipped: Counter[str],
    ) -> list[Example]:
        """Returns examples with controls, leaving out windows with chords that are no triads."""
        windows_and_harmony: list[tuple[np.ndarray, np.ndarray]] = []
        for start, tokens in zip(start_steps, windows, strict=True):
            for number, own in enumerate(tokens):
                first = start + number * self.steps_per_bar
                windows_and_harmony.append((own, track.at(first + np.arange(len(own)))))
        if self.dedupe_event_lists:
            windows_and_harmony = _unique(windows_and_harmony)
        encoded = ((own, track.encode(harmony, skipped)) for own, harmony in windows_and_harmony)
        return [self._example(own, controls) for own, controls in encoded if controls is not None]

    def _example(self, tokens: np.ndarray, controls: np.ndarray | None) -> Example:
        if self.add_end_token:
            tokens = np.append(tokens, np.int16(self.output_depth - 1))
            if controls is not None:  # a model would not learn an end that its controls give away
                controls = np.concatenate([controls, controls[-1:]])
        return Example(tokens, tokens, controls, length_of(len(tokens)))

    def dense_inputs(self, inputs: np.ndarray) -> np.ndarray:
        """Converts tokens `[..., T]` to one-hot `[..., T, input_depth]`, `PAD` to zeros."""
        return one_hot(inputs, self.input_depth)

    def dense_outputs(self, outputs: np.ndarray) -> np.ndarray:
        """Converts tokens to one-hot vectors, as `dense_inputs` does."""
        return one_hot(outputs, self.output_depth)

    def dense_controls(self, controls: np.ndarray) -> np.ndarray:
        """Converts compact controls to booleans `[..., T, control_depth]`, `PAD` to zeros."""
        if not self.control_depth:
            return super().dense_controls(controls)
        return self.harmony.dense(controls)

    @property
    def compact(self) -> Compact:
        """The compact form: tokens, and chords and keys as classes."""
        tokens = OneHot((self.output_depth,))
        return Compact(tokens, tokens, self.harmony.compact)

    def from_tensors(self, samples: Any, controls: Any = None) -> list["NoteSequence"]:
        """Decodes one-hot arrays or class scores `[T, output_depth]`, up to the first end token.

        Every sequence is at 120 quarter notes a minute, on instrument 0 and program 0. Controls
        become chord symbols and key signatures where they change.

        Raises:
          UserError: If controls are given whose depth is not `control_depth`.
        """
        if controls is None or not self.control_depth:
            return [self._sequence(np.argmax(sample, axis=-1)) for sample in samples]
        return [
            self._sequence(np.argmax(sample, axis=-1), own)
            for sample, own in zip(samples, controls, strict=True)
        ]

    def _sequence(self, tokens: np.ndarray, controls: np.ndarray | None = None) -> "NoteSequence":
        import note_seq

        tokens = self._without_end(tokens)
        pitched = tokens >= FIRST_PITCH
        events = np.where(pitched, tokens + self.min_pitch, tokens) - FIRST_PITCH
        melody = note_seq.Melody(
            events.tolist(),
            steps_per_bar=self.steps_per_bar,
            steps_per_quarter=self.steps_per_quarter,
        )
        sequence = melody.to_sequence(velocity=OUTPUT_VELOCITY, qpm=DEFAULT_QPM)
        if controls is None:
            return sequence
        step_s = 60 / DEFAULT_QPM / self.steps_per_quarter
        times_s = [step * step_s for step in range(len(tokens))]
        return self.harmony.annotate(sequence, controls, times_s)

    def _without_end(self, tokens: np.ndarray) -> np.ndarray:
        """Returns the tokens `[T]` before the first end token."""
        if self.end_token is None:
            return tokens
        return tokens[: _first(tokens == self.end_token)]

    def _is_pitch(self, tokens: np.ndarray) -> np.ndarray:
        pitched = tokens >= FIRST_PITCH
        if self.end_token is not None:
            pitched &= tokens != self.end_token
        return pitched

    def transpose(self, example: Example, semitones: int | np.ndarray) -> Example | None:
        """Moves every pitch of an example; returns None if one would leave the pitch range."""
        tokens = example.outputs
        pitched = self._is_pitch(tokens)
        by = np.asarray(semitones, tokens.dtype)[..., None]
        moved = np.where(pitched, tokens + by, FIRST_PITCH)
        highest = FIRST_PITCH + self.max_pitch - self.min_pitch
        if moved.size and not FIRST_PITCH <= moved.min() <= moved.max() <= highest:
            return None
        transposed = np.where(pitched, moved, tokens)
        controls = example.controls
        if controls is not None:
            controls = self.harmony.transpose(controls, by)
        return example._replace(inputs=transposed, outputs=transposed, controls=controls)

    def transposable_range(self, sequence: "NoteSequence | Score") -> tuple[int, int]:
        """Returns how far down (0 or less) and up no note enters or leaves the pitch range."""
        score = read(sequence)
        limit = MAX_MIDI_PITCH
        # Transposition sets the total time to the end of the last note.
        ends_with_notes = score.total_time_s == score.last_end_s
        if score.total_time_s < score.last_end_s or (
            self.pad_to_total_time and not ends_with_notes
        ):
            return 0, 0
        moves = self.harmony.moves_with(score, self.steps_per_quarter)
        if self.control_depth and not (ends_with_notes and moves):
            return 0, 0
        pitched = score.notes[~score.notes["is_drum"]]
        pitches = pitched["pitch"]
        low, high = -limit, limit
        if self.pad_to_total_time and len(pitches):
            # A note beyond MIDI's range is lost, and its time with it.
            low, high = max(low, -int(pitches.min())), min(high, limit - int(pitches.max()))
        read_pitches = pitches[self._is_chosen(pitched["program"])]
        return transposable(read_pitches, self.min_pitch, self.max_pitch, (low, high))

    # -- About the music --------------------------------------------------------------------------

    def without_key(self, symbols: np.ndarray) -> np.ndarray:
        """Returns symbols that are equal for windows with the same rhythm and intervals."""
        tokens = np.array(symbols, np.int64)
        return without_key(tokens, self._is_pitch(tokens))

    @property
    def has_melody(self) -> bool:
        """True: outputs are one voice."""
        return True

    def melody(self, outputs: np.ndarray) -> Melody:
        """Returns the notes of dense outputs `[T, output_depth]`, up to the first end token."""
        tokens = self._without_end(self.symbols(outputs))
        steps = np.flatnonzero(tokens >= FIRST_PITCH)
        return Melody(steps, tokens[steps] - FIRST_PITCH + self.min_pitch, len(tokens))

    def voices(self, outputs: np.ndarray) -> list[tuple[str, Voice]]:
        """Returns one voice, the melody; a note lasts to the next one or to its note off."""
        tokens = self._without_end(self.symbols(outputs))
        events = np.append(np.flatnonzero(tokens != NO_EVENT), len(tokens))
        starts = np.flatnonzero(tokens >= FIRST_PITCH)
        ends = events[np.searchsorted(events, starts, side="right")]
        pitches = tokens[starts] - FIRST_PITCH + self.min_pitch
        return [("melody", Line(starts, ends, pitches, len(tokens)))]

    @property
    def conditioning(self) -> Conditioning:
        """The conditions that a musician gives: chords, a key, both or none."""
        return self.harmony.conditioning

    def controls_from(
        self,
        steps: int,
        *,
        chords: np.ndarray | None = None,
        key: int | None = None,
        hits: "NoteSequence | None" = None,
    ) -> list[np.ndarray]:
        """Returns one array: the chords spread evenly over the steps, and the key."""
        del hits
        return [self.harmony.controls_from(steps, chords, key)] if self.control_depth else []

    def describe(self) -> str:
        """Returns a description such as 'melody, 2 bars'."""
        return self._described("melody")


def _unique(
    windows: Iterable[tuple[np.ndarray, np.ndarray]],
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns tokens and harmony without repetitions, in the order in which they first appear."""
    seen: dict[tuple[bytes, bytes], tuple[np.ndarray, np.ndarray]] = {}
    for tokens, harmony in windows:
        seen.setdefault((tokens.tobytes(), harmony.tobytes()), (tokens, harmony))
    return list(seen.values())


def _without_leading_note_off(tokens: np.ndarray) -> np.ndarray:
    """Removes from windows `[N, T]` the ends of notes that begin before the window."""
    sounding = np.logical_or.accumulate(tokens >= FIRST_PITCH, axis=1)
    return np.where(sounding, tokens, np.int16(NO_EVENT))


def _first(matches: np.ndarray) -> int:
    """Returns the index of the first True of `[T]`, or T."""
    return int(np.argmax(matches)) if matches.any() else len(matches)


def _ranges(numbers: Iterable[int]) -> str:
    """Returns whole numbers in short: '0-2, 5' for (0, 1, 2, 5)."""
    spans: list[list[int]] = []
    for number in sorted(set(numbers)):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)
