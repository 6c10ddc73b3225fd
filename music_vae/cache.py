"""The directory for what can be made or fetched again."""

import os
import sys
from pathlib import Path

VARIABLE = "MUSIC_VAE_CACHE"
"""Environment variable that names another directory."""


def cache_dir() -> Path:
    """`$MUSIC_VAE_CACHE`, else `music_vae` where the platform keeps caches; it need not exist."""
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "music_vae"
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
        return (Path(base) if base else Path.home() / "AppData" / "Local") / "music_vae" / "cache"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "music_vae"
