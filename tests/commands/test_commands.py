"""All commands have one shape, and start without anything heavy."""

import ast
import dataclasses
import importlib
import os
import subprocess
import sys

import pytest
from absl import flags

from support.commands import ENTRY_POINTS
from support.paths import ROOT

MODULES = sorted(ENTRY_POINTS.values())


def test_eleven_commands_are_installed():
    assert len(ENTRY_POINTS) == 11


@pytest.mark.parametrize("program", ENTRY_POINTS)
def test_every_command_has_the_same_shape(program, capsys):
    module = importlib.import_module(ENTRY_POINTS[program])
    assert program == module.PROGRAM
    assert isinstance(module.FLAGS, flags.FlagValues)
    assert callable(module.console_entry_point)
    assert module.main(["--help"]) == 0
    output = capsys.readouterr().out
    assert output.startswith(module.USAGE.strip())
    assert f"\nFlags of {program}:\n" in output


def test_help_of_the_first_command_has_a_dozen_flags_and_ends_with_where_the_rest_is(capsys):
    generate = importlib.import_module("music_vae.generate")
    assert generate.main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    shown = [line for line in lines if line.startswith("  --")]
    assert 12 <= len(shown) <= 16
    assert lines[-1] == "All flags: music_vae_generate --helpfull"
    assert {name for names in generate.SECTIONS.values() for name in names} <= set(generate.FLAGS)
    assert generate.main(["--helpfull"]) == 0
    everything = capsys.readouterr().out
    assert all(f"{name}=<" in everything for name in ("personal", "engine", "soundfont"))


def test_flags_without_a_use_are_in_the_full_help_of_training_alone(capsys):
    train = importlib.import_module("music_vae.train")
    for flag, is_shown in (("--help", False), ("--helpfull", True)):
        assert train.main([flag]) == 0
        output = capsys.readouterr().out
        assert [f"\n  --{name}=" in output for name in train.OLD_FLAGS] == [is_shown] * 4
        assert "\n  --num_data_threads=" in output


def run(code, **environment):
    environment = {**os.environ, **environment}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("module", MODULES)
def test_numpy_is_told_to_use_one_thread_before_it_is_imported(module):
    code = (
        f"import os, sys; os.environ.pop('OPENBLAS_NUM_THREADS', None); from {module} import main; "
        "early = 'numpy' in sys.modules; main(['--help']); "
        "print(early, os.environ['OPENBLAS_NUM_THREADS'])"
    )
    assert run(code) == "False 1"


def test_a_number_of_threads_that_the_user_chose_stays():
    code = (
        "import os; from music_vae.commands.evaluate import main; main(['--help']); "
        "print(os.environ['OPENBLAS_NUM_THREADS'])"
    )
    assert run(code, OPENBLAS_NUM_THREADS="3") == "3"


@pytest.mark.parametrize("flag", ["--help", "--no_such_flag", "--log=LOUD"])
@pytest.mark.parametrize("module", MODULES)
def test_help_and_wrong_flags_are_answered_before_anything_heavy_is_imported(module, flag):
    code = (
        f"import sys; from {module} import main; code = main([{flag!r}]); "
        "print([m for m in ('tensorflow', 'note_seq', 'numpy') if m in sys.modules], code)"
    )
    assert run(code) == f"[] {0 if flag == '--help' else 2}"


@pytest.mark.parametrize("module", MODULES)
def test_a_run_that_is_not_there_is_said_before_anything_heavy_is_imported(module):
    code = (
        f"import sys; from {module} import main; code = main(['--run_dir=nowhere']); "
        "print([m for m in ('tensorflow', 'note_seq') if m in sys.modules], code)"
    )
    assert run(code) == "[] 2"


def requests():
    """All requests and choices of the commands, by module and name."""
    folder = ROOT / "music_vae" / "commands"
    names = [f"music_vae.commands.{path.stem}" for path in sorted(folder.glob("[a-z]*.py"))]
    for module in map(importlib.import_module, names):
        for name, value in vars(module).items():
            own = isinstance(value, type) and value.__module__ == module.__name__
            if own and (name.endswith(("Request", "Choice")) or name in ("Sampling", "Examples")):
                yield pytest.param(value, id=f"{module.__name__}.{name}")


@pytest.mark.parametrize("kind", requests())
def test_requests_are_frozen(kind):
    assert dataclasses.is_dataclass(kind)
    assert kind.__dataclass_params__.frozen


WITHOUT_FLAGS = (
    *("choices", "conditions", "evaluating_interpolation", "examples"),
    *("generate_request", "generating", "inputs", "piece_files", "tasks"),
)


@pytest.mark.parametrize("name", WITHOUT_FLAGS)
def test_what_works_on_requests_knows_no_flags(name):
    path = ROOT / "music_vae" / "commands" / f"{name}.py"
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            modules |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
    commands = "music_vae.commands"
    assert not modules & {"absl", f"{commands}.cli", f"{commands}.flag_groups"}
