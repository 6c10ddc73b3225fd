"""`music_vae_train` on real tunes: it trains, saves, goes on, evaluates, and says what is wrong."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from music_vae import train
from music_vae.configs import get_config
from music_vae.dataset import tfrecord
from music_vae.export import tf1
from music_vae.lstm_models import build_model
from music_vae.training import checkpoint_evaluation
from music_vae.training.run import Run
from music_vae.weights import checkpoint_files, config_file, tf_checkpoints
from music_vae.weights.tf_variables import named_variables
from support.events import scalars
from support.sizes import TINY

SLOW = f"{TINY},learning_rate=0.000001,min_learning_rate=0.0000001"


@pytest.fixture
def command(tunes, tiny_config):
    """Runs the command on the tunes with the tiny config; further flags may replace these."""
    hparams = ",".join(
        f"{name}={list(value) if isinstance(value, tuple) else value}".replace(" ", "")
        for name, value in tiny_config.hparams.values().items()
    )

    def run(run_dir, *flags):
        return train.main(
            [
                "--config=cat-mel_2bar_small",
                f"--hparams={hparams}",
                f"--examples_path={tunes}",
                f"--run_dir={run_dir}",
                *flags,
            ]
        )

    return run


def test_a_run_leaves_checkpoint_config_and_progress(tiny_run, tiny_config):
    names = {path.name for path in (tiny_run / "train").iterdir()}
    assert {"checkpoint", "config.json", "progress.json", "model.ckpt-3.index"} <= names
    assert config_file.read(tiny_run) == tiny_config
    progress = json.loads((tiny_run / "train" / "progress.json").read_text())
    assert progress == {"step": 3, "num_steps": 3, "finished": True}


def test_a_run_that_goes_on_ends_where_an_unbroken_one_does(command, tmp_path):
    assert command(tmp_path / "whole", "--num_steps=7", "--seed=5") == 0
    assert command(tmp_path / "parts", "--num_steps=4", "--seed=5") == 0
    assert command(tmp_path / "parts", "--num_steps=7") == 0
    whole, parts = (tf_checkpoints.read_weights(tmp_path / name) for name in ("whole", "parts"))
    for name, expected in whole.items():
        np.testing.assert_array_equal(parts[name], expected, err_msg=name)


def test_examples_can_be_kept_anywhere_or_nowhere(command, tmp_path, monkeypatch):
    monkeypatch.setenv("MUSIC_VAE_CACHE", str(tmp_path / "cache"))
    flags = ["--num_steps=3", "--seed=5"]
    assert command(tmp_path / "memory", "--cache_dataset", *flags) == 0
    assert not (tmp_path / "cache").exists()
    assert command(tmp_path / "disk", "--cache_dataset=disk", "--num_data_threads=2", *flags) == 0
    memory, disk = (tf_checkpoints.read_weights(tmp_path / name) for name in ("memory", "disk"))
    for name, expected in memory.items():
        np.testing.assert_array_equal(disk[name], expected, err_msg=name)
    assert command(tmp_path / "none", "--nocache_dataset", "--num_steps=2", "--seed=5") == 0
    assert command(tmp_path / "none", "--nocache_dataset", "--num_steps=5") == 0
    assert command(tmp_path / "none", "--nocache_dataset", "--mode=eval", "--eval_once") == 0


@pytest.mark.parametrize("good_epochs", [0, 1, 5])
def test_music_that_cannot_be_read_any_more_is_one_line(
    command, tmp_path, capsys, tunes, monkeypatch, good_epochs
):
    path = tmp_path / "tunes.tfrecord"
    path.write_bytes(tunes.read_bytes())
    read, reads = tfrecord.scan, []

    def damaged_later(name):
        reads.append(name)
        if len(reads) > good_epochs:
            path.write_bytes(tunes.read_bytes()[:-9])
        yield from read(name)

    monkeypatch.setattr(tfrecord, "scan", damaged_later)
    flags = [f"--examples_path={path}", "--nocache_dataset", "--num_steps=50"]
    assert command(tmp_path / "run", *flags) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("music_vae_train: ")
    assert "is cut off" in error


def test_a_damaged_record_is_left_out_and_counted_unless_there_are_more_than_allowed(
    command, tmp_path, capsys, caplog, tunes
):
    path, damaged = tmp_path / "tunes.tfrecord", bytearray(2 * tunes.read_bytes())
    damaged[12] ^= 1
    path.write_bytes(damaged)
    flags = [f"--examples_path={path}", "--num_steps=2"]
    assert command(tmp_path / "refused", *flags) == 2
    assert "1 of 6 records of" in (error := capsys.readouterr().err.splitlines()[-1])
    assert "more than --max_damaged=0.01 allows; the first: " in error
    assert command(tmp_path / "run", *flags, "--max_damaged=0.5") == 0
    assert "record 1 has data whose checksum is wrong; the file is damaged; left out" in caplog.text
    assert " examples; left out:\n" in caplog.text
    assert "       2  time signature 2/4\n       1  damaged record\n" in caplog.text


def test_a_run_that_is_killed_goes_on_from_its_last_checkpoint(tunes, tmp_path, monkeypatch):
    code = (
        "import sys; from music_vae import train; from music_vae.training import loop; "
        "loop.CHECKPOINT_EVERY_S = 0.0; "
        "sys.exit(train.main(sys.argv[1:]))"
    )
    hparams = "batch_size=8,z_size=4,enc_rnn_size=[6],dec_rnn_size=[6]"
    arguments = [
        *("--config=cat-mel_2bar_small", f"--examples_path={tunes}", f"--hparams={hparams}"),
        *(f"--run_dir={tmp_path / 'run'}", "--checkpoints_to_keep=2"),
    ]
    process = subprocess.Popen([sys.executable, "-c", code, *arguments, "--num_steps=100000"])
    train_dir, deadline = tmp_path / "run" / "train", time.monotonic() + 300
    while not list(train_dir.glob("model.ckpt-1?.index")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    newest = int(checkpoint_files.newest_prefix(train_dir).name.rpartition("-")[2])
    assert len(list(train_dir.glob("*.index"))) <= 3
    assert train.main([*arguments, f"--num_steps={newest + 2}"]) == 0
    assert checkpoint_files.newest_prefix(train_dir).name == f"model.ckpt-{newest + 2}"


def test_training_that_is_done_does_nothing_more(command, tiny_run):
    before = (tiny_run / "train" / "model.ckpt-3.index").stat().st_mtime_ns
    assert command(tiny_run, "--num_steps=3") == 0
    assert (tiny_run / "train" / "model.ckpt-3.index").stat().st_mtime_ns == before


def test_summaries_hold_losses_schedules_and_metrics(command, tmp_path):
    assert command(tmp_path, "--num_steps=20") == 0
    found = scalars(tmp_path / "train")
    assert set(found) == {
        *("loss", "losses/r_loss", "losses/kl_loss", "losses/kl_bits", "losses/kl_beta"),
        *("learning_rate", "global_norm", "sampling_probability"),
        *("metrics/accuracy", "metrics/mean_per_class_accuracy"),
    }
    assert set(found["loss"]) == {10, 20}


def test_evaluation_prints_the_figures_of_the_newest_checkpoint(command, tiny_run, capsys):
    assert command(tiny_run, "--mode=eval", "--eval_once", "--eval_dir_suffix=_x") == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["step", "3", "as", "in", "training", "teacher-forced"]
    table = {name: [float(cell) for cell in cells] for name, *cells in map(str.split, rows)}
    written = scalars(tiny_run / "eval_x")
    assert set(table) == {name for name in written if not name.startswith("teacher_forced/")}
    for name, cells in table.items():
        expected = [written[key][3] for key in (name, f"teacher_forced/{name}")]
        assert cells == pytest.approx(expected, abs=1e-4)


def test_evaluation_reads_the_config_of_the_run(tiny_run, tunes, capsys):
    arguments = [f"--run_dir={tiny_run}", f"--examples_path={tunes}", "--mode=eval", "--eval_once"]
    assert train.main(arguments) == 0
    assert capsys.readouterr().out.startswith("step 3 ")


def test_evaluation_follows_a_run_to_its_end(command, tmp_path, capsys, monkeypatch):
    """It starts before there is a checkpoint, and training goes on while it waits."""
    monkeypatch.setattr(checkpoint_evaluation, "_POLL_S", 0.0)
    waits = []

    def wait(_):
        waits.append(command(tmp_path, f"--num_steps={2 * len(waits) + 2}", "--seed=1"))
        progress = tmp_path / "train" / "progress.json"
        if len(waits) == 1:
            progress.write_text(progress.read_text().replace("true", "false"))

    monkeypatch.setattr(checkpoint_evaluation.time, "sleep", wait)
    assert command(tmp_path, "--mode=eval") == 0
    heads = [line for line in capsys.readouterr().out.splitlines() if line.startswith("step ")]
    assert [head.split()[:2] for head in heads] == [["step", "2"], ["step", "4"]]


def test_a_loss_that_is_not_finite_stops_with_the_steps_number(
    command, tmp_path, capsys, monkeypatch
):
    from music_vae.training.trainer import Trainer

    step = Trainer.train_step

    def spoilt(self, batch):
        scalars, statistics = step(self, batch)
        nan = {"loss": tf.constant(np.nan)} if int(self.step) == 2 else {}
        return scalars | nan, statistics

    monkeypatch.setattr(Trainer, "train_step", spoilt)
    assert command(tmp_path, "--num_steps=5") == 2
    assert "the loss of step 2 is nan" in capsys.readouterr().err
    assert not list((tmp_path / "train").glob("*.index"))
    assert json.loads((tmp_path / "train" / "progress.json").read_text())["finished"]


def test_weights_that_are_not_finite_are_never_saved(command, tmp_path, capsys, monkeypatch):
    from music_vae.training.trainer import Trainer

    step = Trainer.train_step

    def spoil_weights(self, batch):
        result = step(self, batch)
        bias = self.model.decoder.output_projection.bias
        bias.assign(np.full(bias.shape, np.inf))
        return result

    monkeypatch.setattr(Trainer, "train_step", spoil_weights)
    assert command(tmp_path, "--num_steps=1") == 2
    assert "after step 1 the weight" in capsys.readouterr().err
    assert not list((tmp_path / "train").glob("*.index"))


def test_an_empty_data_set_says_how_much_there_was_and_why_none_of_it_served(
    command, tmp_path, capsys, tunes
):
    ragtime = tmp_path / "ragtime.tfrecord"
    tfrecord.write_records(ragtime, list(tfrecord.read_records(tunes))[2:])
    assert command(tmp_path / "run", f"--examples_path={ragtime}") == 2
    error = capsys.readouterr().err
    assert "1 sequences gave 0 examples (skipped: time signature 2/4: 1)" in error
    assert not (tmp_path / "run").exists()


def test_too_few_examples_for_a_batch_are_an_error(command, tmp_path, capsys):
    assert command(tmp_path, "--hparams=batch_size=64,z_size=2,enc_rnn_size=2,dec_rnn_size=2") == 2
    assert "do not fill a batch of 64" in capsys.readouterr().err


def test_another_seed_than_the_runs_is_refused(command, tiny_run, capsys):
    assert command(tiny_run, "--num_steps=9", "--seed=2") == 2
    assert "was started with --seed=1" in capsys.readouterr().err


def test_sizes_other_than_the_runs_are_refused(command, tiny_run, capsys):
    assert command(tiny_run, "--hparams=batch_size=8,z_size=5,enc_rnn_size=6,dec_rnn_size=6") == 2
    assert "is a checkpoint of another config or other --hparams" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--run_dir="], "--run_dir is required"),
        (["--examples_path="], "--examples_path is required"),
        (["--examples_path=nowhere*"], "nowhere"),
        (["--config=cat"], "unknown config 'cat'"),
        (["--hparams=zsize=3"], "did you mean z_size"),
        (
            ["--hparams=max_seq_len=64"],
            "windows of 2 bars, which are 32 steps, but with max_seq_len=64 it makes 64 "
            "steps (4 bars); set max_seq_len=32, or take a config with windows of 4 bars",
        ),
        (["--tfds_name=groove"], "--examples_path or --tfds_name, not both"),
        (["--mode=play"], "--mode"),
        (["--num_steps=0"], "--num_steps"),
        (["--num_data_processes=0"], "--num_data_processes"),
        (["--cache_dataset=maybe"], "<memory|disk|none|true|false>"),
        (["--strategy=multi_worker"], "needs the environment variable TF_CONFIG"),
        (["--num_ps_tasks=1"], "there are no parameter servers"),
        (["--num_sync_workers=2"], "TF_CONFIG says which workers there are, and it names none"),
        (["--no_such_flag"], "no_such_flag"),
        (["oops"], "unexpected argument 'oops'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(command, tmp_path, capsys, flags, message):
    assert command(tmp_path / "run", *flags) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_another_config_than_the_runs_is_refused(command, tiny_run, capsys):
    assert command(tiny_run, "--config=cat-mel_2bar_big", "--num_steps=9") == 2
    assert "is a run of the config cat-mel_2bar_small" in capsys.readouterr().err


def test_a_run_keeps_its_own_values_when_it_goes_on(tunes, tmp_path):
    first = ["--config=cat-mel_2bar_small", f"--examples_path={tunes}", f"--run_dir={tmp_path}"]
    sizes = "batch_size=8,z_size=4,enc_rnn_size=[6],dec_rnn_size=[6],learning_rate=0.002"
    assert train.main([*first, f"--hparams={sizes}", "--num_steps=1"]) == 0
    assert train.main([*first, "--num_steps=2", "--hparams=free_bits=3"]) == 0
    hparams = config_file.read(tmp_path).hparams
    assert (hparams.learning_rate, hparams.free_bits, hparams.z_size) == (0.002, 3, 4)


def test_a_config_of_another_project_in_the_parent_folder_is_left_alone(command, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    assert command(tmp_path / "run", "--num_steps=1") == 0
    assert command(tmp_path / "run", "--mode=eval", "--eval_once") == 0


def test_a_folder_name_that_tensorflow_takes_for_a_pattern_is_refused(command, tmp_path, capsys):
    assert command(tmp_path / "run[1]", "--num_steps=1") == 2
    assert "must not contain any of * ? [ ]" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_that_is_deleted_meanwhile_does_not_end_an_evaluation(
    command, tmp_path, capsys, monkeypatch
):
    assert command(tmp_path, "--num_steps=2") == 0
    prefixes = checkpoint_evaluation._prefixes
    gone = tmp_path / "train" / "model.ckpt-1"
    monkeypatch.setattr(
        checkpoint_evaluation, "_prefixes", lambda folder: [gone, *prefixes(folder)]
    )
    assert command(tmp_path, "--mode=eval") == 0
    assert capsys.readouterr().out.startswith("step 2 ")


# -- Warm start -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def weights(tmp_path_factory, tiny_config):
    """A published checkpoint in the tiny size, with optimizer slots and a step of its own."""
    variables = named_variables(build_model(tiny_config))
    prefix = tmp_path_factory.mktemp("warm") / "model.ckpt"
    values = {name: variable.numpy() for name, variable in variables.items()}
    slots = {f"{name}/Adam": np.ones_like(value) for name, value in values.items()}
    step = {"global_step": np.int64(9000), "beta1_power": np.float32(0)}
    tf1.write_variables(prefix, values | slots | step)
    return prefix


def test_a_warm_start_has_the_weights_and_else_begins_afresh(weights, tiny_config, tmp_path):
    run = Run(tiny_config, tmp_path / "run", warm_start=weights)
    expected = tf_checkpoints.read_weights(weights)
    for name, variable in named_variables(run.trainer.model).items():
        np.testing.assert_array_equal(variable, expected[name])
    assert (run.step, run.restored) == (0, None)
    cold = Run(tiny_config, tmp_path / "run")
    slots, fresh = (r.trainer.optimizer.variables for r in (run, cold))
    for slot, other in zip(slots, fresh, strict=True):
        np.testing.assert_array_equal(slot, other)


def test_a_warm_start_trains_on_from_the_weights_and_only_once(command, weights, tmp_path, caplog):
    flags = [f"--warm_start={weights}", "--seed=1", "--hparams=" + SLOW]
    with caplog.at_level("INFO", "music_vae"):
        assert command(tmp_path / "run", *flags, "--num_steps=1") == 0
    assert f"starting a new run from {weights}" in caplog.text
    first, expected = (tf_checkpoints.read_weights(p) for p in (tmp_path / "run", weights))
    for name, value in first.items():
        np.testing.assert_allclose(value, expected[name], atol=1e-5, err_msg=name)
    caplog.clear()
    gone = f"--warm_start={tmp_path / 'gone'}"  # it is not needed any more
    with caplog.at_level("INFO", "music_vae"):
        assert command(tmp_path / "run", gone, "--hparams=learning_rate=0.1", "--num_steps=2") == 0
    assert "goes on from its own model.ckpt-1; --warm_start is not used" in caplog.text
    second = tf_checkpoints.read_weights(tmp_path / "run")
    assert max(np.abs(second[name] - value).max() for name, value in first.items()) > 1e-3
    assert checkpoint_files.newest_prefix(tmp_path / "run").name == "model.ckpt-2"


def test_a_warm_start_from_a_run_needs_no_config(tiny_run, tiny_config, tunes, tmp_path):
    run_dir = tmp_path / "run"
    flags = [f"--warm_start={tiny_run}", f"--run_dir={run_dir}", f"--examples_path={tunes}"]
    assert train.main([*flags, "--num_steps=1", "--hparams=free_bits=3"]) == 0
    expected = tiny_config.replace(hparams=tiny_config.hparams.replace(free_bits=3))
    assert config_file.read(run_dir) == expected


def test_a_warm_start_by_id_takes_the_ids_config(
    weights, tunes, tmp_path, http_server, monkeypatch
):
    monkeypatch.setenv("MUSIC_VAE_CACHE", str(tmp_path / "cache"))
    tar = tf1.export(weights, tmp_path / "x.tar").read_bytes()
    http_server.files["cat-mel_2bar_big.tar"] = tar
    flags = [
        *("--warm_start=cat-mel_2bar_big", f"--checkpoint_base_url={http_server.url}"),
        *(f"--run_dir={tmp_path / 'run'}", f"--examples_path={tunes}", f"--hparams={TINY}"),
    ]
    assert train.main([*flags, "--num_steps=1"]) == 0
    assert config_file.read(tmp_path / "run").name == "cat-mel_2bar_big"


def test_a_warm_start_serves_any_config_whose_shapes_agree(weights, tiny_config, tmp_path):
    other = get_config("flat-mel_16bar", TINY.replace(",sampling_rate=10", ""))
    run = Run(other, tmp_path / "run", warm_start=weights)
    mu = named_variables(run.trainer.model)["encoder/mu/kernel"]
    np.testing.assert_array_equal(mu, tf_checkpoints.read_weights(weights)["encoder/mu/kernel"])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--hparams=batch_size=8"], "--hparams=z_size=4,enc_rnn_size=[6],dec_rnn_size=[6,5]"),
        (["--config=cat-drums_2bar_small"], "is a checkpoint of another config"),
        (["--warm_start=nowhere"], "there is no checkpoint 'nowhere'"),
        (["--mode=eval"], "--warm_start is for training"),
        (["--config="], "--warm_start needs --config"),
    ],
)
def test_a_warm_start_that_cannot_be_is_one_line_and_leaves_nothing(
    command, weights, tmp_path, capsys, flags, message
):
    assert command(tmp_path / "run", f"--warm_start={weights}", *flags) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_evaluating_a_run_that_is_not_there_makes_nothing(command, tmp_path, capsys):
    assert command(tmp_path / "run", "--mode=eval", "--eval_once") == 2
    assert "there is no checkpoint" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
