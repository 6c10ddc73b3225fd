"""A run on disk: a model in training, saved with all that it needs to go on after an interruption.

RUN_DIR/train/   model.ckpt-STEP.*, weights.safetensors (the newest), config.json, progress.json,
                 TensorBoard events
RUN_DIR/eval/    TensorBoard events (see `checkpoint_evaluation`)
RUN_DIR/best/    with validation: the weights of the least loss (see `validation`)
"""

import json
import secrets
from pathlib import Path

import keras
import tensorflow as tf

from music_vae.common import files
from music_vae.common.errors import UserError
from music_vae.configs import Config
from music_vae.data import Position
from music_vae.lstm_models import build_model
from music_vae.nn.numerics import PLAIN, Numerics
from music_vae.training.devices import ONE_DEVICE, Devices
from music_vae.training.request import DEFAULT_POLICY, CheckpointPolicy
from music_vae.training.trainer import Trainer
from music_vae.weights import config_file, locate, tf_checkpoints

PROGRESS_FILE = "progress.json"


class Run:
    """A model in training, with everything needed to go on from its newest checkpoint."""

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
          config: What to train.
          run_dir: Where it lives.
          seed: Of weights, data order and noise. None: the seed of the run so far, or a fresh one.
          policy: Which checkpoints stay.
          warm_start: A checkpoint (see `checkpoint_files.open_prefix`) whose weights the run starts
            from if it has no checkpoint of its own; its step and optimizer start afresh.
          devices: What to train on. Of several processes the chief writes; all restore.
          numerics: How the model computes.

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
        with devices.scope():
            model = build_model(config)
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
        self.restored = self._checkpoints.restore_newest()
        if warm_start is not None and not self.restored:
            tf_checkpoints.load_weights(self.trainer.model, warm_start)
        if self.restored and seed is not None and seed != self.seed:
            raise UserError(
                f"{run_dir} was started with `seed={self.seed}`; leave `seed` away to go on with it"
            )

    @property
    def step(self) -> int:
        """Number of steps taken."""
        return int(self.trainer.step.numpy())

    @property
    def seed(self) -> int:
        """The run's seed."""
        return int(self.trainer.seed.numpy())

    @property
    def position(self) -> Position:
        """Where in the data the next step begins."""
        return Position(int(self._epoch.numpy()), int(self._offset.numpy()))

    def move_to(self, position: Position) -> None:
        """Notes where in the data the next step begins."""
        self._epoch.assign(position.epoch)
        self._offset.assign(position.offset)

    def save(self) -> Path | None:
        """Writes a checkpoint, with the config and the weights for playing beside it.

        Only the chief writes.

        Raises:
          UserError: If a weight is not finite; nothing is then written.
        """
        if not self.devices.is_chief:
            return None
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
        """Notes for an evaluation that waits how far training is to go, and whether it is there."""
        if not self.devices.is_chief:
            return
        progress = {"step": self.step, "num_steps": num_steps, "finished": finished}
        files.write_text(self.directory / PROGRESS_FILE, json.dumps(progress) + "\n")


def is_finished(train_dir: Path) -> bool:
    """Whether a run, whose checkpoints are in `train_dir`, has noted that its training is over."""
    try:
        return bool(json.loads((train_dir / PROGRESS_FILE).read_text())["finished"])
    except FileNotFoundError:
        return False
