"""`config.json`: the config beside every checkpoint, so that a run's directory is enough to use it.

Needs no TensorFlow.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

from music_vae.common import files, own_code
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
    """What `config.json` holds.

    Raises:
      UserError: If the config would not come back as it is, as may be with classes of the user's
        own.
    """
    text = json.dumps(config_to_json(config), indent=2) + "\n"
    again = config_from_json(json.loads(text), own_code.own_classes(config))
    for field in dataclasses.fields(config):
        before, after = getattr(config, field.name), getattr(again, field.name)
        if after != before:
            raise UserError(
                f"the {field.name} of {config.name} would not be the same when it is read again "
                f"from {CONFIG_FILE}: {after!r}, not {before!r}"
            )
    return text


def read(path: str | Path, own: Mapping[str, type] | None = None) -> Config | None:
    """The config that goes with a checkpoint, None if nothing says which.

    Args:
      path: A directory (its own config, or that of its folder `train`), an archive (the config in
        it), a checkpoint's prefix or file (the config in the same folder), or the id of a
        published checkpoint, which need not have been downloaded.
      own: The classes of the user's own that it may name; see `configs.config_from_json`.

    Raises:
      UserError: If there is a `config.json` that is none of ours or needs other classes, or an
        archive is refused.
    """
    if (entry := published.find(path)) is not None:
        return CONFIG_MAP[entry.config]
    path = Path(path).expanduser()
    if archives.is_archive(path):
        content = archives.read_json(path, CONFIG_FILE, _MAX_BYTES)
        return None if content is None else _parse(content, f"{CONFIG_FILE} in {path}", own)
    folders = (path, path / TRAIN_DIR) if path.is_dir() else (path.parent,)
    for folder in folders:
        file = folder / CONFIG_FILE
        if file.is_file():
            return read_file(file, own)
    return None


def read_file(path: Path, own: Mapping[str, type] | None = None) -> Config:
    """The config in a file of any name that holds what a `config.json` holds; see `read`.

    >>> read_file(Path("music_vae/models/cat-mel_2bar_mini/config.json")).name
    'cat-mel_2bar_mini'
    """
    if path.stat().st_size > _MAX_BYTES:
        raise UserError(f"{path} has more than {_MAX_BYTES} bytes; it cannot be a config")
    return _parse(path.read_bytes(), str(path), own)


def _parse(content: bytes, source: str, own: Mapping[str, type] | None) -> Config:
    try:
        return config_from_json(json.loads(content.decode("utf-8")), own)
    except ValueError as error:
        raise UserError(f"{source}: {error}", hint=getattr(error, "hint", "")) from error
