"""Examples of docstrings become blocks in the reference, whatever stands around them."""

import sys

import pytest

from support.paths import ROOT

pytest.importorskip("griffe")
sys.path.insert(0, str(ROOT / "scripts"))

from docstring_examples import fenced


def test_an_example_is_fenced_up_to_the_empty_line_after_it():
    text = "Adds.\n\n>>> add(1,\n...     2)\n3\n\nAttributes:\n  a: A number."
    assert fenced(text) == (
        "Adds.\n\n```pycon\n>>> add(1,\n...     2)\n3\n```\n\nAttributes:\n  a: A number."
    )


def test_an_example_at_the_end_is_closed_and_indents_stay():
    assert fenced("Notes:\n  >>> 1\n  1") == "Notes:\n  ```pycon\n  >>> 1\n  1\n  ```"


def test_text_without_examples_stays_as_it_is():
    assert fenced("One.\n\nTwo > one.") == "One.\n\nTwo > one."
