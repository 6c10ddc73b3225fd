"""Splits scores by work, across corpora, so that near copies of a work stay on one side.

The rule for tunes (two bars, a phrase or a title in common) is too much for songs and hymns, which
would be one work almost all: they share bars, and a Kyrie is no title. So two pieces are taken for
one work if they share a good part of their phrases, in any key and wherever their bar lines are.
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import splits
from splits import SPLITS, TEST, VALIDATION, Shares

from music_vae import data
from music_vae.common.errors import UserError

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

# A phrase is so many intervals, of which so many are different.
_PHRASE_INTERVALS = 10
_MIN_PITCH_STEPS = 4
# What two pieces share to be one work: this part of the phrases of the one that has fewer of them,
# and so many phrases at all.
_MIN_SHARE = 0.15
_MIN_SHARED = 4
# A phrase that more pieces have is an idiom.
_MAX_PIECES = 50

LEFT_OUT = ""  # the side of a work that is on two sides already


class Piece(NamedTuple):
    """A piece of music: its name, its phrases, and the side that it is on already, if any."""

    name: str
    phrases: set[bytes]
    side: str | None = None


def phrases(sequence: "NoteSequence") -> set[bytes]:
    """Digests of the phrases of the first instrument, the top voice."""
    for drums, line in splits.lines(sequence):
        if not drums:
            return splits.phrases(line, _PHRASE_INTERVALS, _MIN_PITCH_STEPS)
    return set()


def read_sides(folders: Iterable[Path]) -> list[Piece]:
    """The pieces of corpora that are split already."""
    found = []
    for folder in folders:
        if not all((folder / f"{side}.tfrecord").is_file() for side in SPLITS):
            raise UserError(f"{folder} does not hold {', '.join(SPLITS)}.tfrecord")
        for side in SPLITS:
            for sequence in data.read_note_sequences(str(folder / f"{side}.tfrecord")):
                found.append(Piece(sequence.id, phrases(sequence), side))
    return found


def sides(
    melodies: Sequence["NoteSequence"],
    multitrack: Sequence["NoteSequence"],
    shares: Shares,
    beside: Sequence[Piece] = (),
) -> dict[str, str]:
    """The side of each file, or `LEFT_OUT`; all pieces of a file are one work.

    A work that shares its music with a piece of `beside` goes to the side of that piece. The others
    are drawn by a hash of their names. The order of the pieces does not matter.
    """
    there = {sequence.filename for sequence in melodies}
    pieces = [
        Piece(sequence.filename, phrases(sequence))
        for sequence in (*melodies, *(s for s in multitrack if s.filename not in there))
    ]
    pieces.sort(key=lambda piece: (piece.name, sorted(piece.phrases)))
    files = list(dict.fromkeys(piece.name for piece in pieces))
    file_of = {name: index for index, name in enumerate(files)}
    linked: list[tuple[int, int]] = []
    known: dict[int, set[str]] = {}  # the sides of the neighbours of a file
    for a, b in links([*pieces, *beside], len(pieces)):
        file = file_of[pieces[a].name]
        if b < len(pieces):
            linked.append((file, file_of[pieces[b].name]))
        else:
            known.setdefault(file, set()).add(beside[b - len(pieces)].side or LEFT_OUT)
    return _drawn(files, splits.connected(len(files), linked), known, shares)


def _drawn(
    files: Sequence[str],
    groups: Iterable[Sequence[int]],
    known: Mapping[int, set[str]],
    shares: Shares,
) -> dict[str, str]:
    """The side of each file: that of its group's neighbours, or drawn."""
    chosen: dict[str, str] = {}
    free = []
    for group in groups:
        there = set().union(*(known.get(index, set()) for index in group))
        if there:
            side = there.pop() if len(there) == 1 else LEFT_OUT
            chosen.update((files[index], side) for index in group)
        else:
            free.append(group)
    taken = Counter(chosen.values())
    wanted = {
        name: max(0, round(share * len(files)) - taken[name])
        for name, share in ((VALIDATION, shares.validation), (TEST, shares.test))
    }
    for side, indices in splits.draw(free, files, wanted).items():
        chosen.update((files[index], side) for index in indices)
    return chosen


def links(
    pieces: Sequence[Piece], num_own: int, min_share: float = _MIN_SHARE
) -> list[tuple[int, int]]:
    """Pairs of indices, the smaller first, of pieces that share this part of their phrases.

    Those from `num_own` on are compared with those before it, not with each other.
    """
    holders: dict[bytes, list[int]] = {}
    for index, piece in enumerate(pieces):
        for phrase in piece.phrases:
            holders.setdefault(phrase, []).append(index)
    shared: Counter[tuple[int, int]] = Counter()
    for indices in holders.values():
        if len(indices) <= _MAX_PIECES:
            shared.update(p for p in itertools.combinations(indices, 2) if p[0] < num_own)
    return sorted(
        (a, b)
        for (a, b), count in shared.items()
        if count >= _MIN_SHARED
        and count >= min_share * min(len(pieces[a].phrases), len(pieces[b].phrases))
    )


def parted(
    sequences: Iterable["NoteSequence"], sides: Mapping[str, str], skipped: Counter[str]
) -> dict[str, list["NoteSequence"]]:
    """The sequences by the sides of their files, without copies of each other."""
    parts: dict[str, list[NoteSequence]] = {side: [] for side in SPLITS}
    for sequence in splits.without_copies(sequences, skipped):
        side = sides[sequence.filename]
        if side == LEFT_OUT:
            skipped["a work that is on two sides already"] += 1
        else:
            parts[side].append(sequence)
    return parts
