"""Represents drums by the set of drum classes that are hit at every step.

The compact form is a bit mask for each step: class 0 is the lowest bit, and the end token is one
bit above the classes. The dense form is either a piano roll, with a column for each class, or
one-hot over all combinations of classes; the mask is then the index of its column (Roberts et al.
2018, section 5.1).
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from music_vae.common.batches import Compact, OneHot, Roll
from music_vae.common.constants import (
    DEFAULT_QPM,
    MAX_MIDI_PITCH,
    OUTPUT_VELOCITY,
    REDUCED_DRUM_PITCH_CLASSES,
)
from music_vae.common.errors import UserError
from music_vae.music.converters.base import Converter, Example, Extraction, bars
from music_vae.music.converters.compact import bit_masks, bits, length_of, one_hot
from music_vae.music.converters.extract import check_grid, drum_tracks, pad_drums, unique, windows
from music_vae.music.converters.grid import Grid, grids_of
from music_vae.music.converters.pitches import checked_pitch_classes, class_of
from music_vae.music.converters.score import Score, read
from music_vae.music.converters.segments import split
from music_vae.music.symbols import Beat, Voice

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

# One-hot steps of more classes, with more than 2**16 columns, would fill the memory.
_MAX_ONE_HOT_CLASSES = 16
# A mask of 63 bits, end token included, is the most that a positive int64 holds.
_MAX_ROLL_CLASSES = 62


@dataclasses.dataclass(frozen=True)
class DrumsConverter(Converter):
    """Converts drums to piano rolls or one-hot combinations and back; see the module.

    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> beat = NoteSequence(tempos=[{"qpm": 120}], total_time=2.0)
    >>> for start, pitch in [(0.0, 36), (0.0, 42), (0.5, 38), (0.5, 42)]:
    ...     times = {"start_time": start, "end_time": start + 0.1}
    ...     _ = beat.notes.add(pitch=pitch, velocity=80, is_drum=True, **times)
    >>> converter = DrumsConverter(slice_bars=1)
    >>> (example,) = converter.extract(beat).examples
    >>> example.outputs.tolist()  # bits: 1 bass drum, 2 snare, 4 closed hi-hat
    [5, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    >>> (again,) = converter.from_tensors([converter.dense_outputs(example.outputs)])
    >>> sorted(note.pitch for note in again.notes)
    [36, 38, 42, 42]

    Attributes:
      max_bars: A track is cut after this many bars, before windows are taken; None: never.
      slice_bars: Length of an example in bars; windows slide by one bar. None: whole tracks.
      gap_bars: Bars without a hit that end a track; None or 0: a gap never does.
      pitch_classes: The MIDI pitches of every class. A class is decoded to its first pitch; other
        pitches are left out. None: the nine classes of `REDUCED_DRUM_PITCH_CLASSES`.
      add_end_token: If True, an example ends with one step of the end token.
      steps_per_quarter: Steps in a quarter note.
      quarters_per_bar: Quarter notes in a bar; music in other metres is skipped.
      pad_to_total_time: If True, silence fills a track up to the length of the whole section.
      roll_input: If True, inputs are piano rolls with a last column for 'nothing played'; else
        one-hot.
      roll_output: If True, outputs are piano rolls; else one-hot.
      max_tensors_per_notesequence: How many examples of a sequence to use (see `data.limit`);
        `extract` returns all.
      presplit_on_time_changes: If True, a piece is cut where its metre or tempo changes; else such
        a piece is skipped.

    Raises:
      UserError: For a setting that is impossible.
    """

    max_bars: int | None = None
    slice_bars: int | None = None
    gap_bars: float | None = 1.0
    pitch_classes: tuple[tuple[int, ...], ...] = REDUCED_DRUM_PITCH_CLASSES
    add_end_token: bool = False
    steps_per_quarter: int = 4
    quarters_per_bar: int = 4
    pad_to_total_time: bool = False
    roll_input: bool = False
    roll_output: bool = False
    max_tensors_per_notesequence: int | None = 5
    presplit_on_time_changes: bool = True

    def __post_init__(self) -> None:
        classes: Iterable[Iterable[int]] | None = self.pitch_classes
        if classes is None:
            classes = REDUCED_DRUM_PITCH_CLASSES
        object.__setattr__(self, "pitch_classes", checked_pitch_classes("pitch_classes", classes))
        check_grid(
            steps_per_quarter=self.steps_per_quarter,
            quarters_per_bar=self.quarters_per_bar,
            max_bars=self.max_bars,
            slice_bars=self.slice_bars,
            gap_bars=self.gap_bars,
            max_tensors_per_notesequence=self.max_tensors_per_notesequence,
        )
        self._check_number_of_classes()

    def _check_number_of_classes(self) -> None:
        rolls_only = self.roll_input and self.roll_output
        most = _MAX_ROLL_CLASSES if rolls_only else _MAX_ONE_HOT_CLASSES
        if self.num_classes > most:
            advice = "" if rolls_only else "; use roll_input=True and roll_output=True"
            raise UserError(f"{self.num_classes} drum classes are more than {most}{advice}")

    @property
    def num_classes(self) -> int:
        """Number of drum classes."""
        return len(self.pitch_classes)

    @property
    def window_bars(self) -> int | None:
        """Length of an example in bars, `slice_bars`; None: whole tracks."""
        return self.slice_bars

    @property
    def input_depth(self) -> int:
        """Columns of the inputs; those of a roll include the end token and 'nothing played'."""
        return self._roll_depth + 1 if self.roll_input else self._one_hot_depth

    @property
    def input_one_hots(self) -> tuple[int, ...]:
        """The depth of the one one-hot vector of a step; empty if the input is a piano roll."""
        return () if self.roll_input else (self.input_depth,)

    @property
    def output_depth(self) -> int:
        """Columns of the outputs, including that of the end token."""
        return self._roll_depth if self.roll_output else self._one_hot_depth

    @property
    def _roll_depth(self) -> int:
        return self.num_classes + self.add_end_token

    @property
    def _one_hot_depth(self) -> int:
        return 2**self.num_classes + self.add_end_token

    @property
    def end_token(self) -> int | None:
        """The last column of the outputs; None without an end token."""
        return self.output_depth - 1 if self.add_end_token else None

    @property
    def _end_mask(self) -> int:
        """The compact end token: the bit above the classes, and the last one-hot index."""
        return 1 << self.num_classes

    def extract(self, sequence: "NoteSequence | Score") -> Extraction:
        """Returns all windows of all drum tracks as int64 masks `[T]`, by section and time."""
        return self.extract_all([sequence])[0]

    def extract_all(self, sequences: Sequence["NoteSequence | Score"]) -> list[Extraction]:
        """Extracts the windows of each sequence; faster than one by one."""
        extractions, owners, grids = grids_of(
            sequences,
            split_on_time_changes=self.presplit_on_time_changes,
            steps_per_quarter=self.steps_per_quarter,
            quarters_per_bar=self.quarters_per_bar,
        )
        tracks = self._tracks(grids, [extractions[owner].skipped for owner in owners])
        cut = iter(self._windows([events for own in tracks for events in own]))
        for owner, grid, own in zip(owners, grids, tracks, strict=True):
            windows_of_tracks = [next(cut) for _ in own]
            short = sum(not len(windows) for windows in windows_of_tracks)
            if short:
                reason = f"drum track shorter than {bars(self.slice_bars or 0)}"
                extractions[owner].skipped[reason] += short
            masks = unique(window for windows in windows_of_tracks for window in windows)
            examples = [self._example(window) for window in masks]
            extractions[owner].add(examples, grid.section.qpm)
        for extraction in extractions:
            if not extraction.examples and not extraction.skipped:
                extraction.skipped["no drum track"] += 1
        return extractions

    @property
    def kit(self) -> tuple[tuple[int, ...], ...]:
        """The MIDI pitches of each drum class, `pitch_classes`."""
        return self.pitch_classes

    def window(self, score: Score) -> Extraction:
        """Returns the example of a window of drums."""
        exact = dataclasses.replace(
            self,
            max_bars=None,
            gap_bars=None,
            pad_to_total_time=True,
            presplit_on_time_changes=False,
        )
        return exact.extract(score)

    def _tracks(
        self, grids: Sequence[Grid], skipped: Sequence[Counter[str]]
    ) -> list[list[np.ndarray]]:
        """Returns the drum tracks of each section as mask arrays `[T]`."""
        drums, masks = [], []
        for grid, own_skipped in zip(grids, skipped, strict=True):
            is_drum = grid.notes["is_drum"]
            classes = class_of(self.pitch_classes, grid.notes["pitch"])
            known = is_drum & (classes >= 0)
            num_drums, num_known = int(is_drum.sum()), int(known.sum())
            if not num_drums:
                own_skipped["no drum notes"] += 1
            if num_known < num_drums:
                own_skipped["drum note of no class"] += num_drums - num_known
            drums.append(grid.only(known))
            masks.append(np.int64(1) << classes[known])
        tracks = drum_tracks(drums, masks, skipped, gap_bars=self.gap_bars, max_bars=self.max_bars)
        if not self.pad_to_total_time:
            return [[track.events for track in own] for own in tracks]
        return [
            [pad_drums(track, grid.total_steps).events for track in own]
            for grid, own in zip(grids, tracks, strict=True)
        ]

    def _windows(self, tracks: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Returns the windows `[N, T]` of each track, without end tokens."""
        if self.slice_bars is None:
            return [track[None] for track in tracks]
        return split(*windows(tracks, self.slice_bars * self.steps_per_bar, self.steps_per_bar))

    def _example(self, masks: np.ndarray) -> Example:
        if self.add_end_token:
            masks = np.append(masks, np.int64(self._end_mask))
        return Example(masks, masks, None, length_of(len(masks)))

    def dense_inputs(self, inputs: np.ndarray) -> np.ndarray:
        """Converts masks `[..., T]` to booleans `[..., T, input_depth]`, `PAD` to zeros."""
        if not self.roll_input:
            return one_hot(inputs, self.input_depth)
        nothing = np.asarray(inputs)[..., None] == 0
        return np.concatenate([bits(inputs, self._roll_depth), nothing], axis=-1)

    def dense_outputs(self, outputs: np.ndarray) -> np.ndarray:
        """Converts masks `[..., T]` to booleans `[..., T, output_depth]`, `PAD` to zeros."""
        if not self.roll_output:
            return one_hot(outputs, self.output_depth)
        return bits(outputs, self.output_depth)

    @property
    def drums_in_mask(self) -> int:
        """Number of drums in the bit mask of a step, `num_classes`."""
        return self.num_classes

    @property
    def compact(self) -> Compact:
        """The compact form: masks, as piano rolls or as classes."""
        one_hot_masks = OneHot((self._one_hot_depth,))
        return Compact(
            Roll(self._roll_depth, has_nothing=True) if self.roll_input else one_hot_masks,
            Roll(self._roll_depth) if self.roll_output else one_hot_masks,
        )

    def from_tensors(self, samples: Any, controls: Any = None) -> list["NoteSequence"]:
        """Decodes piano rolls, one-hot arrays or class scores, up to the first end token.

        Every sequence is at 120 quarter notes a minute, on instrument 9; a hit lasts one step.
        """
        del controls  # this converter has none
        return [self._sequence(self.symbols(sample)) for sample in samples]

    def _sequence(self, masks: np.ndarray) -> "NoteSequence":
        from note_seq import DrumTrack

        masks = self._without_end(masks)
        first_pitches = [pitches[0] for pitches in self.pitch_classes]
        track = DrumTrack(
            [
                frozenset(p for c, p in enumerate(first_pitches) if mask >> c & 1)
                for mask in masks.tolist()
            ],
            steps_per_bar=self.steps_per_bar,
            steps_per_quarter=self.steps_per_quarter,
        )
        return track.to_sequence(velocity=OUTPUT_VELOCITY, qpm=DEFAULT_QPM)

    def _without_end(self, masks: np.ndarray) -> np.ndarray:
        """Returns the masks `[T]` before the first end token."""
        if not self.add_end_token:
            return masks
        ended = np.flatnonzero(masks & self._end_mask)
        return masks[: ended[0]] if len(ended) else masks

    def transpose(self, example: Example, semitones: int | np.ndarray) -> Example | None:
        """Returns the example itself: drums keep their pitches when music is transposed."""
        del semitones
        return example

    def transposable_range(self, sequence: "NoteSequence | Score") -> tuple[int, int]:
        """Returns all of MIDI's transpositions, or none where one would change the total time."""
        score = read(sequence)
        # Transposition sets the total time to the end of the last note.
        if score.total_time_s < score.last_end_s or self.pad_to_total_time:
            return 0, 0
        return -MAX_MIDI_PITCH, MAX_MIDI_PITCH

    # -- About the music --------------------------------------------------------------------------

    @property
    def num_symbols(self) -> tuple[int, ...]:
        """Number of combinations of drums, and those with the end token."""
        return (2**self.output_depth if self.roll_output else self.output_depth,)

    def symbols(self, outputs: np.ndarray) -> np.ndarray:
        """Returns the masks `[..., T]` of dense outputs, piano rolls or one-hot."""
        return bit_masks(outputs) if self.roll_output else super().symbols(outputs)

    @property
    def has_hits(self) -> bool:
        """True: outputs are drums."""
        return True

    def hits(self, outputs: np.ndarray) -> np.ndarray:
        """Returns the hits of dense outputs before the end token, booleans `[T, num_classes]`."""
        return bits(self._without_end(self.symbols(outputs)), self.num_classes)

    def voices(self, outputs: np.ndarray) -> list[tuple[str, Voice]]:
        """Returns one voice, the drums."""
        first_pitches = tuple(pitches[0] for pitches in self.pitch_classes)
        return [("drums", Beat(self.hits(outputs), first_pitches))]

    def describe(self) -> str:
        """Returns a description such as '9 drums, 2 bars'."""
        return self._described(f"{self.num_classes} drums")
