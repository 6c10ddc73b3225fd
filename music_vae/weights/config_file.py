"""`config.json`: the config beside every checkpoint, so that a run's directory is enough to use it.

Needs no TensorFlow.
"""

import json
from pathlib import Path

from music_vae.common import files
from music_vae.common.errors import UserError
from music_vae.configs import CONFIG_MAP, Config, config_from_json, config_to_json
from music_vae.weights import archives, published

CONFIG_FILE = "config.json"
TRAIN_DIR = "train"
"""Folder of a run directory that holds checkpoints and config."""

_MAX_BYTES = 2**20  # of a config; it has a few kilobytes


def write(config: Config, directory: Path) -> None:
    """Writes `config.json` into `directory`."""
    files.write_text(directory / CONFIG_FILE, to_text(config))


def to_text(config: Config) -> str:
    """What `config.json` holds."""
    return json.dumps(config_to_json(config), indent=2) + "\n"


def read(path: str | Path) -> Config | None:
    """The config that goes with a checkpoint, None if nothing says which.

    Args:
      path: A directory (its own config, or that of its folder `train`), an archive (the config in
        it), a checkpoint's prefix or file (the config in the same folder), or the id of a
        published checkpoint, which need not have been downloaded.

    Raises:
      UserError: If there is a `config.json` that is none of ours, or an archive is refused.
    """
    if (entry := published.find(path)) is not None:
        return CONFIG_MAP[entry.config]
    path = Path(path).expanduser()
    if archives.is_archive(path):
        content = archives.read_json(path, CONFIG_FILE, _MAX_BYTES)
        return None if content is None else _parse(content, f"{CONFIG_FILE} in {path}")
    folders = (path, path / TRAIN_DIR) if path.is_dir() else (path.parent,)
    for folder in folders:
        file = folder / CONFIG_FILE
        if file.is_file():
            return _parse(file.read_bytes(), str(file))
    return None


def _parse(content: bytes, source: str) -> Config:
    try:
        return config_from_json(json.loads(content.decode("utf-8")))
    except ValueError as error:
        raise UserError(f"{source}: {error}") from error
