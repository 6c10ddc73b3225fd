"""What every converter is: music to arrays and back, without TensorFlow.

A converter works in two stages. `extract` finds the windows of a NoteSequence and returns each as
a compact `Example` (token indices or bit masks, a few bytes a step: what is cached, shuffled and
transposed). `dense_inputs`, `dense_outputs` and `dense_controls` turn compact arrays of any leading
shape, padding included, into the arrays a model reads. `to_tensors` does both at once.
"""

import abc
import dataclasses
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from music_vae.common.batches import Compact

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

    from music_vae.music.converters.score import Score

PAD = -1
"""The compact value of a step that is not there; its dense row is all zeros.

Compact floats, which may be -1 themselves, have NaN instead: see `pad_value`.
"""


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
class Converter(abc.ABC):
    """A representation of music: frozen settings, and the way from notes to arrays and back."""

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


@cache
def length_of(num_steps: int) -> np.ndarray:
    """The `length` of an example of so many steps; read-only, and one for all such examples."""
    length = np.array(num_steps, np.int32)
    length.flags.writeable = False
    return length


def pad_value(dtype: np.dtype) -> float:
    """What stands in compact arrays of `dtype` for a step that is not there: NaN or `PAD`."""
    return np.nan if np.issubdtype(dtype, np.floating) else PAD


def one_hot(indices: np.ndarray, depth: int) -> np.ndarray:
    """Class indices `[...]` to a boolean `[..., depth]`; `PAD` (any negative) becomes zeros."""
    indices = np.asarray(indices)
    classes = np.arange(depth)
    if depth - 1 <= np.iinfo(indices.dtype).max:
        classes = classes.astype(indices.dtype)  # narrow numbers are compared faster
    return indices[..., None] == classes


def bits(masks: np.ndarray, depth: int) -> np.ndarray:
    """Bit masks `[...]` (int64, lowest bit first) to a boolean `[..., depth]`; `PAD` to zeros."""
    masks = np.asarray(masks, np.int64)[..., None]
    return ((masks >> np.arange(depth)) & 1).astype(bool) & (masks >= 0)


def bit_masks(rows: np.ndarray) -> np.ndarray:
    """The inverse of `bits`: booleans or 0 and 1 `[..., depth]` to int64 masks `[...]`."""
    rows = np.asarray(rows) > 0.5
    return rows @ (np.int64(1) << np.arange(rows.shape[-1]))
