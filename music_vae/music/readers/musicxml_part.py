"""Reads one part of a MusicXML score: its notes, and the tempos, metres, keys and chords in it.

A position is in quarter notes from the beginning of the measure. What cannot be understood, such as
an unknown kind of chord, is left out and counted; a grace note has no length of its own and is left
out, too.
"""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from music_vae.common.constants import (
    MAX_MIDI_VELOCITY,
)
from music_vae.music.readers.musicxml_instruments import Instruments
from music_vae.music.readers.musicxml_values import (
    chord_symbol,
    key_of,
    metre_of,
    metronome_qpm,
    number_in,
)
from music_vae.music.readers.written_score import FREE_METRE, WrittenNote
from music_vae.music.unreadable import UnreadableMusicError

BAD_TIME = "a note at an impossible time"
NO_DURATION = "a note whose duration is no number"
BAD_DIVISIONS = "MusicXML whose divisions of a quarter note are no positive number"

_DEFAULT_VELOCITY = 64
# MusicXML gives dynamics as a percentage of a forte, whose velocity is 90.
_VELOCITY_OF_PERCENT = 0.9
_SHORTEST_QUARTERS = 0.25
_MIN_DIVISIONS = 1e-3
_SAME = 1e-3  # quarter notes; what is less apart is at one time


@dataclass
class Grid:
    """The measures of all parts.

    >>> Grid(lengths=[[4.0, 4.0]], metres={0: (4, 4)}).metres[0]
    (4, 4)

    Attributes:
      lengths: How far each is filled, in quarter notes, for each part that fills it at all.
      metres: The metres that begin with a measure; `FREE_METRE` where music has none from there on.
    """

    lengths: list[list[float]] = field(default_factory=list)
    metres: dict[int, tuple[int, int]] = field(default_factory=dict)


class PartReader:
    """Takes the elements of one part, in their order.

    >>> from xml.etree.ElementTree import fromstring
    >>> part = PartReader(0, Instruments([], Counter()), Grid(), Counter())
    >>> part.take(fromstring("<measure/>"))
    >>> pitch = "<pitch><step>C</step><octave>4</octave></pitch>"
    >>> part.take(fromstring(f"<note>{pitch}<duration>2</duration></note>"))
    >>> [(note.pitch, note.quarters) for note in part.notes(starts=[0.0])]
    [(60, 2.0)]

    Attributes:
      tempos: Quarter notes a minute, by measure and position.
      keys: Tonic and mode, by measure and position.
      chords: Measures, positions and symbols of chords.
    """

    def __init__(
        self,
        number: int,
        instruments: Instruments,
        grid: Grid,
        ignored: Counter[str],
    ) -> None:
        self.tempos: dict[tuple[int, float], float] = {}
        self.keys: dict[tuple[int, float], tuple[int, int]] = {}
        self.chords: list[tuple[int, float, str]] = []
        self._number, self._grid, self._ignored = number, grid, ignored
        self._instruments = instruments
        self._notes: list[tuple[int, WrittenNote, Collection[str]]] = []
        self._measure = -1
        self._position = self._reach = 0.0
        self._previous: tuple[float, float] | None = None  # start and length, for chords
        self._divisions = 1.0
        self._velocity = _DEFAULT_VELOCITY
        self._voices: dict[str, int] = {}
        self._takers = {
            "measure": self._begin_measure,
            "note": self._take_note,
            "backup": self._move_back,
            "forward": self._move_forward,
            "attributes": self._take_attributes,
            "direction": self._take_direction,
            "sound": self._take_sound,
            "harmony": self._take_harmony,
        }

    def take(self, element: Element) -> None:
        """Reads one more element of the part."""
        self._takers[element.tag](element)

    def end_measure(self) -> None:
        """Notes how far the measure is filled."""
        if self._reach:
            self._grid.lengths[self._measure].append(self._reach)

    def notes(self, starts: list[float]) -> list[WrittenNote]:
        """Returns the notes, given where each measure begins; those that are tied are one."""
        notes: list[WrittenNote] = []
        tied: dict[tuple[int, int], WrittenNote] = {}  # by voice and pitch
        for measure, note, ties in self._notes:
            note.start += starts[measure]
            held = tied.pop((note.voice, note.pitch), None) if ties else None
            if "stop" in ties and held and abs(held.end - note.start) < _SAME:
                held.quarters = note.end - held.start
            else:
                held = note
                notes.append(note)
            if "start" in ties:
                tied[note.voice, note.pitch] = held
        return notes

    def _begin_measure(self, _: Element) -> None:
        self.end_measure()
        self._measure += 1
        self._position, self._reach, self._previous = 0.0, 0.0, None
        if self._measure == len(self._grid.lengths):
            self._grid.lengths.append([])

    def _quarters(self, text: str | None) -> float | None:
        """Returns a number of divisions as quarter notes."""
        number = number_in(text)
        return None if number is None else number / self._divisions

    def _move_back(self, element: Element) -> None:
        # Rounded durations may lead before the measure.
        quarters = self._length(element)
        self._position = max(self._position - quarters, 0.0)

    def _move_forward(self, element: Element) -> None:
        self._move_to(self._position + self._length(element))

    def _move_to(self, position: float) -> None:
        self._position = position
        self._reach = max(self._reach, position)

    def _length(self, element: Element) -> float:
        """Returns how far to move, or 0 for what is no length."""
        quarters = self._quarters(element.findtext("duration"))
        if quarters is None or quarters < 0:
            self._ignored[f"a {element.tag} whose duration is no positive number"] += 1
            return 0.0
        return quarters

    def _take_note(self, element: Element) -> None:
        children = {child.tag: child for child in element}
        if "grace" in children:
            self._ignored["a grace note"] += 1
            return
        quarters = self._quarters(element.findtext("duration"))
        if quarters is None or quarters < 0:
            self._ignored[NO_DURATION if quarters is None else BAD_TIME] += 1
            return
        if "chord" in children and self._previous:
            # Some programs give the notes of a chord other durations than the first.
            start, quarters = self._previous
        else:
            start = self._position
            self._previous = start, quarters
            self._move_to(start + quarters)
        if "rest" in children:
            return
        self._add_note(element, children, start, quarters)

    def _add_note(
        self, element: Element, children: Mapping[str, Element], start: float, quarters: float
    ) -> None:
        sound = self._instruments.sound(children)
        if sound is None:
            return
        if "notations" in children and children["notations"].find("ornaments") is not None:
            self._ignored["an ornament"] += 1
        note = WrittenNote(
            start,
            quarters or min(1 / self._divisions, _SHORTEST_QUARTERS),
            sound.pitch,
            self._note_velocity(element),
            self._number,
            self._voice(children),
            sound.program,
            sound.is_drum,
        )
        ties = [tie.get("type", "") for tie in element.iterfind("tie")] if "tie" in children else ()
        self._notes.append((self._measure, note, ties))

    def _note_velocity(self, element: Element) -> int:
        percent = number_in(element.get("dynamics"))
        return self._velocity if percent is None else _velocity(percent)

    def _voice(self, children: Mapping[str, Element]) -> int:
        text = (children["voice"].text or "").strip() if "voice" in children else "1"
        if text.isascii() and text.isdecimal() and len(text) < 6:
            return int(text)
        return self._voices.setdefault(text, len(self._voices) + 1)

    def _take_attributes(self, element: Element) -> None:
        for child in element:
            if child.tag == "divisions":
                divisions = number_in(child.text)
                if divisions is None or divisions < _MIN_DIVISIONS:
                    raise UnreadableMusicError(BAD_DIVISIONS, child.text or "")
                self._divisions = divisions
            elif child.tag == "transpose":
                self._instruments.transpose(child)
        self._take_keys_and_metre(element)

    def _take_keys_and_metre(self, element: Element) -> None:
        for key in element.findall("key"):
            read = key_of(key, self._instruments.semitones)
            if read is None:
                self._ignored["a key signature that is no major or minor key"] += 1
            else:
                self.keys[self._measure, self._position] = read
        for time in element.findall("time"):
            metre = FREE_METRE if time.find("senza-misura") is not None else metre_of(time)
            if metre is None:
                self._ignored["a metre that is no fraction"] += 1
                continue
            # One at the end of a measure announces that of the next.
            self._grid.metres.setdefault(self._measure + (self._position > 0), metre)

    def _take_direction(self, element: Element) -> None:
        position = self._position
        offset = element.find("offset")
        if offset is not None and offset.get("sound") == "yes":
            position += self._quarters(offset.text) or 0.0
        sound = element.find("sound")
        if sound is not None:
            self._take_sound(sound, position)
            if sound.get("tempo") is not None:
                return
        for metronome in element.iter("metronome"):
            qpm = metronome_qpm(metronome)
            if qpm is None:
                self._ignored["a metronome mark that is no tempo"] += 1
            else:
                self._set_tempo(position, qpm)

    def _take_sound(self, sound: Element, position: float | None = None) -> None:
        position = self._position if position is None else position
        position += self._quarters(sound.findtext("offset")) or 0.0
        if sound.get("tempo") is not None:
            qpm = number_in(sound.get("tempo"))
            if qpm is None or qpm <= 0:
                self._ignored["a tempo that is no positive number"] += 1
            else:
                self._set_tempo(position, qpm)
        percent = number_in(sound.get("dynamics"))
        if percent is not None:
            self._velocity = _velocity(percent)
        for midi in sound.findall("midi-instrument"):
            self._instruments.change(midi)

    def _set_tempo(self, position: float, qpm: float) -> None:
        self.tempos[self._measure, max(position, 0.0)] = qpm

    def _take_harmony(self, element: Element) -> None:
        symbol = chord_symbol(element, self._instruments.semitones)
        if symbol is None:
            kind = re.fullmatch(r"[\w -]{1,30}", element.findtext("kind") or "", re.ASCII)
            self._ignored["a chord of an unknown kind" + (f" ({kind[0]})" if kind else "")] += 1
            return
        offset = self._quarters(element.findtext("offset")) or 0.0
        self.chords.append((self._measure, self._position + offset, symbol))


def _velocity(percent: float) -> int:
    return min(max(round(percent * _VELOCITY_OF_PERCENT), 1), MAX_MIDI_VELOCITY)
