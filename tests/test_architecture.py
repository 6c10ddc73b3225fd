"""The rooms of the package import downwards only, and the library does not know its commands.

All imports count: those inside functions, and those for type checkers, too.
"""

import ast
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from support.paths import ROOT

PACKAGE = ROOT / "music_vae"
LADDER = (
    ("train", "generate"),
    ("commands",),
    ("render",),
    ("export",),
    ("evaluation",),
    ("training",),
    ("trained_model",),
    ("latent",),
    ("engine",),
    ("weights",),
    ("lstm_models",),
    ("data",),
    ("dataset",),
    ("configs",),
    ("music", "nn"),
    ("common",),
)
"""Folders and modules at the package's root; each may import those below it, and nothing else."""

FLOORS = {room: floor for floor, rooms in enumerate(LADDER) for room in rooms}
MODULES = sorted(PACKAGE.rglob("*.py"))
COMMANDS = ("commands", "train", "generate")


class Import(NamedTuple):
    """An import of one of this package's modules."""

    path: Path
    line: int
    room: str
    target: str


def room_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(path):
    return imports_of(ast.parse(path.read_text(encoding="utf-8")), path)


def imports_of(tree, path):
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module == "music_vae":
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("music_vae."):
            names = [node.module.split(".")[1]]
        elif isinstance(node, ast.Import):
            names = [a.name.split(".")[1] for a in node.names if a.name.startswith("music_vae.")]
        for name in names:
            if name != "__version__":
                yield Import(path, node.lineno, room_of(path), name)


def text_of(node):
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def docstrings(tree):
    """The nodes of all texts that stand by themselves, as docstrings do."""
    return {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}


def library():
    return [path for path in MODULES if room_of(path) not in (*COMMANDS, "__init__")]


def test_every_module_at_the_root_has_a_floor():
    found = {room_of(path) for path in MODULES} - {"__init__"}
    assert found == set(FLOORS)


def test_imports_point_down():
    upward = {
        (found.room, found.target): f"{found.path.relative_to(ROOT)}:{found.line}"
        for path in MODULES
        if room_of(path) != "__init__"
        for found in imports(path)
        if found.room != found.target and FLOORS[found.target] <= FLOORS[found.room]
    }
    assert upward == {}


def test_lazy_imports_and_those_for_type_checkers_count():
    path = PACKAGE / "module.py"  # which need not be there
    code = "def f():\n    from music_vae.commands import cli\nif TYPE:\n    import music_vae.data\n"
    assert [found.target for found in imports_of(ast.parse(code), path)] == ["commands", "data"]


def test_there_are_at_most_20_doors():
    doors = [p for p in PACKAGE.iterdir() if not p.name.startswith(("__", "."))]
    assert len(doors) <= 20


@pytest.mark.parametrize("path", library(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_library_knows_no_flags(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            module = getattr(node, "module", None) or ""
            assert not module.startswith("absl") and "absl" not in names
    skipped = docstrings(tree)
    texts = [text_of(node) for node in ast.walk(tree) if id(node) not in skipped]
    assert [text for text in texts if re.search(r"(?<![\w-])--[a-z]\w+", text)] == []


def outside_converters():
    converters = PACKAGE / "music" / "converters"
    return [path for path in MODULES if converters not in path.parents]


def asks_for_the_class(tree):
    """The lines that ask a converter for its class, or whether it has something."""

    def name(node):
        return getattr(node, "id", None) or getattr(node, "attr", None) or ""

    def is_converter(node):
        return name(node).endswith("converter")

    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and len(node.args) > 1:
            kinds = [name(kind) for kind in ast.walk(node.args[1])]
            if name(node.func) in ("isinstance", "issubclass"):
                if any(kind.endswith("Converter") for kind in kinds):
                    yield node.lineno
            elif name(node.func) in ("getattr", "hasattr") and is_converter(node.args[0]):
                yield node.lineno
        elif isinstance(node, ast.MatchClass) and name(node.cls).endswith("Converter"):
            yield node.cls.lineno
        elif isinstance(node, ast.AnnAssign | ast.arg) and name(node.annotation) == "Any":
            named = node.arg if isinstance(node, ast.arg) else name(node.target)
            if named.endswith("converter"):
                yield node.lineno


@pytest.mark.parametrize(
    "path", outside_converters(), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_converters_are_asked_what_they_know_and_not_for_their_class(path):
    assert list(asks_for_the_class(ast.parse(path.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    ("code", "asks"),
    [
        ("isinstance(converter, DrumsConverter)", True),
        ("isinstance(config.data_converter, drums.DrumsConverter | TrioConverter)", True),
        ("isinstance(model.converter, (TrioConverter, GrooveConverter))", True),
        ("getattr(config.data_converter, 'harmony', None)", True),
        ("hasattr(converter, 'harmony')", True),
        ("converter: Any = config.data_converter", True),
        ("def f(converter: Any): pass", True),
        ("match x:\n  case DrumsConverter(): pass", True),
        ("def f(converter: Converter): return converter.has_hits", False),
        ("isinstance(config, Config)", False),
        ("getattr(values, 'seed')", False),
        ("known: dict[type[Converter], Any] = {DrumsConverter: 1}", False),
    ],
)
def test_what_asks_for_a_class_is_found(code, asks):
    assert bool(list(asks_for_the_class(ast.parse(code)))) == asks
