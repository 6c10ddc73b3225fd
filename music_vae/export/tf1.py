"""Checkpoints out again, in the published layout: what the original's `tf.train.Saver` restores.

That is a flat table of the weights under their published names, float32, and `global_step`, int64.
"""

import io
import os
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from music_vae.common import files
from music_vae.common.errors import UserError
from music_vae.common.weight_names import is_weight
from music_vae.configs import Config
from music_vae.weights import config_file, tf_checkpoints
from music_vae.weights.checkpoint_files import STATE_FILE

_TAR_MODES = {".tar": "w", ".tar.gz": "w:gz", ".tgz": "w:gz"}
_NAME = "model.ckpt"


def export(source: str | Path, out: str | Path, config: Config | None = None) -> Path:
    """Writes the weights and the step of a checkpoint, without optimizer slots, to `out`.

    Args:
      source: See `checkpoint_files.open_prefix`.
      out: A `.tar`, `.tar.gz` or `.tgz`, with `config.json` in it if the config is known; a
        directory, where `config.json` and the file `checkpoint` go too; or a prefix, of which
        `OUT.index` and `OUT.data-00000-of-00001` are made.
      config: The config, if it is not beside the source.

    Returns:
      The archive, or the prefix.

    Raises:
      UserError: If the source cannot be read or holds no weights, or `out` is a `.zip`.
    """
    is_directory = str(out).endswith(("/", os.sep)) or Path(out).expanduser().is_dir()
    out = Path(out).expanduser()
    if out.name.endswith(".zip"):
        raise UserError(f"{out}: the original reads no .zip; expected a .tar, directory or prefix")
    config = config or config_file.read(source)
    suffix = next((suffix for suffix in _TAR_MODES if out.name.endswith(suffix)), None)
    parent = out if is_directory else out.parent
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent, prefix=".export-") as temporary:
        prefix = Path(temporary) / _NAME
        step = _write(source, prefix)
        if is_directory:
            return _to_directory(prefix, out, step, config)
        if suffix is not None:
            _to_tar(prefix, out, suffix, config)
            return out
        _move(prefix, out)
        return out


def write_variables(prefix: Path, variables: Mapping[str, np.ndarray]) -> None:
    """Writes `PREFIX.index` and `PREFIX.data-00000-of-00001` with these variables."""
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(variables),
        shape_and_slices=[""] * len(variables),
        tensors=[tf.constant(value) for value in variables.values()],
    )


def _write(source: str | Path, prefix: Path) -> int:
    """Writes the checkpoint to `prefix`; returns its step."""
    with tf_checkpoints.open_checkpoint(source) as weights:
        names = [name for name in weights if is_weight(name) and name != tf_checkpoints.GLOBAL_STEP]
        if not names:
            raise UserError(f"{source} holds no weights of a MusicVAE model")
        step = weights.step or 0
        variables = {name: weights[name] for name in names}
        write_variables(prefix, variables | {tf_checkpoints.GLOBAL_STEP: np.int64(step)})
    return step


def _to_directory(prefix: Path, directory: Path, step: int, config: Config | None) -> Path:
    target = directory / f"{_NAME}-{step}"
    _move(prefix, target)
    if config is not None:
        config_file.write(config, directory)
    state = f'model_checkpoint_path: "{target.name}"\nall_model_checkpoint_paths: "{target.name}"\n'
    files.write_text(directory / STATE_FILE, state)
    return target


def _move(prefix: Path, target: Path) -> None:
    """Gives a checkpoint its name; the index last, without which there is none."""
    parts = sorted(prefix.parent.glob(f"{prefix.name}.*"), key=lambda path: path.suffix == ".index")
    for path in parts:
        os.replace(path, target.with_name(target.name + path.name.removeprefix(prefix.name)))


def _to_tar(prefix: Path, target: Path, suffix: str, config: Config | None) -> None:
    name = f"{target.name.removesuffix(suffix)}.ckpt"
    mode: Any = _TAR_MODES[suffix]
    with files.atomic_path(target) as temporary, tarfile.open(temporary, mode) as tar:
        for path in sorted(prefix.parent.glob(f"{prefix.name}.*")):
            member = tarfile.TarInfo(name + path.name.removeprefix(prefix.name))
            member.size = path.stat().st_size
            with path.open("rb") as content:
                tar.addfile(member, content)
        if config is not None:
            text = config_file.to_text(config).encode()
            member = tarfile.TarInfo(config_file.CONFIG_FILE)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
