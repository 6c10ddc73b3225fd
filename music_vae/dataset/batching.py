"""Makes batches of converted music: random ones for training, and all in order for evaluation.

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
    """Returns single examples as a dense float32 batch, padded with zeros to the longest.

    >>> from music_vae.configs import get_config
    >>> from music_vae.music.notes_io import read_music_file
    >>> (tune,) = read_music_file("examples/tunes/soldiers_joy.mid")
    >>> converter = get_config("cat-mel_2bar_small").data_converter
    >>> batch = make_batch(converter.extract(tune).examples[:3], converter)
    >>> batch.inputs.shape, batch.lengths.tolist()  # 90 classes: no event, note off, 88 pitches
    ((3, 32, 90), [32, 32, 32])
    """
    return dense_batch(stack_single(examples), converter)


def dense_batch(stacked: Example, converter: Converter) -> Batch:
    """Returns stacked examples as a dense float32 batch.

    >>> from music_vae.configs import get_config
    >>> converter = get_config("cat-mel_2bar_small").data_converter
    >>> melodies = np.array([[41, 0, 43, 0], [45, 0, 1, 0]], np.int8)
    >>> stacked = Example(melodies, melodies, None, np.array([4, 4]))
    >>> batch = dense_batch(stacked, converter)
    >>> batch.targets.shape, batch.targets[0].argmax(axis=-1).tolist()
    ((2, 4, 90), [41, 0, 43, 0])
    """
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
    """Returns stacked examples as they go to the device, where they become dense.

    A compact batch is many times smaller than a dense one; `densify.dense_on_device` expands it.

    >>> melodies = np.array([[41, 0, 43, 0], [45, 0, 1, 0]], np.int8)
    >>> batch = compact_batch(Example(melodies, melodies, None, np.array([4, 4])))
    >>> batch.targets.nbytes, batch.controls.shape
    (8, (2, 4, 0))
    """
    controls = stacked.controls
    if controls is None:
        controls = np.zeros((*stacked.outputs.shape[:2], 0), np.float32)
    lengths = stacked.length.astype(np.int32)
    return CompactBatch(stacked.inputs, stacked.outputs, controls, lengths)


def check_examples(music: Music | StreamedMusic, config: Config) -> None:
    """Raises `UserError` unless the first example has the widths that its converter says.

    A converter may be a user's own, and a model is built from what it says of its arrays. So this
    is asked before anything is written.

    >>> from music_vae.configs import get_config
    >>> from music_vae.dataset.loading import convert
    >>> from music_vae.music.notes_io import read_music_file
    >>> config = get_config("cat-mel_2bar_small")
    >>> music = convert(read_music_file("examples/tunes/soldiers_joy.mid"), config)
    >>> check_examples(music, config)
    """
    stacked, converter = music.in_order(config).take(1), config.data_converter
    if stacked is None:
        return
    if (stacked.controls is None) != (converter.control_depth == 0):
        given = "no controls" if stacked.controls is None else "controls"
        raise _misfit(
            config, f"its examples have {given}, and control_depth is {converter.control_depth}"
        )
    for name, compact, dense, depth in (
        ("input", stacked.inputs, converter.dense_inputs, converter.input_depth),
        ("output", stacked.outputs, converter.dense_outputs, converter.output_depth),
        ("control", stacked.controls, converter.dense_controls, converter.control_depth),
    ):
        if compact is None:
            continue
        try:
            shape = np.shape(dense(compact))
        except Exception as error:  # of the user's own class, which may do anything
            reason = f"dense_{name}s fails with {type(error).__name__}: {error}"
            raise _misfit(config, reason) from error
        if shape != (*compact.shape[:2], depth):
            raise _misfit(
                config,
                f"dense_{name}s makes rows {list(shape[1:])} of an example; with "
                f"{name}_depth={depth} it should make {[compact.shape[1], depth]}",
            )
    if stacked.length.shape[1:] != converter.length_shape:
        raise _misfit(
            config,
            f"the length of an example has shape {list(stacked.length.shape[1:])}, and "
            f"length_shape is {list(converter.length_shape)}",
        )


def _misfit(config: Config, reason: str) -> UserError:
    """Returns the error for a converter whose arrays are not as it says."""
    return UserError(f"the {type(config.data_converter).__name__} of {config.name}: {reason}")


def evaluation_batches(
    music: Music | StreamedMusic, config: Config, *, num_batches: int | None = None
) -> Iterator[Batch]:
    """Yields every example once, in order and as it stands; the last batch may be smaller.

    Each sequence gives at most as many examples as the converter's `max_tensors_per_notesequence`.

    >>> from music_vae.configs import get_config
    >>> from music_vae.dataset.loading import convert
    >>> from music_vae.music.notes_io import read_music_file
    >>> config = get_config("cat-mel_2bar_small", "batch_size=2")
    >>> music = convert(read_music_file("examples/tunes/soldiers_joy.mid"), config)
    >>> [len(batch.lengths) for batch in evaluation_batches(music, config)]  # 5 of 16 examples
    [2, 2, 1]

    Args:
      music: Converted music.
      config: Config with the converter and the batch size.
      num_batches: Largest number of batches; None for all.
    """
    epoch = music.in_order(config)
    for _ in itertools.count() if num_batches is None else range(num_batches):
        stacked = epoch.take(config.hparams.batch_size)
        if stacked is None:
            return
        yield dense_batch(stacked, config.data_converter)


class Position(NamedTuple):
    """The place at which a batch begins in the endless stream of examples.

    >>> Position(epoch=2, offset=64)  # 64 examples of the third epoch have been used
    Position(epoch=2, offset=64)

    Attributes:
      epoch: Number of the epoch, from 0.
      offset: Number of examples of that epoch that have been used.
    """

    epoch: int = 0
    offset: int = 0


class TrainingBatches:
    """An endless iterator of (batch, position of the next batch).

    >>> from music_vae.configs import get_config
    >>> from music_vae.dataset.loading import convert
    >>> from music_vae.music.notes_io import read_music_file
    >>> config = get_config("cat-mel_2bar_small", "batch_size=4")
    >>> music = convert(read_music_file("examples/tunes/soldiers_joy.mid"), config, augment=True)
    >>> batches = TrainingBatches(music, config, seed=0)
    >>> batch, position = next(batches)
    >>> batch.inputs.shape, position
    ((4, 32, 90), Position(epoch=0, offset=4))

    A run that stops here goes on with the batch that would have come next:

    >>> later = TrainingBatches(music, config, seed=0, position=position)
    >>> np.array_equal(next(later)[0].inputs, next(batches)[0].inputs)
    True
    """

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

        Args:
          music: Converted music.
          config: Config with the converter, the batch size and the augmenters.
          seed: Seed of all random choices.
          position: Position of the first batch; None for the beginning.
          share: (n, N): each batch has only the rows of process n, counted from 0, of N processes,
            padded like the whole batch.

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
        """Returns the next batch as stacked compact examples, and the position after it."""
        (batch, position), self._next = self._next, self._take_batch()
        number, count = self._share
        size = self._config.hparams.batch_size
        own = slice(number * size // count, (number + 1) * size // count)
        controls = None if batch.controls is None else batch.controls[own]
        inputs, outputs, lengths = batch.inputs[own], batch.outputs[own], batch.length[own]
        return Example(inputs, outputs, controls, lengths), position

    def _take_batch(self) -> tuple[Example, Position]:
        """Takes the compact examples of a batch; returns them and the position after it."""
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
        """Varies examples at random for training, depending on the position alone."""
        epoch, offset = self._position
        converter, augmenter = self._config.data_converter, self._config.window_augmenter
        if augmenter is not None:
            part = augmenter.augment(part, converter, rng_for(self._seed, epoch, WINDOWS, offset))
        return converter.corrupt(part, rng_for(self._seed, epoch, CORRUPTION, offset))

    def _too_few(self, num_examples: int) -> UserError:
        most = self._config.data_converter.max_tensors_per_notesequence
        return UserError(
            f"{num_examples} training examples (at most {most or 'all'} of a sequence) do not fill "
            f"a batch of {self._config.hparams.batch_size}: {self._music}; give more music or a "
            "smaller `batch_size=...`"
        )
