"""Flags that have no effect on what is asked for are said to have none, for all commands."""

import copy
import dataclasses
import importlib

import pytest

from music_vae import generate
from music_vae.commands import idle_flags
from support import documents
from support.commands import ENTRY_POINTS

CONDITIONS = [
    pytest.param(
        program, condition, names, id=f"{program} {condition.negated * 'not '}{condition.text}"
    )
    for program, rows in idle_flags.TABLE.items()
    for condition, names in rows
]


def run(program, words):
    """What a command says of these words, with a body that does nothing; its exit code."""
    module = importlib.import_module(ENTRY_POINTS[program])
    return dataclasses.replace(module.COMMAND, body=lambda *_: None).main(words)


@pytest.mark.parametrize(("program", "condition", "names"), CONDITIONS)
def test_the_table_names_flags_that_there_are(program, condition, names):
    flags = importlib.import_module(ENTRY_POINTS[program]).FLAGS
    assert set(names) <= set(flags)
    assert len(set(names)) == len(names)
    name = condition.text.removeprefix("--").partition("=")[0]
    if condition.text.startswith("--"):
        assert name in flags or name.removeprefix("no") in flags
        copied = copy.deepcopy(flags)
        copied([program])
        condition.holds(copied, [])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "music_vae_generate --input_midi_1=a.mid",
            ["--input_midi_1 has no effect with --mode=sample"],
        ),
        ("music_vae_generate --mode=similar --input_midi_1=a.mid", []),
        (
            "music_vae_attributes compute --temperature=0.5 --json",
            ["--temperature has no effect with compute", "--json has no effect with compute"],
        ),
        ("music_vae_attributes --temperature=0.5 evaluate --json", []),
        ("music_vae_attributes map --temperature=1", ["--temperature has no effect with map"]),
        ("music_vae_constrain train --num_samples=8", ["--num_samples has no effect with train"]),
        ("music_vae_constrain evaluate --hidden=8", ["--hidden has no effect with evaluate"]),
        (
            "music_vae_constrain evaluate --num_examples=8",
            ["--num_examples has no effect without --examples_path"],
        ),
        (
            "music_vae_prior fit --prior=mine.safetensors --json --components=3",
            ["--prior has no effect with fit", "--json has no effect with fit"],
        ),
        (
            "music_vae_prior evaluate --output=mine.safetensors --components=3 --json",
            ["--output has no effect with evaluate", "--components has no effect with evaluate"],
        ),
        ("music_vae_train --eval_once", ["--eval_once has no effect with --mode=train"]),
        ("music_vae_train --mode=eval --seed=1", ["--seed has no effect with --mode=eval"]),
        ("music_vae_train --mode=eval --nojit", ["--jit has no effect with --mode=eval"]),
        (
            "music_vae_train --validate_every=5",
            ["--validate_every has no effect without --validation_path"],
        ),
        ("music_vae_train --validate_every=5 --validation_path=x", []),
        (
            "music_vae_train --mode=eval --validate_every=5",
            ["--validate_every has no effect with --mode=eval"],
        ),
        (
            "music_vae_evaluate --interpolation --prior=normal",
            ["--prior has no effect with --interpolation"],
        ),
        (
            "music_vae_evaluate --interpolation --num_samples=5",
            ["--num_samples has no effect with --interpolation"],
        ),
        (
            "music_vae_evaluate --num_samples=0 --temperature=1",
            ["--temperature has no effect with --num_samples=0"],
        ),
        ("music_vae_evaluate --num_samples=5 --temperature=1", []),
        (
            "music_vae_evaluate --interpolation --num_samples=0 --temperature=1",
            ["--num_samples has no effect with --interpolation"],
        ),
        ("music_vae_checkpoints list --config=x", ["--config has no effect with list"]),
        (
            "music_vae_preprocess --noenable_filtering --drums_only",
            ["--drums_only has no effect with --noenable_filtering"],
        ),
        ("music_vae_preprocess --drums_only", []),
        (
            "convert_dir_to_note_sequences --pipeline_options=--runner=X --num_workers=2",
            ["--num_workers has no effect with --pipeline_options"],
        ),
        ("music_vae_personalize --beta=2", []),
    ],
)
def test_a_flag_without_effect_is_said_in_a_line(line, said, caplog):
    program, *words = line.split()
    assert run(program, words) == 0
    assert [record.message for record in caplog.records] == said
    assert {record.levelname for record in caplog.records} <= {"WARNING"}


def test_such_a_flag_is_no_error(tmp_path, caplog):
    arguments = ["--config=cat-mel_2bar_mini", "--num_outputs=1", f"--output_dir={tmp_path}"]
    assert generate.main([*arguments, "--input_midi_1=nowhere.mid"]) == 0
    assert len(list(tmp_path.iterdir())) == 1
    assert "--input_midi_1 has no effect with --mode=sample" in caplog.text


@pytest.mark.parametrize("command", documents.commands(), ids=str)
def test_no_command_of_the_documentation_has_such_a_flag(command):
    program, *words = command.words
    if program in ENTRY_POINTS:
        values = copy.deepcopy(importlib.import_module(ENTRY_POINTS[program]).FLAGS)
        values.set_gnu_getopt(True)
        arguments = values([program, *words])[1:]
        assert list(idle_flags.lines(program, values, arguments)) == []
