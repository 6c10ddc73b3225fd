"""`music_vae_train`: trains a model on NoteSequences, or evaluates one as it is trained."""

import contextlib
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from music_vae import cli, files, imports
from music_vae.errors import UserError

if TYPE_CHECKING:
    from music_vae.configs import Config
    from music_vae.data import Music, StreamedMusic

PROGRAM = "music_vae_train"
USAGE = """Trains a MusicVAE model on TFRecords of NoteSequences, or evaluates its checkpoints.

  convert_dir_to_note_sequences --input_dir=MIDI_DIR --output_file=tunes.tfrecord --recursive
  music_vae_train --config=cat-mel_2bar_small --run_dir=RUN --examples_path=tunes.tfrecord
  music_vae_train --mode=eval --run_dir=RUN --examples_path=other.tfrecord

A run that was interrupted goes on from its newest checkpoint when the command is given again."""

FLAGS = cli.new_flags()
flags.DEFINE_string("config", None, "The name of the config to train.", flag_values=FLAGS)
flags.DEFINE_string(
    "run_dir", None, "Where checkpoints and TensorBoard events go.", flag_values=FLAGS
)
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


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command with `argv` (default: the process's arguments); returns its exit code."""
    return cli.run_command(PROGRAM, USAGE, FLAGS, _run, argv)


def console_entry_point() -> None:
    """The console script."""
    sys.exit(main())


def _run(values: flags.FlagValues) -> None:
    cli.require(values, "run_dir")
    run_dir = cli.expand(values.run_dir)
    files.check_writable(run_dir, "run_dir")
    if values.mode == "train" and set(str(run_dir)) & set("*?[]"):
        raise UserError(f"--run_dir={run_dir} must not contain any of * ? [ ]")
    config = _config(values, run_dir)
    if values.examples_path and values.tfds_name:
        raise UserError("give --examples_path or --tfds_name, not both")
    tfds_name = values.tfds_name or (None if values.examples_path else config.tfds_name)
    if not values.examples_path and not tfds_name:
        cli.require(values, "examples_path")
    imports.import_tensorflow()
    imports.import_note_seq()
    if values.mode == "train":
        _train(values, config, run_dir, tfds_name)
    else:
        _evaluate(values, config, run_dir, tfds_name)


def _config(values: flags.FlagValues, run_dir: Path) -> "Config":
    """The run's own config, else the one that was named; `--hparams` on top of either."""
    from music_vae import configs, overrides, run_config

    config = run_config.read(run_dir) if run_dir.is_dir() else None
    if config is None:
        cli.require(values, "config")
        return configs.get_config(values.config, values.hparams)
    if values.config and values.config != config.name:
        configs.get_config(values.config)  # a name that does not exist is said first
        raise UserError(
            f"{run_dir} is a run of the config {config.name}, not --config={values.config}; give "
            "another --run_dir to start a new run"
        )
    changed = config.replace(hparams=overrides.apply_overrides(config.hparams, values.hparams))
    for name, value in changed.hparams.values().items():
        if value != config.hparams.values()[name]:
            old = config.hparams.values()[name]
            logging.getLogger(__name__).info("%s=%s from here on, before %s", name, value, old)
    return changed


def _train(
    values: flags.FlagValues, config: "Config", run_dir: Path, tfds_name: str | None
) -> None:
    music = _music(values, config, tfds_name, augment=True)
    from music_vae import runs

    policy = runs.CheckpointPolicy(
        max_to_keep=values.checkpoints_to_keep or None,
        keep_every_n_hours=values.keep_checkpoint_every_n_hours,
    )
    run = runs.Run(config, run_dir, seed=values.seed, policy=policy)
    log = logging.getLogger(__name__)
    log.info("going on from %s" if run.restored else "starting a new run%s", run.restored or "")
    log.info("seed %d", run.seed)
    with contextlib.closing(music):
        runs.train(run, music, num_steps=values.num_steps)


def _evaluate(
    values: flags.FlagValues, config: "Config", run_dir: Path, tfds_name: str | None
) -> None:
    music = _music(values, config, tfds_name, augment=False)
    from music_vae import runs

    with contextlib.closing(music):
        runs.evaluate(
            config,
            run_dir,
            music,
            once=values.eval_once,
            num_batches=values.eval_num_batches,
            eval_dir_suffix=values.eval_dir_suffix,
            report=_print_figures,
        )


def _music(
    values: flags.FlagValues, config: "Config", tfds_name: str | None, *, augment: bool
) -> "Music | StreamedMusic":
    """The converted examples, with a progress bar; at least one if they are kept."""
    from music_vae import data

    source: data.TFRecords | data.TensorFlowDataset
    if tfds_name:
        split = "train" if values.mode == "train" else "validation"
        source = data.TensorFlowDataset(tfds_name, split)
    else:
        source = data.TFRecords(values.examples_path)
    processes = values.num_data_processes
    music = data.load(
        source,
        config,
        augment=augment,
        cache=values.cache_dataset,
        num_processes=0 if processes == 1 else processes,
        progress=cli.show_progress(),
    )
    if isinstance(music, data.Music):
        if not music.num_examples:
            name = tfds_name or values.examples_path
            raise UserError(f"{name} holds no music for {config.name}: {music}")
        logging.getLogger(__name__).info("%s", music)
    return music


def _print_figures(step: int, figures: dict[str, float]) -> None:
    shown = " ".join(f"{name}={value:.4f}" for name, value in sorted(figures.items()))
    print(f"step {step}: {shown}", flush=True)
