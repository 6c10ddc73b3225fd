"""A request, carried out: music is converted, a run is opened, then it is trained or evaluated."""

import contextlib
import logging
from collections.abc import Callable, Iterator

from music_vae import data
from music_vae.common import progress
from music_vae.common.errors import UserError
from music_vae.configs import Config
from music_vae.training import checkpoint_evaluation, devices, loop
from music_vae.training.request import Corpus, EvaluationRequest, TrainRequest
from music_vae.training.run import Run
from music_vae.training.validation import Validation

_log = logging.getLogger(__name__)


def train(request: TrainRequest) -> None:
    """Trains a run until it has all its steps, or validation no longer finds it better.

    Raises:
      UserError: If the run cannot go on as it is asked to, its music cannot be read or is too
        little, there are no such devices, or a loss is not finite.
      KeyboardInterrupt: After saving.
      WorkerLostError: If another process of the cluster has gone.
    """
    run = open_run(request)
    with (
        converted(request.corpus, request.config, "train", augment=True) as music,
        _validation(request, run) as validation,
    ):
        loop.train(run, music, num_steps=request.num_steps, validation=validation)


def evaluate(request: EvaluationRequest, report: Callable[[int, dict[str, float]], None]) -> None:
    """Evaluates the checkpoints of a run as they appear, until its training's last.

    Args:
      request: Which run, and on what.
      report: Called with the step and the figures of each checkpoint.

    Raises:
      UserError: If the music cannot be read or is too little, or the only checkpoint that is wanted
        is not there.
    """
    with converted(request.corpus, request.config, "validation", augment=False) as music:
        checkpoint_evaluation.evaluate(request, music, report)


def open_run(request: TrainRequest) -> Run:
    """The run with its model, from its newest checkpoint if it has one; says where it begins.

    To be called before TensorFlow computes anything; waits for the cluster to come together.

    Raises:
      UserError: As `Run`, or if there are no such devices.
    """
    computing, hparams = request.computing, request.config.hparams
    on = devices.open_devices(computing.strategy, computing.cluster)
    numerics = on.fastest(
        hparams.batch_size,
        jit=computing.jit,
        cudnn=computing.cudnn,
        products=None if computing.mixed_precision == "none" else computing.mixed_precision,
    )
    run = Run(
        request.config,
        request.run_dir,
        seed=request.seed,
        policy=request.checkpoints,
        warm_start=request.warm_start,
        devices=on,
        numerics=numerics,
    )
    if run.restored:
        _log.info("going on from %s", run.restored)
    else:
        start = f" from {request.warm_start}" if request.warm_start else ""
        _log.info("starting a new run%s", start)
    _log.info("seed %d", run.seed)
    return run


@contextlib.contextmanager
def converted(
    corpus: Corpus, config: Config, split: str, *, augment: bool
) -> Iterator[data.Music | data.StreamedMusic]:
    """The examples of a corpus, for as long as the context is open; shows progress.

    Args:
      corpus: The music.
      config: Whose converter and augmenter count.
      split: Which part of a TensorFlow Dataset is meant: train, validation or test.
      augment: Whether the music is to be transposed.

    Raises:
      UserError: If it cannot be read, or what is kept of it holds no example.
    """
    source, processes = corpus.source(split), corpus.num_data_processes
    music = data.load(
        source,
        config,
        augment=augment,
        cache=corpus.cache_dataset,
        num_processes=0 if processes == 1 else processes,
        progress=progress.show_progress(),
    )
    with contextlib.closing(music):
        if isinstance(music, data.Music):
            if not music.num_examples:
                raise UserError(f"{source} holds no music for {config.name}: {music}")
            _log.info("%s", music)
        yield music


@contextlib.contextmanager
def _validation(request: TrainRequest, run: Run) -> Iterator[Validation | None]:
    corpus = request.validation_corpus
    if corpus is None:
        yield None
        return
    with converted(corpus, request.config, "validation", augment=False) as music:
        yield Validation(request.run_dir, request.config, music, request.schedule, step=run.step)
