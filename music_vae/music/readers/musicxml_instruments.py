"""Finds the pitch and the program of a note of MusicXML from the instruments of its part."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple
from xml.etree.ElementTree import Element

from music_vae.common.constants import DRUMS_INSTRUMENT, MAX_MIDI_PITCH, SEMITONES
from music_vae.music.readers.drum_staff import drum_at
from music_vae.music.readers.musicxml_values import integer_in, number_in, pitch_of

BAD_PITCH = f"a pitch outside 0..{MAX_MIDI_PITCH}"
NO_PITCH = "a note without a pitch"

_CROSSES = ("x", "cross", "circle-x")


class Sound(NamedTuple):
    """A note as MIDI has it.

    >>> Sound(pitch=38, program=0, is_drum=True).pitch
    38
    """

    pitch: int
    program: int
    is_drum: bool


@dataclass(frozen=True)
class _Instrument:
    """Numbers of MIDI, from 0; `drum` is the pitch that stands for a drum."""

    program: int = 0
    channel: int = 0
    drum: int | None = None


class Instruments:
    """The instruments of a part; without any it is a piano.

    >>> from xml.etree.ElementTree import fromstring
    >>> flute = "<midi-instrument id='I1'><midi-program>74</midi-program></midi-instrument>"
    >>> instruments = Instruments([fromstring(flute)], Counter())
    >>> pitch = fromstring("<pitch><step>C</step><octave>4</octave></pitch>")
    >>> instruments.sound({"pitch": pitch})
    Sound(pitch=60, program=73, is_drum=False)
    """

    def __init__(self, elements: Iterable[Element], ignored: Counter[str]) -> None:
        self._ignored = ignored
        self._instruments: dict[str, _Instrument] = {}
        self._semitones: dict[str, int] = {}  # by the number of a staff
        for element in elements:
            self.change(element)
        if not self._instruments:
            self._instruments[""] = _Instrument()

    @property
    def semitones(self) -> int:
        """The distance from what is written up to what sounds."""
        return self._semitones.get("", 0)

    def change(self, midi: Element) -> None:
        """Takes a `<midi-instrument>`; what that does not say stays as it was."""
        name = midi.get("id", "")
        values = {}
        for field, tag, most in (
            ("program", "midi-program", 128),
            ("channel", "midi-channel", 16),
            ("drum", "midi-unpitched", 128),
        ):
            text = midi.findtext(tag)
            if text is None:
                continue
            number = integer_in(text)  # MusicXML counts them all from 1
            if number is not None and 1 <= number <= most:
                values[field] = number - 1
            else:
                self._ignored[f"a {tag} outside 1..{most}"] += 1
        self._instruments[name] = replace(self._instruments.get(name, _Instrument()), **values)

    def transpose(self, transpose: Element) -> None:
        """Takes a `<transpose>`, which may be for one staff alone."""
        octaves = integer_in(transpose.findtext("octave-change") or "0")
        semitones = integer_in(transpose.findtext("chromatic") or "0")
        if octaves is None or semitones is None:
            self._ignored["a transposition that is no number"] += 1
        else:
            self._semitones[transpose.get("number", "")] = semitones + SEMITONES * octaves

    def sound(self, note: Mapping[str, Element]) -> Sound | None:
        """Returns what MIDI plays for a note, or `None`, counted, if that is nothing.

        Args:
          note: What is in the `<note>`, by its tag.
        """
        named = note["instrument"].get("id", "") if "instrument" in note else ""
        instrument = self._instruments.get(named) or next(iter(self._instruments.values()))
        is_drum = instrument.channel == DRUMS_INSTRUMENT or "pitch" not in note
        if is_drum and instrument.drum is not None and (named or "pitch" not in note):
            return Sound(instrument.drum, instrument.program, True)
        if "pitch" in note:
            return self._pitched(note, instrument.program, is_drum=is_drum)
        if "unpitched" not in note:
            self._ignored[NO_PITCH] += 1
            return None
        self._ignored["the drum of a note, which is read by its place on the staff"] += 1
        place = note["unpitched"]
        step, octave = place.findtext("display-step"), place.findtext("display-octave")
        cross = "notehead" in note and (note["notehead"].text or "").strip() in _CROSSES
        return Sound(drum_at(step or "", octave or "", cross=cross), instrument.program, True)

    def _pitched(self, note: Mapping[str, Element], program: int, *, is_drum: bool) -> Sound | None:
        pitch = pitch_of(note["pitch"])
        if pitch is None:
            self._ignored[NO_PITCH] += 1
            return None
        alter = number_in(note["pitch"].findtext("alter"))
        if alter is not None and not alter.is_integer():
            self._ignored["a part of a semitone (read as the note nearer to the natural one)"] += 1
        if self._semitones and not is_drum:
            staff = (note["staff"].text or "") if "staff" in note else ""
            pitch += self._semitones.get(staff, self.semitones)
        if not 0 <= pitch <= MAX_MIDI_PITCH:
            self._ignored[BAD_PITCH] += 1
            return None
        return Sound(pitch, program, is_drum)
