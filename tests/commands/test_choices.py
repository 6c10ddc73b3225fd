"""Choices that several commands offer check themselves, and are made of flags in one place."""

import dataclasses
from pathlib import Path

import pytest

from music_vae.commands import attributes, cli, constrain, flag_groups
from music_vae.commands.choices import ModelChoice, Sampling, output_path
from music_vae.commands.examples import Examples
from music_vae.common.errors import UserError
from music_vae.engine import ENGINES
from music_vae.weights import config_file, shipped


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give `config` with the name of a model that comes with music_vae \\(cat-.*`run_dir`"),
        ({"run_dir": "a", "checkpoint_file": "b"}, "`run_dir` or `checkpoint_file`, one of the"),
        ({"checkpoint_file": "nowhere"}, "there is no checkpoint 'nowhere'"),
    ],
)
def test_one_model_has_to_be_named(options, message):
    with pytest.raises(UserError, match=message):
        ModelChoice(**options)


def test_the_config_of_a_run_is_its_own_with_overrides_on_top(tiny_run, tiny_config):
    assert ModelChoice(run_dir=str(tiny_run)).read_config() == tiny_config
    changed = ModelChoice(run_dir=str(tiny_run), hparams="z_size=5").read_config()
    assert changed == tiny_config.replace(hparams=tiny_config.hparams.replace(z_size=5))
    other = ModelChoice(run_dir=str(tiny_run), config="cat-drums_2bar_small")
    with pytest.raises(UserError, match="was trained with the config cat-mel_2bar_small"):
        other.read_config()
    with pytest.raises(UserError, match="`run_dir=nowhere` is not a directory"):
        ModelChoice(run_dir="nowhere").read_config()


def test_a_model_without_a_latent_space_is_refused_where_one_is_needed(random_run):
    folder = random_run("cat-mel_2bar_small", "z_size=0,enc_rnn_size=[6],dec_rnn_size=[6]")
    model = ModelChoice(run_dir=str(folder))
    assert model.read_config().hparams.z_size == 0
    with pytest.raises(UserError, match="has no latent space"):
        model.read_config(with_latent=True)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_model_is_opened_by_either_engine(random_run, engine):
    choice = ModelChoice(run_dir=str(random_run("cat-mel_2bar_small")))
    config = choice.read_config()
    model = choice.open(config, 3, with_encoder=False, engine=engine)
    assert model.config == config == config_file.read(choice.resolve())
    assert choice.label(config) == choice.run_dir


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "`seed=-1` must be at least 0"),
        ({"seed": 2**63}, "must be at most 9223372036854775807"),
        ({"temperature": -0.5}, "`temperature=-0.5` must be at least 0"),
        ({"max_batch_size": 0}, "`max_batch_size=0` must be at least 1"),
    ],
)
def test_numbers_of_sampling_that_are_out_of_range_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        Sampling(**options)


def test_examples_are_all_windows_or_some_of_them(tunes, tiny_config):
    found = Examples(str(tunes)).find(tiny_config)
    assert (len(found.windows), found.num_windows, found.num_sequences) == (31, 31, 3)
    some = Examples(str(tunes), num_examples=4, seed=1).find(tiny_config)
    assert (len(some.windows), some.num_windows) == (4, 31)
    with pytest.raises(UserError, match="`num_examples=0` must be at least 1"):
        Examples(str(tunes), num_examples=0)


def test_flags_make_the_choices():
    values = cli.new_flags()
    flag_groups.define_model(values)
    flag_groups.define_sampling(values, 0.5, repeatable="music")
    flag_groups.define_examples(values, "Music.")
    flag_groups.define_engine(values, "do.")
    flag_groups.define_rendering(values)
    given = ["--config=cat-mel_2bar_mini", "--hparams=z_size=4", "--examples_path=x", "--seed=2"]
    values(["program", *given, "--render=wav,png"])
    assert flag_groups.model(values) == ModelChoice("cat-mel_2bar_mini", hparams="z_size=4")
    assert flag_groups.sampling(values) == Sampling(2, 0.5, 64)
    assert flag_groups.examples(values) == Examples("x", None, 2)
    assert flag_groups.formats(values) == ("wav", "png")
    assert tuple(values["engine"].parser.enum_values) == ENGINES
    assert flag_groups.sampling(values) == dataclasses.replace(Sampling(), seed=2, temperature=0.5)


def test_a_shipped_model_stays_as_it_was_installed(tiny_run, tmp_path):
    def beside(source):
        return Path(source) / "found"

    by_name = ModelChoice(config="cat-mel_2bar_mini")
    by_folder = ModelChoice(run_dir=str(shipped.folder("cat-mel_2bar_mini")))
    for model in (by_name, by_folder):
        with pytest.raises(UserError, match="`output` is required, as cat-mel_2bar_mini comes"):
            output_path(model, None, beside)
        assert output_path(model, tmp_path / "own", beside) == tmp_path / "own"
    link = tmp_path / "link"
    link.symlink_to(shipped.folder("cat-mel_2bar_mini"))
    with pytest.raises(UserError, match="`output` is required"):
        output_path(ModelChoice(run_dir=str(link)), None, beside)
    own = ModelChoice(run_dir=str(tiny_run))
    assert output_path(own, None, beside) == tiny_run / "found"


@pytest.mark.parametrize(
    ("main", "command"),
    [(attributes.main, "compute"), (constrain.main, "train")],
    ids=["attributes", "constrain"],
)
def test_commands_do_not_write_into_the_package(main, command, tunes, monkeypatch, capsys):
    folder = shipped.folder("cat-drums_2bar_mini_hikl")
    before = sorted(folder.rglob("*"))
    assert main([command, f"--config={folder.name}", f"--examples_path={tunes}"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "--output is required, as cat-drums_2bar_mini_hikl comes with music_vae" in error
    assert sorted(folder.rglob("*")) == before
