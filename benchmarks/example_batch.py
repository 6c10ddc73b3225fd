"""A batch of random examples in a config's shapes; the same under every Python and package."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

_SEED = 0
_DRUMS = 9  # of a groove, each with hit, velocity and offset
_HIT_PROBABILITY = 0.2
_TRIO_DEPTHS = (90, 90, 512)


class ExampleBatch(NamedTuple):
    """Arrays `[B, T, D]`, and lengths `[B]` or `[B, S]`; all but the lengths are float32."""

    inputs: np.ndarray
    targets: np.ndarray
    controls: np.ndarray
    lengths: np.ndarray


def example_batch(config_name: str, converter: Any, batch_size: int, steps: int) -> ExampleBatch:
    """Random music for `config_name`; lengths of segments vary, others are full.

    Args:
      config_name: Decides what a step looks like.
      converter: This package's or the original's, for its depths and `length_shape`.
      batch_size: How many examples.
      steps: Length of each.
    """
    rng = np.random.default_rng(_SEED)
    shape = (batch_size, steps)
    targets = _targets(config_name, rng, shape, converter.output_depth)
    inputs = targets
    if converter.input_depth != converter.output_depth:
        inputs = _hits(rng, shape, converter.input_depth)
    lengths = np.full(batch_size, steps, np.int32)
    if converter.length_shape:
        (segments,) = converter.length_shape
        longest = steps // segments
        lengths = rng.integers(1, longest, (batch_size, segments), np.int32, endpoint=True)
    controls = np.zeros((*shape, converter.control_depth), np.float32)
    return ExampleBatch(inputs, targets, controls, lengths)


def _targets(
    config_name: str, rng: np.random.Generator, shape: Sequence[int], depth: int
) -> np.ndarray:
    if config_name.startswith("groovae"):
        hits = _hits(rng, shape, _DRUMS)
        velocities = hits * rng.random(hits.shape, np.float32)
        offsets = hits * (2 * rng.random(hits.shape, np.float32) - 1)
        return np.concatenate([hits, velocities, offsets], axis=-1)
    if config_name.startswith("nade"):
        return _hits(rng, shape, depth)
    depths = _TRIO_DEPTHS if "trio" in config_name else (depth,)
    return np.concatenate([_one_hot(rng, shape, each) for each in depths], axis=-1)


def _hits(rng: np.random.Generator, shape: Sequence[int], depth: int) -> np.ndarray:
    return (rng.random((*shape, depth)) < _HIT_PROBABILITY).astype(np.float32)


def _one_hot(rng: np.random.Generator, shape: Sequence[int], depth: int) -> np.ndarray:
    return np.eye(depth, dtype=np.float32)[rng.integers(0, depth, shape)]
