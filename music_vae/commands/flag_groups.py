"""Flags that several commands have: each group is defined once, with the value that it makes.

`define_...` adds a group to a command's flags; the function beside it reads them.
"""

from typing import TYPE_CHECKING

from absl import flags

from music_vae.commands import cli
from music_vae.commands.choices import ModelChoice, Sampling
from music_vae.common.seeds import MAX_SEED

if TYPE_CHECKING:
    from music_vae.commands.examples import Examples

ALL_EXAMPLES = "Use so many windows, drawn by the seed; all by default."


def define_model(values: flags.FlagValues) -> None:
    """Adds the flags that say which model is used."""
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
    define_checkpoint_base_url(values)
    flags.DEFINE_string(
        "run_dir",
        None,
        "A run of music_vae_train; its newest checkpoint is used.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "hparams", "", "Overrides of a config's sizes, as in z_size=128.", flag_values=values
    )


def model(values: flags.FlagValues) -> ModelChoice:
    """The choice of the model.

    Raises:
      UserError: Unless one is named; or if its checkpoint is not there.
    """
    return ModelChoice(
        config=values.config,
        run_dir=values.run_dir,
        checkpoint_file=values.checkpoint_file,
        hparams=values.hparams,
        checkpoint_base_url=values.checkpoint_base_url,
    )


def define_checkpoint_base_url(values: flags.FlagValues) -> None:
    """Adds `--checkpoint_base_url`, for commands that take the id of a published checkpoint."""
    flags.DEFINE_string(
        "checkpoint_base_url",
        None,
        "Where published checkpoints are downloaded from, instead of where they were published.",
        flag_values=values,
    )


def define_seed(values: flags.FlagValues, repeatable: str = "") -> None:
    """Adds `--seed`: 0 by default; or by chance, if it makes something `repeatable`."""
    flags.DEFINE_integer(
        "seed",
        None if repeatable else 0,
        f"Makes {repeatable} repeatable; chosen by chance by default."
        if repeatable
        else "Of all that is drawn.",
        lower_bound=0,
        upper_bound=MAX_SEED,
        flag_values=values,
    )


def define_sampling(
    values: flags.FlagValues,
    temperature: float | None = None,
    temperature_help: str = "Of what is decoded from them.",
    *,
    max_batch_size: int = 64,
    items: str = "windows",
    repeatable: str = "",
) -> None:
    """Adds `--seed` and `--max_batch_size`.

    Args:
      values: Where they are defined.
      temperature: The default of `--temperature`, which is added too; None: it is not.
      temperature_help: Its help.
      max_batch_size: The default.
      items: What is computed.
      repeatable: As for `define_seed`.
    """
    define_seed(values, repeatable)
    flags.DEFINE_integer(
        "max_batch_size",
        max_batch_size,
        f"How many {items} are computed at once.",
        lower_bound=1,
        flag_values=values,
    )
    if temperature is not None:
        flags.DEFINE_float(
            "temperature", temperature, temperature_help, lower_bound=0.0, flag_values=values
        )


def sampling(values: flags.FlagValues) -> Sampling:
    """The drawing of music; at temperature 1 where there is no such flag."""
    temperature = values.temperature if "temperature" in values else 1.0
    return Sampling(values.seed, temperature, values.max_batch_size)


def define_examples(
    values: flags.FlagValues,
    path_help: str,
    num_examples: int | None = None,
    num_examples_help: str = ALL_EXAMPLES,
) -> None:
    """Adds `--examples_path` and `--num_examples`; the latter goes with `--seed`."""
    flags.DEFINE_string("examples_path", None, path_help, flag_values=values)
    flags.DEFINE_integer(
        "num_examples", num_examples, num_examples_help, lower_bound=1, flag_values=values
    )


def examples(values: flags.FlagValues) -> "Examples":
    """The music that is used.

    Raises:
      UserError: If none was given.
    """
    cli.require(values, "examples_path")
    from music_vae.commands.examples import Examples

    return Examples(values.examples_path, values.num_examples, values.seed)


def define_num_samples(values: flags.FlagValues) -> None:
    """Adds `--num_samples`."""
    flags.DEFINE_integer(
        "num_samples", 256, "How many samples from the prior.", lower_bound=1, flag_values=values
    )


def define_json(values: flags.FlagValues) -> None:
    """Adds `--json`."""
    flags.DEFINE_boolean("json", False, "Prints JSON instead of a table.", flag_values=values)


def define_engine(values: flags.FlagValues, difference: str) -> None:
    """Adds `--engine`; `difference` says what both have in common, and what not."""
    flags.DEFINE_enum(
        "engine",
        "numpy",
        ("numpy", "tensorflow"),
        f"What computes: both {difference}",
        flag_values=values,
    )


def define_rendering(values: flags.FlagValues) -> None:
    """Adds `--render` and `--soundfont`."""
    flags.DEFINE_string(
        "render",
        None,
        "What to make besides MIDI files, with commas between: sound (wav, flac, ogg), pictures "
        "(png, svg; one of a whole interpolation), or html, a page of all pieces as index.html.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "soundfont",
        None,
        "The .sf2 file that sound is made with; by default the one that comes with pretty_midi.",
        flag_values=values,
    )


def formats(values: flags.FlagValues) -> tuple[str, ...]:
    """The formats of `--render`."""
    return () if values.render is None else tuple(values.render.split(","))
