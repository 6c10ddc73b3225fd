"""`music_vae_constrain`: trains latent constraints of a model, and says what they do."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from absl import flags

from music_vae.commands import cli, model_flags
from music_vae.common import files, lazy_imports, progress
from music_vae.common.errors import UserError

if TYPE_CHECKING:
    from music_vae.configs import Config

PROGRAM = "music_vae_constrain"
USAGE = """Trains latent constraints of a model (Engel et al. 2018), and says what they do.

  music_vae_constrain train --config=cat-mel_2bar_mini --examples_path=train.tfrecord \\
    --attribute=note_density,c_diatonic=high --output=DIR
  music_vae_constrain evaluate --config=cat-mel_2bar_mini --constraint=DIR \\
    --examples_path=test.tfrecord

A constraint moves samples from the prior to where encoded music is, and to music with the
attributes that are asked for; music_vae_generate --mode=sample --constraint=DIR
--attribute=note_density=high uses it. evaluate prints how many samples the attribute itself
accepts, and how far they were moved; with --examples_path, how like that music they are."""

FLAGS = cli.new_flags()
model_flags.define(FLAGS)
flags.DEFINE_string(
    "examples_path",
    None,
    "The music: TFRecords of NoteSequences, a file, a pattern, or a comma-separated list.",
    flag_values=FLAGS,
)
flags.DEFINE_multi_string(
    "attribute",
    [],
    "train: what can be asked for, as in note_density=high; NAME alone for high and low. Several "
    "with commas or one flag for each; without any, samples are made more like music alone. "
    "evaluate: what is asked for, together; each by itself by default.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "output",
    None,
    "The folder that train writes; by default 'constraint' in --run_dir, or NAME.constraint beside "
    "--checkpoint_file.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "constraint", None, "The folder that evaluate reads; the same by default.", flag_values=FLAGS
)
flags.DEFINE_integer(
    "num_examples", 8000, "Use so many windows at most, drawn by the seed.", 1, flag_values=FLAGS
)
flags.DEFINE_integer("num_steps", 2500, "Steps of training.", 1, flag_values=FLAGS)
flags.DEFINE_integer("hidden", 256, "Units of each hidden layer.", 1, flag_values=FLAGS)
flags.DEFINE_float(
    "distance_weight",
    0.1,
    "What moving a sample costs; more keeps it nearer to where it was.",
    0.0,
    flag_values=FLAGS,
)
flags.DEFINE_float("learning_rate", 5e-4, "Of training.", 1e-8, 1.0, flag_values=FLAGS)
flags.DEFINE_integer("num_samples", 256, "How many samples from the prior.", 1, flag_values=FLAGS)
flags.DEFINE_float(
    "temperature", 0.5, "Of what is decoded from them.", lower_bound=0.0, flag_values=FLAGS
)
flags.DEFINE_integer(
    "max_batch_size", 64, "How many windows are computed at once.", 1, flag_values=FLAGS
)
flags.DEFINE_integer("seed", 0, "Of all that is drawn.", 0, cli.MAX_SEED, flag_values=FLAGS)
flags.DEFINE_boolean("json", False, "Prints JSON instead of a table.", flag_values=FLAGS)


def _run(values: flags.FlagValues, arguments: Sequence[str]) -> None:
    commands = {"train": _train, "evaluate": _evaluate}
    command = cli.subcommand(PROGRAM, commands, arguments)
    model_flags.check(values)
    config = model_flags.config(values)
    if not config.hparams.latent_size:
        raise UserError(f"{config.name} has no latent space")
    command(values, config)


def _train(values: flags.FlagValues, config: "Config") -> None:
    from music_vae.dataset.windows import load_windows, subset
    from music_vae.latent import constraints, corpus

    cli.require(values, "examples_path")
    asked = constraints.parse_sides(values.attribute, "attribute", all_by_default=True)
    _check_attributes(config, asked)
    source = model_flags.source(values)
    output = cli.expand(values.output) if values.output else constraints.own_folder(source)
    files.check_writable(output, "output")
    owner = constraints.Owner.of(config, source)
    lazy_imports.import_note_seq()
    found, _ = load_windows(values.examples_path, config)
    windows = subset(found, values.num_examples, values.seed)
    known, labels = constraints.labelled(config.data_converter, windows, asked)
    _, mu, sigma = corpus.encode_windows(model_flags.open_model(values, config), windows)
    lazy_imports.import_tensorflow()
    from tqdm import trange

    from music_vae.training import constraint_networks

    settings = constraint_networks.Settings(
        hidden=(values.hidden,) * 3,
        learning_rate=values.learning_rate,
        distance_weight=values.distance_weight,
        seed=values.seed,
    )
    layers, losses = constraint_networks.train(
        constraint_networks.Encoded(mu, sigma, labels),
        [[constraints.SIDES[side] for side in attribute.sides] for attribute in known],
        trange(values.num_steps, desc="training", disable=not progress.show_progress()),
        settings,
    )
    constraint = constraints.Constraint(layers, known)
    about = {"windows": len(windows), "steps": values.num_steps, "losses": losses._asdict()}
    constraint.write(output, owner, about)
    print(f"A constraint from {len(windows)} windows; knows {constraint.listed()}: {output}")


def _evaluate(values: flags.FlagValues, config: "Config") -> None:
    from music_vae.dataset.windows import load_windows, subset
    from music_vae.evaluation import constraint_effects
    from music_vae.latent import constraints

    wanted = constraints.parse_sides(values.attribute, "attribute")
    source = model_flags.source(values)
    folder = cli.expand(values.constraint) if values.constraint else constraints.own_folder(source)
    constraint = constraints.read(folder, constraints.Owner.of(config, source))
    constraint.wanted(wanted)  # refuses what it does not know
    windows: Any = None
    if values.examples_path:
        lazy_imports.import_note_seq()
        found, _ = load_windows(values.examples_path, config)
        windows = subset(found, values.num_examples, values.seed)
    figures = constraint_effects.measure(
        model_flags.open_model(values, config, with_encoder=False),
        constraint,
        [wanted] if wanted else [{a.name: s} for a in constraint.attributes for s in a.sides],
        windows,
        number=values.num_samples,
        temperature=values.temperature,
        seed=values.seed,
    )
    print(json.dumps(figures, indent=2) if values.json else table(figures))


def _check_attributes(config: "Config", asked: dict[str, Any]) -> None:
    """Raises `UserError` for an attribute that the model's music does not have."""
    from music_vae.music import attributes

    known = attributes.names(config.data_converter) if asked else ()
    for name in asked:
        if name not in known:
            raise UserError(
                f"--attribute: {config.name} has no {name!r}; it has {', '.join(known)}"
            )


# -- What is printed ------------------------------------------------------------------------------


def table(figures: Mapping[str, Any]) -> str:
    """The figures as two tables: the wishes, then what the music is like."""
    columns = ("without", "realism", "with", "moved")
    lines = [
        f"{figures['config']}: {figures['samples']} samples from the prior at temperature "
        f"{figures['temperature']:g}; share that has what is wanted, and distance in standard "
        f"deviations (realism alone: {figures['moved_by_realism']:.3f})",
        _row("", columns),
    ]
    for row in figures["wishes"]:
        label = ", ".join(f"{name}={side}" for name, side in row["wanted"].items())
        lines.append(_row(label, [row[column] for column in columns]))
    music = figures["music"]
    lines += ["", _row("", list(music))]
    for name in music["without"]:
        lines.append(_row(name.replace("_", " "), [own[name] for own in music.values()]))
    return "\n".join(lines)


def _row(label: str, cells: Sequence[Any]) -> str:
    shown = (
        "-" if cell is None else cell if isinstance(cell, str) else f"{cell:.3f}" for cell in cells
    )
    return f"  {label:28}" + "".join(f"{cell:>10}" for cell in shown)


COMMAND = cli.Command(PROGRAM, USAGE, FLAGS, _run, takes_arguments=True)
main = COMMAND.main
console_entry_point = COMMAND.console_entry_point

if __name__ == "__main__":
    console_entry_point()
