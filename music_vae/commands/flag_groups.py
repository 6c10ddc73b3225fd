"""Defines the flags that several commands share, and makes values of them.

`define_...` adds a group of flags to those of a command, and the function beside it reads them:

>>> values = cli.new_flags()
>>> define_model(values)
>>> _ = values(["my_command", "--config=cat-mel_2bar_mini"])
>>> model(values).config
'cat-mel_2bar_mini'
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from absl import flags

from music_vae.commands import cli
from music_vae.commands.choices import ModelChoice, Sampling
from music_vae.common import checks
from music_vae.common.constants import MAX_DAMAGED

if TYPE_CHECKING:
    from music_vae.commands.examples import Examples

OWN_CONFIG = "or your own: FILE.py:NAME, package.module:NAME or FILE.json."
"""End of the sentence in which a help text says what `--config` takes."""

_ALL_EXAMPLES = "Use so many windows, drawn by the seed; all by default."


def define_model(values: flags.FlagValues) -> None:
    """Adds the flags that say which model is used.

    >>> values = cli.new_flags()
    >>> define_model(values)
    >>> [name for name in values if name not in cli.new_flags()]
    ['config', 'checkpoint_file', 'checkpoint_base_url', 'run_dir', 'hparams']
    """
    flags.DEFINE_string(
        "config",
        None,
        f"The name of the config, {OWN_CONFIG} Not needed with --run_dir or the id of a published "
        "checkpoint. A name by itself means the model of that config that comes with music_vae; "
        "melody, drums and groove are short for models of two bars.",
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


def model(values: flags.FlagValues, default: Callable[[], str] | None = None) -> ModelChoice:
    """Returns the model that the flags choose.

    >>> values = cli.new_flags()
    >>> define_model(values)
    >>> _ = values(["my_command", "--config=cat-mel_2bar_mini", "--hparams=z_size=8"])
    >>> model(values).hparams
    'z_size=8'

    Args:
      values: The flags.
      default: Function that finds the name of the config of the model that is used if they choose
        none; None: there is no such model.

    Raises:
      UserError: Unless exactly one model is named, and if its checkpoint does not exist.
    """
    is_named = values.config or values.run_dir or values.checkpoint_file
    return ModelChoice(
        config=values.config if is_named or default is None else default(),
        run_dir=values.run_dir,
        checkpoint_file=values.checkpoint_file,
        hparams=values.hparams,
        checkpoint_base_url=values.checkpoint_base_url,
    )


def define_checkpoint_base_url(values: flags.FlagValues) -> None:
    """Adds `--checkpoint_base_url`, for commands that take the id of a published checkpoint.

    >>> values = cli.new_flags()
    >>> define_checkpoint_base_url(values)
    >>> _ = values(["my_command", "--checkpoint_base_url=http://localhost:8000"])
    >>> values.checkpoint_base_url
    'http://localhost:8000'
    """
    flags.DEFINE_string(
        "checkpoint_base_url",
        None,
        "Where published checkpoints are downloaded from, instead of where they were published.",
        flag_values=values,
    )


def define_seed(values: flags.FlagValues, repeatable: str = "") -> None:
    """Adds `--seed`.

    >>> values = cli.new_flags()
    >>> define_seed(values, repeatable="a run")
    >>> values["seed"].help
    'Makes a run repeatable; chosen by chance by default.'

    Args:
      values: Flags to which it is added.
      repeatable: If given, the thing that the seed makes repeatable; the seed is then chosen by
        chance by default. If empty, the default is 0.
    """
    cli.define_number(
        "seed",
        None if repeatable else 0,
        f"Makes {repeatable} repeatable; chosen by chance by default."
        if repeatable
        else "Of all that is drawn.",
        checks.SEED,
        values=values,
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
    """Adds `--seed` and `--max_batch_size`, and perhaps `--temperature`.

    >>> values = cli.new_flags()
    >>> define_sampling(values, temperature=0.5, items="pieces")
    >>> values["temperature"].default, values["max_batch_size"].help
    (0.5, 'How many pieces are computed at once.')

    Args:
      values: Flags to which they are added.
      temperature: Default of `--temperature`; None: there is no such flag.
      temperature_help: Help of `--temperature`.
      max_batch_size: Default of `--max_batch_size`.
      items: Name of the things that are computed, for the help.
      repeatable: The thing that the seed makes repeatable, as for `define_seed`.
    """
    define_seed(values, repeatable)
    cli.define_number(
        "max_batch_size",
        max_batch_size,
        f"How many {items} are computed at once.",
        checks.BATCH_SIZE,
        values=values,
    )
    if temperature is not None:
        cli.define_number(
            "temperature", temperature, temperature_help, checks.TEMPERATURE, values=values
        )


def sampling(values: flags.FlagValues) -> Sampling:
    """Returns the settings of sampling; the temperature is 1 if there is no flag for it.

    >>> values = cli.new_flags()
    >>> define_sampling(values)
    >>> _ = values(["my_command", "--seed=7"])
    >>> sampling(values)
    Sampling(seed=7, temperature=1.0, max_batch_size=64)
    """
    temperature = values.temperature if "temperature" in values else 1.0
    return Sampling(values.seed, temperature, values.max_batch_size)


def define_examples(
    values: flags.FlagValues,
    path_help: str,
    num_examples: int | None = None,
    num_examples_help: str = _ALL_EXAMPLES,
) -> None:
    """Adds `--examples_path`, `--num_examples` and `--max_damaged`.

    The command has to have `--seed`, too, by which `--num_examples` windows are drawn.

    >>> values = cli.new_flags()
    >>> define_examples(values, "The music that is encoded.", num_examples=8000)
    >>> values["examples_path"].help, values["num_examples"].default
    ('The music that is encoded.', 8000)

    Args:
      values: Flags to which they are added.
      path_help: Help of `--examples_path`.
      num_examples: Default of `--num_examples`; None: all windows.
      num_examples_help: Help of `--num_examples`.
    """
    flags.DEFINE_string("examples_path", None, path_help, flag_values=values)
    cli.define_number(
        "num_examples", num_examples, num_examples_help, checks.WINDOWS, values=values
    )
    define_max_damaged(values)


def define_max_damaged(values: flags.FlagValues) -> None:
    """Adds `--max_damaged`, the share of damaged records that a command leaves out.

    >>> values = cli.new_flags()
    >>> define_max_damaged(values)
    >>> values["max_damaged"].default
    0.01
    """
    cli.define_number(
        "max_damaged",
        MAX_DAMAGED,
        "How many of the records may be damaged, as a share; they are left out. With more, nothing "
        "is done.",
        checks.SHARE,
        values=values,
    )


def examples(values: flags.FlagValues) -> "Examples":
    """Returns the music that the flags choose.

    >>> values = cli.new_flags()
    >>> define_examples(values, "TFRecords of NoteSequences.")
    >>> define_seed(values)
    >>> _ = values(["my_command", "--examples_path=test.tfrecord", "--num_examples=100"])
    >>> examples(values)
    Examples(path='test.tfrecord', num_examples=100, seed=0, max_damaged=0.01)

    Raises:
      UserError: If none was given.
    """
    cli.require(values, "examples_path")
    from music_vae.commands.examples import Examples

    return Examples(values.examples_path, values.num_examples, values.seed, values.max_damaged)


def define_num_samples(values: flags.FlagValues) -> None:
    """Adds `--num_samples`, the number of samples from the prior.

    >>> values = cli.new_flags()
    >>> define_num_samples(values)
    >>> values["num_samples"].default
    256
    """
    cli.define_number(
        "num_samples", 256, "How many samples from the prior.", checks.COUNT, values=values
    )


def define_prior(values: flags.FlagValues) -> None:
    """Adds `--prior`, the distribution that samples are drawn from.

    >>> values = cli.new_flags()
    >>> define_prior(values)
    >>> _ = values(["my_command", "--prior=normal"])
    >>> values.prior
    'normal'
    """
    flags.DEFINE_string(
        "prior",
        None,
        "What points of the latent space are drawn from: 'fitted', the prior that music_vae_prior "
        "fitted to music and that lies with the model; another .safetensors file of such a prior; "
        "or 'normal'. By default the fitted one if there is one, else the normal one.",
        flag_values=values,
    )


def define_json(values: flags.FlagValues) -> None:
    """Adds `--json`, which prints JSON instead of a table.

    >>> values = cli.new_flags()
    >>> define_json(values)
    >>> _ = values(["my_command", "--json"])
    >>> values.json
    True
    """
    flags.DEFINE_boolean("json", False, "Prints JSON instead of a table.", flag_values=values)


def define_engine(values: flags.FlagValues, difference: str) -> None:
    """Adds `--engine`, the engine that computes.

    >>> values = cli.new_flags()
    >>> define_engine(values, "make the same music, and NumPy is there sooner.")
    >>> print(values["engine"].help)
    <numpy|tensorflow>: What computes: both make the same music, and NumPy is there sooner.

    Args:
      values: Flags to which it is added.
      difference: End of a sentence that begins with "both" and compares the two engines.
    """
    flags.DEFINE_enum(
        "engine",
        "numpy",
        ("numpy", "tensorflow"),
        f"What computes: both {difference}",
        flag_values=values,
    )


def define_rendering(values: flags.FlagValues) -> None:
    """Adds `--render`, `--soundfont` and `--loop`, for commands that make sound and pictures.

    >>> values = cli.new_flags()
    >>> define_rendering(values)
    >>> _ = values(["my_command", "--render=flac", "--soundfont=piano.sf2"])
    >>> values.render, values.soundfont
    ('flac', 'piano.sf2')
    """
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
    flags.DEFINE_boolean(
        "loop",
        False,
        "Makes sound files as long as their music, to be repeated: what rings on at the end is "
        "heard at the beginning.",
        flag_values=values,
    )


def formats(values: flags.FlagValues) -> tuple[str, ...]:
    """Returns the formats that `--render` names; see `rendering.FORMATS`.

    >>> values = cli.new_flags()
    >>> define_rendering(values)
    >>> _ = values(["my_command", "--render=wav,html"])
    >>> formats(values)
    ('wav', 'html')
    """
    return () if values.render is None else tuple(values.render.split(","))
