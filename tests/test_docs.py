"""The documentation says what is there: its commands and its Python run, and its names exist.

Every command of the README and of docs/ is run in a folder of sample files, with the small models
and few steps of `SHORTER`, unless `NOT_RUN` says why not; then the command still has to parse it.
A command of a program that is not known here fails.
"""

import argparse
import ast
import contextlib
import functools
import importlib
import io
import json
import re
import runpy
import shutil
import subprocess
import sys

import pytest

from music_vae.commands import attributes, checkpoints, constrain, personalize, prior
from music_vae.commands.tasks import TASKS
from music_vae.common.lazy_imports import import_note_seq
from music_vae.configs import CONFIG_MAP, get_config
from music_vae.music import notes_io
from music_vae.training import cluster
from support import documents
from support.documents import PAGES, README
from support.paths import ROOT, TUNES
from support.sizes import TINY

PACKAGE = ROOT / "music_vae"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
README_LINES = 180

# -- What is run, and how -------------------------------------------------------------------------

SHORTER = {
    "music_vae_train": [f"--hparams={TINY}", "--num_steps=2", "--seed=1"],
    "music_vae_train --patience": ["--validate_every=1"],
    "music_vae_train --holdout": [f"--hparams={TINY.replace('=8', '=2')}", "--validate_every=1"],
    "music_vae_evaluate": ["--num_examples=8", "--num_samples=8"],
    "music_vae_evaluate --interpolation": ["--interpolation_pairs=2"],
    "music_vae_evaluate --realism": ["--num_samples=10"],
    "music_vae_attributes evaluate": ["--num_samples=8"],
    "music_vae_constrain train": ["--num_steps=2", "--hidden=4"],
    "music_vae_constrain evaluate": ["--num_samples=8", "--num_examples=8"],
    "music_vae_personalize": ["--num_steps=2"],
    "music_vae_preprocess": ["--output_shards=2"],
}
"""Flags that are added to commands with all of these words, so that they take seconds."""

PYTHON_SHORTER = {'hparams="batch_size=32"': f'hparams="{TINY}"'}
"""Texts of Python blocks that mean a large model, and what means a small one."""

NOT_RUN = {
    "music_vae_checkpoints download": "downloads a checkpoint",
    "--checkpoint_file=cat-mel_2bar_big": "downloads a checkpoint",
    "--warm_start=cat-mel_2bar_big": "downloads a checkpoint",
    "music_vae_train --config=groovae_2bar_humanize": "downloads a data set",
    "--run_dir=/shared/runs/mine": "waits for other machines",
    "--config=my_configs.py": "tests/test_own_configs.py runs it",
    "--run_dir=runs/mel_4bar": "tests/test_own_configs.py runs it",
    "--runner=FlinkRunner": "needs a cluster",
    "--runner=DataflowRunner": "needs a cluster",
    "--direct_running_mode=multi_processing": "tests/commands/test_preprocess.py runs it",
    "--player=node_modules": "needs a package from npm",
    "python scripts/corpora/folk.py": "needs a corpus",
    "python scripts/corpora/games.py": "needs a corpus",
    "python scripts/corpora/groove.py": "needs a corpus",
    "python scripts/corpora/scores.py": "needs a clone of its source",
    "python scripts/corpora/windows.py": "needs corpora",
    "python scripts/evaluate_shipped.py": "needs corpora",
}
"""Why commands with all of these words are parsed only."""

WRITTEN = {
    "music_vae_train --config": [
        "{run_dir}/train/weights.safetensors",
        "{run_dir}/train/config.json",
    ],
    "music_vae_train --patience": ["{run_dir}/best/weights.safetensors"],
    "music_vae_train --holdout": ["{run_dir}/best/weights.safetensors"],
    "music_vae_train --mode=eval": ["{run_dir}/eval/*"],
    "music_vae_export": ["{output_dir}/*.json"],
    "music_vae_export --demo": ["{output_dir}/index.html", "{output_dir}/weights_manifest.json"],
    "music_vae_export --format=onnx": [
        "{output_dir}/encoder.onnx",
        "{output_dir}/decoder.onnx",
        "{output_dir}/decoder_step.onnx",
        "{output_dir}/model.json",
    ],
    "music_vae_checkpoints export": ["mine.tar"],
    "music_vae_attributes compute": ["{run_dir}/attributes.safetensors"],
    "music_vae_prior fit": ["{run_dir}/prior.safetensors"],
    "music_vae_constrain train": ["{output}/network.json"],
    "music_vae_personalize": ["{output}/network.json"],
    "music_vae_preprocess": ["{output_tfrecord}-*"],
    "convert_dir_to_note_sequences": ["{output_file}"],
    "--picture": ["{picture}"],
}
"""What commands with all of these words write, besides the music of `music_vae_generate`."""

NEW_FOLDERS = {
    "music_vae_train --config": "run_dir",
    "music_vae_constrain train": "output",
    "music_vae_personalize": "output",
}
"""Flags of commands with these words that name a folder which other commands have already."""

SEVERAL_WINDOWS = "music_vae_generate --input_midi=song.mid"
"""Commands whose input holds several windows."""


def matching(table, command):
    """The values of a table whose words the command has."""
    return [value for words, value in table.items() if command.has(words)]


@functools.cache
def programs():
    """The `main` of each console script, by name."""
    text = re.sub(r'"\s*"', "", (ROOT / "setup.py").read_text(encoding="utf-8"))
    scripts = re.findall(r'"(\w+)=([\w.]+):console_entry_point"', text)
    return {name: importlib.import_module(module).main for name, module in scripts}


# -- A folder of sample files ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def library(tmp_path_factory, tiny_run, tunes, windows, random_run):
    """The files that pages name as a reader's own."""
    root = tmp_path_factory.mktemp("library")
    for name in ("examples", "notebooks"):
        (root / name).symlink_to(ROOT / name)
    for path, letter in zip(windows, "abcd", strict=True):
        shutil.copy(path, root / f"{letter}.mid")
    notes_io.write_midi(two_bars_of_drums(), root / "beat.mid")
    shutil.copy(TUNES / "soldiers_joy.mid", root / "song.mid")
    (root / "my_midi" / "more").mkdir(parents=True)
    shutil.copy(TUNES / "soldiers_joy.mid", root / "my_midi")
    shutil.copy(TUNES / "fishers_hornpipe.mid", root / "my_midi" / "more")
    for name in ("mine", "test", "held_out", "all"):
        shutil.copy(tunes, root / f"{name}.tfrecord")
    shutil.copy(tunes, root / "unique.tfrecord-00000-of-00001")
    shutil.copytree(tiny_run, root / "runs" / "mine")
    shutil.copytree(root / "runs" / "mine" / "train", root / "runs" / "mine" / "best")
    shutil.copytree(random_run("cat-mel_2bar_med_chords"), root / "runs" / "chords")
    shutil.copytree(random_run("groovae_2bar_hits_control"), root / "runs" / "hits")
    run, music = f"--run_dir={root / 'runs' / 'mine'}", f"--examples_path={tunes}"
    assert attributes.main(["compute", run, music]) == 0
    assert prior.main(["fit", run, music]) == 0
    few, output = SHORTER["music_vae_constrain train"], f"--output={root / 'my_constraint'}"
    assert constrain.main(["train", run, music, "--attribute=note_density", output, *few]) == 0
    own, output = f"--input_dir={root / 'my_midi'}", f"--output={root / 'my_model'}"
    few = SHORTER["music_vae_personalize"]
    assert personalize.main(["--config=cat-mel_2bar_mini", own, output, *few]) == 0
    assert checkpoints.main(["export", str(root / "runs" / "mine"), str(root / "mine.tar")]) == 0
    return root


@pytest.fixture
def folder(library, tmp_path, monkeypatch):
    """A copy of the library, to work in."""
    copied = tmp_path / "work"
    shutil.copytree(library, copied, symlinks=True)
    monkeypatch.chdir(copied)
    return copied


def two_bars_of_drums():
    """Bass drum and snare on the beats and hi-hat on every eighth note, at 120 a minute."""
    sequence = import_note_seq().NoteSequence()
    sequence.tempos.add(qpm=120)
    for eighth in range(16):
        start = eighth / 4
        for pitch in (42, *((36, 38)[eighth // 2 % 2],) * (eighth % 2 == 0)):
            note = {"pitch": pitch, "velocity": 80, "is_drum": True, "instrument": 9}
            sequence.notes.add(start_time=start, end_time=start + 0.1, **note)
    sequence.total_time = 4.0
    return sequence


# -- Commands -------------------------------------------------------------------------------------


class ParsedError(Exception):
    """Raised by a parser in place of going on with the command."""


def parse(command):
    """Has the program of a command parse it; 0 if it does."""
    first, *arguments = command.words
    if first in programs():
        return programs()[first]([*arguments, "--help"])
    return EXTERNAL[first](command)


def parse_python(command):
    """Checks `python SCRIPT FLAGS` and `python -m MODULE FLAGS`."""
    name, *arguments = command.words[1:]
    if name == "-m":
        return 0 if arguments in (["http.server", "--directory=page"], ["venv", ".venv"]) else 2
    script = ROOT / name
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(script.parent), *sys.path])
        if "argparse" not in script.read_text(encoding="utf-8"):
            return runpy.run_path(str(script))["main"]([*arguments, "--help"])
        whole = argparse.ArgumentParser.parse_args

        def stop(self, *given):
            whole(self, *given)
            raise ParsedError

        patch.setattr(argparse.ArgumentParser, "parse_args", stop)
        patch.setattr(sys, "argv", [str(script), *arguments])
        with pytest.raises(ParsedError):
            runpy.run_path(str(script), run_name="__main__")
    return 0


def parse_pip(command):
    """Checks that the extras of `pip install '.[EXTRA]'` are there, and files of requirements."""
    assert command.words[1] == "install"
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    wanted_words = list(command.words[2:])
    if wanted_words[0] == "-r":
        assert (ROOT / wanted_words[1]).is_file()
        wanted_words = wanted_words[2:]
    for wanted in filter("--no-deps".__ne__, wanted_words):
        extras = re.fullmatch(r"(?:\.|tensorflow|note-seq)(?:\[([\w,-]+)\])?", wanted)
        assert extras, wanted
        for extra in (extras[1] or "").split(",") if wanted.startswith(".[") else ():
            assert f'        "{extra}": [' in setup, extra
    return 0


def parse_make(command):
    """Has make say what it would do, and the commands in that parse their flags."""
    done = subprocess.run(
        ["make", "-n", *command.words[1:]], cwd=ROOT, capture_output=True, text=True, check=True
    )
    lines = done.stdout.replace("\\\n", " ").splitlines()
    for line in lines:
        words = tuple(re.sub(r"^\S*/bin/", "", line).split())
        ours = words[:1] == ("python",) and words[1].startswith("scripts/")
        if ours or (words and words[0] in programs()):
            assert parse(command._replace(words=words)) == 0, line
    return 0


def parse_npm(command):
    """Checks that the versions of packages are those that the tests use."""
    assert command.words[1] == "install"
    tested = json.loads((ROOT / "tests/export/browser/package.json").read_text())["dependencies"]
    for package in command.words[2:]:
        name, _, version = package.rpartition("@")
        assert tested[name] == version
    return 0


def parse_export(command):
    """Checks `export TF_CONFIG=...`."""
    name, _, value = command.words[1].partition("=")
    assert cluster.read_tf_config({name: value}) is not None
    return 0


def parse_tensorboard(command):
    """Has TensorBoard parse its flags."""
    from tensorboard.program import TensorBoard

    TensorBoard().configure(argv=list(command.words))
    return 0


EXTERNAL = {
    "export": parse_export,
    "jupyter": lambda command: 0 if (ROOT / command.words[2]).is_file() else 2,
    "make": parse_make,
    "npm": parse_npm,
    "pip": parse_pip,
    "python": parse_python,
    "python3": parse_python,
    "source": lambda command: 0 if command.words[1:] == (".venv/bin/activate",) else 2,
    "tensorboard": parse_tensorboard,
}
"""How commands of other programs are checked."""

COMMANDS = documents.commands()
RUN = [c for c in COMMANDS if c.words[0] in programs() and not matching(NOT_RUN, c)]


def test_every_command_is_of_a_known_program():
    unknown = [str(c) for c in COMMANDS if c.words[0] not in {*programs(), *EXTERNAL}]
    assert unknown == []


def test_every_reason_not_to_run_a_command_is_used():
    assert [words for words in NOT_RUN if not any(c.has(words) for c in COMMANDS)] == []


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_command_is_parsed_as_it_is_written(command):
    assert parse(command) == 0
    if "hparams" in command.flags and "config" in command.flags:
        get_config(command.flags["config"], command.flags["hparams"])


@pytest.mark.parametrize("command", RUN, ids=str)
def test_a_command_does_what_the_page_says(command, folder, capsys):
    expected = files_of(command)
    for pattern in expected:  # so that what is there was written now
        for path in folder.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for words, flag in NEW_FOLDERS.items():
        if command.has(words):
            shutil.rmtree(folder / command.flags[flag], ignore_errors=True)
    first, *arguments = command.words
    added = [flag for flags in matching(SHORTER, command) for flag in flags]
    code = programs()[first]([*arguments, *added])
    output = capsys.readouterr()
    assert code == (2 if lists_windows(command) else 0), output.err
    assert [pattern for pattern in expected if not list(folder.glob(pattern))] == []
    if first == "music_vae_generate":
        check_music(command, folder, output)
    elif not expected:
        assert output.out.strip()  # it prints


def lists_windows(command):
    """Whether a command lists the windows of its input, as none was chosen."""
    return command.has(SEVERAL_WINDOWS) and "window" not in command.flags


def files_of(command):
    """Patterns of the files that a command writes, besides music."""
    return [p.format_map(command.flags) for found in matching(WRITTEN, command) for p in found]


def check_music(command, folder, output):
    """Checks that there are as many pieces as the flags say, each in all that is rendered."""
    flags = command.flags
    music = folder / flags["output_dir"]
    found = sorted(music.glob("*.mid"))
    if lists_windows(command):
        assert len(found) == 8
        assert output.out.startswith("1: bars 2-3  music/")
        assert "choose one, as in --window=1, or all with --window=all" in output.err
        return
    mode = flags.get("mode", "sample")
    mode = TASKS[mode].mode if mode in TASKS else mode
    one = mode in ("reconstruct", "attribute") and "input_midi" in flags
    count = int(flags.get("num_outputs", 1 if one else 5))
    if "grid" in flags:
        rows, columns = map(int, flags["grid"].split("x"))
        count = rows * columns
    if "--join" in command.words:
        count = 1
    assert len(found) == count
    printed = output.out.split()
    assert {f"{flags['output_dir']}/{path.name}" for path in found} <= set(printed)
    pictures = 1 if mode == "interpolate" else count
    numbers = {"wav": count, "png": pictures, "svg": pictures, "html": 1}
    for name in filter(None, flags.get("render", "").split(",")):
        assert len(list(music.glob(f"*.{name}"))) == numbers[name]


# -- Commands and flags within sentences ----------------------------------------------------------


@functools.cache
def known_flags():
    """The names of all flags of all commands, and of the scripts that pages run."""
    text = io.StringIO()
    scripts = {c.words[:2] for c in COMMANDS if c.words[1:2] and c.words[1].endswith(".py")}
    mains = [*programs().values()]
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(text):
        patch.setattr(sys, "path", [str(ROOT / "scripts" / "corpora"), *sys.path])
        for _, name in sorted(scripts):
            script = runpy.run_path(str(ROOT / name))
            mains += [script["main"]] if "FLAGS" in script else []
        for main in mains:
            assert main(["--helpfull"]) == 0
    names = re.findall(r"^  --(\[no\])?(\w+)", text.getvalue(), re.MULTILINE)
    return {name for _, name in names} | {f"no{name}" for no, name in names if no}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_flags_within_sentences_exist(page):
    for code in documents.inline(page):
        words = tuple(code.replace("'", "").replace("CONFIG", "cat-mel_2bar_mini").split())
        known = words[0] in programs() and any(word.startswith("--") for word in words)
        if known or words[:2] == ("pip", "install") or words[0] == "make":
            assert parse(documents.Command(page, 0, words)) == 0, code
        for flag in re.findall(r"(?<![\w-])--(\w+)", code):
            assert flag in known_flags() | {"help", "helpfull"}, code


# -- Python ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "page", dict.fromkeys(b.page for b in documents.blocks("python")), ids=lambda page: page.name
)
def test_the_python_of_a_page_runs(page, folder):
    """All of its blocks one after the other, as a reader would run them."""
    names = {"__name__": "__main__"}
    for block in documents.read(page).blocks:
        if block.language == "python":
            text = block.text
            for large, small in PYTHON_SHORTER.items():
                text = text.replace(large, small)
            exec(compile("\n" * (block.line - 1) + text, str(page), "exec"), names)


# -- Names ----------------------------------------------------------------------------------------


def test_the_readme_is_short():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= README_LINES


def test_the_table_has_every_config_with_its_sizes():
    page = (ROOT / "docs" / "configs.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([\w-]+)` \|(.*)$", page, re.MULTILINE))
    assert list(rows) == list(CONFIG_MAP)
    for name, row in rows.items():
        music, steps, encoder, z, decoder = (cell.strip() for cell in row.strip(" |").split("|"))
        hparams = CONFIG_MAP[name].hparams
        assert music == CONFIG_MAP[name].data_converter.describe()
        assert (int(steps), int(z)) == (hparams.max_seq_len, hparams.z_size)
        assert encoder.split()[-1] == "-".join(map(str, hparams.enc_rnn_size))
        assert decoder.split()[-1] == "-".join(map(str, hparams.dec_rnn_size))


@pytest.mark.parametrize("page", [*PAGES, CONTRIBUTING], ids=lambda page: page.name)
def test_links_lead_to_files(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", documents.read(page).text):
        assert target.startswith("https://") or (page.parent / target).is_file(), target


@pytest.mark.parametrize("page", [*PAGES, CONTRIBUTING], ids=lambda page: page.name)
def test_modules_and_folders_that_a_page_names_exist(page):
    for code in documents.inline(page):
        if re.fullmatch(r"[\w/]+\.(py|ipynb|md)|(tests|scripts|examples|music_vae)(/\w+)*", code):
            there = [root / code for root in (PACKAGE, ROOT) if (root / code).exists()]
            assert there, code


def rooms():
    """The rooms of the package, floor by floor, as `tests/test_architecture.py` has them."""
    tree = ast.parse((ROOT / "tests" / "test_architecture.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "LADDER":
            return ast.literal_eval(node.value)
    raise AssertionError("there is no LADDER")


def test_the_picture_of_the_rooms_is_the_one_that_is_tested():
    pictures = [b.text for b in documents.read(ARCHITECTURE).blocks if "│" in b.text]
    assert len(pictures) == 1
    floors = [line.split("│")[1].split() for line in pictures[0].splitlines() if "│" in line]
    assert [sorted(floor) for floor in floors] == [sorted(floor) for floor in rooms()]


def test_every_room_has_a_paragraph_and_every_module_lies_in_a_room():
    headings = re.findall(r"^### (\w+)$", documents.read(ARCHITECTURE).text, re.MULTILINE)
    described = {"train", "generate", *headings}
    assert described == {room for floor in rooms() for room in floor}
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).with_suffix("").parts[0]
        assert room in {*described, "__init__"}, path


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "api").glob("*.md")), ids=lambda p: p.name)
def test_what_the_reference_describes_exists(page):
    names = re.findall(r"^::: ([\w.]+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert names
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError:
            module, _, member = name.rpartition(".")
            assert hasattr(importlib.import_module(module), member)
