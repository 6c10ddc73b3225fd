import subprocess
import sys

import numpy as np
import pytest

from music_vae.music.converters.compact import one_hot
from music_vae.music.converters.melody import OneHotMelodyConverter


def test_an_example_is_trained_on_as_it_stands_unless_a_converter_says_otherwise(piece):
    converter = OneHotMelodyConverter()
    (example,) = converter.extract(piece([(60, 0, 4)])).examples
    assert converter.corrupt(example, np.random.default_rng(0)) is example


def test_to_tensors_is_extract_made_dense(piece):
    sequence = piece([(60, 0, 4), (64, 20, 4)])
    converter = OneHotMelodyConverter(slice_bars=1)
    examples = converter.extract(sequence).examples
    tensors = converter.to_tensors(sequence)
    assert len(examples) == len(tensors.inputs) == len(tensors.outputs) == 2
    for i, example in enumerate(examples):
        np.testing.assert_array_equal(tensors.inputs[i], one_hot(example.inputs, 90))
        np.testing.assert_array_equal(tensors.outputs[i], one_hot(example.outputs, 90))
        assert tensors.controls[i].shape == (16, 0)
        assert tensors.lengths[i] == 16
        assert tensors.lengths[i].dtype == np.int32


@pytest.mark.parametrize("module", ["base", "extract", "melody", "drums", "trio", "groove"])
def test_importing_a_converter_loads_neither_note_seq_nor_tensorflow(module):
    code = (
        f"import sys, music_vae.music.converters.{module}\n"
        "sys.exit(bool({'note_seq', 'tensorflow'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
