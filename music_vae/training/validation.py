"""Validates a run on music that it is not trained on, keeps its best weights, and stops it early.

RUN_DIR/validation.jsonl   a line of metrics for every validation
RUN_DIR/best/              weights.safetensors and config.json of the one with the least loss
"""

import json
import logging
import math
from pathlib import Path

import tensorflow as tf

from music_vae.common import files
from music_vae.common.batches import Batch
from music_vae.common.errors import UserError
from music_vae.common.json_values import MALFORMED
from music_vae.configs import Config
from music_vae.data import Music, StreamedMusic, evaluation_batches
from music_vae.nn import schedules
from music_vae.training import summaries
from music_vae.training.request import Schedule
from music_vae.training.trainer import Trainer
from music_vae.weights import config_file, safetensors_file, tf_checkpoints

CURVE_FILE = "validation.jsonl"
BEST_DIR = "best"
LOSS = "validation_loss"
_RECON, _KL = "losses/r_loss", "losses/kl_loss"
_SAMPLED = "own_samples"  # 1 if the decoder read its own samples, 0 if it read the true steps
_FORMAT_VERSION = 1

_log = logging.getLogger(__name__)


class Validation:
    """Validates a run while it trains, keeps its best weights, and decides when to stop.

    The validation loss is the loss at the end of all schedules: the reconstruction loss, on the
    model's own samples if it is trained on any, plus `max_beta` times the KL divergence. So the
    losses of all steps can be compared, also those from before a change of `max_beta`. Noise is the
    same each time. Losses of teacher forcing and of own samples cannot be compared: where a run has
    changed from one to the other, what was before does not count.

    >>> import tempfile
    >>> from music_vae.configs import get_config
    >>> from music_vae.data import convert
    >>> config = get_config("cat-mel_2bar_small")
    >>> music = convert([], config)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     validation = Validation(Path(folder), config, music, Schedule(every=500), step=0)
    >>> [step for step in range(1, 2001) if validation.is_due(step)]
    [500, 1000, 1500, 2000]
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
        """Goes on from the validations of a run so far; those after `step` are forgotten.

        Args:
          run_dir: Folder of the run.
          config: Config of the run.
          music: The music to validate on.
          schedule: The times at which the run is validated, and at which it stops early.
          step: Number of steps that the run has taken.

        Raises:
          UserError: If there is a file of validations that cannot be read.
        """
        self._directory = run_dir
        self._config = config
        self._music = music
        self._schedule = schedule
        curve = [line for line in read_curve(run_dir) if line["step"] <= step]
        self._curve = [line | {LOSS: self._loss(line)} for line in curve]
        self._sampled = schedules.samples_in_training(config.hparams)

    @property
    def exhausted(self) -> bool:
        """True if `patience` validations in a row brought no smaller loss."""
        patience = self._schedule.patience
        return patience is not None and len(self._comparable) - 1 - self._best() >= patience

    @property
    def has_begun(self) -> bool:
        """True if the run has been validated."""
        return bool(self._curve)

    def is_due(self, step: int) -> bool:
        """Returns True if the run is to be validated after `step` steps."""
        last = self._curve[-1]["step"] if self._curve else -1
        return step % self._schedule.every == 0 and step > last

    def validate(self, trainer: Trainer) -> dict[str, float]:
        """Returns the metrics of the present weights, and keeps these if they are the best.

        Raises:
          UserError: If the loss is not finite; nothing is then written.
        """
        step = int(trainer.step.numpy())
        batches = evaluation_batches(self._music, self._config)
        metrics = trainer.evaluate(Batch(*map(tf.constant, batch)) for batch in batches)
        metrics[LOSS] = self._loss(metrics)
        if not math.isfinite(metrics[LOSS]):
            raise UserError(
                f"the validation loss of step {step} is {metrics[LOSS]}; training stops here and "
                "the checkpoints before stay. A smaller `learning_rate=...` may help"
            )
        line = {
            "format_version": _FORMAT_VERSION,
            "step": step,
            _SAMPLED: float(self._sampled),
            **metrics,
        }
        before = [past[LOSS] for past in self._comparable]
        self._curve.append(line)
        if not before or line[LOSS] < min(before):
            self._keep(trainer, step)
        text = "".join(json.dumps(past) + "\n" for past in self._curve)
        files.write_text(self._directory / CURVE_FILE, text)
        shown = {f"validation/{k.removeprefix('validation_')}": v for k, v in metrics.items()}
        summaries.scalars(shown, step=step)
        return metrics

    def describe_best(self) -> str:
        """Returns a phrase that says which step was the best."""
        best = self._comparable[self._best()]
        return f"the best of step {best['step']}, with a validation loss of {best[LOSS]:.3f}"

    def _loss(self, metrics: dict[str, float]) -> float:
        return metrics[_RECON] + self._config.hparams.max_beta * metrics[_KL]

    @property
    def _comparable(self) -> list[dict[str, float]]:
        """The validations in the way of the present one; those of old runs do not say theirs."""
        return [line for line in self._curve if line.get(_SAMPLED, self._sampled) == self._sampled]

    def _best(self) -> int:
        losses = [line[LOSS] for line in self._comparable]
        return losses.index(min(losses)) if losses else -1

    def _keep(self, trainer: Trainer, step: int) -> None:
        weights = tf_checkpoints.weights_of(trainer.model)
        folder = self._directory / BEST_DIR
        config_file.write(self._config, folder)
        safetensors_file.write(folder / safetensors_file.WEIGHTS_FILE, weights, {"step": str(step)})


def read_curve(run_dir: Path) -> list[dict[str, float]]:
    """Returns the metrics of all validations of a run, by their TensorBoard names, in order.

    >>> import tempfile
    >>> line = '{"format_version": 1, "step": 500, "validation_loss": 9.5, '
    >>> line += '"losses/r_loss": 9.0, "losses/kl_loss": 2.5}'
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "validation.jsonl").write_text(line)
    ...     [(metrics["step"], metrics["validation_loss"]) for metrics in read_curve(Path(folder))]
    [(500, 9.5)]

    Raises:
      UserError: If they cannot be read.
    """
    path = run_dir / CURVE_FILE
    if not path.is_file():
        return []
    try:
        curve = [json.loads(line) for line in path.read_text().splitlines()]
        newest = max((line["format_version"] for line in curve), default=_FORMAT_VERSION)
        needed = ("step", LOSS, _RECON, _KL)
        complete = all(math.isfinite(line.get(name, math.nan)) for line in curve for name in needed)
        readable = complete and newest <= _FORMAT_VERSION
    except MALFORMED as error:
        raise UserError(f"{path} does not hold the figures of validations") from error
    if not readable:
        raise UserError(f"{path} does not hold the figures of validations that are read here")
    return curve
