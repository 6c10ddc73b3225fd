"""Defines the choice of music that a command reads: the windows of a corpus, or some of them."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from music_vae.common import checks, lazy_imports
from music_vae.common.constants import MAX_DAMAGED
from music_vae.common.errors import naming

if TYPE_CHECKING:
    from music_vae.configs import Config
    from music_vae.dataset.windows import Window


class FoundWindows(NamedTuple):
    """The windows of a corpus that a command uses, as `Examples.find` returns them.

    >>> corpus = FoundWindows(windows=(), num_windows=30728, num_sequences=2207)
    >>> f"{corpus.num_windows} windows of {corpus.num_sequences} pieces"
    '30728 windows of 2207 pieces'

    Attributes:
      windows: The windows that are used.
      num_windows: Number of all windows in the corpus.
      num_sequences: Number of the sequences that they are from.
    """

    windows: "Sequence[Window]"
    num_windows: int
    num_sequences: int


@dataclasses.dataclass(frozen=True)
class Examples:
    """The music that a command reads: the windows of a corpus, all or some of them.

    >>> Examples("train*.tfrecord", num_examples=100)
    Examples(path='train*.tfrecord', num_examples=100, seed=0, max_damaged=0.01)
    >>> Examples("train*.tfrecord", num_examples=0)
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `num_examples=0` must be at least 1

    Attributes:
      path: TFRecords of NoteSequences: a file, a pattern, or a comma-separated list.
      num_examples: Largest number of windows to use, which are drawn at random; None: all.
      seed: Seed of the random generator that draws them.
      max_damaged: Largest share of the records that may be damaged, and are then left out.
      argument: Name of the argument that gave `path`, for messages.
    """

    path: str
    num_examples: int | None = None
    seed: int = 0
    max_damaged: float = MAX_DAMAGED
    argument: str = dataclasses.field(default="examples_path", repr=False)

    def __post_init__(self) -> None:
        checks.check_numbers(self, checks.WINDOWS, "num_examples")
        checks.check_numbers(self, checks.SEED, "seed")
        checks.check_numbers(self, checks.SHARE, "max_damaged")

    def find(self, config: "Config") -> FoundWindows:
        """Reads the windows that a model of `config` can encode.

        >>> import tempfile
        >>> from pathlib import Path
        >>> from music_vae.configs import get_config
        >>> from music_vae.dataset.music_files import write_tfrecord
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     tunes = Path(folder, "tunes.tfrecord")
        ...     names = ["durangs_hornpipe.mid", "fishers_hornpipe.mid"]
        ...     _ = write_tfrecord(Path("examples/two_bars"), names, tunes, num_processes=1)
        ...     Examples(str(tunes)).find(get_config("cat-mel_2bar_mini")).num_windows
        2

        Raises:
          UserError: If there are none, with the reasons.
        """
        from music_vae.dataset.windows import load_windows, subset

        lazy_imports.import_note_seq()
        with naming(self.argument, self.path):
            windows, num_sequences = load_windows(self.path, config, self.max_damaged)
        used = subset(windows, self.num_examples, self.seed)
        return FoundWindows(used, len(windows), num_sequences)
