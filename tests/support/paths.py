"""Where the files that tests read lie."""

from pathlib import Path

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
TUNES = ROOT / "examples" / "tunes"
MIDI = TESTS / "music" / "readers" / "midi"
"""Small MIDI files that say what they mean in unusual ways, by kind."""

GOLDEN = TESTS / "golden"
"""A small part of the original's inputs and outputs; see its README."""
