"""Reads **kern, the notation of Humdrum scores (https://www.humdrum.org/rep/kern).

A file is a table: a line holds what happens at one time, a column (a *spine*) what one staff does.
Spines split in two and join again, so that a staff can hold several voices.
"""

import functools
import re
from collections.abc import Sequence
from fractions import Fraction
from typing import TypeAlias

from notation import Measure, Note, Score, Voice

from music_vae.common.constants import MAX_LENGTH_QUARTERS, MIDDLE_C, PITCH_CLASSES, SEMITONES
from music_vae.music.notes_io import UnreadableMusicError

SUFFIX = ".krn"
MAX_BYTES = 16 * 2**20  # some ten times the longest score that is read
_MAX_SPINES = 1000  # every split doubles a spine

_KERN = "**kern"
_METRE = re.compile(r"\*M(\d{1,3}/\d{1,3})$")
_LENGTH = re.compile(r"(\d{1,4})(?:%(\d{1,4}))?")
_LETTERS = re.compile(r"([a-g])\1{0,4}|([A-G])\2{0,4}")
_MAX_SHARPS = 2
# Time is counted in these parts of a quarter note, as whole numbers where they are enough: of what
# is not divided into 17 or 19 or so. Fractions would take three times as long.
_TICKS = 2**6 * 3**3 * 5 * 7 * 11 * 13
_WHOLE_QUARTERS = 4
_MAX_DOTS = 4

# The program of General MIDI, from 0, of an instrument (*I) and of a class of instruments (*IC),
# which counts where the instrument is not known: a piano without either.
_CHOIR = 52
_INSTRUMENTS = {
    **dict.fromkeys(
        (
            "vox",
            "soprn",
            "canto",
            "mezzo",
            "alto",
            "calto",
            "tenor",
            "barit",
            "bass",
            "coro",
            "male",
        ),
        _CHOIR,
    ),
    "piano": 0,
    "forte": 0,
    "clavi": 6,
    "cemba": 6,
    "organ": 19,
    "violn": 40,
    "viola": 41,
    "viole": 41,
    "cello": 42,
    "cbass": 43,
    "arpa": 46,
    "timpa": 47,
    "tromp": 56,
    "clrno": 56,
    "tromt": 56,
    "tromb": 57,
    "tuba": 58,
    "cor": 60,
    "oboe": 68,
    "cangl": 69,
    "fagot": 70,
    "clars": 71,
    "clarb": 71,
    "clara": 71,
    "picco": 72,
    "flt": 73,
}
_CLASSES = {"vox": _CHOIR}


Ticks: TypeAlias = int | Fraction


class _Staff:
    """A spine of **kern from its beginning to its end."""

    def __init__(self) -> None:
        self.notes: list[tuple[Ticks, Ticks, int]] = []  # start, end and pitch
        self.program: int | None = None
        self.class_program = 0
        self._tied: dict[int, int] = {}  # by pitch, the place of the note in `notes`

    def take_instrument(self, code: str) -> None:
        """Reads an interpretation that may name an instrument."""
        if code.startswith("*IC"):
            self.class_program = _CLASSES.get(code[3:], 0)
        else:
            self.program = _INSTRUMENTS.get(code[2:], self.program)

    def add(self, start: Ticks, end: Ticks, pitch: int, token: str) -> None:
        """Adds a note, or lengthens the one that it is tied to."""
        place = None
        if "]" in token or "_" in token:
            place = self._tied.pop(pitch, None)
        # Of a tie with something else between its notes the second is struck again.
        if place is not None and self.notes[place][1] == start:
            self.notes[place] = (self.notes[place][0], end, pitch)
        else:
            place = len(self.notes)
            self.notes.append((start, end, pitch))
        if "[" in token or "_" in token:
            self._tied[pitch] = place


class _Spine:
    """A column: its staff, none if it is not **kern, and until when it has written."""

    def __init__(self, staff: _Staff | None, until: Ticks):
        self.staff = staff
        self.until = until


def read_kern(data: bytes) -> Score:
    """The score in the bytes of a file, its staves as voices.

    Grace notes are left out, and repeats are not played out.

    Raises:
      UnreadableMusicError: If the file is no table of **kern.
    """
    reader = _Reader()
    for line in data.decode("utf-8", "replace").splitlines():
        if not reader.take(line):
            break
    return reader.finished()


class _Reader:
    """Takes the lines of a file in their order."""

    def __init__(self) -> None:
        self._records: dict[str, str] = {}
        self._spines: list[_Spine] = []
        self._staves: list[_Staff] = []
        self._starts: list[tuple[Ticks, str]] = []  # of measures, with their metres
        self._metre = ""
        self._time: Ticks = 0
        self._end: Ticks = 0
        self._in_measure = False  # is there data after the last bar line?

    def take(self, line: str) -> bool:
        """Reads one more line; returns whether music may follow."""
        if line.startswith("!!!"):
            key, _, value = line[3:].partition(":")
            self._records.setdefault(key.strip(), value.strip())
        elif line.strip() and not line.startswith("!"):
            tokens = line.split("\t")
            if line.startswith("**"):
                self._begin(tokens)
            elif len(tokens) != len(self._spines):
                raise UnreadableMusicError("**kern with a line of too many or too few columns")
            elif line.startswith("*"):
                self._interpret(tokens)
                return bool(self._spines)
            elif line.startswith("="):
                self._bar_line()
            else:
                self._data(tokens)
        return True

    def finished(self) -> Score:
        """The score, its highest staff first."""
        if not self._staves:
            raise UnreadableMusicError("not **kern")
        end = max(self._end, self._time)
        if end > MAX_LENGTH_QUARTERS * _TICKS:
            raise UnreadableMusicError(f"longer than {MAX_LENGTH_QUARTERS:,.0f} quarter notes")
        quarters = functools.lru_cache(maxsize=None)(lambda ticks: Fraction(ticks) / _TICKS)
        score = Score(title=self._title())
        ends = [*(start for start, _ in self._starts), end][1:]
        for (start, metre), end in zip(self._starts, ends, strict=True):
            score.measures.append(Measure(quarters(start), quarters(end), metre))
        for staff in reversed(self._staves):
            if staff.notes:
                program = staff.class_program if staff.program is None else staff.program
                notes = [Note(quarters(a), quarters(b), pitch) for a, b, pitch in staff.notes]
                score.voices.append(Voice(program, notes))
        return score

    def _title(self) -> str:
        """The composer and the title, as far as they are known."""
        return ": ".join(filter(None, (self._records.get("COM"), self._records.get("OTL"))))

    # -- Lines of a table --

    def _begin(self, tokens: Sequence[str]) -> None:
        if self._staves:
            raise UnreadableMusicError("**kern that begins anew within its file")
        for token in tokens:
            staff = _Staff() if token == _KERN else None
            if staff:
                self._staves.append(staff)
            self._spines.append(_Spine(staff, self._time))

    def _interpret(self, tokens: Sequence[str]) -> None:
        for spine, token in zip(self._spines, tokens, strict=True):
            if spine.staff is None:
                continue
            if token.startswith("*I"):
                spine.staff.take_instrument(token)
            elif token.startswith("*M") and _METRE.match(token):
                self._take_metre(token[2:])
        if any(token in ("*^", "*v", "*-", "*x", "*+") for token in tokens):
            self._spines = _rearranged(self._spines, tokens)

    def _take_metre(self, metre: str) -> None:
        if self._starts and metre != self._metre:
            # A measure in whose middle the metre changes has none.
            known = "" if self._in_measure else metre
            self._starts[-1] = (self._starts[-1][0], known)
        self._metre = metre

    def _bar_line(self) -> None:
        written = [spine.until for spine in self._spines if spine.staff]
        self._time = max(self._time, min(written, default=self._time))
        if self._starts and self._starts[-1][0] == self._time:
            self._starts.pop()
        self._starts.append((self._time, self._metre))
        self._in_measure = False

    def _data(self, tokens: Sequence[str]) -> None:
        timed = [
            (spine, token)
            for spine, token in zip(self._spines, tokens, strict=True)
            if token != "." and spine.staff and "q" not in token and _length(token) is not None
        ]
        if not timed:
            return
        # A column that was written too short waits for the others; its measure is not whole.
        time = self._time
        for spine, _ in timed:
            if spine.until > time:
                time = spine.until
        if not self._starts:
            self._starts.append((time, self._metre))
        self._time, self._in_measure = time, True
        for spine, token in timed:
            spine.until = time
            _write(spine, token)
            if spine.until > self._end:
                self._end = spine.until


def _write(spine: _Spine, token: str) -> None:
    """Writes a note, a chord or a rest, and moves on by its length."""
    start = spine.until
    assert spine.staff is not None
    for number, part in enumerate(token.split(" ")):
        length = _length(part)
        if number == 0 and length is not None:
            spine.until = start + length
        pitch = _pitch(part)
        end = spine.until if length is None else start + length
        if pitch is not None and end > start:
            spine.staff.add(start, end, pitch, part)


@functools.lru_cache(maxsize=1 << 14)
def _length(token: str) -> Ticks | None:
    """The length in ticks: 4 is a quarter note, 4. a dotted one, 3%2 two thirds of a whole note."""
    token = token.split(" ", 1)[0]
    found = _LENGTH.search(token)
    if not found:
        return None
    dots = min(token.count("."), _MAX_DOTS)
    if int(found[1]):
        whole_notes = Fraction(int(found[2] or 1), int(found[1]))
    else:
        whole_notes = Fraction(2 ** len(found[1]))  # 0 is a breve, 00 a longa
    ticks = whole_notes * (2 - Fraction(1, 2**dots)) * _WHOLE_QUARTERS * _TICKS
    return int(ticks) if ticks.denominator == 1 else ticks


@functools.lru_cache(maxsize=1 << 14)
def _pitch(token: str) -> int | None:
    """The MIDI pitch of a note: c is the middle C, cc the one above, C and CC those below."""
    found = _LETTERS.search(token)
    if not found or "r" in token:
        return None
    letters = found[0]
    octave = len(letters) - 1 if found[1] else -len(letters)
    # Marks of editors may stand between the letters and the sign.
    sharps = token.count("#") - token.count("-")
    sharps = max(-_MAX_SHARPS, min(sharps, _MAX_SHARPS))
    return MIDDLE_C + SEMITONES * octave + PITCH_CLASSES[letters[0].upper()] + sharps


def _rearranged(spines: Sequence[_Spine], tokens: Sequence[str]) -> list[_Spine]:
    """The spines after a line that splits (*^), joins (*v), exchanges (*x), adds or ends some."""
    after: list[_Spine] = []
    joining: _Spine | None = None
    exchanged: int | None = None
    for spine, token in zip(spines, tokens, strict=True):
        joins = token == "*v"
        if joins and joining is not None and joining.staff is spine.staff:
            joining.until = max(joining.until, spine.until)
            continue
        joining = spine if joins else None
        if token == "*-":
            continue
        after.append(spine)
        if token == "*^":
            after.append(_Spine(spine.staff, spine.until))
        elif token == "*+":
            after.append(_Spine(None, spine.until))
        elif token == "*x" and exchanged is None:
            exchanged = len(after) - 1
        elif token == "*x" and exchanged is not None:
            after[exchanged], after[-1] = after[-1], after[exchanged]
            exchanged = None
    if len(after) > _MAX_SPINES:
        raise UnreadableMusicError(f"**kern of more than {_MAX_SPINES} columns")
    return after
