"""Carries out requests: converts music, opens a run, and trains or evaluates it."""

import contextlib
import dataclasses
import logging
from collections.abc import Iterator

from music_vae import data
from music_vae.common import progress
from music_vae.common.errors import UserError, naming
from music_vae.configs import Config
from music_vae.dataset import batching
from music_vae.training import checkpoint_evaluation, devices, held_out, loop
from music_vae.training.request import Corpus, EvaluationRequest, TrainRequest
from music_vae.training.run import Run, only_one
from music_vae.training.validation import Validation

_log = logging.getLogger(__name__)


def train(request: TrainRequest, report: loop.Report | None = None) -> None:
    """Trains a run until it has taken all its steps, or validation stops it early.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from music_vae.configs import get_config
    >>> from music_vae.dataset.tfrecord import write_records
    >>> from music_vae.music.notes_io import read_music_file
    >>> (tune,) = read_music_file("examples/tunes/soldiers_joy.mid")
    >>> sizes = "batch_size=2,z_size=2,enc_rnn_size=[4],dec_rnn_size=[4]"
    >>> config = get_config("cat-mel_2bar_small", sizes)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_records(f"{folder}/tunes.tfrecord", [tune.SerializeToString()])
    ...     corpus = Corpus(f"{folder}/tunes.tfrecord")
    ...     train(TrainRequest(config, Path(folder, "run"), corpus, num_steps=2))
    ...     Path(folder, "run/train/weights.safetensors").exists()
    True

    Args:
      request: The run to train, and the music to train it on.
      report: Function that is called with the step and the metrics of every tenth step, such as one
        that prints them or draws a curve.

    Raises:
      UserError: If the run does not fit the request or is being trained by another process, its
        music cannot be read or is too little, there are no such devices, or a loss is not finite.
      KeyboardInterrupt: After saving.
      WorkerLostError: If another process of the cluster has gone.
    """
    on = devices.open_devices(request.computing.strategy, request.computing.cluster)
    with only_one(request.run_dir) if on.is_chief else contextlib.nullcontext():
        run = _open_run(request, on)
        if run.restored:
            request = _held_out_as_before(request, run)
        with (
            converted(request.corpus, request.config, "train", augment=True) as music,
            _validation(request, run) as validation,
        ):
            if request.corpus.holdout is not None and not run.restored and on.is_chief:
                held_out.keep(run.directory, request.corpus.holdout)
            loop.train(
                run, music, num_steps=request.num_steps, validation=validation, report=report
            )


def evaluate(request: EvaluationRequest, report: loop.Report) -> None:
    """Evaluates the checkpoints of a run as they appear, up to the last of its training.

    >>> from pathlib import Path
    >>> from music_vae.configs import get_config
    >>> config, corpus = get_config("cat-mel_2bar_small"), Corpus("none.tfrecord")
    >>> evaluate(EvaluationRequest(config, Path("run"), corpus), report=print)
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `examples_path=none.tfrecord`: no file matches none.tfrecord

    Args:
      request: The run to evaluate, and the music to evaluate it on.
      report: Function that is called with the step and the metrics of each checkpoint.

    Raises:
      UserError: If the music cannot be read or is too little, or only the newest checkpoint is to
        be evaluated and there is none.
    """
    with converted(request.corpus, request.config, "validation", augment=False) as music:
        checkpoint_evaluation.evaluate(request, music, report)


def _open_run(request: TrainRequest, on: devices.Devices) -> Run:
    """Opens a run with its model, from its newest checkpoint if it has one; logs where it begins.

    To be called before TensorFlow computes anything; waits for all processes of a cluster.

    Raises:
      UserError: As `Run`.
    """
    computing, hparams = request.computing, request.config.hparams
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


def _held_out_as_before(request: TrainRequest, run: Run) -> TrainRequest:
    """Returns a request that holds out what a run that goes on has held out so far."""
    share = held_out.share_of(run.directory, request.corpus.holdout)
    return dataclasses.replace(request, corpus=dataclasses.replace(request.corpus, holdout=share))


@contextlib.contextmanager
def converted(
    corpus: Corpus, config: Config, split: str, *, augment: bool, argument: str = "examples_path"
) -> Iterator[data.Music | data.StreamedMusic]:
    """Converts a corpus to examples, which can be used inside the context; shows progress.

    >>> import tempfile
    >>> from music_vae.configs import get_config
    >>> from music_vae.dataset.tfrecord import write_records
    >>> from music_vae.music.notes_io import read_music_file
    >>> (tune,) = read_music_file("examples/tunes/soldiers_joy.mid")
    >>> config = get_config("cat-mel_2bar_small")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_records(f"{folder}/tunes.tfrecord", [tune.SerializeToString()])
    ...     corpus = Corpus(f"{folder}/tunes.tfrecord", num_data_processes=1)
    ...     with converted(corpus, config, "train", augment=True) as music:
    ...         music.num_examples
    16

    Args:
      corpus: The music.
      config: Config with the converter and the augmenter.
      split: Part of a TensorFlow Dataset to read: train, validation or test.
      augment: True if the music is to be transposed.
      argument: Name of the argument that gave the files of the corpus, for messages.

    Raises:
      UserError: If the music cannot be read, or is kept and holds no example.
    """
    source, processes = corpus.source(split), corpus.num_data_processes
    given = "tfds_name" if corpus.tfds_name else argument, corpus.tfds_name or corpus.examples_path
    with naming(*given):
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
                with naming(*given):
                    raise UserError(f"{source} holds no music for {config.name}: {music}")
            _log.info("%s", music.table())
        batching.check_examples(music, config)
        yield music


@contextlib.contextmanager
def _validation(request: TrainRequest, run: Run) -> Iterator[Validation | None]:
    """Opens the validation of a run, if its request asks for one."""
    corpus = request.validation_corpus
    if corpus is None:
        yield None
        return
    argument = "validation_path" if request.validation_path else "examples_path"
    with converted(corpus, request.config, "validation", augment=False, argument=argument) as music:
        yield Validation(request.run_dir, request.config, music, request.schedule, step=run.step)
