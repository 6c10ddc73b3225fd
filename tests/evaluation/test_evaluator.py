"""The passes of an evaluation: what the model is told, with which seeds, in which batches."""

import numpy as np
import pytest

from music_vae.common.errors import UserError
from music_vae.configs import get_config
from music_vae.dataset.windows import Window
from music_vae.evaluation.evaluator import Evaluator, check_latent, window_symbols
from music_vae.music.converters.base import Example

Z = np.arange(3.0)[:, None]


class Recorder:
    """A model that makes silence, and remembers what it was told."""

    batch_size, workers = 2, 1

    def __init__(self, name):
        self.config, self.calls = get_config(name), []

    def decode_to_tensors(self, z, length, temperature, c_input=None, *, seed):
        self.calls.append((z[:, 0].tolist(), temperature, c_input, seed))
        return [np.zeros((32, 90)) for _ in z]

    def reconstruct_tensors(self, z, outputs, lengths, controls=None):
        self.calls.append((z[:, 0].tolist(), outputs, lengths, controls))
        return list(outputs), [np.full(len(array), 0.5) for array in outputs]


def windows(*chords):
    tokens = np.zeros(32, np.int16)
    told = [None if chord is None else np.full(20, chord, np.int16) for chord in chords]
    return [Window(Example(tokens, tokens, own, np.array(32)), 0.125) for own in told]


def test_samples_without_controls_are_made_in_batches_each_with_its_seed():
    model = Recorder("cat-mel_2bar_small")
    made = Evaluator(model, seed=10).sample(Z, windows(None, None, None), "sampling", 0.5)
    assert len(made) == 3
    assert model.calls == [([0, 1], 0.5, None, 10), ([2], 0.5, None, 12)]


def test_samples_with_controls_are_made_one_by_one_with_their_own():
    model = Recorder("cat-mel_2bar_med_chords")
    made = Evaluator(model, seed=10).sample(Z, windows(1, 8, 22), "sampling")
    assert len(made) == 3
    assert [(z, seed) for z, _, _, seed in model.calls] == [([0], 10), ([1], 11), ([2], 12)]
    for chord, (*_, control, _) in zip((1, 8, 22), model.calls, strict=True):
        assert control.shape == (32, 49)
        np.testing.assert_array_equal(np.flatnonzero(control[:, chord]), np.arange(20))


def test_what_is_read_is_as_long_as_the_window():
    model = Recorder("cat-mel_2bar_small")
    read = [np.ones((40, 90)), np.ones((5, 90)), np.ones((32, 90))]
    made, losses = Evaluator(model).expect(Z, windows(None, None, None), "reading", read)
    assert [array.sum() for array in made] == [32 * 90, 5 * 90, 32 * 90]
    assert [len(outputs) for _, outputs, *_ in model.calls] == [2, 1]
    np.testing.assert_array_equal(losses, 16)
    converter = model.config.data_converter
    told, _ = Evaluator(model).expect(Z[:1], windows(None), "teacher forcing")
    np.testing.assert_array_equal(told[0], converter.dense_outputs(np.zeros(32, np.int16)))
    np.testing.assert_array_equal(window_symbols(converter, windows(None)[0]), np.zeros(32))


def test_a_model_without_a_latent_space_is_refused():
    with pytest.raises(UserError, match="has no latent space"):
        check_latent(get_config("cat-mel_2bar_small", "z_size=0"))
    check_latent(get_config("cat-mel_2bar_small"))
