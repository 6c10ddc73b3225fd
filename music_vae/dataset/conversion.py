"""From sequences to packed examples, each once, in as many processes as there are.

Every transposition that may be asked for is prepared here: as the range in which the examples
themselves can be transposed, or else by converting the transposed notes. Nothing of the notes has
to be kept, and what an epoch draws is what it would be if it transposed the notes.
"""

import dataclasses
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from music_vae.common import pools
from music_vae.common.errors import UserError
from music_vae.dataset.example_store import Packed, PieceGroups, pack
from music_vae.dataset.sources import Record, scores
from music_vae.music.augmentation import NoteSequenceAugmenter, transpose_scores
from music_vae.music.converters.base import Converter, Example, Extraction
from music_vae.music.converters.score import Score

# As many records go to a process at once: enough for what is sent not to count.
CHUNK_RECORDS = 32
CHUNK_BYTES = 1 << 18

_logger = logging.getLogger(__name__)
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Chunk(NamedTuple):
    """Records that follow one another, the first of this number from 0 among all."""

    first: int
    records: Sequence[Record]


class Converted(NamedTuple):
    """What came of some sequences.

    Attributes:
      packed: Their pieces, those that give an example in some key.
      num_sequences: How many sequences there were.
      skipped: How often which reason kept music out.
    """

    packed: Packed
    num_sequences: int
    skipped: Counter[str]


class Drawn(NamedTuple):
    """What one epoch drew of some sequences: see `Converted`."""

    examples: list[Example]
    num_sequences: int
    skipped: Counter[str]


@dataclasses.dataclass(frozen=True)
class Conversion:
    """Converts records for good.

    Attributes:
      converter: What converts.
      semitones: Lowest and highest transposition that will be asked for; (0, 0) without any.
    """

    converter: Converter
    semitones: tuple[int, int] = (0, 0)

    def __call__(self, chunk: Chunk) -> Converted:
        """The pieces of some records."""
        pieces = _for_each(chunk.records, chunk.records, scores)
        found = _for_each(chunk.records, pieces, self.pieces)
        return self.packed([piece for piece, _ in found], sum((s for _, s in found), Counter()))

    def packed(self, pieces: Sequence[PieceGroups], skipped: Counter[str]) -> Converted:
        """What came of as many sequences as there are `pieces`."""
        low, high = self.semitones
        kept = [piece for piece in pieces if any(piece.groups)]
        return Converted(pack(kept, high - low + 1), len(pieces), skipped)

    def pieces(self, scores: Sequence[Score]) -> list[tuple[PieceGroups, Counter[str]]]:
        """For each score its examples, in every key that needs a conversion of its own.

        And how often which reason kept music out of it as it stands.
        """
        extractions = self.converter.extract_all(scores)
        pieces = [PieceGroups([found.examples], []) for found in extractions]
        keys: list[tuple[int, int]] = []
        for number, (score, piece) in enumerate(zip(scores, pieces, strict=True)):
            low = high = 0
            if self.semitones != (0, 0):
                low, high = self.converter.transposable_range(score)
            num_groups = 1
            for semitones in range(self.semitones[0], self.semitones[1] + 1):
                if semitones == 0 or low <= semitones <= high:
                    piece.of_transposition.append(0)
                    continue
                piece.of_transposition.append(num_groups)
                num_groups += 1
                keys.append((number, semitones))
        moved = transpose_scores([scores[number] for number, _ in keys], [by for _, by in keys])
        others = self.converter.extract_all(moved)
        for (number, _), found in zip(keys, others, strict=True):
            pieces[number].groups.append(found.examples)
        return [(p, found.skipped) for p, found in zip(pieces, extractions, strict=True)]


@dataclasses.dataclass(frozen=True)
class Draw:
    """Converts records as one epoch wants them: fresh keys, fresh windows.

    Attributes:
      converter: What converts.
      augmenter: What draws the keys; None: the music stays as it is.
      most: How many examples of a sequence are used; None for all.
      seed: With the epoch and the number of a sequence decides what is drawn. None: the first
        examples, without transposition.
      epoch: The epoch.
    """

    converter: Converter
    augmenter: NoteSequenceAugmenter | None
    most: int | None
    seed: int | None = None
    epoch: int = 0

    def __call__(self, chunk: Chunk) -> Drawn:
        """The examples that are drawn of some records."""
        rngs: list[np.random.Generator | None] = [None] * len(chunk.records)
        semitones = [0] * len(chunk.records)
        if self.seed is not None:
            numbers = range(chunk.first, chunk.first + len(chunk.records))
            rngs = [np.random.default_rng([self.seed, self.epoch, number]) for number in numbers]
        if self.augmenter is not None:
            semitones = [self.augmenter.draw_semitones(rng) if rng else 0 for rng in rngs]
        pieces = _for_each(chunk.records, chunk.records, scores)
        keyed = list(zip(pieces, semitones, strict=True))
        found = Drawn([], len(chunk.records), Counter())
        extractions = _for_each(chunk.records, keyed, self._extract)
        for extraction, rng in zip(extractions, rngs, strict=True):
            found.skipped.update(extraction.skipped)
            found.examples.extend(limit(extraction.examples, self.most, rng))
        return found

    def _extract(self, keyed: Sequence[tuple[Score, int]]) -> list[Extraction]:
        """The examples of scores, each so many semitones higher."""
        moves = [number for number, (_, semitones) in enumerate(keyed) if semitones]
        moved = transpose_scores(*zip(*(keyed[n] for n in moves), strict=True)) if moves else []
        pieces = [score for score, _ in keyed]
        for number, score in zip(moves, moved, strict=True):
            pieces[number] = score
        return self.converter.extract_all(pieces)


def limit(
    examples: Sequence[Example], most: int | None, rng: np.random.Generator | None = None
) -> Sequence[Example]:
    """At most `most` examples (None: all): a random subset, or the first ones without `rng`."""
    if most is None or len(examples) <= most:
        return examples
    if rng is None:
        return examples[:most]
    return [examples[index] for index in rng.choice(len(examples), most, replace=False)]


def chunks(records: Iterable[Record]) -> Iterator[Chunk]:
    """The records in chunks, whose bounds depend on nothing else."""
    waiting: list[Record] = []
    size = first = 0
    for record in records:
        waiting.append(record)
        size += len(record.data)
        if len(waiting) == CHUNK_RECORDS or size >= CHUNK_BYTES:
            yield Chunk(first, waiting)
            first += len(waiting)
            waiting, size = [], 0
    if waiting:
        yield Chunk(first, waiting)


class Task(NamedTuple):
    """Work for a process."""

    work: Conversion | Draw
    chunk: Chunk


def pool(num_processes: int | None) -> pools.Pool:
    """Processes for tasks; see `pools.Pool`."""
    return pools.Pool(_run, num_processes, died=_died)


def _run(task: Task) -> Converted | Drawn:
    return task.work(task.chunk)


def _died(task: Task) -> Converted | Drawn:
    first, last = task.chunk.records[0], task.chunk.records[-1]
    raise UserError(
        f"the process that converted {first.place} to {last.place} died, perhaps for want of "
        "memory; `num_data_processes=1` needs the least"
    )


def _for_each(
    records: Sequence[Record],
    items: Sequence[_Item],
    work: Callable[[Sequence[_Item]], list[_Result]],
) -> list[_Result]:
    """What `work` makes of the items, of a record each; an exception from it names the record."""
    try:
        return work(items)
    except Exception:
        return [_for_one(*one, work) for one in zip(records, items, strict=True)]


def _for_one(
    record: Record, item: _Item, work: Callable[[Sequence[_Item]], list[_Result]]
) -> _Result:
    try:
        return work([item])[0]
    except UserError:
        raise
    except Exception as error:
        _logger.debug("%s", record.place, exc_info=True)
        raise UserError(
            f"{record.place} cannot be converted: {type(error).__name__}: {error}"
        ) from error
