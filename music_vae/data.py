"""From files of NoteSequences to batches: read, convert once, then draw anew in every epoch.

    music = load(TFRecords("tunes.tfrecord"), config, augment=True, cache="disk")
    for batch, position in TrainingBatches(music, config, seed=0): ...
    for batch in evaluation_batches(music, config): ...

What is random (which windows of a sequence, in which key, in which order) is a function of the seed
and the epoch alone, so that a run that was interrupted goes on with the batch it would have had.
"""

import hashlib
import itertools
import json
import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from tqdm import tqdm

from music_vae import __version__
from music_vae.common import files, own_code
from music_vae.common.batches import Batch, CompactBatch
from music_vae.common.cache import cache_dir
from music_vae.common.errors import UserError
from music_vae.common.json_values import to_json
from music_vae.configs import Config
from music_vae.dataset import disk_cache
from music_vae.dataset.conversion import Conversion, Task, chunks, limit, pool
from music_vae.dataset.epochs import (
    CORRUPTION,
    WINDOWS,
    Counts,
    Music,
    StreamedMusic,
    rng_for,
    transposition_range,
)
from music_vae.dataset.example_store import Store, stack, stack_single
from music_vae.dataset.sources import Source, TensorFlowDataset, TFRecords, parse
from music_vae.music import converters
from music_vae.music.augmentation import NoteSequenceAugmenter
from music_vae.music.converters.base import Converter, Example, Tensors
from music_vae.music.converters.drums import DrumsConverter
from music_vae.music.converters.groove import GrooveConverter
from music_vae.music.converters.melody import OneHotMelodyConverter
from music_vae.music.converters.performance import MultiInstrumentPerformanceConverter
from music_vae.music.converters.score import read
from music_vae.music.converters.trio import TrioConverter

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
    "StreamedMusic",
    "TFRecords",
    "TensorFlowDataset",
    "Tensors",
    "TrainingBatches",
    "TrioConverter",
    "compact_batch",
    "convert",
    "dense_batch",
    "evaluation_batches",
    "limit",
    "load",
    "make_batch",
    "read_note_sequences",
    "read_tfds",
]

MEMORY, DISK, NONE = "memory", "disk", "none"
CACHES = (MEMORY, DISK, NONE)
"""Where converted examples are kept: see `load`."""

_MEMORY_SHARE = 4  # examples that are kept in memory take at most a fourth of it

_log = logging.getLogger(__name__)


# -- Reading --------------------------------------------------------------------------------------


def read_note_sequences(examples_path: str) -> Iterator["NoteSequence"]:
    """The NoteSequences of TFRecord files.

    Args:
      examples_path: A file, a pattern, or a comma-separated list of them.

    Raises:
      UserError: If there is no such file, or it does not hold NoteSequences.
    """
    return map(parse, TFRecords(examples_path).records())


def read_tfds(name: str, split: str) -> Iterator["NoteSequence"]:
    """The NoteSequences of a TensorFlow Dataset whose examples have a feature `midi`.

    Args:
      name: As in `groove/2bar-midionly`.
      split: `train`, `validation` or `test`.

    Raises:
      UserError: If tensorflow-datasets is missing, or there is no such data set.
    """
    return map(parse, TensorFlowDataset(name, split).records())


# -- Converting -----------------------------------------------------------------------------------


def convert(sequences: Iterable["NoteSequence"], config: Config, *, augment: bool = False) -> Music:
    """Converts every sequence once, in this process and to memory; see `load` for more.

    Args:
      sequences: What to convert.
      config: Whose converter and augmenter count.
      augment: Whether the music is to be transposed later.
    """
    conversion, counts = _conversion(config, augment), Counts()
    pieces = []
    for sequence in sequences:
        ((piece, skipped),) = conversion.pieces([read(sequence)])
        pieces.append(piece)
        counts.skipped += skipped
    counts.num_sequences = len(pieces)
    converted = conversion.packed(pieces, counts.skipped)
    return Music(Store(converted.packed), conversion.semitones, counts)


def load(
    source: Source,
    config: Config,
    *,
    augment: bool = False,
    cache: str = MEMORY,
    num_processes: int | None = 0,
    progress: bool = False,
) -> Music | StreamedMusic:
    """The music of a source, converted once if it is to be kept.

    Args:
      source: Where it is from.
      config: Whose converter and augmenter count.
      augment: Whether the music is to be transposed later.
      cache: Where examples are kept. `memory`: there, or in temporary files where they do not fit.
        `disk`: in files (see `cache.cache_dir`) that later runs on the same music use
        again. `none`: nowhere; every epoch converts them anew.
      num_processes: How many processes convert; 0: this one. None: one for each CPU, if it takes
        longer than they take to start.
      progress: Whether to show a bar.

    Raises:
      UserError: If the source cannot be read, or something in it cannot be converted.
    """
    if cache == NONE:
        return StreamedMusic(source, num_processes=num_processes)
    conversion = _conversion(config, augment)
    if cache == DISK:
        return _cached(source, conversion, num_processes, progress=progress)
    writer = disk_cache.Writer(None, limit_bytes=_memory_limit())
    counts = _write(writer, source, conversion, num_processes, progress=progress)
    return Music(Store(writer.packed()), conversion.semitones, counts, writer.temporary)


def _conversion(config: Config, augment: bool) -> Conversion:
    return Conversion(config.data_converter, transposition_range(config) if augment else (0, 0))


def _write(
    writer: disk_cache.Writer,
    source: Source,
    conversion: Conversion,
    num_processes: int | None,
    *,
    progress: bool,
) -> Counts:
    """Converts all that there is."""
    counts = Counts()
    with (
        pool(num_processes) as processes,
        tqdm(unit="sequence", desc="converting", disable=not progress) as bar,
    ):
        for converted in processes.map(Task(conversion, c) for c in chunks(source.records())):
            writer.append(converted.packed)
            counts.num_sequences += converted.num_sequences
            counts.skipped += converted.skipped
            bar.update(converted.num_sequences)
    return counts


def _cached(
    source: Source, conversion: Conversion, num_processes: int | None, *, progress: bool
) -> Music:
    """The music of a source from its files, which are made if they are not there."""
    target = cache_dir() / "examples" / _cache_key(source, conversion)
    try:
        music = _read_cached(target, conversion)
        _log.info("using the converted examples in %s", target)
        return music
    except FileNotFoundError:
        pass
    except disk_cache.DamagedCacheError as error:
        _log.warning("%s is damaged (%s) and is made anew", target, error)
        shutil.rmtree(target)
    with files.cached_directory(target) as folder:
        writer = disk_cache.Writer(folder, limit_bytes=0)
        try:
            counts = _write(writer, source, conversion, num_processes, progress=progress)
        finally:
            writer.close()
        disk_cache.write_index(
            folder, writer, num_sequences=counts.num_sequences, skipped=counts.skipped
        )
    _log.info("the converted examples are kept in %s", target)
    return _read_cached(target, conversion)


def _read_cached(folder: Path, conversion: Conversion) -> Music:
    cached = disk_cache.read(folder)
    store = Store(cached.packed)
    try:
        if store.num_examples:
            dense_batch(store.take(np.zeros(1, int)), conversion.converter)
    except (ValueError, IndexError, TypeError) as error:
        raise disk_cache.DamagedCacheError(f"{conversion.converter}: {error}") from error
    return Music(store, conversion.semitones, Counts(cached.num_sequences, cached.skipped))


def _cache_key(source: Source, conversion: Conversion) -> str:
    """A name for what is made of a source: the same for the same music, settings and code."""
    code = hashlib.sha256()
    for folder in converters.__path__:
        for path in sorted(Path(folder).glob("*.py")):
            code.update(path.read_bytes())
    for path in own_code.source_files(conversion.converter):
        code.update(path.read_bytes())
    made_of = {
        "versions": [__version__, version("note-seq"), disk_cache.FORMAT_VERSION],
        "code": code.hexdigest(),
        "converter": to_json(conversion.converter),
        "semitones": conversion.semitones,
        "music": source.fingerprint(),
    }
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:32]


def _memory_limit() -> int:
    """How many bytes of examples are kept in memory."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        total = 8 * 2**30
    return total // _MEMORY_SHARE


# -- Batching -------------------------------------------------------------------------------------


def make_batch(examples: Sequence[Example], converter: Converter) -> Batch:
    """Dense float32 arrays, padded with zeros to the longest example."""
    return dense_batch(stack_single(examples), converter)


def dense_batch(stacked: Example, converter: Converter) -> Batch:
    """Dense float32 arrays of stacked examples."""
    inputs = converter.dense_inputs(stacked.inputs).astype(np.float32)
    if stacked.controls is None:
        controls = np.zeros((*inputs.shape[:2], 0), np.float32)
    else:
        controls = converter.dense_controls(stacked.controls).astype(np.float32)
    compact = converter.compact
    if stacked.inputs is stacked.outputs and compact and compact.inputs == compact.outputs:
        outputs = inputs
    else:
        outputs = converter.dense_outputs(stacked.outputs).astype(np.float32)
    return Batch(inputs, outputs, controls, stacked.length.astype(np.int32))


def compact_batch(stacked: Example) -> CompactBatch:
    """Stacked examples as they go to the device; `densify.dense_on_device` makes them dense."""
    controls = stacked.controls
    if controls is None:
        controls = np.zeros((*stacked.outputs.shape[:2], 0), np.float32)
    lengths = stacked.length.astype(np.int32)
    return CompactBatch(stacked.inputs, stacked.outputs, controls, lengths)


def evaluation_batches(
    music: Music | StreamedMusic, config: Config, *, num_batches: int | None = None
) -> Iterator[Batch]:
    """Every example once, in order and as it stands; the last batch may be smaller.

    Each sequence gives at most its converter's `max_tensors_per_notesequence`.

    Args:
      music: Converted music.
      config: Whose converter and batch size count.
      num_batches: Stop after this many.
    """
    epoch = music.in_order(config)
    for _ in itertools.count() if num_batches is None else range(num_batches):
        stacked = epoch.take(config.hparams.batch_size)
        if stacked is None:
            return
        yield dense_batch(stacked, config.data_converter)


class Position(NamedTuple):
    """Where in the endless stream of examples a batch begins."""

    epoch: int = 0
    offset: int = 0


class TrainingBatches:
    """An endless iterator of (batch, position of the next batch)."""

    def __init__(
        self,
        music: Music | StreamedMusic,
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
        self._epoch = music.shuffled(config, seed, self._position.epoch)
        self._epoch.skip(self._position.offset)
        self._next = self._take_batch()

    def __iter__(self) -> "TrainingBatches":
        return self

    def __next__(self) -> tuple[Batch, Position]:
        stacked, position = self.next_compact()
        return dense_batch(stacked, self._config.data_converter), position

    def next_compact(self) -> tuple[Example, Position]:
        """The next batch as stacked compact examples; `densify.dense_on_device` makes it dense."""
        (batch, position), self._next = self._next, self._take_batch()
        number, count = self._share
        size = self._config.hparams.batch_size
        own = slice(number * size // count, (number + 1) * size // count)
        controls = None if batch.controls is None else batch.controls[own]
        inputs, outputs, lengths = batch.inputs[own], batch.outputs[own], batch.length[own]
        return Example(inputs, outputs, controls, lengths), position

    def _take_batch(self) -> tuple[Example, Position]:
        """The compact examples of a batch, and the position after it."""
        parts: list[Example] = []
        missing = size = self._config.hparams.batch_size
        while missing:
            epoch, offset = self._position
            part = self._epoch.take(missing)
            if part is None:
                if offset < size:
                    raise self._too_few(offset)
                self._position = Position(epoch + 1)
                self._epoch = self._music.shuffled(self._config, self._seed, epoch + 1)
                continue
            parts.append(self._varied(part))
            missing -= len(part.outputs)
            self._position = Position(epoch, offset + len(part.outputs))
        return stack(parts), self._position

    def _varied(self, part: Example) -> Example:
        """Examples as the model reads them in training; chance depends on the position alone."""
        epoch, offset = self._position
        converter, augmenter = self._config.data_converter, self._config.window_augmenter
        if augmenter is not None:
            part = augmenter.augment(part, converter, rng_for(self._seed, epoch, WINDOWS, offset))
        return converter.corrupt(part, rng_for(self._seed, epoch, CORRUPTION, offset))

    def _too_few(self, found: int) -> UserError:
        most = self._config.data_converter.max_tensors_per_notesequence
        return UserError(
            f"{found} training examples (at most {most or 'all'} of a sequence) do not fill a "
            f"batch of {self._config.hparams.batch_size}: {self._music}; give more music or a "
            "smaller `batch_size=...`"
        )
