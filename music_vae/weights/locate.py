"""Where a model's weights are, whatever was named: a file of weights, a run, or a checkpoint.

Needs no TensorFlow: a checkpoint is converted once, in a process that has it, into the cache.
"""

import hashlib
import logging
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from music_vae.common import files
from music_vae.common.cache import cache_dir
from music_vae.common.errors import EXIT_USER_ERROR, UserError
from music_vae.weights import archives, checkpoint_files, published, safetensors_file
from music_vae.weights.config_file import TRAIN_DIR
from music_vae.weights.safetensors_file import SUFFIX, WEIGHTS_FILE, WeightsFile

KEY = "checkpoint_sha256"
"""Metadata of a file of weights: the key of the checkpoint whose weights it has."""

_log = logging.getLogger(__name__)


def open_weights(path: str | Path) -> WeightsFile:
    """The weights that `path` means.

    Args:
      path: What `find_file` takes, or else a checkpoint as for `checkpoint_files.open_prefix`.

    Raises:
      UserError: If there are no such weights, or they cannot be read.
    """
    path = published.resolve(path)
    found = find_file(path)
    if found is not None:
        return found
    if archives.is_archive(path):
        key = _key_in_archive(path)
        return _cached(key, lambda target: _convert(path, target, key))
    with checkpoint_files.open_prefix(path) as prefix:
        key = checkpoint_key(prefix)
        return _cached(key, lambda target: _convert(prefix, target, key))


def find_file(path: str | Path) -> WeightsFile | None:
    """The weights at `path` that need no conversion, None if there are none.

    Args:
      path: A `.safetensors` file; a directory: the `weights.safetensors` in it or in its folder
        `train`, if these are the weights of the newest checkpoint there, or there is none; or an
        archive: the `weights.safetensors` in it, if these are the weights of the checkpoint in it,
        or there is none.

    Raises:
      UserError: If there is such a file and it cannot be read.
    """
    path = Path(path).expanduser()
    if path.name.endswith(SUFFIX):
        return WeightsFile(path)
    if archives.is_archive(path):
        return _find_in_archive(path)
    for folder in (path, path / TRAIN_DIR) if path.is_dir() else ():
        newest, file = checkpoint_files.find_newest(folder), folder / WEIGHTS_FILE
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
    return hashlib.sha256(checkpoint_files.index_of(prefix).read_bytes()).hexdigest()


def _find_in_archive(archive: Path) -> WeightsFile | None:
    """The weights in an archive that need no conversion, None if there are none."""
    with archives.open_member(archive, WEIGHTS_FILE) as content:
        if content is None:
            return None
        digest = hashlib.sha256()
        for piece in content:
            digest.update(piece)
    weights = _cached(digest.hexdigest(), lambda target: _unpack(archive, target))
    try:
        key = _key_in_archive(archive)
    except UserError:
        return weights  # there is no checkpoint beside them
    return weights if weights.metadata.get(KEY) == key else None


def _cached(key: str, make: Callable[[Path], None]) -> WeightsFile:
    """The weights of that key from the cache; `make` writes the file if no good one is there."""
    target = cache_dir() / "weights" / f"{key}{SUFFIX}"
    if target.is_file():
        try:
            return WeightsFile(target)
        except UserError as error:
            _log.warning("%s; it is made again", error)
    make(target)
    return WeightsFile(target)


def _unpack(archive: Path, target: Path) -> None:
    """Copies the `weights.safetensors` in an archive to where it can be mapped."""
    with files.atomic_path(target) as temporary:
        with (
            archives.open_member(archive, WEIGHTS_FILE) as content,
            temporary.open("wb") as output,
        ):
            output.writelines(content or ())
        try:
            WeightsFile(temporary)
        except UserError as error:
            reason = str(error).replace(str(temporary), f"{archive}/{WEIGHTS_FILE}")
            raise UserError(reason) from error


def _key_in_archive(archive: Path) -> str:
    """What identifies the checkpoint in an archive; see `checkpoint_key`."""
    return hashlib.sha256(archives.read_index(archive)).hexdigest()


def _convert(checkpoint: Path, target: Path, key: str) -> None:
    """Writes the weights of a checkpoint to a file, in a process that has TensorFlow."""
    if "tensorflow" in sys.modules:
        from music_vae.weights import convert

        convert.convert(checkpoint, target, {KEY: key})
        return
    _log.info("converting the TensorFlow checkpoint %s once, to %s", checkpoint, target)
    command = [sys.executable, "-m", "music_vae.weights.convert"]
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


def write_beside(prefix: Path, weights: Mapping[str, np.ndarray], step: int) -> None:
    """Writes the weights of a run's newest checkpoint, `prefix`, as `weights.safetensors`."""
    metadata = {KEY: checkpoint_key(prefix), "step": str(step)}
    safetensors_file.write(prefix.parent / WEIGHTS_FILE, weights, metadata)
