"""The result of a command that makes music: pieces, their files, and facts about them."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence


@dataclasses.dataclass(frozen=True)
class Made:
    """Pieces that a command made and wrote as MIDI files.

    >>> from music_vae.render.notebook import beat
    >>> pieces = [beat(bass="x..."), beat(bass="..x.")]
    >>> Made(pieces, [Path("1.mid"), Path("2.mid")], "beats", "Beats", None, {}).labels
    ['1 of 2', '2 of 2']

    Attributes:
      pieces: The pieces.
      paths: Their MIDI files.
      name: The part that the names of the files have in common.
      title: Title of pictures and of the page.
      shape: Rows and columns of pieces that belong in one picture; None: each has its own.
      facts: Facts about the pieces, by name, for the page.
    """

    pieces: "Sequence[NoteSequence]"
    paths: Sequence[Path]
    name: str
    title: str
    shape: tuple[int, int] | None
    facts: Mapping[str, str]

    @property
    def labels(self) -> list[str]:
        """Names of the pieces, by their number, or their row and column."""
        if self.shape is None or self.shape[1] == 1:
            return [f"{number} of {len(self.pieces)}" for number in range(1, len(self.pieces) + 1)]
        rows, columns = (range(1, size + 1) for size in self.shape)
        return [f"row {row}, column {column}" for row in rows for column in columns]
