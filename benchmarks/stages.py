"""Runs this package's `music_vae_generate` in this process and says where its time goes.

    python stages.py --mode=sample --config=NAME --checkpoint_file=PATH --output_dir=DIR

The last line on stdout is JSON: seconds by stage. A stage counts without the stages inside it.
"""

import contextlib
import functools
import json
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from typing import Any


class Stopwatch:
    """Seconds by stage; while an inner stage runs, the outer one stands still."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._open: list[str] = []
        self._since = time.perf_counter()

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Books what happens inside under `name`."""
        self._book()
        self._open.append(name)
        try:
            yield
        finally:
            self._book()
            self._open.pop()

    def wrap(self, owner: Any, attribute: str, name: str) -> None:
        """Makes every call of `owner.attribute` the stage `name`."""
        function = getattr(owner, attribute)

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.stage(name):
                return function(*args, **kwargs)

        setattr(owner, attribute, timed)

    def _book(self) -> None:
        now = time.perf_counter()
        if self._open:
            name = self._open[-1]
            self.seconds[name] = self.seconds.get(name, 0.0) + now - self._since
        self._since = now


def run(argv: Sequence[str]) -> dict[str, float]:
    """Runs the command; returns the seconds of its stages in the order of their ends."""
    warnings.simplefilter("ignore")
    watch = Stopwatch()
    with watch.stage("the rest"):
        with watch.stage("import music_vae"):
            from music_vae import generate
            from music_vae.common import lazy_imports

            with watch.stage("import note_seq"):
                lazy_imports.import_note_seq()
            from music_vae import trained_model
            from music_vae.engine import array_model
            from music_vae.music import notes_io
            from music_vae.weights import locate
        watch.wrap(locate, "open_weights", "find the weights")
        watch.wrap(array_model, "NumpyEngine", "check the weights")
        watch.wrap(trained_model.TrainedModel, "decode_to_tensors", "decode")
        watch.wrap(trained_model.TrainedModel, "decode", "make NoteSequences")
        watch.wrap(notes_io, "write_midi", "write MIDI files")
        code = generate.main(argv)
    if code:
        raise SystemExit(code)
    return watch.seconds


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1:])))
