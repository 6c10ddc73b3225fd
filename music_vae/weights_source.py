"""Where a model's weights are, whatever was named: a file of weights, a run, or a checkpoint.

Needs no TensorFlow: a checkpoint is converted once, in a process that has it, into the cache.
"""

import hashlib
import json
import logging
import re
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np

from music_vae import weights_file
from music_vae.cache import cache_dir
from music_vae.cli import EXIT_USER_ERROR
from music_vae.errors import UserError
from music_vae.run_config import ARCHIVES, TRAIN_DIR
from music_vae.weights_file import SUFFIX, WEIGHTS_FILE, WeightsFile

KEY = "checkpoint_sha256"
"""Metadata of a file of weights: the key of the checkpoint whose weights it has."""

_FILE_SUFFIX = re.compile(r"\.(index|data-\d{5}-of-\d{5})$")
_LATEST = re.compile(r'^model_checkpoint_path: ("(?:[^"\\]|\\.)*")$', re.MULTILINE)
_MAX_INDEX_BYTES = 2**26
_CHUNK_BYTES = 2**20

_log = logging.getLogger(__name__)


def open_weights(path: str | Path) -> WeightsFile:
    """The weights that `path` means.

    Args:
      path: What `find_file` takes, or else a checkpoint as for `checkpoints.open_prefix`.

    Raises:
      UserError: If there are no such weights, or they cannot be read.
    """
    path = Path(path).expanduser()
    found = find_file(path)
    if found is not None:
        return found
    if path.is_file() and path.name.endswith(ARCHIVES):
        return _converted(path, _archive_key(path))
    if path.is_dir():
        prefix = _newest_prefix(path) or _newest_prefix(path / TRAIN_DIR)
        if prefix is None:
            raise UserError(f"there is no checkpoint in the directory {str(path)!r}")
    else:
        prefix = path.with_name(_FILE_SUFFIX.sub("", path.name))
        if not _index_of(prefix).is_file():
            raise UserError(
                f"there is no checkpoint {str(path)!r}; expected a prefix such as "
                f"RUN_DIR/train/model.ckpt-1000, a directory, a .tar or a {SUFFIX} file"
            )
    return _converted(prefix, checkpoint_key(prefix))


def find_file(path: str | Path) -> WeightsFile | None:
    """The weights at `path` that need no conversion, None if there are none.

    Args:
      path: A `.safetensors` file, or a directory: the `weights.safetensors` in it or in its folder
        `train`, if these are the weights of the newest checkpoint there, or there is none.

    Raises:
      UserError: If there is such a file and it cannot be read.
    """
    path = Path(path).expanduser()
    if path.name.endswith(SUFFIX):
        return WeightsFile(path)
    for folder in (path, path / TRAIN_DIR) if path.is_dir() else ():
        newest, file = _newest_prefix(folder), folder / WEIGHTS_FILE
        if file.is_file():
            weights = WeightsFile(file)
            if newest is None or weights.metadata.get(KEY) == checkpoint_key(newest):
                return weights
        if newest is not None:
            return None
    return None


def checkpoint_key(prefix: Path) -> str:
    """What identifies a checkpoint's content.

    Its index alone is read: that has a checksum of every variable.
    """
    return _digest(_index_of(prefix))


def _archive_key(path: Path) -> str:
    """The key of the checkpoint in a tar; of the archive itself where that is compressed."""
    if not path.name.endswith(".tar"):
        return _digest(path)
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                if member.isreg() and member.name.endswith(".index"):
                    file = tar.extractfile(member) if member.size <= _MAX_INDEX_BYTES else None
                    if file is not None:
                        return _hash(file)
    except (tarfile.TarError, EOFError, OSError):
        pass  # whoever unpacks it says what is wrong
    return _digest(path)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return _hash(file)


def _hash(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


def _index_of(prefix: Path) -> Path:
    return prefix.with_name(f"{prefix.name}.index")


def _newest_prefix(folder: Path) -> Path | None:
    """The checkpoint that TensorFlow noted as the newest in `folder`, else the one last written."""
    try:
        noted = _LATEST.search((folder / "checkpoint").read_text(encoding="utf-8"))
        if noted:
            prefix = folder / json.loads(noted[1])
            if _index_of(prefix).is_file():
                return prefix
    except (OSError, ValueError):
        pass  # there is no note, or none that can be read
    found = sorted(folder.glob("*.index"), key=lambda path: path.stat().st_mtime)
    return found[-1].with_suffix("") if found else None


def _converted(checkpoint: Path, key: str) -> WeightsFile:
    """The weights of a checkpoint from the cache, where they are put if they are not there."""
    target = cache_dir() / "weights" / f"{key}{SUFFIX}"
    if target.is_file():
        try:
            return WeightsFile(target)
        except UserError as error:
            _log.warning("%s; it is made again", error)
    if "tensorflow" in sys.modules:
        from music_vae import convert_weights

        convert_weights.convert(checkpoint, target, {KEY: key})
        return WeightsFile(target)
    _log.info("converting the TensorFlow checkpoint %s once, to %s", checkpoint, target)
    command = [sys.executable, "-m", "music_vae.convert_weights"]
    result = subprocess.run(
        [*command, str(checkpoint), str(target), f"{KEY}={key}"],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if result.returncode:
        lines = result.stderr.strip().splitlines() or [f"it ended with {result.returncode}"]
        if result.returncode == EXIT_USER_ERROR:
            raise UserError(lines[-1])
        raise UserError(f"the checkpoint {str(checkpoint)!r} was not converted: {lines[-1]}")
    return WeightsFile(target)


def write_beside(prefix: Path, weights: Mapping[str, np.ndarray], step: int) -> None:
    """Writes the weights of a run's newest checkpoint, `prefix`, as `weights.safetensors`."""
    metadata = {KEY: checkpoint_key(prefix), "step": str(step)}
    weights_file.write(prefix.parent / WEIGHTS_FILE, weights, metadata)
