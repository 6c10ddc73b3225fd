"""From files of NoteSequences to batches: read, convert once, then draw anew in every epoch.

    sequences = read_note_sequences("tunes.tfrecord")
    music = convert(sequences, config)          # compact examples, and why the rest was skipped
    for batch, position in TrainingBatches(music, config, seed=0): ...
    for batch in evaluation_batches(music, config): ...

What is random (which windows of a sequence, in which key, in which order) is a function of the seed
and the epoch alone, so that a run that was interrupted goes on with the batch it would have had.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from music_vae import imports, tfrecord
from music_vae.augment import NoteSequenceAugmenter, transpose
from music_vae.configs import Config
from music_vae.converters.base import Converter, Example, Tensors, pad_value
from music_vae.converters.drums import DrumsConverter
from music_vae.converters.groove import GrooveConverter
from music_vae.converters.melody import OneHotMelodyConverter
from music_vae.converters.performance import MultiInstrumentPerformanceConverter
from music_vae.converters.trio import TrioConverter
from music_vae.errors import UserError
from music_vae.specs import Batch

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

__all__ = [
    "Converter",
    "DrumsConverter",
    "GrooveConverter",
    "MultiInstrumentPerformanceConverter",
    "Music",
    "NoteSequenceAugmenter",
    "OneHotMelodyConverter",
    "Position",
    "Tensors",
    "TrainingBatches",
    "TrioConverter",
    "convert",
    "evaluation_batches",
    "limit",
    "make_batch",
    "read_note_sequences",
]


# -- Reading --------------------------------------------------------------------------------------


def read_note_sequences(examples_path: str) -> Iterator["NoteSequence"]:
    """The NoteSequences of TFRecord files.

    Args:
      examples_path: A file, a pattern, or a comma-separated list of them.

    Raises:
      UserError: If there is no such file, or it does not hold NoteSequences.
    """
    from google.protobuf.message import DecodeError

    note_sequence = imports.import_note_seq().NoteSequence
    for path in tfrecord.expand_patterns(examples_path):
        for number, record in enumerate(tfrecord.read_records(path), start=1):
            try:
                yield note_sequence.FromString(record)
            except DecodeError as error:
                raise UserError(
                    f"record {number} of {path} is not a NoteSequence; make a file of them with "
                    "convert_dir_to_note_sequences"
                ) from error


def read_tfds(name: str, split: str) -> Iterator["NoteSequence"]:
    """The NoteSequences of a TensorFlow Dataset whose examples have a feature `midi`.

    Args:
      name: As in `groove/2bar-midionly`.
      split: `train`, `validation` or `test`.

    Raises:
      UserError: If tensorflow-datasets is missing, or there is no such data set.
    """
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise UserError(
            "--tfds_name needs tensorflow-datasets: pip install 'music_vae[tfds]'"
        ) from error
    try:
        dataset = tfds.load(name, split=split, try_gcs=True)
    except (ValueError, OSError, tfds.core.registered.DatasetNotFoundError) as error:
        raise UserError(
            f"the TensorFlow Dataset {name!r} ({split}) cannot be loaded: {error}"
        ) from error
    midi_to_note_sequence = imports.import_note_seq().midi_to_note_sequence
    for example in tfds.as_numpy(dataset):
        if "midi" not in example:
            raise UserError(f"the TensorFlow Dataset {name!r} has no feature 'midi'")
        yield midi_to_note_sequence(example["midi"])


# -- Converting -----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Piece:
    """One sequence, converted.

    Attributes:
      examples: Its examples as they stand.
      semitones: Lowest and highest transposition that the examples themselves can be put through.
      serialized: The sequence itself where the augmenter may want more than that, or else None.
    """

    examples: tuple[Example, ...]
    semitones: tuple[int, int]
    serialized: bytes | None

    def transposed(self, converter: Converter, semitones: int) -> Sequence[Example]:
        """The examples of the sequence `semitones` higher."""
        if semitones == 0:
            return self.examples
        low, high = self.semitones
        if low <= semitones <= high:
            moved = [converter.transpose(example, semitones) for example in self.examples]
            found = [example for example in moved if example is not None]
            if len(found) == len(moved):
                return found
        if self.serialized is None:
            raise ValueError(f"no sequence was kept to transpose by {semitones}")
        sequence = imports.import_note_seq().NoteSequence.FromString(self.serialized)
        return converter.extract(transpose(sequence, semitones)).examples


@dataclasses.dataclass
class Music:
    """A converted data set.

    Attributes:
      pieces: One per sequence that gave at least one example, or may when it is transposed.
      num_sequences: How many sequences were read.
      skipped: How often which reason kept music out.
    """

    pieces: list[Piece] = dataclasses.field(default_factory=list)
    num_sequences: int = 0
    skipped: Counter[str] = dataclasses.field(default_factory=Counter)

    @property
    def num_examples(self) -> int:
        """All examples, without a cap per sequence."""
        return sum(len(piece.examples) for piece in self.pieces)

    def __str__(self) -> str:
        """One line: how many sequences gave how many examples, and why the rest gave none."""
        text = f"{self.num_sequences} sequences gave {self.num_examples} examples"
        if self.skipped:
            reasons = ", ".join(f"{reason}: {n}" for reason, n in self.skipped.most_common())
            text += f" (skipped: {reasons})"
        return text


def convert(sequences: Iterable["NoteSequence"], config: Config, *, augment: bool = False) -> Music:
    """Converts every sequence once.

    Args:
      sequences: What to convert.
      config: Whose converter and augmenter count.
      augment: Whether the music is to be transposed later, so that what cannot be transposed as
        examples has to be kept as notes.
    """
    converter, music = config.data_converter, Music()
    low, high = 0, 0
    if augment and config.note_sequence_augmenter is not None:
        low, high = config.note_sequence_augmenter.transpose_range or (0, 0)
    for sequence in sequences:
        music.num_sequences += 1
        extraction = converter.extract(sequence)
        music.skipped += extraction.skipped
        semitones = converter.transposable_range(sequence) if low < high else (0, 0)
        covered = semitones[0] <= low and high <= semitones[1]
        if extraction.examples or not covered:
            serialized = None if covered else sequence.SerializeToString()
            music.pieces.append(Piece(tuple(extraction.examples), semitones, serialized))
    return music


def limit(
    examples: Sequence[Example], most: int | None, rng: np.random.Generator | None = None
) -> Sequence[Example]:
    """At most `most` examples (None: all): a random subset, or the first ones without `rng`."""
    if most is None or len(examples) <= most:
        return examples
    if rng is None:
        return examples[:most]
    return [examples[index] for index in rng.choice(len(examples), most, replace=False)]


# -- Batching -------------------------------------------------------------------------------------


def make_batch(examples: Sequence[Example], converter: Converter, *, least_steps: int = 0) -> Batch:
    """Dense float32 arrays, padded with zeros to the longest example or `least_steps`."""

    def dense(name: str) -> np.ndarray:
        arrays = [getattr(example, name) for example in examples]
        steps = max(least_steps, *(len(array) for array in arrays))
        shape, dtype = (len(arrays), steps, *arrays[0].shape[1:]), arrays[0].dtype
        padded = np.full(shape, pad_value(dtype), dtype)
        for row, array in zip(padded, arrays, strict=True):
            row[: len(array)] = array
        return getattr(converter, f"dense_{name}")(padded).astype(np.float32)

    inputs = dense("inputs")
    if examples[0].controls is None:
        controls = np.zeros((*inputs.shape[:2], 0), np.float32)
    else:
        controls = dense("controls")
    lengths = np.stack([example.length for example in examples]).astype(np.int32)
    return Batch(inputs, dense("outputs"), controls, lengths)


def evaluation_batches(
    music: Music, config: Config, *, num_batches: int | None = None
) -> Iterator[Batch]:
    """Every example once, in order and as it stands; the last batch may be smaller.

    Each sequence gives at most its converter's `max_tensors_per_notesequence`.

    Args:
      music: Converted music.
      config: Whose converter and batch size count.
      num_batches: Stop after this many.
    """
    most = config.data_converter.max_tensors_per_notesequence
    examples = [e for piece in music.pieces for e in limit(piece.examples, most)]
    size = config.hparams.batch_size
    stop = len(examples) if num_batches is None else min(len(examples), num_batches * size)
    for start in range(0, stop, size):
        yield make_batch(examples[start : min(start + size, stop)], config.data_converter)


class Position(NamedTuple):
    """Where in the endless stream of examples a batch begins."""

    epoch: int = 0
    offset: int = 0


class TrainingBatches:
    """An endless iterator of (batch, position of the next batch)."""

    def __init__(
        self,
        music: Music,
        config: Config,
        *,
        seed: int,
        position: Position | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        """Starts at `position`, or at the beginning.

        Of `share = (n, N)` each batch has the rows of the n-th of N processes alone, padded like
        the whole batch.

        Raises:
          UserError: If the first epoch has fewer examples than a batch.
        """
        self._music = music
        self._config = config
        self._seed = seed
        self._share = share
        self._position = position or Position()
        self._examples = self._epoch(self._position.epoch)
        if len(self._examples) < config.hparams.batch_size:
            most = config.data_converter.max_tensors_per_notesequence
            raise UserError(
                f"{len(self._examples)} training examples (at most {most or 'all'} of a sequence) "
                f"do not fill a batch of {config.hparams.batch_size}: {music}; give more music or "
                "a smaller --hparams=batch_size=..."
            )

    def __iter__(self) -> "TrainingBatches":
        return self

    def __next__(self) -> tuple[Batch, Position]:
        size, (epoch, offset) = self._config.hparams.batch_size, self._position
        chosen = self._examples[offset : offset + size]
        offset += size
        while len(chosen) < size:  # the epoch is over in the middle of the batch
            epoch, offset = epoch + 1, size - len(chosen)
            self._examples = self._epoch(epoch)
            chosen = chosen + self._examples[:offset]
        self._position = Position(epoch, offset)
        number, count = self._share
        own = chosen[number * size // count : (number + 1) * size // count]
        steps = max(len(example.outputs) for example in chosen)
        return make_batch(own, self._config.data_converter, least_steps=steps), self._position

    def _epoch(self, epoch: int) -> list[Example]:
        """The examples of one epoch, in its order: fresh keys, fresh windows, fresh corruption."""
        rng = np.random.default_rng([self._seed, epoch])
        converter, augmenter = self._config.data_converter, self._config.note_sequence_augmenter
        examples: list[Example] = []
        for piece in self._music.pieces:
            semitones = augmenter.draw_semitones(rng) if augmenter else 0
            candidates = piece.transposed(converter, semitones)
            chosen = limit(candidates, converter.max_tensors_per_notesequence, rng)
            examples += [converter.corrupt(example, rng) for example in chosen]
        return [examples[index] for index in rng.permutation(len(examples))]
