"""Imports heavy packages quietly, and without the parts of them that are never used here.

Importing note_seq brings synthesis, audio files and plotting (scipy, librosa, bokeh, IPython), and
TensorFlow's Keras looks for scikit-learn and pandas: seconds that a command would spend for
nothing. The parts that are left out can still be imported afterwards.
"""

import contextlib
import importlib
import importlib.util
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from music_vae.common.errors import UserError

MAX_TICKS = 10_000_000
"""pretty_midi's own limit on a MIDI file's length, which note_seq lifts a thousandfold: at that
length, a file of 37 bytes takes gigabytes."""

_NOTE_SEQ = "note_seq"
_HOMES = {
    "DrumTrack": "drums_lib",
    "Melody": "melodies_lib",
    "MetricPerformance": "performance_lib",
    "NoteSequence": "protobuf.music_pb2",
    "STANDARD_PPQ": "constants",
    "TriadChordOneHotEncoding": "chords_encoder_decoder",
    "midi_to_note_sequence": "midi_io",
}
"""Module of note_seq that contains each name which this package uses."""

_OPTIONAL_IN_KERAS = ("matplotlib", "pandas", "sklearn")


def import_note_seq() -> ModuleType:
    """Returns note_seq, each module of which is imported when it is first used.

    All of note_seq is imported once a name is used that this package does not use. Its warning
    about ffmpeg is suppressed, and its limit on ticks is not applied.

    >>> note_seq = import_note_seq()
    >>> note_seq.Melody([60, -2, -1]).to_sequence().notes[0].pitch
    60
    """
    if _NOTE_SEQ not in sys.modules:
        _set_up_note_seq()
    importlib.import_module(f"{_NOTE_SEQ}.midi_io")  # which lifts the limit
    import pretty_midi

    pretty_midi.pretty_midi.MAX_TICK = MAX_TICKS
    return sys.modules[_NOTE_SEQ]


def import_tensorflow() -> None:
    """Imports TensorFlow for a command: quietly, and without the packages that Keras wraps.

    The start-up messages of its libraries come before any log level can be set, so stderr is held
    back meanwhile; if the import fails, the messages are shown.

    Making and evaluating music needs no TensorFlow, so it may not be there.

    >>> import_tensorflow()
    >>> import tensorflow as tf
    >>> int(tf.constant(3) + 4)
    7

    Raises:
      UserError: If it is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with _stderr_held_back(), _hidden(_OPTIONAL_IN_KERAS):
            importlib.import_module("tensorflow")
    except ModuleNotFoundError as error:
        if error.name != "tensorflow":
            raise
        raise UserError(
            "this needs TensorFlow, which is not installed",
            hint="pip install tensorflow tensorflow-probability tf-keras",
        ) from None


def _set_up_note_seq() -> None:
    """Makes note_seq a package whose `__init__` has not run yet."""
    spec = importlib.util.find_spec(_NOTE_SEQ)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {_NOTE_SEQ!r}", name=_NOTE_SEQ)
    loader, package = spec.loader, importlib.util.module_from_spec(spec)

    def find(name: str) -> Any:
        """Returns `note_seq.NAME` when it is used for the first time."""
        if name.startswith("__") and name != "__version__":
            raise AttributeError(f"module {_NOTE_SEQ!r} has no attribute {name!r}")
        if name in _HOMES:
            module = importlib.import_module(f"{_NOTE_SEQ}.{_HOMES[name]}")
            return getattr(module, name)
        if importlib.util.find_spec(f"{_NOTE_SEQ}.{name}"):
            return importlib.import_module(f"{_NOTE_SEQ}.{name}")
        del package.__dict__["__getattr__"]
        with warnings.catch_warnings():
            # pydub looks for ffmpeg to decode audio files, which this package does not do.
            warnings.filterwarnings("ignore", "Couldn't find ffmpeg", RuntimeWarning)
            loader.exec_module(package)
        return getattr(package, name)

    package.__dict__["__getattr__"] = find
    sys.modules[_NOTE_SEQ] = package


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
    """Holds back what the process writes to stderr, and shows it if an exception occurs."""
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
