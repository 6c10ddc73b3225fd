"""Train, validation and test: split by tune, so that what is held out was not trained on.

One tune comes under several titles, in several keys and in several collections. Two pieces are
taken for one tune if they share two bars, in any key, or a phrase, wherever its bar lines are, or a
title; groups of such pieces stay together (single linkage).
"""

import dataclasses
import hashlib
import itertools
import re
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from music_vae.common.constants import DEFAULT_QPM
from music_vae.common.errors import UserError
from music_vae.music.converters.melody import FIRST_PITCH, OneHotMelodyConverter

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

TRAIN, VALIDATION, TEST = SPLITS = ("train", "validation", "test")

# What two pieces must share to be one tune. Less (three notes, a repeated bass note) is shared by
# music that has nothing to do with each other.
_WINDOW_BARS = 2
_MIN_WINDOW_PITCHES = 4  # different pitches in a window
_PHRASE_INTERVALS = 14  # about two bars of quavers
_MIN_PHRASE_PITCH_STEPS = 4  # different intervals in a phrase
_LONGEST_STEP = 16  # sixteenth notes; a longer wait between two notes is as good as a bar

# A group larger than this part of what is held out would be most of it: it is trained on.
_MAX_GROUP = 0.25


@dataclasses.dataclass(frozen=True)
class Shares:
    """Which parts of the tunes are held out, each from 0 to 1."""

    validation: float = 0.08
    test: float = 0.08

    def __post_init__(self) -> None:
        if not (self.validation >= 0 and self.test >= 0 and self.validation + self.test < 1):
            raise UserError(
                f"shares of {self.validation} for validation and {self.test} for test leave "
                "nothing to train on; expected 0 to 1, below 1 in all"
            )


class _Onset(NamedTuple):
    """The highest of the notes that start together."""

    step: int
    pitch: int
    duration: int


def split(sequences: Sequence["NoteSequence"], shares: Shares) -> dict[str, list["NoteSequence"]]:
    """The sequences by split, each in its old order.

    The result depends on the music and the ids alone: groups are drawn by a hash of their ids.
    """
    ids = [sequence.id for sequence in sequences]
    wanted = {
        VALIDATION: round(shares.validation * len(sequences)),
        TEST: round(shares.test * len(sequences)),
    }
    chosen = draw(group_tunes(sequences), ids, wanted)
    return {name: [sequences[i] for i in sorted(chosen[name])] for name in SPLITS}


def draw(
    groups: Sequence[Sequence[int]], ids: Sequence[str], wanted: Mapping[str, int]
) -> dict[str, list[int]]:
    """The indices of each split: as many as are wanted to hold out, the others to train on.

    Groups stay together and are drawn by a hash of their ids.
    """
    rank = {min(_digest(ids[i].encode()) for i in group): group for group in groups}
    chosen: dict[str, list[int]] = {name: [] for name in SPLITS}
    for _, group in sorted(rank.items()):
        fitting = [
            name
            for name, number in wanted.items()
            if len(group) <= max(1, _MAX_GROUP * number)
            and len(chosen[name]) + len(group) <= number
        ]
        chosen[fitting[0] if fitting else TRAIN] += group
    return chosen


def group_tunes(sequences: Sequence["NoteSequence"]) -> list[list[int]]:
    """Indices of the sequences, those of one tune together."""
    first_with: dict[bytes, int] = {}
    links = [
        (first_with.setdefault(mark, index), index)
        for index, sequence in enumerate(sequences)
        for mark in marks(sequence)
    ]
    return connected(len(sequences), links)


def connected(number: int, links: Iterable[tuple[int, int]]) -> list[list[int]]:
    """The indices below `number`, those together that are linked, over others or directly."""
    parent = list(range(number))

    def find(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for one, other in links:
        parent[find(other)] = find(one)
    groups: dict[int, list[int]] = {}
    for index in range(number):
        groups.setdefault(find(index), []).append(index)
    return list(groups.values())


def without_copies(
    sequences: Iterable["NoteSequence"], skipped: Counter[str]
) -> list["NoteSequence"]:
    """The sequences without those whose notes another one before has, in any key."""
    seen: set[bytes] = set()
    kept = []
    for sequence in sequences:
        # Instruments may be numbered anew in a copy, but not drums, whose pitches are no keys.
        keys = sorted(
            bool(drums).to_bytes(1, "big") + _line_key(line, transpose=not drums)
            for drums, line in lines(sequence)
        )
        key = _digest(b"".join(keys))
        if key in seen:
            skipped["a copy of another piece"] += 1
        else:
            seen.add(key)
            kept.append(sequence)
    return kept


def marks(sequence: "NoteSequence") -> set[bytes]:
    """What makes a piece known again: digests of its bars, its phrases and its title."""
    found = {_digest(b"title" + t.encode()) for t in [_plain_title(sequence)] if t}
    for example in _WINDOWS.extract(sequence).examples:
        tokens = example.outputs
        if len(np.unique(tokens[tokens >= FIRST_PITCH])) >= _MIN_WINDOW_PITCHES:
            found.add(_digest(b"window" + _WINDOWS.window_key(tokens)))
    return found | all_phrases(sequence)


_WINDOWS = OneHotMelodyConverter(slice_bars=_WINDOW_BARS)


def phrases(line: Sequence[_Onset], intervals: int, min_pitch_steps: int) -> set[bytes]:
    """Digests of every stretch of so many intervals with the times between their notes.

    Only of those with `min_pitch_steps` different intervals; the others are scales and trills.
    """
    steps = [
        (min(b.step - a.step, _LONGEST_STEP), b.pitch - a.pitch)
        for a, b in itertools.pairwise(line)
    ]
    stretches = (steps[start : start + intervals] for start in range(len(steps) - intervals + 1))
    return {
        _digest(b"phrase" + repr(stretch).encode())
        for stretch in stretches
        if len({interval for _, interval in stretch}) >= min_pitch_steps
    }


def all_phrases(sequence: "NoteSequence") -> set[bytes]:
    """Digests of the phrases of all instruments but the drums."""
    found: set[bytes] = set()
    for drums, line in lines(sequence):
        if not drums:
            found |= phrases(line, _PHRASE_INTERVALS, _MIN_PHRASE_PITCH_STEPS)
    return found


def lines(sequence: "NoteSequence") -> Iterator[tuple[bool, list[_Onset]]]:
    """The highest notes of every instrument, in steps of sixteenths: (is it drums, its onsets).

    All notes of drums, of which the highest means nothing.
    """
    qpm = sequence.tempos[0].qpm if sequence.tempos else DEFAULT_QPM
    per_second = qpm * 4 / 60
    found: dict[tuple[bool, int], dict[tuple[int, int], _Onset]] = {}
    for note in sequence.notes:
        step = round(note.start_time * per_second)
        onset = _Onset(step, note.pitch, round(note.end_time * per_second) - step)
        line = found.setdefault((note.is_drum, note.instrument), {})
        place = (step, note.pitch if note.is_drum else 0)
        if place not in line or line[place].pitch < onset.pitch:
            line[place] = onset
    for (drums, _), line in sorted(found.items()):
        yield drums, [line[place] for place in sorted(line)]


def _line_key(line: Sequence[_Onset], *, transpose: bool) -> bytes:
    base = line[0].pitch if transpose else 0
    return _digest(b"".join(struct.pack("<3i", o.step, o.pitch - base, o.duration) for o in line))


def _plain_title(sequence: "NoteSequence") -> str:
    """The title in small letters and nothing else, without an article."""
    title = re.sub(r"\b(the|a)\b", "", sequence.sequence_metadata.title.casefold())
    return re.sub(r"[^\w]", "", title)


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
