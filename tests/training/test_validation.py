"""Training with validation: the curve, the best weights, stopping, and going on."""

import json

import numpy as np
import pytest
import tensorflow as tf

from music_vae import train
from music_vae.common.batches import Batch
from music_vae.common.errors import UserError
from music_vae.configs import get_config
from music_vae.data import convert
from music_vae.engine.numpy_engine import NumpyEngine
from music_vae.music.notes_io import read_music_file
from music_vae.training import validation
from music_vae.training.request import Schedule
from music_vae.weights import config_file
from music_vae.weights.safetensors_file import WeightsFile
from support.paths import TUNES
from support.sizes import TINY


def command(tunes, run_dir, *flags):
    """Trains the tiny config with a validation after every second step."""
    return train.main(
        [
            *("--config=cat-mel_2bar_small", f"--hparams={TINY}", "--seed=3"),
            *(f"--examples_path={tunes}", f"--validation_path={tunes}", "--validate_every=2"),
            *(f"--run_dir={run_dir}", *flags),
        ]
    )


def losses(run_dir):
    return {line["step"]: line[validation.LOSS] for line in validation.read_curve(run_dir)}


def test_a_run_is_validated_and_its_best_weights_stay(tunes, tmp_path):
    assert command(tunes, tmp_path, "--num_steps=9") == 0
    found = losses(tmp_path)
    assert list(found) == [2, 4, 6, 8]
    best = WeightsFile(tmp_path / "best" / "weights.safetensors")
    assert best.metadata["step"] == str(min(found, key=found.get))
    NumpyEngine(config_file.read(tmp_path / "best"), best)  # nothing is missing


def test_the_figures_are_those_of_an_evaluation_of_the_same_weights(tunes, tmp_path):
    from music_vae import data
    from music_vae.training.run import Run

    assert command(tunes, tmp_path, "--num_steps=2") == 0
    config = config_file.read(tmp_path)
    run = Run(config, tmp_path)
    music = data.load(data.TFRecords(str(tunes)), config, augment=False)
    batches = data.evaluation_batches(music, config)
    expected = run.trainer.evaluate(Batch(*map(tf.constant, batch)) for batch in batches)
    (line,) = validation.read_curve(tmp_path)
    for name, value in expected.items():
        assert line[name] == pytest.approx(value, rel=1e-6), name
    kl = config.hparams.max_beta * line["losses/kl_loss"]
    assert line[validation.LOSS] == pytest.approx(line["losses/r_loss"] + kl, rel=1e-6)


def test_training_stops_when_nothing_gets_better_and_stays_stopped(tunes, tmp_path, caplog):
    worse = "--hparams=learning_rate=2,min_learning_rate=2"  # too large to learn anything
    flags = (f"{worse},{TINY}", "--num_steps=100", "--patience=3")
    assert command(tunes, tmp_path, *flags) == 0
    found = losses(tmp_path)
    best = min(found, key=found.get)
    assert max(found) == best + 3 * 2 < 100
    assert json.loads((tmp_path / "train" / "progress.json").read_text())["finished"]
    caplog.set_level("INFO")
    assert command(tunes, tmp_path, *flags) == 0
    assert losses(tmp_path) == found
    assert f"stopped early; its weights are the best of step {best}" in caplog.text


def test_a_run_that_goes_on_has_the_curve_and_the_best_of_one_that_was_not_interrupted(
    tunes, tmp_path
):
    assert command(tunes, tmp_path / "whole", "--num_steps=8") == 0
    assert command(tunes, tmp_path / "parts", "--num_steps=5") == 0
    ahead = validation.read_curve(tmp_path / "parts")[0] | {"step": 6}  # after the checkpoint
    with (tmp_path / "parts" / validation.CURVE_FILE).open("a") as file:
        file.write(json.dumps(ahead) + "\n")
    assert command(tunes, tmp_path / "parts", "--num_steps=8") == 0
    whole, parts = (losses(tmp_path / name) for name in ("whole", "parts"))
    assert list(whole) == list(parts)
    np.testing.assert_allclose(list(parts.values()), list(whole.values()), rtol=1e-6)
    first, second = (
        WeightsFile(tmp_path / name / "best" / "weights.safetensors") for name in ("whole", "parts")
    )
    assert first.metadata == second.metadata
    for name, value in first.items():
        np.testing.assert_allclose(second[name], value, rtol=1e-5, atol=1e-7, err_msg=name)


def test_losses_from_before_a_change_of_max_beta_are_compared_as_they_would_be_now(tunes, tmp_path):
    assert command(tunes, tmp_path, "--num_steps=2") == 0
    assert command(tunes, tmp_path, "--num_steps=4", f"--hparams={TINY},max_beta=0.9") == 0
    for line in validation.read_curve(tmp_path):
        expected = line["losses/r_loss"] + 0.9 * line["losses/kl_loss"]
        assert line[validation.LOSS] == pytest.approx(expected, rel=1e-6)


def test_teacher_forced_losses_do_not_count_once_a_run_reads_its_own_samples(tunes, tmp_path):
    sizes = "batch_size=8,z_size=4,enc_rnn_size=[6],dec_rnn_size=[6,5],sampling_schedule=constant"
    forced, sampled = (f"--hparams={sizes},sampling_rate={probability}" for probability in (0, 1))
    assert command(tunes, tmp_path, forced, "--num_steps=4") == 0
    curve = tmp_path / validation.CURVE_FILE
    lines = [json.loads(line) for line in curve.read_text().splitlines()]
    for line in lines:  # losses that a run on its own samples never has
        line["losses/r_loss"] = 1e-3
    curve.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert command(tunes, tmp_path, sampled, "--num_steps=8", "--patience=2") == 0
    assert list(losses(tmp_path)) == [2, 4, 6, 8]
    best = WeightsFile(tmp_path / "best" / "weights.safetensors")
    assert int(best.metadata["step"]) > 4


@pytest.mark.parametrize("content", ["no json\n", '{"step": 2}\n', "[1]\n"])
def test_a_damaged_curve_is_said(tunes, tmp_path, capsys, content):
    (tmp_path / validation.CURVE_FILE).write_text(content)
    assert command(tunes, tmp_path, "--num_steps=2") == 2
    assert f"{validation.CURVE_FILE} does not hold" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--patience=3", "--validation_path="), "--patience needs --validation_path"),
        (("--validation_path=nowhere.tfrecord",), "nowhere.tfrecord"),
    ],
)
def test_wrong_flags_are_said(tunes, tmp_path, capsys, flags, message):
    assert command(tunes, tmp_path, *flags) == 2
    assert message in capsys.readouterr().err


class Diverged:
    """A trainer whose weights have become too large to compute with."""

    step = tf.constant(500)

    def __init__(self, loss):
        self.loss = loss

    def evaluate(self, batches):
        return {"losses/r_loss": self.loss, "losses/kl_loss": 1.0}


@pytest.mark.parametrize("loss", [np.nan, np.inf])
def test_weights_whose_loss_is_not_finite_are_not_kept(tmp_path, loss):
    config = get_config("cat-mel_2bar_small", TINY)
    music = convert(read_music_file(TUNES / "soldiers_joy.mid"), config)
    found = validation.Validation(tmp_path, config, music, Schedule(every=500), step=0)
    with pytest.raises(UserError, match=f"validation loss of step 500 is {loss}.*learning_rate"):
        found.validate(Diverged(loss))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "change",
    [
        {"step": "9"},
        {"step": 10**400},
        {"validation_loss": None},
        {"validation_loss": np.nan},
        {"format_version": "1"},
        {"format_version": None},
        {"format_version": [2]},
    ],
)
def test_a_curve_of_other_values_is_said(tmp_path, change):
    line = {"format_version": 1, "step": 500, "validation_loss": 9.5}
    line |= {"losses/r_loss": 9.0, "losses/kl_loss": 2.5}
    path = tmp_path / "validation.jsonl"
    path.write_text(json.dumps(line))
    assert validation.read_curve(tmp_path) == [line]
    path.write_text(json.dumps({**line, **change}))
    with pytest.raises(UserError, match=r"validation.jsonl does not hold the figures"):
        validation.read_curve(tmp_path)
