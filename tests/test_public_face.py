"""The package's face: what may be imported from `music_vae` itself, and what that loads."""

import ast
import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import music_vae
from support.paths import ROOT

ROOT_MODULES = {
    path.stem for path in Path(music_vae.__file__).parent.iterdir() if path.suffix in (".py", "")
}
DOCUMENTED = (
    "attribute_vectors",
    "attributes",
    "conditioning",
    "configs",
    "constraints",
    "data",
    "grooves",
    "latent_space",
    "notes_io",
    "personal_models",
    "priors",
)


def loaded_by(code):
    """The top-level packages in memory after a program, in a process of its own."""
    script = f"import json, sys\n{code}\nprint(json.dumps([name for name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


def test_importing_the_package_loads_nothing_else():
    heavy = {"numpy", "note_seq", "tensorflow", "tqdm"}
    assert not loaded_by("import music_vae; music_vae.__version__; dir(music_vae)") & heavy
    assert not loaded_by("from music_vae import configs") & {"tensorflow", "note_seq"}


def test_the_documented_names_need_no_tensorflow():
    names = ", ".join(["TrainedModel", *DOCUMENTED])
    code = f"from music_vae import {names}\nassert grooves.reconstruct and configs.CONFIG_MAP"
    assert "tensorflow" not in loaded_by(code)
    assert "tensorflow" not in loaded_by("from music_vae import *\nassert notebook.show")


def test_the_documented_names_are_shown():
    names = {"TrainedModel", "__version__", *DOCUMENTED}
    assert names <= set(music_vae.__all__)
    assert set(music_vae.__all__) <= set(dir(music_vae))
    for name in names:
        assert getattr(music_vae, name) is getattr(music_vae, name)


def test_the_functions_that_most_programs_need_are_there():
    names = {"TrainedModel", "load", "models", "read", "save"}
    assert names == set(music_vae._HOMES) <= set(music_vae.__all__) <= set(dir(music_vae))
    for name, home in music_vae._HOMES.items():
        module = importlib.import_module(f"music_vae.{home}")
        assert getattr(music_vae, name) is getattr(module, name)


def test_the_lines_that_a_program_begins_with_need_no_tensorflow(tmp_path):
    path = tmp_path / "melody.mid"
    code = f"""
import music_vae
model = music_vae.load("melody")
assert [model.name for model in music_vae.models() if model.short_name == "melody"]
music_vae.save(model.sample(1, temperature=0.5, seed=0)[0], {str(path)!r})
assert music_vae.read({str(path)!r}).notes
"""
    assert "tensorflow" not in loaded_by(code)


def test_type_checkers_are_told_of_every_name():
    tree = ast.parse(Path(music_vae.__file__).read_text(encoding="utf-8"))
    (block,) = (n for n in tree.body if isinstance(n, ast.If) and n.test.id == "TYPE_CHECKING")
    told = {
        alias.asname: f"{node.module}.{alias.name}".removeprefix("music_vae.")
        for node in block.body
        for alias in node.names
    }
    homes = {name: f"{home}.{name}" for name, home in music_vae._HOMES.items()}
    assert told == homes | music_vae._PUBLIC


@pytest.mark.slow
def test_type_checkers_see_what_a_program_does_wrong(tmp_path):
    pytest.importorskip("mypy")
    program = ROOT / "tests" / "support" / "typed_use.py"
    arguments = [f"--cache-dir={tmp_path}", "--config-file=", "--no-error-summary", str(program)]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(music_vae.__file__).parents[1])},
    )
    found = re.findall(r"typed_use\.py:(\d+): error: .*\[([\w-]+)\]$", done.stdout, re.MULTILINE)
    lines = enumerate(program.read_text(encoding="utf-8").splitlines(), start=1)
    expected = [(str(n), line.split("# error: ")[1]) for n, line in lines if "# error: " in line]
    assert found == expected, done.stdout + done.stderr
    assert done.stdout.count(": error:") == len(expected)


def test_the_package_says_that_it_has_types():
    assert (Path(music_vae.__file__).parent / "py.typed").is_file()
    assert '"py.typed"' in (ROOT / "setup.py").read_text(encoding="utf-8")


def test_names_are_those_of_the_modules_themselves():
    from music_vae import TrainedModel, grooves, trained_model
    from music_vae.latent import grooves as same

    assert grooves is same
    assert TrainedModel is trained_model.TrainedModel


@pytest.mark.parametrize(("name", "path"), [*music_vae._PUBLIC.items(), *music_vae._FORMER.items()])
def test_every_name_stands_for_a_module(name, path):
    assert importlib.util.find_spec(f"music_vae.{path}") is not None
    assert name == path or name not in ROOT_MODULES  # which the name would hide


def test_former_names_go_on_working():
    from music_vae import measures, weights_file
    from music_vae.evaluation import metrics
    from music_vae.weights import safetensors_file

    assert (measures, weights_file) == (metrics, safetensors_file)


def test_names_are_modules_for_import_too():
    code = """
import importlib, sys
import music_vae.notes_io
from music_vae.weights_file import WeightsFile
from music_vae.music import notes_io
from music_vae.weights import safetensors_file
assert music_vae.notes_io is notes_io is sys.modules["music_vae.notes_io"]
assert WeightsFile is safetensors_file.WeightsFile
assert notes_io.__name__ == notes_io.__spec__.name == "music_vae.music.notes_io"
assert importlib.reload(notes_io) is notes_io
import music_vae.attributes as attributes
assert attributes.__name__ == "music_vae.music.attributes"
"""
    assert "tensorflow" not in loaded_by(code)


@pytest.mark.parametrize("name", sorted({*music_vae._PUBLIC, *music_vae._FORMER}))
def test_every_name_can_be_imported_by_its_path(name):
    spec = importlib.util.find_spec(f"music_vae.{name}")
    assert spec.name == f"music_vae.{name}"


def test_to_find_modules_costs_other_imports_nothing():
    names = subprocess.run(
        [sys.executable, "-c", "import sys, music_vae; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "importlib.resources" not in names
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'music_vae\.melody'"):
        importlib.import_module("music_vae.melody")
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'music_vae\.nn\.notes_io'"):
        importlib.import_module("music_vae.nn.notes_io")


def test_an_unknown_name_is_an_error_as_ever():
    with pytest.raises(ImportError, match="cannot import name 'melody'"):
        from music_vae import melody  # noqa: F401
    with pytest.raises(AttributeError, match="module 'music_vae' has no attribute 'melody'"):
        music_vae.melody  # noqa: B018
