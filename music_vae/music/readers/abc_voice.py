"""Reads one voice of an ABC tune: what sounds, and for how long.

Rests, tuplets, chords, ties, broken rhythm and voice overlays are understood. A grace note has no
length of its own and is left out, and so are ornaments; both are counted.
"""

import re
from collections import Counter
from dataclasses import dataclass, field

from music_vae.common.constants import MAX_MIDI_PITCH, MIDDLE_C, PITCH_CLASSES, SEMITONES
from music_vae.music.readers.abc_fields import ALTERATIONS, Key
from music_vae.music.readers.written_score import FREE_METRE, WrittenNote

_LENGTH = r"\d*/*\d*"
TOKEN = re.compile(
    rf"""
    (?P<note>(?P<accidental>\^\^?|__?|=)?(?P<letter>[A-Ga-g])(?P<octaves>[',]*)(?P<size>{_LENGTH}))
    | (?P<space>[\s`*$;]+|y{_LENGTH}|\\)
    | (?P<rest>[zx](?P<rest_size>{_LENGTH}))
    | (?P<bars_of_rest>[ZX](?P<bars>\d*))
    | (?P<field>\[[A-Za-z]:[^\]\[]*\])
    | (?P<ending>\[\s*\d[\d,.\-]*)
    | (?P<chord>\[(?P<notes>(?:[\^_=]*[A-Ga-gxz][',]*[\d/]*-?|[.~\sH-WYh-wy()]|"[^"]*"|![^!]*!)+)\]
        (?P<chord_size>{_LENGTH}))
    | (?P<bar>:*(?:\[?\|[|\]]*|\]):*(?:\s*\d[\d,.\-]*)?)
    | (?P<repeat>::+)
    | (?P<text>"[^"]*")
    | (?P<decoration>![^!|\s\[\]]*!|\+[a-z][^+|\s]*\+|[.~H-WYh-w])
    | (?P<grace>\{{[^{{}}]*\}})
    | (?P<tuplet>\((?P<p>\d+)(?::(?P<q>\d*)(?::(?P<r>\d*))?)?)
    | (?P<slur>[()])
    | (?P<broken>>+|<+)
    | (?P<tie>-)
    | (?P<overlay>&+)
    """,
    re.VERBOSE,
)
"""A sign in the music of a tune; `lastgroup` is its kind."""

_CHORD_NOTE = re.compile(
    rf"(?P<accidental>[\^_=]*)(?P<letter>[A-Ga-g])(?P<octaves>[',]*)(?P<size>{_LENGTH})(?P<tie>-?)"
    r'|"[^"]*"|![^!]*!'
)
_CHORD_REST = re.compile(rf"[zx]({_LENGTH})")
_SIZE = re.compile(r"(\d{0,3})(?:(/{1,10})(\d{0,3}))?$")
_SAME = 1e-6  # quarter notes; what is less apart is at one time
_MAX_BROKEN = 5
_MAX_TUPLET = 99
# How many units a tuplet lasts, by the number of its notes; any other as many as a beat has.
_TUPLET_UNITS = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}
_VELOCITIES = {
    "pppp": 30,
    "ppp": 30,
    "pp": 45,
    "p": 60,
    "mp": 75,
    "mf": 90,
    "f": 105,
    "ff": 120,
    "fff": 127,
    "ffff": 127,
}
_DEFAULT_VELOCITY = _VELOCITIES["mf"]
_NAMES_OF_ORNAMENTS = """
~ T M P trill turn turnx invertedturn invertedturnx roll mordent lowermordent uppermordent
pralltriller arpeggio slide
"""
_ORNAMENTS = frozenset(_NAMES_OF_ORNAMENTS.split())

Place = tuple[str, int]
"""A place on the staff: a letter and an octave, that of middle C being 0."""


@dataclass(slots=True)
class Voice:
    """A voice; times are in quarter notes.

    >>> from music_vae.music.readers.abc_fields import key_of
    >>> voice = Voice(0, "1", 0, key_of("D"), metre=(4, 4), unit=0.5, ignored=Counter())
    >>> voice.take("note", TOKEN.match("F2"))
    >>> [(note.pitch, note.quarters) for note in voice.notes]
    [(66, 1.0)]

    Attributes:
      part: Its number.
      name: Its name.
      semitones: How far above what is written it sounds.
      key: The key.
      metre: The metre, or `None`.
      unit: The unit of lengths.
      ignored: Counts what was left out, in plain words.
      program: MIDI program.
      is_drum: True if its notes are drums.
      time: Where the next note begins.
      notes: Its notes so far.
    """

    part: int
    name: str
    semitones: int
    key: Key
    metre: tuple[int, int] | None
    unit: float
    ignored: Counter[str]
    program: int = 0
    is_drum: bool = False
    time: float = 0.0
    notes: list[WrittenNote] = field(default_factory=list)
    _velocity: int = _DEFAULT_VELOCITY
    _bar_start: float = 0.0
    _reach: float = 0.0  # of the overlays of this bar
    _altered: dict[str, int] = field(default_factory=dict)  # by the accidentals of this bar
    _broken: int = 0
    _tuplet_factor: float = 1.0
    _tuplet_left: int = 0
    # The notes that were placed last, each with its place and how long it was then.
    _last: list[tuple[Place, WrittenNote, float]] = field(default_factory=list)
    _last_quarters: float = 0.0
    _ties: dict[Place, WrittenNote] = field(default_factory=dict)

    @property
    def end(self) -> float:
        return max(self.time, self._reach)

    def take(self, kind: str, token: re.Match[str]) -> None:
        """Reads a sign of one of the kinds of `TOKEN`."""
        if kind == "note":
            quarters = self._quarters(token["size"])
            self._place([(*self._pitch(token), quarters)], quarters)
        elif kind == "rest":
            self._place([], self._quarters(token["rest_size"]))
        elif kind == "bars_of_rest":
            numerator, denominator = self.metre if self.metre not in (None, FREE_METRE) else (4, 4)
            self._place([], 4 * numerator / denominator * self._size(token["bars"]))
        elif kind == "chord":
            self._take_chord(token["notes"], self._size(token["chord_size"]))
        elif kind == "decoration":
            self._take_decoration(token[0].strip("!+"))
        elif kind == "grace":
            self.ignored["a grace note"] += 1
        elif kind == "tuplet":
            self._begin_tuplet(
                *(int(token[name] or 0) if len(token[name] or "") < 4 else 0 for name in "pqr")
            )
        elif kind == "broken":
            count = min(len(token[0]), _MAX_BROKEN)
            self._broken = count if token[0][0] == ">" else -count
        elif kind == "tie":
            self._ties = {place: note for place, note, _ in self._last}
        elif kind == "overlay":
            self._reach, self.time = max(self._reach, self.time), self._bar_start
            self._last, self._ties = [], {}

    def end_bar(self) -> None:
        """Ends a bar, and with it what its accidentals raise or lower."""
        self.time = self._bar_start = self.end
        self._reach = 0.0
        self._altered = {}

    def ignore_sign(self, sign: str) -> None:
        """Counts a sign that is not ABC."""
        self.ignored[f"the sign {sign}" if sign.isprintable() else "a sign that is not ABC"] += 1

    def _take_chord(self, notes: str, size: float) -> None:
        """Reads the notes in brackets; the first says how long the chord is."""
        placed: list[tuple[Place, int | None, float]] = []
        tied = []
        for token in _CHORD_NOTE.finditer(notes):
            if token["letter"]:
                quarters = self._quarters(token["size"]) * size
                place, pitch = self._pitch(token)
                placed.append((place, pitch, quarters))
                if token["tie"]:
                    tied.append(place)
        rest = _CHORD_REST.match(notes)
        if placed:
            self._place(placed, placed[0][2])
            self._ties |= {place: note for place, note, _ in self._last if place in tied}
        elif rest:
            self._place([], self._quarters(rest[1]) * size)

    def _pitch(self, token: re.Match[str]) -> tuple[Place, int | None]:
        """Returns the place on the staff and the pitch of a note, `None` for one MIDI has not."""
        letter, octaves, accidental = token["letter"], token["octaves"], token["accidental"]
        name = letter.upper()
        octave = (name != letter) + octaves.count("'") - octaves.count(",")
        place = name, octave
        if accidental:
            self._altered[name] = ALTERATIONS.get(accidental, 0)
        elif place in self._ties and abs(self._ties[place].end - self.time) < _SAME:
            return place, self._ties[place].pitch
        raised = self._altered.get(name, self.key.accidentals[name])
        pitch = MIDDLE_C + PITCH_CLASSES[name] + SEMITONES * octave + raised + self.semitones
        if not 0 <= pitch <= MAX_MIDI_PITCH:
            self.ignored[f"a pitch outside 0..{MAX_MIDI_PITCH}"] += 1
            return place, None
        return place, pitch

    def _quarters(self, text: str) -> float:
        return self._size(text) * self.unit

    def _size(self, text: str) -> float:
        """Returns how many units long what is written with `text` after it is."""
        if not text:
            return 1.0
        size = _SIZE.match(text)
        upper = int(size[1] or 1) if size else 0
        lower = int(size[3] or 1) if size else 0
        if not size or not upper or not lower:
            self.ignored["a length that is no fraction"] += 1
            return 1.0
        halvings = len(size[2] or "") - bool(size[3])
        return upper / (lower * 2.0**halvings)

    def _place(self, sounds: list[tuple[Place, int | None, float]], quarters: float) -> None:
        """Puts a note, a chord or a rest at the present time, and goes on by `quarters`."""
        factor = self._tuplet_factor if self._tuplet_left else 1.0
        self._tuplet_left = max(self._tuplet_left - 1, 0)
        if self._broken:
            factor *= self._break_rhythm()
        last: list[tuple[Place, WrittenNote, float]] = []
        for place, pitch, length in sounds:
            if pitch is None:
                continue
            length *= factor
            tied = self._ties.get(place)
            if tied and tied.pitch == pitch and abs(tied.end - self.time) < _SAME:
                tied.quarters += length
                last.append((place, tied, length))
                continue
            note = WrittenNote(
                self.time,
                length,
                pitch,
                self._velocity,
                part=self.part,
                program=self.program,
                is_drum=self.is_drum,
            )
            self.notes.append(note)
            last.append((place, note, length))
        self._last, self._last_quarters, self._ties = last, quarters * factor, {}
        self.time += quarters * factor

    def _break_rhythm(self) -> float:
        """Lengthens or shortens what came last; returns by how much the next is so in turn."""
        short = 0.5 ** abs(self._broken)
        before, after = (2 - short, short) if self._broken > 0 else (short, 2 - short)
        self._broken = 0
        for _, note, quarters in self._last:
            note.quarters += quarters * (before - 1)
        self.time += self._last_quarters * (before - 1)
        return after

    def _begin_tuplet(self, notes: int, units: int, count: int) -> None:
        """Begins a tuplet: so many notes in the time of `units` of them, for the next `count`."""
        compound = self.metre is not None and self.metre[0] in (6, 9, 12)
        units = units or _TUPLET_UNITS.get(notes, 3 if compound else 2)
        if not 1 <= notes <= _MAX_TUPLET or not 1 <= units <= _MAX_TUPLET:
            self.ignored["a tuplet of no notes"] += 1
            return
        self._tuplet_factor, self._tuplet_left = units / notes, count or notes

    def _take_decoration(self, name: str) -> None:
        if name in _VELOCITIES:
            self._velocity = _VELOCITIES[name]
        elif name in _ORNAMENTS:
            self.ignored["an ornament"] += 1
