"""Reads scores straight from serialised NoteSequences, without an object for every note.

Nearly all of a NoteSequence is notes and control changes. They are read from its bytes
(https://protobuf.dev/programming-guides/encoding), and protobuf reads the rest. That works for
bytes as protobuf itself writes them, with every number below 128. Protobuf has to read all other
records as a whole.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError

from music_vae.common import lazy_imports
from music_vae.music.converters.score import CONTROL_CHANGE, NOTE, Score, read
from music_vae.music.converters.segments import split, totals

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor
    from note_seq.protobuf.music_pb2 import NoteSequence

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types
_MORE = 0x80  # in a byte of a varint: another follows
_MAX_SHIFT = 63  # of a varint's last bits
_PADDING = bytes(16)  # after each record, so that one that ends too early can be read past its end


class _Layout(NamedTuple):
    """The layout of a kind of message that has numbers alone.

    Attributes:
      tag: Byte before such a message in a NoteSequence.
      dtype: Dtype of the row that stands for a message.
      fields: Fields of the message: the first byte, in ascending order; the name in the row, or
        None if the row leaves it out; and True if it is a double.
    """

    tag: int
    dtype: np.dtype
    fields: list[tuple[int, str | None, bool]]


class _UnusualError(Exception):
    """Raised for bytes that protobuf would not write, or that are no NoteSequence at all."""


def read_serialised(records: Sequence[bytes]) -> list[Score | None]:
    """Reads the scores of serialised NoteSequences; None for one that protobuf has to read.

    >>> from note_seq import NoteSequence
    >>> tune = NoteSequence(total_time=0.5)
    >>> middle_c = tune.notes.add(pitch=60, velocity=80, start_time=0.0, end_time=0.5)
    >>> score, nothing = read_serialised([tune.SerializeToString(), b"no NoteSequence"])
    >>> score.notes["pitch"], nothing
    (array([60], dtype=int32), None)
    """
    data = _PADDING.join([b"", *records, b""])
    begins = np.cumsum([len(_PADDING), *(len(record) + len(_PADDING) for record in records)])
    joined = np.frombuffer(data, np.uint8)
    layouts = _layouts()
    runs = [_Runs(joined, layout.tag) for layout in layouts]
    by_tag = {layout.tag: own for layout, own in zip(layouts, runs, strict=True)}
    parse = lazy_imports.import_note_seq().NoteSequence.FromString
    headers = [
        _header(data, (begin, begin + len(record)), by_tag, parse)
        for begin, record in zip(begins.tolist(), records, strict=False)
    ]
    columns = []
    for layout, own in zip(layouts, runs, strict=True):
        places = own.messages()
        sizes = np.diff(np.searchsorted(places, begins))
        columns.append(_rows(joined, places, sizes, layout))
    return [
        None
        if header is None or notes is None or controls is None
        else header._replace(notes=notes, controls=controls)
        for header, notes, controls in zip(headers, *columns, strict=True)
    ]


class _Runs:
    """Finds runs: messages of one kind that follow one another directly.

    A message begins with its tag and its length, and where it ends the next may begin. Every place
    with the tag could be a beginning, and is linked to the place at which its message would end.
    All runs are followed along these links at once, with steps that double.
    """

    def __init__(self, data: np.ndarray, tag: int) -> None:
        self._places = np.flatnonzero(data == tag)
        self._number = len(self._places)
        ends = self._places + 2 + data[self._places + 1]
        after = np.searchsorted(self._places, ends)
        self._next = np.append(after, self._number)  # the last stands for "no next message"
        is_place = np.append(self._places, -1)[after] == ends
        self._next[:-1][~is_place] = self._number
        last = np.where(is_place, after, np.arange(self._number))
        while not np.array_equal(last, further := last[last]):
            last = further
        self._ends = ends[last]
        self._starts: list[int] = []

    def end(self, place: int) -> int:
        """Returns the place at which the run ends that begins at a place."""
        return int(self._ends[np.searchsorted(self._places, place)])

    def add(self, place: int) -> None:
        """Adds the run that begins at a place."""
        self._starts.append(place)

    def messages(self) -> np.ndarray:
        """Returns the places of the messages of all added runs, after tag and length, sorted."""
        reached, jump = np.searchsorted(self._places, np.array(self._starts, int)), self._next
        while len(reached):
            further = jump[reached]
            further = further[further != self._number]
            if not len(further):
                break
            reached, jump = np.concatenate([reached, further]), jump[jump]
        return np.sort(self._places[reached]) + 2


def _header(
    data: bytes,
    place: tuple[int, int],
    runs: dict[int, _Runs],
    parse: Callable[[bytes], "NoteSequence"],
) -> Score | None:
    """Returns the score of the record at a place (begin, end), without the messages of `runs`."""
    at, end = place
    rest, rest_begin = [], at
    try:
        while at < end:
            run = runs.get(data[at])
            if run is None:
                at = _end_of_field(data, at)
                continue
            run_end = run.end(at)
            if run_end > end:
                return None
            run.add(at)
            rest.append(data[rest_begin:at])
            at = rest_begin = run_end
        if at != end:
            return None
        rest.append(data[rest_begin:end])
        return read(parse(b"".join(rest)))
    except (_UnusualError, DecodeError):
        return None


def _end_of_field(data: bytes, at: int) -> int:
    """Returns the place at which the field ends that begins at `at`."""
    tag, length = data[at], data[at + 1]
    if tag & 7 == _BYTES and tag < _MORE and length < _MORE:  # most of them
        return at + 2 + length
    tag, at = _varint(data, at)
    if tag & 7 == _VARINT:
        return _varint(data, at)[1]
    if tag & 7 == _BYTES:
        length, at = _varint(data, at)
        return at + length
    if tag & 7 in (_FIXED64, _FIXED32):
        return at + (8 if tag & 7 == _FIXED64 else 4)
    raise _UnusualError


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Returns the number that begins at `at`, and the place at which it ends."""
    value = shift = 0
    while data[at] & _MORE:
        value |= (data[at] ^ _MORE) << shift
        at, shift = at + 1, shift + 7
        if shift > _MAX_SHIFT:
            raise _UnusualError
    return value | data[at] << shift, at + 1


def _rows(
    data: np.ndarray, begins: np.ndarray, sizes: np.ndarray, layout: _Layout
) -> list[np.ndarray | None]:
    """Returns the rows of the messages at `begins`, for each record; None for an unusual record.

    Args:
      data: The records as bytes.
      begins: Places of the messages.
      sizes: Number of messages in each record.
      layout: Layout of the messages.
    """
    lengths = data[begins - 1]
    at, ends = begins.copy(), begins + lengths
    rows, is_usual = np.zeros(len(begins), layout.dtype), lengths < _MORE
    for tag, name, is_double in layout.fields:
        has = np.flatnonzero((data[at] == tag) & (at < ends))
        values_at = at[has] + 1
        if is_double:
            values = data[values_at[:, None] + np.arange(8)].view("<f8")[:, 0]
            at[has] += 9
        else:
            values = data[values_at]
            is_usual[has] &= values < _MORE
            at[has] += 2
        if name is not None:
            rows[name][has] = values
    all_usual = totals(is_usual & (at == ends), sizes) == sizes
    return [
        own if usual else None
        for own, usual in zip(split(rows, sizes), all_usual.tolist(), strict=True)
    ]


@cache
def _layouts() -> tuple[_Layout, _Layout]:
    """Returns the layouts of notes and of control changes."""
    note_sequence = lazy_imports.import_note_seq().NoteSequence
    names = {"start_time": "start_s", "end_time": "end_s", "control_number": "number"}
    names |= {"time": "time_s", "control_value": "value"}
    fields = note_sequence.DESCRIPTOR.fields_by_name
    return (
        _layout(fields["notes"], NOTE, names),
        _layout(fields["control_changes"], CONTROL_CHANGE, names),
    )


def _layout(field: Any, dtype: np.dtype, names: dict[str, str]) -> _Layout:
    message: Descriptor = field.message_type
    fields = []
    for own in sorted(message.fields, key=lambda own: own.number):
        name = names.get(own.name, own.name)
        is_double = own.type == own.TYPE_DOUBLE
        if is_double or own.type in (own.TYPE_INT32, own.TYPE_BOOL, own.TYPE_ENUM):
            tag = own.number << 3 | (_FIXED64 if is_double else _VARINT)
            fields.append((tag, name if name in (dtype.names or ()) else None, is_double))
    return _Layout(field.number << 3 | _BYTES, dtype, fields)
