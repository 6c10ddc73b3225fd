"""What every converter is: music to arrays and back, without TensorFlow.

A converter works in two stages. `extract` finds the windows of a NoteSequence and returns each as
a compact `Example` (token indices or bit masks, a few bytes a step: what is cached, shuffled and
transposed). `dense_inputs`, `dense_outputs` and `dense_controls` turn compact arrays of any leading
shape, padding included, into the arrays a model reads. `to_tensors` does both at once.
"""

import abc
import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from music_vae.common.batches import Compact
from music_vae.common.errors import UserError
from music_vae.music.symbols import Groove, Melody

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

    from music_vae.music.converters.score import Score


class Example(NamedTuple):
    """One window of music in compact form; the arrays share their first axis, T steps.

    Attributes:
      inputs: What the encoder reads, `[T]` or `[T, ...]`.
      outputs: What the decoder should produce, `[T]` or `[T, ...]`.
      controls: What both are told, `[T]` or `[T, ...]`; None for a converter without controls.
      length: Number of valid steps: an int32 scalar, or `[S]` for S segments (see `length_shape`).
    """

    inputs: np.ndarray
    outputs: np.ndarray
    controls: np.ndarray | None
    length: np.ndarray


@dataclasses.dataclass
class Extraction:
    """The examples of one sequence, in a stable order, and why the rest of it gave none."""

    examples: list[Example] = dataclasses.field(default_factory=list)
    skipped: Counter[str] = dataclasses.field(default_factory=Counter)


class Tensors(NamedTuple):
    """The examples of one sequence as dense arrays: four lists of one length.

    Attributes:
      inputs: Arrays `[T, input_depth]`.
      outputs: Arrays `[T, output_depth]`.
      controls: Arrays `[T, control_depth]` (`[T, 0]` without controls).
      lengths: int32 arrays, each of the converter's `length_shape`.
      skipped: How often which reason kept music out.
    """

    inputs: list[np.ndarray]
    outputs: list[np.ndarray]
    controls: list[np.ndarray]
    lengths: list[np.ndarray]
    skipped: Counter[str]


@dataclasses.dataclass(frozen=True)
class Conditioning:
    """Which conditions a model of a representation needs from a musician; see `controls_from`.

    Attributes:
      chords: Whether the controls say the chord of every step.
      key: Whether they say the key.
      hits: Whether they say which drums are hit.
    """

    chords: bool = False
    key: bool = False
    hits: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The conditions that are needed: some of 'chords', 'key' and 'hits'."""
        return tuple(name for name, needed in dataclasses.asdict(self).items() if needed)


@dataclasses.dataclass(frozen=True)
class Converter(abc.ABC):
    """A representation of music: frozen settings, and the way from notes to arrays and back.

    It also answers what the rest of the package asks about the music: how long a window is, which
    symbols a step can have, which conditions there are. What a representation does not say itself
    holds for music of one class a step, without conditions.

    `steps_per_quarter` and `quarters_per_bar` are fields of every converter, with defaults.
    """

    # -- Time -------------------------------------------------------------------------------------

    @property
    @abc.abstractmethod
    def steps_per_quarter(self) -> int:
        """Steps in a quarter note."""

    @property
    @abc.abstractmethod
    def quarters_per_bar(self) -> int:
        """Quarter notes in a bar."""

    @property
    def steps_per_bar(self) -> int:
        """Steps in a bar."""
        return self.steps_per_quarter * self.quarters_per_bar

    @property
    def window_bars(self) -> int | None:
        """Length of an example in bars; None: an example is as long as the music."""
        return None

    @property
    def window_steps(self) -> int | None:
        """Rows T of an example's arrays, an end token included; None as for `window_bars`."""
        if self.window_bars is None:
            return None
        return self.window_bars * self.steps_per_bar + (self.end_token is not None)

    def bars_of(self, steps: int) -> int:
        """How many bars `steps` rows of arrays last, rounded up."""
        return math.ceil((steps - (self.end_token is not None)) / self.steps_per_bar)

    # -- Arrays -----------------------------------------------------------------------------------

    @property
    @abc.abstractmethod
    def input_depth(self) -> int:
        """Width of a step of `inputs`."""

    @property
    @abc.abstractmethod
    def output_depth(self) -> int:
        """Width of a step of `outputs`."""

    @property
    def input_one_hots(self) -> tuple[int, ...]:
        """Depths of the one-hot vectors that make up a step of `inputs`; empty for other inputs."""
        return ()

    @property
    def control_depth(self) -> int:
        """Width of a step of `controls`; 0 without controls."""
        return 0

    @property
    def end_token(self) -> int | None:
        """The output class that ends a sample, or None where samples have a fixed length."""
        return None

    @property
    def length_shape(self) -> tuple[int, ...]:
        """Shape of an example's `length`: `()`, or `(S,)` for S segments."""
        return ()

    @property
    def max_tensors_per_notesequence(self) -> int | None:
        """How many examples of one sequence are used, see `data.limit`; None for all."""
        return None

    @abc.abstractmethod
    def extract(self, sequence: "NoteSequence | Score") -> Extraction:
        """All examples of `sequence`, compact, in a stable order.

        Melodies and drums keep equal windows of a section once; the other converters keep all.

        The sequence is not changed. Music that cannot be represented is counted in `skipped` under
        a short reason; nothing is raised for it.
        """

    def extract_all(self, sequences: Sequence["NoteSequence | Score"]) -> list[Extraction]:
        """What `extract` gives of each sequence; for many at once this can take less time."""
        return [self.extract(sequence) for sequence in sequences]

    @abc.abstractmethod
    def dense_inputs(self, inputs: np.ndarray) -> np.ndarray:
        """Compact inputs `[..., T]` to `[..., T, input_depth]`; `PAD` steps become zeros."""

    @abc.abstractmethod
    def dense_outputs(self, outputs: np.ndarray) -> np.ndarray:
        """Compact outputs `[..., T]` to `[..., T, output_depth]`; `PAD` steps become zeros."""

    def dense_controls(self, controls: np.ndarray) -> np.ndarray:
        """Compact controls `[..., T]` to `[..., T, control_depth]`; `PAD` steps become zeros."""
        return np.zeros((*controls.shape, 0), bool)

    @property
    def drums_in_mask(self) -> int:
        """How many drums a compact step is the bit mask of; 0 where it is something else."""
        return 0

    @property
    def compact(self) -> Compact | None:
        """What `dense_inputs`, `dense_outputs` and `dense_controls` do, as values.

        None where it takes more than that; by default.
        """
        return None

    @abc.abstractmethod
    def from_tensors(self, samples: Any, controls: Any = None) -> list["NoteSequence"]:
        """Decodes dense outputs.

        Args:
          samples: Arrays `[T, output_depth]`, one per sequence to make.
          controls: Arrays `[T, control_depth]`, one per sample, or None.

        Returns:
          One NoteSequence per sample.
        """

    def transpose(self, example: Example, semitones: int | np.ndarray) -> Example | None:
        """The example that the same music gives when it is transposed, or None.

        None says that the notes themselves have to be transposed and converted again: the
        representation does not allow the short cut. `transposable_range` says for which
        transpositions of a sequence the short cut is exact.

        Args:
          example: An example, or several of them stacked: arrays `[N, T, ...]`, padded.
          semitones: How far up; of stacked examples, each by its own of `[N]`.
        """
        del example, semitones
        return None

    def transposable_range(self, sequence: "NoteSequence | Score") -> tuple[int, int]:
        """Lowest and highest number of semitones for which `transpose` is exact on `sequence`."""
        del sequence
        return 0, 0

    def corrupt(self, example: Example, rng: np.random.Generator) -> Example:
        """The example as a model should see it this time in training; itself by default.

        Drawn anew in every epoch; outputs and length stay as they are. Several examples can be
        stacked, as for `transpose`.
        """
        del rng
        return example

    def for_inference(self) -> "Converter":
        """The converter to use on music that was not recorded for training; itself by default."""
        return self

    # -- What is right or wrong at a step ---------------------------------------------------------

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the parts that have a symbol each at a step; empty where there is one."""
        return ()

    @property
    def num_symbols(self) -> tuple[int, ...]:
        """How many symbols there are, a number for each part."""
        return (self.output_depth,)

    def symbols(self, outputs: np.ndarray) -> np.ndarray:
        """The symbols of dense outputs `[..., T, output_depth]`, which may be samples or scores.

        Returns:
          Whole numbers `[..., T]`, or `[..., T, P]` for P parts: the likeliest class by default.
        """
        return np.argmax(np.asarray(outputs), axis=-1)

    def window_key(self, symbols: np.ndarray) -> bytes:
        """Equal for two windows that are the same music, in the same or in another key.

        Args:
          symbols: Symbols `[T]` or `[T, P]` without padding.
        """
        return np.array(symbols, np.int64).tobytes()

    # -- What is played ---------------------------------------------------------------------------

    @property
    def has_melody(self) -> bool:
        """Whether outputs are one voice, see `melody`."""
        return False

    def melody(self, outputs: np.ndarray) -> Melody:
        """The notes of dense outputs `[T, output_depth]`, up to the first end token.

        Raises:
          UserError: If the representation has no such notes.
        """
        del outputs
        raise self._lacks("single voice")

    @property
    def has_hits(self) -> bool:
        """Whether outputs are drums that are hit or not, see `hits`."""
        return False

    def hits(self, outputs: np.ndarray) -> np.ndarray:
        """The hits of dense outputs, booleans `[T, drums]`, up to the first end token.

        Raises:
          UserError: If the representation has no drums, or others beside them.
        """
        del outputs
        raise self._lacks("hits of drums alone")

    @property
    def has_bins(self) -> bool:
        """Whether velocities and timing are classes: bins of one number or another."""
        return False

    @property
    def has_numbers(self) -> bool:
        """Whether outputs are hits, velocities and offsets as numbers, see `groove`."""
        return False

    def groove(self, outputs: np.ndarray) -> Groove:
        """The hits, velocities and offsets of dense outputs `[T, output_depth]`.

        Raises:
          UserError: If `has_numbers` is false.
        """
        del outputs
        raise self._lacks("velocities and timing as numbers")

    def groove_outputs(self, groove: Groove) -> np.ndarray:
        """Dense outputs float64 `[T, output_depth]` of a groove: the inverse of `groove`.

        Raises:
          UserError: If `has_numbers` is false.
        """
        del groove
        raise self._lacks("velocities and timing as numbers")

    @property
    def plays_any_length(self) -> bool:
        """Whether music of any length goes through a model, window by window, as grooves do."""
        return False

    def whole(self) -> "Converter":
        """The converter that makes one example of a whole piece.

        Raises:
          UserError: If `plays_any_length` is false.
        """
        raise self._lacks("windows that can simply be joined")

    def _lacks(self, what: str) -> UserError:
        return UserError(f"this music ({self.describe()}) has no {what}")

    # -- Conditioning -----------------------------------------------------------------------------

    @property
    def conditioning(self) -> Conditioning:
        """Which conditions a musician gives."""
        return Conditioning()

    def controls_from(
        self,
        steps: int,
        *,
        chords: np.ndarray | None = None,
        key: int | None = None,
        hits: "NoteSequence | None" = None,
    ) -> list[np.ndarray]:
        """The dense controls of music to be made, float32 `[steps, control_depth]`.

        Args:
          steps: How many rows; for windows of a fixed length `window_steps`.
          chords: Classes of chords `[N]` in their order, at least one; see `converters.controls`.
          key: The class of the key.
          hits: A piece of one window whose hits count.

        Returns:
          One array for every window that the music takes: several where a window has one chord and
          several chords are given; none for a representation without controls.

        Raises:
          UserError: If a condition is missing that `conditioning` names, or cannot be met.
        """
        del steps, chords, key, hits
        return []

    def extended_controls(self, controls: np.ndarray, steps: int) -> np.ndarray:
        """A piece's own dense controls `[T, control_depth]` cut or continued to `steps` rows.

        By default the last row, a chord or a key, goes on.
        """
        control = np.asarray(controls, np.float32)[:steps]
        missing = steps - len(control)
        if not len(control):
            return np.zeros((steps, control.shape[1]), np.float32)
        return np.concatenate([control, np.repeat(control[-1:], missing, axis=0)])

    # -- In words ---------------------------------------------------------------------------------

    def describe(self) -> str:
        """The music in a musician's words, as in 'melody, 2 bars, conditioned on chords'."""
        return self._described(type(self).__name__)

    def _described(self, music: str, origin: str = "") -> str:
        """These words for the music, with the length of a window and the conditions.

        Args:
          music: The music itself.
          origin: What of it the encoder reads, as in 'from hits alone'; empty: all.
        """
        length = "any length" if self.window_bars is None else bars(self.window_bars)
        if self.quarters_per_bar != 4:
            length += f" of {self.quarters_per_bar}/4"
        words = [music, f"{length} {origin}".rstrip()]
        if self.conditioning.names:
            words.append(f"conditioned on {' and '.join(self.conditioning.names)}")
        return ", ".join(words)

    # -- All at once ------------------------------------------------------------------------------

    def to_tensors(self, sequence: "NoteSequence") -> Tensors:
        """All examples of `sequence` as dense arrays."""
        extraction = self.extract(sequence)
        examples = extraction.examples
        return Tensors(
            inputs=[self.dense_inputs(e.inputs) for e in examples],
            outputs=[self.dense_outputs(e.outputs) for e in examples],
            controls=[
                np.zeros((len(e.inputs), 0), bool)
                if e.controls is None
                else self.dense_controls(e.controls)
                for e in examples
            ],
            lengths=[e.length for e in examples],
            skipped=extraction.skipped,
        )


def bars(number: int) -> str:
    """'1 bar', '2 bars'."""
    return f"{number} bar" if number == 1 else f"{number} bars"
