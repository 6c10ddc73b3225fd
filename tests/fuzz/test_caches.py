"""Caches lie on disks that fail: what is damaged in one is made anew, and nobody notices."""

import json
import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from music_vae.configs import get_config
from music_vae.dataset import loading
from music_vae.dataset.sources import TFRecords
from music_vae.weights import locate
from support import paths
from support.bounds import bounded
from support.mutations import damaged, damaged_json
from support.sizes import TINY

CONFIG = get_config("cat-mel_2bar_small", TINY)
GOLDEN = paths.GOLDEN / "models" / "cat-mel_2bar_small"


@pytest.fixture(scope="module")
def own_cache(tmp_path_factory):
    """A cache that no other test uses."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("own_cache")
        patch.setenv("MUSIC_VAE_CACHE", str(folder))
        logging.disable(logging.WARNING)
        yield folder
        logging.disable(logging.NOTSET)


def _load(tunes):
    music = loading.load(TFRecords(str(tunes)), CONFIG, augment=True, cache=loading.DISK)
    return [np.array(array) for array in music.store.packed]


@pytest.fixture(scope="module")
def examples(own_cache, tunes):
    """The arrays of converted examples, and the content of each file that caches them."""
    arrays = _load(tunes)
    (folder,) = (own_cache / "examples").iterdir()
    return arrays, {path: path.read_bytes() for path in folder.iterdir()}


@given(data=st.data())
def test_converted_examples(examples, tunes, data):
    arrays, contents = examples
    for path, content in contents.items():
        path.write_bytes(content)
    path = data.draw(st.sampled_from(sorted(path for path in contents if contents[path])))
    if path.suffix == ".json" and data.draw(st.booleans()):
        path.write_bytes(data.draw(damaged_json(json.loads(contents[path]))))
    else:
        path.write_bytes(data.draw(damaged(contents[path])))
    with bounded():
        for found, expected in zip(_load(tunes), arrays, strict=True):
            np.testing.assert_array_equal(found, expected)


@pytest.fixture(scope="module")
def converted(own_cache):
    """The weights of a TensorFlow checkpoint, and the file that caches them with its content."""
    weights = {name: np.array(array) for name, array in locate.open_weights(GOLDEN).items()}
    (path,) = (own_cache / "weights").iterdir()
    return weights, path, path.read_bytes()


@given(data=st.data())
def test_converted_weights(converted, monkeypatch, data):
    weights, path, content = converted
    path.write_bytes(data.draw(damaged(content)))
    # The conversion takes TensorFlow and a second.
    monkeypatch.setattr(locate, "_convert", lambda _, target, __: target.write_bytes(content))
    with bounded():
        found = locate.open_weights(GOLDEN)
        assert found.keys() == weights.keys()
        for name, array in found.items():
            np.testing.assert_array_equal(array, weights[name])
