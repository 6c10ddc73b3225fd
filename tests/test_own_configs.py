"""A researcher's own config works with the commands, as docs/extending.md says: its code is run."""

import json
import shlex
import shutil
import sys

import pytest

from music_vae import data, generate, train
from music_vae.commands import (
    attributes,
    checkpoints,
    config_flag,
    constrain,
    evaluate,
    export,
    personalize,
    preprocess,
    prior,
)
from music_vae.weights import config_file
from support import documents
from support.paths import ROOT, TUNES

EVEN = "batch_size=8,z_size=4,enc_rnn_size=[6],dec_rnn_size=[6,6]"

PAGE = ROOT / "docs" / "extending.md"
BLOCKS = documents.read(PAGE).blocks
CODE = "\n".join(block.text for block in BLOCKS if block.text.startswith("# my_configs.py"))
COMMANDS = [command for command in documents.commands() if command.page == PAGE]
PROGRAMS = {
    "music_vae_attributes": attributes.main,
    "music_vae_checkpoints": checkpoints.main,
    "music_vae_evaluate": evaluate.main,
    "music_vae_constrain": constrain.main,
    "music_vae_export": export.main,
    "music_vae_generate": generate.main,
    "music_vae_personalize": personalize.main,
    "music_vae_prior": prior.main,
    "music_vae_train": train.main,
}
SHORTER = {
    "music_vae_train": [f"--hparams={EVEN}", "--num_steps=3", "--seed=1"],
    "music_vae_evaluate": ["--num_examples=8", "--num_samples=8"],
    "music_vae_generate": ["--seed=1"],
}
OWN = "--config=my_configs.py:RHYTHM_4BAR"


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tunes):
    """The folder in which a reader follows the page: with my_configs.py and music."""
    with pytest.MonkeyPatch.context() as patch:
        path = tmp_path_factory.mktemp("own")
        patch.chdir(path)
        patch.setattr(sys, "path", list(sys.path))
        (path / "my_configs.py").write_text(CODE)
        shutil.copy(TUNES / "soldiers_joy.mid", path / "song.mid")
        for name in ("mine", "test"):
            shutil.copy(tunes, path / f"{name}.tfrecord")
        yield path
        sys.modules.pop("my_configs", None)


def run(line, *more):
    """Runs a command with less to do; its exit code."""
    program, *words = shlex.split(line)
    return PROGRAMS[program]([*words, *SHORTER.get(program, ()), *more])


@pytest.fixture(scope="module")
def done(folder):
    """Runs the commands of the page in their order; their exit codes."""
    return {command: run(shlex.join(command.words)) for command in COMMANDS}


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_command_of_the_page_succeeds(done, command):
    assert done[command] == 0


def test_runs_and_music_are_as_the_page_says(done, folder):
    melody = config_file.read(folder / "runs" / "mel_4bar")
    assert (melody.name, melody.hparams.max_seq_len) == ("mel_4bar", 64)
    for name in ("mel_4bar", "rhythm_4bar"):
        assert len(list((folder / "music").glob(f"{name}_sample_*.mid"))) == 5
    written = json.loads((folder / "runs/rhythm/train/config.json").read_text())
    (said,) = (json.loads(block.text) for block in BLOCKS if block.language == "json")
    assert said.items() <= written["config"]["data_converter"].items()
    assert (folder / "page" / "config.json").is_file()
    assert (folder / "onnx" / "decoder_step.onnx").is_file()


# -- Runs with a class of one's own ---------------------------------------------------------------


@pytest.fixture(scope="module")
def rhythm(done, folder):
    """The directory of a run of the page's own representation."""
    return folder / "runs" / "rhythm"


MUSIC = "--examples_path=test.tfrecord"
NEEDS = (
    "it needs the class 'RhythmConverter' of my_configs.py, which is not a part of music_vae; give "
    "the config that the model was trained with, --config=my_configs.py:NAME, to have that code "
    "imported"
)


@pytest.mark.parametrize(
    "line",
    [
        f"music_vae_train {MUSIC}",
        f"music_vae_train {MUSIC} --mode=eval --eval_once",
        "music_vae_generate --output_dir=music",
        f"music_vae_evaluate {MUSIC}",
        f"music_vae_attributes compute {MUSIC}",
        f"music_vae_constrain train {MUSIC} --attribute=note_density --output=x",
        f"music_vae_prior fit {MUSIC}",
        "music_vae_personalize --input_midi=song.mid --output=x",
        "music_vae_export --output_dir=x",
        "music_vae_export --output_dir=x --format=onnx",
    ],
)
def test_without_the_config_a_run_is_refused_with_what_it_needs(rhythm, capsys, line):
    assert run(f"{line} --run_dir={rhythm}") == 2
    error = capsys.readouterr().err
    assert error.endswith(f"config.json: {NEEDS}\n")
    assert error.count("\n") == 1


def test_checkpoints_and_warm_starts_need_the_config_as_well(rhythm, folder, capsys):
    for line in (
        f"music_vae_checkpoints info {rhythm}",
        f"music_vae_checkpoints export {rhythm} x.tar",
        f"music_vae_train --warm_start={rhythm} --run_dir=runs/warm {MUSIC}",
    ):
        assert run(line) == 2
        assert NEEDS in capsys.readouterr().err
    warm = f"music_vae_train {OWN} --warm_start={rhythm} --run_dir=runs/warm {MUSIC}"
    assert run(warm) == 0
    assert run(f"music_vae_checkpoints export {rhythm} x.tar {OWN}") == 0
    capsys.readouterr()
    assert run(f"music_vae_evaluate --checkpoint_file=x.tar {MUSIC}") == 2
    assert NEEDS in capsys.readouterr().err
    assert run(f"music_vae_evaluate --checkpoint_file=x.tar {MUSIC} {OWN}") == 0


def test_a_checkpoint_says_that_it_fits_ones_own_config(rhythm, folder, capsys):
    """Also one by itself, to which no config.json says what it is, and in other sizes."""
    assert run(f"music_vae_checkpoints info {rhythm} {OWN}") == 0
    assert f"fits        {OWN} --hparams=" in capsys.readouterr().out
    assert run(f"music_vae_checkpoints info {folder / 'runs' / 'mel_4bar'}") == 0
    assert "fits        mel_4bar, its own config\n" in capsys.readouterr().out
    alone = folder / "alone"
    shutil.copytree(rhythm / "train", alone)
    (alone / "config.json").unlink()
    assert run(f"music_vae_checkpoints info {alone}") == 0
    assert "fits        no published config; --config=FILE.py" in capsys.readouterr().out
    assert run(f"music_vae_checkpoints info {alone} {OWN}") == 0
    shown = capsys.readouterr().out
    assert "config      not said\n" in shown
    assert f"fits        {OWN} --hparams=z_size=4,enc_rnn_size=[6],dec_rnn_size=[6,6]\n" in shown


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("my_configs.py:MEL_4BAR", NEEDS),
        ("cat-mel_2bar_small", NEEDS),
        ("edited.py:RHYTHM_4BAR", "when it had another data_converter than --config=edited.py:RHY"),
        ("edited.py:OTHER", "config rhythm_4bar, not --config=edited.py:OTHER"),
    ],
)
def test_a_config_that_is_not_the_runs_is_refused(rhythm, folder, capsys, config, message):
    edited = CODE.replace("slice_bars: int = 4", "slice_bars: int = 3").replace(
        "hparams=MEL_4BAR.hparams, ", "hparams=MEL_4BAR.hparams.replace(max_seq_len=48), "
    )
    (folder / "edited.py").write_text(f"{edited}\nOTHER = RHYTHM_4BAR.replace(name='other')\n")
    for line in ("music_vae_generate", f"music_vae_train {MUSIC}"):
        assert run(f"{line} --run_dir={rhythm} --config={config}") == 2
        assert message in capsys.readouterr().err


def test_training_goes_on_in_several_processes(rhythm):
    line = f"music_vae_train {OWN} --run_dir={rhythm} --examples_path=mine.tfrecord"
    assert run(f"{line} --num_data_processes=2") == 0  # those who convert find the class
    assert run(line, "--num_steps=5") == 0
    assert (rhythm / "train" / "model.ckpt-5.index").is_file()


def test_the_config_of_a_run_trains_another(done, folder):
    config = folder / "runs" / "mel_4bar" / "train" / "config.json"
    line = f"music_vae_train --config={config} --run_dir=runs/again --examples_path=mine.tfrecord"
    assert run(line) == 0
    assert config_file.read(folder / "runs" / "again") == config_file.read(config.parent)


def test_a_representation_that_other_programs_do_not_know_is_refused_by_name(rhythm, capsys):
    for flag in ("--format=onnx", "--format=tfjs"):
        assert run(f"music_vae_export {OWN} --run_dir={rhythm} --output_dir=x {flag}") == 2
        assert "RhythmConverter" in capsys.readouterr().err


def test_a_config_of_ones_own_has_no_model_that_ships(folder, capsys):
    assert run(f"music_vae_generate {OWN}") == 2
    assert (
        "is a config of your own; give the model, too, as --run_dir or --ch"
        in capsys.readouterr().err
    )


def test_unique_examples_are_made_of_ones_own_representation(folder, monkeypatch):
    pytest.importorskip("apache_beam")
    flags = ["--input_tfrecord=mine.tfrecord", "--output_tfrecord=unique", "--output_shards=1"]
    assert preprocess.main([OWN, *flags]) == 0
    assert (folder / "unique").is_file()


def test_examples_on_disk_are_made_anew_when_ones_own_code_changes(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("MUSIC_VAE_CACHE", str(tmp_path))
    config = config_flag.get_config("my_configs.py:RHYTHM_4BAR")

    def folders():
        data.load(data.TFRecords("mine.tfrecord"), config, cache="disk").close()
        return len(list(tmp_path.rglob("index.json")))

    assert [folders(), folders()] == [1, 1]
    with (folder / "my_configs.py").open("a") as file:
        file.write("# which may be an important change\n")
    assert folders() == 2


# -- Code of one's own that is wrong --------------------------------------------------------------


@pytest.mark.parametrize("cache", ["memory", "none"])
@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        (
            "return one_hot(inputs, self.input_depth)",
            "return one_hot(inputs, 5)",
            "dense_inputs makes rows [64, 5] of an example; with input_depth=3 it should make",
        ),
        (
            "return one_hot(outputs, self.output_depth)",
            "return one_hot(outputs, 4)",
            "dense_outputs makes rows [64, 4] of an example; with output_depth=3 it should make",
        ),
        (
            "return one_hot(outputs, self.output_depth)",
            "return one_hot(outputs, self.depth)",
            "dense_outputs fails with AttributeError: 'RhythmConverter' object has no attribute",
        ),
        (
            "    def extract(self",
            "    control_depth = 2\n\n    def extract(self",
            "its examples have no controls, and control_depth is 2",
        ),
        (
            "Example(window, window, None, length_of(len(window)))",
            "Example(window, window, window, length_of(len(window)))",
            "its examples have controls, and control_depth is 0",
        ),
        (
            "    def extract(self",
            "    length_shape = (2,)\n\n    def extract(self",
            "the length of an example has shape [], and length_shape is [2]",
        ),
    ],
)
def test_a_converter_whose_arrays_are_not_as_it_says_leaves_no_run(
    folder, tmp_path, monkeypatch, capsys, right, wrong, message, cache
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert CODE.count(right) == 1
    (tmp_path / "my_wrong.py").write_text(CODE.replace(right, wrong))
    monkeypatch.delitem(sys.modules, "my_wrong", raising=False)
    line = f"music_vae_train --config=my_wrong.py:RHYTHM_4BAR --run_dir=run --cache_dataset={cache}"
    assert run(f"{line} --examples_path={folder / 'mine.tfrecord'}") == 2
    assert f"the RhythmConverter of rhythm_4bar: {message}" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
