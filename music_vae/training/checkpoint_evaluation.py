"""Evaluates the checkpoints of a run, while they are saved or afterwards.

Losses and metrics go to RUN_DIR/eval/, as TensorBoard events.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import tensorflow as tf

from music_vae.common.batches import Batch
from music_vae.common.errors import UserError
from music_vae.configs import Config
from music_vae.data import Music, StreamedMusic, evaluation_batches
from music_vae.lstm_models import build_model
from music_vae.training import summaries
from music_vae.training.request import EvaluationRequest
from music_vae.training.run import is_finished
from music_vae.training.trainer import Trainer
from music_vae.weights import checkpoint_files, config_file, tf_checkpoints

_POLL_S = 5.0  # time between two looks for a new checkpoint

_log = logging.getLogger(__name__)


def _evaluate_checkpoint(
    trainer: Trainer,
    prefix: Path,
    music: Music | StreamedMusic,
    config: Config,
    *,
    num_batches: int | None,
) -> dict[str, float]:
    """Returns the losses and metrics of one checkpoint on `music`, by their TensorBoard names.

    A model that is trained on its own samples is evaluated on them, as in the original, and once
    more with teacher forcing under `teacher_forced/`.
    """
    tf_checkpoints.load_weights(trainer.model, prefix)
    trainer.step.assign(_step_of(prefix))

    def metrics(probability: float | None) -> dict[str, float]:
        batches = evaluation_batches(music, config, num_batches=num_batches)
        return trainer.evaluate(
            (Batch(*map(tf.constant, batch)) for batch in batches),
            sampling_probability=probability,
        )

    results = metrics(None)
    if trainer.samples_in_training:
        forced = metrics(0.0)
        results |= {f"teacher_forced/{name}": value for name, value in forced.items()}
    return results


def evaluate(
    request: EvaluationRequest,
    music: Music | StreamedMusic,
    report: Callable[[int, dict[str, float]], None],
) -> None:
    """Evaluates every checkpoint of a run as it appears, up to the last of its training.

    >>> import tempfile
    >>> from music_vae.configs import get_config
    >>> from music_vae.data import convert
    >>> from music_vae.music.notes_io import read_music_file
    >>> from music_vae.training.request import Corpus
    >>> from music_vae.training.run import Run
    >>> sizes = "batch_size=2,z_size=2,enc_rnn_size=[4],dec_rnn_size=[4]"
    >>> teacher_forced = "sampling_schedule=constant,sampling_rate=0"
    >>> config = get_config("cat-mel_2bar_small", f"{sizes},{teacher_forced}")
    >>> music = convert(read_music_file("examples/tunes/soldiers_joy.mid"), config)
    >>> def report(step, metrics):
    ...     print(step, sorted(metrics)[:3])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Run(config, Path(folder)).save()
    ...     corpus = Corpus(examples_path="tunes.tfrecord")
    ...     evaluate(EvaluationRequest(config, Path(folder), corpus, once=True), music, report)
    0 ['loss', 'losses/kl_beta', 'losses/kl_bits']

    Args:
      request: The run to evaluate, and how.
      music: The music to evaluate on.
      report: Function that is called with the step and the metrics of each checkpoint.

    Raises:
      UserError: If only the newest checkpoint is to be evaluated, and there is none yet.
    """
    train_dir = request.run_dir / config_file.TRAIN_DIR
    prefixes: Iterable[Path] = _as_they_appear(train_dir)
    if request.once:
        prefixes = [checkpoint_files.newest_prefix(train_dir)]
    trainer = Trainer(build_model(request.config))
    events = request.run_dir / f"eval{request.eval_dir_suffix}"
    with summaries.writer(events):
        for prefix in prefixes:
            try:
                results = _evaluate_checkpoint(
                    trainer, prefix, music, request.config, num_batches=request.num_batches
                )
            except UserError:
                if checkpoint_files.index_of(prefix).exists():
                    raise
                _log.info("%s was deleted before it could be evaluated", prefix)
                continue
            step = _step_of(prefix)
            summaries.scalars(results, step=step, flush=True)
            report(step, results)


def _as_they_appear(train_dir: Path) -> Iterator[Path]:
    """Yields the checkpoints of a run, oldest first, and waits for more until training is over."""
    done, waiting = set[int](), False
    while True:
        finished = is_finished(train_dir)  # before the listing, or the last could be missed
        pending = [prefix for prefix in _prefixes(train_dir) if _step_of(prefix) not in done]
        for prefix in pending:
            done.add(_step_of(prefix))
            yield prefix
        if not pending:
            if finished:
                return
            if not waiting:
                _log.info("waiting for a checkpoint in %s", train_dir)
            time.sleep(_POLL_S)
        waiting = not pending


def _prefixes(train_dir: Path) -> list[Path]:
    """Returns the checkpoints that are there, oldest first."""
    prefixes = [path.with_suffix("") for path in train_dir.glob("model.ckpt-*.index")]
    return sorted(prefixes, key=_step_of)


def _step_of(prefix: Path) -> int:
    """Returns the step in the name of a checkpoint, or 0 if there is none."""
    number = prefix.name.rpartition("-")[2]
    return int(number) if number.isdigit() else 0
