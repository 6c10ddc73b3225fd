"""The models that come with the package are found by the name of their config, and make music."""

import shutil

import numpy as np
import pytest

from music_vae import TrainedModel, generate
from music_vae.common.errors import UserError
from music_vae.configs import MINI_CONFIGS, get_config
from music_vae.latent import attribute_vectors, constraints, grooves
from music_vae.latent.small_networks import Owner
from music_vae.music import attributes, notes_io
from music_vae.weights import config_file, shipped
from music_vae.weights.safetensors_file import WEIGHTS_FILE, WeightsFile
from support.paths import MIDI

MAX_BYTES = 40e6  # of all together


@pytest.fixture
def one_shipped(tiny_run, tmp_path, monkeypatch):
    """A package with one model, that of the tiny config."""
    folder = tmp_path / "models" / "cat-mel_2bar_small"
    folder.mkdir(parents=True)
    for name in (WEIGHTS_FILE, config_file.CONFIG_FILE):
        shutil.copy(tiny_run / "train" / name, folder / name)
    monkeypatch.setattr(shipped, "MODELS_DIR", folder.parent)


def test_a_config_alone_means_its_shipped_model(one_shipped, tmp_path, caplog):
    caplog.set_level("INFO")
    flags = ["--config=cat-mel_2bar_small", "--num_outputs=2", f"--output_dir={tmp_path / 'out'}"]
    assert generate.main(flags) == 0
    assert len(list((tmp_path / "out").glob("*.mid"))) == 2
    assert "using the model cat-mel_2bar_small that comes with music_vae" in caplog.text


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--config=cat-mel_2bar_big"], "no model of cat-mel_2bar_big ships with music_vae"),
        (["--config=cat-mel_2bar_big"], "cat-mel_2bar_small"),
        (["--config=nothing"], "nothing"),
        ([], "comes with music_vae (cat-mel_2bar_small)"),
    ],
)
def test_what_ships_is_said_where_a_model_does_not(one_shipped, tmp_path, capsys, flags, message):
    assert generate.main([*flags, f"--output_dir={tmp_path / 'out'}"]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("name", shipped.names())
def test_a_shipped_model_is_that_of_the_registry_and_makes_music(name):
    folder = shipped.folder(name)
    config = config_file.read(folder)
    assert config == get_config(name) == MINI_CONFIGS[name]
    assert {array.dtype for array in WeightsFile(folder / WEIGHTS_FILE).values()} == {
        np.dtype(np.float16)
    }
    model = TrainedModel(config, 4, folder)
    if config.data_converter.control_depth:  # it completes a beat
        (beat,) = notes_io.read_music_file(MIDI / "drum_pitches" / "sixteenths.mid")
        playing = grooves.Playing(1, 1, "model")
        pieces = grooves.reconstruct(model, beat, 4, playing=playing, temperature=0.5, seed=0)
    else:
        pieces = model.sample(4, temperature=0.5, seed=0)
    assert sum(len(piece.notes) > 3 for piece in pieces) >= 3


def test_in_python_the_name_of_a_config_is_enough():
    config = get_config("cat-mel_2bar_mini")
    model, folder = TrainedModel.shipped(config.name), shipped.folder(config.name)
    assert model.config == config
    named, found = (
        one.decode_to_tensors(np.ones((1, 128)), temperature=0.0)[0]
        for one in (model, TrainedModel(config, 1, folder))
    )
    np.testing.assert_array_equal(named, found)
    vectors = attribute_vectors.of_shipped(config.name)
    assert set(vectors) == set(attributes.names(config.data_converter))
    assert constraints.of_shipped(config.name).wanted({"note_density": "high"}).any()
    for use in (TrainedModel.shipped, attribute_vectors.of_shipped, constraints.of_shipped):
        with pytest.raises(UserError, match="no model of cat-mel_2bar_big ships"):
            use("cat-mel_2bar_big")
    with pytest.raises(UserError, match="constraint"):
        constraints.of_shipped("groovae_4bar_mini")


def test_every_mini_config_ships_a_model_and_all_are_small():
    assert shipped.names() == sorted(MINI_CONFIGS)
    sizes = [path.stat().st_size for path in shipped.MODELS_DIR.rglob("*") if path.is_file()]
    assert sum(sizes) < MAX_BYTES


def test_a_name_that_is_nearly_right_is_suggested():
    with pytest.raises(UserError, match="did you mean cat-mel_2bar_mini"):
        shipped.folder("cat-mel_2bar_small")


def test_the_constraint_of_the_melody_model_is_of_its_weights_and_does_what_it_says():
    config = get_config("cat-mel_2bar_mini")
    folder = shipped.folder(config.name)
    constraint = constraints.read(folder / "constraint", Owner.of(config, folder))
    known = {attribute.name: attribute for attribute in constraint.attributes}
    model = TrainedModel(config, 32, folder, with_encoder=False)
    z = np.random.default_rng(0).standard_normal((32, config.hparams.latent_size))

    def share_of_dense(points):
        made = model.decode_to_tensors(points, None, 0.5, seed=0)
        values = [attributes.measure(model.converter, one)["note_density"] for one in made]
        return np.mean(known["note_density"].labels(np.array(values)) == 1)

    high, low = (
        share_of_dense(constraint.apply(z, constraint.wanted({"note_density": side})))
        for side in ("high", "low")
    )
    assert low < 0.2 < share_of_dense(z) < 0.8 < high
