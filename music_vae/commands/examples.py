"""The choice of music that a model is measured on or trained on: windows of a corpus."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from music_vae.commands.choices import check_at_least
from music_vae.common import lazy_imports

if TYPE_CHECKING:
    from music_vae.configs import Config
    from music_vae.dataset.windows import Window


class FoundWindows(NamedTuple):
    """The windows of a corpus.

    Attributes:
      windows: Those that are used.
      num_windows: How many there are.
      num_sequences: Of how many sequences.
    """

    windows: "Sequence[Window]"
    num_windows: int
    num_sequences: int


@dataclasses.dataclass(frozen=True)
class Examples:
    """Windows of a corpus, all or some of them.

    Attributes:
      path: TFRecords of NoteSequences: a file, a pattern, or a comma-separated list.
      num_examples: Use so many windows at most; None: all.
      seed: Of the drawing.
    """

    path: str
    num_examples: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_at_least(self, 1, "num_examples")
        check_at_least(self, 0, "seed")

    def find(self, config: "Config") -> FoundWindows:
        """The windows that a model of `config` reads.

        Raises:
          UserError: If there are none, with the reasons.
        """
        from music_vae.dataset.windows import load_windows, subset

        lazy_imports.import_note_seq()
        windows, num_sequences = load_windows(self.path, config)
        used = subset(windows, self.num_examples, self.seed)
        return FoundWindows(used, len(windows), num_sequences)
