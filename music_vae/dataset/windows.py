"""The windows of a corpus: what a model encodes, with the tempo of the piece that each is from."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from music_vae.common import progress
from music_vae.common.constants import DEFAULT_QPM
from music_vae.common.errors import UserError
from music_vae.configs import Config
from music_vae.dataset.sources import read_note_sequences
from music_vae.music.converters.base import Example

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence


@dataclasses.dataclass(frozen=True)
class Window:
    """A window of a corpus.

    Attributes:
      example: Its compact arrays, at most `max_seq_len` steps of them.
      step_s: Length of a step in seconds, by the tempo of its piece.
    """

    example: Example
    step_s: float


def read_windows(
    sequences: "Iterable[NoteSequence]",
    config: Config,
    count_skipped: Callable[[Any], None] = lambda _: None,
) -> list[Window]:
    """All windows of the sequences; `count_skipped` is told why the rest gave none."""
    converter = config.data_converter
    most = config.hparams.max_seq_len
    windows = []
    for sequence in sequences:
        extraction = converter.extract(sequence)
        count_skipped(extraction.skipped)
        qpm = sequence.tempos[0].qpm if sequence.tempos else DEFAULT_QPM
        step_s = 60 / qpm / converter.steps_per_quarter
        windows += [Window(_cut(example, most), step_s) for example in extraction.examples]
    return windows


def load_windows(path: str, config: Config) -> tuple[list[Window], int]:
    """All windows of TFRecords of NoteSequences, and the number of sequences; shows progress.

    Raises:
      UserError: If there are none, with the reasons.
    """
    skipped: Counter[str] = Counter()
    num_sequences = 0

    def counted() -> "Iterator[NoteSequence]":
        nonlocal num_sequences
        found = read_note_sequences(path)
        for sequence in tqdm(
            found, unit="sequence", desc="converting", disable=not progress.show_progress()
        ):
            num_sequences += 1
            yield sequence

    windows = read_windows(counted(), config, skipped.update)
    if not windows:
        reasons = ", ".join(f"{reason}: {n}" for reason, n in skipped.most_common())
        raise UserError(f"{path} holds no music for {config.name} ({reasons or 'no sequences'})")
    return windows, num_sequences


def subset(windows: Sequence[Window], most: int | None, seed: int) -> Sequence[Window]:
    """At most `most` windows, drawn by `seed`, in their order; None: all."""
    if most is None or len(windows) <= most:
        return windows
    chosen = np.random.default_rng([seed, 0]).choice(len(windows), most, replace=False)
    return [windows[index] for index in sorted(chosen)]


def _cut(example: Example, most: int) -> Example:
    """The first `most` steps of an example."""
    if len(example.outputs) <= most:
        return example
    controls = None if example.controls is None else example.controls[:most]
    length = np.minimum(example.length, most)
    return Example(example.inputs[:most], example.outputs[:most], controls, length)
