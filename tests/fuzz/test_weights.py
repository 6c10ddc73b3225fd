"""Weights and small networks come from anywhere: they are read, or one line says why not."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from music_vae.configs import get_config
from music_vae.latent import attribute_vectors, constraints, personal_models
from music_vae.latent.constraints import Attribute, Constraint
from music_vae.latent.personal_models import PersonalModel
from music_vae.latent.small_networks import NETWORK_FILE, Owner
from music_vae.weights.safetensors_file import WEIGHTS_FILE, WeightsFile
from support.bounds import refused_at_most
from support.mutations import damaged, damaged_json

OWNER = Owner("cat-mel_2bar_small", 3, "key")
CONFIG = get_config("cat-mel_2bar_small", "z_size=3")


def _layers(*sizes):
    rng = np.random.default_rng(0)
    shapes = itertools.pairwise(sizes)
    return [(rng.normal(size=shape), rng.normal(size=shape[1])) for shape in shapes]


def _use_constraint(folder):
    constraint = constraints.read(folder, OWNER)
    sides = {a.name: side for a in constraint.attributes for side in a.sides}
    assert constraint.listed()
    return _points(constraint.prior(sides, 3))


def _use_personal_model(folder):
    return _points(personal_models.read(folder, OWNER).prior())


def _points(prior):
    return prior.points(np.random.default_rng(0).normal(size=(4, prior.size)))


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """A folder of each kind of network, with the function that uses it."""
    folder = tmp_path_factory.mktemp("networks")
    known = [Attribute("note_density", 0.5, ("high", "low")), Attribute("c_diatonic", 1, ("low",))]
    Constraint(_layers(5, 4, 6), known).write(folder / "constraint", OWNER, {"steps": 10})
    PersonalModel(_layers(2, 4, 3)).write(folder / "personal", OWNER, {"steps": 10})
    return {
        folder / "constraint": _use_constraint,
        folder / "personal": _use_personal_model,
    }


def _read_back(use, folder):
    with np.errstate(all="ignore"), refused_at_most():
        z = use(folder)
        assert z.shape == (4, 3) and z.dtype == np.float32
        assert np.isfinite(z).all()


@pytest.mark.parametrize("number", [0, 1])
@given(data=st.data())
def test_descriptions_of_networks(networks, tmp_path_factory, number, data):
    source, use = list(networks.items())[number]
    folder = tmp_path_factory.mktemp("described")
    described = json.loads((source / NETWORK_FILE).read_text())
    (folder / NETWORK_FILE).write_bytes(data.draw(damaged_json(described)))
    (folder / WEIGHTS_FILE).write_bytes((source / WEIGHTS_FILE).read_bytes())
    _read_back(use, folder)


@pytest.mark.parametrize("number", [0, 1])
@given(data=st.data())
def test_weights_of_networks(networks, tmp_path_factory, number, data):
    source, use = list(networks.items())[number]
    folder = tmp_path_factory.mktemp("weighed")
    content = data.draw(damaged((source / WEIGHTS_FILE).read_bytes()))
    (folder / WEIGHTS_FILE).write_bytes(content)
    (folder / NETWORK_FILE).write_bytes((source / NETWORK_FILE).read_bytes())
    _read_back(use, folder)


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    path = tmp_path_factory.mktemp("vectors") / "attributes.safetensors"
    made = {"note_density": np.ones(3), "c_diatonic": np.arange(3)}
    attribute_vectors.write(path, made, CONFIG, num_windows=9)
    return path.read_bytes()


def _with_header(content, header):
    start = 8 + int.from_bytes(content[:8], "little")
    return len(header).to_bytes(8, "little") + header + content[start:]


@given(data=st.data(), in_header=st.booleans())
def test_attribute_vectors(vectors, tmp_path_factory, data, in_header):
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    if in_header:
        end = 8 + int.from_bytes(vectors[:8], "little")
        header = data.draw(damaged_json(json.loads(vectors[8:end])))
        path.write_bytes(_with_header(vectors, header))
    else:
        path.write_bytes(data.draw(damaged(vectors)))
    with np.errstate(all="ignore"), refused_at_most():
        for array in WeightsFile(path).values():
            assert array.sum(dtype=np.float64) is not None
    with np.errstate(all="ignore"), refused_at_most():
        for vector in attribute_vectors.read(path, CONFIG).values():
            assert vector.shape == (3,) and np.isfinite(vector).all()
