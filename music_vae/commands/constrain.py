"""Trains latent constraints of a model and measures their effects.

This is the command `music_vae_constrain`; from Python, make one of the requests and call the
function that takes it.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from music_vae.commands import choices, cli, flag_groups
from music_vae.commands.choices import ModelChoice, Sampling
from music_vae.commands.examples import Examples
from music_vae.common import checks, files, lazy_imports, progress
from music_vae.common.errors import UserError, naming

if TYPE_CHECKING:
    from music_vae.configs import Config
    from music_vae.evaluation.metrics import Metrics

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
flag_groups.define_model(FLAGS)
flag_groups.define_examples(
    FLAGS,
    "The music: TFRecords of NoteSequences, a file, a pattern, or a comma-separated list.",
    8000,
    "Use so many windows at most, drawn by the seed.",
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
    "--checkpoint_file. Required for a model that comes with music_vae.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "constraint", None, "The folder that evaluate reads; the same by default.", flag_values=FLAGS
)
cli.define_number("num_steps", 2500, "Steps of training.", checks.STEPS, values=FLAGS)
cli.define_number("hidden", 256, "Units of each hidden layer.", checks.UNITS, values=FLAGS)
cli.define_number(
    "distance_weight",
    0.1,
    "What moving a sample costs; more keeps it nearer to where it was.",
    checks.WEIGHT,
    values=FLAGS,
)
cli.define_number("learning_rate", 5e-4, "Of training.", checks.LEARNING_RATE, values=FLAGS)
flag_groups.define_num_samples(FLAGS)
flag_groups.define_sampling(FLAGS, 0.5)
flag_groups.define_json(FLAGS)


@dataclasses.dataclass(frozen=True)
class TrainRequest:
    """A request to train a constraint.

    >>> melodies, music = ModelChoice(config="cat-mel_2bar_mini"), Examples("train.tfrecord")
    >>> TrainRequest(melodies, music, Sampling(), attribute=("note_density=high",)).num_steps
    2500
    >>> TrainRequest(melodies, music, Sampling(), hidden=0)
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `hidden=0` must be at least 1

    Attributes:
      model: The model.
      examples: The music that it encodes.
      sampling: Seed and batch size.
      attribute: Attributes that can be asked for afterwards, as in note_density=high; a name alone
        means high and low.
      output: The folder to write; None: the one that lies with the model, unless that comes
        with the package.
      num_steps: Number of steps of training.
      hidden: Number of units of each hidden layer.
      distance_weight: Weight of the distance by which a sample is moved: more keeps it nearer.
      learning_rate: Learning rate of the optimizer.

    Raises:
      UserError: If a number is out of range.
    """

    model: ModelChoice
    examples: Examples
    sampling: Sampling
    attribute: tuple[str, ...] = ()
    output: Path | None = None
    num_steps: int = 2500
    hidden: int = 256
    distance_weight: float = 0.1
    learning_rate: float = 5e-4

    def __post_init__(self) -> None:
        checks.check_numbers(self, checks.STEPS, "num_steps")
        checks.check_numbers(self, checks.UNITS, "hidden")
        checks.check_numbers(self, checks.WEIGHT, "distance_weight")
        checks.check_numbers(self, checks.LEARNING_RATE, "learning_rate")


@dataclasses.dataclass(frozen=True)
class EvaluateRequest:
    """A request to measure what a constraint does to samples from the prior.

    >>> melodies = ModelChoice(config="cat-mel_2bar_mini")
    >>> EvaluateRequest(melodies, Sampling(), attribute=("note_density=high",)).num_samples
    256
    >>> EvaluateRequest(melodies, Sampling(), num_samples=0)
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `num_samples=0` must be at least 1

    Attributes:
      model: The model.
      sampling: Seed, batch size, and the temperature of the decoded samples.
      examples: Music with which samples are compared; None: they are not compared.
      attribute: Attributes that are asked for together, as in note_density=high; empty: all that
        the constraint knows, each by itself.
      constraint: The folder of the constraint; None: the one that lies with the model.
      num_samples: Number of samples from the prior.

    Raises:
      UserError: If there are to be no samples.
    """

    model: ModelChoice
    sampling: Sampling
    examples: Examples | None = None
    attribute: tuple[str, ...] = ()
    constraint: Path | None = None
    num_samples: int = 256

    def __post_init__(self) -> None:
        checks.check_numbers(self, checks.COUNT, "num_samples")


def train(request: TrainRequest) -> str:
    """Trains a constraint and writes it; returns a message for the user.

    >>> import tempfile
    >>> from music_vae.dataset.music_files import write_tfrecord
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tunes, names = Path(folder, "tunes.tfrecord"), ["devils_dream.mid", "soldiers_joy.mid"]
    ...     _ = write_tfrecord(Path("examples/tunes"), names, tunes, num_processes=1)
    ...     melodies, music = ModelChoice(config="cat-mel_2bar_mini"), Examples(str(tunes))
    ...     wish, output = ("note_density=high",), Path(folder, "dense")
    ...     train(TrainRequest(melodies, music, Sampling(), wish, output, num_steps=2, hidden=8))
    'A constraint from 24 windows; knows note_density=high: .../dense'

    Raises:
      UserError: If the music does not have an attribute, or there is too little of it.
    """
    config = request.model.read_config(with_latent=True)
    from music_vae.latent import constraints, corpus

    asked = constraints.parse_sides(request.attribute, "attribute", all_by_default=True)
    _check_attributes(config, asked)
    source, seed = request.model.resolve(), request.sampling.seed or 0
    output = choices.output_path(request.model, request.output, constraints.own_folder)
    files.check_writable(output, "output")
    owner = constraints.Owner.of(config, source)
    windows = request.examples.find(config).windows
    files.check_new_directory(output, "output")
    known, labels = constraints.labelled(config.data_converter, windows, asked)
    model = request.model.open(config, request.sampling.max_batch_size)
    _, mu, sigma = corpus.encode_windows(model, windows)
    lazy_imports.import_tensorflow()
    from music_vae.training import constraint_networks

    layers, losses = constraint_networks.train(
        constraint_networks.Encoded(mu, sigma, labels),
        [[constraints.SIDES[side] for side in attribute.sides] for attribute in known],
        progress.bar(range(request.num_steps), "training"),
        constraint_networks.Settings(
            hidden=(request.hidden,) * 3,
            learning_rate=request.learning_rate,
            distance_weight=request.distance_weight,
            seed=seed,
        ),
    )
    constraint = constraints.Constraint(layers, known)
    about = {"windows": len(windows), "steps": request.num_steps, "losses": losses._asdict()}
    constraint.write(output, owner, about)
    return f"A constraint from {len(windows)} windows; knows {constraint.listed()}: {output}"


def evaluate(request: EvaluateRequest) -> "Metrics":
    """Measures the effects of a constraint on samples from the prior.

    >>> melodies, sampling = ModelChoice(config="cat-mel_2bar_mini"), Sampling(0, temperature=0.5)
    >>> wish = ("note_density=high",)
    >>> effects = evaluate(EvaluateRequest(melodies, sampling, attribute=wish, num_samples=16))
    >>> [effects["wishes"][0][name] for name in ("without", "with")]  # share of dense samples
    [0.5625, 1.0]

    Raises:
      UserError: If there is no constraint, it is of another model, or it does not know the
        attributes that are asked for.
    """
    config = request.model.read_config(with_latent=True)
    from music_vae.evaluation import constraint_effects
    from music_vae.latent import constraints

    wanted = constraints.parse_sides(request.attribute, "attribute")
    source = request.model.resolve()
    with naming("constraint", request.constraint):
        folder = constraints.folder_of(request.constraint, source)
        constraint = constraints.read(folder, constraints.Owner.of(config, source))
    with naming("attribute", ",".join(request.attribute)):
        constraint.wanted(wanted)  # refuses what it does not know
    return constraint_effects.measure(
        request.model.open(config, request.sampling.max_batch_size, with_encoder=False),
        constraint,
        [wanted] if wanted else [{a.name: s} for a in constraint.attributes for s in a.sides],
        request.examples.find(config).windows if request.examples else None,
        number=request.num_samples,
        temperature=request.sampling.temperature,
        seed=request.sampling.seed or 0,
    )


def _check_attributes(config: "Config", asked: Mapping[str, Any]) -> None:
    """Raises `UserError` for an attribute that the model's music does not have."""
    from music_vae.music import attributes

    known = attributes.names(config.data_converter) if asked else ()
    for name in asked:
        if name not in known:
            raise UserError(
                f"`attribute`: {config.name} has no {name!r}; it has {', '.join(known)}"
            )


def _run(values: flags.FlagValues, arguments: Sequence[str]) -> None:
    command = cli.subcommand(PROGRAM, {"train": _train, "evaluate": _evaluate}, arguments)
    command(values, flag_groups.model(values), flag_groups.sampling(values))


def _train(values: flags.FlagValues, model: ModelChoice, sampling: Sampling) -> None:
    request = TrainRequest(
        model,
        flag_groups.examples(values),
        sampling,
        tuple(values.attribute),
        cli.expand(values.output) if values.output else None,
        num_steps=values.num_steps,
        hidden=values.hidden,
        distance_weight=values.distance_weight,
        learning_rate=values.learning_rate,
    )
    print(train(request))


def _evaluate(values: flags.FlagValues, model: ModelChoice, sampling: Sampling) -> None:
    request = EvaluateRequest(
        model,
        sampling,
        flag_groups.examples(values) if values.examples_path else None,
        tuple(values.attribute),
        cli.expand(values.constraint) if values.constraint else None,
        values.num_samples,
    )
    effects = evaluate(request)
    print(json.dumps(effects, indent=2) if values.json else table(effects))


# -- What is printed ------------------------------------------------------------------------------


def table(effects: Mapping[str, Any]) -> str:
    """Returns the metrics of `evaluate` as two tables: the wishes, then features of the music.

    >>> wish = {"wanted": {"note_density": "high"}, "without": 0.25, "realism": 0.3, "with": 0.9,
    ...     "moved": 0.7}
    >>> music = {"without": {"notes_per_bar": 4.0}, "with": {"notes_per_bar": 7.5}}
    >>> print(table({"config": "mine", "samples": 8, "temperature": 0.5, "moved_by_realism": 0.4,
    ...     "wishes": [wish], "music": music}))
    mine: 8 samples from the prior at temperature 0.5; share that has what is wanted, and distance
    in standard deviations (realism alone: 0.400)
                                     without   realism      with     moved
      note_density=high                0.250     0.300     0.900     0.700
    <BLANKLINE>
                                     without      with
      notes per bar                    4.000     7.500
    """
    columns = ("without", "realism", "with", "moved")
    lines = [
        f"{effects['config']}: {effects['samples']} samples from the prior at temperature "
        f"{effects['temperature']:g}; share that has what is wanted, and distance in standard "
        f"deviations (realism alone: {effects['moved_by_realism']:.3f})",
        _row("", columns),
    ]
    for row in effects["wishes"]:
        label = ", ".join(f"{name}={side}" for name, side in row["wanted"].items())
        lines.append(_row(label, [row[column] for column in columns]))
    music = effects["music"]
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
