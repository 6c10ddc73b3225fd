"""Exports checkpoints for the original MusicVAE, whose `tf.train.Saver` restores them.

The published layout is a flat table of float32 weights under their published names, with the step
as `global_step`, int64.
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

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     trained = Path(folder) / "model.ckpt-3"
    ...     write_variables(trained, {"encoder/mu/bias": np.zeros(4, np.float32)})
    ...     with tarfile.open(export(trained, f"{folder}/mine.tar")) as tar:
    ...         print(*sorted(tar.getnames()))
    mine.ckpt.data-00000-of-00001 mine.ckpt.index

    Args:
      source: Checkpoint to export; see `checkpoint_files.open_prefix`.
      out: A `.tar`, `.tar.gz` or `.tgz`, with `config.json` in it if the config is known; a
        directory, which gets `config.json` and the file `checkpoint`, too; or a prefix, from which
        `OUT.index` and `OUT.data-00000-of-00001` are made.
      config: Config of the model; None: it is read beside the source, if it is there.

    Returns:
      The path of the archive, or the prefix.

    Raises:
      UserError: If the source cannot be read or holds no weights, or `out` is a `.zip`.
    """
    is_directory = str(out).endswith(("/", os.sep)) or files.expand(out).is_dir()
    out = files.expand(out)
    if out.name.endswith(".zip"):
        raise UserError(f"{out}: the original reads no .zip; expected a .tar, directory or prefix")
    config = config or config_file.read(source)
    suffix = next((suffix for suffix in _TAR_MODES if out.name.endswith(suffix)), None)
    parent = out if is_directory else out.parent
    parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=parent, prefix=".export-") as temporary,
        files.named_in_errors(out, Path(temporary)),
    ):
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
    """Writes `PREFIX.index` and `PREFIX.data-00000-of-00001` with these variables.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_variables(Path(folder) / "model.ckpt", {"global_step": np.int64(3)})
    ...     print(tf.train.load_variable(f"{folder}/model.ckpt", "global_step"))
    3
    """
    with tf_checkpoints.writing(prefix):
        tf.raw_ops.SaveV2(
            prefix=str(prefix),
            tensor_names=list(variables),
            shape_and_slices=[""] * len(variables),
            tensors=[tf.constant(value) for value in variables.values()],
        )


def _write(source: str | Path, prefix: Path) -> int:
    """Writes the checkpoint to `prefix` and returns its step."""
    with tf_checkpoints.open_checkpoint(source) as weights:
        names = [name for name in weights if is_weight(name) and name != tf_checkpoints.GLOBAL_STEP]
        if not names:
            raise UserError(f"{source} holds no weights of a MusicVAE model")
        step = weights.step or 0
        variables = {name: weights[name] for name in names}
        write_variables(prefix, variables | {tf_checkpoints.GLOBAL_STEP: np.int64(step)})
    return step


def _to_directory(prefix: Path, directory: Path, step: int, config: Config | None) -> Path:
    """Moves a checkpoint into a directory, with what names the newest one; returns its prefix."""
    target = directory / f"{_NAME}-{step}"
    _move(prefix, target)
    if config is not None:
        config_file.write(config, directory)
    state = f'model_checkpoint_path: "{target.name}"\nall_model_checkpoint_paths: "{target.name}"\n'
    files.write_text(directory / STATE_FILE, state)
    return target


def _move(prefix: Path, target: Path) -> None:
    """Renames the files of a checkpoint.

    The index comes last, since a checkpoint exists only once it has its index.
    """
    parts = sorted(prefix.parent.glob(f"{prefix.name}.*"), key=lambda path: path.suffix == ".index")
    for path in parts:
        os.replace(path, target.with_name(target.name + path.name.removeprefix(prefix.name)))


def _to_tar(prefix: Path, target: Path, suffix: str, config: Config | None) -> None:
    """Packs the files of a checkpoint, and the config if it is known, into an archive."""
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
