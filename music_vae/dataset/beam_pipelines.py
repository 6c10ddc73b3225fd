"""Runs the conversion and preprocessing of music on many machines, in Apache Beam.

The work on an element is done by plain functions elsewhere. Here they are wired together, and their
counts become Beam's counters.
"""

import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics, MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions

from music_vae.common import lazy_imports
from music_vae.common.constants import MAX_DAMAGED
from music_vae.common.errors import UserError
from music_vae.dataset import preprocessing, sources, tfrecord
from music_vae.dataset.music_files import ConvertedFile, Summary
from music_vae.dataset.preprocessing import Filters
from music_vae.music.converters.base import Converter

_NAMESPACE = "music_vae"
_SKIPPED_FILE, _SKIPPED_TUNE = "file: ", "tune: "

_logger = logging.getLogger(__name__)


def preprocess(
    input_tfrecord: str,
    output: str,
    num_shards: int,
    converter: Converter,
    filters: Filters | None,
    options: Sequence[str],
    max_damaged: float = MAX_DAMAGED,
) -> Counter[str]:
    """Writes the unique examples of TFRecords of NoteSequences to TFRecords of NoteSequences.

    >>> import tempfile
    >>> from music_vae.configs import get_config
    >>> from music_vae.music.notes_io import read_music_file
    >>> (tune,) = read_music_file("examples/tunes/soldiers_joy.mid")
    >>> converter = get_config("cat-mel_2bar_small").data_converter
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/tunes.tfrecord"
    ...     _ = tfrecord.write_records(path, 2 * [tune.SerializeToString()])
    ...     counts = preprocess(path, f"{folder}/unique.tfrecord", 1, converter, None, [])
    >>> counts["examples"], counts["unique examples"]
    (32, 16)

    Args:
      input_tfrecord: A file, a pattern, or a comma-separated list of them; perhaps of another file
        system that Beam understands.
      output: The output file, or the beginning of the names of several.
      num_shards: Number of output files.
      converter: Converter that finds the examples.
      filters: Filters of the parts of sequences; None: all parts are used.
      options: Options of the pipeline, as on a command line.
      max_damaged: Largest share of the records in files of this machine that may be damaged, and
        are then left out. A damaged record in another file system ends the pipeline.

    Returns:
      The counters of `preprocessing`, and that of damaged records.

    Raises:
      UserError: If there is no such file, the pipeline fails, too many records are damaged, or
        there are no examples.
    """
    paths = _local_paths(input_tfrecord)

    def build(pipeline: beam.Pipeline) -> None:
        examples = (
            _read(pipeline, input_tfrecord, paths)
            | "spread" >> beam.Reshuffle()  # a file is read by one worker
            | "examples" >> beam.ParDo(_Examples(converter, filters))
            | "equal ones" >> beam.GroupByKey()
            | "sources" >> beam.ParDo(_WithSources())
        )
        _write(examples, output, num_shards)

    counts = _run(build, options)
    num_read = counts[preprocessing.SEQUENCES] + counts[preprocessing.NOT_SEQUENCES]
    tfrecord.check_damaged(input_tfrecord, counts[sources.DAMAGED], num_read, max_damaged)
    if counts[preprocessing.NOT_SEQUENCES] and not counts[preprocessing.SEQUENCES]:
        raise UserError(f"{input_tfrecord}: these records are not NoteSequences")
    if not counts[preprocessing.UNIQUE]:
        reasons = ", ".join(f"{number} {name}" for name, number in sorted(counts.items()))
        raise UserError(f"there are no examples in {input_tfrecord}: {reasons}")
    return counts


def convert_files(
    names: Sequence[str],
    convert: Callable[[str], ConvertedFile],
    output: str,
    num_shards: int,
    options: Sequence[str],
) -> Summary:
    """Writes the NoteSequences of music files to TFRecords, in no particular order.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from music_vae.dataset.music_files import converter_of
    >>> names = ["durangs_hornpipe.mid", "fishers_hornpipe.mid"]
    >>> convert = converter_of(Path("examples/two_bars"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     convert_files(names, convert, f"{folder}/tunes.tfrecord", 1, []).sequences
    2

    Args:
      names: Names of the files.
      convert: Function that converts a file; it can be pickled.
      output: The output file, or the beginning of the names of several.
      num_shards: Number of output files.
      options: Options of the pipeline, as on a command line.

    Raises:
      UserError: If the pipeline fails, or no file can be converted.
    """

    def build(pipeline: beam.Pipeline) -> None:
        records = (
            pipeline
            | "files" >> beam.Create(list(names))
            | "spread" >> beam.Reshuffle()
            | "convert" >> beam.ParDo(_Files(convert))
        )
        _write(records, output, num_shards)

    counts = _run(build, options)
    reasons = {prefix: Counter[str]() for prefix in (_SKIPPED_FILE, _SKIPPED_TUNE)}
    for name, number in counts.items():
        for prefix, numbers in reasons.items():
            if name.startswith(prefix):
                numbers[name.removeprefix(prefix)] = number
    summary = Summary(
        len(names), counts["sequences"], reasons[_SKIPPED_FILE], reasons[_SKIPPED_TUNE]
    )
    summary.check_any()
    return summary


class _Counting(beam.DoFn):
    """A function of Beam that counts with plain counters."""

    def setup(self) -> None:
        lazy_imports.import_note_seq()

    @staticmethod
    def count(counts: Counter[str]) -> None:
        for name, number in counts.items():
            Metrics.counter(_NAMESPACE, name).inc(number)


class _Examples(_Counting):
    """Converts a record to pairs of an example and the id of its source."""

    def __init__(self, converter: Converter, filters: Filters | None) -> None:
        self._converter, self._filters = converter, filters

    def process(self, record: bytes) -> Iterator[tuple[bytes, str]]:
        counts = Counter[str]()
        yield from preprocessing.examples_of(record, self._converter, self._filters, counts)
        self.count(counts)


class _WithSources(_Counting):
    """Converts a pair of an example and the ids of its sources to a record."""

    def process(self, element: tuple[bytes, Iterable[str]]) -> Iterator[bytes]:
        yield preprocessing.with_sources(*element)
        self.count(Counter({preprocessing.UNIQUE: 1}))


class _Files(_Counting):
    """Converts the name of a file to records."""

    def __init__(self, convert: Callable[[str], ConvertedFile]) -> None:
        self._convert = convert

    def process(self, name: str) -> Iterator[bytes]:
        converted = self._convert(name)
        yield from converted.records
        counts = Counter({"sequences": len(converted.records)})
        if converted.reason:
            counts[_SKIPPED_FILE + converted.reason] += 1
        for reason, number in converted.skipped_tunes.items():
            counts[_SKIPPED_TUNE + reason] += number
        self.count(counts)


class _Read(_Counting):
    """Reads the records of a file of this machine, all but damaged ones."""

    def process(self, path: str) -> Iterator[bytes]:
        num_damaged = 0
        for scanned in tfrecord.scan(path):
            if scanned.data is not None:
                yield scanned.data
                continue
            num_damaged += 1
            if num_damaged <= sources.MAX_LINES:
                _logger.warning("%s; left out", scanned.line)
        self.count(Counter({sources.DAMAGED: num_damaged}))


def _local_paths(names: str) -> list[str] | None:
    """Returns the input files on this machine; None if some are in another file system."""
    if any(tfrecord.is_remote(name) for name in names.split(",")):
        return None
    return [str(path.absolute()) for path in tfrecord.expand_patterns(names)]


def _read(pipeline: beam.Pipeline, names: str, paths: list[str] | None) -> Any:
    """Returns the records of files; those of another file system are read by Beam itself."""
    if paths is not None:
        files = pipeline | "files" >> beam.Create(paths) | "spread files" >> beam.Reshuffle()
        return files | "read" >> beam.ParDo(_Read())
    patterns = [name.strip() for name in names.split(",") if name.strip()]
    records = [
        pipeline | f"read {number}" >> beam.io.ReadFromTFRecord(pattern)
        for number, pattern in enumerate(patterns)
    ]
    return records | "all" >> beam.Flatten()


def _write(records: Any, output: str, num_shards: int) -> None:
    records | "write" >> beam.io.WriteToTFRecord(
        output,
        num_shards=num_shards,
        shard_name_template="" if num_shards == 1 else None,
    )


def _run(build: Callable[[beam.Pipeline], None], options: Sequence[str]) -> Counter[str]:
    """Runs a pipeline to its end; returns its counters."""
    try:
        pipeline = beam.Pipeline(options=PipelineOptions(list(options)))
        build(pipeline)
        with _without_errors_in_the_log():
            result = pipeline.run()
            result.wait_until_finish()
        metrics = result.metrics().query(MetricsFilter().with_namespace(_NAMESPACE))
    except Exception as error:  # of as many types as there are runners
        if (interruption := _interruption(error)) is not None:
            raise interruption from error
        _logger.debug("the pipeline failed", exc_info=True)
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        what = lines[-1] if lines else type(error).__name__
        raise UserError(f"the pipeline failed (`log=DEBUG` says where): {what}") from error
    return Counter({entry.key.metric.name: entry.result for entry in metrics["counters"]})


@contextlib.contextmanager
def _without_errors_in_the_log() -> Iterator[None]:
    """Leaves out what Beam logs of an error, with its traceback, before it raises it.

    At the level DEBUG all is logged.
    """

    def is_wanted(record: logging.LogRecord) -> bool:
        is_error = record.levelno >= logging.ERROR and record.name.startswith("apache_beam")
        return not is_error or _logger.isEnabledFor(logging.DEBUG)

    handlers = list(logging.getLogger().handlers)
    for handler in handlers:
        handler.addFilter(is_wanted)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(is_wanted)


def _interruption(error: BaseException | None) -> KeyboardInterrupt | None:
    """Returns the interruption that a runner took for an error of the pipeline, or None.

    A runner raises an error of its own after it.
    """
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return error
        error = error.__cause__ or error.__context__
    return None
