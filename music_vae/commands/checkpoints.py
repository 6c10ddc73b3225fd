"""Lists, downloads, describes and exports checkpoints: the command `music_vae_checkpoints`."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from music_vae.commands import cli, flag_groups
from music_vae.common import cache, lazy_imports
from music_vae.common.errors import UserError
from music_vae.common.texts import printable

if TYPE_CHECKING:
    from music_vae.common.plans import Shapes
    from music_vae.configs import Config
    from music_vae.weights.tf_checkpoints import CheckpointWeights

PROGRAM = "music_vae_checkpoints"
USAGE = """Lists, downloads, describes and exports checkpoints.

  music_vae_checkpoints list                  the published checkpoints, and which are here already
  music_vae_checkpoints download ID ...       fetches them into the cache; prints their paths
  music_vae_checkpoints info CHECKPOINT       layout, step, weights, and which config they fit
  music_vae_checkpoints export CHECKPOINT OUT as the original reads it: OUT is a .tar, a directory
                                              or a prefix

CHECKPOINT is the directory of a run, a checkpoint's prefix, file, directory or archive (.tar,
.tar.gz, .zip), or an ID. Downloads are kept in the folder that the environment variable
MUSIC_VAE_CACHE names, by default one in the platform's cache."""

FLAGS = cli.new_flags()
flags.DEFINE_enum(
    "format", "tf1", ("tf1",), "Layout that export writes: the original's.", flag_values=FLAGS
)
flags.DEFINE_string(
    "config",
    None,
    "The config of a run with code of your own, as FILE.py:NAME or package.module:NAME.",
    flag_values=FLAGS,
)
flag_groups.define_checkpoint_base_url(FLAGS)


def _run(values: flags.FlagValues, arguments: Sequence[str]) -> None:
    usage = (
        f"give list, download ID, info CHECKPOINT or export CHECKPOINT OUT; see {PROGRAM} --help"
    )
    match arguments:
        case ["list"]:
            _list()
        case ["download", _, *_]:
            _download(arguments[1:], values.checkpoint_base_url)
        case ["info", checkpoint]:
            _info(checkpoint, values)
        case ["export", checkpoint, out]:
            _export(checkpoint, out, values)
        case []:
            raise UserError(usage)
        case _:
            raise UserError(f"cannot read {' '.join(arguments)!r}; {usage}")


def _list() -> None:
    from music_vae.weights import published

    rows = [("id", "config", "file", "in the cache")]
    for entry in published.PUBLISHED.values():
        path = published.cached(entry)
        size = "no" if path is None else f"{path.stat().st_size / 1e6:.1f} MB"
        rows.append((entry.id, entry.config, (path.name if path else entry.files[0]), size))
    _print_columns(rows)
    print(f"\ncache: {cache.cache_dir()}")


def _download(ids: Sequence[str], base_url: str | None) -> None:
    from music_vae.weights import published

    for entry in [published.get(id) for id in ids]:  # refuses unknown ids before any download
        print(published.fetch(entry, base_url))


def _info(checkpoint: str, values: flags.FlagValues) -> None:
    path, config = _located(checkpoint, values)
    own = _own_configs(values.config, config)
    lazy_imports.import_tensorflow()
    from music_vae.weights import tf_checkpoints

    with tf_checkpoints.open_checkpoint(path) as weights:
        _print_info(str(path), config, weights, own)


def _own_configs(given: str | None, config: "Config | None") -> "dict[str, Config]":
    """Returns the config that was given, or lies in a file, unless it is published, by its text."""
    from music_vae.commands import config_flag
    from music_vae.configs import CONFIG_MAP

    if given:
        return (
            {f"--config={given}": config_flag.get_config(given)} if given not in CONFIG_MAP else {}
        )
    return (
        {f"{config.name}, its own config": config}
        if config and config.name not in CONFIG_MAP
        else {}
    )


def _located(checkpoint: str, values: flags.FlagValues) -> "tuple[str | Path, Config | None]":
    """Returns a checkpoint, downloaded if necessary, and its config if that is known."""
    from music_vae.commands import config_flag
    from music_vae.weights import checkpoint_files, published

    checkpoint_files.check_there(checkpoint)
    config = config_flag.read(checkpoint, values.config)
    if config is not None and (other := config_flag.difference(values.config, config)):
        raise UserError(f"{checkpoint} was trained with the config {config.name}, {other}")
    return published.resolve(checkpoint, values.checkpoint_base_url), config


def _print_info(
    path: str,
    config: "Config | None",
    weights: "CheckpointWeights",
    own: "Mapping[str, Config]",
) -> None:
    from music_vae.common.weight_names import is_weight

    shapes = {name: shape for name, shape in weights.shapes.items() if is_weight(name)}
    ignored = sorted(set(weights.shapes) - set(shapes))
    named = "not said"
    if config is not None:
        fits = config.model_spec.weight_shapes == shapes
        named = config.name if fits else f"{config.name}, which these weights do not fit"
    fitting = _fitting(shapes, own) or ["no published config; --config=FILE.py:NAME tries one more"]
    count = sum(math.prod(shape) for shape in shapes.values())
    _print_columns(
        [
            ("checkpoint", path),
            ("layout", "a run of music_vae" if weights.of_run else "published (TF1)"),
            ("step", "not said" if weights.step is None else str(weights.step)),
            ("config", named),
            *(("fits" if not n else "", text) for n, text in enumerate(fitting)),
            ("weights", f"{len(shapes)}, with {count:,} parameters"),
            ("ignored", str(len(ignored)) if ignored else "nothing"),
        ]
    )
    print()
    _print_columns([(name, str(list(shape))) for name, shape in sorted(shapes.items())])
    if ignored:
        print("\nignored:")
        _print_columns([(name, str(list(weights.shapes[name]))) for name in ignored])


def _fitting(shapes: "Shapes", own: "Mapping[str, Config]") -> list[str]:
    """Returns the configs that fit, each as the flags that name it, or as `_own_configs` does."""
    from music_vae.weights.fit import fitting_configs

    return [
        (fit.config if fit.config in own else f"--config={fit.config}")
        + (f" --hparams={fit.hparams}" if fit.hparams else "")
        for fit in fitting_configs(shapes, own)
    ]


def _export(checkpoint: str, out: str, values: flags.FlagValues) -> None:
    path, config = _located(checkpoint, values)
    lazy_imports.import_tensorflow()
    from music_vae.export import tf1

    print(tf1.export(path, out, config))


def _print_columns(rows: Sequence[Sequence[str]]) -> None:
    """Prints rows with their cells in columns; cells may come from a file."""
    rows = [[printable(cell) for cell in row] for row in rows]
    columns = list(zip(*rows, strict=True))[:-1]
    widths = [max(map(len, column)) for column in columns]
    for *cells, last in rows:
        padded = (f"{cell:<{width}}  " for cell, width in zip(cells, widths, strict=True))
        print("".join(padded) + last)


COMMAND = cli.Command(PROGRAM, USAGE, FLAGS, _run, takes_arguments=True)
main = COMMAND.main
console_entry_point = COMMAND.console_entry_point

if __name__ == "__main__":
    console_entry_point()
