"""Reads NoteSequences from TFRecord files, and from TensorFlow Datasets of MIDI files.

A source gives serialised records, the same each time, and each knows its place for messages. They
are parsed in whatever process uses them.
"""

import dataclasses
import hashlib
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from music_vae.common import checks, lazy_imports
from music_vae.common.constants import MAX_DAMAGED
from music_vae.common.errors import UserError
from music_vae.dataset import tfrecord
from music_vae.music.converters.score import Score, read
from music_vae.music.converters.serialised import read_serialised

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

_NO_TFDS = "`tfds_name` needs tensorflow-datasets: pip install 'music_vae[tfds]'"
_PIECE_BYTES = 1 << 22
_HOW_TO_MAKE = "make a file of them with convert_dir_to_note_sequences"
_FEATURES = "\n"  # how the features of a tf.Example begin: the tag of their first field

MAX_LINES = 10
"""The number of damaged records that are named; all are counted."""

DAMAGED = "damaged record"
"""The reason for which damaged records are counted among the music that was left out."""

_log = logging.getLogger(__name__)


class Record(NamedTuple):
    """A serialised NoteSequence, or a MIDI file.

    >>> Record(b"...", source="tunes.tfrecord", number=3).place
    'record 3 of tunes.tfrecord'

    Attributes:
      data: The bytes of the record.
      source: Name of the file or data set that it is from.
      number: Number of the record there, from 1.
      is_midi: True for a MIDI file, False for a NoteSequence.
    """

    data: bytes
    source: str
    number: int
    is_midi: bool = False

    @property
    def place(self) -> str:
        """Place of the record for messages, such as 'record 3 of tunes.tfrecord'."""
        return f"record {self.number} of {self.source}"


class Source(Protocol):
    """The protocol of an object that gives records, in the same order each time.

    >>> source: Source = TFRecords("tunes.tfrecord")
    >>> print(source)
    tunes.tfrecord
    """

    def records(self, skipped: Counter[str] | None = None) -> Iterator[Record]:
        """Yields the records; counts in `skipped` those that are left out."""

    def fingerprint(self) -> str:
        """Returns a digest of all data of the records."""


@dataclasses.dataclass(frozen=True)
class TFRecords:
    """The NoteSequences of TFRecord files.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = tfrecord.write_records(f"{folder}/two.tfrecord", [b"one", b"two"])
    ...     [record.data for record in TFRecords(f"{folder}/*.tfrecord").records()]
    [b'one', b'two']

    Attributes:
      examples_path: A file, a pattern, or a comma-separated list of them.
      max_damaged: Largest share of the records that may be damaged, and are then left out.

    Raises:
      UserError: If that share is not between 0 and 1.
    """

    examples_path: str
    max_damaged: float = MAX_DAMAGED
    _said: set[str] = dataclasses.field(
        default_factory=set, init=False, repr=False, compare=False, hash=False
    )

    def __post_init__(self) -> None:
        checks.check_numbers(self, checks.SHARE, "max_damaged")

    def __str__(self) -> str:
        return self.examples_path

    def records(self, skipped: Counter[str] | None = None) -> Iterator[Record]:
        """Yields all records but damaged ones, which are logged, and counted in `skipped`.

        Raises:
          UserError: If there is no such file; at the end if too many records were damaged.
        """
        num_read = num_damaged = 0
        first_fault, lines = "", []
        for path in tfrecord.expand_patterns(self.examples_path):
            for scanned in tfrecord.scan(path):
                if scanned.data is None:
                    num_damaged += 1
                    first_fault = first_fault or scanned.fault
                    lines.append(scanned.line)
                else:
                    num_read += 1
                if num_read:  # else the error that is raised at the end says it
                    self._say(lines)
                    lines.clear()
                if scanned.data is not None:
                    yield Record(scanned.data, str(path), scanned.number)
        tfrecord.check_damaged(str(self), num_damaged, num_read, self.max_damaged, first_fault)
        if num_damaged and skipped is not None:
            skipped[DAMAGED] += num_damaged

    def _say(self, lines: list[str]) -> None:
        """Logs lines on damaged records, once for all passes through the records."""
        for line in lines:
            if line not in self._said and len(self._said) < MAX_LINES:
                self._said.add(line)
                _log.warning("%s; left out", line)

    def fingerprint(self) -> str:
        """Returns a digest of the contents of the files, in their order.

        With an unusual limit on damage it is another one, so that music which was converted under
        that limit is not used under a stricter one.
        """
        digest = hashlib.sha256()
        if self.max_damaged != MAX_DAMAGED:
            digest.update(f"{self.max_damaged!r}".encode())
        for path in tfrecord.expand_patterns(self.examples_path):
            file_digest = hashlib.sha256()
            with open(path, "rb") as file:
                while data := file.read(_PIECE_BYTES):
                    file_digest.update(data)
            digest.update(file_digest.digest())
        return digest.hexdigest()


@dataclasses.dataclass(frozen=True)
class TensorFlowDataset:
    """The MIDI files of a TensorFlow Dataset whose examples have a feature `midi`.

    >>> drums = TensorFlowDataset("groove/2bar-midionly", split="train")
    >>> print(drums)
    groove/2bar-midionly

    Attributes:
      name: Name of the data set and its configuration, as in `groove/2bar-midionly`.
      split: `train`, `validation` or `test`.
    """

    name: str
    split: str

    def __str__(self) -> str:
        return self.name

    def records(self, skipped: Counter[str] | None = None) -> Iterator[Record]:
        """Yields all records; raises `UserError` if the data set cannot be loaded."""
        for number, example in enumerate(self._examples(), start=1):
            if "midi" not in example:
                raise UserError(f"the TensorFlow Dataset {self.name!r} has no feature 'midi'")
            yield Record(bytes(example["midi"]), f"{self.name} ({self.split})", number, True)

    def _examples(self) -> Iterator[dict[str, Any]]:
        try:
            import tensorflow_datasets as tfds
        except ImportError as error:
            raise UserError(_NO_TFDS) from error
        try:
            dataset = tfds.load(self.name, split=self.split)
        except Exception as error:  # of as many types as there are ways to fetch and unpack files
            raise UserError(
                f"the TensorFlow Dataset {self.name!r} ({self.split}) cannot be loaded: "
                f"{type(error).__name__}: {error}"
            ) from error
        yield from tfds.as_numpy(dataset)

    def fingerprint(self) -> str:
        """Returns a digest of the MIDI files, in their order."""
        digest = hashlib.sha256()
        for record in self.records():
            digest.update(hashlib.sha256(record.data).digest())
        return digest.hexdigest()


def scores(records: Sequence[Record]) -> list[Score]:
    """Returns the scores of records.

    >>> from music_vae.music.notes_io import read_music_file
    >>> (tune,) = read_music_file("examples/two_bars/durangs_hornpipe.mid")
    >>> (score,) = scores([Record(tune.SerializeToString(), "tunes.tfrecord", 1)])
    >>> score.notes["pitch"][:4].tolist()
    [69, 73, 76, 73]

    Raises:
      UserError: As for `parse`.
    """
    parsed = read_serialised([b"" if record.is_midi else record.data for record in records])
    return [
        # A record without notes may be anything, and `parse` finds out.
        read(parse(record)) if score is None or not len(score.notes) else score
        for record, score in zip(records, parsed, strict=True)
    ]


def parse(record: Record) -> "NoteSequence":
    """Returns the NoteSequence of a record.

    >>> from pathlib import Path
    >>> midi = Path("examples/two_bars/durangs_hornpipe.mid").read_bytes()
    >>> sequence = parse(Record(midi, "two_bars", 1, is_midi=True))
    >>> [note.pitch for note in sequence.notes[:4]]
    [69, 73, 76, 73]

    Raises:
      UserError: If the record is not a NoteSequence or MIDI file.
    """
    from google.protobuf.message import DecodeError

    note_seq = lazy_imports.import_note_seq()
    try:
        if record.is_midi:
            return note_seq.midi_to_note_sequence(record.data)
        sequence = note_seq.NoteSequence.FromString(record.data)
    except DecodeError as error:
        if record.data.startswith(b"MThd"):
            raise UserError(_not_sequences(record, "a MIDI file")) from error
        raise UserError(f"{record.place} is not a NoteSequence; {_HOW_TO_MAKE}") from error
    except note_seq.MIDIConversionError as error:
        raise UserError(f"{record.place} is not a MIDI file: {error}") from error
    if is_other_message(sequence):
        raise UserError(_not_sequences(record, "some other message, such as a tf.Example"))
    return sequence


def is_other_message(sequence: "NoteSequence") -> bool:
    """Returns True if what was parsed as a NoteSequence was written as another kind of message.

    The kind of a message is not in its bytes. The features of a tf.Example and of a
    tf.SequenceExample are at the places of the id and the file name of a NoteSequence.

    >>> from note_seq import NoteSequence
    >>> is_other_message(NoteSequence.FromString(bytes.fromhex("0a080a060a01661201782001")))
    True
    >>> is_other_message(NoteSequence(id="without notes"))
    False
    """
    if sequence.notes:
        return False
    from google.protobuf.unknown_fields import UnknownFieldSet

    texts = (sequence.id, sequence.filename)
    return any(text.startswith(_FEATURES) for text in texts) or bool(len(UnknownFieldSet(sequence)))


def _not_sequences(record: Record, what: str) -> str:
    return f"these records are not NoteSequences: {record.place} is {what}; {_HOW_TO_MAKE}"


def read_note_sequences(
    examples_path: str,
    max_damaged: float = MAX_DAMAGED,
    skipped: Counter[str] | None = None,
) -> Iterator["NoteSequence"]:
    """Yields the NoteSequences of TFRecord files.

    >>> import tempfile
    >>> from music_vae.music.notes_io import read_music_file
    >>> (tune,) = read_music_file("examples/two_bars/durangs_hornpipe.mid")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/tunes.tfrecord"
    ...     _ = tfrecord.write_records(path, [tune.SerializeToString()])
    ...     [len(sequence.notes) for sequence in read_note_sequences(path)]
    [32]

    Args:
      examples_path: A file, a pattern, or a comma-separated list of them.
      max_damaged: Largest share of the records that may be damaged, and are then left out.
      skipped: Counter of the records that were left out.

    Raises:
      UserError: If there is no such file, it does not hold NoteSequences, or too many of its
        records are damaged.
    """
    return map(parse, TFRecords(examples_path, max_damaged).records(skipped))


def read_tfds(name: str, split: str) -> Iterator["NoteSequence"]:
    """Yields the NoteSequences of a TensorFlow Dataset whose examples have a feature `midi`.

    >>> from unittest import mock
    >>> midi = open("examples/two_bars/durangs_hornpipe.mid", "rb").read()
    >>> with mock.patch.object(TensorFlowDataset, "_examples", return_value=[{"midi": midi}]):
    ...     [len(sequence.notes) for sequence in read_tfds("groove/2bar-midionly", "train")]
    [32]

    Args:
      name: Name of the data set and its configuration, as in `groove/2bar-midionly`.
      split: `train`, `validation` or `test`.

    Raises:
      UserError: If tensorflow-datasets is missing, or there is no such data set.
    """
    return map(parse, TensorFlowDataset(name, split).records())
