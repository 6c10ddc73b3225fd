"""Reads the windows of a corpus that a model encodes, each with its tempo."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from music_vae.common import progress
from music_vae.common.constants import MAX_DAMAGED
from music_vae.common.errors import UserError
from music_vae.configs import Config
from music_vae.dataset.sources import read_note_sequences
from music_vae.music import notes_io
from music_vae.music.converters.base import Example

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence


@dataclasses.dataclass(frozen=True)
class Window:
    """A window of a corpus.

    >>> tokens = np.array([41, 0, 43, 0], np.int16)
    >>> window = Window(Example(tokens, tokens, None, np.int32(4)), step_s=0.125)
    >>> window.step_s * len(window.example.outputs)  # length in seconds
    0.5

    Attributes:
      example: Compact arrays of the window, of at most `max_seq_len` steps.
      step_s: Length of a step in seconds, by the tempo at that place of its piece.
      piece: Number of its piece in the corpus, from 0.
    """

    example: Example
    step_s: float
    piece: int = 0


def read_windows(
    sequences: "Iterable[NoteSequence]",
    config: Config,
    count_skipped: Callable[[Any], None] = lambda _: None,
) -> list[Window]:
    """Returns all windows of some sequences.

    >>> from music_vae.configs import get_config
    >>> from music_vae.music.notes_io import read_music_file
    >>> sequences = read_music_file("examples/tunes/soldiers_joy.mid")
    >>> windows = read_windows(sequences, get_config("cat-mel_2bar_small"))
    >>> len(windows), windows[0].step_s
    (16, 0.125)

    Args:
      sequences: The sequences.
      config: Config whose converter finds the windows.
      count_skipped: Function that is called for every sequence with a Counter of the reasons for
        which music in it was left out.
    """
    converter = config.data_converter
    most = config.hparams.max_seq_len
    windows = []
    for piece, sequence in enumerate(sequences):
        extraction = converter.extract(sequence)
        count_skipped(extraction.skipped)
        qpms = extraction.qpms or [notes_io.tempo_of(sequence)] * len(extraction.examples)
        windows += [
            Window(_cut(example, most), 60 / qpm / converter.steps_per_quarter, piece)
            for example, qpm in zip(extraction.examples, qpms, strict=True)
        ]
    return windows


def load_windows(
    path: str, config: Config, max_damaged: float = MAX_DAMAGED
) -> tuple[list[Window], int]:
    """Returns all windows of TFRecords of NoteSequences, and the number of sequences.

    Shows a progress bar on a terminal.

    >>> import tempfile
    >>> from music_vae.configs import get_config
    >>> from music_vae.dataset.tfrecord import write_records
    >>> from music_vae.music.notes_io import read_music_file
    >>> (tune,) = read_music_file("examples/tunes/soldiers_joy.mid")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_records(f"{folder}/tunes.tfrecord", [tune.SerializeToString()])
    ...     config = get_config("cat-mel_2bar_small")
    ...     windows, num_sequences = load_windows(f"{folder}/tunes.tfrecord", config)
    >>> len(windows), num_sequences
    (16, 1)

    Args:
      path: A file, a pattern, or a comma-separated list of them.
      config: Config whose converter finds the windows.
      max_damaged: Largest share of the records that may be damaged, and are then left out.

    Raises:
      UserError: If there are no windows, with the reasons, or too many records are damaged.
    """
    skipped: Counter[str] = Counter()
    num_sequences = 0

    def counted() -> "Iterator[NoteSequence]":
        nonlocal num_sequences
        sequences = read_note_sequences(path, max_damaged, skipped)
        for sequence in progress.bar(sequences, "converting", unit="sequence"):
            num_sequences += 1
            yield sequence

    windows = read_windows(counted(), config, skipped.update)
    if not windows:
        reasons = ", ".join(f"{reason}: {n}" for reason, n in skipped.most_common())
        raise UserError(f"{path} holds no music for {config.name} ({reasons or 'no sequences'})")
    return windows, num_sequences


def subset(windows: Sequence[Window], most: int | None, seed: int) -> Sequence[Window]:
    """Returns a random subset of windows, in their order.

    >>> tokens = np.array([41, 0, 43, 0], np.int16)
    >>> example = Example(tokens, tokens, None, np.int32(4))
    >>> windows = [Window(example, step_s) for step_s in (0.1, 0.2, 0.3, 0.4)]
    >>> [window.step_s for window in subset(windows, 2, seed=0)]
    [0.3, 0.4]

    Args:
      windows: The windows.
      most: Size of the subset; None for all windows.
      seed: Seed of the random generator.
    """
    if most is None or len(windows) <= most:
        return windows
    chosen = np.random.default_rng([seed, 0]).choice(len(windows), most, replace=False)
    return [windows[index] for index in sorted(chosen)]


def _cut(example: Example, most: int) -> Example:
    """Returns the first `most` steps of an example."""
    if len(example.outputs) <= most:
        return example
    controls = None if example.controls is None else example.controls[:most]
    length = np.minimum(example.length, most)
    return Example(example.inputs[:most], example.outputs[:most], controls, length)
