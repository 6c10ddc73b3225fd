"""Names the cache directory, for files that can be made or fetched again."""

import os
from pathlib import Path

from music_vae.common import files
from music_vae.common.errors import UserError

VARIABLE = "MUSIC_VAE_CACHE"
"""Environment variable that names another cache directory."""


def cache_dir() -> Path:
    """Returns `$MUSIC_VAE_CACHE`, or else `music_vae` in the platform's folder of caches.

    The directory need not exist.

    >>> from unittest import mock
    >>> with mock.patch.dict(os.environ, {VARIABLE: "/data/music"}):
    ...     print(cache_dir())
    /data/music

    Raises:
      UserError: If there is no home folder, and the variable is not set.
    """
    if chosen := os.environ.get(VARIABLE):
        return files.expand(chosen).absolute()
    import platformdirs

    try:
        path = Path(platformdirs.user_cache_dir("music_vae", appauthor=False))
    except RuntimeError:  # older versions return a path that begins with "~"
        path = None
    if path is None or not path.is_absolute():
        raise UserError(
            "there is no home folder to keep files in", hint=f"name a folder with {VARIABLE}"
        )
    return path
