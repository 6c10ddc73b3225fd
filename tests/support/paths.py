"""Where the files that tests read lie."""

from pathlib import Path

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
TUNES = ROOT / "examples" / "tunes"
GOLDEN = TESTS / "golden"
"""A small part of the original's inputs and outputs; see its README."""
