"""Represents a melody, a bass line and drums that play together by three tokens at every step.

A trio is two melody converters and a drum converter side by side: melody and bass are tokens of
`melody.py` (90 classes each), the drums are one of 512 combinations of `drums.py`. A piece gives a
trio for every combination of a melody instrument, a bass instrument and a drum instrument, wherever
all three play for long enough (Roberts et al. 2018, section 5.1).
"""

import dataclasses
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from music_vae.common.batches import Compact, OneHot
from music_vae.common.constants import (
    BASS_PROGRAMS,
    DRUMS_INSTRUMENT,
    ELECTRIC_BASS_PROGRAM,
    MELODY_PROGRAMS,
)
from music_vae.common.errors import UserError
from music_vae.music.converters.base import Converter, Example, Extraction, bars
from music_vae.music.converters.compact import length_of, one_hot
from music_vae.music.converters.drums import DrumsConverter
from music_vae.music.converters.extract import check_grid
from music_vae.music.converters.grid import Grid, grids_of
from music_vae.music.converters.melody import FIRST_PITCH, OneHotMelodyConverter
from music_vae.music.converters.pitches import class_of
from music_vae.music.converters.score import Score
from music_vae.music.converters.segments import take
from music_vae.music.symbols import Voice, without_key

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

PARTS = ("melody", "bass", "drums")
"""Names of the parts, in the order of the three tokens."""

# The most bars of all trios of a section together: many instruments would fill the memory.
_MAX_TRIO_BARS = 100_000
# The instrument of decoded bass notes; the melody is 0, the drums are `DRUMS_INSTRUMENT`.
_BASS_INSTRUMENT = 1

_Tokens = dict[str, dict[int, np.ndarray]]  # int16 `[T]`, by part and instrument


@dataclasses.dataclass(frozen=True)
class TrioConverter(Converter):
    """Converts trios to three one-hot classes side by side and back; see the module.

    >>> converter = TrioConverter(slice_bars=16)
    >>> converter.describe(), converter.split_output_depths
    ('melody, bass, drums, 16 bars', (90, 90, 512))
    >>> step = np.array([[62, 38, 5]])  # the pitches 81 and 57, the bass drum and the hi-hat
    >>> (music,) = converter.from_tensors([converter.dense_outputs(step)])
    >>> sorted((note.instrument, note.pitch) for note in music.notes)
    [(0, 81), (1, 57), (9, 36), (9, 42)]

    An instrument is a melody by its General MIDI program (0 to 31), a bass (32 to 39) or drums;
    instruments of other programs, or of more than one of the three, are left out. Equal windows
    are not merged.

    Attributes:
      slice_bars: Length of an example in bars; windows slide by one bar. None: the longest
        stretches in which all three parts play.
      gap_bars: A part counts as playing in a bar if it has a note at most this many bars away. In
        the first and in the last `gap_bars` bars of a piece it is enough that one part plays.
      max_bars: Music after this many bars of a section is left out; None: never.
      steps_per_quarter: Steps in a quarter note.
      quarters_per_bar: Quarter notes in a bar; music in other metres is skipped.
      max_tensors_per_notesequence: How many examples of a sequence to use (see `data.limit`);
        `extract` returns all.
      chord_encoding: Must be None: trios with chords are not supported.
      condition_on_key: Must be False: trios with keys are not supported.

    Raises:
      UserError: For a setting that is impossible or not supported.
    """

    slice_bars: int | None = None
    gap_bars: int = 2
    max_bars: int | None = 1024
    steps_per_quarter: int = 4
    quarters_per_bar: int = 4
    max_tensors_per_notesequence: int | None = 5
    chord_encoding: Any = None
    condition_on_key: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.gap_bars, int):
            raise UserError(f"gap_bars must be a whole number from 0 on, not {self.gap_bars!r}")
        check_grid(
            steps_per_quarter=self.steps_per_quarter,
            quarters_per_bar=self.quarters_per_bar,
            max_bars=self.max_bars,
            slice_bars=self.slice_bars,
            gap_bars=self.gap_bars,
            max_tensors_per_notesequence=self.max_tensors_per_notesequence,
        )
        if self.chord_encoding is not None:
            raise UserError("trios with chords are not supported")
        if self.condition_on_key:
            raise UserError("trios with keys are not supported")

    @property
    def window_bars(self) -> int | None:
        """Length of an example in bars, `slice_bars`; None: the longest stretches."""
        return self.slice_bars

    @property
    def melody_converter(self) -> OneHotMelodyConverter:
        """The converter of melody and bass, which reads a whole line, padded to the section."""
        return OneHotMelodyConverter(
            gap_bars=None,
            steps_per_quarter=self.steps_per_quarter,
            quarters_per_bar=self.quarters_per_bar,
            pad_to_total_time=True,
            presplit_on_time_changes=False,
        )

    @property
    def drums_converter(self) -> DrumsConverter:
        """The converter of the drums, which reads a whole track, padded to the section."""
        return DrumsConverter(
            gap_bars=None,
            steps_per_quarter=self.steps_per_quarter,
            quarters_per_bar=self.quarters_per_bar,
            pad_to_total_time=True,
            presplit_on_time_changes=False,
        )

    @property
    def split_output_depths(self) -> tuple[int, int, int]:
        """Number of classes of melody, bass and drums, by which the last axis is split."""
        melody = self.melody_converter.output_depth
        return melody, melody, self.drums_converter.output_depth

    @property
    def output_depth(self) -> int:
        """Number of classes of all three parts together."""
        return sum(self.split_output_depths)

    @property
    def input_depth(self) -> int:
        """Number of classes, the same as `output_depth`."""
        return self.output_depth

    @property
    def input_one_hots(self) -> tuple[int, ...]:
        """The depths of the one-hot vectors of a step, one for each part."""
        return self.split_output_depths

    def extract(self, sequence: "NoteSequence | Score") -> Extraction:
        """Returns all windows as int16 tokens `[T, 3]`, by section, instruments and time."""
        return self.extract_all([sequence])[0]

    def extract_all(self, sequences: Sequence["NoteSequence | Score"]) -> list[Extraction]:
        """Extracts the windows of each sequence; faster than one by one."""
        extractions, owners, grids = grids_of(
            sequences,
            split_on_time_changes=True,
            steps_per_quarter=self.steps_per_quarter,
            quarters_per_bar=self.quarters_per_bar,
        )
        skipped = [extractions[owner].skipped for owner in owners]
        num_bars = list(map(self._num_bars, grids, skipped))
        tokens = self._tokens(grids, num_bars, skipped)
        windows = map(self._windows, grids, num_bars, tokens, skipped)
        for owner, grid, own in zip(owners, grids, windows, strict=True):
            examples = [Example(steps, steps, None, length_of(len(steps))) for steps in own]
            extractions[owner].add(examples, grid.section.qpm)
        return extractions

    def _num_bars(self, grid: Grid, skipped: Counter[str]) -> int:
        """Returns the number of bars of a section that are used."""
        num_bars = math.ceil(grid.total_steps / self.steps_per_bar)
        if self.max_bars is None or num_bars <= self.max_bars:
            return num_bars
        skipped[f"the rest of a piece after {bars(self.max_bars)}"] += 1
        return self.max_bars

    def _windows(
        self, grid: Grid, num_bars: int, tokens: _Tokens, skipped: Counter[str]
    ) -> list[np.ndarray]:
        """Returns the windows of one section as tokens `[T, 3]`."""
        missing = [part for part in PARTS if not tokens[part]]
        for part in missing:
            skipped[f"no {part}"] += 1
        if missing:
            return []
        if num_bars * math.prod(len(tokens[part]) for part in PARTS) > _MAX_TRIO_BARS:
            skipped["too many instruments to combine"] += 1
            return []
        playing = self._playing(grid, num_bars)
        windows = []
        for trio in itertools.product(*(tokens[part] for part in PARTS)):
            steps = np.stack([tokens[p][i] for p, i in zip(PARTS, trio, strict=True)], axis=-1)
            complete = self._complete(np.stack([playing[i] for i in trio]))
            for first, end in stretches(complete, self.slice_bars):
                windows.append(steps[first * self.steps_per_bar : end * self.steps_per_bar].copy())
        if not windows:
            length = "" if self.slice_bars is None else f"{bars(self.slice_bars)} of "
            skipped[f"no {length}melody, bass and drums together"] += 1
        return windows

    def _tokens(
        self, grids: Sequence[Grid], num_bars: Sequence[int], skipped: Sequence[Counter[str]]
    ) -> list[_Tokens]:
        """Returns the tokens of the first `num_bars` bars of each section."""
        melody, drums = self.melody_converter, self.drums_converter
        converters: Mapping[str, Converter] = {"melody": melody, "bass": melody, "drums": drums}
        tokens: list[_Tokens] = [{part: {} for part in PARTS} for _ in grids]
        by_part: dict[str, list[tuple[int, int]]] = {part: [] for part in PARTS}
        for number, grid in enumerate(grids):
            for instrument, part in _parts_of_instruments(grid.notes, skipped[number]).items():
                by_part[part].append((number, instrument))
        num_steps = [number * self.steps_per_bar for number in num_bars]
        for part, instruments in by_part.items():
            alone = [_only(grids[n], instrument, num_steps[n]) for n, instrument in instruments]
            extractions = converters[part].extract_all(alone)
            for (number, instrument), extraction in zip(instruments, extractions, strict=True):
                skipped[number].update(extraction.skipped)
                for example in extraction.examples:  # one, or none where nothing can be played
                    steps = example.outputs[: num_steps[number]].astype(np.int16)
                    tokens[number][part][instrument] = steps
        return tokens

    def _playing(self, grid: Grid, num_bars: int) -> dict[int, np.ndarray]:
        """Returns by instrument if it counts as playing in a bar, booleans `[num_bars]`."""
        size, gap = self.steps_per_bar, self.gap_bars
        first_bars = grid.starts // size
        firsts = np.maximum(first_bars - gap, 0)
        ends = np.minimum(-(-grid.ends // size) + gap, num_bars)
        counts = (first_bars < num_bars) & (firsts < ends)  # not after the last bar that counts
        playing: dict[int, np.ndarray] = {}
        for instrument in set(grid.notes["instrument"].tolist()):
            own = counts & (grid.notes["instrument"] == instrument)
            begun = np.bincount(firsts[own], minlength=num_bars + 1)
            ended = np.bincount(ends[own], minlength=num_bars + 1)
            playing[instrument] = np.cumsum(begun - ended)[:num_bars] > 0
        return playing

    def _complete(self, playing: np.ndarray) -> np.ndarray:
        """Returns True for bars `[num_bars]` in which a trio `[3, num_bars]` is complete."""
        complete = np.all(playing, axis=0)
        if self.gap_bars:
            for edge in (slice(None, self.gap_bars), slice(-self.gap_bars, None)):
                complete[edge] = playing[:, edge].any()
        return complete

    def dense_inputs(self, inputs: np.ndarray) -> np.ndarray:
        """Converts tokens `[..., T, 3]` to booleans `[..., T, input_depth]`, `PAD` to zeros."""
        parts = [
            one_hot(inputs[..., part], depth) for part, depth in enumerate(self.split_output_depths)
        ]
        return np.concatenate(parts, axis=-1)

    def dense_outputs(self, outputs: np.ndarray) -> np.ndarray:
        """Converts tokens to three one-hot vectors, as `dense_inputs` does."""
        return self.dense_inputs(outputs)

    @property
    def compact(self) -> Compact:
        """The compact form: three tokens."""
        tokens = OneHot(self.split_output_depths)
        return Compact(tokens, tokens)

    def from_tensors(self, samples: Any, controls: Any = None) -> list["NoteSequence"]:
        """Decodes three one-hot arrays or class scores side by side, `[T, output_depth]`.

        Every sequence is at 120 quarter notes a minute: the melody on instrument 0 (piano), the
        bass on instrument 1 (electric bass), the drums on instrument 9.
        """
        del controls  # this converter has none
        return [self._sequence(np.asarray(sample)) for sample in samples]

    def _sequence(self, sample: np.ndarray) -> "NoteSequence":
        melody, bass, drums = self._split(sample)
        sequence, bass_sequence = self.melody_converter.from_tensors([melody, bass])
        (drums_sequence,) = self.drums_converter.from_tensors([drums])
        for note in bass_sequence.notes:
            note.instrument = _BASS_INSTRUMENT
            note.program = ELECTRIC_BASS_PROGRAM
        for note in drums_sequence.notes:
            note.instrument = DRUMS_INSTRUMENT
        for other in (bass_sequence, drums_sequence):
            sequence.notes.extend(other.notes)
            sequence.total_time = max(sequence.total_time, other.total_time)
        return sequence

    def _split(self, outputs: np.ndarray) -> list[np.ndarray]:
        """Splits outputs into the columns of melody, bass and drums."""
        return np.split(outputs, np.cumsum(self.split_output_depths)[:-1], axis=-1)

    # -- About the music --------------------------------------------------------------------------

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts: melody, bass and drums."""
        return PARTS

    @property
    def num_symbols(self) -> tuple[int, ...]:
        """Number of classes of each part, `split_output_depths`."""
        return self.split_output_depths

    def symbols(self, outputs: np.ndarray) -> np.ndarray:
        """Returns the classes of melody, bass and drums, `[..., T, 3]`."""
        parts = self._split(np.asarray(outputs))
        return np.stack([np.argmax(part, axis=-1) for part in parts], axis=-1)

    def without_key(self, symbols: np.ndarray) -> np.ndarray:
        """Returns symbols that are equal for windows which differ by the key of melody and bass."""
        tokens = np.array(symbols, np.int64)
        is_pitch = tokens >= FIRST_PITCH
        is_pitch[:, PARTS.index("drums")] = False
        return without_key(tokens, is_pitch)

    def voices(self, outputs: np.ndarray) -> list[tuple[str, Voice]]:
        """Returns three voices: melody, bass and drums."""
        melody, bass, drums = self._split(np.asarray(outputs))
        lines = [self.melody_converter.voices(part) for part in (melody, bass)]
        own = [*lines, self.drums_converter.voices(drums)]
        return [(name, voice) for name, ((_, voice),) in zip(PARTS, own, strict=True)]

    def describe(self) -> str:
        """Returns a description such as 'melody, bass, drums, 16 bars'."""
        return self._described(", ".join(PARTS))


def _parts_of_instruments(notes: np.ndarray, skipped: Counter[str]) -> dict[int, str]:
    """Returns the part, one of `PARTS`, that each instrument plays, by the instrument's number.

    Instruments that play none, or several, are left out and counted in `skipped`.
    """
    part = class_of((MELODY_PROGRAMS, BASS_PROGRAMS), notes["program"])
    part[notes["is_drum"]] = PARTS.index("drums")
    played: dict[int, set[int]] = {}
    for instrument, candidate in set(zip(notes["instrument"].tolist(), part.tolist(), strict=True)):
        played.setdefault(instrument, set()).add(candidate)
    parts: dict[int, str] = {}
    for instrument, candidates in sorted(played.items()):
        if len(candidates) > 1:
            skipped["instrument with programs of several parts"] += 1
        elif candidates == {-1}:
            skipped["instrument that is no melody, bass or drums"] += 1
        else:
            parts[instrument] = PARTS[candidates.pop()]
    return parts


def stretches(covered: np.ndarray, size: int | None) -> Iterable[tuple[int, int]]:
    """Yields (first, end) of all windows of `size` in which `covered` `[N]` is True throughout.

    Without a size, it yields the longest stretches of True. They are in order of time.

    >>> covered = np.array([True, True, True, False, True])
    >>> list(stretches(covered, 2)), list(stretches(covered, None))
    ([(0, 2), (1, 3)], [(0, 3), (4, 5)])
    """
    changes = np.flatnonzero(np.diff(covered, prepend=False, append=False))
    for first, end in changes.reshape(-1, 2).tolist():
        if size is None:
            yield first, end
        else:
            yield from ((start, start + size) for start in range(first, end - size + 1))


def _only(grid: Grid, instrument: int, num_steps: int) -> Score:
    """Returns a piece of `num_steps` steps with the notes of one instrument of a section."""
    section = grid.section
    notes = take(section.notes, section.notes["instrument"] == instrument)
    total_time_s = num_steps * (60 / section.qpm / grid.steps_per_quarter)
    return Score(notes, total_time_s, section.tempos, section.metres)
