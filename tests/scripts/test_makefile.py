"""The recipes of the Makefile that make the shipped models, as `make -n` shows them."""

import importlib
import shlex
import shutil
import subprocess

import pytest

from music_vae.weights import shipped
from support.commands import ENTRY_POINTS
from support.paths import ROOT

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


@pytest.fixture(scope="module", params=shipped.names())
def recipe(request):
    """The name of a shipped model, and the commands that make it, each as its words."""
    done = subprocess.run(
        ["make", "-n", f"train-{request.param}"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.replace("\\\n", " ").splitlines()
    return request.param, [shlex.split(line) for line in lines if "music_vae_" in line]


def test_what_a_recipe_finds_about_a_model_goes_into_its_folder(recipe):
    name, commands = recipe
    (words,) = (words for words in commands if "compute" in words)
    (output,) = (word for word in words if word.startswith("--output="))
    assert (
        ROOT / output.removeprefix("--output=") == shipped.folder(name) / "attributes.safetensors"
    )


def test_the_flags_of_a_recipe_are_flags(recipe):
    _, commands = recipe
    assert len(commands) >= 2
    for program, *words in commands:
        module = importlib.import_module(ENTRY_POINTS[program.rpartition("/")[2]])
        for word in words:
            if word.startswith("--"):
                assert word[2:].partition("=")[0] in module.FLAGS, word
