"""Weights on disk: checkpoints of training runs and published ones, found, read and written.

Two layouts are read. A run's own checkpoint holds the weights under their published names, the
optimizer, and where training stands. A published checkpoint (TF1) is a flat table of variables.
"""

import contextlib
import logging
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import tensorflow as tf

from music_vae.errors import UserError
from music_vae.legacy_weights import named_variables
from music_vae.lstm_models import MusicVAE
from music_vae.run_config import ARCHIVES, TRAIN_DIR

MAX_MEMBER_BYTES = 8 * 2**30  # of one file in an archive: twice the largest published checkpoint

# Names that begin with a dot are left out: macOS adds such a twin to every file of a tar.
_MEMBER = re.compile(r"[^./][^/]*(\.index|\.data-\d{5}-of-\d{5})")
_PATTERN_CHARACTERS = set("*?[]")
_SUFFIX = re.compile(r"\.(index|data-\d{5}-of-\d{5})$")
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_WEIGHTS = "weights/"

_log = logging.getLogger(__name__)


# -- Finding --------------------------------------------------------------------------------------


@contextlib.contextmanager
def open_prefix(path: str | Path) -> Iterator[Path]:
    """The checkpoint prefix that `path` means, for as long as the context is open.

    Args:
      path: A prefix, its `.index` or `.data-*` file, a directory (the newest checkpoint in it, or
        in its folder `train`), or a `.tar`, `.tar.gz` or `.tgz` with one checkpoint. `~` is
        expanded.

    Raises:
      UserError: If there is no such checkpoint, or the archive holds none, several, or a file that
        is too large.
    """
    path = Path(path).expanduser()
    if path.is_file() and path.name.endswith(ARCHIVES):
        with tempfile.TemporaryDirectory(prefix="music_vae-") as folder:
            yield _only_prefix(_unpack(path, Path(folder)), path)
        return
    if path.is_dir():
        prefix = newest_prefix(path)
    else:
        prefix = path.with_name(_SUFFIX.sub("", path.name))
        if not prefix.with_name(prefix.name + ".index").is_file():
            raise UserError(
                f"there is no checkpoint {str(path)!r}; expected a prefix such as "
                "RUN_DIR/train/model.ckpt-1000, a directory, or a .tar"
            )
    if not _PATTERN_CHARACTERS & set(str(prefix)):
        yield prefix
        return
    # TensorFlow would take such a name for a pattern, which does not match itself.
    with tempfile.TemporaryDirectory(prefix="music_vae-") as folder:
        for path in prefix.parent.iterdir():
            if path.name.startswith(f"{prefix.name}."):
                (Path(folder) / path.name).symlink_to(path.resolve())
        yield Path(folder) / prefix.name


def newest_prefix(directory: Path) -> Path:
    """The newest checkpoint in `directory`, or else in its folder `train`."""
    for folder in (directory, directory / TRAIN_DIR):
        latest = tf.train.latest_checkpoint(str(folder)) if folder.is_dir() else None
        if latest:
            return Path(latest)
        found = sorted(folder.glob("*.index"), key=lambda path: path.stat().st_mtime)
        if found:
            return found[-1].with_suffix("")
    raise UserError(f"there is no checkpoint in the directory {str(directory)!r}")


def _unpack(archive: Path, folder: Path) -> Path:
    """Copies the checkpoint files of a tar into `folder`, by base name, and nothing else."""
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                name = Path(member.name).name
                if not member.isreg() or not _MEMBER.fullmatch(name):
                    continue
                if member.size > MAX_MEMBER_BYTES:
                    raise UserError(
                        f"{archive.name}: {name} claims {member.size:,} bytes; a checkpoint file "
                        f"has at most {MAX_MEMBER_BYTES:,}"
                    )
                if (folder / name).exists():
                    raise UserError(f"{archive.name} holds two files named {name}")
                source = tar.extractfile(member)
                if source is not None:
                    _copy(source, folder / name)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UserError(f"{str(archive)!r} cannot be read as a tar archive: {error}") from error
    return folder


def _copy(source: IO[bytes], target: Path) -> None:
    with target.open("wb") as output:
        shutil.copyfileobj(source, output)


def _only_prefix(folder: Path, archive: Path) -> Path:
    indices = sorted(folder.glob("*.index"))
    if len(indices) != 1:
        names = ", ".join(path.stem for path in indices) or "none"
        raise UserError(f"{archive.name} must hold one checkpoint; found {names}")
    return indices[0].with_suffix("")


# -- Reading --------------------------------------------------------------------------------------


class CheckpointWeights(Mapping[str, np.ndarray]):
    """The variables of a checkpoint by their published names, each read when it is asked for.

    Optimizer slots and counters are there under their own names in a published checkpoint, and left
    out of a run's.

    Attributes:
      shapes: Shape of each variable.
    """

    def __init__(self, prefix: Path) -> None:
        """Opens a checkpoint; raises TensorFlow's errors if it cannot be read."""
        self._reader = tf.train.load_checkpoint(str(prefix))
        shapes = self._reader.get_variable_to_shape_map()
        self._keys = {key: key for key in shapes}
        if "_CHECKPOINTABLE_OBJECT_GRAPH" in shapes:
            self._keys = {
                _unescape(key[len(_WEIGHTS) : -len(_VALUE)]): key
                for key in shapes
                if key.startswith(_WEIGHTS) and key.endswith(_VALUE)
            }
        self.shapes = {name: tuple(shapes[key]) for name, key in self._keys.items()}

    def __getitem__(self, name: str) -> np.ndarray:
        return self._reader.get_tensor(self._keys[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


@contextlib.contextmanager
def open_weights(path: str | Path) -> Iterator[CheckpointWeights]:
    """The weights of a checkpoint, for as long as the context is open (see `open_prefix`).

    Raises:
      UserError: If there is no checkpoint or it cannot be read.
    """
    with open_prefix(path) as prefix:
        try:
            yield CheckpointWeights(prefix)
        except (tf.errors.OpError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"the checkpoint {str(path)!r} cannot be read: {reason}") from error


def read_weights(path: str | Path) -> dict[str, np.ndarray]:
    """All variables of a checkpoint, read at once; see `open_weights`."""
    with open_weights(path) as weights:
        return dict(weights)


def load_weights(model: MusicVAE, path: str | Path) -> None:
    """Sets every weight of `model` from a checkpoint, by published name, one at a time.

    Raises:
      UserError: If there is no checkpoint or it cannot be read. If a weight is missing or has
        another shape, which is found first, the model is left as it was.
    """
    with open_weights(path) as weights:
        assign_weights(model, weights, str(path))


def assign_weights(
    model: MusicVAE, weights: CheckpointWeights | Mapping[str, np.ndarray], source: str
) -> None:
    """Sets every weight of `model` from arrays by published name; see `load_weights`."""
    variables = named_variables(model)
    missing = [name for name in variables if name not in weights]
    if missing:
        raise UserError(
            f"{source} lacks {len(missing)} of {len(variables)} weights of this config, the first "
            f"being {missing[0]}; is it a checkpoint of another config?"
        )
    for name, variable in variables.items():
        if isinstance(weights, CheckpointWeights):
            shape = weights.shapes[name]
        else:
            shape = weights[name].shape
        if tuple(variable.shape) != shape:
            raise UserError(
                f"{source} is a checkpoint of another config or other --hparams: {name} has shape "
                f"{list(shape)}, expected {list(variable.shape)}"
            )
    for name, variable in variables.items():
        variable.assign(weights[name])
    _log.debug("%s: %d weights loaded", source, len(variables))


def _unescape(key: str) -> str:
    """A name as tf.train.Checkpoint writes it ('/' as '.S', '.' as '..') back to what it was."""
    return re.sub(r"\.([S.])", lambda match: "/" if match[1] == "S" else ".", key)


# -- A run's own checkpoints ----------------------------------------------------------------------


class RunCheckpoints:
    """The checkpoints of one training run: `RUN_DIR/train/model.ckpt-STEP` and `config.json`."""

    def __init__(
        self,
        directory: Path,
        model: MusicVAE,
        state: Mapping[str, Any],
        *,
        step: tf.Variable,
        max_to_keep: int | None = None,
        keep_every_n_hours: float | None = None,
    ) -> None:
        """Args:
        directory: Where they go; made when the first is saved.
        model: Whose weights are saved.
        state: What else is saved: variables, and objects that own variables, by name.
        step: The step counter that names the checkpoints.
        max_to_keep: How many of the newest are kept; None for all.
        keep_every_n_hours: Beyond those, one is kept for good every so many hours.
        """
        self.directory = directory
        self._model = model
        self._checkpoint = tf.train.Checkpoint(weights=named_variables(model), **state)
        self._step = step
        self._manager = tf.train.CheckpointManager(
            self._checkpoint,
            str(directory),
            max_to_keep=max_to_keep,
            keep_checkpoint_every_n_hours=keep_every_n_hours,
            step_counter=step,
            checkpoint_name="model.ckpt",
        )

    def save(self) -> Path:
        """Writes a checkpoint of the present step; returns its prefix."""
        return Path(self._manager.save(checkpoint_number=self._step))

    def restore_newest(self) -> Path | None:
        """Sets everything from the newest checkpoint; None, and nothing set, if there is none.

        Raises:
          UserError: If the checkpoint does not fit the model, or cannot be read.
        """
        latest = self._manager.latest_checkpoint
        if latest is None:
            return None
        load_weights(self._model, latest)
        try:
            status = self._checkpoint.restore(latest)
            status.assert_existing_objects_matched().expect_partial()
        except (tf.errors.OpError, ValueError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"training cannot go on from {latest}: {reason}") from error
        return Path(latest)
