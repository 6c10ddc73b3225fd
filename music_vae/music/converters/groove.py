"""Grooves: drums as they are played, with how loud and how late or early every hit is.

At every step each drum class has three numbers: hit (0 or 1), velocity (0 to 1) and offset (-1 to
1, in half steps; positive is early). What the encoder hears can be poorer than what the decoder
should produce: taps on one drum, no dynamics, some instruments missing, some notes dropped. The
model then learns to fill in the rest (Gillick et al. 2019).

The compact form has these numbers as float32 (float64 where they go into bins), `[T, 3 * drums]`:
all hits, all velocities, all offsets. With `split_instruments` a step is one drum alone,
`[T * drums, 3]`.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from music_vae.common.batches import Compact, Numbers
from music_vae.common.constants import DEFAULT_QPM, DRUMS_INSTRUMENT, MAX_MIDI_VELOCITY
from music_vae.common.errors import UserError
from music_vae.music.converters.base import Conditioning, Converter, Example, Extraction, bars
from music_vae.music.converters.compact import PAD, bit_masks, length_of, one_hot
from music_vae.music.converters.extract import check_grid, windows
from music_vae.music.converters.grid import Grid, grids_of
from music_vae.music.converters.pitches import checked_pitch_classes, class_of
from music_vae.music.converters.score import Score
from music_vae.music.symbols import HALF_STEPS, Groove

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

DRUM_NAMES = (
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
"""Of these nine classes."""

HIT, VELOCITY, OFFSET = 0, 1, 2
"""The three numbers of a drum at a step."""

TAP_CLASS = 3  # the open hi-hat, on which published models hear taps
LEAST_DROPOUT = 0.2  # of the drawn probability, for the loudest notes
LAST_BIN_MARGIN = 0.0001  # by which the last edge of bins lies above the largest value


@dataclasses.dataclass(frozen=True)
class GrooveConverter(Converter):
    """Drums with velocities and timing; see the module.

    A piece is one groove from its beginning, padded with silence to a bar line. Of several notes of
    a class at a step the loudest counts. Equal windows are not merged.

    Attributes:
      split_bars: Length of an example in bars; None: whole grooves.
      steps_per_quarter: Steps in a quarter note.
      quarters_per_bar: Quarter notes in a bar; music in other metres is skipped.
      max_tensors_per_notesequence: How many examples of a sequence to use (see `data.limit`);
        `extract` returns all.
      pitch_classes: The MIDI pitches of every class. A class is decoded to its first pitch; other
        pitches are left out. None: `ROLAND_DRUM_PITCH_CLASSES`.
      inference_pitch_classes: The pitch classes of `for_inference`; None: the same.
      humanize: Inputs without velocities and offsets.
      tapify: Inputs with all drums as one, the open hi-hat, the loudest at each step.
      add_instruments: Indices of the classes that inputs lack; None: none.
      num_velocity_bins: Velocities as one-hot of so many bins; None: as numbers.
      num_offset_bins: Offsets as one-hot of so many bins; None: as numbers.
      split_instruments: A step for each drum, so that examples are longer by the number of
        classes; controls then say whose turn it is.
      hop_size: Steps from one window to the next; None: windows do not overlap.
      hits_as_controls: Whether controls say what is hit.
      fixed_velocities: Inputs without velocities.
      max_note_dropout_probability: `corrupt` drops notes from the inputs, in every example with a
        probability between 0 and this, soft notes more often. None: never.

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
        if (self.num_velocity_bins is None) != (self.num_offset_bins is None):
            raise UserError("num_velocity_bins and num_offset_bins go together: give both or none")
        if self.hop_size is not None and self.split_bars is None:
            raise UserError(f"hop_size={self.hop_size} needs split_bars, the length of a window")
        last = self.num_drums - 1
        if not all(0 <= drum <= last for drum in self.add_instruments or ()):
            raise UserError(f"add_instruments={self.add_instruments} must be from 0 to {last}")
        if self.tapify and last < TAP_CLASS:
            raise UserError(f"tapify needs {TAP_CLASS + 1} pitch classes, not {self.num_drums}")
        most = self.max_note_dropout_probability
        if most is not None and not 0 <= most <= 1:
            raise UserError(f"max_note_dropout_probability must be from 0 to 1, not {most!r}")

    @property
    def num_drums(self) -> int:
        """Number of drum classes."""
        return len(self.pitch_classes)

    @property
    def window_bars(self) -> int | None:
        """`split_bars`."""
        return self.split_bars

    @property
    def window_steps(self) -> int | None:
        """Rows of a window: steps, or steps times drums with `split_instruments`."""
        steps = super().window_steps
        return None if steps is None else steps * self._rows_per_step

    def bars_of(self, steps: int) -> int:
        """How many bars `steps` rows last, rounded up."""
        return super().bars_of(steps // self._rows_per_step)

    @property
    def _drums_per_row(self) -> int:
        return 1 if self.split_instruments else self.num_drums

    @property
    def _rows_per_step(self) -> int:
        return self.num_drums if self.split_instruments else 1

    @property
    def _widths(self) -> tuple[int, int, int]:
        """Columns of all hits, of all velocities and of all offsets in a dense row."""
        drums = self._drums_per_row
        return drums, drums * (self.num_velocity_bins or 1), drums * (self.num_offset_bins or 1)

    @property
    def output_depth(self) -> int:
        """Columns of the hits, velocities and offsets of a step."""
        return sum(self._widths)

    @property
    def input_depth(self) -> int:
        """As `output_depth`."""
        return self.output_depth

    @property
    def control_depth(self) -> int:
        """Columns that say what is hit, and then whose turn it is."""
        hits = self._drums_per_row if self.hits_as_controls else 0
        return hits + (self.num_drums if self.split_instruments else 0)

    def for_inference(self) -> "GrooveConverter":
        """The converter with the inference pitch classes, and without dropped notes."""
        return dataclasses.replace(
            self,
            pitch_classes=self.inference_pitch_classes or self.pitch_classes,
            max_note_dropout_probability=None,
        )

    # -- From notes to compact examples -----------------------------------------------------------

    def extract(self, sequence: "NoteSequence | Score") -> Extraction:
        """All windows of the groove, in order of time; controls are int8 0 and 1.

        Inputs are never corrupted here: see `corrupt`.
        """
        return self.extract_all([sequence])[0]

    def extract_all(self, sequences: Sequence["NoteSequence | Score"]) -> list[Extraction]:
        """What `extract` gives of each sequence."""
        found, owners, grids = grids_of(
            sequences,
            split_on_time_changes=False,
            steps_per_quarter=self.steps_per_quarter,
            quarters_per_bar=self.quarters_per_bar,
        )
        for owner, quantised in zip(owners, grids, strict=True):
            grid = self._grid(quantised, found[owner].skipped)
            found[owner].examples += self._examples(self._cut(grid, found[owner].skipped))
        return found

    def _grid(self, quantised: Grid, skipped: Counter[str]) -> np.ndarray:
        """Numbers `[T, 3, drums]` up to the bar line after the last hit; T is 0 without hits."""
        classes = class_of(self.pitch_classes, quantised.notes["pitch"])
        known = _drum_notes(quantised.notes["is_drum"], classes >= 0, skipped)
        # Of several assignments to one place the last holds: the loudest, of such the first note.
        velocities = quantised.notes["velocity"]
        chosen = np.lexsort((np.arange(len(known))[::-1], velocities))
        chosen = chosen[known[chosen]]
        velocities, start_s = velocities[chosen], quantised.notes["start_s"][chosen]
        steps, drums = quantised.starts[chosen], classes[chosen]
        num_bars = -(-(int(steps.max(initial=-1)) + 1) // self.steps_per_bar)
        # Rounded to float32, a hit almost half a step late would change into the bin of -1.
        dtype = np.float32 if self.num_offset_bins is None else np.float64
        grid = np.zeros((num_bars * self.steps_per_bar, 3, self.num_drums), dtype)
        step_s = 60 / quantised.section.qpm / self.steps_per_quarter
        grid[steps, HIT, drums] = 1
        grid[steps, VELOCITY, drums] = velocities / MAX_MIDI_VELOCITY
        grid[steps, OFFSET, drums] = (step_s * steps - start_s) / step_s * HALF_STEPS
        return grid

    def _cut(self, grid: np.ndarray, skipped: Counter[str]) -> np.ndarray:
        """The windows `[N, T, 3, drums]` of a groove `[T, 3, drums]`."""
        if self.split_bars is None or not len(grid):
            return grid[None]
        size = self.split_bars * self.steps_per_bar
        cut, _ = windows([np.arange(len(grid))], size, self.hop_size or size)
        if not len(cut):
            skipped[f"groove shorter than {bars(self.split_bars)}"] += 1
        return grid[cut]

    def _examples(self, grids: np.ndarray) -> list[Example]:
        """The examples of windows `[N, T, 3, drums]`, none if T is 0."""
        if not grids.size:
            return []
        outputs, inputs = self._rows(grids), self._rows(self._heard(grids))
        is_same = (inputs == outputs).all(axis=(1, 2))
        told: Sequence[np.ndarray | None] = [None] * len(outputs)
        controls = []
        if self.hits_as_controls:
            controls.append(outputs[..., : self._drums_per_row])
        if self.split_instruments:
            turns = np.tile(np.eye(self.num_drums), (grids.shape[1], 1))
            controls.append(np.broadcast_to(turns, (len(outputs), *turns.shape)))
        if controls:
            told = list(np.concatenate(controls, axis=-1).astype(np.int8))
        return [
            Example(out if same else heard, out, own_told, length_of(len(out)))
            for heard, out, same, own_told in zip(
                inputs, outputs, is_same.tolist(), told, strict=True
            )
        ]

    def _rows(self, grid: np.ndarray) -> np.ndarray:
        """Grids `[..., T, 3, drums]` to compact rows; `_unrows` is its inverse."""
        if self.split_instruments:
            return grid.swapaxes(-1, -2).reshape(*grid.shape[:-3], -1, 3)
        return grid.reshape(*grid.shape[:-2], -1)

    def _unrows(self, rows: np.ndarray) -> np.ndarray:
        if self.split_instruments:
            return rows.reshape(*rows.shape[:-2], -1, self.num_drums, 3).swapaxes(-1, -2)
        return rows.reshape(*rows.shape[:-1], 3, -1)

    def _heard(self, grid: np.ndarray) -> np.ndarray:
        """What the encoder hears of grids `[..., T, 3, drums]`: a copy."""
        heard = grid.copy()
        if self.tapify:
            loudest = np.argmax(grid[..., VELOCITY, :], axis=-1)[..., None, None]
            heard[:] = 0
            heard[..., TAP_CLASS] = np.take_along_axis(grid, loudest, axis=-1)[..., 0]
        if self.humanize:
            heard[..., (VELOCITY, OFFSET), :] = 0
        if self.fixed_velocities:
            heard[..., VELOCITY, :] = 0
        if self.add_instruments:
            heard[..., self.add_instruments] = 0
        return heard

    def corrupt(self, example: Example, rng: np.random.Generator) -> Example:
        """The example with some notes missing from its inputs, for training; drawn anew each time.

        A note of velocity v is dropped with probability p * max(0.2, 1 - v), p uniform between 0
        and `max_note_dropout_probability` (Gillick et al. 2019). Outputs and controls stay.
        """
        if self.max_note_dropout_probability is None:
            return example
        grid = self._unrows(example.outputs)  # [..., T, 3, drums]
        most, shape = self.max_note_dropout_probability, grid.shape[:-3]
        probability = rng.uniform(0, most, shape)[..., None, None]
        velocities = grid[..., VELOCITY, :]
        dropped = rng.random(velocities.shape) < probability * np.maximum(
            LEAST_DROPOUT, 1 - velocities
        )
        kept = np.where(dropped[..., None, :], grid.dtype.type(0), grid)
        inputs = self._rows(self._heard(kept))
        return example._replace(inputs=np.where(np.isnan(example.outputs), np.nan, inputs))

    # -- Compact rows to dense rows and back to notes ---------------------------------------------

    def dense_inputs(self, inputs: np.ndarray) -> np.ndarray:
        """Rows `[..., T, 3 * drums]` to float32 `[..., T, input_depth]`; NaN steps become zeros."""
        if self.num_velocity_bins is None or self.num_offset_bins is None:
            return np.nan_to_num(inputs)
        hits, velocities, offsets = np.split(inputs, 3, axis=-1)
        parts = (
            np.nan_to_num(hits),
            _binned(velocities, 0, 1, self.num_velocity_bins),
            _binned(offsets, -1, 1, self.num_offset_bins),
        )
        return np.concatenate(parts, axis=-1, dtype=np.float32)

    def dense_outputs(self, outputs: np.ndarray) -> np.ndarray:
        """As `dense_inputs`."""
        return self.dense_inputs(outputs)

    def dense_controls(self, controls: np.ndarray) -> np.ndarray:
        """Controls `[..., T, control_depth]` to booleans; `PAD` steps become zeros."""
        return controls > 0

    @property
    def compact(self) -> Compact | None:
        """Numbers as they are; None where they go into bins."""
        if self.num_velocity_bins is not None:
            return None
        return Compact(Numbers(), Numbers(), Numbers())

    def from_tensors(self, samples: Any, controls: Any = None) -> list["NoteSequence"]:
        """Decodes dense rows `[T, output_depth]`; a drum is hit where its hit is above 0.5.

        Every sequence is at 120 quarter notes a minute, on instrument 9; a hit lasts one step. A
        note that comes early at the first step starts before time 0. As in the original,
        `total_time` is not set.
        """
        del controls  # what they say is in the samples
        return [self._sequence(np.asarray(sample, np.float64)) for sample in samples]

    def _sequence(self, sample: np.ndarray) -> "NoteSequence":
        from note_seq.protobuf import music_pb2

        sequence = music_pb2.NoteSequence()
        sequence.tempos.add(qpm=DEFAULT_QPM)
        step_s = 60 / DEFAULT_QPM / self.steps_per_quarter
        hits, velocities, offsets = self._played(sample)
        for step, drum in np.argwhere(hits > 0.5).tolist():
            start_time = (step - float(offsets[step, drum])) * step_s
            sequence.notes.add(
                instrument=DRUMS_INSTRUMENT,
                is_drum=True,
                pitch=self.pitch_classes[drum][0],
                velocity=int(velocities[step, drum]),
                start_time=start_time,
                end_time=start_time + step_s,
            )
        return sequence

    def _played(self, sample: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Hits, velocities (0 to 127) and offsets (in steps, positive is early): `[T, drums]`."""
        hits, velocities, offsets = self._split(sample)
        if self.num_velocity_bins is None or self.num_offset_bins is None:
            velocities = np.round(velocities * MAX_MIDI_VELOCITY)
            offsets = offsets / HALF_STEPS
        else:
            velocities = _lower_edges(velocities, self.num_velocity_bins) * MAX_MIDI_VELOCITY
            offsets = _lower_edges(offsets, self.num_offset_bins) - 0.5
        shape = -1, self.num_drums
        return (
            hits.reshape(shape),
            velocities.clip(0, MAX_MIDI_VELOCITY).reshape(shape),
            offsets.clip(-0.5, 0.5).reshape(shape),
        )

    def _split(self, rows: np.ndarray) -> list[np.ndarray]:
        """The columns of hits, velocities and offsets of the rows that make up whole steps."""
        whole = len(rows) - len(rows) % self._rows_per_step
        return np.split(rows[:whole], np.cumsum(self._widths)[:-1], axis=-1)

    # -- Answers ----------------------------------------------------------------------------------

    @property
    def num_symbols(self) -> tuple[int, ...]:
        """All combinations of the drums of a row."""
        return (2**self._drums_per_row,)

    def symbols(self, outputs: np.ndarray) -> np.ndarray:
        """The bit masks of the hits, `[..., T]`."""
        return bit_masks(np.asarray(outputs)[..., : self._drums_per_row])

    @property
    def has_hits(self) -> bool:
        """Yes."""
        return True

    def hits(self, outputs: np.ndarray) -> np.ndarray:
        """The hits of dense outputs, booleans `[steps, drums]`, also of one drum a row."""
        return self._split(np.asarray(outputs))[HIT].reshape(-1, self.num_drums) > 0.5

    @property
    def has_bins(self) -> bool:
        """Whether there are `num_velocity_bins` and `num_offset_bins`."""
        return self.num_velocity_bins is not None

    @property
    def has_numbers(self) -> bool:
        """Yes, but for bins."""
        return not self.has_bins

    def groove(self, outputs: np.ndarray) -> Groove:
        """The groove of dense outputs, `[steps, drums]` also where a row is one drum.

        Raises:
          UserError: If velocities and offsets are in bins.
        """
        if self.has_bins:
            return super().groove(outputs)
        parts = self._split(np.asarray(outputs, np.float64))
        hits, velocities, offsets = (part.reshape(-1, self.num_drums) for part in parts)
        return Groove(hits > 0.5, velocities, offsets)

    def groove_outputs(self, groove: Groove) -> np.ndarray:
        """The inverse of `groove`, float64.

        Raises:
          UserError: If velocities and offsets are in bins.
        """
        if self.has_bins:
            return super().groove_outputs(groove)
        return self._rows(np.stack(groove, axis=-2).astype(np.float64))

    @property
    def plays_any_length(self) -> bool:
        """Yes: the next window of a groove need not know of the last."""
        return True

    def whole(self) -> "GrooveConverter":
        """The converter that makes one example of a whole groove."""
        return dataclasses.replace(self, split_bars=None, hop_size=None)

    @property
    def conditioning(self) -> Conditioning:
        """The hits, or nothing."""
        return Conditioning(hits=self.hits_as_controls)

    def controls_from(
        self,
        steps: int,
        *,
        chords: np.ndarray | None = None,
        key: int | None = None,
        hits: "NoteSequence | None" = None,
    ) -> list[np.ndarray]:
        """One array: the hits, and whose turn it is, which does not depend on the music."""
        del chords, key
        if not self.control_depth:
            return []
        if not self.hits_as_controls:
            turns = np.eye(self.num_drums, dtype=np.float32)
            return [np.resize(turns, (steps, self.num_drums))]
        if hits is None:
            raise UserError("no hits were given; expected a piece whose hits count")
        controls = self.to_tensors(hits).controls
        if len(controls) != 1:
            raise UserError(f"the hits fill {len(controls)} windows; expected one")
        return [self.extended_controls(controls[0], steps)]

    def extended_controls(self, controls: np.ndarray, steps: int) -> np.ndarray:
        """Controls `[T, control_depth]` cut or continued: after the last hit nothing is hit."""
        controls = np.asarray(controls, np.float32)[:steps]
        return np.pad(controls, ((0, steps - len(controls)), (0, 0)))

    def describe(self) -> str:
        """As in 'played drums, 2 bars from a tapped rhythm'."""
        heard = "drums"
        if self.humanize:
            heard = "hits alone"
        if self.tapify:
            heard = "a tapped rhythm"
        lacks = []
        if self.add_instruments:
            lacks.append(f"without {' and '.join(map(self._name, self.add_instruments))}")
        if self.fixed_velocities and not (self.humanize or self.tapify):
            lacks.append("of one loudness")
        if self.max_note_dropout_probability:
            lacks.append("with gaps")
        origin = " ".join(["from", heard, *lacks]) if lacks or heard != "drums" else ""
        return self._described("played drums", origin)

    def _name(self, drum: int) -> str:
        """The name of a drum class among the nine, or its number."""
        return DRUM_NAMES[drum] if self.num_drums == len(DRUM_NAMES) else f"class {drum}"


def _drum_notes(is_drum: np.ndarray, is_known: np.ndarray, skipped: Counter[str]) -> np.ndarray:
    """Which notes to read as drums, `[N]`: drums of known pitches; the others are counted.

    Music of such pitches alone is read as drums on whatever channel: pads and drum plug-ins do not
    always send on the tenth, and models published for the original were used on such recordings.
    """
    if is_known.all():
        return is_known
    known = is_drum & is_known
    counts = {
        "note that is not a drum": int((~is_drum).sum()),
        "drum note of no class": int(is_drum.sum()) - int(known.sum()),
    }
    skipped.update({reason: count for reason, count in counts.items() if count})
    return known


def _binned(values: np.ndarray, low: float, high: float, number: int) -> np.ndarray:
    """Numbers `[..., N]` to one-hot bins `[..., N * number]`; NaN becomes zeros.

    Bin k holds what lies above edge k - 1, up to and including edge k, where the `number` edges
    are spaced evenly from `low` to a little above `high`.
    """
    edges = np.linspace(low, high + LAST_BIN_MARGIN, number)
    bins = np.minimum(np.digitize(values, edges, right=True), number - 1)
    found = one_hot(np.where(np.isnan(values), PAD, bins), number)
    return found.reshape(*values.shape[:-1], -1)


def _lower_edges(scores: np.ndarray, number: int) -> np.ndarray:
    """Scores of bins `[..., N * number]` to the best bin's index / `number`, `[..., N]`."""
    return np.argmax(scores.reshape(*scores.shape[:-1], -1, number), axis=-1) / number
