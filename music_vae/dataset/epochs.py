"""Converted music, and what an epoch draws of it: keys, windows, and their order.

All of it is a function of the seed and the epoch. `Music` has its examples at hand, in memory or
mapped from files; `StreamedMusic` converts them anew every time.
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

SHUFFLED_EXAMPLES = 20_000  # of music that is not kept: among so many the next is drawn

# What random numbers are for; each purpose has its own, in every epoch.
_KEYS_AND_WINDOWS, _ORDER, CORRUPTION, WINDOWS = range(4)

_log = logging.getLogger(__name__)


class Epoch(Protocol):
    """One pass through the music."""

    def skip(self, number: int) -> None:
        """Leaves out so many of the next examples."""

    def take(self, number: int) -> Example | None:
        """So many of the next examples, stacked; fewer at the end, None after it."""


@dataclasses.dataclass
class Counts:
    """How a data set was converted.

    Attributes:
      num_sequences: How many sequences were read.
      skipped: How often which reason kept music out.
    """

    num_sequences: int = 0
    skipped: Counter[str] = dataclasses.field(default_factory=Counter)

    def describe(self, num_examples: int) -> str:
        """One line: how many sequences gave how many examples, and why the rest gave none."""
        text = f"{self.num_sequences} sequences gave {num_examples} examples"
        if self.skipped:
            reasons = ", ".join(f"{reason}: {n}" for reason, n in self.skipped.most_common())
            text += f" (skipped: {reasons})"
        return text


class Music:
    """A converted data set.

    Attributes:
      store: Its examples.
      semitones: Lowest and highest transposition that they are prepared for.
      num_sequences: How many sequences were read.
      skipped: How often which reason kept music out.
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
        self._folder = folder  # of examples that do not fit in memory; it goes with this

    @property
    def num_examples(self) -> int:
        """All examples as they stand, without a cap per sequence."""
        return self.store.num_base_examples

    def __str__(self) -> str:
        return Counts(self.num_sequences, self.skipped).describe(self.num_examples)

    def close(self) -> None:
        """Deletes temporary files; the examples can no longer be used."""
        if self._folder is not None:
            self._folder.cleanup()

    def piece(self, number: int, converter: Converter, semitones: int = 0) -> list[Example]:
        """The examples of one piece, transposed."""
        all_keys = np.full(self.store.num_pieces, semitones - self.semitones[0])
        groups = self.store.groups(all_keys)[number : number + 1]
        (first,), (size,) = self.store.bounds(groups)
        by = semitones if groups[0] == self.store.packed.base_groups[number] else 0
        found = []
        for example in range(first, first + size):
            stacked = self.store.take(np.array([example]))
            moved = _transposed(converter, stacked, np.array([by]))
            told = None if moved.controls is None else moved.controls[0]
            found.append(Example(moved.inputs[0], moved.outputs[0], told, moved.length[0]))
        return found

    def in_order(self, config: Config) -> Epoch:
        """The first examples of each piece as they stand."""
        firsts, sizes = self.store.bounds(self.store.groups())
        numbers = _numbers(firsts, sizes, config.data_converter.max_tensors_per_notesequence)
        return _NumberedEpoch(self.store, config.data_converter, numbers)

    def shuffled(self, config: Config, seed: int, epoch: int) -> Epoch:
        """What an epoch draws, in its order: fresh keys, fresh windows."""
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
    """Examples of a store by number, transposed."""

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
        found = self._store.take(numbers)
        if self._semitones is None:
            return found
        return _transposed(self._converter, found, self._semitones[chosen])


class StreamedMusic:
    """A data set that is converted anew in every epoch, in little memory.

    Its examples are not shuffled all at once: the next is drawn among `SHUFFLED_EXAMPLES`.

    Attributes:
      num_sequences: How many sequences the newest whole pass read; 0 before.
      skipped: How often which reason kept music out in it.
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
        """The first examples of each piece as they stand."""
        converter = config.data_converter
        draw = Draw(converter, None, converter.max_tensors_per_notesequence)
        return _StreamedEpoch(self._examples(draw))

    def shuffled(self, config: Config, seed: int, epoch: int) -> Epoch:
        """What an epoch draws, in its order: fresh keys, fresh windows."""
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
        tasks = (Task(draw, chunk) for chunk in chunks(self._source.records()))
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
    """Examples as they come."""

    def __init__(self, examples: Iterator[Example]) -> None:
        self._examples = examples

    def skip(self, number: int) -> None:
        for _ in itertools.islice(self._examples, number):
            pass

    def take(self, number: int) -> Example | None:
        found = list(itertools.islice(self._examples, number))
        return stack_single(found) if found else None


def transposition_range(config: Config) -> tuple[int, int]:
    """Lowest and highest transposition of the config's augmenter; (0, 0) without any."""
    augmenter = config.note_sequence_augmenter
    return (augmenter.transpose_range if augmenter else None) or (0, 0)


def rng_for(seed: int, epoch: int, purpose: int, place: int = 0) -> np.random.Generator:
    """The random numbers of an epoch for one purpose, and at one place in it."""
    return np.random.default_rng([seed, epoch, purpose, place])


def _transposed(converter: Converter, stacked: Example, semitones: np.ndarray) -> Example:
    """Stacked examples, each by its own of `semitones` `[N]`, for which that is exact."""
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
    """The numbers of at most `most` examples (None: all) of each group, group by group.

    Args:
      firsts: The number of the first example of each group, `[P]`.
      sizes: How many examples each has, `[P]`.
      most: How many are wanted.
      rng: What draws a random subset; without it, the first ones.
    """
    taken = sizes if most is None else np.minimum(sizes, most)
    ends = np.cumsum(taken, dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    places = np.arange(total) - np.repeat(ends - taken, taken)
    if most is not None and rng is not None:
        places[np.repeat(sizes > most, taken)] = subsets(sizes[sizes > most], most, rng).reshape(-1)
    return np.repeat(firsts, taken) + places


def subsets(sizes: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """For each size `[P]`, all above `most`, a random subset of its numbers: `[P, most]`.

    Floyd's algorithm: the k-th draw is from the first size - most + k + 1 numbers; if the number
    was drawn before, the last of these is taken instead (Bentley & Floyd 1987).
    """
    chosen = np.empty((len(sizes), most), np.int64)
    for k in range(most):
        last = sizes - most + k
        drawn = rng.integers(0, last, endpoint=True)
        again = (chosen[:, :k] == drawn[:, None]).any(axis=1)
        chosen[:, k] = np.where(again, last, drawn)
    return chosen


def shuffled(examples: Iterator[Example], size: int, rng: np.random.Generator) -> Iterator[Example]:
    """The examples in random order, as far as that goes with `size` of them in memory."""
    waiting = list(itertools.islice(examples, size))
    for example in examples:
        index = int(rng.integers(len(waiting)))
        waiting[index], example = example, waiting[index]
        yield example
    for index in rng.permutation(len(waiting)):
        yield waiting[index]
