"""`music_vae_evaluate --realism` on random weights: table, JSON, picture, errors."""

import functools
import json
import sys

import numpy as np
import pytest

from music_vae.commands import constrain, evaluate, prior
from music_vae.common.lazy_imports import import_note_seq
from music_vae.dataset import tfrecord
from support.commands import loaded_after

KINDS = ["training", "prior", "posterior", "reconstructions"]


@pytest.fixture
def command(evaluated):
    return functools.partial(evaluated, "--realism", "--num_samples=12")


def test_the_command_prints_tables_and_draws(command, tunes, tmp_path):
    picture = tmp_path / "figure.svg"
    flags = [f"--train_examples_path={tunes}", f"--picture={picture}"]
    code, captured = command(*flags)
    assert code == 0, captured.err
    text = picture.read_text(encoding="utf-8")
    for word in ("notes per bar", "held-out", "reconstructions 4", "prior 1"):
        assert word in text
    lines = captured.out.splitlines()
    code, captured = command(*flags, "--json")
    found = json.loads(captured.out)
    assert lines[0].endswith(
        "at temperature 0.5: 12 windows of 2 held-out pieces, 31 training windows"
    )
    assert lines[1].split() == ["held-out", *KINDS]
    assert list(found["music"]) == KINDS
    assert found["temperature"] == 0.5
    rows = {line.split("  ")[1]: line.split()[-1] for line in lines[2:] if line}
    last = found["music"]["reconstructions"]
    assert rows["dist"] == f"{last['dist']:.2f}"
    assert rows["bits a step"] == f"{last['bits_per_step']:.2f}"
    assert rows["rests"] == f"{found['features']['rests']['reconstructions']:.3f}"
    assert found["held_out"]["copies"] == 1
    assert found["examples"] == {
        "sequences": 3,
        "windows": 31,
        "training_sequences": 3,
        "training_windows": 31,
    }


def test_a_seed_repeats_the_figures_and_the_batch_size_does_not_change_the_samples(command, tunes):
    flags = [f"--train_examples_path={tunes}", "--json"]
    once, again, other = (
        json.loads(command(*flags, f"--seed={seed}")[1].out) for seed in (3, 3, 4)
    )
    assert once == again
    assert once["music"] != other["music"]


def test_the_samples_of_a_constraint_are_judged_beside_those_of_the_prior(
    random_run, tunes, tmp_path, capsys
):
    run, music = f"--run_dir={random_run('cat-mel_2bar_small')}", f"--examples_path={tunes}"
    own = [f"--output={tmp_path / 'own'}", "--num_steps=2", "--hidden=4"]
    assert constrain.main(["train", run, music, "--attribute=note_density", *own]) == 0
    flags = [run, music, "--realism", f"--train_examples_path={tunes}", "--num_samples=12"]
    capsys.readouterr()
    assert evaluate.main([*flags, f"--constraint={tmp_path / 'own'}", "--json"]) == 0
    music = json.loads(capsys.readouterr().out)["music"]
    assert list(music) == ["training", "prior", "constraint", *KINDS[2:]]
    assert music["constraint"] != music["prior"]
    assert evaluate.main([*flags, "--constraint=nowhere"]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_samples_are_drawn_from_the_fitted_prior_where_there_is_one(
    random_run, tunes, tmp_path, capsys
):
    folder = random_run("cat-mel_2bar_small")
    run, music = f"--run_dir={folder}", f"--examples_path={tunes}"
    flags = [run, music, "--realism", f"--train_examples_path={tunes}", "--num_samples=12"]

    def figures(*more):
        capsys.readouterr()
        assert evaluate.main([*flags, *more, "--json"]) == 0
        return json.loads(capsys.readouterr().out)["music"]["prior"]

    before = figures()
    assert prior.main(["fit", run, music]) == 0
    assert (folder / "prior.safetensors").is_file()
    assert figures() == figures("--prior=fitted") != before
    assert figures("--prior=normal") == before
    assert evaluate.main([*flags, "--prior=nowhere.safetensors"]) == 2
    assert "nowhere.safetensors" in capsys.readouterr().err


@pytest.fixture(scope="module")
def grooves(tmp_path_factory):
    """A TFRecord of four grooves of four bars, each in a time of its own."""
    rng, records = np.random.default_rng(0), []
    for shift in (0.02, -0.03, 0.01, 0.0):
        sequence = import_note_seq().NoteSequence()
        sequence.tempos.add(qpm=100)
        for step in range(1, 64):
            start = step * 0.15 + shift
            sequence.notes.add(
                pitch=int(rng.choice([36, 38, 42])),
                velocity=int(rng.integers(30, 110)),
                start_time=start,
                end_time=start + 0.1,
                is_drum=True,
            )
        sequence.total_time = 9.6
        records.append(sequence.SerializeToString())
    path = tmp_path_factory.mktemp("grooves") / "grooves.tfrecord"
    tfrecord.write_records(path, records)
    return path


# The second is told the hits; the third has bins and one row for every drum.
@pytest.mark.parametrize(
    "name", ["groovae_2bar_humanize", "groovae_2bar_hits_control", "groovae_2bar_hits_control_tfds"]
)
def test_grooves_are_set_beside_baselines(name, random_run, grooves, capsys):
    run = [f"--run_dir={random_run(name)}", f"--examples_path={grooves}", "--num_samples=10"]
    flags = ["--realism", f"--train_examples_path={grooves}"]
    assert evaluate.main([*run, *flags, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    groove = found["groove"]
    assert list(groove["all_hits"]["onset_ms"]) == [
        "model",
        "nearest",
        "boosting",
        "median",
        "quantised",
    ]
    assert 0 < groove["all_hits"]["velocity"]["median"]["value"] < 40
    assert found["features"]["velocity"]["held-out"] == pytest.approx(70, abs=10)
    assert evaluate.main([*run, *flags]) == 0
    table = capsys.readouterr().out
    assert "all of the drummer's hits" in table
    assert "velocity error, of 127" in table


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--realism"], "--train_examples_path is required"),
        (["--realism", "--train_examples_path=nothing"], "no file matches nothing"),
        (
            ["--realism", "--train_examples_path=x", "--picture=figure.jpg"],
            "expected the name of a .png or .svg file",
        ),
        (
            ["--realism", "--train_examples_path=x", "--num_samples=1"],
            "--num_samples=1 must be at least 10",
        ),
        (["--realism", "--interpolation"], "give --interpolation or --realism, one of the two"),
        (["--constraint=own"], "--constraint needs --realism"),
        (["--picture=figure.png"], "--picture needs --interpolation or --realism"),
    ],
)
def test_a_mistake_is_one_line(flags, message, random_run, tunes, capsys):
    run = [f"--run_dir={random_run('cat-mel_2bar_small')}", f"--examples_path={tunes}"]
    assert evaluate.main([*run, *flags]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not captured.out


def test_without_scikit_learn_one_line_says_how_to_install_it(command, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    code, captured = command("--train_examples_path=nothing")
    assert code == 2
    assert captured.err == (
        "music_vae_evaluate: --realism needs scikit-learn: pip install 'music_vae[evaluation]'\n"
    )


def test_one_piece_is_too_little(random_run, tunes, tmp_path, capsys):
    first = next(iter(tfrecord.scan(tunes))).data
    tfrecord.write_records(tmp_path / "one.tfrecord", [first])
    run = [f"--run_dir={random_run('cat-mel_2bar_small')}", "--realism", "--num_samples=10"]
    music = [f"--examples_path={tmp_path / 'one.tfrecord'}", f"--train_examples_path={tunes}"]
    assert evaluate.main([*run, *music]) == 2
    assert "music of 1 piece cannot be told apart; give more pieces" in capsys.readouterr().err


def test_music_is_judged_without_tensorflow(random_run, tunes):
    flags = [f"--run_dir={random_run('cat-mel_2bar_small')}", "--realism", "--num_samples=10"]
    flags += [f"--examples_path={tunes}", f"--train_examples_path={tunes}"]
    assert not loaded_after(("music_vae.commands.evaluate", *flags))
