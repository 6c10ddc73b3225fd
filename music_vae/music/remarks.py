"""Says in words what a model leaves out or changes of the music that it is given.

A model hears one voice on a grid of steps, or the drums of its kit. Musicians hand over chords,
triplets and cowbells; each of these functions returns a clause on one such thing, or none.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from music_vae.common.texts import printable
from music_vae.music.converters.grid import Grid

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

    from music_vae.music.converters.base import Converter

_SIXTEENTHS = 4  # steps in a quarter note
_FAST_STEPS = 0.5  # notes of one step that are further apart are no chord
_ON_TIME_S = 0.002  # what a sequencer's ticks can round
_THIRD_WIDTH = 0.04  # of a quarter note: as near to a third of it as a triplet is played
_SWUNG = (0.53, 0.72)  # of a quarter note: where swing has its offbeat, from slight to hard
_MAX_NAME = 40  # characters of a track's name that are shown
_CHORD_SYMBOL = 1  # NoteSequence.TextAnnotation.CHORD_SYMBOL


def counted(number: int, noun: str) -> str:
    """Returns a number of things in words.

    >>> counted(1, "note"), counted(3, "note")
    ('1 note', '3 notes')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listed(names: Sequence[str]) -> str:
    """Returns names as part of a sentence.

    >>> listed(["Lead"]), listed(["Lead", "Bass", "Keys"])
    ('Lead', 'Lead, Bass and Keys')
    """
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def quoted(name: str) -> str:
    """Returns the name of a track, which comes from a file, in quotes and fit to be shown.

    >>> quoted("Lead")
    "'Lead'"
    """
    shown = printable(" ".join(name.split()))
    return f"'{shown[:_MAX_NAME]}…'" if len(shown) > _MAX_NAME else f"'{shown}'"


def on_voices(grid: Grid) -> list[str]:
    """Returns clauses on notes of one instrument that cannot all be in a melody.

    >>> from music_vae.music.converters.score import NOTE, Score
    >>> from music_vae.music.converters.grid import quantise_in_any_metre
    >>> third = [(0.0, 0.5, 60, 80, 0, 0, False), (0.0, 0.5, 64, 80, 0, 0, False)]
    >>> (grid,) = quantise_in_any_metre([Score(np.array(third, NOTE), 2.0)], steps_per_quarter=4)
    >>> on_voices(grid)
    ['chords: top notes kept']
    """
    raw = grid.notes["start_s"] * grid.steps_per_second
    order = np.lexsort((-grid.notes["pitch"], grid.starts))
    is_top = np.ones(len(order), bool)
    is_top[1:] = grid.starts[order][1:] != grid.starts[order][:-1]
    tops = order[is_top]
    lower, above = order[~is_top], tops[np.cumsum(is_top)[~is_top] - 1]
    is_other = grid.notes["pitch"][lower] != grid.notes["pitch"][above]
    is_fast = np.abs(raw[lower] - raw[above]) > _FAST_STEPS
    clauses = []
    if (is_other & ~is_fast).any():
        clauses.append("chords: top notes kept")
    if is_fast.any():
        fast = counted(int(is_fast.sum()), "note")
        clauses.append(f"{fast} between two {steps_of(grid.steps_per_quarter)} left out")
    if (grid.ends[tops][:-1] > grid.starts[tops][1:]).any():
        clauses.append("overlapping notes end where the next begins")
    return clauses


def on_repeated_hits(grid: Grid) -> list[str]:
    """Returns a clause on hits of one drum at one step, of which one is kept.

    >>> from music_vae.music.converters.score import NOTE, Score
    >>> from music_vae.music.converters.grid import quantise_in_any_metre
    >>> flam = [(0.0, 0.1, 38, 40, 9, 0, True), (0.03, 0.1, 38, 90, 9, 0, True)]
    >>> (grid,) = quantise_in_any_metre([Score(np.array(flam, NOTE), 2.0)], steps_per_quarter=4)
    >>> on_repeated_hits(grid)
    ['1 hit of a drum that is hit again within a sixteenth left out']
    """
    places = np.stack([grid.starts, grid.notes["pitch"]], axis=-1)
    number = len(places) - len(np.unique(places, axis=0))
    if not number:
        return []
    step = steps_of(grid.steps_per_quarter).removesuffix("s")
    return [f"{counted(number, 'hit')} of a drum that is hit again within a {step} left out"]


def on_timing(grid: Grid) -> list[str]:
    """Returns a clause on notes that do not start where the grid has a step.

    >>> from music_vae.music.converters.score import NOTE, Score
    >>> from music_vae.music.converters.grid import quantise_in_any_metre
    >>> notes = [(third / 6, (third + 1) / 6, 60, 80, 0, 0, False) for third in range(3)]
    >>> (grid,) = quantise_in_any_metre([Score(np.array(notes, NOTE), 2.0)], steps_per_quarter=4)
    >>> on_timing(grid)
    ['triplets moved to the grid of sixteenths']
    """
    raw = grid.notes["start_s"] * grid.steps_per_second
    moved_s = np.abs(raw - grid.starts) / grid.steps_per_second
    off = moved_s > _ON_TIME_S
    if not off.any():
        return []
    of_quarter = raw[off] / grid.steps_per_quarter % 1
    where = f"moved to the grid of {steps_of(grid.steps_per_quarter)}"
    first, second = (np.abs(of_quarter - third) < _THIRD_WIDTH for third in (1 / 3, 2 / 3))
    if (first | second).mean() > 0.5 and first.any():
        return [f"triplets {where}"]
    if ((of_quarter > _SWUNG[0]) & (of_quarter < _SWUNG[1])).all():
        return [f"swing {where}"]
    return [f"timing {where}, by up to {max(1, round(1000 * moved_s.max()))} ms"]


def steps_of(steps_per_quarter: int) -> str:
    """Returns the plural for the steps of a grid.

    >>> steps_of(4), steps_of(24)
    ('sixteenths', '24ths of a quarter note')
    """
    if steps_per_quarter == _SIXTEENTHS:
        return "sixteenths"
    return f"{steps_per_quarter}ths of a quarter note"


def on_kit(
    pitches: Iterable[int], kit: Sequence[Sequence[int]], *, are_taps: bool = False
) -> list[str]:
    """Returns clauses on drums that are not in the kit of a model.

    >>> for clause in on_kit([36, 38, 40, 54, 56], [(36,), (38, 40)]):
    ...     print(clause)
    2 of 5 drum sounds are not in this model's kit and were left out: tambourine, cowbell
    1 of 5 drum sounds is played as another: electric snare as acoustic snare

    Args:
      pitches: The drums, as pitches.
      kit: The pitches of each drum of the model, the one it is played with first; empty if that is
        not known.
      are_taps: True if the model hears a rhythm, on whatever drums of its kit it is tapped.
    """
    if not kit:
        return []
    all_pitches = sorted(set(pitches))
    played_as = {pitch: own[0] for own in kit for pitch in own}
    unknown = [pitch for pitch in all_pitches if pitch not in played_as]
    others = [pitch for pitch in all_pitches if played_as.get(pitch, pitch) != pitch]
    total, clauses = counted(len(all_pitches), "drum sound"), []
    if unknown:
        verbs = ("is", "was") if len(unknown) == 1 else ("are", "were")
        names = ", ".join(map(_drum_name, unknown))
        clauses.append(
            f"{len(unknown)} of {total} {verbs[0]} not in this model's kit and {verbs[1]} left "
            f"out: {names}"
        )
    if others and not are_taps:
        names = ", ".join(f"{_drum_name(p)} as {_drum_name(played_as[p])}" for p in others)
        verb, other = ("is", "another") if len(others) == 1 else ("are", "others")
        clauses.append(f"{len(others)} of {total} {verb} played as {other}: {names}")
    return clauses


def _drum_name(pitch: int) -> str:
    """Returns the name that General MIDI has for a drum, or its number."""
    from pretty_midi import note_number_to_drum_name

    return note_number_to_drum_name(pitch).strip().lower() or f"note {pitch}"


def on_expression(piece: "NoteSequence", converter: "Converter") -> list[str]:
    """Returns a clause on what a representation does not have besides notes, such as loudness.

    >>> from music_vae.music.converters.melody import OneHotMelodyConverter
    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> piece = NoteSequence(notes=[{"velocity": 60}, {"velocity": 90}], pitch_bends=[{"bend": 9}])
    >>> on_expression(piece, OneHotMelodyConverter(slice_bars=2))
    ['not in this model: loudness, pitch bends']
    """
    plays = converter.has_numbers or converter.has_bins
    kinds = {text.annotation_type == _CHORD_SYMBOL for text in piece.text_annotations}
    lacks = {
        "loudness": not plays and len({note.velocity for note in piece.notes}) > 1,
        "pitch bends": any(bend.bend for bend in piece.pitch_bends),
        "pedals and controllers": bool(piece.control_changes),
        "chord symbols": True in kinds and not converter.conditioning.chords,
        "text": False in kinds,
    }
    names = [name for name, is_lost in lacks.items() if is_lost]
    return [f"not in this model: {', '.join(names)}"] if names else []


def sentence(reason: str, model: str, converter: "Converter") -> str:
    """Returns a sentence on why a model can take nothing of a piece.

    >>> from music_vae.music.converters.melody import OneHotMelodyConverter
    >>> melodies = OneHotMelodyConverter(slice_bars=2)
    >>> sentence("time signature 2/4", "cat-mel_2bar_mini", melodies)
    'it is in 2/4, and cat-mel_2bar_mini takes music in 4/4'
    >>> sentence("only drums", "cat-mel_2bar_mini", melodies)
    'it has only drums, and cat-mel_2bar_mini takes melodies'

    Args:
      reason: A reason of `Extraction.skipped`.
      model: Name of the model.
      converter: Its converter.
    """
    metre = reason.removeprefix("time signature ")
    if metre != reason and metre != "or tempo changes":
        return f"it is in {metre}, and {model} takes music in {converter.quarters_per_bar}/4"
    if reason == "only drums":
        return f"it has only drums, and {model} takes melodies"
    if reason == "polyphonic track":
        return f"it has chords, and {model} takes single notes"
    return f"it has {reason}" if reason.startswith("no ") else f"{model} cannot take it: {reason}"
