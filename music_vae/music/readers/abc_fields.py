"""Reads the information fields of ABC: metre, unit of lengths, tempo, key and voice.

ABC 2.1 (abcnotation.com/wiki/abc:standard:v2.1) defines them, and older forms that files have.
"""

import re
from dataclasses import dataclass

from music_vae.common.constants import PITCH_CLASSES, SEMITONES
from music_vae.music.readers.written_score import FREE_METRE, MODES

_MAX_BEATS = 255
_MAX_DENOMINATOR = 128
_MAX_SHIFT = 48  # semitones; a voice is written no further from where it sounds

_FRACTION = re.compile(r"\s*(\d{1,4})\s*(?:/\s*(\d{1,4}))?")
_METRE_TERM = re.compile(r"\(?\s*(\d{1,3}(?:\s*\+\s*\d{1,3})*)\s*\)?\s*/\s*(\d{1,3})")
_QUOTED = re.compile(r'"[^"]*"')
_TEMPO = re.compile(r"((?:\d{1,4}/\d{1,4}\s+)*\d{1,4}/\d{1,4})\s*=\D{0,20}(\d{1,6}(?:\.\d{1,4})?)")
_OLD_TEMPO = re.compile(r"(?:C(\d?)\s*)?=?\s*(\d{1,6})$")
_KEY = re.compile(
    r"([A-G])\s*([#b]?)\s*((?:maj|ion|min|aeo|mix|dor|phr|lyd|loc|m)[^ =^_]*)?", re.IGNORECASE
)
_KEY_ACCIDENTAL = re.compile(r"(\^\^?|__?|=)\s*([A-Ga-g])")
_PROPERTY = re.compile(
    r"\b(clef|octave|transpose|middle|m|t|name|nm|subname|sname|snm|stem|staves|staffscale|"
    r'stafflines|style|shift|sound|score|cue|dyn|lyrics)=("[^"]*"|\S*)',
    re.IGNORECASE,
)
_CLEF = re.compile(r"\b(?:treble|bass|alto|tenor|perc|none)\d?([+-]8)?", re.IGNORECASE)

_ORDER_OF_SHARPS = "FCGDAEB"
_FIFTHS_OF_LETTER = {letter: index - 1 for index, letter in enumerate(_ORDER_OF_SHARPS)}
ALTERATIONS = {"": 0, "=": 0, "^": 1, "^^": 2, "_": -1, "__": -2}
_MODES = {name[:3]: mode for name, mode in MODES.items()} | {"": MODES["major"]}

Accidentals = dict[str, int]
"""By letter, the semitones by which a note without an accidental is raised."""


@dataclass(frozen=True)
class Key:
    """A key: its accidentals, and tonic and mode as NoteSequence numbers them.

    >>> key_of("D").accidentals["F"]
    1
    """

    accidentals: Accidentals
    signature: tuple[int, int] | None


@dataclass(frozen=True)
class VoiceProperties:
    """A voice besides its notes, as a V: or K: field describes it.

    >>> properties_of('T1 clef=treble-8 name="Tenor"')
    VoiceProperties(name='Tenor', semitones=-12)
    """

    name: str = ""
    semitones: int = 0


PLAIN_VOICE = VoiceProperties()
NO_KEY = Key(dict.fromkeys(_ORDER_OF_SHARPS, 0), None)


def metre_of(text: str) -> tuple[int, int] | None:
    """Returns numerator and denominator, `FREE_METRE`, or `None` for what is no metre.

    >>> metre_of("C|"), metre_of("(2+3)/8"), metre_of("none"), metre_of("three")
    ((2, 2), (5, 8), (0, 0), None)
    """
    text = text.strip()
    named = {"C": (4, 4), "C|": (2, 2), "NONE": FREE_METRE, "": FREE_METRE}.get(text.upper())
    if named is not None:
        return named
    terms = [(m[1], int(m[2])) for m in _METRE_TERM.finditer(text)]
    rest = _METRE_TERM.sub("", text)
    if not terms or rest.strip(" +"):
        return None
    denominator = max(lower for _, lower in terms)
    if any(not lower or denominator % lower for _, lower in terms):
        return None
    upper = sum(sum(map(int, beats.split("+"))) * denominator // lower for beats, lower in terms)
    sound = 1 <= upper <= _MAX_BEATS and denominator <= _MAX_DENOMINATOR
    return (upper, denominator) if sound else None


def unit_of(text: str) -> float | None:
    """Returns the unit of lengths in quarter notes, or `None` for what is no length.

    >>> unit_of("1/8"), unit_of("1"), unit_of("none")
    (0.5, 4.0, None)
    """
    fraction = _FRACTION.match(text)
    if not fraction or not int(fraction[1]) or not int(fraction[2] or 1):
        return None
    return 4 * int(fraction[1]) / int(fraction[2] or 1)


def default_unit(metre: tuple[int, int] | None) -> float:
    """Returns the unit of lengths of a tune that gives none, in quarter notes.

    >>> default_unit((2, 4)), default_unit((3, 4)), default_unit(None)
    (0.25, 0.5, 0.5)
    """
    short = metre not in (None, FREE_METRE) and metre[0] / metre[1] < 0.75
    return 0.25 if short else 0.5


def tempo_of(text: str, unit: float) -> float | None:
    """Returns quarter notes a minute, or `None` for what is no tempo; `unit` is in quarter notes.

    >>> tempo_of('"Allegro" 1/4 = 120', 0.5), tempo_of("120", 0.5), tempo_of('"Slowly"', 0.5)
    (120.0, 60.0, None)
    """
    text = _QUOTED.sub(" ", text).strip()
    if match := _TEMPO.match(text):
        beats = [tuple(map(int, beat.split("/"))) for beat in match[1].split()]
        if not all(lower for _, lower in beats):
            return None
        qpm = 4 * sum(upper / lower for upper, lower in beats) * float(match[2])
    elif match := _OLD_TEMPO.match(text):
        qpm = unit * int(match[1] or 1) * int(match[2])
    else:
        return None
    return qpm or None


def key_of(text: str) -> Key | None:
    """Returns the key of a K: field, `NO_KEY` if it names none, or `None` for one that is unknown.

    >>> key_of("Ador").signature, key_of("D =c").accidentals["C"], key_of("H")
    ((9, 4), 0, None)
    """
    text = _PROPERTY.sub(" ", _QUOTED.sub(" ", text))
    text = _CLEF.sub(" ", text).strip()
    if not text or text.lower() == "none":
        return NO_KEY
    if text[:2] in ("HP", "Hp"):  # the bagpipe: F and C are sharp, written or not
        return Key(accidentals_of(2), None)
    match = _KEY.match(text)
    if match is None:
        return None
    letter, sign, named = match[1].upper(), match[2], (match[3] or "")[:3].lower()
    fifths_away, number = _MODES.get(named, MODES["minor"])  # m is minor, too
    alteration = {"#": 1, "b": -1, "B": -1}.get(sign, 0)
    fifths = _FIFTHS_OF_LETTER[letter] + 7 * alteration + fifths_away
    rest = text[match.end() :]
    accidentals = accidentals_of(0 if re.match(r"\s*exp", rest) else fifths)
    for accidental, raised in _KEY_ACCIDENTAL.findall(rest):
        accidentals[raised.upper()] = ALTERATIONS[accidental]
    return Key(accidentals, ((PITCH_CLASSES[letter] + alteration) % SEMITONES, number))


def accidentals_of(fifths: int) -> Accidentals:
    """Returns the accidentals of so many sharps, or of flats if it is negative.

    >>> {letter: raised for letter, raised in accidentals_of(-2).items() if raised}
    {'E': -1, 'B': -1}
    """
    return {letter: (fifths + 6 - index) // 7 for index, letter in enumerate(_ORDER_OF_SHARPS)}


def properties_of(text: str) -> VoiceProperties:
    """Returns what a V: or K: field says of the sound of a voice.

    >>> properties_of("bass clef=bass octave=-1 transpose=2").semitones
    -10
    """
    properties = {name.lower(): value.strip('"') for name, value in _PROPERTY.findall(text)}
    clef = _CLEF.search(properties.get("clef", "")) or _CLEF.search(_PROPERTY.sub(" ", text))
    semitones = SEMITONES * int((clef[1] if clef and clef[1] else "0").replace("8", "1"))
    for name, size in (("octave", SEMITONES), ("transpose", 1)):
        value = re.match(r"[+-]?\d{1,2}$", properties.get(name, ""))
        semitones += size * int(value[0]) if value else 0
    name = properties.get("name") or properties.get("nm") or ""
    return VoiceProperties(name, semitones if abs(semitones) <= _MAX_SHIFT else 0)
