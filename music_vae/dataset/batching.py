"""Batches of converted music: those of training, drawn anew in every epoch, and all once in order.

What is random (which windows of a sequence, in which key, in which order) is a function of the seed
and the epoch alone, so that a run that was interrupted goes on with the batch it would have had.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from music_vae.common.batches import Batch, CompactBatch
from music_vae.common.errors import UserError
from music_vae.configs import Config
from music_vae.dataset.epochs import CORRUPTION, WINDOWS, Music, StreamedMusic, rng_for
from music_vae.dataset.example_store import stack, stack_single
from music_vae.music.converters.base import Converter, Example


def make_batch(examples: Sequence[Example], converter: Converter) -> Batch:
    """Dense float32 arrays, padded with zeros to the longest example."""
    return dense_batch(stack_single(examples), converter)


def dense_batch(stacked: Example, converter: Converter) -> Batch:
    """Dense float32 arrays of stacked examples."""
    inputs = converter.dense_inputs(stacked.inputs).astype(np.float32)
    if stacked.controls is None:
        controls = np.zeros((*inputs.shape[:2], 0), np.float32)
    else:
        controls = converter.dense_controls(stacked.controls).astype(np.float32)
    compact = converter.compact
    if stacked.inputs is stacked.outputs and compact and compact.inputs == compact.outputs:
        outputs = inputs
    else:
        outputs = converter.dense_outputs(stacked.outputs).astype(np.float32)
    return Batch(inputs, outputs, controls, stacked.length.astype(np.int32))


def compact_batch(stacked: Example) -> CompactBatch:
    """Stacked examples as they go to the device; `densify.dense_on_device` makes them dense."""
    controls = stacked.controls
    if controls is None:
        controls = np.zeros((*stacked.outputs.shape[:2], 0), np.float32)
    lengths = stacked.length.astype(np.int32)
    return CompactBatch(stacked.inputs, stacked.outputs, controls, lengths)


def evaluation_batches(
    music: Music | StreamedMusic, config: Config, *, num_batches: int | None = None
) -> Iterator[Batch]:
    """Every example once, in order and as it stands; the last batch may be smaller.

    Each sequence gives at most its converter's `max_tensors_per_notesequence`.

    Args:
      music: Converted music.
      config: Whose converter and batch size count.
      num_batches: Stop after this many.
    """
    epoch = music.in_order(config)
    for _ in itertools.count() if num_batches is None else range(num_batches):
        stacked = epoch.take(config.hparams.batch_size)
        if stacked is None:
            return
        yield dense_batch(stacked, config.data_converter)


class Position(NamedTuple):
    """Where in the endless stream of examples a batch begins."""

    epoch: int = 0
    offset: int = 0


class TrainingBatches:
    """An endless iterator of (batch, position of the next batch)."""

    def __init__(
        self,
        music: Music | StreamedMusic,
        config: Config,
        *,
        seed: int,
        position: Position | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        """Starts at `position`, or at the beginning.

        Of `share = (n, N)` each batch has the rows of the n-th of N processes alone, padded like
        the whole batch.

        Raises:
          UserError: If the first epoch has fewer examples than a batch.
        """
        self._music = music
        self._config = config
        self._seed = seed
        self._share = share
        self._position = position or Position()
        self._epoch = music.shuffled(config, seed, self._position.epoch)
        self._epoch.skip(self._position.offset)
        self._next = self._take_batch()

    def __iter__(self) -> "TrainingBatches":
        return self

    def __next__(self) -> tuple[Batch, Position]:
        stacked, position = self.next_compact()
        return dense_batch(stacked, self._config.data_converter), position

    def next_compact(self) -> tuple[Example, Position]:
        """The next batch as stacked compact examples; `densify.dense_on_device` makes it dense."""
        (batch, position), self._next = self._next, self._take_batch()
        number, count = self._share
        size = self._config.hparams.batch_size
        own = slice(number * size // count, (number + 1) * size // count)
        controls = None if batch.controls is None else batch.controls[own]
        inputs, outputs, lengths = batch.inputs[own], batch.outputs[own], batch.length[own]
        return Example(inputs, outputs, controls, lengths), position

    def _take_batch(self) -> tuple[Example, Position]:
        """The compact examples of a batch, and the position after it."""
        parts: list[Example] = []
        missing = size = self._config.hparams.batch_size
        while missing:
            epoch, offset = self._position
            part = self._epoch.take(missing)
            if part is None:
                if offset < size:
                    raise self._too_few(offset)
                self._position = Position(epoch + 1)
                self._epoch = self._music.shuffled(self._config, self._seed, epoch + 1)
                continue
            parts.append(self._varied(part))
            missing -= len(part.outputs)
            self._position = Position(epoch, offset + len(part.outputs))
        return stack(parts), self._position

    def _varied(self, part: Example) -> Example:
        """Examples as the model reads them in training; chance depends on the position alone."""
        epoch, offset = self._position
        converter, augmenter = self._config.data_converter, self._config.window_augmenter
        if augmenter is not None:
            part = augmenter.augment(part, converter, rng_for(self._seed, epoch, WINDOWS, offset))
        return converter.corrupt(part, rng_for(self._seed, epoch, CORRUPTION, offset))

    def _too_few(self, found: int) -> UserError:
        most = self._config.data_converter.max_tensors_per_notesequence
        return UserError(
            f"{found} training examples (at most {most or 'all'} of a sequence) do not fill a "
            f"batch of {self._config.hparams.batch_size}: {self._music}; give more music or a "
            "smaller `batch_size=...`"
        )
