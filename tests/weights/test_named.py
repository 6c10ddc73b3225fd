"""A model is found by a name, an id or a path, and brings its config."""

import dataclasses
import shutil

import pytest

import music_vae
from music_vae.common.errors import UserError
from music_vae.configs import get_config
from music_vae.weights import named, published, shipped


def test_every_model_that_comes_with_the_package_is_found_by_its_names():
    models = shipped.models()
    assert [model.name for model in models] == shipped.names()
    assert {m.short_name: m.name for m in models if m.short_name} == shipped.ALIASES
    for model in models:
        for name in filter(None, (model.name, model.short_name)):
            config, source = named.find(name)
            assert (config.name, source) == (model.name, shipped.folder(model.name))
        assert model.music == config.data_converter.describe()
        assert model.num_steps == config.hparams.max_seq_len
        assert model.latent_size == config.hparams.z_size


def test_a_model_is_loaded_by_name_or_path_with_its_own_config(tiny_run, tiny_config):
    weights = tiny_run / "train" / "weights.safetensors"
    for source in (tiny_run, str(tiny_run), tiny_run / "train", weights):
        model = music_vae.load(source)
        assert model.config == tiny_config
    (piece,) = music_vae.load(tiny_run, with_encoder=False).sample(1, seed=1)
    (same,) = music_vae.TrainedModel(tiny_config, 3, tiny_run).sample(1, seed=1)
    assert piece == same


def test_a_checkpoint_here_goes_before_a_name(tmp_path, monkeypatch, tiny_run, tiny_config):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "drums").mkdir()
    assert named.find("drums").source == shipped.folder(shipped.ALIASES["drums"])
    shutil.copytree(tiny_run, tmp_path / "melody")
    assert named.find("melody") == (tiny_config, "melody")


def test_a_published_id_has_the_config_that_it_was_published_with():
    for id, entry in published.PUBLISHED.items():
        assert named.find(id) == (get_config(entry.config), id)


def test_weights_alone_need_the_config(tmp_path, tiny_run, tiny_config):
    weights = shutil.copy(tiny_run / "train" / "weights.safetensors", tmp_path)
    with pytest.raises(UserError, match=r"no config.json lies beside .*; give its `config`, too"):
        music_vae.load(weights)
    assert music_vae.load(weights, config=tiny_config).config == tiny_config
    with pytest.raises(UserError, match="was trained with the config cat-mel_2bar_mini, not"):
        music_vae.load("melody", config="cat-drums_2bar_mini_lokl")
    other = dataclasses.replace(tiny_config, name="other")
    with pytest.raises(UserError, match="not `config=other`"):
        music_vae.load(tiny_run, config=other)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("melodie", "there is no model 'melodie'; did you mean melody"),
        ("hierdec-trio_16bars", "did you mean hierdec-trio_16bar?"),
        ("cat-mel_2bar_small", "no model of cat-mel_2bar_small comes with music_vae; these do"),
        ("runs/none", "there is no checkpoint 'runs/none'; expected a prefix"),
        ("mine.safetensors", "there is no checkpoint 'mine.safetensors'"),
        ("", "`source` must be the name of a model or the path"),
        (None, "`source` must be the name of a model or the path"),
        (3, "`source` must be the name of a model or the path"),
    ],
)
def test_a_message_says_what_would_be_right(tmp_path, monkeypatch, source, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message.replace("?", r"\?")):
        music_vae.load(source)


def test_a_config_is_one_or_the_name_of_one():
    with pytest.raises(UserError, match="`config` must be a Config or the name of one, not 3"):
        music_vae.load("melody", config=3)
