"""Heavy packages, imported without what this one never uses and without their chatter.

note_seq brings plotting for notebooks (bokeh, IPython), and TensorFlow's Keras looks for
scikit-learn and pandas, for wrappers: seconds that a command would spend for nothing. What is left
out here can still be imported afterwards.
"""

import contextlib
import importlib
import os
import sys
import tempfile
import types
import warnings
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

MAX_TICKS = 10_000_000
"""pretty_midi's own limit on a MIDI file's length, which note_seq lifts a thousandfold: at that
length, a file of 37 bytes takes gigabytes."""

_NOTEBOOK_MODULE = "note_seq.notebook_utils"
_NOTEBOOK_FUNCTIONS = ("play_sequence", "plot_sequence")
_OPTIONAL_IN_KERAS = ("matplotlib", "pandas", "sklearn")


def import_note_seq() -> ModuleType:
    """note_seq without its plotting, its warning about ffmpeg, and its limit on ticks."""
    if "note_seq" not in sys.modules:
        with _notebook_functions_later(), warnings.catch_warnings():
            # pydub looks for ffmpeg to decode audio files, which this package does not do.
            warnings.filterwarnings("ignore", "Couldn't find ffmpeg", RuntimeWarning)
            importlib.import_module("note_seq")
    import pretty_midi

    pretty_midi.pretty_midi.MAX_TICK = MAX_TICKS
    return sys.modules["note_seq"]


def import_tensorflow() -> None:
    """Imports TensorFlow for a command: quietly, and without what Keras wraps.

    The start-up messages of its libraries come before any log level can be set, so stderr is held
    back meanwhile; if the import fails, what was held back is shown.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _stderr_held_back(), _hidden(_OPTIONAL_IN_KERAS):
        importlib.import_module("tensorflow")


@contextlib.contextmanager
def _notebook_functions_later() -> Iterator[None]:
    """Puts stand-ins for note_seq's notebook functions, which import the real ones when called."""
    stand_in = types.ModuleType(_NOTEBOOK_MODULE)
    for name in _NOTEBOOK_FUNCTIONS:
        setattr(stand_in, name, _later(name))
    sys.modules[_NOTEBOOK_MODULE] = stand_in
    try:
        yield
    finally:
        del sys.modules[_NOTEBOOK_MODULE]


def _later(name: str) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        return getattr(importlib.import_module(_NOTEBOOK_MODULE), name)(*args, **kwargs)

    return call


@contextlib.contextmanager
def _hidden(names: tuple[str, ...]) -> Iterator[None]:
    """Makes packages that are not imported yet look as if they were not installed."""
    hidden = [name for name in names if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextlib.contextmanager
def _stderr_held_back() -> Iterator[None]:
    """Keeps what the process writes to stderr to itself, unless an exception comes out."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held_back:
        try:
            os.dup2(held_back.fileno(), 2)
            yield
        except BaseException:
            held_back.seek(0)
            os.write(stderr, held_back.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
