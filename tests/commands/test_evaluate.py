"""`music_vae_evaluate` on a tiny run: figures, table, JSON, and every wrong flag."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from music_vae import train
from music_vae.commands import evaluate
from music_vae.common.lazy_imports import import_note_seq
from music_vae.dataset import tfrecord
from music_vae.engine import ENGINES

TINY = "batch_size=2,z_size=4,enc_rnn_size=[6],dec_rnn_size=[6]"


@pytest.fixture
def command(tiny_run, tunes, capsys):
    def run(*flags):
        code = evaluate.main([f"--run_dir={tiny_run}", f"--examples_path={tunes}", *flags])
        return code, capsys.readouterr()

    return run


def figures_of(command, *flags):
    code, captured = command("--json", *flags)
    assert code == 0
    return json.loads(captured.out)


def test_the_figures_come_as_json(command, tunes):
    figures = figures_of(command, "--num_samples=20", f"--train_examples_path={tunes}")
    assert figures["config"] == "cat-mel_2bar_small"
    assert figures["examples"] == {"sequences": 3, "windows": 31, "windows_evaluated": 31}
    for name in ("accuracy_teacher_forced", "accuracy_sampled"):
        assert 0 < figures[name] < 1
        assert 0 < figures["shuffled_z"][name] < 1
    assert figures["kl_bits"] > 0
    assert 0 < figures["loss_nats_per_step"] < 1.5 * np.log(90)  # hardly trained: a class of 90
    assert figures["groove"] is None
    prior = figures["prior"]
    assert prior["temperature"] == 1
    assert prior["samples"]["pieces"] == 20
    assert prior["samples"]["copies_of_training_windows"] == 0
    assert prior["corpus"]["copies_of_training_windows"] == 1
    assert prior["corpus"]["pieces"] == 31
    assert 5 < prior["corpus"]["notes_per_bar"] < 10
    assert 0 <= prior["histogram_overlap"] <= 1


def test_a_seed_repeats_the_figures_and_the_batch_size_does_not_change_the_subset(command):
    flags = ["--num_examples=5", "--num_samples=4", "--seed=3"]
    once = figures_of(command, *flags)
    assert figures_of(command, *flags) == once
    assert once["examples"]["windows_evaluated"] == 5
    other = figures_of(command, *flags, "--max_batch_size=2")
    assert other["prior"]["corpus"] == once["prior"]["corpus"]
    assert figures_of(command, *flags[:2], "--seed=4")["prior"] != once["prior"]


def test_both_engines_give_the_same_figures(command):
    flags = ["--num_examples=5", "--num_samples=4"]
    ours, theirs = (figures_of(command, *flags, f"--engine={name}") for name in ENGINES)
    assert ours.keys() == theirs.keys()
    for name, figure in ours.items():
        if isinstance(figure, float):
            assert figure == pytest.approx(theirs[name], rel=1e-5), name
    assert ours["shuffled_z"] == pytest.approx(theirs["shuffled_z"])
    assert ours["prior"]["samples"] == theirs["prior"]["samples"]


def test_the_table_says_the_same_and_what_is_left_out(command):
    code, captured = command("--num_examples=5", "--num_samples=4")
    assert code == 0
    lines = captured.out.splitlines()
    assert lines[0].endswith(": 5 of 31 windows of 3 sequences")
    figures = figures_of(command, "--num_examples=5", "--num_samples=4")
    accuracy = [f"{figures[f'accuracy_{name}']:.4f}" for name in ("teacher_forced", "sampled")]
    assert ["accuracy", *accuracy] in [line.split() for line in lines]
    assert any(re.fullmatch(r" +share of copies of training +- +-", line) for line in lines)
    assert lines[-1] == "Copies were not looked for: give --train_examples_path."
    widths = {len(line) for line in lines[1:-1] if len(line.split("  ")) > 3}
    assert len(widths) <= 2  # rows of one and of two figures


def test_one_window_has_no_partner_and_samples_can_be_left_out(command):
    code, captured = command("--num_examples=1", "--num_samples=0")
    assert code == 0
    assert re.search(r"accuracy, shuffled z +- +-\n", captured.out)
    assert "prior samples" not in captured.out
    assert "Copies" not in captured.out


@pytest.fixture(scope="module")
def grooves(tmp_path_factory):
    """A TFRecord of two grooves at 60 quarter notes a minute, one late, one early."""
    records = []
    for shift in (0.02, -0.03):
        sequence = import_note_seq().NoteSequence()
        sequence.tempos.add(qpm=60)
        for step in range(1, 32):
            sequence.notes.add(
                pitch=36 if step % 4 else 38,
                velocity=60 + step,
                start_time=step * 0.25 + shift,
                end_time=step * 0.25 + 0.1,
                is_drum=True,
            )
        sequence.total_time = 8.0
        records.append(sequence.SerializeToString())
    path = tmp_path_factory.mktemp("grooves") / "grooves.tfrecord"
    tfrecord.write_records(path, records)
    return path


# The second is told the hits, so that every sample has controls of its own.
@pytest.mark.parametrize("name", ["groovae_2bar_humanize", "groovae_2bar_hits_control"])
def test_grooves_are_measured_beside_the_quantised_one(name, grooves, tmp_path, capsys):
    flags = [f"--run_dir={tmp_path}", f"--examples_path={grooves}"]
    config = [f"--config={name}", f"--hparams={TINY}", "--num_steps=1", "--seed=1"]
    assert train.main([*flags, *config]) == 0
    assert evaluate.main([*flags, "--num_samples=3", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    errors = figures["groove"]["sampled"]
    assert set(errors) == set(figures["groove"]["teacher_forced"])
    assert 0 < errors["precision"] < 1
    assert 0 < errors["recall"] < 1
    assert 19.9 < errors["onset_baseline_ms"] < 30.1
    assert 0 < errors["velocity_baseline"] < 20
    assert figures["prior"]["samples"]["pieces"] == 3
    table = evaluate.table(figures).splitlines()
    assert any(line.strip().startswith("onset error, ms") for line in table)
    assert any(line.strip().startswith("quantised: on the step") for line in table)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--checkpoint_file=x"], "give --run_dir or --checkpoint_file, one of the two"),
        (["--run_dir="], "give --config with the name of a model that comes with music_vae"),
        (["--run_dir=nowhere"], "--run_dir=nowhere is not a directory"),
        (["--config=cat-mel_2bar_big"], "trained with the config cat-mel_2bar_small"),
        (["--examples_path="], "--examples_path is required"),
        (["--examples_path=nothing"], "no file matches nothing"),
        (["--train_examples_path=nothing"], "no file matches nothing"),
        (["--num_examples=0"], "num_examples"),
        (["--temperature=-1"], "temperature"),
    ],
)
def test_a_users_mistake_is_one_line(command, flags, message):
    code, captured = command(*flags)
    assert code == 2
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not captured.out


def test_music_that_the_config_cannot_use_is_said(command, tmp_path):
    path = tmp_path / "waltz.tfrecord"
    sequence = import_note_seq().NoteSequence()
    sequence.time_signatures.add(numerator=3, denominator=4)
    sequence.notes.add(pitch=60, velocity=80, start_time=0, end_time=1)
    sequence.total_time = 1
    tfrecord.write_records(path, [sequence.SerializeToString()])
    code, captured = command(f"--examples_path={path}")
    assert code == 2
    assert "holds no music for cat-mel_2bar_small (time signature 3/4: 1)" in captured.err


def test_help_needs_no_tensorflow():
    script = (
        "import sys; from music_vae.commands import evaluate; code = evaluate.main(['--help']); "
        "print({'tensorflow', 'note_seq', 'numpy'} & set(sys.modules)); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "set()"
    assert "--train_examples_path" in done.stdout
