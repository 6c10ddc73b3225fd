"""What TensorFlow makes of compact batches is what the converters make of them."""

import numpy as np
import pytest
import tensorflow as tf

from music_vae import data
from music_vae.configs import PUBLISHED_CONFIGS
from music_vae.dataset.example_store import stack
from music_vae.music.converters.base import Example
from music_vae.music.converters.compact import pad_value
from music_vae.music.converters.drums import DrumsConverter
from music_vae.music.converters.groove import GrooveConverter
from music_vae.music.converters.melody import OneHotMelodyConverter
from music_vae.nn import densify

STEPS = 24

CONVERTERS = {name: config.data_converter for name, config in PUBLISHED_CONFIGS.items()} | {
    "end tokens": OneHotMelodyConverter(add_end_token=True),
    "chords and keys": OneHotMelodyConverter(chord_encoding="triad", condition_on_key=True),
    "keys": OneHotMelodyConverter(condition_on_key=True),
    "rolls with an end": DrumsConverter(add_end_token=True, roll_input=True, roll_output=True),
    "combinations": DrumsConverter(add_end_token=True),
    "hits of one drum": GrooveConverter(split_instruments=True, hits_as_controls=True),
}


def random_examples(converter, rng, number, steps):
    """Compact examples of random content."""
    depth = converter.output_depth
    if isinstance(converter, GrooveConverter):
        outputs = rng.normal(size=(number, steps, depth)).astype(np.float32)
    elif isinstance(converter, DrumsConverter):
        outputs = rng.integers(0, 2**converter.num_classes, (number, steps))
        outputs[0, 0] = 0
    elif hasattr(converter, "split_output_depths"):
        depths = converter.split_output_depths
        columns = [rng.integers(0, d, (number, steps)) for d in depths]
        outputs = np.stack(columns, axis=-1).astype(np.int16)
    else:
        outputs = rng.integers(0, depth, (number, steps)).astype(np.int16)
    controls = None
    if converter.control_depth:
        if isinstance(converter, GrooveConverter):
            shape = (number, steps, converter.control_depth)
            controls = rng.integers(0, 2, shape).astype(np.int8)
        elif converter.control_depth == 61:
            columns = [rng.integers(0, d, (number, steps)) for d in (49, 12)]
            controls = np.stack(columns, axis=-1).astype(np.int16)
        else:
            shape = (number, steps)
            controls = rng.integers(0, converter.control_depth, shape).astype(np.int16)
    return Example(outputs, outputs, controls, np.full(number, steps, np.int32))


@pytest.mark.parametrize("name", CONVERTERS)
def test_dense_batches_are_those_of_the_converter(name):
    converter, rng = CONVERTERS[name], np.random.default_rng(0)
    stacked = stack([random_examples(converter, rng, 3, steps) for steps in (STEPS, STEPS // 2)])
    assert (stacked.outputs[-1, -1] == pad_value(stacked.outputs.dtype)).all() or np.isnan(
        stacked.outputs[-1, -1]
    ).all()
    expected = data.dense_batch(stacked, converter)
    batch = tf.nest.map_structure(tf.constant, data.compact_batch(stacked))
    found = densify.dense_on_device(batch, converter.compact)
    for actual, wanted in zip(found, expected, strict=True):
        assert actual.dtype == wanted.dtype
        np.testing.assert_array_equal(actual, wanted)
    assert not found.inputs[-1, -1].numpy().any()


def test_bins_are_made_by_the_converter_alone():
    assert GrooveConverter(num_velocity_bins=3, num_offset_bins=3).compact is None
