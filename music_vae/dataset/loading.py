"""Loads music from its source: converted once and kept in memory or in files, or streamed."""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from music_vae import __version__
from music_vae.common import files, locks, own_code
from music_vae.common.cache import cache_dir
from music_vae.common.errors import UserError
from music_vae.common.json_values import to_json
from music_vae.configs import Config
from music_vae.dataset import disk_cache
from music_vae.dataset.batching import dense_batch
from music_vae.dataset.conversion import Conversion, Task, chunks, pool
from music_vae.dataset.epochs import Counts, Music, StreamedMusic, transposition_range
from music_vae.dataset.example_store import Store
from music_vae.dataset.sources import Source
from music_vae.music import converters
from music_vae.music.converters.score import read

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

MEMORY, DISK, NONE = "memory", "disk", "none"
CACHES = (MEMORY, DISK, NONE)
"""The places where converted examples can be kept; see `load`."""

_MEMORY_SHARE = 4  # examples that are kept in memory take at most a fourth of it

_log = logging.getLogger(__name__)


def convert(sequences: Iterable["NoteSequence"], config: Config, *, augment: bool = False) -> Music:
    """Converts sequences that are in memory, in this process; see `load` for more.

    >>> from music_vae.configs import get_config
    >>> from music_vae.music.notes_io import read_music_file
    >>> sequences = read_music_file("examples/tunes/soldiers_joy.mid")
    >>> print(convert(sequences, get_config("cat-mel_2bar_small")))
    1 sequences gave 16 examples

    Args:
      sequences: The sequences.
      config: Config with the converter and the augmenter.
      augment: True if the music is to be transposed later.
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
    """Returns the music of a source, converted once if it is to be kept.

    >>> import tempfile
    >>> from music_vae.configs import get_config
    >>> from music_vae.dataset.sources import TFRecords
    >>> from music_vae.dataset.tfrecord import write_records
    >>> from music_vae.music.notes_io import read_music_file
    >>> (tune,) = read_music_file("examples/tunes/soldiers_joy.mid")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_records(f"{folder}/tunes.tfrecord", [tune.SerializeToString()])
    ...     music = load(TFRecords(f"{folder}/tunes.tfrecord"), get_config("cat-mel_2bar_small"))
    >>> music.num_examples
    16

    Args:
      source: The source of the records.
      config: Config with the converter and the augmenter.
      augment: True if the music is to be transposed later.
      cache: Place where examples are kept. `memory`: there, or in temporary files if they do not
        fit. `disk`: in files (see `cache.cache_dir`) that later runs on the same music use again.
        `none`: nowhere; every epoch converts them anew.
      num_processes: Number of processes that convert; 0: this one. None: one for each CPU, if the
        conversion takes longer than they take to start.
      progress: True to show a progress bar.

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
    """Converts all records of a source, and writes the examples."""
    counts = Counts()
    with (
        pool(num_processes) as processes,
        tqdm(unit="sequence", desc="converting", disable=not progress) as bar,
    ):
        records = source.records(counts.skipped)
        for converted in processes.map(Task(conversion, c) for c in chunks(records)):
            writer.append(converted.packed)
            counts.num_sequences += converted.num_sequences
            counts.skipped += converted.skipped
            bar.update(converted.num_sequences)
    return counts


def _cached(
    source: Source, conversion: Conversion, num_processes: int | None, *, progress: bool
) -> Music:
    """Returns the music of a source from files, which are made if they are not there."""
    target = cache_dir() / "examples" / _cache_key(source, conversion)
    waiting = "another process is converting the same music; waiting for it"
    with locks.held(cache_dir() / "locks" / f"{target.name}.lock", waiting=waiting):
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
            _write_files(folder, source, conversion, num_processes, progress=progress)
        _log.info("the converted examples are kept in %s", target)
        try:
            return _read_cached(target, conversion)
        except disk_cache.DamagedCacheError as error:
            raise UserError(f"{target} cannot be read back: {error}; is its disk well?") from error


def _write_files(
    folder: Path,
    source: Source,
    conversion: Conversion,
    num_processes: int | None,
    *,
    progress: bool,
) -> None:
    """Converts all records of a source into the files of a folder."""
    writer = disk_cache.Writer(folder, limit_bytes=0)
    try:
        counts = _write(writer, source, conversion, num_processes, progress=progress)
    finally:
        writer.close()
    disk_cache.write_index(
        folder, writer, num_sequences=counts.num_sequences, skipped=counts.skipped
    )


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
    """Returns a name for the examples of a source: the same for equal music, settings and code."""
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
    """Returns the number of bytes of examples that may be kept in memory."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        total = 8 * 2**30
    return total // _MEMORY_SHARE
