"""Attribute vectors at rest: written, read, and refused where they are of another model."""

from pathlib import Path

import numpy as np
import pytest

from music_vae import attribute_vectors, weights_file
from music_vae.attribute_vectors import default_path
from music_vae.configs import get_config
from music_vae.errors import UserError

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
    with pytest.raises(UserError, match="of another model: of cat-mel_2bar_small"):
        attribute_vectors.read(path, get_config("cat-drums_2bar_small", "z_size=3"))


def test_weights_are_no_vectors(tmp_path):
    weights_file.write(tmp_path / "w.safetensors", {"a": np.ones(3)})
    with pytest.raises(UserError, match="holds no attribute vectors; music_vae_attributes makes"):
        attribute_vectors.read(tmp_path / "w.safetensors", CONFIG)


def test_vectors_lie_beside_the_weights(tmp_path):
    (tmp_path / "train").mkdir()
    assert default_path(tmp_path) == tmp_path / "attributes.safetensors"
    assert default_path(tmp_path / "train") == tmp_path / "attributes.safetensors"
    assert default_path("x/mel.safetensors") == Path("x/mel.attributes.safetensors")
    assert default_path("x/mel.tar.gz") == Path("x/mel.attributes.safetensors")
