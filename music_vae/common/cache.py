"""The directory for what can be made or fetched again."""

import os
from pathlib import Path

VARIABLE = "MUSIC_VAE_CACHE"
"""Environment variable that names another directory."""


def cache_dir() -> Path:
    """`$MUSIC_VAE_CACHE`, else `music_vae` where the platform keeps caches; it need not exist."""
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen).expanduser().absolute()
    import platformdirs

    return platformdirs.user_cache_path("music_vae", appauthor=False)
