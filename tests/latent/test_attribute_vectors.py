"""Attribute vectors: found, written, read, and refused where they are of another model."""

from pathlib import Path

import numpy as np
import pytest

from music_vae.common.errors import UserError
from music_vae.configs import get_config
from music_vae.dataset.windows import Window
from music_vae.latent import attribute_vectors
from music_vae.latent.attribute_vectors import default_path
from music_vae.music.converters.base import Example
from music_vae.weights import safetensors_file
from support.stand_ins import Scale

CONFIG = get_config("cat-mel_2bar_small", "z_size=3")


def test_vectors_are_read_as_they_were_written(tmp_path):
    vectors = {"b": np.arange(3.0), "a": np.ones(3)}
    attribute_vectors.write(tmp_path / "v.safetensors", vectors, CONFIG, num_windows=9)
    found = attribute_vectors.read(tmp_path / "v.safetensors", CONFIG)
    assert set(found) == {"a", "b"}
    np.testing.assert_array_equal(found["b"], [0, 1, 2])


def test_vectors_of_another_model_are_refused(tmp_path):
    path = tmp_path / "v.safetensors"
    attribute_vectors.write(path, {"a": np.ones(3)}, CONFIG, num_windows=9)
    with pytest.raises(UserError, match=r"of another model: .* of shape \[3\]; .* needs \[4\]"):
        attribute_vectors.read(path, get_config("cat-mel_2bar_small", "z_size=4"))
    with pytest.raises(UserError, match="of another model: of 'cat-mel_2bar_small'"):
        attribute_vectors.read(path, get_config("cat-drums_2bar_small", "z_size=3"))


def test_a_vector_without_numbers_is_refused(tmp_path):
    path = tmp_path / "v.safetensors"
    attribute_vectors.write(path, {"a": np.array([1, np.inf, 0])}, CONFIG, num_windows=9)
    with pytest.raises(UserError, match="has a vector of 'a' that is not of numbers"):
        attribute_vectors.read(path, CONFIG)


def test_names_from_a_file_are_escaped(tmp_path):
    path = tmp_path / "v.safetensors"
    attribute_vectors.write(path, {"\x1b[31m": np.full(3, np.inf)}, CONFIG, num_windows=9)
    with pytest.raises(UserError, match=r"has a vector of '\\x1b\[31m' that is not of numbers"):
        attribute_vectors.read(path, CONFIG)
    other = CONFIG.replace(name="other")
    attribute_vectors.write(path, {"a": np.ones(3)}, other, num_windows=9)
    with pytest.raises(UserError, match="of another model: of 'other', of shape"):
        attribute_vectors.read(path, CONFIG)


def test_weights_are_no_vectors(tmp_path):
    safetensors_file.write(tmp_path / "w.safetensors", {"a": np.ones(3)})
    with pytest.raises(UserError, match="holds no attribute vectors; music_vae_attributes makes"):
        attribute_vectors.read(tmp_path / "w.safetensors", CONFIG)


def test_vectors_lie_beside_the_weights(tmp_path):
    (tmp_path / "train").mkdir()
    assert default_path(tmp_path) == tmp_path / "attributes.safetensors"
    assert default_path(tmp_path / "train") == tmp_path / "attributes.safetensors"
    assert default_path("x/mel.safetensors") == Path("x/mel.attributes.safetensors")
    assert default_path("x/mel.tar.gz") == Path("x/mel.attributes.safetensors")


def window(density, interval):
    tokens = Scale().tokens(density, interval)
    return Window(Example(tokens, tokens, None, np.array(32)), 0.125)


def test_vectors_lead_from_windows_with_little_of_an_attribute_to_those_with_much():
    windows = [window(n / 32, 3 + n % 2) for n in range(4, 20)]
    vectors = attribute_vectors.find(Scale(), windows)
    assert set(vectors) > {"note_density", "average_interval"}
    np.testing.assert_allclose(vectors["note_density"], [12 / 32, 0, 0])
    assert vectors["average_interval"][1] == 1


def test_an_attribute_that_does_not_vary_has_no_vector_and_that_is_logged(caplog):
    windows = [window(1 / 2, n) for n in range(8)]
    vectors = attribute_vectors.find(Scale(), windows)
    assert "note_density" not in vectors
    assert "note_density has no vector: the attribute is 0.5 in all 8 examples" in caplog.text
    with pytest.raises(UserError, match=r"none of c_diatonic, .* varies in 8 windows"):
        attribute_vectors.find(Scale(), [window(1 / 2, 2)] * 8)
