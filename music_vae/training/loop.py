"""Runs the training loop: steps, summaries, validations and checkpoints."""

import contextlib
import logging
import math
import time
from collections.abc import Callable, Iterator

from tqdm import tqdm

from music_vae.common import progress
from music_vae.common.batches import Batch
from music_vae.common.errors import UserError, WorkerLostError
from music_vae.data import Music, StreamedMusic, TrainingBatches
from music_vae.training import summaries
from music_vae.training.prefetching import prefetched
from music_vae.training.run import Run
from music_vae.training.step_log import StepLog, figures, in_words
from music_vae.training.validation import LOSS, Validation

CHECKPOINT_EVERY_S = 60.0
_SUMMARY_EVERY_STEPS = 10

Report = Callable[[int, dict[str, float]], None]
"""Function that is called with a step and its metrics."""

_log = logging.getLogger(__name__)


def train(
    run: Run,
    music: Music | StreamedMusic,
    *,
    num_steps: int | None,
    validation: Validation | None = None,
    report: Report | None = None,
) -> None:
    """Trains until `num_steps` steps have been taken in all.

    Saves every minute, at the end, and when it is interrupted from the keyboard. With `validation`
    it also ends when that is exhausted.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from music_vae.configs import get_config
    >>> from music_vae.data import convert
    >>> from music_vae.music.notes_io import read_music_file
    >>> sizes = "batch_size=2,z_size=2,enc_rnn_size=[4],dec_rnn_size=[4]"
    >>> config = get_config("cat-mel_2bar_small", sizes)
    >>> music = convert(read_music_file("examples/tunes/soldiers_joy.mid"), config, augment=True)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = Run(config, Path(folder))
    ...     train(run, music, num_steps=3)
    ...     sorted(path.name for path in Path(folder, "train").glob("*.index"))
    ['model.ckpt-3.index']

    Args:
      run: The run, new or restored.
      music: The music to train on.
      num_steps: Number of steps in all; None: until interrupted.
      validation: Validation of the run while it trains, if wanted.
      report: Function that is called with the step and the metrics of every tenth step.

    Raises:
      UserError: If a loss is not finite (the newest checkpoint is then from before), or the music
        does not fill a batch, or the processes of a cluster do not agree.
      KeyboardInterrupt: After saving.
      WorkerLostError: If another process of the cluster has gone.
    """
    examples = music.num_examples if isinstance(music, Music) else 0  # unknown for a stream
    run.devices.check_agreement(step=run.step, seed=run.seed, examples=examples)
    if _is_over(run, num_steps, validation):
        run.write_progress(num_steps, finished=True)
        return
    share = run.devices.process, run.devices.num_processes
    batches = TrainingBatches(music, run.config, seed=run.seed, position=run.position, share=share)
    run.write_progress(num_steps, finished=False)
    first_step = done = run.step
    try:
        with _writer(run), _progress_bar(run, num_steps) as bar:
            last_save = time.monotonic()
            shown = StepLog(bar, num_steps)
            for done in _steps(run, batches, bar, shown, report):
                if validation is not None and validation.is_due(done):
                    _validate(run, validation)
                    if validation.exhausted:
                        _log.info("no better since; stopping at step %d", done)
                        break
                if num_steps is not None and done >= num_steps:
                    break
                if time.monotonic() - last_save >= CHECKPOINT_EVERY_S:
                    run.save()
                    last_save = time.monotonic()
            if validation is not None and not validation.has_begun:
                _validate(run, validation)  # which the run was too short for
            shown.end(run.step)
    except KeyboardInterrupt:
        _log.info("interrupted; saved %s", run.save())
        raise
    except UserError:
        run.write_progress(num_steps, finished=True)  # an evaluation need not wait for more
        raise
    except WorkerLostError as error:
        error.progressed = done > first_step
        raise
    _log.info("saved %s", run.save())
    run.write_progress(num_steps, finished=True)
    run.devices.wait_for_all()


def _is_over(run: Run, num_steps: int | None, validation: Validation | None) -> bool:
    """Returns True, and logs the reason, if a run that goes on has nothing left to do."""
    if num_steps is not None and run.step >= num_steps:
        _log.info("already trained for %d steps, %d were asked for", run.step, num_steps)
        return True
    if validation is not None and validation.exhausted:
        _log.info("training has stopped early; its weights are %s", validation.describe_best())
        return True
    return False


def _steps(
    run: Run, batches: TrainingBatches, bar: tqdm, shown: StepLog, report: Report | None
) -> Iterator[int]:
    """Takes a step with every batch; after each, yields the number of steps taken in all."""
    for batch, position in prefetched(batches, run.config.data_converter.compact):
        before = run.step
        try:
            with run.devices.watching():
                _take_step(run, batch, shown, report)
                bar.update()
        finally:
            if run.step > before:  # it may have been interrupted, but its batch is used up
                run.move_to(position)
        yield run.step


def _writer(run: Run) -> contextlib.AbstractContextManager[None]:
    """Opens the summaries of a run, which the chief writes."""
    return summaries.writer(run.directory) if run.devices.is_chief else contextlib.nullcontext()


def _take_step(run: Run, batch: Batch, shown: StepLog, report: Report | None) -> None:
    """Takes a step, checks its loss, and writes, shows and reports its metrics at times."""
    scalars, statistics = run.trainer.train_step(batch)
    loss = float(scalars["loss"])
    norm = float(scalars["global_norm"])
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise UserError(
            f"the loss of step {run.step} is {loss}, its gradient's norm {norm}; training stops "
            "here and the checkpoints before stay. A smaller `learning_rate=...` may help"
        )
    is_summary = run.step % _SUMMARY_EVERY_STEPS == 0
    if run.devices.is_chief and (shown.needs_figures(run.step) or is_summary):
        metrics = run.trainer.model.decoder.summarize(
            {name: value.numpy() for name, value in statistics.items()}
        )
        if is_summary:
            summaries.scalars(scalars | metrics, step=run.step)
        if is_summary and report is not None:
            report(run.step, {name: float(value) for name, value in (scalars | metrics).items()})
        shown.show(run.step, scalars | metrics)


def _validate(run: Run, validation: Validation) -> None:
    metrics = validation.validate(run.trainer)
    shown = in_words(figures({**metrics, "loss": metrics[LOSS]}))
    _log.info("step %d: validation %s; %s", run.step, shown, validation.describe_best())


def _progress_bar(run: Run, num_steps: int | None) -> tqdm:
    shown = progress.show_progress() and run.devices.is_chief
    return tqdm(total=num_steps, initial=run.step, unit="step", desc="training", disable=not shown)
