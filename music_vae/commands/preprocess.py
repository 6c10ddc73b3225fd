"""`music_vae_preprocess`: the unique examples of a large collection, by Apache Beam."""

import importlib.util
from pathlib import Path

from absl import flags

from music_vae.commands import cli
from music_vae.common import files, lazy_imports
from music_vae.common.errors import UserError
from music_vae.dataset import tfrecord

PROGRAM = "music_vae_preprocess"
USAGE = """Splits TFRecords of NoteSequences into the examples of a config, and keeps each unique
one once, with the ids of the sequences that it is from. music_vae_train reads the result.

  music_vae_preprocess --input_tfrecord=songs.tfrecord --output_tfrecord=unique.tfrecord \\
    --config=cat-mel_2bar_small
  music_vae_train --config=cat-mel_2bar_small --run_dir=RUN --examples_path='unique.tfrecord-*'

The pipeline runs on one machine, or wherever --pipeline_options says."""

NO_BEAM = "needs Apache Beam: pip install 'music_vae[beam]'"
DEFAULT_OPTIONS = ("--runner=DirectRunner",)

FLAGS = cli.new_flags()
flags.DEFINE_string(
    "input_tfrecord",
    None,
    "TFRecords of NoteSequences: a file, a pattern, or a comma-separated list.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "output_tfrecord", None, "What the names of the output files begin with.", flag_values=FLAGS
)
flags.DEFINE_string(
    "config",
    None,
    "The config whose examples are wanted: its name, or your own: FILE.py:NAME, "
    "package.module:NAME or FILE.json.",
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "output_shards",
    32,
    "Number of output files; a single one has just the name given.",
    lower_bound=1,
    flag_values=FLAGS,
)
flags.DEFINE_boolean("enable_filtering", True, "Whether the filters count.", flag_values=FLAGS)
flags.DEFINE_integer(
    "max_total_time", 1800, "Filter: longest sequence in seconds.", 0, flag_values=FLAGS
)
flags.DEFINE_integer("max_num_notes", 10_000, "Filter: most notes.", 0, flag_values=FLAGS)
flags.DEFINE_integer(
    "min_velocities", 1, "Filter: fewest different velocities.", 0, flag_values=FLAGS
)
flags.DEFINE_integer(
    "min_metric_positions",
    1,
    "Filter: fewest different positions (of 16) within a quarter note.",
    0,
    flag_values=FLAGS,
)
flags.DEFINE_boolean(
    "is_drum",
    None,
    "Filter: count velocities and positions of drums alone, or of all but drums; by default of "
    "all notes.",
    flag_values=FLAGS,
)
flags.DEFINE_boolean(
    "drums_only", False, "Filter: leave out sequences with other notes.", flag_values=FLAGS
)
flags.DEFINE_list(
    "pipeline_options",
    ",".join(DEFAULT_OPTIONS),
    "Comma-separated options of the Beam pipeline, as in --runner=FlinkRunner,--parallelism=8.",
    flag_values=FLAGS,
)


def require_beam(what: str) -> None:
    """Raises `UserError` if Apache Beam, which `what` needs, is not installed."""
    try:
        found = importlib.util.find_spec("apache_beam")
    except ValueError:  # half imported, or hidden
        found = None
    if found is None:
        raise UserError(f"{what} {NO_BEAM}")


def is_remote(path: str) -> bool:
    """Whether a path is of another file system than this machine's."""
    return "://" in path


def _run(values: flags.FlagValues) -> None:
    cli.require(values, "input_tfrecord", "output_tfrecord", "config")
    from music_vae.commands import config_flag

    converter = config_flag.get_config(values.config).data_converter
    output = values.output_tfrecord
    if not is_remote(output):
        path = cli.expand(output).absolute()
        files.check_writable(path.parent, "output_tfrecord")
        path.parent.mkdir(parents=True, exist_ok=True)
        output = str(path)
    require_beam(PROGRAM)
    patterns = _patterns(values.input_tfrecord)
    lazy_imports.import_note_seq()
    from music_vae.dataset import beam_pipelines, preprocessing

    filters = None
    if values.enable_filtering:
        filters = preprocessing.Filters(
            max_total_time=values.max_total_time,
            max_num_notes=values.max_num_notes,
            min_velocities=values.min_velocities,
            min_metric_positions=values.min_metric_positions,
            is_drum=values.is_drum,
            drums_only=values.drums_only,
        )
    counts = beam_pipelines.preprocess(
        patterns, output, values.output_shards, converter, filters, values.pipeline_options
    )
    if not counts[preprocessing.UNIQUE]:
        reasons = ", ".join(f"{number} {name}" for name, number in sorted(counts.items()))
        raise UserError(f"there are no examples in {values.input_tfrecord}: {reasons}")
    print(preprocessing.report(counts))
    print(f"Wrote {_written(output, values.output_shards)}")


def _patterns(names: str) -> list[str]:
    """The input as Beam takes it; files of this machine are looked for at once."""
    if any(is_remote(name) for name in names.split(",")):
        return [name.strip() for name in names.split(",") if name.strip()]
    return [str(Path(path).absolute()) for path in tfrecord.expand_patterns(names)]


def _written(output: str, num_shards: int) -> str:
    return output if num_shards == 1 else f"{output}-*-of-{num_shards:05d}"


COMMAND = cli.Command(PROGRAM, USAGE, FLAGS, _run)
main = COMMAND.main
console_entry_point = COMMAND.console_entry_point

if __name__ == "__main__":
    console_entry_point()
