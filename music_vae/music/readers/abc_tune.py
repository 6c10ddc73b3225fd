"""Reads an ABC tune as it is written, without playing its repeats: each voice is an instrument.

What cannot be understood is left out and counted.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from music_vae.music.readers import abc_fields
from music_vae.music.readers.abc_fields import NO_KEY, PLAIN_VOICE, Key, VoiceProperties
from music_vae.music.readers.abc_sections import Sections
from music_vae.music.readers.abc_structure import FIELD
from music_vae.music.readers.abc_voice import TOKEN, Voice
from music_vae.music.readers.written_score import FREE_METRE, WrittenScore
from music_vae.music.unreadable import UnreadableMusicError

_DIRECTIVE = re.compile(r"(?:%%|I:\s*)MIDI[\s=]+(program|channel)\s+(?:\d{1,2}\s+)?(\d{1,3})\s*$")
_BLOCK = re.compile(r"%%(begin|end)[a-z]+")
_NUMBER = re.compile(r"-?\d{1,18}$")
_ROOTS = tuple("ABCDEFGabcdefg")  # of chord symbols
_DRUMS_CHANNEL = "10"
_MAX_ENDING = 20
_MAX_FIELD = 1_000  # characters
MAX_VOICES = 200


@dataclass
class Tune:
    """A tune of an ABC file.

    >>> Tune(WrittenScore(), number=7).titles
    []

    Attributes:
      score: Its notes.
      number: The reference number (X:), or `None` if it has none.
      titles: The titles (T:) in its header.
      composers: The composers (C:).
    """

    score: WrittenScore
    number: int | None = None
    titles: list[str] = field(default_factory=list)
    composers: list[str] = field(default_factory=list)


def read_tune(text: str) -> Tune:
    r"""Returns the tune in `text`, which may have the fields of a file's header before its own.

    >>> tune = read_tune("X:7\nL:1/4\nK:D\nF [DA] z (3def|")
    >>> [(note.pitch, round(note.start, 2)) for note in tune.score.notes]
    [(66, 0.0), (62, 1.0), (69, 1.0), (74, 3.0), (76, 3.67), (78, 4.33)]

    Raises:
      UnreadableMusicError: If the key is unknown, so that no pitch is known, or if there are more
        than `MAX_VOICES` voices.
    """
    lines = [line.strip() for line in text.splitlines()]
    reader = _TuneReader(has_key_field=any(line.startswith("K:") for line in lines))
    in_block = False
    for line in lines:
        block = _BLOCK.match(line)
        if block:
            in_block = block[1] == "begin"
        elif not in_block:
            reader.take(line)
    return reader.finished()


@dataclass
class _Defaults:
    """Values from the header of a tune, which hold for all voices."""

    key: Key = NO_KEY
    metre: tuple[int, int] | None = None
    unit: float | None = None
    tempo: str = ""
    properties: VoiceProperties = PLAIN_VOICE
    program: int = 0
    is_drum: bool = False


class _TuneReader:
    """Takes the lines of a tune in their order."""

    def __init__(self, *, has_key_field: bool) -> None:
        self._in_header = has_key_field  # which ends with the key
        self._tune = Tune(WrittenScore())
        self._score = self._tune.score
        self._defaults = _Defaults()
        self._defined: dict[str, VoiceProperties] = {}
        self._voices: dict[str, Voice] = {}
        self._voice: Voice | None = None
        self._sections = Sections()
        self._tempos: dict[float, float] = {}
        self._metres: dict[float, tuple[int, int]] = {}
        self._keys: dict[float, tuple[int, int] | None] = {}
        self._takers: dict[str, Callable[[str], None]] = {
            "X": self._take_number,
            "T": self._take_title,
            "C": self._tune.composers.append,
            "K": self._take_key,
            "L": self._take_unit,
            "M": self._take_metre,
            "P": self._take_parts,
            "Q": self._take_tempo,
            "V": self._take_voice,
        }

    def take(self, line: str) -> None:
        """Reads one more line."""
        directive = _DIRECTIVE.match(line)
        if directive:
            self._take_directive(directive[1], directive[2])
            return
        line = line.partition("%")[0].rstrip()
        found = FIELD.match(line)
        if found:
            self._take_field(found[1], found[2])
        elif line and self._in_header and "|" not in line:
            self._score.ignored["a line of a header that is no field"] += 1
        elif line and not line.startswith("+:"):
            self._take_music(line)

    def finished(self) -> Tune:
        """Returns the tune."""
        score, voices = self._score, list(self._voices.values())
        for voice in voices:
            score.notes += voice.notes
            score.end = max(score.end, voice.end)
        if len(voices) > 1:
            score.parts = [voice.name for voice in voices]
        if voices:
            self._sections.finish(max((n.end for n in voices[0].notes), default=0.0))
            if self._sections.mismatched:
                score.ignored["a repeat that does not end as it begins"] += 1
        score.sections, score.section_groups = self._sections.starts, self._sections.groups
        score.tempos = sorted(self._tempos.items())
        score.metres = [(t, *m) for t, m in sorted(self._metres.items()) if m != FREE_METRE]
        score.keys = [(t, *key) for t, key in sorted(self._keys.items()) if key is not None]
        return self._tune

    # -- Fields --

    def _take_field(self, name: str, content: str) -> None:
        taker = self._takers.get(name)
        if taker:
            taker(content[:_MAX_FIELD].strip())

    def _take_number(self, content: str) -> None:
        if _NUMBER.match(content):
            self._tune.number = int(content)
        else:
            self._score.ignored["a reference number (X:) that is no number"] += 1

    def _take_title(self, content: str) -> None:
        if self._voice is None:
            self._tune.titles.append(content)

    def _take_parts(self, _: str) -> None:
        if self._voice is None:
            self._score.ignored["the order of the parts (P:)"] += 1

    def _take_key(self, content: str) -> None:
        key = abc_fields.key_of(content)
        if key is None:
            if self._voice is None:
                raise UnreadableMusicError("ABC in an unknown key (K:)", content)
            self._score.ignored["an unknown key (K:)"] += 1
            return
        self._in_header = False
        if self._voice is None:
            self._defaults.key = key
            self._defaults.properties = abc_fields.properties_of(content)
        elif key is not NO_KEY or content.lower() == "none":
            self._voice.key = key
            self._mark(self._keys, key.signature)

    def _take_unit(self, content: str) -> None:
        unit = abc_fields.unit_of(content)
        if unit is None:
            self._score.ignored["a unit of lengths (L:) that is no fraction"] += 1
        elif self._voice is None:
            self._defaults.unit = unit
        else:
            self._voice.unit = unit

    def _take_metre(self, content: str) -> None:
        metre = abc_fields.metre_of(content)
        if metre is None:
            self._score.ignored["a metre (M:) that is no fraction"] += 1
        elif self._voice is None:
            self._defaults.metre = metre
        else:
            self._voice.metre = metre
            self._mark(self._metres, metre)

    def _take_tempo(self, content: str) -> None:
        if self._voice is None:
            self._defaults.tempo = content
            return
        qpm = abc_fields.tempo_of(content, self._voice.unit)
        if qpm is None:
            self._score.ignored["a tempo (Q:) without a number"] += 1
        else:
            self._mark(self._tempos, qpm)

    def _mark(self, marks: dict[float, Any], value: object) -> None:
        """Notes what begins here; where voices disagree, the first is right."""
        voice = self._current()
        if voice.part == 0:
            marks[voice.time] = value
        else:
            marks.setdefault(voice.time, value)

    def _take_directive(self, name: str, value: str) -> None:
        """Reads a program or a channel, as the program abc2midi takes them."""
        target = self._voice or self._defaults
        if name == "program" and int(value) <= 127:
            target.program = int(value)
        elif name == "channel":
            target.is_drum = value == _DRUMS_CHANNEL

    # -- Voices --

    def _take_voice(self, content: str) -> None:
        name = content.split()[0] if content else "1"
        properties = abc_fields.properties_of(content[len(name) :])
        if properties != PLAIN_VOICE or name not in self._defined:
            self._defined[name] = properties
        if not self._in_header:
            self._voice = self._voice_named(name)

    def _voice_named(self, name: str) -> Voice:
        if name in self._voices:
            return self._voices[name]
        if len(self._voices) == MAX_VOICES:
            raise UnreadableMusicError(f"ABC with more than {MAX_VOICES} voices of a tune")
        defaults = self._defaults
        properties = self._defined.get(name, PLAIN_VOICE)
        voice = Voice(
            part=len(self._voices),
            name=properties.name or name,
            semitones=properties.semitones or defaults.properties.semitones,
            key=defaults.key,
            metre=defaults.metre,
            unit=defaults.unit or abc_fields.default_unit(defaults.metre),
            program=defaults.program,
            is_drum=defaults.is_drum,
            ignored=self._score.ignored,
        )
        if not self._voices:
            self._voice = voice
            self._mark(self._keys, defaults.key.signature)
            if defaults.metre is not None:
                self._mark(self._metres, defaults.metre)
        self._voices[name] = voice
        if voice.part == 0 and defaults.tempo:
            self._take_tempo(defaults.tempo)
        return voice

    def _current(self) -> Voice:
        """Returns the voice that is written now; without a V: field the first."""
        if self._voice is None:
            self._voice = self._voice_named(next(iter(self._defined), "1"))
        return self._voice

    # -- Music --

    def _take_music(self, line: str) -> None:
        position = 0
        voice = self._current()
        while position < len(line):
            token = TOKEN.match(line, position)
            if token is None:
                voice.ignore_sign(line[position])
                position += 1
                continue
            position = token.end()
            kind = token.lastgroup or ""
            if kind == "field":
                self._take_field(token[0][1], token[0][3:-1])
                voice = self._current()
            elif kind in ("bar", "repeat", "ending"):
                self._take_bar(voice, token[0])
            elif kind == "text":
                text = token[0][1:-1]
                self._score.texts.append((voice.time, text, text[:1] in _ROOTS))
            else:
                voice.take(kind, token)

    def _take_bar(self, voice: Voice, sign: str) -> None:
        lines, numbers = _split_bar(sign)
        if lines:
            voice.end_bar()
        if voice.part > 0:
            return
        before, after = len(lines) - len(lines.lstrip(":")), len(lines) - len(lines.rstrip(":"))
        if lines and not lines.strip(":"):  # '::' ends one repeat and begins another
            before = after = len(lines) // 2
        if lines:
            self._sections.bar(voice.time, ends=before, lines=lines.strip(":"), begins=after)
        if numbers:
            self._sections.ending(voice.time, numbers)


def _split_bar(sign: str) -> tuple[str, set[int]]:
    """Returns the lines and colons of a bar line, and the numbers of the endings after it."""
    lines = re.split(r"[\d\s]", sign, maxsplit=1)[0]
    numbers = sign[len(lines) :]
    found: set[int] = set()
    for first, last in re.findall(r"(\d+)(?:-(\d+))?", numbers):
        if len(first) < 3 and len(last) < 3:
            found |= set(range(int(first), min(int(last or first), _MAX_ENDING) + 1))
    return ("" if lines == "[" else lines), found
