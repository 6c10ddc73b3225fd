"""Holds what is common to the commands that can run on many machines, with Apache Beam."""

import importlib.util

from music_vae.common.errors import UserError

_NO_BEAM = "needs Apache Beam: pip install 'music_vae[beam]'"


def require_beam(what: str) -> None:
    """Raises `UserError` if Apache Beam, which `what` needs, is not installed.

    >>> from unittest import mock
    >>> with mock.patch.dict("sys.modules", {"apache_beam": None}):  # as if it were not
    ...     require_beam("music_vae_preprocess")
    Traceback (most recent call last):
    music_vae.common.errors.UserError: music_vae_preprocess needs Apache Beam: pip install
    'music_vae[beam]'
    """
    try:
        spec = importlib.util.find_spec("apache_beam")
    except ValueError:  # half imported, or hidden
        spec = None
    if spec is None:
        raise UserError(f"{what} {_NO_BEAM}")


def written(output: str, num_shards: int) -> str:
    """Returns the file that a pipeline writes, or a pattern of the names of several.

    >>> written("songs.tfrecord", num_shards=1), written("songs.tfrecord", num_shards=8)
    ('songs.tfrecord', 'songs.tfrecord-*-of-00008')
    """
    return output if num_shards == 1 else f"{output}-*-of-{num_shards:05d}"
