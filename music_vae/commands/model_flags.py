"""The flags that say which model a command uses, and what they mean."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from music_vae.commands import cli
from music_vae.common.errors import UserError

if TYPE_CHECKING:
    from music_vae.configs import Config
    from music_vae.trained_model import TrainedModel

_log = logging.getLogger(__name__)


def define(values: flags.FlagValues) -> None:
    """Adds the flags."""
    flags.DEFINE_string(
        "config",
        None,
        "The name of the config, or your own: FILE.py:NAME, package.module:NAME or FILE.json. Not "
        "needed with --run_dir or the id of a published checkpoint. A name by itself means the "
        "model of that config that comes with music_vae.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "checkpoint_file",
        None,
        "A .safetensors file, or a checkpoint: its prefix, its .index or .data file, a directory, "
        "a .tar, .tar.gz or .zip, or the id of a published one. A checkpoint of that name goes "
        "before an id.",
        flag_values=values,
    )
    cli.define_checkpoint_base_url(values)
    flags.DEFINE_string(
        "run_dir",
        None,
        "A run of music_vae_train; its newest checkpoint is used.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "hparams", "", "Overrides of a config's sizes, as in z_size=128.", flag_values=values
    )


def check(values: flags.FlagValues) -> None:
    """Raises `UserError` unless one model is named that is there; imports nothing heavy."""
    if values.run_dir and values.checkpoint_file:
        raise UserError("give --run_dir or --checkpoint_file, one of the two")
    if not (values.run_dir or values.checkpoint_file or values.config):
        from music_vae.weights import shipped

        raise UserError(
            "give --config with the name of a model that comes with music_vae "
            f"({shipped.listed()}), or --run_dir or --checkpoint_file for another"
        )
    if values.checkpoint_file:
        from music_vae.weights import checkpoint_files

        checkpoint_files.check_there(values.checkpoint_file)


def config(values: flags.FlagValues) -> "Config":
    """The config of the run or of the checkpoint, else the one that was named."""
    from music_vae.commands import config_flag
    from music_vae.common import overrides

    source = _named(values)
    if not (values.run_dir or values.checkpoint_file):
        _log.info("using the model %s that comes with music_vae", values.config)
    if values.run_dir and not cli.expand(values.run_dir).is_dir():
        raise UserError(f"--run_dir={values.run_dir} is not a directory")
    config = config_flag.read(source, values.config)
    if config is None:
        if not values.config:
            given = "run_dir" if values.run_dir else "checkpoint_file"
            raise UserError(f"--{given} needs --config, as no config.json lies beside it")
        return config_flag.get_config(values.config, values.hparams)
    if other := config_flag.difference(values.config, config):
        raise UserError(f"{source} was trained with the config {config.name}, {other}")
    return config.replace(hparams=overrides.apply_overrides(config.hparams, values.hparams))


def source(values: flags.FlagValues) -> str | Path:
    """The run, or the checkpoint, which is downloaded if it has to be."""
    from music_vae.weights import published

    return values.run_dir or published.resolve(_named(values), values.checkpoint_base_url)


def open_model(
    values: flags.FlagValues, config: "Config", *, with_encoder: bool = True
) -> "TrainedModel":
    """The model, for commands that have `--max_batch_size`."""
    from music_vae.trained_model import TrainedModel

    return TrainedModel(config, values.max_batch_size, source(values), with_encoder=with_encoder)


def _named(values: flags.FlagValues) -> str | Path:
    """What was named, else the model that ships with the package."""
    if values.run_dir or values.checkpoint_file:
        return values.run_dir or values.checkpoint_file
    from music_vae.commands import config_flag
    from music_vae.weights import shipped

    return shipped.folder(config_flag.shipped_name(values.config))
