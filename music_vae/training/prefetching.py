"""Prepares batches in the background while the training takes a step."""

import itertools
from collections.abc import Iterator
from functools import partial

import tensorflow as tf

from music_vae.common.batches import Batch, Compact, CompactBatch
from music_vae.common.errors import UserError
from music_vae.data import Position, TrainingBatches, compact_batch
from music_vae.nn import densify

_PREFETCHED_BATCHES = 2


def prefetched(
    batches: TrainingBatches, compact: Compact | None
) -> Iterator[tuple[Batch, Position]]:
    """Yields batches as tensors, each with the position of the next.

    >>> from music_vae.configs import get_config
    >>> from music_vae.data import convert
    >>> from music_vae.music.notes_io import read_music_file
    >>> config = get_config("cat-mel_2bar_small", "batch_size=4")
    >>> music = convert(read_music_file("examples/tunes/soldiers_joy.mid"), config, augment=True)
    >>> batches = TrainingBatches(music, config, seed=0)
    >>> batch, position = next(prefetched(batches, config.data_converter.compact))
    >>> batch.inputs.shape, position
    (TensorShape([4, 32, 90]), Position(epoch=0, offset=4))

    Args:
      batches: The batches.
      compact: Description of their compact arrays, which become dense on the device; None: the
        converter makes them dense before.

    Raises:
      UserError: If music cannot be read.
    """
    failures: list[UserError] = []
    stream = _taken(batches, is_compact=compact is not None, failures=failures)
    first = next(stream, None)
    if first is None:
        raise failures[0]
    signature = (_specs(first[0]), (tf.TensorSpec([], tf.int64), tf.TensorSpec([], tf.int64)))
    dataset = tf.data.Dataset.from_generator(
        lambda: itertools.chain([first], stream), output_signature=signature
    )
    make_dense = None
    if compact is not None:
        dense = partial(densify.dense_on_device, compact=compact)
        make_dense = tf.function(dense, reduce_retracing=True)
    for batch, (epoch, offset) in dataset.prefetch(_PREFETCHED_BATCHES):
        yield make_dense(batch) if make_dense else batch, Position(int(epoch), int(offset))
    for failure in failures:
        raise failure


def _taken(
    batches: TrainingBatches, *, is_compact: bool, failures: list[UserError]
) -> Iterator[tuple[Batch | CompactBatch, tuple[int, ...]]]:
    """Yields batches until one fails; notes the failure, which TensorFlow would disguise."""
    while True:
        batch: Batch | CompactBatch
        try:
            if is_compact:
                stacked, position = batches.next_compact()
                batch = compact_batch(stacked)
            else:
                batch, position = next(batches)
        except UserError as error:
            failures.append(error)
            return
        yield batch, tuple(position)


def _specs(batch: Batch | CompactBatch) -> Batch | CompactBatch:
    """Returns the types of all batches, given one; numbers of examples and steps are left open."""
    *arrays, lengths = batch
    shapes = [[None, None, *array.shape[2:]] for array in arrays] + [[None, *lengths.shape[1:]]]
    specs = (tf.TensorSpec(s, a.dtype) for s, a in zip(shapes, batch, strict=True))
    return type(batch)(*specs)
