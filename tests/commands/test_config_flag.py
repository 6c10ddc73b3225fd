"""`--config` finds what it names, imports only that, and says in one line what is wrong with it."""

import dataclasses
import json
import re
import subprocess
import sys
import textwrap

import pytest

from music_vae.commands import config_flag
from music_vae.common.errors import UserError
from music_vae.configs import CONFIG_MAP, get_config
from music_vae.weights import config_file
from support.paths import ROOT

PACKAGE = ROOT / "music_vae"
NAME = "cat-mel_2bar_small"
CODE = """
from music_vae.configs import get_config

MEL = get_config("cat-mel_2bar_small", "z_size=8").replace(name="mel")
DRUMS = get_config("cat-drums_2bar_small").replace(name="drums")
NUMBER = 3
"""


@pytest.fixture(autouse=True)
def forgetful(monkeypatch):
    """Python forgets after each test where it found modules, and which."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith(("mine", "research")):
            del sys.modules[name]


@pytest.fixture
def file(tmp_path):
    """A function that writes a Python file, by default `mine.py` with two configs."""

    def write(code=CODE, name="mine.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(code))
        return path

    return write


def test_a_published_name_stays_what_it_is():
    assert config_flag.get_config(NAME, "z_size=3") == get_config(NAME, "z_size=3")
    assert not any(map(config_flag.is_own, CONFIG_MAP))


def test_a_config_of_a_file_is_found_with_overrides(file):
    config = config_flag.get_config(f"{file()}:MEL", "z_size=3")
    assert config == get_config(NAME, "z_size=3").replace(name="mel")


def test_a_config_of_a_module_is_found_from_the_folder_of_the_command(file, tmp_path, monkeypatch):
    file(name="research/__init__.py", code="")
    file(name="research/models.py")
    monkeypatch.chdir(tmp_path)
    assert config_flag.get_config("research.models:DRUMS").name == "drums"


def test_a_file_may_import_what_lies_beside_it(file):
    file("SIZE = 5", "mine_sizes.py")
    path = file(CODE + "from mine_sizes import SIZE\nMEL = MEL.replace(name=f'mel{SIZE}')\n")
    assert config_flag.get_config(f"{path}:MEL").name == "mel5"


def test_a_json_file_is_what_a_run_holds(tmp_path):
    config = get_config(NAME, "z_size=4").replace(name="mine")
    path = tmp_path / "any name.json"
    path.write_text(config_file.to_text(config))
    assert config_flag.get_config(str(path)) == config
    assert config_flag.get_config(str(path), "z_size=6").hparams.z_size == 6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}:MELODY", "has no config MELODY; it has MEL, DRUMS"),
        ("{}:NUMBER", "NUMBER is no Config but a int; it has MEL, DRUMS"),
        ("{}", "expected .*mine.py:NAME"),
        ("{}:", "cannot read"),
        (":MEL", "cannot read --config=:MEL; expected FILE.py:NAME"),
        ("there/is/none.py:MEL", "there is no file there/is/none.py"),
        ("there/is/none:MEL", "'there/is/none' names neither a module nor a .py file"),
        ("none.json", "there is no such file"),
        ("no_such_module:MEL", "there is no module no_such_module"),
        ("no_such.module:MEL", "there is no module no_such.module"),
        ("music_vae.no_such:MEL", "there is no module music_vae.no_such"),
        ("..relative:MEL", "names neither a module"),
        ("research.module", "cannot read --config=research.module; expected FILE.py:NAME"),
        ("cat-mel_2bars_small", "did you mean cat-mel_2bar_small"),
    ],
)
def test_a_config_that_is_not_there_is_told_in_one_line(file, text, message):
    with pytest.raises(UserError, match=message):
        config_flag.get_config(text.format(file()))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("x = 1\ny = x +\n", r"mine.py, line 2: SyntaxError"),
        ("x = 1\n\ny = x / 0\n", r"mine.py, line 3: ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit(3)\n", r"mine.py, line 2: SystemExit: 3"),
        ("import no_such_library\n", r"mine.py, line 1: ModuleNotFoundError: No module named"),
        ("from . import x\n", r"mine.py, line 1: ImportError"),
        (CODE + "get_config('cat-mel')", r"mine.py, line 7: UserError: unknown config 'cat-mel'"),
        (CODE + "MEL.hparams.replace(z_size=-1)", r"mine.py, line 7: UserError: z_size=-1"),
    ],
)
def test_a_failure_is_told_by_the_line_of_the_users_code(file, code, message):
    with pytest.raises(UserError, match=message):
        config_flag.get_config(f"{file(code)}:MEL")


def test_a_file_with_the_name_of_a_module_hides_none_and_is_not_mistaken_for_it(file):
    path = file("raise AssertionError", "json.py")
    with pytest.raises(
        UserError, match=r"json.py has the name of another module .*rename the file"
    ):
        config_flag.get_config(f"{path}:MEL")
    with pytest.raises(UserError, match="has dots in its name"):
        config_flag.get_config(f"{file(name='mine.own.py')}:MEL")


def test_the_name_of_a_published_config_is_not_for_others(file):
    path = file(
        CODE + f"TAKEN = DRUMS.replace(name='{NAME}')\nSMALL = MEL.replace(name='{NAME}')\n"
    )
    with pytest.raises(UserError, match=f"has the name {NAME}, which a published config has"):
        config_flag.get_config(f"{path}:TAKEN")
    assert config_flag.get_config(f"{path}:SMALL").hparams.z_size == 8  # as --hparams gives


OWN = """
import dataclasses
from music_vae.configs import get_config
from music_vae.music.converters.melody import OneHotMelodyConverter

@dataclasses.dataclass(frozen=True)
class Mine(OneHotMelodyConverter):
    colours: {kind} = {value}

MEL = get_config("cat-mel_2bar_small").replace(
    name="mel", data_converter=Mine(slice_bars=2, max_bars=100)
)
"""


@pytest.fixture
def own(file):
    """Writes a config with a class of its own, which has one field more than a melody."""

    def write(kind="int", value="3", name="mine.py"):
        return f"{file(OWN.format(kind=kind, value=value), name)}:MEL"

    return write


def test_a_class_of_ones_own_is_named_with_its_code(own, tmp_path):
    config = config_flag.get_config(own())
    config_file.write(config, tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())["config"]
    assert written["data_converter"]["kind"] == "Mine"
    assert written["data_converter"]["code"] == {"module": "mine", "file": "mine.py"}
    assert "code" not in written["encoder"]
    assert config_flag.read(tmp_path, own()) == config


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (
            "object",
            "dataclasses.field(default_factory=lambda: {1: 2})",
            "cannot be written as JSON",
        ),
        ("object", "dataclasses.field(default_factory=lambda: [1, 2])", "would not be the same"),
        ("float", "float('nan')", "data_converter.colours is nan; expected a finite number"),
    ],
)
def test_a_config_that_could_not_be_opened_again_is_refused_at_once(own, kind, value, message):
    with pytest.raises(UserError, match=message):
        config_flag.get_config(own(kind, value))


def test_a_part_that_no_model_is_built_of_is_refused_at_once(file):
    path = file("""
        import dataclasses
        from music_vae.common.specs import CategoricalHeadSpec, FlatDecoderSpec
        from music_vae.configs import get_config

        @dataclasses.dataclass(frozen=True)
        class Sharp(CategoricalHeadSpec):
            pass

        MEL = get_config("cat-mel_2bar_small").replace(name="mel", decoder=FlatDecoderSpec(Sharp()))
    """)
    with pytest.raises(UserError, match="no model can be built of the part Sharp") as refused:
        config_flag.get_config(f"{path}:MEL")
    assert "docs/extending.md" in refused.value.hint


def test_a_class_that_other_processes_could_not_find_is_refused(file):
    code = textwrap.indent(OWN.format(kind="int", value="3"), "    ")
    path = file(f"def make():\n{code}\n    return MEL\nMEL = make()\n")
    with pytest.raises(UserError, match="the class Mine has to stand at the top of its module"):
        config_flag.get_config(f"{path}:MEL")


def test_a_run_with_anothers_class_says_what_it_needs_and_imports_nothing(own, tmp_path):
    config_file.write(config_flag.get_config(own()), tmp_path)
    (tmp_path / "mine.py").write_text("raise AssertionError('was imported')")
    code = f"""
import sys
from music_vae.weights import config_file
sys.path.insert(0, {str(tmp_path)!r})
try:
    config_file.read({str(tmp_path)!r})
except ValueError as error:
    print(error, "|", error.hint)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stderr == ""
    assert (
        "it needs the class 'Mine' of mine.py, which is not a part of music_vae |" in result.stdout
    )
    assert "give the config that the model was trained with, `config=mine.py:NAME`" in result.stdout


@pytest.mark.parametrize(
    ("code", "place"),
    [
        ({"module": "package.module", "file": "module.py"}, "`config=package.module:NAME`"),
        ({"module": "mine", "file": "mine.py"}, "`config=mine.py:NAME`"),
        ({"module": "__main__", "file": None}, "`config=FILE.py:NAME`"),
        ({"module": "os; x", "file": "/tmp/evil.py"}, "`config=FILE.py:NAME`"),
        ({"module": ["x"], "file": "\x1b[31m.py"}, "`config=FILE.py:NAME`"),
        ("anything", "`config=FILE.py:NAME`"),
    ],
)
def test_where_code_stood_is_told_only_as_far_as_it_is_a_name(own, tmp_path, code, place):
    data = json.loads(config_file.to_text(config_flag.get_config(own())))
    data["config"]["data_converter"]["code"] = code
    (tmp_path / "config.json").write_text(json.dumps(data))
    with pytest.raises(UserError) as refused:
        config_file.read(tmp_path)
    assert place in refused.value.hint
    assert "\x1b" not in f"{refused.value}{refused.value.hint}"


def test_a_class_of_ours_needs_no_code_and_one_of_that_name_is_not_taken_for_it(own, tmp_path):
    data = json.loads(config_file.to_text(get_config(NAME)))
    data["config"]["data_converter"]["code"] = {"module": "mine", "file": "mine.py"}
    (tmp_path / "config.json").write_text(json.dumps(data))
    with pytest.raises(UserError, match="needs the class 'OneHotMelodyConverter' of mine"):
        config_file.read(tmp_path)


def test_two_classes_of_one_name_are_refused(own):
    config = config_flag.get_config(own())

    @dataclasses.dataclass(frozen=True)
    class Mine(type(config.encoder)):
        pass

    with pytest.raises(UserError, match="two classes have the name Mine, in"):
        config_file.to_text(config.replace(encoder=Mine()))


def test_a_config_differs_from_a_run_in_more_than_its_sizes(own, file, caplog):
    caplog.set_level("INFO")
    text = own()
    config = config_flag.get_config(text, "z_size=7")
    assert config_flag.difference(None, config) == config_flag.difference("mel", config) == ""
    assert config_flag.difference(text, config) == ""
    assert "other sizes than" in caplog.text and "z_size=7 (there 256)" in caplog.text
    other = config.replace(data_converter=dataclasses.replace(config.data_converter, colours=4))
    assert "when it had another data_converter than" in config_flag.difference(text, other)
    renamed = config_flag.get_config(text).replace(name="other")
    assert config_flag.difference(text, renamed) == ""
    assert "not --config=" in config_flag.difference(text, renamed.replace(tfds_name="x"))
    assert "not --config=cat-mel_2bar_big" in config_flag.difference("cat-mel_2bar_big", config)


def test_nothing_else_in_the_package_runs_what_a_text_names():
    means = r"import_module\(|__import__|\b(exec|eval)\(|runpy|spec_from|import pickle"
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if re.search(means, path.read_text(encoding="utf-8"))
    }
    knowing_the_name = {"__init__.py", "common/lazy_imports.py"}
    assert found == {"commands/config_flag.py", *knowing_the_name}


def test_a_published_name_with_other_windows_is_refused_for_its_name(file):
    path = file("""
        import dataclasses
        from music_vae.configs import get_config
        MEL = get_config("cat-mel_2bar_small")
        LONG = MEL.replace(
            data_converter=dataclasses.replace(MEL.data_converter, slice_bars=4),
            hparams=MEL.hparams.replace(max_seq_len=64),
        )
    """)
    with pytest.raises(UserError, match="the name cat-mel_2bar_small, which a published config"):
        config_flag.get_config(f"{path}:LONG")


def test_an_own_converter_that_fails_is_shown_where_it_fails(file):
    path = file("""
        import dataclasses
        from music_vae.configs import get_config
        from music_vae.music.converters.melody import OneHotMelodyConverter
        @dataclasses.dataclass(frozen=True)
        class Broken(OneHotMelodyConverter):
            @property
            def input_depth(self):
                raise RuntimeError("no depth yet")
        BROKEN = Broken(slice_bars=2)
        MEL = get_config("cat-mel_2bar_small").replace(name="m", data_converter=BROKEN)
    """)
    with pytest.raises(UserError, match=r"mine\.py, line 9: RuntimeError: no depth yet"):
        config_flag.get_config(f"{path}:MEL")


def test_the_file_that_runs_as_a_program_is_refused_in_a_line(file, monkeypatch):
    path = file(name="__main__.py")
    monkeypatch.setitem(sys.modules, "__main__", type(sys)("__main__"))
    with pytest.raises(UserError, match="has the name of another module"):
        config_flag.get_config(f"{path}:MEL")
