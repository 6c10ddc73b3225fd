"""`config.json`: the config beside every checkpoint, so that a run's directory is enough to use it.

Needs no TensorFlow.
"""

import json
import tarfile
from pathlib import Path

from music_vae import files
from music_vae.configs import Config, config_from_json, config_to_json
from music_vae.errors import UserError

CONFIG_FILE = "config.json"
TRAIN_DIR = "train"
"""Folder of a run directory that holds checkpoints and config."""

ARCHIVES = (".tar", ".tar.gz", ".tgz")
"""Names of archives that a checkpoint may come in."""

_MAX_BYTES = 2**20  # of a config; it has a few kilobytes


def write(config: Config, directory: Path) -> None:
    """Writes `config.json` into `directory`."""
    text = json.dumps(config_to_json(config), indent=2)
    files.write_text(directory / CONFIG_FILE, text + "\n")


def read(path: str | Path) -> Config | None:
    """The config beside a checkpoint, None without one.

    Args:
      path: A directory (its own config, or that of its folder `train`), an archive (the config in
        it), or a checkpoint's prefix or file (the config in the same folder).

    Raises:
      UserError: If there is a `config.json` that is none of ours.
    """
    path = Path(path).expanduser()
    if path.is_file() and path.name.endswith(ARCHIVES):
        content = _read_archived(path)
        return None if content is None else _parse(content, f"{CONFIG_FILE} in {path}")
    folders = (path, path / TRAIN_DIR) if path.is_dir() else (path.parent,)
    for folder in folders:
        file = folder / CONFIG_FILE
        if file.is_file():
            return _parse(file.read_bytes(), str(file))
    return None


def _read_archived(path: Path) -> bytes | None:
    """The first `config.json` of a tar; None without one, or if it is not to be trusted."""
    try:
        with tarfile.open(path) as tar:
            for member in tar:
                if member.isreg() and Path(member.name).name == CONFIG_FILE:
                    file = tar.extractfile(member) if member.size <= _MAX_BYTES else None
                    return None if file is None else file.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UserError(f"{str(path)!r} cannot be read as a tar archive: {error}") from error
    return None


def _parse(content: bytes, source: str) -> Config:
    try:
        return config_from_json(json.loads(content.decode("utf-8")))
    except ValueError as error:
        raise UserError(f"{source}: {error}") from error
