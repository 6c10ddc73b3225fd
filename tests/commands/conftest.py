"""What tests of several commands share: a model, and the command that evaluates it."""

import pytest

from music_vae.commands import evaluate


@pytest.fixture(scope="module")
def run(random_run):
    """A model of melodies with random weights, in whose folder the tests of a file may write."""
    return random_run("cat-mel_2bar_small")


@pytest.fixture
def evaluated(run, tunes, capsys):
    """Runs `music_vae_evaluate` on that model; gives the exit code and what was printed."""

    def command(*flags):
        code = evaluate.main([f"--run_dir={run}", f"--examples_path={tunes}", *flags])
        return code, capsys.readouterr()

    return command
