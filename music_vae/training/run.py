"""Keeps a model in training on disk, with all that it needs to go on after an interruption.

RUN_DIR/train/   model.ckpt-STEP.*, weights.safetensors (the newest), config.json, progress.json,
                 TensorBoard events
RUN_DIR/eval/    TensorBoard events (see `checkpoint_evaluation`)
RUN_DIR/best/    with validation: the weights of the least loss (see `validation`)
"""

import contextlib
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from music_vae.common import files, interrupts, locks
from music_vae.common.errors import UserError
from music_vae.common.json_values import MALFORMED
from music_vae.configs import Config
from music_vae.data import Position
from music_vae.lstm_models import MusicVAE, build_model
from music_vae.nn.numerics import PLAIN, Numerics
from music_vae.training.devices import ONE_DEVICE, Devices
from music_vae.training.request import DEFAULT_POLICY, CheckpointPolicy
from music_vae.training.trainer import Trainer
from music_vae.weights import checkpoint_files, config_file, locate, tf_checkpoints

_PROGRESS_FILE, _LOCK_FILE = "progress.json", ".lock"


class Run:
    """A model in training, with everything needed to go on from its newest checkpoint.

    >>> import tempfile
    >>> from music_vae.configs import get_config
    >>> sizes = "batch_size=2,z_size=2,enc_rnn_size=[4],dec_rnn_size=[4]"
    >>> config = get_config("cat-mel_2bar_small", sizes)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = Run(config, Path(folder), seed=7)
    ...     run.move_to(Position(epoch=1, offset=64))
    ...     run.save().name
    ...     again = Run(config, Path(folder))  # as in a new process
    'model.ckpt-0'
    >>> again.restored.name, again.seed, again.position
    ('model.ckpt-0', 7, Position(epoch=1, offset=64))

    Attributes:
      config: The config of the model.
      directory: Folder of the checkpoints, `train` in the folder of the run.
      devices: The devices to train on.
      trainer: The model with its optimizer and step counter.
      restored: Prefix of the checkpoint that the run goes on from; None for a new run.
    """

    def __init__(
        self,
        config: Config,
        run_dir: Path,
        *,
        seed: int | None = None,
        policy: CheckpointPolicy = DEFAULT_POLICY,
        warm_start: str | Path | None = None,
        devices: Devices = ONE_DEVICE,
        numerics: Numerics = PLAIN,
    ) -> None:
        """Builds the model and restores the newest checkpoint of `run_dir`, if there is one.

        Args:
          config: Config of the model.
          run_dir: Folder of the run.
          seed: Seed of weights, data order and noise. None: the seed of the run so far, or a random
            one for a new run.
          policy: Policy of which checkpoints are kept.
          warm_start: A checkpoint or a file of weights (see `locate.open_weights`) that a new run
            starts with; its step counter and optimizer start afresh.
          devices: The devices to train on. Of several processes only the chief writes; all restore.
          numerics: The way in which the model computes.

        Raises:
          UserError: If the checkpoint does not fit `config`, or was made with another seed, or the
            batch size does not suit the devices.
        """
        devices.check_batch_size(config.hparams.batch_size)
        self.devices = devices
        self.directory = run_dir / config_file.TRAIN_DIR
        self.config = config
        first_seed = secrets.randbits(31) if seed is None else seed
        keras.utils.set_random_seed(first_seed % 2**32)
        model = self._built(warm_start)
        self.trainer = Trainer(model, seed=first_seed, devices=devices, numerics=numerics)
        self._epoch = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._offset = tf.Variable(0, dtype=tf.int64, trainable=False)
        state = {
            "optimizer": self.trainer.optimizer,
            "step": self.trainer.step,
            "seed": self.trainer.seed,
            "epoch": self._epoch,
            "offset": self._offset,
        }
        self._checkpoints = tf_checkpoints.RunCheckpoints(
            self.directory,
            self.trainer.model,
            state,
            step=self.trainer.step,
            max_to_keep=policy.max_to_keep,
            keep_every_n_hours=policy.keep_every_n_hours,
        )
        if devices.is_chief:
            self._checkpoints.remove_unfinished()
        self.restored = self._checkpoints.restore_newest()
        self._saved: tuple[tuple[int, Position], Path] | None = None
        if self.restored and seed is not None and seed != self.seed:
            raise UserError(
                f"{run_dir} was started with `seed={self.seed}`; leave `seed` away to go on with it"
            )

    def _built(self, warm_start: str | Path | None) -> MusicVAE:
        """Builds the model, with the weights that a new run starts with, if there are any.

        Weights that do not fit are refused before.
        """
        newest = checkpoint_files.find_newest(self.directory)
        with _first_weights(self.config, newest or warm_start) as weights:
            with self.devices.scope():
                model = build_model(self.config)
            if weights is not None and newest is None:
                tf_checkpoints.set_weights(model, weights)
        return model

    @property
    def step(self) -> int:
        """Number of steps taken."""
        return int(self.trainer.step.numpy())

    @property
    def seed(self) -> int:
        """Seed of the run."""
        return int(self.trainer.seed.numpy())

    @property
    def position(self) -> Position:
        """Position in the data at which the next step begins."""
        return Position(int(self._epoch.numpy()), int(self._offset.numpy()))

    def move_to(self, position: Position) -> None:
        """Sets the position in the data at which the next step begins."""
        self._epoch.assign(position.epoch)
        self._offset.assign(position.offset)

    def save(self) -> Path | None:
        """Writes a checkpoint, with the config and the weights for playing beside it.

        Returns its prefix. Only the chief writes; the others return None. A signal that ends the
        program waits until all is written. What this process has saved of the same step is not
        written again.

        Raises:
          UserError: If a weight is not finite; nothing is then written.
        """
        if not self.devices.is_chief:
            return None
        state = self.step, self.position
        if self._saved is None or self._saved[0] != state:
            with interrupts.postponed():
                self._saved = state, self._save()
        return self._saved[1]

    def _save(self) -> Path:
        """Writes the files that `save` describes, and returns the prefix of the checkpoint."""
        for variable in self.trainer.model.trainable_variables:
            if not tf.reduce_all(tf.math.is_finite(variable.value)):
                raise UserError(
                    f"after step {self.step} the weight {variable.path} is not finite; training "
                    "stops here and the checkpoints before it stay"
                )
        config_file.write(self.config, self.directory)
        prefix = self._checkpoints.save()
        locate.write_beside(prefix, tf_checkpoints.weights_of(self.trainer.model), self.step)
        return prefix

    def write_progress(self, num_steps: int | None, *, finished: bool) -> None:
        """Writes, for an evaluation that waits, how far training is and whether it is finished."""
        if not self.devices.is_chief:
            return
        progress = {"step": self.step, "num_steps": num_steps, "finished": finished}
        files.write_text(self.directory / _PROGRESS_FILE, json.dumps(progress) + "\n")


def _first_weights(
    config: Config, source: str | Path | None
) -> contextlib.AbstractContextManager[Any]:
    """Opens the weights that a run begins with, which have to fit; of none it gives None."""
    if source is None:
        return contextlib.nullcontext()
    return tf_checkpoints.open_fitting(source, config.model_spec)


@contextlib.contextmanager
def only_one(run_dir: Path) -> Iterator[None]:
    """Keeps other processes from training the same run in the block.

    Two would write over each other's checkpoints. A run that got no files leaves no folder.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, only_one(Path(folder)):
    ...     with only_one(Path(folder)):
    ...         print("not reached")
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `run_dir=...` is being trained by another process

    Raises:
      UserError: If another process trains it.
    """
    is_ours = False
    try:
        with locks.held(run_dir / _LOCK_FILE):
            is_ours = True
            yield
    except locks.LockedError:
        raise UserError(
            f"`run_dir={run_dir}` is being trained by another process",
            hint="wait for it, or name another folder",
        ) from None
    finally:
        with contextlib.suppress(OSError):
            if is_ours and [path.name for path in run_dir.iterdir()] == [_LOCK_FILE]:
                (run_dir / _LOCK_FILE).unlink()
                run_dir.rmdir()


def is_finished(train_dir: Path) -> bool:
    """Returns True if the run with the checkpoints in `train_dir` says that its training is over.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     before = is_finished(Path(folder))
    ...     _ = Path(folder, "progress.json").write_text('{"step": 500, "finished": true}')
    ...     before, is_finished(Path(folder))
    (False, True)

    Raises:
      UserError: If what the run says cannot be read.
    """
    path = train_dir / _PROGRESS_FILE
    try:
        return bool(json.loads(path.read_text())["finished"])
    except FileNotFoundError:
        return False
    except MALFORMED as error:
        raise UserError(f"{path} does not say how far training is") from error
