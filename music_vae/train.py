"""`music_vae_train`: trains a model on NoteSequences, or evaluates one as it is trained."""

import contextlib
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from music_vae.commands import cli
from music_vae.common import files, lazy_imports, progress
from music_vae.common.errors import UserError, WorkerLostError
from music_vae.training import cluster

if TYPE_CHECKING:
    from music_vae.configs import Config
    from music_vae.data import Music, StreamedMusic, TensorFlowDataset, TFRecords

PROGRAM = "music_vae_train"
USAGE = """Trains a MusicVAE model on TFRecords of NoteSequences, or evaluates its checkpoints.

  convert_dir_to_note_sequences --input_dir=MIDI_DIR --output_file=tunes.tfrecord --recursive
  music_vae_train --config=cat-mel_2bar_small --run_dir=RUN --examples_path=tunes.tfrecord
  music_vae_train --mode=eval --run_dir=RUN --examples_path=other.tfrecord

  music_vae_train --warm_start=cat-mel_2bar_big --run_dir=RUN --examples_path=tunes.tfrecord

A run that was interrupted goes on from its newest checkpoint when the command is given again. The
last command fine-tunes: a new run starts from the weights of a checkpoint."""

EXIT_WORKER_LOST = 1
"""Another worker of the cluster is gone and did not come back."""

FLAGS = cli.new_flags()
flags.DEFINE_string(
    "config",
    None,
    "The config to train: its name, or your own: FILE.py:NAME, package.module:NAME or FILE.json.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "run_dir", None, "Where checkpoints and TensorBoard events go.", flag_values=FLAGS
)
flags.DEFINE_string(
    "warm_start",
    None,
    "A checkpoint, or the id of a published one, from whose weights a new run starts. Its config "
    "is taken if none is named; another may be, if the shapes of all weights agree.",
    flag_values=FLAGS,
)
cli.define_checkpoint_base_url(FLAGS)
flags.DEFINE_string(
    "examples_path",
    None,
    "TFRecords of NoteSequences: a file, a pattern, or a comma-separated list.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "tfds_name", None, "A TensorFlow Dataset to use instead of --examples_path.", flag_values=FLAGS
)
flags.DEFINE_enum("mode", "train", ("train", "eval"), "What to do.", flag_values=FLAGS)
flags.DEFINE_string(
    "hparams", "", "Overrides, as in batch_size=32,enc_rnn_size=[256].", flag_values=FLAGS
)
flags.DEFINE_integer(
    "num_steps",
    200_000,
    "Steps to train for, in all.",
    lower_bound=1,
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "eval_num_batches", None, "Batches to evaluate on; all by default.", 1, flag_values=FLAGS
)
flags.DEFINE_integer(
    "checkpoints_to_keep", 100, "How many of the newest are kept; 0 for all.", 0, flag_values=FLAGS
)
flags.DEFINE_float(
    "keep_checkpoint_every_n_hours",
    1.0,
    "Beyond those, one is kept for good every so many hours.",
    lower_bound=1e-6,
    flag_values=FLAGS,
)
cli.define_choice_or_boolean(
    "cache_dataset",
    "memory",
    {"memory": "memory", "disk": "disk", "none": "none", "true": "memory", "false": "none"},
    "Where converted examples are kept: in memory, in files that later runs use again, or nowhere, "
    "so that each epoch converts them anew. True is memory, false is none.",
    values=FLAGS,
)
flags.DEFINE_integer(
    "num_data_processes",
    None,
    "How many processes convert music; by default one per CPU if there is much music.",
    lower_bound=1,
    flag_values=FLAGS,
)
flags.DEFINE_alias("num_data_threads", "num_data_processes", flag_values=FLAGS)
flags.DEFINE_string(
    "validation_path",
    None,
    "TFRecords of NoteSequences to validate on while training; the weights with the smallest "
    "validation loss stay in RUN_DIR/best.",
    flag_values=FLAGS,
)
flags.DEFINE_integer("validate_every", 500, "Steps between two validations.", 1, flag_values=FLAGS)
flags.DEFINE_integer(
    "patience",
    None,
    "Stop after so many validations in a row without a smaller loss; never by default.",
    lower_bound=1,
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "eval_dir_suffix", "", "Added to the name of the folder 'eval'.", flag_values=FLAGS
)
flags.DEFINE_boolean(
    "eval_once", False, "Evaluate the newest checkpoint and stop.", flag_values=FLAGS
)
flags.DEFINE_integer(
    "seed",
    None,
    "Makes a run repeatable; chosen by chance by default.",
    lower_bound=0,
    upper_bound=cli.MAX_SEED,
    flag_values=FLAGS,
)
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
flags.DEFINE_integer(
    "num_sync_workers", 0, "Kept for old commands: as many as TF_CONFIG names.", flag_values=FLAGS
)
flags.DEFINE_integer("num_ps_tasks", 0, "Kept for old commands: there are none.", flag_values=FLAGS)
flags.DEFINE_integer(
    "task", 0, "Kept for old commands: TF_CONFIG says which worker this is.", flag_values=FLAGS
)

_log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command with `argv` (default: the process's arguments); returns its exit code.

    A command of the process's own arguments that loses another worker of its cluster starts again.
    """
    try:
        return cli.Command(PROGRAM, USAGE, FLAGS, _run).main(argv)
    except WorkerLostError as error:
        if argv is None:
            cluster.restart(error)
        print(f"{PROGRAM}: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_WORKER_LOST


def console_entry_point() -> None:
    """The console script."""
    sys.exit(main())


def _run(values: flags.FlagValues) -> None:
    cli.require(values, "run_dir")
    run_dir = cli.expand(values.run_dir)
    files.check_writable(run_dir, "run_dir")
    if values.mode == "train" and set(str(run_dir)) & set("*?[]"):
        raise UserError(f"--run_dir={run_dir} must not contain any of * ? [ ]")
    workers = _cluster(values) if values.mode == "train" else None
    warm_start = _warm_start(values, run_dir)
    config = _config(values, run_dir, warm_start)
    if values.patience is not None and not values.validation_path:
        raise UserError("--patience needs --validation_path: the music to validate on")
    if values.validation_path and workers is not None and workers.num_processes > 1:
        raise UserError(
            "--validation_path is for training in one process; in a cluster, evaluate beside it "
            "with --mode=eval"
        )
    if values.examples_path and values.tfds_name:
        raise UserError("give --examples_path or --tfds_name, not both")
    tfds_name = values.tfds_name or (None if values.examples_path else config.tfds_name)
    if not values.examples_path and not tfds_name:
        cli.require(values, "examples_path")
    if warm_start is not None:
        from music_vae.weights import published

        warm_start = published.locate(warm_start, values.checkpoint_base_url)
    lazy_imports.import_tensorflow()
    lazy_imports.import_note_seq()
    if values.mode == "train":
        _train(values, config, run_dir, tfds_name, warm_start, workers)
    else:
        _evaluate(values, config, run_dir, tfds_name)


def _warm_start(values: flags.FlagValues, run_dir: Path) -> str | Path | None:
    """The checkpoint that a new run starts from; None for a run that has one of its own."""
    if not values.warm_start:
        return None
    from music_vae.weights import checkpoint_files, config_file

    if values.mode != "train":
        raise UserError("--warm_start is for training; leave it away with --mode=eval")
    own = checkpoint_files.find_newest(run_dir / config_file.TRAIN_DIR)
    if own is not None:
        _log.info("the run goes on from its own %s; --warm_start is not used", own.name)
        return None
    checkpoint_files.check_there(values.warm_start)
    return values.warm_start


def _cluster(values: flags.FlagValues) -> cluster.Cluster | None:
    """What TF_CONFIG names; the original's flags may say the same."""
    workers = cluster.read_tf_config()
    cluster.check_original_flags(
        workers,
        master=values.master,
        num_sync_workers=values.num_sync_workers,
        num_ps_tasks=values.num_ps_tasks,
        task=values.task,
    )
    return workers


def _config(values: flags.FlagValues, run_dir: Path, warm_start: str | Path | None) -> "Config":
    """The run's own config, else the one that was named, else that of the checkpoint to start from.

    `--hparams` come on top of any.
    """
    from music_vae.commands import config_flag
    from music_vae.common import overrides

    config = config_flag.read(run_dir, values.config) if run_dir.is_dir() else None
    if config is None and warm_start is not None and not values.config:
        config = config_flag.read(warm_start, values.config)
        if config is None:
            raise UserError("--warm_start needs --config, as no config.json lies beside it")
    if config is None:
        cli.require(values, "config")
        return config_flag.get_config(values.config, values.hparams)
    if other := config_flag.difference(values.config, config):
        raise UserError(
            f"{run_dir} is a run of the config {config.name}, {other}; give another --run_dir to "
            "start a new run"
        )
    changed = config.replace(hparams=overrides.apply_overrides(config.hparams, values.hparams))
    for name, value in changed.hparams.values().items():
        if value != config.hparams.values()[name]:
            old = config.hparams.values()[name]
            _log.info("%s=%s from here on, before %s", name, value, old)
    return changed


def _train(
    values: flags.FlagValues,
    config: "Config",
    run_dir: Path,
    tfds_name: str | None,
    warm_start: Path | None,
    workers: cluster.Cluster | None,
) -> None:
    from music_vae.training import devices, loop
    from music_vae.training.run import CheckpointPolicy, Run
    from music_vae.training.validation import Schedule, Validation

    policy = CheckpointPolicy(
        max_to_keep=values.checkpoints_to_keep or None,
        keep_every_n_hours=values.keep_checkpoint_every_n_hours,
    )
    on = devices.open_devices(values.strategy, workers)
    products = None if values.mixed_precision == "none" else values.mixed_precision
    run = Run(
        config,
        run_dir,
        seed=values.seed,
        policy=policy,
        warm_start=warm_start,
        devices=on,
        numerics=on.fastest(
            config.hparams.batch_size, jit=values.jit, cudnn=values.cudnn, products=products
        ),
    )
    if run.restored:
        _log.info("going on from %s", run.restored)
    else:
        _log.info("starting a new run%s", f" from {values.warm_start}" if warm_start else "")
    _log.info("seed %d", run.seed)
    source = _source(values.examples_path, tfds_name, "train")
    with contextlib.ExitStack() as stack:
        music = stack.enter_context(_music(values, config, source, augment=True))
        validation = None
        if values.validation_path:
            held_out = _source(values.validation_path, None, "validation")
            held_out_music = stack.enter_context(_music(values, config, held_out, augment=False))
            schedule = Schedule(values.validate_every, values.patience)
            validation = Validation(run_dir, config, held_out_music, schedule, step=run.step)
        loop.train(run, music, num_steps=values.num_steps, validation=validation)


def _evaluate(
    values: flags.FlagValues, config: "Config", run_dir: Path, tfds_name: str | None
) -> None:
    from music_vae.training import checkpoint_evaluation

    source = _source(values.examples_path, tfds_name, "validation")
    with _music(values, config, source, augment=False) as music:
        checkpoint_evaluation.evaluate(
            config,
            run_dir,
            music,
            once=values.eval_once,
            num_batches=values.eval_num_batches,
            eval_dir_suffix=values.eval_dir_suffix,
            report=_print_figures,
        )


def _source(
    examples_path: str, tfds_name: str | None, split: str
) -> "TFRecords | TensorFlowDataset":
    from music_vae import data

    if tfds_name:
        return data.TensorFlowDataset(tfds_name, split)
    return data.TFRecords(examples_path)


@contextlib.contextmanager
def _music(
    values: flags.FlagValues,
    config: "Config",
    source: "TFRecords | TensorFlowDataset",
    *,
    augment: bool,
) -> "Iterator[Music | StreamedMusic]":
    """The converted examples, with a progress bar; at least one if they are kept."""
    from music_vae import data

    processes = values.num_data_processes
    music = data.load(
        source,
        config,
        augment=augment,
        cache=values.cache_dataset,
        num_processes=0 if processes == 1 else processes,
        progress=progress.show_progress(),
    )
    with contextlib.closing(music):
        if isinstance(music, data.Music):
            if not music.num_examples:
                raise UserError(f"{source} holds no music for {config.name}: {music}")
            _log.info("%s", music)
        yield music


def _print_figures(step: int, figures: dict[str, float]) -> None:
    shown = " ".join(f"{name}={value:.4f}" for name, value in sorted(figures.items()))
    print(f"step {step}: {shown}", flush=True)


if __name__ == "__main__":
    console_entry_point()
