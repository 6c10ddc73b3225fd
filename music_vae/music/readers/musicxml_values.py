"""Reads metres, keys, tempos, pitches and chord symbols from elements of MusicXML.

Each function returns `None` for what it cannot understand; nothing here raises.
"""

import math
import re
from xml.etree.ElementTree import Element

from music_vae.common.constants import PITCH_CLASSES, SEMITONES
from music_vae.music.readers.written_score import MODES

_MAX_NUMBER = 1e9  # far above anything in a score, and far below what overflows
_MAX_BEATS = 255
_MAX_BEAT_TYPE = 128
_MAX_FIFTHS = 14
_QUARTERS_OF_UNIT = {
    "breve": 8.0,
    "whole": 4.0,
    "half": 2.0,
    "quarter": 1.0,
    "eighth": 0.5,
    "16th": 0.25,
    "32nd": 0.125,
    "64th": 0.0625,
}
_NO_CHORD = "N.C."
_ALTERATIONS = {-2: "bb", -1: "b", 0: "", 1: "#", 2: "##"}
_ROOTS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
# The kinds of MusicXML 4.0 that lead sheets have a symbol for, then others that programs write.
_CHORD_KINDS = {
    "major": "",
    "minor": "m",
    "augmented": "aug",
    "diminished": "dim",
    "dominant": "7",
    "major-seventh": "maj7",
    "minor-seventh": "m7",
    "diminished-seventh": "dim7",
    "augmented-seventh": "aug7",
    "half-diminished": "m7b5",
    "major-minor": "m(maj7)",
    "major-sixth": "6",
    "minor-sixth": "m6",
    "dominant-ninth": "9",
    "major-ninth": "maj9",
    "minor-ninth": "m9",
    "dominant-11th": "11",
    "major-11th": "maj11",
    "minor-11th": "m11",
    "dominant-13th": "13",
    "major-13th": "maj13",
    "minor-13th": "m13",
    "suspended-second": "sus2",
    "suspended-fourth": "sus",
    "pedal": "ped",
    "power": "5",
    "none": _NO_CHORD,
    "": "",
    "dominant-seventh": "7",
    "augmented-ninth": "aug9",
    "minor-major": "m(maj7)",
    "min": "m",
    "aug": "aug",
    "dim": "dim",
    "7": "7",
    "maj7": "maj7",
    "min7": "m7",
    "dim7": "dim7",
    "m7b5": "m7b5",
    "minMaj7": "m(maj7)",
    "6": "6",
    "min6": "m6",
    "maj69": "6(add9)",
    "9": "9",
    "maj9": "maj9",
    "min9": "m9",
    "sus47": "sus7",
}


def number_in(text: str | None) -> float | None:
    """Returns a number, or `None` if the text is none or is out of all proportion.

    >>> number_in(" 0.5 "), number_in("much"), number_in("1e99")
    (0.5, None, None)
    """
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if abs(value) <= _MAX_NUMBER else None  # not a number is not, either


def integer_in(text: str | None) -> int | None:
    """Returns a number cut to a whole one, or `None` as `number_in` does.

    >>> integer_in("-1.5"), integer_in("")
    (-1, None)
    """
    value = number_in(text)
    return None if value is None else int(value)


def pitch_of(pitch: Element) -> int | None:
    """Returns the MIDI pitch of a `<pitch>`; a quarter tone is cut towards the natural note.

    >>> from xml.etree.ElementTree import fromstring
    >>> pitch_of(fromstring("<pitch><step>C</step><alter>-1</alter><octave>4</octave></pitch>"))
    59
    """
    semitones = PITCH_CLASSES.get((pitch.findtext("step") or "").strip().upper())
    octave = integer_in(pitch.findtext("octave"))
    alter = integer_in(pitch.findtext("alter") or "0")
    if semitones is None or octave is None or alter is None:
        return None
    return SEMITONES * (octave + 1) + semitones + alter


def metre_of(time: Element) -> tuple[int, int] | None:
    """Returns the numerator and denominator of a `<time>`; those of a compound metre in one.

    >>> from xml.etree.ElementTree import fromstring
    >>> metre_of(fromstring("<time><beats>3+2</beats><beat-type>4</beat-type></time>"))
    (5, 4)
    """
    groups: list[tuple[int, int]] = []
    for beats, beat_type in zip(time.findall("beats"), time.findall("beat-type"), strict=False):
        numbers = re.findall(r"[^+\s]+", beats.text or "")
        lower = integer_in(beat_type.text)
        if not all(re.fullmatch(r"\d{1,3}", number) for number in numbers) or lower is None:
            return None
        if not 1 <= lower <= _MAX_BEAT_TYPE or lower & (lower - 1):
            return None
        groups.append((sum(map(int, numbers)), lower))
    denominator = max((lower for _, lower in groups), default=1)
    numerator = sum(upper * denominator // lower for upper, lower in groups)
    return (numerator, denominator) if 1 <= numerator <= _MAX_BEATS else None


def metre_of_length(quarters: float, nominal: tuple[int, int] | None) -> tuple[int, int] | None:
    """Returns the metre of a measure that is not as long as its metre says, as a pick-up is.

    >>> metre_of_length(1.5, nominal=(4, 4)), metre_of_length(2.0, nominal=(4, 4))
    ((3, 8), (2, 4))
    """
    denominator = nominal[1] if nominal else 4
    while denominator <= _MAX_BEAT_TYPE:
        beats = quarters * denominator / 4
        if abs(beats - round(beats)) < 1e-3 and 1 <= round(beats) <= _MAX_BEATS:
            return round(beats), denominator
        denominator *= 2
    return None


def key_of(key: Element, semitones: int) -> tuple[int, int] | None:
    """Returns the tonic, transposed by `semitones`, and the mode as NoteSequence numbers them.

    >>> from xml.etree.ElementTree import fromstring
    >>> key_of(fromstring("<key><fifths>0</fifths><mode>minor</mode></key>"), semitones=0)
    (9, 1)
    """
    fifths = integer_in(key.findtext("fifths"))
    if fifths is None or abs(fifths) > _MAX_FIFTHS:
        return None
    name = (key.findtext("mode") or "").strip().lower()
    fifths_away, mode = MODES.get(name, MODES["major"])
    return (7 * (fifths - fifths_away) + semitones) % SEMITONES, mode


def metronome_qpm(metronome: Element) -> float | None:
    """Returns the quarter notes a minute of a metronome mark, which may be 'c. 96' or '96-100'.

    >>> from xml.etree.ElementTree import fromstring
    >>> mark = "<metronome><beat-unit>half</beat-unit><per-minute>c. 60</per-minute></metronome>"
    >>> metronome_qpm(fromstring(mark))
    120.0
    """
    quarters = _QUARTERS_OF_UNIT.get((metronome.findtext("beat-unit") or "").strip())
    rate = re.search(r"\d{1,6}(\.\d{1,6})?", metronome.findtext("per-minute") or "")
    dots = len(metronome.findall("beat-unit-dot"))
    if quarters is None or rate is None or not float(rate[0]) or dots > len(_QUARTERS_OF_UNIT):
        return None
    return float(rate[0]) * quarters * (2 - math.pow(0.5, dots))


def chord_symbol(harmony: Element, semitones: int) -> str | None:
    """Returns the symbol, as lead sheets have it, of a `<harmony>`, transposed by `semitones`.

    >>> from xml.etree.ElementTree import fromstring
    >>> root = "<root><root-step>B</root-step><root-alter>-1</root-alter></root>"
    >>> chord_symbol(fromstring(f"<harmony>{root}<kind>minor-seventh</kind></harmony>"), 2)
    'Cm7'
    """
    kind = _CHORD_KINDS.get((harmony.findtext("kind") or "").strip())
    if kind is None or kind == _NO_CHORD:
        return kind
    symbol = _root(harmony.find("root"), "root", semitones)
    if symbol is None:
        return None
    symbol += kind
    for degree in harmony.findall("degree"):
        name = _degree(degree)
        if name is None:
            return None
        symbol += f"({name})"
    if harmony.find("bass") is None:
        return symbol
    bass = _root(harmony.find("bass"), "bass", semitones)
    return None if bass is None else f"{symbol}/{bass}"


def _root(element: Element | None, name: str, semitones: int) -> str | None:
    if element is None:
        return None
    step = (element.findtext(f"{name}-step") or "").strip()
    alter = integer_in(element.findtext(f"{name}-alter") or "0")
    if step not in PITCH_CLASSES or alter not in _ALTERATIONS:
        return None
    if semitones:
        return _ROOTS[(PITCH_CLASSES[step] + alter + semitones) % SEMITONES]
    return step + _ALTERATIONS[alter]


def _degree(degree: Element) -> str | None:
    """Returns what a `<degree>` does to a chord: `add9`, `b5`, `no3`."""
    value = integer_in(degree.findtext("degree-value"))
    semitones = integer_in(degree.findtext("degree-alter") or "0")
    if value is None or semitones not in _ALTERATIONS:
        return None
    alter = _ALTERATIONS[semitones]
    kind = (degree.findtext("degree-type") or "").strip()
    if kind == "subtract":
        return f"no{value}"
    if kind == "add":
        return f"{alter or 'add'}{value}"
    return f"{alter}{value}" if kind == "alter" and alter else None
