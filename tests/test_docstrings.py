"""Docstrings say what a thing is and show it: every public name has an example, and each runs."""

import ast
import doctest
import importlib
import re

import pytest

from support.paths import ROOT

PACKAGE = ROOT / "music_vae"
MODULES = sorted(path.relative_to(ROOT) for path in PACKAGE.rglob("*.py"))
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
HEADLESS = re.compile(r"(What|Whether|Where|How|Of|Who) ")


def modules():
    return [
        pytest.param(path, id=path.with_suffix("").as_posix().removeprefix("music_vae/"))
        for path in MODULES
    ]


def tree_of(path):
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", modules())
def test_every_docstring_begins_with_what_the_thing_is(path):
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef
    texts = [ast.get_docstring(n) or "" for n in ast.walk(tree_of(path)) if isinstance(n, kinds)]
    assert [text.splitlines()[0] for text in texts if HEADLESS.match(text)] == []


@pytest.mark.parametrize("path", modules())
def test_every_public_class_and_function_has_an_example(path):
    public = [
        node
        for node in tree_of(path).body
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_")
    ]
    bare = [node.name for node in public if ">>>" not in (ast.get_docstring(node) or "")]
    assert bare == []


@pytest.mark.parametrize("path", modules())
def test_examples_run(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    name = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
    failed, tried = doctest.testmod(importlib.import_module(name), optionflags=OPTIONS)
    assert failed == 0
    assert tried or ">>>" not in (ROOT / path).read_text(encoding="utf-8")
