"""Represents a groove, drums as they are played, with the loudness and timing of every hit.

At every step each drum class has three numbers: hit (0 or 1), velocity (0 to 1) and offset (-1 to
1, in half steps; positive is early). The inputs of the encoder can hold less than the outputs of
the decoder: taps on one drum, no dynamics, some instruments missing, some notes dropped. The model
then learns to fill in the rest (Gillick et al. 2019).

The compact form has these numbers as float32 (float64 where they go into bins), `[T, 3 * drums]`:
all hits, all velocities, all offsets. With `split_instruments` every row is one drum alone,
`[T * drums, 3]`.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from music_vae.common.batches import Compact, Numbers
from music_vae.common.errors import UserError
from music_vae.music.converters.base import (
    Conditioning,
    Converter,
    Example,
    Extraction,
    Tensors,
    bars,
)
from music_vae.music.converters.compact import bit_masks, length_of
from music_vae.music.converters.extract import check_grid, windows
from music_vae.music.converters.grid import grids_of
from music_vae.music.converters.groove_notes import read_hits, single_hits, write_hits
from music_vae.music.converters.groove_rows import HIT, OFFSET, VELOCITY, GrooveRows
from music_vae.music.converters.pitches import checked_pitch_classes
from music_vae.music.converters.score import Score
from music_vae.music.symbols import Beat, DrumHits, FillsIn, Groove, Voice

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

# The same nine drums, in the same order, as `constants.REDUCED_DRUM_PITCH_CLASSES`, but with the
# pitches that the Roland TD-11 sends on which the Groove MIDI Dataset was played (Gillick et al.
# 2019). The first pitch of a class is the one it is decoded to.
ROLAND_DRUM_PITCH_CLASSES: tuple[tuple[int, ...], ...] = (
    (36,),
    (38, 37, 40),
    (42, 22, 44),
    (46, 26),
    (43, 58),
    (47, 45),
    (50, 48),
    (49, 52, 55, 57),
    (51, 53, 59),
)

_DRUM_NAMES = (  # of these nine classes
    "bass drum",
    "snare",
    "hi-hat",
    "open hi-hat",
    "low tom",
    "middle tom",
    "high tom",
    "crash",
    "ride",
)

_TAP_CLASS = 3  # the open hi-hat, on which published models read taps
_MAX_BINS = 1024  # of a velocity or an offset; MIDI tells 127 velocities apart
_LEAST_DROPOUT = 0.2  # of the drawn probability, for the loudest notes


@dataclasses.dataclass(frozen=True)
class GrooveConverter(Converter):
    """Converts drums with velocities and timing to numbers and back; see the module.

    A piece is one groove from its beginning, padded with silence to a bar line. Of several notes of
    a class at a step the loudest counts. Equal windows are not merged.

    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> beat = NoteSequence(tempos=[{"qpm": 120}], total_time=2.0)
    >>> _ = beat.notes.add(  # a snare on the second beat, 1/64 of a second late
    ...     pitch=38, velocity=127, start_time=0.515625, end_time=0.6, is_drum=True)
    >>> converter = GrooveConverter(split_bars=1, pitch_classes=((36,), (38,)), humanize=True)
    >>> (example,) = converter.extract(beat).examples
    >>> example.outputs[4].tolist()  # two hits, two velocities, two offsets
    [0.0, 1.0, 0.0, 1.0, 0.0, -0.25]
    >>> example.inputs[4].tolist()
    [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    >>> (again,) = converter.from_tensors([converter.dense_outputs(example.outputs)])
    >>> again.notes[0].start_time
    0.515625

    Attributes:
      split_bars: Length of an example in bars; None: whole grooves.
      steps_per_quarter: Steps in a quarter note.
      quarters_per_bar: Quarter notes in a bar; music in other metres is skipped.
      max_tensors_per_notesequence: How many examples of a sequence to use (see `data.limit`);
        `extract` returns all.
      pitch_classes: The MIDI pitches of every class. A class is decoded to its first pitch; other
        pitches are left out. None: `ROLAND_DRUM_PITCH_CLASSES`.
      inference_pitch_classes: The pitch classes of `for_inference`; None: the same.
      humanize: If True, inputs have neither velocities nor offsets.
      tapify: If True, inputs have only one drum, the open hi-hat: the loudest hit of each step.
      add_instruments: Indices of the classes that inputs lack; None: none.
      num_velocity_bins: Number of one-hot bins of velocities; None: they are numbers.
      num_offset_bins: Number of one-hot bins of offsets; None: they are numbers.
      split_instruments: If True, every drum of a step has a row of its own, and controls have a
        column for each drum that says whose row it is.
      hop_size: Steps from one window to the next; None: windows do not overlap.
      hits_as_controls: If True, the hits are controls.
      inputs_as_controls: If True, the inputs are controls, too: the decoder reads what it is to
        fill in.
      fixed_velocities: If True, inputs have no velocities.
      max_note_dropout_probability: `corrupt` drops notes from the inputs, in every example with a
        probability between 0 and this, soft notes more often. None: never.
      complete_inputs: Share of the examples in training whose encoder reads the complete groove. A
        decoder that has the inputs as controls learns from z how they are played; without these
        examples, it would need no z.

    Raises:
      UserError: For a setting that is impossible.
    """

    split_bars: int | None = None
    steps_per_quarter: int = 4
    quarters_per_bar: int = 4
    max_tensors_per_notesequence: int | None = 8
    pitch_classes: tuple[tuple[int, ...], ...] = ROLAND_DRUM_PITCH_CLASSES
    inference_pitch_classes: tuple[tuple[int, ...], ...] | None = None
    humanize: bool = False
    tapify: bool = False
    add_instruments: tuple[int, ...] | None = None
    num_velocity_bins: int | None = None
    num_offset_bins: int | None = None
    split_instruments: bool = False
    hop_size: int | None = None
    hits_as_controls: bool = False
    fixed_velocities: bool = False
    max_note_dropout_probability: float | None = None
    inputs_as_controls: bool = False
    complete_inputs: float = 0.0

    def __post_init__(self) -> None:
        classes: Iterable[Iterable[int]] = self.pitch_classes or ROLAND_DRUM_PITCH_CLASSES
        inference: Iterable[Iterable[int]] = self.inference_pitch_classes or classes
        object.__setattr__(self, "pitch_classes", checked_pitch_classes("pitch_classes", classes))
        object.__setattr__(
            self,
            "inference_pitch_classes",
            checked_pitch_classes("inference_pitch_classes", inference, len(self.pitch_classes)),
        )
        if self.add_instruments is not None:
            object.__setattr__(self, "add_instruments", tuple(self.add_instruments))
        check_grid(
            steps_per_quarter=self.steps_per_quarter,
            quarters_per_bar=self.quarters_per_bar,
            max_bars=None,
            slice_bars=None,
            gap_bars=None,
            max_tensors_per_notesequence=self.max_tensors_per_notesequence,
        )
        self._check()

    def _check(self) -> None:
        for name, least in (
            ("split_bars", 1),
            ("hop_size", 1),
            ("num_velocity_bins", 2),
            ("num_offset_bins", 2),
        ):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < least):
                raise UserError(f"{name} must be a whole number from {least} on, not {value!r}")
            if value is not None and name.endswith("_bins") and value > _MAX_BINS:
                raise UserError(f"{name} must be a whole number up to {_MAX_BINS}, not {value!r}")
        if (self.num_velocity_bins is None) != (self.num_offset_bins is None):
            raise UserError("num_velocity_bins and num_offset_bins go together: give both or none")
        if self.hop_size is not None and self.split_bars is None:
            raise UserError(f"hop_size={self.hop_size} needs split_bars, the length of a window")
        if not 0 <= self.complete_inputs <= 1:
            raise UserError(f"complete_inputs must be from 0 to 1, not {self.complete_inputs!r}")
        if self.complete_inputs and not self.inputs_as_controls:
            raise UserError("complete_inputs needs inputs_as_controls, from which inputs differ")
        if self.inputs_as_controls and self.has_bins:
            raise UserError("inputs_as_controls needs numbers; leave out num_velocity_bins")
        last = self.num_drums - 1
        if not all(0 <= drum <= last for drum in self.add_instruments or ()):
            raise UserError(f"add_instruments={self.add_instruments} must be from 0 to {last}")
        if self.tapify and last < _TAP_CLASS:
            raise UserError(f"tapify needs {_TAP_CLASS + 1} pitch classes, not {self.num_drums}")
        most = self.max_note_dropout_probability
        if most is not None and not 0 <= most <= 1:
            raise UserError(f"max_note_dropout_probability must be from 0 to 1, not {most!r}")

    @property
    def num_drums(self) -> int:
        """Number of drum classes."""
        return len(self.pitch_classes)

    @property
    def window_bars(self) -> int | None:
        """Length of an example in bars, `split_bars`; None: whole grooves."""
        return self.split_bars

    @property
    def window_steps(self) -> int | None:
        """Rows of a window: steps, or steps times drums with `split_instruments`."""
        steps = super().window_steps
        return None if steps is None else steps * self._layout.rows_per_step

    def bars_of(self, steps: int) -> int:
        """Returns the number of bars that `steps` rows last, rounded up."""
        return super().bars_of(steps // self._layout.rows_per_step)

    @property
    def _layout(self) -> GrooveRows:
        return GrooveRows(
            self.num_drums, self.split_instruments, self.num_velocity_bins, self.num_offset_bins
        )

    @property
    def output_depth(self) -> int:
        """Columns of the hits, velocities and offsets of a step."""
        return sum(self._layout.widths)

    @property
    def input_depth(self) -> int:
        """Number of columns, the same as `output_depth`."""
        return self.output_depth

    @property
    def control_depth(self) -> int:
        """Width of the controls: columns for the inputs, the hits, and for whose row it is."""
        inputs = self.input_depth if self.inputs_as_controls else 0
        hits = self._layout.drums_per_row if self.hits_as_controls else 0
        return inputs + hits + (self.num_drums if self.split_instruments else 0)

    def for_inference(self) -> "GrooveConverter":
        """Returns the converter with the inference pitch classes and without dropped notes."""
        return dataclasses.replace(
            self,
            pitch_classes=self.inference_pitch_classes or self.pitch_classes,
            max_note_dropout_probability=None,
            complete_inputs=0.0,
        )

    # -- From notes to compact examples -----------------------------------------------------------

    def extract(self, sequence: "NoteSequence | Score") -> Extraction:
        """Returns all windows of the groove, in order of time; controls are int8 0 and 1.

        With `inputs_as_controls` they are numbers of the same type as the inputs. Inputs are never
        corrupted here: see `corrupt`.
        """
        return self.extract_all([sequence])[0]

    def extract_all(self, sequences: Sequence["NoteSequence | Score"]) -> list[Extraction]:
        """Extracts the windows of each sequence; faster than one by one."""
        extractions, owners, grids = grids_of(
            sequences,
            split_on_time_changes=False,
            steps_per_quarter=self.steps_per_quarter,
            quarters_per_bar=self.quarters_per_bar,
        )
        for owner, quantised in zip(owners, grids, strict=True):
            extraction = extractions[owner]
            grid = read_hits(
                quantised,
                self.pitch_classes,
                extraction.skipped,
                steps_per_bar=self.steps_per_bar,
                # Rounded to float32, a hit almost half a step late would change into the bin of -1.
                dtype=np.float32 if self.num_offset_bins is None else np.float64,
            )
            examples = self._examples(self._cut(grid, extraction.skipped))
            extraction.add(examples, quantised.section.qpm)
        return extractions

    @property
    def kit(self) -> tuple[tuple[int, ...], ...]:
        """The MIDI pitches of each drum class, `pitch_classes`."""
        return self.pitch_classes

    @property
    def reads_taps(self) -> bool:
        """True if inputs are a rhythm alone, `tapify`."""
        return self.tapify

    def window(self, score: Score) -> Extraction:
        """Returns the example of a window of drums, with silence after the last hit."""
        extraction = self.whole().extract(score)
        if self.window_steps is None:
            return extraction
        extraction.examples = [
            self._padded(example, self.window_steps) for example in extraction.examples
        ]
        return extraction

    def _padded(self, example: Example, rows: int) -> Example:
        """Returns an example with rows without hits at its end, up to a number of rows."""
        silent = np.zeros((rows // self._layout.rows_per_step, 3, self.num_drums))
        (silence,) = self._examples(silent[None])

        def padded(own: np.ndarray, rest: np.ndarray) -> np.ndarray:
            return np.concatenate([own, rest[len(own) :].astype(own.dtype)])

        controls = example.controls
        if controls is not None and silence.controls is not None:
            controls = padded(controls, silence.controls)
        inputs = padded(example.inputs, silence.inputs)
        outputs = padded(example.outputs, silence.outputs)
        return Example(inputs, outputs, controls, length_of(rows))

    def _cut(self, grid: np.ndarray, skipped: Counter[str]) -> np.ndarray:
        """Returns the windows `[N, T, 3, drums]` of a groove `[T, 3, drums]`."""
        if self.split_bars is None or not len(grid):
            return grid[None]
        size = self.split_bars * self.steps_per_bar
        cut, _ = windows([np.arange(len(grid))], size, self.hop_size or size)
        if not len(cut):
            skipped[f"groove shorter than {bars(self.split_bars)}"] += 1
        return grid[cut]

    def _examples(self, grids: np.ndarray) -> list[Example]:
        """Returns the examples of windows `[N, T, 3, drums]`, none if T is 0."""
        if not grids.size:
            return []
        layout = self._layout
        outputs, inputs = layout.to_rows(grids), layout.to_rows(self._reduced(grids))
        is_same = (inputs == outputs).all(axis=(1, 2))
        controls = self._controls(inputs, outputs)
        return [
            Example(outs if same else ins, outs, own_controls, length_of(len(outs)))
            for ins, outs, same, own_controls in zip(
                inputs, outputs, is_same.tolist(), controls, strict=True
            )
        ]

    def _controls(
        self, inputs: np.ndarray, outputs: np.ndarray
    ) -> Sequence[np.ndarray] | Sequence[None]:
        """Returns the controls of windows `[N, T, depth]`."""
        columns = []
        if self.inputs_as_controls:
            columns.append(inputs)
        if self.hits_as_controls:
            columns.append(outputs[..., : self._layout.drums_per_row])
        if self.split_instruments:
            turns = np.resize(np.eye(self.num_drums), (outputs.shape[1], self.num_drums))
            columns.append(np.broadcast_to(turns, (len(outputs), *turns.shape)))
        if not columns:
            return [None] * len(outputs)
        dtype = inputs.dtype if self.inputs_as_controls else np.int8
        return list(np.concatenate(columns, axis=-1).astype(dtype))

    def _reduced(self, grid: np.ndarray) -> np.ndarray:
        """Returns a copy of grids `[..., T, 3, drums]` with only what the encoder reads."""
        reduced = grid.copy()
        if self.tapify:
            loudest = np.argmax(grid[..., VELOCITY, :], axis=-1)[..., None, None]
            reduced[:] = 0
            reduced[..., _TAP_CLASS] = np.take_along_axis(grid, loudest, axis=-1)[..., 0]
        if self.humanize:
            reduced[..., (VELOCITY, OFFSET), :] = 0
        if self.fixed_velocities:
            reduced[..., VELOCITY, :] = 0
        if self.add_instruments:
            reduced[..., self.add_instruments] = 0
        return reduced

    def corrupt(self, example: Example, rng: np.random.Generator) -> Example:
        """Returns the example with some notes missing from its inputs, drawn anew each time.

        A note of velocity v is dropped with probability p * max(0.2, 1 - v), p uniform between 0
        and `max_note_dropout_probability` (Gillick et al. 2019). Outputs stay, and so do controls
        that are not inputs. In a share of `complete_inputs` of all examples, the encoder then reads
        the outputs instead.
        """
        if self.max_note_dropout_probability is not None:
            inputs = self._with_dropped_notes(example.outputs, rng)
            controls = example.controls
            if self.inputs_as_controls:
                assert controls is not None
                controls = np.concatenate([inputs, controls[..., self.input_depth :]], axis=-1)
            example = example._replace(inputs=inputs, controls=controls)
        if self.complete_inputs:
            shape = (*example.outputs.shape[:-2], 1, 1)
            complete = rng.random(shape) < self.complete_inputs
            inputs = np.where(complete, example.outputs, example.inputs)
            example = example._replace(inputs=inputs)
        return example

    def _with_dropped_notes(self, outputs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Returns the inputs of outputs without some of their notes."""
        grid = self._layout.to_grid(outputs)  # [..., T, 3, drums]
        most, shape = self.max_note_dropout_probability, grid.shape[:-3]
        assert most is not None
        probability = rng.uniform(0, most, shape)[..., None, None]
        velocities = grid[..., VELOCITY, :]
        dropped = rng.random(velocities.shape) < probability * np.maximum(
            _LEAST_DROPOUT, 1 - velocities
        )
        kept = np.where(dropped[..., None, :], grid.dtype.type(0), grid)
        inputs = self._layout.to_rows(self._reduced(kept))
        return np.where(np.isnan(outputs), np.nan, inputs).astype(outputs.dtype)

    # -- Compact rows to dense rows and back to notes ---------------------------------------------

    def dense_inputs(self, inputs: np.ndarray) -> np.ndarray:
        """Converts compact rows to float32 `[..., T, input_depth]`; NaN rows become zeros."""
        return self._layout.dense(inputs)

    def dense_outputs(self, outputs: np.ndarray) -> np.ndarray:
        """Converts compact rows to dense ones, as `dense_inputs` does."""
        return self.dense_inputs(outputs)

    def dense_controls(self, controls: np.ndarray) -> np.ndarray:
        """Converts controls `[..., T, control_depth]` to booleans; `PAD` steps become zeros.

        With `inputs_as_controls` they are numbers, and NaN becomes zero.
        """
        return np.nan_to_num(controls) if self.inputs_as_controls else controls > 0

    @property
    def compact(self) -> Compact | None:
        """The compact form: numbers as they are; None where they go into bins."""
        if self.num_velocity_bins is not None:
            return None
        return Compact(Numbers(), Numbers(), Numbers())

    def from_tensors(self, samples: Any, controls: Any = None) -> list["NoteSequence"]:
        """Decodes dense rows `[T, output_depth]`; a drum is hit where its hit is above 0.5.

        Every sequence is at 120 quarter notes a minute, on instrument 9; a hit lasts one step. A
        note that comes early at the first step starts before time 0. As in the original,
        `total_time` is not set.
        """
        del controls  # the samples hold the hits already
        layout, steps_per_quarter = self._layout, self.steps_per_quarter
        return [
            write_hits(
                *layout.played(np.asarray(sample, np.float64)),
                self.pitch_classes,
                steps_per_quarter=steps_per_quarter,
            )
            for sample in samples
        ]

    # -- About the music --------------------------------------------------------------------------

    @property
    def num_symbols(self) -> tuple[int, ...]:
        """Number of combinations of the drums of a row."""
        return (2**self._layout.drums_per_row,)

    def symbols(self, outputs: np.ndarray) -> np.ndarray:
        """Returns the bit masks of the hits, `[..., T]`."""
        return bit_masks(np.asarray(outputs)[..., : self._layout.drums_per_row])

    @property
    def has_hits(self) -> bool:
        """True: outputs are drums."""
        return True

    def hits(self, outputs: np.ndarray) -> np.ndarray:
        """Returns the hits of dense outputs, booleans `[steps, drums]` for any layout of rows."""
        return self._layout.split(np.asarray(outputs))[HIT].reshape(-1, self.num_drums) > 0.5

    def drum_hits(self, sequence: "NoteSequence | Score") -> DrumHits:
        """Returns every hit of a groove with its pitch; none of music that `extract` skips."""
        _, _, grids = grids_of(
            [sequence],
            split_on_time_changes=False,
            steps_per_quarter=self.steps_per_quarter,
            quarters_per_bar=self.quarters_per_bar,
        )
        if not grids:
            return DrumHits(*np.zeros((5, 0), int))
        return single_hits(grids[0], self.pitch_classes)

    @property
    def has_bins(self) -> bool:
        """True if velocities and offsets are in bins, `num_velocity_bins` and `num_offset_bins`."""
        return self.num_velocity_bins is not None

    @property
    def has_numbers(self) -> bool:
        """True if velocities and offsets are numbers rather than bins."""
        return not self.has_bins

    def groove(self, outputs: np.ndarray) -> Groove:
        """Returns the groove of dense outputs, arrays `[steps, drums]` for any layout of rows.

        Raises:
          UserError: If velocities and offsets are in bins.
        """
        if self.has_bins:
            return super().groove(outputs)
        parts = self._layout.split(np.asarray(outputs, np.float64))
        hits, velocities, offsets = (part.reshape(-1, self.num_drums) for part in parts)
        return Groove(hits > 0.5, velocities, offsets)

    def groove_outputs(self, groove: Groove) -> np.ndarray:
        """Returns dense outputs, float64, of a groove: the inverse of `groove`.

        Raises:
          UserError: If velocities and offsets are in bins.
        """
        if self.has_bins:
            return super().groove_outputs(groove)
        return self._layout.to_rows(np.stack(groove, axis=-2).astype(np.float64))

    def voices(self, outputs: np.ndarray) -> list[tuple[str, Voice]]:
        """Returns one voice, the drums as they are played, from numbers or from bins."""
        hits, velocities, offsets = self._layout.played(np.asarray(outputs, np.float64))
        first_pitches = tuple(pitches[0] for pitches in self.pitch_classes)
        return [("drums", Beat(hits > 0.5, first_pitches, velocities, -offsets))]

    @property
    def fills_in(self) -> FillsIn:
        """Parts of a groove that inputs lack: the hits of a tapped rhythm, drums to be added.

        >>> GrooveConverter(tapify=True, fixed_velocities=True).fills_in
        FillsIn(hits=True, drums=(), velocities=True, timing=False)
        """
        return FillsIn(
            hits=self.tapify or bool(self.max_note_dropout_probability),
            drums=tuple(self.add_instruments or ()),
            velocities=self.humanize or self.fixed_velocities,
            timing=self.humanize,
        )

    @property
    def plays_any_length(self) -> bool:
        """True: the windows of a long groove are independent."""
        return True

    def whole(self) -> "GrooveConverter":
        """Returns the converter that makes one example of a whole groove."""
        return dataclasses.replace(self, split_bars=None, hop_size=None)

    @property
    def conditioning(self) -> Conditioning:
        """The conditions that a musician gives: the hits (or what is known of them), or none."""
        return Conditioning(hits=self.hits_as_controls or self.inputs_as_controls)

    def controls_from(
        self,
        steps: int,
        *,
        chords: np.ndarray | None = None,
        key: int | None = None,
        hits: "NoteSequence | Tensors | None" = None,
    ) -> list[np.ndarray]:
        """Returns one array: the hits, and whose row it is, which does not depend on the music."""
        del chords, key
        if not self.control_depth:
            return []
        if not self.conditioning.hits:
            turns = np.eye(self.num_drums, dtype=np.float32)
            return [np.resize(turns, (steps, self.num_drums))]
        if hits is None:
            raise UserError("no hits were given; expected a piece whose hits count")
        controls = (hits if isinstance(hits, Tensors) else self.to_tensors(hits)).controls
        if len(controls) != 1:
            raise UserError(f"the hits fill {len(controls)} windows; expected one")
        return [self.extended_controls(controls[0], steps)]

    def extended_controls(self, controls: np.ndarray, steps: int) -> np.ndarray:
        """Returns controls that are cut, or continued without hits, to `steps` rows."""
        controls = np.asarray(controls, np.float32)[:steps]
        return np.pad(controls, ((0, steps - len(controls)), (0, 0)))

    def describe(self) -> str:
        """Returns a description such as 'played drums, 2 bars from a tapped rhythm'."""
        inputs = "drums"
        if self.humanize:
            inputs = "hits alone"
        if self.tapify:
            inputs = "a tapped rhythm"
        lacks = []
        if self.add_instruments:
            lacks.append(f"without {' and '.join(map(self._name, self.add_instruments))}")
        if self.fixed_velocities and not (self.humanize or self.tapify):
            lacks.append("of one loudness")
        if self.max_note_dropout_probability:
            lacks.append("with gaps")
        origin = " ".join(["from", inputs, *lacks]) if lacks or inputs != "drums" else ""
        return self._described("played drums", origin)

    def _name(self, drum: int) -> str:
        """Returns the name of a drum class among the nine, or its number."""
        return _DRUM_NAMES[drum] if self.num_drums == len(_DRUM_NAMES) else f"class {drum}"
