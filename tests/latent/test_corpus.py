"""Windows of a corpus in the latent space: in chunks, with their controls, and measured."""

import numpy as np
import pytest

from music_vae.common.errors import UserError
from music_vae.configs import get_config
from music_vae.dataset.windows import Window
from music_vae.latent import corpus
from music_vae.music.converters.base import Example
from support.stand_ins import Scale


def window(density, interval):
    tokens = Scale().tokens(density, interval)
    return Window(Example(tokens, tokens, None, np.array(32)), 0.125)


WINDOWS = [window(number / 32, 2) for number in range(3, 8)]


class Counting(Scale):
    """Remembers how many windows it was given with which seed."""

    def __init__(self):
        super().__init__()
        self.given = []

    def encode_tensors(self, inputs, lengths, controls=None, *, seed=None):
        assert controls is None
        self.given.append((len(inputs), seed))
        return super().encode_tensors(inputs, lengths)


def test_windows_are_encoded_in_chunks_each_with_a_seed_of_its_own():
    model = Counting()
    z, mu, sigma = corpus.encode_windows(model, WINDOWS, chunk_size=2, seed=10)
    assert model.given == [(2, 10), (2, 12), (1, 14)]
    np.testing.assert_allclose(mu[:, 0] * 32, [3, 4, 5, 6, 7])
    assert z.shape == sigma.shape == (5, 3)
    corpus.encode_windows(model, WINDOWS)
    assert model.given[3:] == [(5, None)]


def test_windows_have_dense_controls_where_the_representation_has_any():
    converter = get_config("cat-mel_2bar_med_chords").data_converter
    tokens, chords = np.zeros(32, np.int16), np.ones(32, np.int16)
    told = [Window(Example(tokens, tokens, chords, np.array(32)), 0.125)]
    (controls,) = corpus.controls_of(converter, told)
    assert controls.shape == (32, 49)
    assert controls[:, 1].all()
    assert corpus.controls_of(Scale().converter, WINDOWS) is None


def test_attributes_are_measured_window_by_window():
    values = corpus.measure_windows(Scale().converter, WINDOWS)
    np.testing.assert_allclose(values["note_density"] * 32, [3, 4, 5, 6, 7])
    np.testing.assert_array_equal(values["average_interval"], 2)


def test_music_without_attributes_cannot_be_measured():
    trio = get_config("hierdec-trio_16bar").data_converter
    with pytest.raises(UserError, match="attributes are defined for"):
        corpus.measure_windows(trio, [])
