"""Names the cache directory, for files that can be made or fetched again."""

import os
from pathlib import Path

VARIABLE = "MUSIC_VAE_CACHE"
"""Environment variable that names another cache directory."""


def cache_dir() -> Path:
    """Returns `$MUSIC_VAE_CACHE`, or else `music_vae` in the platform's folder of caches.

    The directory need not exist.

    >>> from unittest import mock
    >>> with mock.patch.dict(os.environ, {VARIABLE: "/data/music"}):
    ...     print(cache_dir())
    /data/music
    """
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen).expanduser().absolute()
    import platformdirs

    return platformdirs.user_cache_path("music_vae", appauthor=False)
