"""The curves of interpolation: by hand on a model that is known."""

import numpy as np
import pytest

from music_vae.common.errors import UserError
from music_vae.configs import get_config
from music_vae.dataset.windows import Window
from music_vae.evaluation import interpolation
from music_vae.evaluation.interpolation import measure
from music_vae.music.converters.base import Example

CONFIG = get_config("cat-mel_2bar_small", "z_size=2")
STEPS = 11


def window(*tokens):
    tokens = np.array(tokens, np.int16)
    return Window(Example(tokens, tokens, None, np.array(len(tokens))), 0.125)


A, B = window(*[40] * 10), window(*[50] * 10)


class Turning:
    """A model whose z is at right angles for A and B, and which goes from A to B step by step.

    Of ten steps as many are B's as there are tenths of the angle behind.
    """

    config = CONFIG
    converter = CONFIG.data_converter
    workers = 1

    def encode_tensors(self, inputs, lengths, controls=None, *, seed=None):
        is_a = [np.argmax(array[0]) == 40 for array in inputs]
        mu = np.array([[1.0, 0] if a else [0, 1.0] for a in is_a])
        return mu, mu, np.ones_like(mu)

    def decode_to_tensors(self, z, length, temperature, *, seed):
        tenths = np.round(np.arctan2(z[:, 1], z[:, 0]) / (np.pi / 20)).astype(int)
        tokens = [np.repeat([40, 50], [10 - number, number]) for number in tenths]
        return [self.converter.dense_outputs(array) for array in tokens]


@pytest.fixture(scope="module")
def found():
    # Every step of the way, in either order, is in the corpus: it costs what the ends do.
    corpus = [window(*np.repeat([40, 50], [10 - n, n])) for n in range(11)]
    return measure(Turning(), [A, B], corpus * 20, pairs=40, seed=1)


def test_the_distance_to_the_first_piece_grows_evenly(found):
    # From B to A the way is the same, backwards: the first note of A comes last.
    np.testing.assert_allclose(found["model"]["hamming"], np.linspace(0, 1, STEPS))
    np.testing.assert_allclose(found["mix"]["hamming"], np.linspace(0, 1, STEPS), atol=0.1)
    assert found["monotone"]
    assert found["fractions"] == [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]


def test_a_mix_of_tokens_costs_more_than_its_ends_and_music_does_not(found):
    model, mix = (np.array(found[name]["cost"]) for name in ("model", "mix"))
    assert [mix[0], mix[-1]] == pytest.approx([1, 1])
    assert mix[3:8].min() > 3
    assert model.max() < mix[3:8].min()
    assert [model[0], model[-1]] == pytest.approx([1, 1])


def test_a_seed_repeats_the_figures():
    one, two = (measure(Turning(), [A, B], [A, B], pairs=3, seed=5) for _ in range(2))
    assert one == two


def test_windows_of_different_lengths_are_compared_as_far_as_the_first_goes():
    assert interpolation._distance(np.array([1, 2, 3, 4]), np.array([1, 9])) == 3 / 4
    trio = np.array([[1, 2, 3], [4, 5, 6]])
    assert interpolation._distance(trio, np.array([[1, 2, 3], [4, 6, 6]])) == 1 / 2


def test_one_window_is_no_pair():
    with pytest.raises(UserError, match="1 window is no pair"):
        measure(Turning(), [A], [A])


def test_a_model_that_is_told_chords_is_refused():
    with pytest.raises(UserError, match="has controls; `interpolation` is for models without"):
        interpolation.check(get_config("cat-mel_2bar_med_chords"))
