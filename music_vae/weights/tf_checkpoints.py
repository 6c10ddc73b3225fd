"""Reads and writes TensorFlow checkpoints.

Two layouts are read. A checkpoint of a run holds the weights under their published names, the
optimizer, and the state of the training. A published checkpoint (TF1) is a flat table of variables.
`checkpoint_files` finds either.
"""

import contextlib
import errno
import logging
import math
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from music_vae.common.errors import UserError
from music_vae.common.json_values import brief
from music_vae.common.model_spec import ModelSpec
from music_vae.common.plans import Shapes
from music_vae.lstm_models import MusicVAE
from music_vae.weights import locate
from music_vae.weights.checkpoint_files import find_newest, open_prefix
from music_vae.weights.fit import check_finite, check_fit
from music_vae.weights.tf_variables import named_variables

GLOBAL_STEP = "global_step"
"""Name of the step counter in a published checkpoint, an int64."""

_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"  # only a checkpoint of a run has it
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_STEP = f"step{_VALUE}"
_WEIGHTS = "weights/"

# Names of what is written before it is renamed, by TensorFlow and by `files.atomic_path`.
_UNFINISHED = ("model.ckpt-*_temp", "checkpoint.tmp*", ".weights.*.safetensors", ".*.*.json")

_MAX_REASON = 300  # characters of a message of TensorFlow, which may quote the file

_log = logging.getLogger(__name__)


# -- Reading --------------------------------------------------------------------------------------


class CheckpointWeights(Mapping[str, np.ndarray]):
    """The variables of a checkpoint by their published names, each read when it is asked for.

    The variables of the optimizer are included, under names of their own, if the checkpoint is a
    published one, and left out if it is a checkpoint of a run.

    >>> weights = CheckpointWeights(Path("tests/golden/models/cat-mel_2bar_small/model.ckpt"), "")
    >>> weights.shapes["encoder/mu/bias"], weights["encoder/mu/bias"].dtype
    ((12,), dtype('float32'))
    >>> weights.of_run
    False

    Attributes:
      of_run: True for a checkpoint of a run, False for the published layout.
      shapes: Shape of each variable.
      step: Number of training steps taken; None if the checkpoint does not tell.
    """

    def __init__(self, prefix: Path, source: str) -> None:
        """Opens a checkpoint.

        Args:
          prefix: Prefix of its files.
          source: Name of the checkpoint in messages.

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
        """Raises `ValueError` if the variables claim more bytes than the files have.

        TensorFlow would allocate what is claimed before it reads anything.
        """
        types = self._reader.get_variable_to_dtype_map()
        claimed = 0
        for name, key in self._keys.items():
            if types[key] == tf.string:
                raise ValueError(f"{brief(name)} holds text instead of numbers")
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
    """Opens a checkpoint, whose weights can be read inside the context.

    >>> with open_checkpoint("tests/golden/models/cat-mel_2bar_small") as weights:
    ...     weights["decoder/output_projection/bias"].shape  # no event, note off, 88 pitches
    (90,)

    Args:
      path: Any of what `checkpoint_files.open_prefix` takes.

    Raises:
      UserError: If there is no checkpoint or it cannot be read.
    """
    with open_prefix(path) as prefix:
        yield CheckpointWeights(prefix, str(path))


@contextlib.contextmanager
def _readable(source: str) -> Iterator[None]:
    """Turns the many exceptions that TensorFlow raises for a damaged file into a `UserError`."""
    try:
        yield
    except (tf.errors.OpError, RuntimeError, ValueError, LookupError, TypeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:_MAX_REASON]
        raise UserError(f"the checkpoint {source!r} cannot be read: {reason}") from error


def read_weights(path: str | Path) -> dict[str, np.ndarray]:
    """Returns all variables of a checkpoint, read at once; see `open_checkpoint`.

    >>> len(read_weights("tests/golden/models/cat-mel_2bar_small"))  # with the step counter
    17
    """
    with open_checkpoint(path) as weights:
        return dict(weights)


@contextlib.contextmanager
def open_fitting(
    path: str | Path, spec: ModelSpec
) -> Iterator[CheckpointWeights | Mapping[str, np.ndarray]]:
    """Opens weights that fit the plan of a model, for `set_weights`.

    It is asked before the model is built, as to build a large one takes seconds and gigabytes.

    >>> from music_vae.configs import get_config
    >>> with open_fitting("tests/golden/models/cat-mel_2bar_small", get_config(
    ...     "cat-mel_2bar_small", "z_size=12,enc_rnn_size=[24],dec_rnn_size=[20,16]"
    ... ).model_spec) as weights:
    ...     weights["encoder/mu/bias"].shape
    (12,)

    Args:
      path: Any of what `locate.open_weights` takes.
      spec: The plan of the model; without an encoder, weights of one are ignored.

    Raises:
      UserError: If there are no such weights, or they cannot be read or do not fit.
    """
    found = locate.find_file(path)
    opened = contextlib.nullcontext(found) if found is not None else open_checkpoint(path)
    with opened as weights:
        check_fit(
            spec.weight_shapes, _shapes(weights), str(path), with_encoder=spec.encoder is not None
        )
        yield weights


def _shapes(weights: CheckpointWeights | Mapping[str, np.ndarray]) -> Shapes:
    """Returns the shapes of weights by name, of which no more is read than has to be."""
    if isinstance(weights, CheckpointWeights):
        return weights.shapes
    return {name: tuple(array.shape) for name, array in weights.items()}


def load_weights(model: MusicVAE, path: str | Path) -> None:
    """Sets every weight of `model` from a checkpoint, by published name, one at a time.

    >>> from music_vae.configs import get_config
    >>> from music_vae.lstm_models import build_model
    >>> sizes = "z_size=12,enc_rnn_size=[24],dec_rnn_size=[20,16]"
    >>> model = build_model(get_config("cat-mel_2bar_small", sizes))
    >>> load_weights(model, "tests/golden/models/cat-mel_2bar_small")

    Args:
      model: The model.
      path: Any of what `checkpoint_files.open_prefix` takes.

    Raises:
      UserError: If there is no checkpoint, or it cannot be read or does not fit, or a weight is
        not finite. A missing weight or one of another shape is noticed before any weight of the
        model is set.
    """
    with open_checkpoint(path) as weights:
        assign_weights(model, weights, str(path))


def weights_of(model: MusicVAE) -> dict[str, np.ndarray]:
    """Returns every weight of `model` by published name; `assign_weights` is the inverse.

    >>> from music_vae.configs import get_config
    >>> from music_vae.lstm_models import build_model
    >>> sizes = "z_size=2,enc_rnn_size=[4],dec_rnn_size=[4]"
    >>> model = build_model(get_config("cat-drums_2bar_small", sizes))
    >>> weights_of(model)["encoder/mu/kernel"].shape  # from both directions of the encoder to z
    (8, 2)
    """
    return {name: variable.numpy() for name, variable in named_variables(model).items()}


def assign_weights(
    model: MusicVAE, weights: CheckpointWeights | Mapping[str, np.ndarray], source: str
) -> None:
    """Sets every weight of `model` from arrays by published name, if they fit.

    >>> from music_vae.configs import get_config
    >>> from music_vae.lstm_models import build_model
    >>> sizes = "z_size=2,enc_rnn_size=[4],dec_rnn_size=[4]"
    >>> model = build_model(get_config("cat-drums_2bar_small", sizes))
    >>> zeros = {name: np.zeros_like(array) for name, array in weights_of(model).items()}
    >>> assign_weights(model, zeros, "zeros")
    >>> weights_of(model)["encoder/mu/bias"].tolist()
    [0.0, 0.0]

    Args:
      model: The model.
      weights: Arrays by name; those that are no weights are ignored.
      source: Name of the weights in messages.

    Raises:
      UserError: As for `load_weights`.
    """
    variables = named_variables(model)
    expected = {name: tuple(variable.shape) for name, variable in variables.items()}
    check_fit(expected, _shapes(weights), source, with_encoder=model.encoder is not None)
    set_weights(model, weights)
    _log.debug("%s: %d weights loaded", source, len(variables))


def set_weights(model: MusicVAE, weights: Mapping[str, np.ndarray]) -> None:
    """Sets every weight of `model` from arrays that are known to fit; see `open_fitting`.

    >>> from music_vae.configs import get_config
    >>> from music_vae.lstm_models import build_model
    >>> config = get_config("cat-drums_2bar_small", "z_size=2,enc_rnn_size=[4],dec_rnn_size=[4]")
    >>> model = build_model(config)
    >>> shapes = config.model_spec.weight_shapes
    >>> set_weights(model, {name: np.ones(shape) for name, shape in shapes.items()})
    >>> weights_of(model)["encoder/mu/bias"].tolist()
    [1.0, 1.0]

    Raises:
      UserError: If a weight cannot be read or is not finite.
    """
    for name, variable in named_variables(model).items():
        variable.assign(check_finite(name, weights[name]))


def _unescape(key: str) -> str:
    """Undoes what tf.train.Checkpoint does to names: '/' becomes '.S' there, and '.' '..'."""
    return re.sub(r"\.([S.])", lambda match: "/" if match[1] == "S" else ".", key)


@contextlib.contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turns what TensorFlow raises for a full disk and the like into an `OSError`, as others do.

    >>> with writing("runs/mine/train"):
    ...     raise tf.errors.ResourceExhaustedError(None, None, "model.ckpt-1; No space left")
    Traceback (most recent call last):
    OSError: [Errno 28] No space left: 'runs/mine/train'

    Args:
      path: The place that is written to in the block, for messages.
    """
    try:
        yield
    except tf.errors.OpError as error:
        # "{{node}} FILE; REASON [Op:NAME]", then lines on what was tried.
        reason = error.message.splitlines()[0].rpartition("; ")[2].partition(" [Op:")[0]
        full = isinstance(error, tf.errors.ResourceExhaustedError)
        raise OSError(errno.ENOSPC if full else errno.EIO, reason, str(path)) from error


# -- Checkpoints of a run -------------------------------------------------------------------------


class RunCheckpoints:
    """The checkpoints of one training run, `RUN_DIR/train/model.ckpt-STEP`.

    >>> import tempfile
    >>> from music_vae.configs import get_config
    >>> from music_vae.lstm_models import build_model
    >>> sizes = "z_size=2,enc_rnn_size=[4],dec_rnn_size=[4]"
    >>> model = build_model(get_config("cat-drums_2bar_small", sizes))
    >>> step = tf.Variable(100, dtype=tf.int64)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     checkpoints = RunCheckpoints(Path(folder), model, {"step": step}, step=step)
    ...     saved = checkpoints.save()
    ...     _ = step.assign(0)  # as in a new process
    ...     restored = checkpoints.restore_newest()
    >>> saved.name, restored == saved, int(step)
    ('model.ckpt-100', True, 100)
    """

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
        """Describes the checkpoints; nothing is written yet.

        Args:
          directory: Their folder, which is made when the first checkpoint is saved.
          model: The model whose weights are saved.
          state: Variables, and objects that own variables, to be saved beside the weights, by name.
          step: The step counter that names the checkpoints.
          max_to_keep: Number of the newest checkpoints that are kept; None for all.
          keep_every_n_hours: Beyond those, one is kept for good every so many hours; None for none.
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
        """Writes a checkpoint of the present step, and returns its prefix.

        Raises:
          OSError: If it cannot be written, as on a full disk; those before stay.
        """
        with writing(self.directory):
            return Path(self._manager.save(checkpoint_number=self._step))

    def remove_unfinished(self) -> None:
        """Removes what runs left that were killed while they saved.

        No other process may be saving to the same directory.
        """
        for path in [path for name in _UNFINISHED for path in self.directory.glob(name)]:
            _log.debug("removing %s, which was not finished", path)
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def restore_newest(self) -> Path | None:
        """Sets weights and state from the newest checkpoint, and returns its prefix.

        Returns None, with nothing set, if there is no checkpoint.

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
