"""`music_vae_attributes`: a model's attribute vectors, what they do, and a map of its space."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from music_vae.commands import cli, model_flags
from music_vae.common import files, lazy_imports
from music_vae.common.errors import UserError

if TYPE_CHECKING:
    from music_vae.configs import Config

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
model_flags.define(FLAGS)
flags.DEFINE_string(
    "examples_path",
    None,
    "The music that compute and map encode: TFRecords of NoteSequences, a file, a pattern, or a "
    "comma-separated list.",
    flag_values=FLAGS,
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
flags.DEFINE_integer(
    "num_examples",
    None,
    "Use so many windows, drawn by the seed; all by default.",
    1,
    flag_values=FLAGS,
)
flags.DEFINE_integer("num_samples", 256, "How many samples from the prior.", 1, flag_values=FLAGS)
flags.DEFINE_float(
    "temperature", 0.5, "Of what is decoded from them.", lower_bound=0.0, flag_values=FLAGS
)
flags.DEFINE_integer(
    "max_batch_size", 64, "How many windows are computed at once.", 1, flag_values=FLAGS
)
flags.DEFINE_integer("seed", 0, "Of all that is drawn.", 0, cli.MAX_SEED, flag_values=FLAGS)
flags.DEFINE_boolean("json", False, "Prints JSON instead of a table.", flag_values=FLAGS)
flags.DEFINE_string("attribute", None, "What colours the map.", flag_values=FLAGS)
flags.DEFINE_string(
    "picture", None, "A .png or .svg file that evaluate or map draws.", flag_values=FLAGS
)


def _run(values: flags.FlagValues, arguments: Sequence[str]) -> None:
    commands = {"compute": _compute, "evaluate": _evaluate, "map": _map}
    command = cli.subcommand(PROGRAM, commands, arguments)
    model_flags.check(values)
    config = model_flags.config(values)
    if not config.hparams.latent_size:
        raise UserError(f"{config.name} has no latent space")
    from music_vae.music import attributes

    attributes.names(config.data_converter)  # refuses music that has none
    command(values, config)


def _compute(values: flags.FlagValues, config: "Config") -> None:
    cli.require(values, "examples_path")
    from music_vae.dataset.windows import load_windows, subset
    from music_vae.latent import attribute_vectors

    output = cli.expand(values.output) if values.output else _default_path(values)
    files.check_writable(output.parent, "output")
    if output.is_dir() or output.suffix != ".safetensors":
        raise UserError(f"--output={output}: expected the name of a .safetensors file")
    lazy_imports.import_note_seq()
    found, _ = load_windows(values.examples_path, config)
    windows = subset(found, values.num_examples, values.seed)
    vectors = attribute_vectors.find(
        model_flags.open_model(values, config), windows, seed=values.seed
    )
    attribute_vectors.write(output, vectors, config, num_windows=len(windows))
    print(f"{len(vectors)} vectors ({', '.join(vectors)}) from {len(windows)} windows: {output}")


def _evaluate(values: flags.FlagValues, config: "Config") -> None:
    from music_vae.evaluation import attribute_effects
    from music_vae.latent import attribute_vectors
    from music_vae.render import plotting

    if values.picture:
        plotting.check_picture(values.picture, "picture")
    path = cli.expand(values.vectors) if values.vectors else _default_path(values)
    vectors = attribute_vectors.read(path, config)
    figures = attribute_effects.measure(
        model_flags.open_model(values, config, with_encoder=False),
        vectors,
        number=values.num_samples,
        temperature=values.temperature,
        seed=values.seed,
    )
    print(cli.json_text(figures) if values.json else table(figures))
    if values.picture:
        parts = {f"{sign} the vector": figures["relative"][sign] for sign in _SIGNS}
        unit = "mean change in standard deviations"
        plotting.tables(values.picture, parts, unit=unit)


def _map(values: flags.FlagValues, config: "Config") -> None:
    cli.require(values, "examples_path", "attribute", "picture")
    from music_vae.dataset.windows import load_windows, subset
    from music_vae.latent import corpus, latent_space
    from music_vae.music import attributes
    from music_vae.render import plotting

    plotting.check_picture(values.picture, "picture")
    names = attributes.names(config.data_converter)
    if values.attribute not in names:
        raise UserError(f"--attribute={values.attribute}: expected one of {', '.join(names)}")
    lazy_imports.import_note_seq()
    found, _ = load_windows(values.examples_path, config)
    windows = subset(found, values.num_examples, values.seed)
    measured = corpus.measure_windows(config.data_converter, windows)
    _, mu, _ = corpus.encode_windows(model_flags.open_model(values, config), windows)
    points, shares = latent_space.principal_axes(mu)
    ordinals = ("first", "second")
    plotting.coloured_map(
        values.picture,
        points,
        measured[values.attribute],
        title=f"{config.name}: posterior means of {len(windows)} windows",
        axis_labels=tuple(
            f"{ordinal} principal axis, {share:.1%} of the variance"
            for ordinal, share in zip(ordinals, shares, strict=True)
        ),
        value_label=values.attribute.replace("_", " "),
    )
    print(f"{len(windows)} windows by {values.attribute}: {values.picture}")


def _default_path(values: flags.FlagValues) -> Path:
    from music_vae.latent import attribute_vectors

    return attribute_vectors.default_path(model_flags.source(values))


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
