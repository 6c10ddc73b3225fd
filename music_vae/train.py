"""Trains a model on NoteSequences, or evaluates one as it is trained: `music_vae_train`.

From Python, give a `TrainRequest` to `training.pipeline.train`, or the flags to `main`.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from absl import flags

from music_vae.commands import cli, flag_groups, training
from music_vae.common import checks, files, lazy_imports
from music_vae.common.errors import UserError, WorkerLostError
from music_vae.training import cluster

if TYPE_CHECKING:
    from music_vae.configs import Config
    from music_vae.training.request import Corpus, EvaluationRequest, TrainRequest

PROGRAM = "music_vae_train"
USAGE = """Trains a MusicVAE model on TFRecords of NoteSequences, or evaluates its checkpoints.

  convert_dir_to_note_sequences --input_dir=MIDI_DIR --output_file=tunes.tfrecord --recursive
  music_vae_train --config=cat-mel_2bar_small --run_dir=RUN --examples_path=tunes.tfrecord
  music_vae_train --mode=eval --run_dir=RUN --examples_path=other.tfrecord

  music_vae_train --warm_start=cat-mel_2bar_big --run_dir=RUN --examples_path=tunes.tfrecord

A run that was interrupted goes on from its newest checkpoint when the command is given again. The
last command fine-tunes: a new run starts from the weights of a checkpoint."""

OLD_FLAGS = ("master", "num_sync_workers", "num_ps_tasks", "task")
"""Flags of old commands, which only have to agree with TF_CONFIG, if they are given."""

EXIT_WORKER_LOST = 1
"""Exit code if another worker of the cluster is gone and did not come back."""

FLAGS = cli.new_flags()
flags.DEFINE_string(
    "config",
    None,
    f"The config to train: its name, {flag_groups.OWN_CONFIG}",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "run_dir", None, "Where checkpoints and TensorBoard events go.", flag_values=FLAGS
)
flags.DEFINE_string(
    "warm_start",
    None,
    "A checkpoint, a .safetensors file, or the id of a published checkpoint, from whose weights a "
    "new run starts. Its config "
    "is taken if none is named; another may be, if the shapes of all weights agree.",
    flag_values=FLAGS,
)
flag_groups.define_checkpoint_base_url(FLAGS)
flags.DEFINE_string(
    "examples_path",
    None,
    "TFRecords of NoteSequences: a file, a pattern, or a comma-separated list.",
    flag_values=FLAGS,
)
flag_groups.define_max_damaged(FLAGS)
flags.DEFINE_string(
    "tfds_name", None, "A TensorFlow Dataset to use instead of --examples_path.", flag_values=FLAGS
)
flags.DEFINE_enum("mode", "train", ("train", "eval"), "What to do.", flag_values=FLAGS)
flags.DEFINE_string(
    "hparams", "", "Overrides, as in batch_size=32,enc_rnn_size=[256].", flag_values=FLAGS
)
cli.define_number("num_steps", 200_000, "Steps to train for, in all.", checks.STEPS, values=FLAGS)
cli.define_number(
    "eval_num_batches", None, "Batches to evaluate on; all by default.", checks.STEPS, values=FLAGS
)
cli.define_number(
    "checkpoints_to_keep",
    100,
    "How many of the newest are kept; 0 for all.",
    checks.STEPS_OR_NONE,
    values=FLAGS,
)
cli.define_number(
    "keep_checkpoint_every_n_hours",
    1.0,
    "Beyond those, one is kept for good every so many hours.",
    checks.HOURS,
    values=FLAGS,
)
cli.define_choice_or_boolean(
    "cache_dataset",
    "memory",
    {"memory": "memory", "disk": "disk", "none": "none", "true": "memory", "false": "none"},
    "Where converted examples are kept: in memory, in files that later runs use again, or nowhere, "
    "so that each epoch converts them anew. True is memory, false is none.",
    values=FLAGS,
)
cli.define_number(
    "num_data_processes",
    None,
    "How many processes convert music; by default one per CPU if there is much music.",
    checks.PROCESSES,
    values=FLAGS,
)
cli.define_number(
    "num_data_threads",
    None,
    "Kept for old commands: the same as --num_data_processes.",
    checks.PROCESSES,
    values=FLAGS,
)
flags.DEFINE_string(
    "validation_path",
    None,
    "TFRecords of NoteSequences to validate on while training; the weights with the smallest "
    "validation loss stay in RUN_DIR/best.",
    flag_values=FLAGS,
)
cli.define_number(
    "holdout",
    None,
    "Keep this share of the pieces in --examples_path back, as in 0.1, and validate on them; with "
    "--mode=eval, evaluate on them. They are the same pieces every time.",
    checks.HELD_OUT,
    values=FLAGS,
)
cli.define_number(
    "validate_every", 500, "Steps between two validations.", checks.STEPS, values=FLAGS
)
cli.define_number(
    "patience",
    None,
    "Stop after so many validations in a row without a smaller loss; never by default.",
    checks.STEPS,
    values=FLAGS,
)
flags.DEFINE_string(
    "eval_dir_suffix", "", "Added to the name of the folder 'eval'.", flag_values=FLAGS
)
flags.DEFINE_boolean(
    "eval_once", False, "Evaluate the newest checkpoint and stop.", flag_values=FLAGS
)
flag_groups.define_seed(FLAGS, "a run")
flags.DEFINE_enum(
    "strategy",
    "auto",
    ("auto", "one_device", "mirrored", "multi_worker"),
    "What to train on: one device, all GPUs of this machine (mirrored), or the cluster that the "
    "environment variable TF_CONFIG names (multi_worker); auto takes the largest there is.",
    flag_values=FLAGS,
)
flags.DEFINE_boolean(
    "jit",
    None,
    "Compile with XLA: a whole step on a GPU, the LSTM layers' loops elsewhere; by default on GPUs "
    "and on several devices. On a CPU each core otherwise takes a share of the batch.",
    flag_values=FLAGS,
)
flags.DEFINE_boolean(
    "cudnn",
    None,
    "Have cuDNN compute the LSTM layers; by default on several GPUs, or on one with --nojit.",
    flag_values=FLAGS,
)
flags.DEFINE_enum(
    "mixed_precision",
    "none",
    ("none", "bfloat16", "float16"),
    "Take the LSTM layers' matrix products in this type; weights and all else stay in float32.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "master", "", "Kept for old commands: TF_CONFIG names the cluster.", flag_values=FLAGS
)
cli.define_number(
    "num_sync_workers",
    0,
    "Kept for old commands: as many as TF_CONFIG names.",
    checks.LIMIT,
    values=FLAGS,
)
cli.define_number(
    "num_ps_tasks", 0, "Kept for old commands: there are none.", checks.LIMIT, values=FLAGS
)
cli.define_number(
    "task",
    0,
    "Kept for old commands: TF_CONFIG says which worker this is.",
    checks.LIMIT,
    values=FLAGS,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code.

    If another worker of the cluster is lost, the command starts again, but only if it was run with
    the arguments of the process.

    >>> main(["--config=cat-mel_2bar_small"])  # says on stderr that --run_dir is required
    2

    Args:
      argv: The arguments, without the program's name; None: those of the process.
    """
    try:
        return COMMAND.main(argv)
    except WorkerLostError as error:
        if argv is None:
            cluster.restart(error)
        print(f"{PROGRAM}: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_WORKER_LOST


def console_entry_point() -> None:
    """Runs the command with the arguments of the process, then exits; the console script.

    >>> from unittest import mock
    >>> with mock.patch("sys.argv", ["music_vae_train", "--num_steps=0"]):
    ...     console_entry_point()  # says on stderr what is wrong
    Traceback (most recent call last):
    SystemExit: 2
    """
    sys.exit(main())


def _run(values: flags.FlagValues) -> None:
    """Makes a request of the flags, then trains or evaluates."""
    cli.require(values, "run_dir")
    files.check_writable(cli.expand(values.run_dir), "run_dir")
    if values.mode == "eval":
        evaluation = _evaluation_request(values)
        _import_frameworks()
        from music_vae.training import pipeline

        pipeline.evaluate(evaluation, _print_metrics)
    else:
        request = _train_request(values)
        _import_frameworks()
        from music_vae.training import pipeline

        pipeline.train(request)


def _train_request(values: flags.FlagValues) -> "TrainRequest":
    """Makes a request for training of the flags; downloads the checkpoint that it starts from."""
    from music_vae.training import request
    from music_vae.weights import published

    run_dir = cli.expand(values.run_dir)
    workers = training.find_cluster(values)
    warm_start = training.find_warm_start(values, run_dir)
    config = training.find_config(values, run_dir, warm_start)
    made = request.TrainRequest(
        config,
        run_dir,
        _corpus(values, config),
        num_steps=values.num_steps,
        seed=values.seed,
        warm_start=warm_start,
        checkpoints=request.CheckpointPolicy(
            max_to_keep=values.checkpoints_to_keep or None,
            keep_every_n_hours=values.keep_checkpoint_every_n_hours,
        ),
        validation_path=values.validation_path,
        schedule=request.Schedule(values.validate_every, values.patience),
        computing=request.Computing(
            strategy=values.strategy,
            cluster=workers,
            jit=values.jit,
            cudnn=values.cudnn,
            mixed_precision=values.mixed_precision,
        ),
    )
    if warm_start is not None:
        published.resolve(warm_start, values.checkpoint_base_url)  # downloads what is not there
    return made


def _evaluation_request(values: flags.FlagValues) -> "EvaluationRequest":
    """Makes a request for evaluation of the flags."""
    from music_vae.training.request import EvaluationRequest

    if values.warm_start:
        raise UserError("--warm_start is for training; leave it away with --mode=eval")
    run_dir = cli.expand(values.run_dir)
    config = training.find_config(values, run_dir, None)
    return EvaluationRequest(
        config,
        run_dir,
        _corpus(values, config),
        once=values.eval_once,
        num_batches=values.eval_num_batches,
        eval_dir_suffix=values.eval_dir_suffix,
    )


def _corpus(values: flags.FlagValues, config: "Config") -> "Corpus":
    """Returns the music that was named, else the TensorFlow Dataset of the config."""
    from music_vae.training.request import Corpus

    return Corpus(
        values.examples_path,
        values.tfds_name or (None if values.examples_path else config.tfds_name),
        cache_dataset=values.cache_dataset,
        num_data_processes=training.find_num_data_processes(values),
        max_damaged=values.max_damaged,
        holdout=values.holdout,
        held_out=values.holdout is not None and values.mode == "eval",
    )


def _import_frameworks() -> None:
    """Imports TensorFlow and note_seq, which takes seconds, once the flags have been checked."""
    lazy_imports.import_tensorflow()
    lazy_imports.import_note_seq()


def _print_metrics(step: int, metrics: dict[str, float]) -> None:
    """Prints the metrics of a checkpoint: as in training, and teacher-forced if that differs."""
    prefix = "teacher_forced/"
    names = [name for name in sorted(metrics) if not name.startswith(prefix)]
    forced = any(name.startswith(prefix) for name in metrics)
    heads = f"{'as in training':>16}{'teacher-forced':>16}" if forced else ""
    wide = max(len(name) for name in names) + 2
    print(f"{f'step {step}':{wide}}{heads}".rstrip())
    for name in names:
        cells = [metrics[key] for key in (name, f"{prefix}{name}") if key in metrics]
        print(f"  {name:{wide - 2}}" + "".join(f"{cell:16.4f}" for cell in cells), flush=True)


COMMAND = cli.Command(PROGRAM, USAGE, FLAGS, _run, hidden=OLD_FLAGS)

if __name__ == "__main__":
    console_entry_point()
