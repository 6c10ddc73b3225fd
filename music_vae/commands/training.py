"""Finds the config, the weights and the cluster that the flags of `music_vae_train` mean."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from music_vae.commands import cli
from music_vae.common.errors import UserError, naming
from music_vae.training import cluster
from music_vae.training.cluster import Cluster

if TYPE_CHECKING:
    from music_vae.configs import Config

_log = logging.getLogger(__name__)


def find_config(values: flags.FlagValues, run_dir: Path, warm_start: str | None) -> "Config":
    """Returns the config to train, with the overrides of `--hparams`.

    It is the run's own config, else the one that was named, else that of the checkpoint whose
    weights a new run starts from.

    >>> import copy
    >>> from music_vae import train
    >>> values = copy.deepcopy(train.FLAGS)
    >>> _ = values(["music_vae_train", "--config=cat-mel_2bar_small", "--hparams=z_size=8"])
    >>> find_config(values, Path("a_new_run"), warm_start=None).hparams.z_size
    8

    Args:
      values: The flags of `music_vae_train`.
      run_dir: Folder of the run.
      warm_start: The checkpoint that `find_warm_start` returns.

    Raises:
      UserError: If no config is known, or the run has another.
    """
    from music_vae.commands import config_flag

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
    changed = config.with_overrides(values.hparams)
    for name, value in changed.hparams.values().items():
        if value != config.hparams.values()[name]:
            old = config.hparams.values()[name]
            _log.info("%s=%s from here on, before %s", name, value, old)
    return changed


def find_warm_start(values: flags.FlagValues, run_dir: Path) -> str | None:
    """Returns the checkpoint that a new run starts from; None if the run has one of its own.

    It may be the id of a published checkpoint, as here.

    >>> import copy
    >>> from music_vae import train
    >>> values = copy.deepcopy(train.FLAGS)
    >>> _ = values(["music_vae_train", "--warm_start=cat-mel_2bar_big"])
    >>> find_warm_start(values, Path("a_new_run"))
    'cat-mel_2bar_big'

    Raises:
      UserError: If there is no such checkpoint.
    """
    if not values.warm_start:
        return None
    from music_vae.weights import checkpoint_files, config_file, locate

    own = checkpoint_files.find_newest(run_dir / config_file.TRAIN_DIR)
    if own is not None:
        _log.info("the run goes on from its own %s; --warm_start is not used", own.name)
        return None
    with naming("warm_start", values.warm_start):
        locate.check_there(values.warm_start)
    return values.warm_start


def find_num_data_processes(values: flags.FlagValues) -> int | None:
    """Returns the number of processes that convert music, under either of the names of its flag.

    >>> import copy
    >>> from music_vae import train
    >>> values = copy.deepcopy(train.FLAGS)
    >>> _ = values(["music_vae_train", "--num_data_threads=3"])  # as the original calls it
    >>> find_num_data_processes(values)
    3

    Raises:
      UserError: If both are given.
    """
    if values.num_data_processes is None:
        return values.num_data_threads
    if values.num_data_threads is not None:
        raise UserError("give --num_data_processes or --num_data_threads, one of the two")
    return values.num_data_processes


def find_cluster(values: flags.FlagValues) -> Cluster | None:
    """Returns the cluster that the environment variable TF_CONFIG names; None if it names none.

    The flags of the original's command may say the same, but nothing else.

    >>> import copy, json
    >>> from unittest import mock
    >>> from music_vae import train
    >>> values, workers = copy.deepcopy(train.FLAGS), {"worker": ["a:2222", "b:2222"]}
    >>> _ = values(["music_vae_train", "--num_sync_workers=2"])
    >>> second = json.dumps({"cluster": workers, "task": {"type": "worker", "index": 1}})
    >>> with mock.patch.dict("os.environ", TF_CONFIG=second):
    ...     find_cluster(values)
    Cluster(process=1, num_processes=2)

    Raises:
      UserError: If they say something else.
    """
    named = cluster.read_tf_config()
    here = named or Cluster(0, 1)
    if values.master not in ("", "local"):
        raise UserError(
            f"--master={values.master}: there is no master to connect to; start this command on "
            "every machine, with TF_CONFIG naming all of them (see docs/scale.md)"
        )
    if values.num_ps_tasks:
        raise UserError(
            f"--num_ps_tasks={values.num_ps_tasks}: there are no parameter servers, every worker "
            "holds all weights; leave the flag away"
        )
    if values.num_sync_workers not in (0, here.num_processes):
        raise UserError(
            f"--num_sync_workers={values.num_sync_workers}: TF_CONFIG says which workers there "
            f"are, and it names {here.num_processes if named else 'none'} (see docs/scale.md)"
        )
    if values.task and values.task != here.process:
        raise UserError(
            f"--task={values.task}: TF_CONFIG says which worker a process is, and by it this is "
            f"{f'worker {here.process}' if named else 'the only one'} (see docs/scale.md)"
        )
    return named
