"""The config, the weights to start from, and the cluster that `music_vae_train` is told of."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from music_vae.commands import cli
from music_vae.common.errors import UserError
from music_vae.training import cluster
from music_vae.training.cluster import Cluster

if TYPE_CHECKING:
    from music_vae.configs import Config

_log = logging.getLogger(__name__)


def find_config(values: flags.FlagValues, run_dir: Path, warm_start: str | None) -> "Config":
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


def find_warm_start(values: flags.FlagValues, run_dir: Path) -> str | None:
    """The checkpoint that a new run starts from; None for a run that has one of its own."""
    if not values.warm_start:
        return None
    from music_vae.weights import checkpoint_files, config_file

    own = checkpoint_files.find_newest(run_dir / config_file.TRAIN_DIR)
    if own is not None:
        _log.info("the run goes on from its own %s; --warm_start is not used", own.name)
        return None
    checkpoint_files.check_there(values.warm_start)
    return values.warm_start


def find_cluster(values: flags.FlagValues) -> Cluster | None:
    """What TF_CONFIG names; the original's flags may say the same, and nothing else."""
    found = cluster.read_tf_config()
    here = found or Cluster(0, 1)
    if values.master not in ("", "local"):
        raise UserError(
            f"--master={values.master}: there is no master to connect to; start this command on "
            "every machine, with TF_CONFIG naming all of them (see the README)"
        )
    if values.num_ps_tasks:
        raise UserError(
            f"--num_ps_tasks={values.num_ps_tasks}: there are no parameter servers, every worker "
            "holds all weights; leave the flag away"
        )
    if values.num_sync_workers not in (0, here.num_processes):
        raise UserError(
            f"--num_sync_workers={values.num_sync_workers}: TF_CONFIG says which workers there "
            f"are, and it names {here.num_processes if found else 'none'} (see the README)"
        )
    if values.task and values.task != here.process:
        raise UserError(
            f"--task={values.task}: TF_CONFIG says which worker a process is, and by it this is "
            f"{f'worker {here.process}' if found else 'the only one'} (see the README)"
        )
    return found
