"""Reads and writes `config.json`, the file beside a checkpoint that describes its model.

With it, the directory of a run is all that is needed to use the run. Needs no TensorFlow.
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
"""Name of the folder of a run that holds its checkpoints and its config."""

_MAX_BYTES = 2**20  # a config has a few kilobytes
_MAX_REASON = 500  # characters of a message about one


def write(config: Config, directory: Path) -> None:
    """Writes `config.json` into `directory`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(CONFIG_MAP["cat-drums_2bar_small"], Path(folder))
    ...     read(folder).name
    'cat-drums_2bar_small'

    Raises:
      UserError: As for `to_text`.
    """
    files.write_text(directory / CONFIG_FILE, to_text(config))


def to_text(config: Config) -> str:
    """Returns a config as the text of a `config.json`.

    >>> text = to_text(CONFIG_MAP["cat-drums_2bar_small"])
    >>> json.loads(text)["config"]["hparams"]["z_size"]
    256

    Raises:
      UserError: If reading the text would not give an equal config, as may happen with classes of
        the user's own.
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
    """Returns the config that goes with a checkpoint, or None if no file says which it is.

    >>> read("music_vae/models/groovae_4bar_mini").name
    'groovae_4bar_mini'
    >>> read("hierdec-trio_16bar").hparams.max_seq_len  # a published checkpoint
    256

    Args:
      path: A directory (its own config, or that of its folder `train`), an archive (the config in
        it), a checkpoint's prefix or file (the config in the same folder), or the id of a
        published checkpoint, which need not have been downloaded.
      own: Classes of the user's own that the config may name; see `configs.config_from_json`.

    Raises:
      UserError: If there is a `config.json` that this package did not write or that needs other
        classes, or an archive is refused.
    """
    if (entry := published.find(path)) is not None:
        return CONFIG_MAP[entry.config]
    path = files.expand(path)
    if archives.is_archive(path):
        content = archives.read_json(path, CONFIG_FILE, _MAX_BYTES)
        return None if content is None else parse(content, f"{CONFIG_FILE} in {path}", own)
    folders = (path, path / TRAIN_DIR) if path.is_dir() else (path.parent,)
    for folder in folders:
        file = folder / CONFIG_FILE
        if file.is_file():
            return read_file(file, own)
    return None


def read_file(path: Path, own: Mapping[str, type] | None = None) -> Config:
    """Returns the config in a file that is written like a `config.json`, whatever its name.

    >>> read_file(Path("music_vae/models/cat-mel_2bar_mini/config.json")).name
    'cat-mel_2bar_mini'

    Args:
      path: The file.
      own: As for `read`.

    Raises:
      UserError: As for `read`.
    """
    if path.stat().st_size > _MAX_BYTES:
        raise UserError(f"{path} has more than {_MAX_BYTES} bytes; it cannot be a config")
    return parse(path.read_bytes(), str(path), own)


def parse(content: bytes, source: str, own: Mapping[str, type] | None = None) -> Config:
    """Returns the config that the content of a file describes.

    >>> parse(b'{"config": 3}', "mine.json")
    Traceback (most recent call last):
    music_vae.common.errors.UserError: mine.json: the config has format version null; this ...

    Args:
      content: The bytes of the file, which anybody may have written.
      source: Name of the file in messages.
      own: As for `read`.

    Raises:
      UserError: As for `read`. The message is short, whatever is in the file.
    """
    try:
        return config_from_json(json.loads(content.decode("utf-8")), own)
    except RecursionError:
        raise UserError(f"{source}: lists and objects are nested too deeply") from None
    except ValueError as error:
        # A message may quote what is in the file, which anybody may have written.
        reason = str(error)
        if len(reason) > _MAX_REASON:
            reason = f"{reason[:_MAX_REASON]}..."
        raise UserError(f"{source}: {reason}", hint=getattr(error, "hint", "")) from error
