"""Finds the drums of a piece that somebody hands to a model of drums.

MIDI keeps its tenth channel for drums, but pads, drum machines and plug-ins often send on another.
In a song the notes of all other instruments are not drums, although most of their pitches are also
those of a drum.
"""

import logging
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from music_vae.common.constants import REDUCED_DRUM_PITCH_CLASSES
from music_vae.common.errors import NoExtractedExamplesError
from music_vae.music.converters.score import Score

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

    from music_vae.music.converters.base import Converter

_log = logging.getLogger(__name__)

DRUM_CHANNEL = 10
"""MIDI's channel of drums, as musicians count."""

NO_DRUMS = (
    f"it has no drums: nothing is on channel {DRUM_CHANNEL}, where MIDI has them, and what is on "
    "other channels does not look like a drum kit"
)
"""The reason for which a model of drums takes nothing of a piece."""

_DRUM_PITCHES = tuple(pitch for pitches in REDUCED_DRUM_PITCH_CLASSES for pitch in pitches)
# General MIDI: bass drums, snares with rim and clap, hi-hats.
_BASS_DRUMS, _SNARES, _HI_HATS = (35, 36), (37, 38, 39, 40), (42, 44, 46)
_CORE_PITCHES = (*_BASS_DRUMS, *_SNARES, *_HI_HATS)
# The least share of a kit's hits that are on these. Of piano music, up to a tenth is there.
_CORE_SHARE, _CORE_SHARE_ALONE = 0.5, 0.25
# A rhythm is tapped on a few keys.
_MAX_TAPPED_PITCHES = 3
# General MIDI, counted from 0: no program was set, and percussion such as a synth drum.
_KIT_PROGRAMS = (0, *range(112, 120))


class DrumPart(NamedTuple):
    """The drums of a piece.

    Attributes:
      piece: The piece with its drums alone, or all of it if there are none.
      remark: What had to be guessed, as a clause; empty if the piece says what its drums are.

    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> DrumPart(NoteSequence(notes=[{"pitch": 36, "is_drum": True}]), remark="").remark
    ''
    """

    piece: "NoteSequence"
    remark: str


def drum_part(piece: "NoteSequence") -> DrumPart:
    """Returns the drums of a piece.

    If nothing is on the drum channel, instruments that mostly play bass drum, snare and hi-hat are
    drums. What is asked of an instrument that is alone is less: it may be a tapped rhythm.

    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> pads = NoteSequence(notes=[{"pitch": 36, "end_time": 0.1}, {"pitch": 42, "end_time": 0.1}])
    >>> kit, remark = drum_part(pads)
    >>> [note.is_drum for note in kit.notes]
    [True, True]
    >>> remark
    'nothing is on channel 10, where MIDI has drums; all 2 notes are read as drums'
    """
    is_drum = [note.is_drum for note in piece.notes]
    if all(is_drum):
        return DrumPart(piece, "")
    if any(is_drum):
        return DrumPart(_only(piece, is_drum), "")
    pitches: dict[tuple[int, int], list[int]] = defaultdict(list)
    for note in piece.notes:
        pitches[note.instrument, note.program].append(note.pitch)
    kits = {
        (instrument, program)
        for (instrument, program), own in pitches.items()
        if _is_kit(own, program, is_alone=len(pitches) == 1)
    }
    chosen = [(note.instrument, note.program) in kits for note in piece.notes]
    if not any(chosen):
        return DrumPart(piece, "")
    count, total = sum(chosen), len(chosen)
    read = f"all {total} notes" if count == total else f"{count} of {total} notes"
    remark = f"nothing is on channel {DRUM_CHANNEL}, where MIDI has drums; {read} are read as drums"
    return DrumPart(_only(piece, chosen), remark)


def has_drums_alone(piece: "NoteSequence") -> bool:
    """Returns True if a piece that nobody called drums is nothing but drums.

    Off the drum channel a bass line or a guitar has pitches of drums, too. Of a kit more than half
    of the hits are on bass drum, snare and hi-hat, at least two of these, and some at once.

    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> pads = NoteSequence(notes=[{"pitch": 36, "end_time": 0.1}, {"pitch": 42, "end_time": 0.1}])
    >>> has_drums_alone(pads), has_drums_alone(NoteSequence(notes=[{"pitch": 36}, {"pitch": 43}]))
    (True, False)
    """
    drums, remark = drum_part(piece)
    if not piece.notes or len(drums.notes) < len(piece.notes):
        return False
    if not remark:
        return all(note.is_drum for note in piece.notes)
    pitches = [note.pitch for note in piece.notes]
    kinds = [np.isin(pitches, own) for own in (_BASS_DRUMS, _SNARES, _HI_HATS)]
    return (
        all(note.program in _KIT_PROGRAMS for note in piece.notes)
        and float(np.any(kinds, axis=0).mean()) > _CORE_SHARE
        and sum(bool(own.any()) for own in kinds) > 1
        and len({note.start_time for note in piece.notes}) < len(pitches)
    )


def heard(converter: "Converter", piece: "NoteSequence | Score") -> "NoteSequence | Score":
    """Returns a piece as a model of `converter` is to hear it: of drums, the drums alone.

    A line in the log says what had to be guessed. Without it a groove model takes each note of a
    song for a drum if there is a drum of its pitch.

    >>> from music_vae.configs import get_config
    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> song = NoteSequence(notes=[{"pitch": 36, "is_drum": True}, {"pitch": 60, "instrument": 1}])
    >>> len(heard(get_config("groovae_2bar_humanize").data_converter, song).notes)
    1
    >>> heard(get_config("cat-mel_2bar_small").data_converter, song) is song
    True

    Args:
      converter: The converter of the model.
      piece: The piece; a `Score` stays as it is.

    Raises:
      NoExtractedExamplesError: If there are notes, and none of them is a drum.
    """
    if not converter.has_hits or isinstance(piece, Score):
        return piece
    drums, remark = drum_part(piece)
    if remark:
        _log.warning("%s", remark)
    if drums.notes and not any(note.is_drum for note in drums.notes):
        raise NoExtractedExamplesError(NO_DRUMS)
    return drums


def _is_kit(pitches: list[int], program: int, *, is_alone: bool) -> bool:
    """Returns True if the notes of an instrument are probably those of a drum kit."""
    core_share = float(np.isin(pitches, _CORE_PITCHES).mean())
    if not is_alone:
        return program in _KIT_PROGRAMS and core_share >= _CORE_SHARE
    is_tapped = len(set(pitches)) <= _MAX_TAPPED_PITCHES
    is_known = bool(np.isin(pitches, _DRUM_PITCHES).all())
    has_core = core_share >= _CORE_SHARE_ALONE
    return core_share >= _CORE_SHARE or (is_known and (is_tapped or has_core))


def _only(piece: "NoteSequence", chosen: list[bool]) -> "NoteSequence":
    """Returns a copy of the piece with only the chosen notes, as drums."""
    copy = type(piece)()
    copy.CopyFrom(piece)
    del copy.notes[:]
    for note, is_chosen in zip(piece.notes, chosen, strict=True):
        if is_chosen:
            copy.notes.add().CopyFrom(note)
            copy.notes[-1].is_drum = True
    return copy
