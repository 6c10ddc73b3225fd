"""Where NoteSequences come from: TFRecord files, and TensorFlow Datasets of MIDI files.

A source gives serialised records, the same at every reading, each with its place for messages. What
they are parsed by is `parse`: in whatever process uses them.
"""

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from music_vae.common import lazy_imports
from music_vae.common.errors import UserError
from music_vae.dataset import tfrecord
from music_vae.music.converters.score import Score, read
from music_vae.music.converters.serialised import read_serialised

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

NO_TFDS = "`tfds_name` needs tensorflow-datasets: pip install 'music_vae[tfds]'"
_PIECE_BYTES = 1 << 22


class Record(NamedTuple):
    """A serialised NoteSequence, or a MIDI file.

    Attributes:
      data: Its bytes.
      source: The file or data set it is from.
      number: Its number there, from 1.
      is_midi: Whether it is a MIDI file.
    """

    data: bytes
    source: str
    number: int
    is_midi: bool = False

    @property
    def place(self) -> str:
        """'record 3 of tunes.tfrecord'."""
        return f"record {self.number} of {self.source}"


class Source(Protocol):
    """What gives records, in the same order each time."""

    def records(self) -> Iterator[Record]:
        """The records."""

    def fingerprint(self) -> str:
        """A digest of all that the records hold."""


@dataclasses.dataclass(frozen=True)
class TFRecords:
    """The NoteSequences of TFRecord files.

    Attributes:
      examples_path: A file, a pattern, or a comma-separated list of them.
    """

    examples_path: str

    def __str__(self) -> str:
        return self.examples_path

    def records(self) -> Iterator[Record]:
        """All records; raises `UserError` if there is no such file, or it is damaged."""
        for path in tfrecord.expand_patterns(self.examples_path):
            for number, data in enumerate(tfrecord.read_records(path), start=1):
                yield Record(data, str(path), number)

    def fingerprint(self) -> str:
        """A digest of the contents of the files, in their order."""
        digest = hashlib.sha256()
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

    Attributes:
      name: As in `groove/2bar-midionly`.
      split: `train`, `validation` or `test`.
    """

    name: str
    split: str

    def __str__(self) -> str:
        return self.name

    def records(self) -> Iterator[Record]:
        """All records; raises `UserError` if the data set cannot be loaded."""
        for number, example in enumerate(self._examples(), start=1):
            if "midi" not in example:
                raise UserError(f"the TensorFlow Dataset {self.name!r} has no feature 'midi'")
            yield Record(bytes(example["midi"]), f"{self.name} ({self.split})", number, True)

    def _examples(self) -> Iterator[dict[str, Any]]:
        try:
            import tensorflow_datasets as tfds
        except ImportError as error:
            raise UserError(NO_TFDS) from error
        try:
            dataset = tfds.load(self.name, split=self.split)
        except Exception as error:  # of as many types as there are ways to fetch and unpack files
            raise UserError(
                f"the TensorFlow Dataset {self.name!r} ({self.split}) cannot be loaded: "
                f"{type(error).__name__}: {error}"
            ) from error
        yield from tfds.as_numpy(dataset)

    def fingerprint(self) -> str:
        """A digest of the MIDI files, in their order."""
        digest = hashlib.sha256()
        for record in self.records():
            digest.update(hashlib.sha256(record.data).digest())
        return digest.hexdigest()


def scores(records: Sequence[Record]) -> list[Score]:
    """The scores of records; raises what `parse` raises."""
    found = read_serialised([b"" if record.is_midi else record.data for record in records])
    return [
        read(parse(record)) if score is None or record.is_midi else score
        for record, score in zip(records, found, strict=True)
    ]


def parse(record: Record) -> "NoteSequence":
    """The NoteSequence of a record.

    Raises:
      UserError: If it is none.
    """
    from google.protobuf.message import DecodeError

    note_seq = lazy_imports.import_note_seq()
    try:
        if record.is_midi:
            return note_seq.midi_to_note_sequence(record.data)
        return note_seq.NoteSequence.FromString(record.data)
    except DecodeError as error:
        raise UserError(
            f"{record.place} is not a NoteSequence; make a file of them with "
            "convert_dir_to_note_sequences"
        ) from error
    except note_seq.MIDIConversionError as error:
        raise UserError(f"{record.place} is not a MIDI file: {error}") from error


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
