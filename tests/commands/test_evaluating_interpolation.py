"""`music_vae_evaluate --interpolation` on random weights: table, JSON, picture, errors."""

import functools
import json

import pytest

from music_vae.commands import evaluate
from music_vae.evaluation import interpolation
from support.commands import loaded_after


@pytest.fixture
def command(evaluated):
    return functools.partial(evaluated, "--interpolation", "--interpolation_pairs=3")


def test_the_command_prints_a_table_and_draws(command, tunes, tmp_path):
    picture = tmp_path / "figure.png"
    flags = [f"--train_examples_path={tunes}", f"--picture={picture}"]
    code, captured = command(*flags)
    assert code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    rows = captured.out.splitlines()
    code, captured = command(*flags, "--json")
    found = json.loads(captured.out)
    assert found["temperature"] == 0.5
    assert len(rows) == 3 + interpolation.STEPS + 1
    middle = [found[name][figure][5] for figure in ("hamming", "cost") for name in ("model", "mix")]
    assert rows[3 + 5].split() == ["0.5", *(f"{number:.4f}" for number in middle)]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "--train_examples_path is required"),
        (
            ["--train_examples_path=x", "--picture=figure.jpg"],
            "expected the name of a .png or .svg file",
        ),
        (["--train_examples_path=nothing"], "no file matches nothing"),
    ],
)
def test_a_mistake_is_one_line(command, flags, message):
    code, captured = command(*flags)
    assert code == 2
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not captured.out


def test_a_model_that_is_told_chords_is_refused(random_run, tunes, capsys):
    folder = random_run("cat-mel_2bar_med_chords")
    flags = [f"--run_dir={folder}", "--interpolation", f"--examples_path={tunes}"]
    assert evaluate.main([*flags, f"--train_examples_path={tunes}"]) == 2
    assert "--interpolation is for models without" in capsys.readouterr().err


def test_interpolation_is_measured_without_tensorflow(random_run, tunes):
    flags = [f"--run_dir={random_run('cat-mel_2bar_small')}", "--interpolation"]
    flags += [f"--examples_path={tunes}", f"--train_examples_path={tunes}"]
    assert not loaded_after(("music_vae.commands.evaluate", *flags, "--interpolation_pairs=2"))
