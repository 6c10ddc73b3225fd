"""Weights on disk: checkpoints of training runs and published ones, read and written.

Two layouts are read. A run's own checkpoint holds the weights under their published names, the
optimizer, and where training stands. A published checkpoint (TF1) is a flat table of variables.
`checkpoint_files` finds them.
"""

import contextlib
import logging
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from music_vae.common.errors import UserError
from music_vae.common.plans import Shapes
from music_vae.lstm_models import MusicVAE
from music_vae.weights.checkpoint_files import find_newest, open_prefix
from music_vae.weights.fit import check_fit
from music_vae.weights.tf_variables import named_variables

GLOBAL_STEP = "global_step"
"""The step counter of a published checkpoint, int64."""

_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"  # in a run's checkpoint
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_STEP = f"step{_VALUE}"
_WEIGHTS = "weights/"

_log = logging.getLogger(__name__)


# -- Reading --------------------------------------------------------------------------------------


class CheckpointWeights(Mapping[str, np.ndarray]):
    """The variables of a checkpoint by their published names, each read when it is asked for.

    Optimizer slots and counters are there under their own names in a published checkpoint, and left
    out of a run's.

    Attributes:
      of_run: Whether it is a run's own checkpoint, and not in the published layout.
      shapes: Shape of each variable.
      step: Number of training steps taken, None if the checkpoint does not say.
    """

    def __init__(self, prefix: Path, source: str) -> None:
        """Opens the checkpoint at `prefix`; `source` is what messages call it.

        Raises:
          UserError: If it cannot be read, claims more than its files hold, or holds a variable that
            is not of numbers. Reading a variable may raise it, too.
        """
        self._source = source
        with _readable(source):
            self._reader = tf.train.load_checkpoint(str(prefix))
            shapes = self._reader.get_variable_to_shape_map()
        self.of_run = _OBJECT_GRAPH in shapes
        self._keys = {key: key for key in shapes}
        if self.of_run:
            self._keys = {
                _unescape(key[len(_WEIGHTS) : -len(_VALUE)]): key
                for key in shapes
                if key.startswith(_WEIGHTS) and key.endswith(_VALUE)
            }
        self.shapes = {name: tuple(shapes[key]) for name, key in self._keys.items()}
        with _readable(source):
            self._check_size(prefix)
            step = _STEP if self.of_run else GLOBAL_STEP
            self.step = None
            if shapes.get(step) == []:
                self.step = int(self._reader.get_tensor(step))

    def _check_size(self, prefix: Path) -> None:
        """TensorFlow makes room for what is claimed before it looks for it."""
        types = self._reader.get_variable_to_dtype_map()
        claimed = 0
        for name, key in self._keys.items():
            if types[key] == tf.string:
                raise ValueError(f"{name} holds text instead of numbers")
            claimed += math.prod(self.shapes[name]) * types[key].size
        data = prefix.parent.glob(f"{prefix.name}.data-*")
        held = sum(file.stat().st_size for file in data)
        if not 0 <= claimed <= held:
            raise ValueError(f"its variables claim {claimed:,} bytes; its data has {held:,}")

    def __getitem__(self, name: str) -> np.ndarray:
        key = self._keys[name]
        with _readable(self._source):
            return self._reader.get_tensor(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


@contextlib.contextmanager
def open_checkpoint(path: str | Path) -> Iterator[CheckpointWeights]:
    """The weights of a checkpoint, for as long as the context is open.

    Args:
      path: See `checkpoint_files.open_prefix`.

    Raises:
      UserError: If there is no checkpoint or it cannot be read.
    """
    with open_prefix(path) as prefix:
        yield CheckpointWeights(prefix, str(path))


@contextlib.contextmanager
def _readable(source: str) -> Iterator[None]:
    """Makes a `UserError` of what TensorFlow raises for a damaged file: it may be any of these."""
    try:
        yield
    except (tf.errors.OpError, RuntimeError, ValueError, LookupError, TypeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"the checkpoint {source!r} cannot be read: {reason}") from error


def read_weights(path: str | Path) -> dict[str, np.ndarray]:
    """All variables of a checkpoint, read at once; see `open_checkpoint`."""
    with open_checkpoint(path) as weights:
        return dict(weights)


def load_weights(model: MusicVAE, path: str | Path) -> None:
    """Sets every weight of `model` from a checkpoint, by published name, one at a time.

    Raises:
      UserError: If there is no checkpoint or it cannot be read. If a weight is missing or has
        another shape, which is found first, the model is left as it was.
    """
    with open_checkpoint(path) as weights:
        assign_weights(model, weights, str(path))


def weights_of(model: MusicVAE) -> dict[str, np.ndarray]:
    """Every weight of `model` by published name; `assign_weights` is the inverse."""
    return {name: variable.numpy() for name, variable in named_variables(model).items()}


def assign_weights(
    model: MusicVAE, weights: CheckpointWeights | Mapping[str, np.ndarray], source: str
) -> None:
    """Sets every weight of `model` from arrays by published name; see `load_weights`."""
    variables = named_variables(model)
    if isinstance(weights, CheckpointWeights):
        found: Shapes = weights.shapes
    else:
        found = {name: array.shape for name, array in weights.items()}
    expected = {name: tuple(variable.shape) for name, variable in variables.items()}
    check_fit(expected, found, source, with_encoder=model.encoder is not None)
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
        latest = find_newest(self.directory)
        if latest is None:
            return None
        load_weights(self._model, latest)
        try:
            status = self._checkpoint.restore(str(latest))
            status.assert_existing_objects_matched().expect_partial()
        except (tf.errors.OpError, ValueError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"training cannot go on from {latest}: {reason}") from error
        return latest
