"""Draws the examples of an epoch from converted music: their keys, windows and order.

All that is drawn is a function of the seed and the epoch. `Music` keeps its examples, in memory or
mapped from files; `StreamedMusic` converts them anew in every epoch.
"""

import dataclasses
import itertools
import logging
import tempfile
from collections import Counter
from collections.abc import Iterator
from typing import Protocol

import numpy as np

from music_vae.configs import Config
from music_vae.dataset.conversion import Draw, Drawn, Task, chunks, pool
from music_vae.dataset.example_store import Store, stack_single
from music_vae.dataset.sources import Source
from music_vae.music.converters.base import Converter, Example

SHUFFLED_EXAMPLES = 20_000  # the next example of streamed music is drawn among so many

# The purposes of random numbers; each has a generator of its own in every epoch.
_KEYS_AND_WINDOWS, _ORDER, CORRUPTION, WINDOWS = range(4)

_SHOWN_REASONS = 8

_log = logging.getLogger(__name__)


class Epoch(Protocol):
    """The protocol of one pass through the music.

    >>> from music_vae.configs import get_config
    >>> from music_vae.dataset.loading import convert
    >>> from music_vae.music.notes_io import read_music_file
    >>> config = get_config("cat-mel_2bar_small")
    >>> music = convert(read_music_file("examples/tunes/soldiers_joy.mid"), config)
    >>> epoch: Epoch = music.in_order(config)  # 5 examples of a tune
    >>> epoch.skip(1)
    >>> len(epoch.take(3).outputs), len(epoch.take(3).outputs), epoch.take(3)
    (3, 1, None)
    """

    def skip(self, number: int) -> None:
        """Leaves out the next `number` examples."""

    def take(self, number: int) -> Example | None:
        """Returns the next `number` examples, stacked; fewer at the end, and None after it."""


@dataclasses.dataclass
class Counts:
    """Counts of the music that was converted and left out.

    >>> Counts(3, Counter({"time signature 3/4": 1})).describe(num_examples=16)
    '3 sequences gave 16 examples (skipped: time signature 3/4: 1)'

    Attributes:
      num_sequences: Number of sequences that were read.
      skipped: How often music was left out for each reason.
    """

    num_sequences: int = 0
    skipped: Counter[str] = dataclasses.field(default_factory=Counter)

    def describe(self, num_examples: int) -> str:
        """Returns a line that tells how many sequences gave how many examples, and what did not."""
        text = f"{self.num_sequences} sequences gave {num_examples} examples"
        if self.skipped:
            reasons = ", ".join(f"{reason}: {n}" for reason, n in self.skipped.most_common())
            text += f" (skipped: {reasons})"
        return text

    def table(self, num_examples: int) -> str:
        """Returns the same with a line for each of the most frequent reasons.

        >>> print(Counts(30, Counter({"only drums": 12, "no notes": 1})).table(1600))
        30 sequences gave 1,600 examples; left out:
              12  only drums
               1  no notes
        """
        text = f"{self.num_sequences:,} sequences gave {num_examples:,} examples"
        if not self.skipped:
            return text
        shown = self.skipped.most_common(_SHOWN_REASONS)
        lines = [f"{count:8,}  {reason}" for reason, count in shown]
        if more := self.skipped.total() - sum(count for _, count in shown):
            lines.append(f"{more:8,}  for {len(self.skipped) - len(shown)} other reasons")
        return "\n".join([f"{text}; left out:", *lines])


class Music:
    """A data set that was converted once and is kept.

    >>> from music_vae.configs import get_config
    >>> from music_vae.dataset.loading import convert
    >>> from music_vae.music.notes_io import read_music_file
    >>> config = get_config("cat-mel_2bar_small")
    >>> music = convert(read_music_file("examples/tunes/soldiers_joy.mid"), config, augment=True)
    >>> print(music)
    1 sequences gave 16 examples
    >>> music.shuffled(config, seed=0, epoch=0).take(2).outputs[:, :16]
    array([[54,  0,  0,  0, 59,  0,  0,  0, 59,  0,  0,  0, 59,  0, 61,  0],
           [52,  0,  0,  0, 49,  0,  0,  0, 49,  0,  0,  0, 51,  0, 52,  0]], dtype=int16)

    Attributes:
      store: The examples.
      semitones: Lowest and highest transposition that they are prepared for.
      num_sequences: Number of sequences that were read.
      skipped: How often music was left out for each reason.
    """

    def __init__(
        self,
        store: Store,
        semitones: tuple[int, int],
        counts: Counts,
        folder: tempfile.TemporaryDirectory | None = None,
    ) -> None:
        self.store = store
        self.semitones = semitones
        self.num_sequences, self.skipped = counts.num_sequences, counts.skipped
        self._folder = folder  # holds examples that do not fit in memory; deleted with this object

    @property
    def num_examples(self) -> int:
        """Number of all examples as they stand, without a cap per sequence."""
        return self.store.num_base_examples

    def __str__(self) -> str:
        return Counts(self.num_sequences, self.skipped).describe(self.num_examples)

    def table(self) -> str:
        """Returns how much music there is, and a table of what was left out, for the log."""
        return Counts(self.num_sequences, self.skipped).table(self.num_examples)

    def close(self) -> None:
        """Deletes temporary files; the examples can no longer be used."""
        if self._folder is not None:
            self._folder.cleanup()

    def piece(self, number: int, converter: Converter, semitones: int = 0) -> list[Example]:
        """Returns the examples of one piece, transposed."""
        all_keys = np.full(self.store.num_pieces, semitones - self.semitones[0])
        groups = self.store.groups(all_keys)[number : number + 1]
        (first,), (size,) = self.store.bounds(groups)
        by = semitones if groups[0] == self.store.packed.base_groups[number] else 0
        examples = []
        for index in range(first, first + size):
            stacked = self.store.take(np.array([index]))
            moved = _transposed(converter, stacked, np.array([by]))
            controls = None if moved.controls is None else moved.controls[0]
            examples.append(Example(moved.inputs[0], moved.outputs[0], controls, moved.length[0]))
        return examples

    def in_order(self, config: Config) -> Epoch:
        """Returns a pass through the first examples of each piece as they stand."""
        firsts, sizes = self.store.bounds(self.store.groups())
        numbers = _numbers(firsts, sizes, config.data_converter.max_tensors_per_notesequence)
        return _NumberedEpoch(self.store, config.data_converter, numbers)

    def shuffled(self, config: Config, seed: int, epoch: int) -> Epoch:
        """Returns a pass in random order, with a key and windows drawn for each piece."""
        store, rng = self.store, rng_for(seed, epoch, _KEYS_AND_WINDOWS)
        low, high = transposition_range(config)
        if not self.semitones[0] <= low <= high <= self.semitones[1]:
            raise ValueError(f"converted for transpositions {self.semitones}, not {(low, high)}")
        drawn = rng.integers(low, high, store.num_pieces, endpoint=True)
        groups = store.groups(drawn - self.semitones[0])
        firsts, sizes = store.bounds(groups)
        most = config.data_converter.max_tensors_per_notesequence
        numbers = _numbers(firsts, sizes, most, rng)
        semitones = np.where(store.is_base(groups), drawn, 0).astype(np.int8)
        taken = sizes if most is None else np.minimum(sizes, most)
        order = rng_for(seed, epoch, _ORDER).permutation(len(numbers))
        semitones = np.repeat(semitones, taken)[order]
        return _NumberedEpoch(store, config.data_converter, numbers[order], semitones)


class _NumberedEpoch:
    """A pass through examples of a store by number, each transposed."""

    def __init__(
        self,
        store: Store,
        converter: Converter,
        numbers: np.ndarray,
        semitones: np.ndarray | None = None,
    ) -> None:
        self._store, self._converter = store, converter
        self._numbers, self._semitones = numbers, semitones
        self._at = 0

    def skip(self, number: int) -> None:
        self._at += number

    def take(self, number: int) -> Example | None:
        chosen = slice(self._at, self._at + number)
        numbers = self._numbers[chosen]
        self._at += len(numbers)
        if not len(numbers):
            return None
        examples = self._store.take(numbers)
        if self._semitones is None:
            return examples
        return _transposed(self._converter, examples, self._semitones[chosen])


class StreamedMusic:
    """A data set that is converted anew in every epoch, in little memory.

    Its examples are not shuffled all at once: the next is drawn among `SHUFFLED_EXAMPLES`.

    >>> import tempfile
    >>> from music_vae.configs import get_config
    >>> from music_vae.dataset.sources import TFRecords
    >>> from music_vae.dataset.tfrecord import write_records
    >>> from music_vae.music.notes_io import read_music_file
    >>> (tune,) = read_music_file("examples/tunes/soldiers_joy.mid")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_records(f"{folder}/tunes.tfrecord", [tune.SerializeToString()])
    ...     music = StreamedMusic(TFRecords(f"{folder}/tunes.tfrecord"))
    ...     music.in_order(get_config("cat-mel_2bar_small")).take(100).outputs.shape
    (5, 32)
    >>> print(music)
    1 sequences gave 5 examples
    """

    def __init__(self, source: Source, *, num_processes: int | None = 0) -> None:
        self._source = source
        self._pool = pool(num_processes)
        self._counts, self._num_examples = Counts(), 0

    def __str__(self) -> str:
        return self._counts.describe(self._num_examples)

    def close(self) -> None:
        """Stops the processes."""
        self._pool.close()

    def in_order(self, config: Config) -> Epoch:
        """Returns a pass through the first examples of each piece as they stand."""
        converter = config.data_converter
        draw = Draw(converter, None, converter.max_tensors_per_notesequence)
        return _StreamedEpoch(self._examples(draw))

    def shuffled(self, config: Config, seed: int, epoch: int) -> Epoch:
        """Returns a pass in random order, with a key and windows drawn for each piece."""
        draw = Draw(
            config.data_converter,
            config.note_sequence_augmenter,
            config.data_converter.max_tensors_per_notesequence,
            seed,
            epoch,
        )
        rng = rng_for(seed, epoch, _ORDER)
        return _StreamedEpoch(shuffled(self._examples(draw), SHUFFLED_EXAMPLES, rng))

    def _examples(self, draw: Draw) -> Iterator[Example]:
        counts, num_examples, first = Counts(), 0, not self._counts.num_sequences
        records = self._source.records(counts.skipped)
        tasks = (Task(draw, chunk) for chunk in chunks(records))
        for drawn in self._pool.map(tasks):
            assert isinstance(drawn, Drawn)
            counts.num_sequences += drawn.num_sequences
            counts.skipped += drawn.skipped
            num_examples += len(drawn.examples)
            yield from drawn.examples
        self._counts, self._num_examples = counts, num_examples
        if first:
            _log.info("%s", self)


class _StreamedEpoch:
    """A pass through examples as they come."""

    def __init__(self, examples: Iterator[Example]) -> None:
        self._examples = examples

    def skip(self, number: int) -> None:
        for _ in itertools.islice(self._examples, number):
            pass

    def take(self, number: int) -> Example | None:
        examples = list(itertools.islice(self._examples, number))
        return stack_single(examples) if examples else None


def transposition_range(config: Config) -> tuple[int, int]:
    """Returns the lowest and highest transposition of a config's augmenter; (0, 0) without any.

    >>> from music_vae.configs import get_config
    >>> transposition_range(get_config("cat-mel_2bar_small"))
    (-5, 5)
    >>> transposition_range(get_config("cat-drums_2bar_small"))
    (0, 0)
    """
    augmenter = config.note_sequence_augmenter
    return (augmenter.transpose_range if augmenter else None) or (0, 0)


def rng_for(seed: int, epoch: int, purpose: int, place: int = 0) -> np.random.Generator:
    """Returns the random generator of an epoch for one purpose, at one place in the epoch.

    >>> rng_for(seed=0, epoch=3, purpose=CORRUPTION).integers(10, size=4)
    array([...])

    Args:
      seed: Seed of the run.
      epoch: Number of the epoch.
      purpose: Number of the purpose, such as `CORRUPTION`.
      place: Number of examples of the epoch that come before.
    """
    return np.random.default_rng([seed, epoch, purpose, place])


def _transposed(converter: Converter, stacked: Example, semitones: np.ndarray) -> Example:
    """Transposes stacked examples, each by its own of `semitones` `[N]`."""
    if not semitones.any():
        return stacked
    moved = converter.transpose(stacked, semitones)
    if moved is None:
        raise ValueError("an example was to be transposed beyond the range of its sequence")
    return moved


def _numbers(
    firsts: np.ndarray,
    sizes: np.ndarray,
    most: int | None,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Returns the numbers of at most `most` examples of each group, group by group.

    Args:
      firsts: Number of the first example of each group, `[P]`.
      sizes: Number of examples in each group, `[P]`.
      most: Largest number of examples of a group; None for all.
      rng: Random generator that draws subsets; without it, the first examples are taken.
    """
    taken = sizes if most is None else np.minimum(sizes, most)
    ends = np.cumsum(taken, dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    places = np.arange(total) - np.repeat(ends - taken, taken)
    if most is not None and rng is not None:
        places[np.repeat(sizes > most, taken)] = subsets(sizes[sizes > most], most, rng).reshape(-1)
    return np.repeat(firsts, taken) + places


def subsets(sizes: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Returns a random subset of the numbers below each size, `[P, most]`.

    Floyd's algorithm: the k-th draw is from the first size - most + k + 1 numbers; if the number
    was drawn before, the last of these is taken instead (Bentley & Floyd 1987).

    >>> subsets(np.array([4, 100]), 2, np.random.default_rng(0))
    array([[ 2,  3],
           [63, 26]])

    Args:
      sizes: The sizes, `[P]`, all above `most`.
      most: Size of each subset.
      rng: Random generator.
    """
    chosen = np.empty((len(sizes), most), np.int64)
    for k in range(most):
        last = sizes - most + k
        drawn = rng.integers(0, last, endpoint=True)
        again = (chosen[:, :k] == drawn[:, None]).any(axis=1)
        chosen[:, k] = np.where(again, last, drawn)
    return chosen


def shuffled(examples: Iterator[Example], size: int, rng: np.random.Generator) -> Iterator[Example]:
    """Yields examples in a random order, with only `size` of them in memory.

    >>> arrays = [np.array([token]) for token in range(8)]
    >>> examples = iter([Example(array, array, None, np.int32(1)) for array in arrays])
    >>> order = shuffled(examples, 3, np.random.default_rng(0))
    >>> [int(example.outputs[0]) for example in order]
    [2, 1, 4, 0, 6, 7, 3, 5]
    """
    waiting = list(itertools.islice(examples, size))
    for example in examples:
        index = int(rng.integers(len(waiting)))
        waiting[index], example = example, waiting[index]
        yield example
    for index in rng.permutation(len(waiting)):
        yield waiting[index]
