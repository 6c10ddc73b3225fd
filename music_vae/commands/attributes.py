"""`music_vae_attributes`: a model's attribute vectors, what they do, and a map of its space."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from music_vae.commands import cli, flag_groups
from music_vae.commands.choices import ModelChoice, Sampling, check_at_least
from music_vae.commands.examples import Examples
from music_vae.common import files
from music_vae.common.errors import UserError

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
    "NAME.attributes.safetensors beside --checkpoint_file.",
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
flag_groups.define_json(FLAGS)
flags.DEFINE_string("attribute", None, "What colours the map.", flag_values=FLAGS)
flags.DEFINE_string(
    "picture", None, "A .png or .svg file that evaluate or map draws.", flag_values=FLAGS
)


@dataclasses.dataclass(frozen=True)
class ComputeRequest:
    """A request to find the attribute vectors of a model.

    Attributes:
      model: The model.
      examples: The music that it encodes.
      sampling: Seed and batch size.
      output: The .safetensors file to write; None: the one that lies with the model.
    """

    model: ModelChoice
    examples: Examples
    sampling: Sampling
    output: Path | None = None


@dataclasses.dataclass(frozen=True)
class EvaluateRequest:
    """A request to measure what attribute vectors do.

    Attributes:
      model: The model.
      sampling: Seed, batch size, and the temperature of what is decoded.
      vectors: Their file; None: the one that lies with the model.
      num_samples: How many samples from the prior.
      picture: A .png or .svg file to draw; None: none.
    """

    model: ModelChoice
    sampling: Sampling
    vectors: Path | None = None
    num_samples: int = 256
    picture: str | None = None

    def __post_init__(self) -> None:
        check_at_least(self, 1, "num_samples")


@dataclasses.dataclass(frozen=True)
class MapRequest:
    """A request to draw where music lies in the latent space of a model.

    Attributes:
      model: The model.
      examples: The music that it encodes.
      sampling: The batch size.
      attribute: What colours the map.
      picture: The .png or .svg file.
    """

    model: ModelChoice
    examples: Examples
    sampling: Sampling
    attribute: str
    picture: str


def compute(request: ComputeRequest) -> str:
    """Finds the vectors and writes them; says what was written."""
    config = _config(request.model)
    from music_vae.latent import attribute_vectors

    output = request.output or attribute_vectors.default_path(request.model.resolve())
    files.check_writable(output.parent, "output")
    if output.is_dir() or output.suffix != ".safetensors":
        raise UserError(f"`output={output}`: expected the name of a .safetensors file")
    windows = request.examples.find(config).windows
    model = request.model.open(config, request.sampling.max_batch_size)
    vectors = attribute_vectors.find(model, windows, seed=request.sampling.seed or 0)
    attribute_vectors.write(output, vectors, config, num_windows=len(windows))
    return f"{len(vectors)} vectors ({', '.join(vectors)}) from {len(windows)} windows: {output}"


def evaluate(request: EvaluateRequest) -> "Metrics":
    """The effects of the vectors; the picture is checked and not yet drawn."""
    config = _config(request.model)
    from music_vae.evaluation import attribute_effects
    from music_vae.latent import attribute_vectors
    from music_vae.render import plotting

    if request.picture:
        plotting.check_picture(request.picture, "picture")
    path = request.vectors or attribute_vectors.default_path(request.model.resolve())
    vectors = attribute_vectors.read(path, config)
    return attribute_effects.measure(
        request.model.open(config, request.sampling.max_batch_size, with_encoder=False),
        vectors,
        number=request.num_samples,
        temperature=request.sampling.temperature,
        seed=request.sampling.seed or 0,
    )


def draw_map(request: MapRequest) -> str:
    """Draws the map; says what is on it."""
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
    """The config of a model with a latent space, whose music has attributes."""
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
    request = EvaluateRequest(model, sampling, vectors, values.num_samples, values.picture)
    figures = evaluate(request)
    print(cli.json_text(figures) if values.json else table(figures))
    if values.picture:
        draw_effects(figures, values.picture)


def _map(values: flags.FlagValues, model: ModelChoice, sampling: Sampling) -> None:
    examples = flag_groups.examples(values)
    cli.require(values, "attribute", "picture")
    print(draw_map(MapRequest(model, examples, sampling, values.attribute, values.picture)))


# -- What is printed ------------------------------------------------------------------------------

_SIGNS = ("plus", "minus")


def table(figures: Mapping[str, Any]) -> str:
    """The relative changes as two tables, a row for each vector."""
    names = list(figures["plain"]["mean"])
    wide = max(map(len, [*names, "standard deviation"])) + 2
    lines = [
        f"{figures['config']}: {figures['samples']} samples from the prior at temperature "
        f"{figures['temperature']:g}; changes in standard deviations among them",
        _row("", names, wide),
        *(
            _row(label.replace("_", " "), [values[name] for name in names], wide)
            for label, values in figures["plain"].items()
        ),
    ]
    for sign in _SIGNS:
        rows = figures["relative"][sign]
        lines += ["", _row(f"{sign} the vector", names, wide)]
        lines += [_row(name, [row[column] for column in names], wide) for name, row in rows.items()]
        lines.append(f"Of {len(rows)} vectors {figures['dominant'][sign]} change their own most.")
    return "\n".join(lines)


def draw_effects(figures: Mapping[str, Any], path: str) -> None:
    """The relative changes as a picture of two tables."""
    from music_vae.render import plotting

    parts = {f"{sign} the vector": figures["relative"][sign] for sign in _SIGNS}
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
