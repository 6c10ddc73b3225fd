"""Reads the notes of a MusicXML score as they are written, without playing its repeats.

The part is the instrument. Measures of one number begin together in all parts, so that a measure
that is not filled in one part does not shift the others.
"""

from collections import Counter
from xml.etree.ElementTree import Element

from music_vae.common.constants import DEFAULT_QPM
from music_vae.music.readers.musicxml_instruments import Instruments
from music_vae.music.readers.musicxml_part import Grid, PartReader
from music_vae.music.readers.musicxml_structure import elements
from music_vae.music.readers.musicxml_values import metre_of_length
from music_vae.music.readers.written_score import FREE_METRE, WrittenScore

_SAME_METRE = 1e-3  # quarter notes; durations are often rounded
_C_MAJOR = (0, 0)


def read_score(data: bytes) -> WrittenScore:
    """Returns the score in the bytes of an uncompressed MusicXML file.

    >>> note = "<note><pitch><step>A</step><octave>4</octave></pitch><duration>1</duration></note>"
    >>> score = f"<part id='P1'><measure>{note}</measure></part>"
    >>> score = f"<score-partwise>{score}</score-partwise>"
    >>> [(note.pitch, note.quarters) for note in read_score(score.encode()).notes]
    [(69, 1.0)]

    Raises:
      UnreadableMusicError: If the data is not MusicXML in part-wise order, or its time has no unit.
    """
    reader = _ScoreReader()
    for element in elements(data):
        reader.take(element)
    return reader.finished()


class _ScoreReader:
    """Takes the elements of a score in their order."""

    def __init__(self) -> None:
        self._score = WrittenScore()
        self._grid = Grid()
        self._described: dict[str, Element] = {}
        self._parts: list[PartReader] = []

    def take(self, element: Element) -> None:
        """Reads one more element."""
        if element.tag == "score-part":
            self._described[element.get("id", "")] = element
        elif element.tag == "part":
            if self._parts:
                self._parts[-1].end_measure()
            described = self._described.get(element.get("id", ""), Element("score-part"))
            ignored = self._score.ignored
            instruments = Instruments(described.findall("midi-instrument"), ignored)
            self._parts.append(PartReader(len(self._parts), instruments, self._grid, ignored))
            self._score.parts.append(described.findtext("part-name") or "")
        elif self._parts:
            self._parts[-1].take(element)

    def finished(self) -> WrittenScore:
        """Returns the score, its measures one after the other."""
        score = self._score
        if self._parts:
            self._parts[-1].end_measure()
        starts = self._lay_out()
        tempos: dict[float, float] = {}
        keys: dict[float, tuple[int, int]] = {}
        chords: dict[tuple[float, str], None] = {}
        for part in self._parts:
            score.notes += part.notes(starts)
            # Where parts disagree, the first is right.
            for (measure, position), qpm in part.tempos.items():
                tempos.setdefault(starts[measure] + position, qpm)
            for (measure, position), key in part.keys.items():
                keys.setdefault(starts[measure] + position, key)
            for measure, position, symbol in part.chords:
                chords[max(starts[measure] + position, 0.0), symbol] = None
        score.tempos = sorted(tempos.items()) or [(0.0, DEFAULT_QPM)]
        score.keys = [(start, *key) for start, key in sorted(keys.items())] or [(0.0, *_C_MAJOR)]
        score.texts = [(start, symbol, True) for start, symbol in sorted(chords)]
        return score

    def _lay_out(self) -> list[float]:
        """Returns where each measure begins; a pick-up and a measure cut in two are metres, too."""
        starts, end = [], 0.0
        nominal: tuple[int, int] | None = None
        written: tuple[int, int] | None = None
        for number, lengths in enumerate(self._grid.lengths):
            starts.append(end)
            nominal = self._grid.metres.get(number, nominal)
            usual = 4 * nominal[0] / nominal[1] if nominal and nominal != FREE_METRE else 0.0
            length = _common_length(lengths, usual)
            metre = nominal
            if nominal != FREE_METRE and abs(length - usual) > _SAME_METRE:
                metre = metre_of_length(length, nominal) or nominal
            nominal = nominal or metre
            if metre is not None and metre not in (FREE_METRE, written):
                self._score.metres.append((end, *metre))
                written = metre
            end += length
        self._score.end = end
        return starts


def _common_length(lengths: list[float], usual: float) -> float:
    """Returns the length of a measure that parts fill so far, given that of its metre.

    Where they disagree, some have rests too many or too few.
    """
    if not lengths or any(abs(length - usual) < _SAME_METRE for length in lengths):
        return usual
    counts = Counter(round(length, 3) for length in lengths)
    most = max(counts.values())
    common = max(length for length, count in counts.items() if count == most)
    return max(length for length in lengths if round(length, 3) == common)
