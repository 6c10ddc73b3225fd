"""From sequences to packed examples, each once, in as many processes as there are.

Every transposition that may be asked for is prepared here: as the range in which the examples
themselves can be transposed, or else by converting the transposed notes. Nothing of the notes has
to be kept, and what an epoch draws is what it would be if it transposed the notes.
"""

import dataclasses
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from music_vae import pools
from music_vae.augment import NoteSequenceAugmenter, transpose_score
from music_vae.converters.base import Converter, Example, Extraction
from music_vae.converters.score import read
from music_vae.errors import UserError
from music_vae.example_store import Packed, PieceGroups, pack
from music_vae.sources import Record, parse

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

# As many records go to a process at once: enough for what is sent not to count.
CHUNK_RECORDS = 32
CHUNK_BYTES = 1 << 18

_logger = logging.getLogger(__name__)
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
        skipped = Counter[str]()
        pieces = [_work_on(record, lambda s: self.piece(s, skipped)) for record in chunk.records]
        return self.packed(pieces, skipped)

    def packed(self, pieces: Sequence[PieceGroups], skipped: Counter[str]) -> Converted:
        """What came of as many sequences as there are `pieces`."""
        low, high = self.semitones
        kept = [piece for piece in pieces if any(piece.groups)]
        return Converted(pack(kept, high - low + 1), len(pieces), skipped)

    def piece(self, sequence: "NoteSequence", skipped: Counter[str]) -> PieceGroups:
        """The examples of a sequence, in every key that needs a conversion of its own."""
        score = read(sequence)
        extraction = self.converter.extract(score)
        skipped += extraction.skipped
        groups = [extraction.examples]
        if self.semitones == (0, 0):
            return PieceGroups(groups, [0])
        low, high = self.converter.transposable_range(score)
        numbers = []
        for semitones in range(self.semitones[0], self.semitones[1] + 1):
            if semitones == 0 or low <= semitones <= high:
                numbers.append(0)
                continue
            numbers.append(len(groups))
            groups.append(self.converter.extract(transpose_score(score, semitones)).examples)
        return PieceGroups(groups, numbers)


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
        found = Drawn([], len(chunk.records), Counter())
        for number, record in enumerate(chunk.records, start=chunk.first):
            rng, semitones = None, 0
            if self.seed is not None:
                rng = np.random.default_rng([self.seed, self.epoch, number])
                semitones = self.augmenter.draw_semitones(rng) if self.augmenter else 0
            extraction = _work_on(record, partial(self._extract, semitones=semitones))
            found.skipped.update(extraction.skipped)
            found.examples.extend(limit(extraction.examples, self.most, rng))
        return found

    def _extract(self, sequence: "NoteSequence", *, semitones: int) -> Extraction:
        score = read(sequence)
        return self.converter.extract(transpose_score(score, semitones) if semitones else score)


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
        "memory; --num_data_processes=1 needs the least"
    )


def _work_on(record: Record, work: Callable[["NoteSequence"], _Result]) -> _Result:
    """What `work` makes of the sequence of a record; an exception from it names the record."""
    try:
        return work(parse(record))
    except UserError:
        raise
    except Exception as error:
        _logger.debug("%s", record.place, exc_info=True)
        raise UserError(
            f"{record.place} cannot be converted: {type(error).__name__}: {error}"
        ) from error
