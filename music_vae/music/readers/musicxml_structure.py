"""Reads the elements of a MusicXML score one after the other, and never holds more than one.

A few bytes of XML can stand for gigabytes, so entities are refused, only what music is read from is
kept of an element, and its size is limited.
"""

from collections.abc import Iterator
from xml.etree.ElementTree import Element
from xml.parsers import expat

from music_vae.music.unreadable import UnreadableMusicError

# A note with its lyrics and marks left out has about ten.
MAX_ELEMENT_PARTS = 1_000
MAX_DEPTH = 100
# An orchestral score has some 50 parts, and a long one some thousand measures.
MAX_PARTS = 1_000
MAX_MEASURES = 100_000

_ROOT = "score-partwise"
_CHUNK_BYTES = 1 << 16
_MAX_TEXT = 1_000
_PARENTS = {"part-list": _ROOT, "part": _ROOT, "measure": "part"}
# The elements that music is read from, by what they are in; and those in them.
_MEASURE = "note backup forward attributes direction sound harmony"
_PARTS_OF = {"part-list": {"score-part"}, "measure": set(_MEASURE.split())}
_WANTED = """
part-name midi-instrument midi-channel midi-program midi-unpitched
chord duration pitch step alter octave rest unpitched display-step display-octave grace voice
instrument tie staff notehead notations ornaments
divisions key fifths mode time beats beat-type senza-misura transpose chromatic octave-change
direction-type sound offset metronome beat-unit beat-unit-dot per-minute
root root-step root-alter kind bass bass-step bass-alter degree degree-value degree-alter
degree-type
"""
_KEPT = frozenset(_WANTED.split())


def elements(data: bytes) -> Iterator[Element]:
    r"""Yields the elements of an uncompressed score that music is read from, in their order.

    These are `score-part`, then for each part `part`, `measure` (both without what is in them) and
    what is in the measure: `note`, `backup`, `forward`, `attributes`, `direction`, `sound` and
    `harmony`.

    >>> score = b"<score-partwise><part id='P1'><measure><note/></measure></part></score-partwise>"
    >>> [element.tag for element in elements(score)]
    ['part', 'measure', 'note']
    >>> list(elements(b"<html></html>"))
    Traceback (most recent call last):
    music_vae.music.unreadable.UnreadableMusicError: not MusicXML: its root is <html>, not ...

    Raises:
      UnreadableMusicError: If the data is no sound XML, or no score of parts with measures.
    """
    collector = _Collector()
    for start in range(0, len(data), _CHUNK_BYTES):
        _parse(collector.parser, data[start : start + _CHUNK_BYTES])
        yield from collector.take()
    _parse(collector.parser, b"", last=True)
    yield from collector.take()


def root_files(container: bytes) -> list[tuple[str, str | None]]:
    """Returns the names and media types of the root files that a compressed score lists.

    >>> root_files(b"<container><rootfile full-path='song.xml'/></container>")
    [('song.xml', None)]

    Raises:
      UnreadableMusicError: If the container is no sound XML.
    """
    found: list[tuple[str, str | None]] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        # Some programs put the container's elements into a namespace.
        if name.rpartition(":")[2] == "rootfile":
            found.append((attributes.get("full-path", ""), attributes.get("media-type")))

    parser = _new_parser()
    parser.StartElementHandler = start
    _parse(parser, container, last=True)
    return found


class _Collector:
    """Builds the elements while the parser runs; `parser` is fed from outside."""

    def __init__(self) -> None:
        self.parser = _new_parser()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self._done: list[Element] = []
        self._containers: list[str] = []  # the root, a part and a measure, as far as inside
        self._open: list[Element] = []  # an element with what it is inside of, outermost first
        self._skipped_depth = 0
        self._size = self._parts = self._measures = 0

    def take(self) -> list[Element]:
        """Returns the elements that are complete, once."""
        done, self._done = self._done, []
        return done

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._skipped_depth:
            self._skipped_depth += 1
            if self._skipped_depth > MAX_DEPTH:
                raise UnreadableMusicError(f"XML nested more than {MAX_DEPTH} deep")
        elif self._open:
            if name not in _KEPT:
                self._skipped_depth = 1
                return
            self._size += 1
            if self._size > MAX_ELEMENT_PARTS or len(self._open) > MAX_DEPTH:
                reason = f"MusicXML with an element of more than {MAX_ELEMENT_PARTS:,} parts"
                raise UnreadableMusicError(reason, f"in <{self._open[0].tag}>")
            element = Element(name, attributes)
            self._open[-1].append(element)
            self._open.append(element)
        else:
            self._start_outer(name, attributes)

    def _start_outer(self, name: str, attributes: dict[str, str]) -> None:
        """Begins an element that is in none of those that are kept."""
        parent = self._containers[-1] if self._containers else None
        if parent is None:
            _check_root(name)
            self._containers.append(name)
        elif name in _PARTS_OF.get(parent, ()):
            self._open.append(Element(name, attributes))
        elif _PARENTS.get(name) != parent:
            self._skipped_depth = 1
        else:
            self._containers.append(name)
            if name != "part-list":
                self._count(name)
                self._done.append(Element(name, attributes))

    def _count(self, name: str) -> None:
        """Counts parts, and measures of a part."""
        if name == "part":
            self._parts, self._measures = self._parts + 1, 0
        else:
            self._measures += 1
        if self._parts > MAX_PARTS:
            raise UnreadableMusicError(f"MusicXML with more than {MAX_PARTS:,} parts")
        if self._measures > MAX_MEASURES:
            raise UnreadableMusicError(f"MusicXML with more than {MAX_MEASURES:,} measures")

    def _end(self, _: str) -> None:
        if self._skipped_depth:
            self._skipped_depth -= 1
        elif self._open:
            element = self._open.pop()
            if not self._open:
                self._done.append(element)
                self._size = 0
        else:
            self._containers.pop()

    def _text(self, text: str) -> None:
        if self._open and not self._skipped_depth:
            element = self._open[-1]
            if len(before := element.text or "") < _MAX_TEXT:
                element.text = before + text


def _check_root(name: str) -> None:
    if name != _ROOT:
        reason = "MusicXML in time-wise order" if name == "score-timewise" else "not MusicXML"
        raise UnreadableMusicError(reason, f"its root is <{name}>, not <{_ROOT}>")


def _new_parser() -> expat.XMLParserType:
    """Returns a parser that stops at entities: MusicXML has no use for any."""

    def refuse_entity(*_: object) -> None:
        raise UnreadableMusicError("XML with entity declarations")

    parser = expat.ParserCreate()
    parser.EntityDeclHandler = refuse_entity
    return parser


def _parse(parser: expat.XMLParserType, data: bytes, *, last: bool = False) -> None:
    try:
        parser.Parse(data, last)
    except (expat.ExpatError, ValueError, LookupError) as error:
        if isinstance(error, UnreadableMusicError):
            raise
        raise UnreadableMusicError("not well-formed XML", str(error)) from error
