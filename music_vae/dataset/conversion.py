"""Converts records of NoteSequences to examples, in this process or in several.

Music that is kept is converted once, by a `Conversion`, which also prepares every transposition
that may be needed: as the range in which the examples themselves can be transposed, or else by
converting the transposed notes. So the notes need not be kept, and an epoch draws the same examples
as if it transposed the notes. Music that is not kept is converted in every epoch, by a `Draw`.
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

# So many records go to a process at once that the time to send them does not count.
CHUNK_RECORDS = 32
CHUNK_BYTES = 1 << 18

_logger = logging.getLogger(__name__)
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Chunk(NamedTuple):
    """Records that follow one another.

    >>> chunk = Chunk(0, [Record(b"...", "tunes.tfrecord", number) for number in (1, 2)])
    >>> [record.place for record in chunk.records]
    ['record 1 of tunes.tfrecord', 'record 2 of tunes.tfrecord']

    Attributes:
      first: Number of the first of them among all records, from 0.
      records: The records.
    """

    first: int
    records: Sequence[Record]


class Converted(NamedTuple):
    """The result of a `Conversion` of some sequences.

    >>> converted = Converted(pack([], 1), num_sequences=2, skipped=Counter({"only drums": 2}))
    >>> len(converted.packed.steps)  # examples
    0

    Attributes:
      packed: The examples of those sequences that give any in some key.
      num_sequences: Number of sequences that were converted.
      skipped: How often music was left out for each reason.
    """

    packed: Packed
    num_sequences: int
    skipped: Counter[str]


class Drawn(NamedTuple):
    """The result of a `Draw` from some sequences.

    >>> Drawn([], num_sequences=1, skipped=Counter({"only drums": 1})).skipped.total()
    1

    Attributes:
      examples: The examples that were drawn.
      num_sequences: Number of sequences that they were drawn from.
      skipped: How often music was left out for each reason.
    """

    examples: list[Example]
    num_sequences: int
    skipped: Counter[str]


@dataclasses.dataclass(frozen=True)
class Conversion:
    """Converts records once, for all epochs.

    >>> from music_vae.configs import get_config
    >>> from music_vae.music.notes_io import read_music_file
    >>> (tune,) = read_music_file("examples/tunes/soldiers_joy.mid")
    >>> conversion = Conversion(get_config("cat-mel_2bar_small").data_converter, (-1, 1))
    >>> record = Record(tune.SerializeToString(), "tunes.tfrecord", 1)
    >>> converted = conversion(Chunk(0, [record]))
    >>> len(converted.packed.steps), converted.num_sequences
    (16, 1)

    Attributes:
      converter: Converter that finds the examples.
      semitones: Lowest and highest transposition that will be needed; (0, 0) for none.
    """

    converter: Converter
    semitones: tuple[int, int] = (0, 0)

    def __call__(self, chunk: Chunk) -> Converted:
        """Converts some records."""
        pieces = _for_each(chunk.records, chunk.records, scores)
        groups = _for_each(chunk.records, pieces, self.pieces)
        return self.packed([piece for piece, _ in groups], sum((s for _, s in groups), Counter()))

    def packed(self, pieces: Sequence[PieceGroups], skipped: Counter[str]) -> Converted:
        """Packs the examples of `pieces`, one piece for each sequence that was converted."""
        low, high = self.semitones
        kept = [piece for piece in pieces if any(piece.groups)]
        return Converted(pack(kept, high - low + 1), len(pieces), skipped)

    def pieces(self, scores: Sequence[Score]) -> list[tuple[PieceGroups, Counter[str]]]:
        """Returns the examples of each score, in every key that needs a conversion of its own.

        With them comes a count of the reasons for which music of the score, as it stands, was left
        out.
        """
        extractions = self.converter.extract_all(scores)
        pieces = [PieceGroups([extraction.examples], []) for extraction in extractions]
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
        for (number, _), extraction in zip(keys, others, strict=True):
            pieces[number].groups.append(extraction.examples)
        skipped = [extraction.skipped for extraction in extractions]
        return list(zip(pieces, skipped, strict=True))


@dataclasses.dataclass(frozen=True)
class Draw:
    """Converts records for one epoch, drawing a key and windows for each.

    >>> from music_vae.configs import get_config
    >>> from music_vae.music.notes_io import read_music_file
    >>> (tune,) = read_music_file("examples/tunes/soldiers_joy.mid")
    >>> converter = get_config("cat-mel_2bar_small").data_converter
    >>> draw = Draw(converter, NoteSequenceAugmenter((-5, 5)), most=3, seed=0)
    >>> record = Record(tune.SerializeToString(), "tunes.tfrecord", 1)
    >>> len(draw(Chunk(0, [record])).examples)
    3

    Attributes:
      converter: Converter that finds the examples.
      augmenter: Augmenter that draws the keys; None: the music stays as it is.
      most: How many examples of a sequence are used; None for all.
      seed: Seed that decides, with the epoch and the number of a sequence, what is drawn. None: the
        first examples are used, without transposition.
      epoch: Number of the epoch.
    """

    converter: Converter
    augmenter: NoteSequenceAugmenter | None
    most: int | None
    seed: int | None = None
    epoch: int = 0

    def __call__(self, chunk: Chunk) -> Drawn:
        """Draws examples from some records."""
        rngs: list[np.random.Generator | None] = [None] * len(chunk.records)
        semitones = [0] * len(chunk.records)
        if self.seed is not None:
            numbers = range(chunk.first, chunk.first + len(chunk.records))
            rngs = [np.random.default_rng([self.seed, self.epoch, number]) for number in numbers]
        if self.augmenter is not None:
            semitones = [self.augmenter.draw_semitones(rng) if rng else 0 for rng in rngs]
        pieces = _for_each(chunk.records, chunk.records, scores)
        keyed = list(zip(pieces, semitones, strict=True))
        drawn = Drawn([], len(chunk.records), Counter())
        extractions = _for_each(chunk.records, keyed, self._extract)
        for extraction, rng in zip(extractions, rngs, strict=True):
            drawn.skipped.update(extraction.skipped)
            drawn.examples.extend(limit(extraction.examples, self.most, rng))
        return drawn

    def _extract(self, keyed: Sequence[tuple[Score, int]]) -> list[Extraction]:
        """Extracts the examples of scores, each transposed by its number of semitones."""
        moves = [number for number, (_, semitones) in enumerate(keyed) if semitones]
        moved = transpose_scores(*zip(*(keyed[n] for n in moves), strict=True)) if moves else []
        pieces = [score for score, _ in keyed]
        for number, score in zip(moves, moved, strict=True):
            pieces[number] = score
        return self.converter.extract_all(pieces)


def limit(
    examples: Sequence[Example], most: int | None, rng: np.random.Generator | None = None
) -> Sequence[Example]:
    """Returns at most `most` examples: a random subset, or the first ones without `rng`.

    >>> arrays = [np.array([token]) for token in (41, 43, 45, 46)]
    >>> examples = [Example(array, array, None, np.int32(1)) for array in arrays]
    >>> [int(example.outputs[0]) for example in limit(examples, 2)]
    [41, 43]
    >>> [int(example.outputs[0]) for example in limit(examples, 2, np.random.default_rng(0))]
    [45, 46]

    Args:
      examples: The examples.
      most: Largest number of examples; None for all.
      rng: Random generator that draws the subset.
    """
    if most is None or len(examples) <= most:
        return examples
    if rng is None:
        return examples[:most]
    return [examples[index] for index in rng.choice(len(examples), most, replace=False)]


def chunks(records: Iterable[Record]) -> Iterator[Chunk]:
    """Cuts records into chunks, which are the same for the same records.

    >>> records = [Record(b"...", "tunes.tfrecord", number) for number in range(1, 71)]
    >>> [(chunk.first, len(chunk.records)) for chunk in chunks(records)]
    [(0, 32), (32, 32), (64, 6)]
    """
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
    """A chunk, and the work that a process is to do with it.

    >>> from music_vae.configs import get_config
    >>> conversion = Conversion(get_config("cat-mel_2bar_small").data_converter)
    >>> records = [Record(b"...", "tunes.tfrecord", number) for number in range(1, 71)]
    >>> tasks = [Task(conversion, chunk) for chunk in chunks(records)]
    >>> len(tasks)
    3

    Attributes:
      work: The work.
      chunk: The records to do it with.
    """

    work: Conversion | Draw
    chunk: Chunk


def pool(num_processes: int | None) -> pools.Pool:
    """Returns processes that do tasks; see `pools.Pool`.

    >>> from music_vae.configs import get_config
    >>> conversion = Conversion(get_config("cat-mel_2bar_small").data_converter)
    >>> empty = [Record(b"", "tunes.tfrecord", number) for number in range(1, 71)]
    >>> with pool(num_processes=0) as processes:
    ...     results = list(processes.map(Task(conversion, chunk) for chunk in chunks(empty)))
    >>> sum(converted.num_sequences for converted in results)
    70

    Args:
      num_processes: Number of processes; 0: this one. None: one for each CPU, once this one has
        worked for longer than their start takes.
    """
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
    """Returns `work(items)`, of one item for each record; an exception names the record."""
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
