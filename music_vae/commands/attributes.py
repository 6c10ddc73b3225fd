"""Finds a model's attribute vectors, measures their effects, and draws a map of its latent space.

This is the command `music_vae_attributes`; from Python, make one of the requests and call the
function that takes it.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from music_vae.commands import choices, cli, flag_groups
from music_vae.commands.choices import ModelChoice, Sampling
from music_vae.commands.examples import Examples
from music_vae.common import checks
from music_vae.common.errors import UserError, naming

if TYPE_CHECKING:
    from music_vae.configs import Config
    from music_vae.evaluation.metrics import Metrics

PROGRAM = "music_vae_attributes"
USAGE = """Finds the attribute vectors of a trained model, says what they do, and draws its space.

  music_vae_attributes compute --run_dir=RUN --examples_path=train.tfrecord
  music_vae_attributes evaluate --run_dir=RUN --picture=attributes.png
  music_vae_attributes map --run_dir=RUN --examples_path=test.tfrecord --attribute=note_density \\
    --picture=map.png

compute encodes music and writes, for every attribute, the mean z of the quarter of the windows with
the highest values minus the mean z of the quarter with the lowest. music_vae_generate
--mode=attribute adds such vectors. evaluate adds and subtracts each to and from the z of samples
from the prior, and prints the mean change of every attribute in its standard deviations among the
samples (Roberts et al. 2018, figure 4). map draws where encoded music lies, on the two axes along
which it varies most, coloured by an attribute."""

FLAGS = cli.new_flags()
flag_groups.define_model(FLAGS)
flag_groups.define_examples(
    FLAGS,
    "The music that compute and map encode: TFRecords of NoteSequences, a file, a pattern, or a "
    "comma-separated list.",
)
flags.DEFINE_string(
    "output",
    None,
    "The .safetensors file that compute writes; by default attributes.safetensors in --run_dir, or "
    "NAME.attributes.safetensors beside --checkpoint_file. Required for a model that comes with "
    "music_vae.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "vectors",
    None,
    "The file that evaluate reads; by default where compute puts it.",
    flag_values=FLAGS,
)
flag_groups.define_num_samples(FLAGS)
flag_groups.define_sampling(FLAGS, 0.5)
flag_groups.define_prior(FLAGS)
flag_groups.define_json(FLAGS)
flags.DEFINE_string("attribute", None, "What colours the map.", flag_values=FLAGS)
flags.DEFINE_string(
    "picture", None, "A .png or .svg file that evaluate or map draws.", flag_values=FLAGS
)


@dataclasses.dataclass(frozen=True)
class ComputeRequest:
    """A request to find the attribute vectors of a model.

    >>> melodies = ModelChoice(config="cat-mel_2bar_mini")
    >>> ComputeRequest(melodies, Examples("train.tfrecord"), Sampling()).examples.path
    'train.tfrecord'
    >>> ComputeRequest(melodies, Examples("train.tfrecord", num_examples=-5), Sampling())
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `num_examples=-5` must be at least 1

    Attributes:
      model: The model.
      examples: The music that it encodes.
      sampling: Seed and batch size.
      output: The .safetensors file to write; None: the one that lies with the model, unless that
        comes with the package.
    """

    model: ModelChoice
    examples: Examples
    sampling: Sampling
    output: Path | None = None


@dataclasses.dataclass(frozen=True)
class EvaluateRequest:
    """A request to measure what adding attribute vectors to a latent vector does to the music.

    >>> melodies = ModelChoice(config="cat-mel_2bar_mini")
    >>> EvaluateRequest(melodies, Sampling(temperature=0.5), num_samples=8).num_samples
    8
    >>> EvaluateRequest(melodies, Sampling(temperature=0.5), num_samples=0)
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `num_samples=0` must be at least 1

    Attributes:
      model: The model.
      sampling: Seed, batch size, and the temperature of the decoded samples.
      vectors: The file of the vectors; None: the one that lies with the model.
      num_samples: Number of samples from the prior.
      picture: A .png or .svg file that will be drawn, whose name is checked; None: no picture.
      prior: Prior that samples are drawn from, as for `TrainedModel.sample`.

    Raises:
      UserError: If there are to be no samples.
    """

    model: ModelChoice
    sampling: Sampling
    vectors: Path | None = None
    num_samples: int = 256
    picture: str | None = None
    prior: str | None = None

    def __post_init__(self) -> None:
        checks.check_numbers(self, checks.COUNT, "num_samples")


@dataclasses.dataclass(frozen=True)
class MapRequest:
    """A request to draw where music lies in the latent space of a model.

    >>> melodies, music = ModelChoice(config="cat-mel_2bar_mini"), Examples("test.tfrecord")
    >>> MapRequest(melodies, music, Sampling(), attribute="note_density", picture="map.png").picture
    'map.png'

    Attributes:
      model: The model.
      examples: The music that it encodes.
      sampling: The batch size.
      attribute: Name of the attribute that colours the map.
      picture: The .png or .svg file to draw.
    """

    model: ModelChoice
    examples: Examples
    sampling: Sampling
    attribute: str
    picture: str


def compute(request: ComputeRequest) -> str:
    """Finds the attribute vectors of a model and writes them; returns a message for the user.

    >>> import tempfile
    >>> from music_vae.dataset.music_files import write_tfrecord
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tunes, output = Path(folder, "tunes.tfrecord"), Path(folder, "vectors.safetensors")
    ...     names = ["devils_dream.mid", "soldiers_joy.mid"]
    ...     _ = write_tfrecord(Path("examples/tunes"), names, tunes, num_processes=1)
    ...     melodies = ModelChoice(config="cat-mel_2bar_mini")
    ...     compute(ComputeRequest(melodies, Examples(str(tunes)), Sampling(), output))
    '4 vectors (c_diatonic, note_density, ...) from 24 windows: .../vectors.safetensors'

    Raises:
      UserError: If the model or its music has no attributes, or there is too little music.
    """
    config = _config(request.model)
    from music_vae.latent import attribute_vectors

    output = choices.output_file(request.model, request.output, attribute_vectors.default_path)
    windows = request.examples.find(config).windows
    model = request.model.open(config, request.sampling.max_batch_size)
    vectors = attribute_vectors.find(model, windows, seed=request.sampling.seed or 0)
    attribute_vectors.write(output, vectors, config, num_windows=len(windows))
    return f"{len(vectors)} vectors ({', '.join(vectors)}) from {len(windows)} windows: {output}"


def evaluate(request: EvaluateRequest) -> "Metrics":
    """Measures the effects of attribute vectors on samples from the prior.

    The name of the picture is checked, but `draw_effects` draws it.

    >>> melodies = ModelChoice(config="cat-mel_2bar_mini")
    >>> request = EvaluateRequest(melodies, Sampling(temperature=0.5, seed=0), num_samples=8)
    >>> effects = evaluate(request)["relative"]  # in standard deviations among the samples
    >>> round(effects["plus"]["note_density"]["note_density"], 1)
    2.2
    >>> round(effects["minus"]["note_density"]["note_density"], 1)
    -1.3

    Raises:
      UserError: If there are no vectors, or they are of another model.
    """
    config = _config(request.model)
    from music_vae.evaluation import attribute_effects
    from music_vae.latent import attribute_vectors
    from music_vae.render import plotting

    if request.picture:
        plotting.check_picture(request.picture, "picture")
    path = request.vectors or attribute_vectors.default_path(request.model.resolve())
    with naming("vectors", request.vectors):
        vectors = attribute_vectors.read(path, config)
    model = request.model.open(config, request.sampling.max_batch_size, with_encoder=False)
    return attribute_effects.measure(
        model,
        vectors,
        number=request.num_samples,
        temperature=request.sampling.temperature,
        seed=request.sampling.seed or 0,
        prior=model.prior(request.prior),
    )


def draw_map(request: MapRequest) -> str:
    """Draws where encoded music lies in the latent space; returns a message for the user.

    >>> import tempfile
    >>> from music_vae.dataset.music_files import write_tfrecord
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tunes, picture = Path(folder, "tunes.tfrecord"), f"{folder}/map.svg"
    ...     _ = write_tfrecord(Path("examples/tunes"), ["soldiers_joy.mid"], tunes, num_processes=1)
    ...     melodies, music = ModelChoice(config="cat-mel_2bar_mini"), Examples(str(tunes))
    ...     draw_map(MapRequest(melodies, music, Sampling(), "note_density", picture))
    '16 windows by note_density: .../map.svg'

    Raises:
      UserError: If the music does not have the attribute, or the picture cannot be drawn.
    """
    config = _config(request.model)
    from music_vae.latent import corpus, latent_space
    from music_vae.music import attributes
    from music_vae.render import plotting

    plotting.check_picture(request.picture, "picture")
    names = attributes.names(config.data_converter)
    if request.attribute not in names:
        raise UserError(f"`attribute={request.attribute}`: expected one of {', '.join(names)}")
    windows = request.examples.find(config).windows
    measured = corpus.measure_windows(config.data_converter, windows)
    model = request.model.open(config, request.sampling.max_batch_size)
    _, mu, _ = corpus.encode_windows(model, windows)
    points, shares = latent_space.principal_axes(mu)
    ordinals = ("first", "second")
    plotting.coloured_map(
        request.picture,
        points,
        measured[request.attribute],
        title=f"{config.name}: posterior means of {len(windows)} windows",
        axis_labels=tuple(
            f"{ordinal} principal axis, {share:.1%} of the variance"
            for ordinal, share in zip(ordinals, shares, strict=True)
        ),
        value_label=request.attribute.replace("_", " "),
    )
    return f"{len(windows)} windows by {request.attribute}: {request.picture}"


def _config(model: ModelChoice) -> "Config":
    """Returns the config of a model; refuses it without a latent space or attributes."""
    config = model.read_config(with_latent=True)
    from music_vae.music import attributes

    attributes.names(config.data_converter)  # refuses music that has none
    return config


def _run(values: flags.FlagValues, arguments: Sequence[str]) -> None:
    commands = {"compute": _compute, "evaluate": _evaluate, "map": _map}
    command = cli.subcommand(PROGRAM, commands, arguments)
    command(values, flag_groups.model(values), flag_groups.sampling(values))


def _compute(values: flags.FlagValues, model: ModelChoice, sampling: Sampling) -> None:
    output = cli.expand(values.output) if values.output else None
    print(compute(ComputeRequest(model, flag_groups.examples(values), sampling, output)))


def _evaluate(values: flags.FlagValues, model: ModelChoice, sampling: Sampling) -> None:
    vectors = cli.expand(values.vectors) if values.vectors else None
    request = EvaluateRequest(
        model, sampling, vectors, values.num_samples, values.picture, values.prior
    )
    effects = evaluate(request)
    print(cli.json_text(effects) if values.json else table(effects))
    if values.picture:
        draw_effects(effects, values.picture)


def _map(values: flags.FlagValues, model: ModelChoice, sampling: Sampling) -> None:
    examples = flag_groups.examples(values)
    cli.require(values, "attribute", "picture")
    print(draw_map(MapRequest(model, examples, sampling, values.attribute, values.picture)))


# -- What is printed ------------------------------------------------------------------------------

_SIGNS = ("plus", "minus")


def table(effects: Mapping[str, Any]) -> str:
    """Returns the relative changes of `evaluate` as two tables, with a row for each vector.

    >>> plain = {"mean": {"note_density": 0.5}, "standard_deviation": {"note_density": 0.1}}
    >>> relative = {"plus": {"note_density": {"note_density": 2.0}},
    ...     "minus": {"note_density": {"note_density": -1.5}}}
    >>> print(table({"config": "mine", "samples": 8, "temperature": 0.5, "plain": plain,
    ...     "relative": relative, "dominant": {"plus": 1, "minus": 1}}))
    mine: 8 samples from the prior at temperature 0.5; changes in standard deviations among them
                                  note_density
      mean                               0.500
      standard deviation                 0.100
    <BLANKLINE>
      plus the vector             note_density
      note_density                       2.000
    Of 1 vectors 1 change their own most.
    <BLANKLINE>
      minus the vector            note_density
      note_density                      -1.500
    Of 1 vectors 1 change their own most.
    """
    names = list(effects["plain"]["mean"])
    wide = max(map(len, [*names, "standard deviation"])) + 2
    lines = [
        f"{effects['config']}: {effects['samples']} samples from the prior at temperature "
        f"{effects['temperature']:g}; changes in standard deviations among them",
        _row("", names, wide),
        *(
            _row(label.replace("_", " "), [values[name] for name in names], wide)
            for label, values in effects["plain"].items()
        ),
    ]
    for sign in _SIGNS:
        rows = effects["relative"][sign]
        lines += ["", _row(f"{sign} the vector", names, wide)]
        lines += [_row(name, [row[column] for column in names], wide) for name, row in rows.items()]
        lines.append(f"Of {len(rows)} vectors {effects['dominant'][sign]} change their own most.")
    return "\n".join(lines)


def draw_effects(effects: Mapping[str, Any], path: str) -> None:
    """Draws the relative changes of `evaluate` as a picture of two tables.

    >>> import tempfile
    >>> relative = {"plus": {"note_density": {"note_density": 2.0, "c_diatonic": 0.1}},
    ...     "minus": {"note_density": {"note_density": -1.5, "c_diatonic": 0.0}}}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     draw_effects({"relative": relative}, f"{folder}/effects.svg")
    ...     [path.name for path in Path(folder).iterdir()]
    ['effects.svg']
    """
    from music_vae.render import plotting

    parts = {f"{sign} the vector": effects["relative"][sign] for sign in _SIGNS}
    plotting.tables(path, parts, unit="mean change in standard deviations")


def _row(label: str, cells: Sequence[Any], wide: int) -> str:
    return f"  {label:{wide}}" + "".join(f"{_shown(cell):>18}" for cell in cells)


def _shown(cell: Any) -> str:
    if isinstance(cell, str):
        return cell
    return "-" if math.isnan(cell) else f"{cell:.3f}"


COMMAND = cli.Command(PROGRAM, USAGE, FLAGS, _run, takes_arguments=True)
main = COMMAND.main
console_entry_point = COMMAND.console_entry_point

if __name__ == "__main__":
    console_entry_point()
