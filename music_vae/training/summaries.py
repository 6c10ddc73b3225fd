"""Writes the summaries of a run, which TensorBoard shows."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from music_vae.weights.tf_checkpoints import writing


@contextlib.contextmanager
def writer(directory: Path) -> Iterator[None]:
    """Opens a file in `directory` that takes the scalars which are written inside the context.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with writer(Path(folder)):
    ...         scalars({"loss": 1.5}, step=10)
    ...     len(list(Path(folder).glob("events.out.tfevents.*")))
    1

    Raises:
      OSError: If the file cannot be written, as on a full disk; also `scalars` may raise it.
    """
    with writing(directory):
        opened = tf.summary.create_file_writer(str(directory))
    with opened.as_default():
        yield
        with writing(directory):
            opened.flush()


def scalars(values: Mapping[str, Any], *, step: int, flush: bool = False) -> None:
    """Writes scalars by name, if a `writer` is open.

    >>> scalars({"loss": 1.5}, step=10)  # none is open

    Args:
      values: The scalars.
      step: Number of training steps.
      flush: True to have them on disk at once, for whoever reads the file meanwhile.
    """
    with writing("summaries"):
        for name, value in values.items():
            tf.summary.scalar(name, value, step=step)
        if flush:
            tf.summary.flush()
