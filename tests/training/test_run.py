"""A run on disk."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

from music_vae.common.errors import UserError
from music_vae.configs import get_config
from music_vae.training import run as run_module
from music_vae.training.run import Run, is_finished, only_one
from music_vae.weights import tf_checkpoints

SIZES = "z_size=2,enc_rnn_size=[4],dec_rnn_size=[4]"


def test_what_a_killed_run_left_is_removed_at_its_next_start(tmp_path):
    run = Run(get_config("cat-mel_2bar_small", SIZES), tmp_path)
    first = run.save()
    train = tmp_path / "train"
    (train / "model.ckpt-7_temp").mkdir()
    (train / "model.ckpt-7_temp" / "part-00000-of-00001.data-00000-of-00001").write_bytes(b"half")
    names = {".weights.x7_ab.safetensors", ".config.x7_ab.json", "checkpoint.tmp12ab"}
    for name in names:
        (train / name).write_bytes(b"half")
    (train / "mine").mkdir()
    before = {path.name for path in train.iterdir()}
    again = Run(run.config, tmp_path)
    assert again.restored == first
    assert before - {path.name for path in train.iterdir()} == {*names, "model.ckpt-7_temp"}


@pytest.fixture
def no_model(monkeypatch):
    """No model can be built."""

    def build_model(*_, **__):
        raise AssertionError("a model was built")

    monkeypatch.setattr(run_module, "build_model", build_model)


def test_weights_of_other_shapes_are_refused_before_a_model_is_built(tmp_path, no_model, tiny_run):
    config = get_config("cat-mel_2bar_small", SIZES)
    for source in (tiny_run, tiny_run / "train" / "weights.safetensors"):
        with pytest.raises(UserError, match="is a checkpoint of another config or other"):
            Run(config, tmp_path / "new", warm_start=source)
    with pytest.raises(UserError, match="is a checkpoint of another config or other"):
        Run(config, tiny_run)
    assert not (tmp_path / "new").exists()


def test_a_run_may_start_from_a_file_of_weights(tmp_path, tiny_run, tiny_config):
    shutil.copy(tiny_run / "train" / "weights.safetensors", tmp_path)
    expected = tf_checkpoints.read_weights(tiny_run)
    for source in (tmp_path, tmp_path / "weights.safetensors"):
        run = Run(tiny_config, tmp_path / "new", warm_start=source)
        assert (run.step, run.restored) == (0, None)
        for name, array in tf_checkpoints.weights_of(run.trainer.model).items():
            np.testing.assert_array_equal(array, expected[name])


def test_what_a_config_does_not_use_is_said_once(tmp_path, tiny_config, with_more, caplog):
    Run(tiny_config, tmp_path / "new", warm_start=with_more)
    assert caplog.text.count("also holds what this config does not use: encoder/more/bias") == 1


def test_a_run_that_another_process_trains_is_refused(tmp_path):
    code = f"""
from pathlib import Path
from music_vae.training.run import only_one
with only_one(Path({str(tmp_path)!r})):
    print("there", flush=True)
    input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "there\n"
        with (
            pytest.raises(UserError, match=r"`run_dir=.*` is being trained by another process"),
            only_one(tmp_path),
        ):
            pass
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]  # the other's, which stays
        other.kill()  # as by a machine that fails: the lock ends with it
    with only_one(tmp_path):
        pass


def test_a_run_that_got_no_files_leaves_no_folder(tmp_path):
    with pytest.raises(UserError, match="no music"), only_one(tmp_path / "new"):
        raise UserError("no music")
    assert not list(tmp_path.iterdir())
    with only_one(tmp_path / "new"):
        (tmp_path / "new" / "train").mkdir()
    assert (tmp_path / "new" / "train").is_dir()


def test_a_drive_without_locks_is_said_and_trained_on(tmp_path, monkeypatch, caplog):
    def refuse(*_, **__):
        raise NotImplementedError

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    with only_one(tmp_path):
        assert "has no locks" in caplog.text


@pytest.mark.parametrize("text", ["", "[]", "3", "{}", "[" * 100_000])
def test_a_damaged_note_of_progress_is_said(tmp_path, text):
    (tmp_path / "progress.json").write_text(text)
    with pytest.raises(UserError, match=r"progress.json does not say how far training is"):
        is_finished(tmp_path)
