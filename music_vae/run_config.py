"""`config.json`: the config beside every checkpoint, so that a run's directory is enough to use it.

Needs no TensorFlow.
"""

import json
from pathlib import Path

from music_vae import files
from music_vae.configs import Config, config_from_json, config_to_json
from music_vae.errors import UserError

CONFIG_FILE = "config.json"
TRAIN_DIR = "train"
"""Folder of a run directory that holds checkpoints and config."""


def write(config: Config, directory: Path) -> None:
    """Writes `config.json` into `directory`."""
    text = json.dumps(config_to_json(config), indent=2)
    files.write_text(directory / CONFIG_FILE, text + "\n")


def read(path: str | Path) -> Config | None:
    """The config beside a checkpoint, in a directory or in its folder `train`; None without one.

    Raises:
      UserError: If there is a `config.json` that is none of ours.
    """
    path = Path(path).expanduser()
    for folder in (path, path.parent, path / TRAIN_DIR):
        file = folder / CONFIG_FILE
        if file.is_file():
            try:
                return config_from_json(json.loads(file.read_text(encoding="utf-8")))
            except ValueError as error:
                raise UserError(f"{file}: {error}") from error
    return None
