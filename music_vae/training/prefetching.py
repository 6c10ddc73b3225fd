"""Batches on their way to the device, made in the background while a step is taken."""

import itertools
from collections.abc import Iterator
from functools import partial

import tensorflow as tf

from music_vae.common.batches import Batch, Compact, CompactBatch
from music_vae.common.errors import UserError
from music_vae.data import Position, TrainingBatches, compact_batch
from music_vae.nn import densify

PREFETCHED_BATCHES = 2


def prefetched(
    batches: TrainingBatches, compact: Compact | None
) -> Iterator[tuple[Batch, Position]]:
    """The batches as tensors, each with the position of the next.

    Args:
      batches: What to take them from.
      compact: How their compact arrays become dense, which they then do on the device; None: the
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
    for batch, (epoch, offset) in dataset.prefetch(PREFETCHED_BATCHES):
        yield make_dense(batch) if make_dense else batch, Position(int(epoch), int(offset))
    for failure in failures:
        raise failure


def _taken(
    batches: TrainingBatches, *, is_compact: bool, failures: list[UserError]
) -> Iterator[tuple[Batch | CompactBatch, tuple[int, ...]]]:
    """The batches until one fails, which TensorFlow would make an error of its own."""
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
    """What is known of all batches by one of them: all but the numbers of examples and of steps."""
    *arrays, lengths = batch
    shapes = [[None, None, *array.shape[2:]] for array in arrays] + [[None, *lengths.shape[1:]]]
    specs = (tf.TensorSpec(s, a.dtype) for s, a in zip(shapes, batch, strict=True))
    return type(batch)(*specs)
