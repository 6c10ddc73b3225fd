"""Early stopping: how a run does on music that it is not trained on, and its best weights so far.

RUN_DIR/validation.jsonl   a line of figures for every validation
RUN_DIR/best/              weights.safetensors and config.json of the one with the least loss
"""

import json
import logging
from pathlib import Path

import tensorflow as tf

from music_vae.common import files
from music_vae.common.batches import Batch
from music_vae.common.errors import UserError
from music_vae.configs import Config
from music_vae.data import Music, StreamedMusic, evaluation_batches
from music_vae.training.request import Schedule
from music_vae.training.trainer import Trainer
from music_vae.weights import config_file, safetensors_file, tf_checkpoints

CURVE_FILE = "validation.jsonl"
BEST_DIR = "best"
LOSS = "validation_loss"
_RECON, _KL = "losses/r_loss", "losses/kl_loss"
_FORMAT_VERSION = 1

_log = logging.getLogger(__name__)


class Validation:
    """Validates a run as it goes, keeps its best weights, and says when to stop.

    The loss is the one that training comes to at the end of its schedules: the reconstruction, on
    the model's own samples if it is trained on any, and the KL divergence weighted by `max_beta`.
    So the losses of all steps can be compared, also those from before a change of `max_beta`. Noise
    is the same each time.
    """

    def __init__(
        self,
        run_dir: Path,
        config: Config,
        music: Music | StreamedMusic,
        schedule: Schedule,
        *,
        step: int,
    ) -> None:
        """Goes on from what `run_dir` holds; validations after `step` are forgotten.

        Raises:
          UserError: If there is a file of figures that cannot be read.
        """
        self._directory = run_dir
        self._config = config
        self._music = music
        self._schedule = schedule
        curve = [line for line in read_curve(run_dir) if line["step"] <= step]
        self._curve = [line | {LOSS: self._loss(line)} for line in curve]

    @property
    def exhausted(self) -> bool:
        """Whether `patience` validations in a row brought no smaller loss."""
        patience = self._schedule.patience
        return patience is not None and len(self._curve) - 1 - self._best() >= patience

    def is_due(self, step: int) -> bool:
        """Whether the run is to be validated after `step` steps."""
        last = self._curve[-1]["step"] if self._curve else -1
        return step % self._schedule.every == 0 and step > last

    def validate(self, trainer: Trainer) -> dict[str, float]:
        """The figures of the weights as they are, which are kept if they are the best so far."""
        step = int(trainer.step.numpy())
        batches = evaluation_batches(self._music, self._config)
        figures = trainer.evaluate(Batch(*map(tf.constant, batch)) for batch in batches)
        figures[LOSS] = self._loss(figures)
        line = {"format_version": _FORMAT_VERSION, "step": step, **figures}
        before = [past[LOSS] for past in self._curve]
        self._curve.append(line)
        if not before or line[LOSS] < min(before):
            self._keep(trainer, step)
        text = "".join(json.dumps(past) + "\n" for past in self._curve)
        files.write_text(self._directory / CURVE_FILE, text)
        for name, value in figures.items():
            tf.summary.scalar(f"validation/{name.removeprefix('validation_')}", value, step=step)
        return figures

    def describe_best(self) -> str:
        """Which step was the best, in words."""
        best = self._curve[self._best()]
        return f"the best of step {best['step']}, with a validation loss of {best[LOSS]:.3f}"

    def _loss(self, figures: dict[str, float]) -> float:
        return figures[_RECON] + self._config.hparams.max_beta * figures[_KL]

    def _best(self) -> int:
        losses = [line[LOSS] for line in self._curve]
        return losses.index(min(losses)) if losses else -1

    def _keep(self, trainer: Trainer, step: int) -> None:
        weights = tf_checkpoints.weights_of(trainer.model)
        folder = self._directory / BEST_DIR
        config_file.write(self._config, folder)
        safetensors_file.write(folder / safetensors_file.WEIGHTS_FILE, weights, {"step": str(step)})


def read_curve(run_dir: Path) -> list[dict[str, float]]:
    """The figures of all validations of a run, by their TensorBoard names, in their order.

    Raises:
      UserError: If they cannot be read.
    """
    path = run_dir / CURVE_FILE
    if not path.is_file():
        return []
    try:
        curve = [json.loads(line) for line in path.read_text().splitlines()]
        newest = max((line["format_version"] for line in curve), default=_FORMAT_VERSION)
        complete = all({"step", LOSS, _RECON, _KL} <= set(line) for line in curve)
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path} does not hold the figures of validations") from error
    if newest > _FORMAT_VERSION or not complete:
        raise UserError(f"{path} does not hold the figures of validations that are read here")
    return curve
