"""Samples from the prior beside a corpus, by a model that plays what it is asked to."""

import numpy as np
import pytest

from music_vae.configs import get_config
from music_vae.dataset.windows import Window
from music_vae.evaluation.evaluator import Evaluator
from music_vae.evaluation.samples import measure, window_keys
from music_vae.music.converters.base import Example

CONFIG = get_config("cat-mel_2bar_small", "z_size=2")


def window(*tokens):
    tokens = np.resize(np.array(tokens, np.int16), 32)
    return Window(Example(tokens, tokens, None, np.array(32)), 0.125)


class OneTune:
    """A model that makes one tune of everything, eight notes in a bar."""

    config = CONFIG
    batch_size, workers = 3, 1
    TUNE = window(40, 0, 42, 0)

    def decode_to_tensors(self, z, length, temperature, *, seed):
        outputs = CONFIG.data_converter.dense_outputs(self.TUNE.example.outputs)
        return [outputs] * len(z)


def test_samples_are_counted_beside_the_corpus():
    silence, same = window(1, 0), window(47, 0, 49, 0)  # `same` in another key
    corpus = [silence, same, same, OneTune.TUNE]
    keys = window_keys([OneTune.TUNE], CONFIG.data_converter)
    found = measure(Evaluator(OneTune()), corpus, 7, train_keys=keys)
    assert found["temperature"] == 1
    assert found["samples"] == {
        "pieces": 7,
        "notes_per_bar": 8,
        "empty_bars": 0,
        "copies_of_training_windows": 1,
    }
    assert found["corpus"] == {
        "pieces": 4,
        "notes_per_bar": 6,
        "empty_bars": 1 / 4,
        "copies_of_training_windows": 3 / 4,
    }
    assert found["histogram_overlap"] == pytest.approx(1 / 3)


def test_copies_are_not_looked_for_without_training_windows():
    found = measure(Evaluator(OneTune()), [OneTune.TUNE], 2, temperature=0.5)
    assert found["temperature"] == 0.5
    assert found["samples"]["copies_of_training_windows"] is None
