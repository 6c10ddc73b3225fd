"""A run on disk: train, save, go on after an interruption, and evaluate what was saved.

RUN_DIR/train/   model.ckpt-STEP.*, weights.safetensors (the newest), config.json, progress.json,
                 TensorBoard events
RUN_DIR/eval/    TensorBoard events
RUN_DIR/best/    with validation: the weights of the least loss (see `validation`)
"""

import dataclasses
import json
import logging
import math
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from tqdm import tqdm

from music_vae.common import files, progress
from music_vae.common.batches import Batch
from music_vae.common.errors import UserError, WorkerLostError
from music_vae.configs import Config
from music_vae.data import (
    Music,
    Position,
    StreamedMusic,
    TrainingBatches,
    evaluation_batches,
)
from music_vae.lstm_models import build_model
from music_vae.nn.numerics import PLAIN, Numerics
from music_vae.training.devices import ONE_DEVICE, Devices
from music_vae.training.prefetching import prefetched
from music_vae.training.trainer import Trainer
from music_vae.training.validation import LOSS, Validation
from music_vae.weights import checkpoint_files, config_file, locate, tf_checkpoints, tf_variables

CHECKPOINT_EVERY_S = 60.0
SUMMARY_EVERY_STEPS = 10
PROGRESS_FILE = "progress.json"
_POLL_S = 5.0  # how often evaluation looks for a new checkpoint

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class CheckpointPolicy:
    """Which checkpoints of a run stay.

    Attributes:
      max_to_keep: How many of the newest; None for all.
      keep_every_n_hours: Beyond those, one for good every so many hours; None for none.
    """

    max_to_keep: int | None = 100
    keep_every_n_hours: float | None = 1.0


class Run:
    """A model in training, with everything needed to go on from its newest checkpoint."""

    def __init__(
        self,
        config: Config,
        run_dir: Path,
        *,
        seed: int | None = None,
        policy: CheckpointPolicy | None = None,
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
        policy = policy or CheckpointPolicy()
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
                f"{run_dir} was started with --seed={self.seed}; leave --seed away to go on with it"
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
        named = tf_variables.named_variables(self.trainer.model)
        weights = {name: variable.numpy() for name, variable in named.items()}
        locate.write_beside(prefix, weights, self.step)
        return prefix

    def write_progress(self, num_steps: int | None, *, finished: bool) -> None:
        """Notes for an evaluation that waits how far training is to go, and whether it is there."""
        if not self.devices.is_chief:
            return
        progress = {"step": self.step, "num_steps": num_steps, "finished": finished}
        files.write_text(self.directory / PROGRESS_FILE, json.dumps(progress) + "\n")


def train(
    run: Run,
    music: Music | StreamedMusic,
    *,
    num_steps: int | None,
    validation: Validation | None = None,
) -> None:
    """Trains until `num_steps` steps have been taken in all (None: until interrupted).

    Saves every minute, at the end, and when it is interrupted from the keyboard. With `validation`
    it ends when that is exhausted, too.

    Raises:
      UserError: If a loss is not finite (the newest checkpoint is then from before), or the music
        does not fill a batch, or the processes of a cluster do not agree.
      KeyboardInterrupt: After saving.
      WorkerLostError: If another process of the cluster has gone.
    """
    examples = music.num_examples if isinstance(music, Music) else 0  # of a stream nobody knows
    run.devices.check_agreement(step=run.step, seed=run.seed, examples=examples)
    if num_steps is not None and run.step >= num_steps:
        _log.info("already trained for %d steps, %d were asked for", run.step, num_steps)
        run.write_progress(num_steps, finished=True)
        return
    if validation is not None and validation.exhausted:
        _log.info("training has stopped early; its weights are %s", validation.describe_best())
        run.write_progress(num_steps, finished=True)
        return
    share = run.devices.process, run.devices.num_processes
    batches = TrainingBatches(music, run.config, seed=run.seed, position=run.position, share=share)
    run.write_progress(num_steps, finished=False)
    first_step, position, done = run.step, run.position, run.step
    try:
        with _writer(run).as_default(), _progress_bar(run, num_steps) as bar:
            last_save = time.monotonic()
            for batch, position in prefetched(batches, run.config.data_converter.compact):
                with run.devices.watching():
                    _take_step(run, batch, bar)
                run.move_to(position)
                done = run.step
                if validation is not None and validation.is_due(run.step):
                    _validate(run, validation)
                    if validation.exhausted:
                        _log.info("no better since; stopping at step %d", run.step)
                        break
                if num_steps is not None and run.step >= num_steps:
                    break
                if time.monotonic() - last_save >= CHECKPOINT_EVERY_S:
                    run.save()
                    last_save = time.monotonic()
    except KeyboardInterrupt:
        if run.step > done:  # the step was taken, and its batch is used up
            run.move_to(position)
        _log.info("interrupted; saved %s", run.save())
        raise
    except UserError:
        run.write_progress(num_steps, finished=True)  # nothing more will come for an evaluation
        raise
    except WorkerLostError as error:
        error.progressed = done > first_step
        raise
    _log.info("saved %s", run.save())
    run.write_progress(num_steps, finished=True)
    run.devices.wait_for_all()


def _writer(run: Run) -> Any:
    if run.devices.is_chief:
        return tf.summary.create_file_writer(str(run.directory))
    return tf.summary.create_noop_writer()


def _take_step(run: Run, batch: Batch, bar: tqdm) -> None:
    scalars, statistics = run.trainer.train_step(batch)
    loss = float(scalars["loss"])
    norm = float(scalars["global_norm"])
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise UserError(
            f"the loss of step {run.step} is {loss}, its gradient's norm {norm}; training stops "
            "here and the checkpoints before stay. A smaller --hparams=learning_rate=... may help"
        )
    if run.step % SUMMARY_EVERY_STEPS == 0 and run.devices.is_chief:
        metrics = run.trainer.model.decoder.summarize(
            {name: value.numpy() for name, value in statistics.items()}
        )
        for name, value in (scalars | metrics).items():
            tf.summary.scalar(name, value, step=run.step)
        shown = {"loss": f"{loss:.3f}"}
        if "metrics/accuracy" in metrics:
            shown["accuracy"] = f"{metrics['metrics/accuracy']:.3f}"
        bar.set_postfix(shown, refresh=False)
        if run.step % (10 * SUMMARY_EVERY_STEPS) == 0 and bar.disable:
            _log.info("step %d: %s", run.step, " ".join(f"{k} {v}" for k, v in shown.items()))
    bar.update()


def _validate(run: Run, validation: Validation) -> None:
    figures = validation.validate(run.trainer)
    shown = f"loss {figures[LOSS]:.3f}"
    if "metrics/accuracy" in figures:
        shown += f" accuracy {figures['metrics/accuracy']:.3f}"
    _log.info("step %d: validation %s; %s", run.step, shown, validation.describe_best())


def _progress_bar(run: Run, num_steps: int | None) -> tqdm:
    shown = progress.show_progress() and run.devices.is_chief
    return tqdm(total=num_steps, initial=run.step, unit="step", desc="training", disable=not shown)


def evaluate_checkpoint(
    trainer: Trainer,
    prefix: Path,
    music: Music | StreamedMusic,
    config: Config,
    *,
    num_batches: int | None,
) -> dict[str, float]:
    """Losses and metrics of one checkpoint on `music`, by their TensorBoard names.

    A model that is trained on its own samples is evaluated on them, as the original does, and once
    more with teacher forcing under `teacher_forced/`.
    """
    tf_checkpoints.load_weights(trainer.model, prefix)
    trainer.step.assign(_step_of(prefix))

    def figures(probability: float | None) -> dict[str, float]:
        batches = evaluation_batches(music, config, num_batches=num_batches)
        return trainer.evaluate(
            (Batch(*map(tf.constant, batch)) for batch in batches),
            sampling_probability=probability,
        )

    results = figures(None)
    if trainer.samples_in_training:
        forced = figures(0.0)
        results |= {f"teacher_forced/{name}": value for name, value in forced.items()}
    return results


def evaluate(
    config: Config,
    run_dir: Path,
    music: Music | StreamedMusic,
    *,
    once: bool = False,
    num_batches: int | None = None,
    eval_dir_suffix: str = "",
    report: Callable[[int, dict[str, float]], None],
) -> None:
    """Evaluates every checkpoint of a run as it appears, until its training's last.

    Args:
      config: The run's config.
      run_dir: The run; it may not have begun yet.
      music: What to evaluate on.
      once: Evaluate the newest checkpoint and return.
      num_batches: Use so many batches; None for all.
      eval_dir_suffix: Added to the name of the folder `eval`, for several data sets.
      report: Called with the step and the figures of each checkpoint.

    Raises:
      UserError: With `once`, if there is no checkpoint yet.
    """
    train_dir, done, waiting = run_dir / config_file.TRAIN_DIR, set[int](), False
    if once:
        pending = [checkpoint_files.newest_prefix(train_dir)]
    trainer = Trainer(build_model(config))
    writer = tf.summary.create_file_writer(str(run_dir / f"eval{eval_dir_suffix}"))
    while True:
        finished = _is_finished(train_dir)  # before the listing, or the last could be missed
        if not once:
            pending = [p for p in _prefixes(train_dir) if _step_of(p) not in done]
        for prefix in pending:
            step = _step_of(prefix)
            done.add(step)
            try:
                results = evaluate_checkpoint(
                    trainer, prefix, music, config, num_batches=num_batches
                )
            except UserError:
                if prefix.with_name(f"{prefix.name}.index").exists():
                    raise
                _log.info("%s was deleted before it could be evaluated", prefix)
                continue
            with writer.as_default():
                for name, value in results.items():
                    tf.summary.scalar(name, value, step=step)
            writer.flush()
            report(step, results)
        if once or (finished and not pending):
            return
        if not pending:
            if not waiting:
                _log.info("waiting for a checkpoint in %s", train_dir)
            time.sleep(_POLL_S)
        waiting = not pending


def _prefixes(train_dir: Path) -> list[Path]:
    """The checkpoints that are there, oldest first."""
    found = [path.with_suffix("") for path in train_dir.glob("model.ckpt-*.index")]
    return sorted(found, key=_step_of)


def _step_of(prefix: Path) -> int:
    """The step in a checkpoint's name, 0 where it has none."""
    number = prefix.name.rpartition("-")[2]
    return int(number) if number.isdigit() else 0


def _is_finished(train_dir: Path) -> bool:
    try:
        return bool(json.loads((train_dir / PROGRESS_FILE).read_text())["finished"])
    except FileNotFoundError:
        return False
