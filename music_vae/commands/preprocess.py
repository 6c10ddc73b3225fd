"""Finds the unique examples of a large collection with Apache Beam: `music_vae_preprocess`."""

import dataclasses
from typing import TYPE_CHECKING

from absl import flags

from music_vae.commands import cli, flag_groups, pipelines
from music_vae.common import checks, files, lazy_imports
from music_vae.common.constants import MAX_DAMAGED
from music_vae.common.errors import naming
from music_vae.dataset import tfrecord

if TYPE_CHECKING:
    from music_vae.dataset.preprocessing import Filters

PROGRAM = "music_vae_preprocess"
USAGE = """Splits TFRecords of NoteSequences into the examples of a config, and keeps each unique
one once, with the ids of the sequences that it is from. music_vae_train reads the result.

  music_vae_preprocess --input_tfrecord=songs.tfrecord --output_tfrecord=unique.tfrecord \\
    --config=cat-mel_2bar_small
  music_vae_train --config=cat-mel_2bar_small --run_dir=RUN --examples_path='unique.tfrecord-*'

The pipeline runs on one machine, or wherever --pipeline_options says."""

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
    f"The config whose examples are wanted: its name, {flag_groups.OWN_CONFIG}",
    flag_values=FLAGS,
)
cli.define_number(
    "output_shards",
    32,
    "Number of output files; a single one has just the name given.",
    checks.SHARDS,
    values=FLAGS,
)
flags.DEFINE_boolean("enable_filtering", True, "Whether the filters count.", flag_values=FLAGS)
cli.define_number(
    "max_total_time", 1800, "Filter: longest sequence in seconds.", checks.LIMIT, values=FLAGS
)
cli.define_number("max_num_notes", 10_000, "Filter: most notes.", checks.LIMIT, values=FLAGS)
cli.define_number(
    "min_velocities", 1, "Filter: fewest different velocities.", checks.LIMIT, values=FLAGS
)
cli.define_number(
    "min_metric_positions",
    1,
    "Filter: fewest different positions (of 16) within a quarter note.",
    checks.LIMIT,
    values=FLAGS,
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
flag_groups.define_max_damaged(FLAGS)
flags.DEFINE_list(
    "pipeline_options",
    ",".join(DEFAULT_OPTIONS),
    "Comma-separated options of the Beam pipeline, as in --runner=FlinkRunner,--parallelism=8.",
    flag_values=FLAGS,
)


@dataclasses.dataclass(frozen=True)
class Request:
    """A request for the unique examples of a collection.

    >>> Request("songs.tfrecord", "unique.tfrecord", "cat-mel_2bar_small").output_shards
    32
    >>> Request("songs.tfrecord", "unique.tfrecord", "cat-mel_2bar_small", output_shards=0)
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `output_shards=0` must be at least 1

    Attributes:
      input_tfrecord: TFRecords of NoteSequences: a file, a pattern, or a comma-separated list.
      output_tfrecord: Beginning of the names of the output files.
      config: The config whose examples are wanted, as a text that `config_flag.get_config` takes.
      filters: The filters that decide which parts of sequences are used; None: all are.
      output_shards: Number of output files.
      pipeline_options: Options of the Apache Beam pipeline.
      max_damaged: Largest share of the records that may be damaged, and are then left out.

    Raises:
      UserError: If there are to be no output files, or that share is not between 0 and 1.
    """

    input_tfrecord: str
    output_tfrecord: str
    config: str
    filters: "Filters | None" = None
    output_shards: int = 32
    pipeline_options: tuple[str, ...] = DEFAULT_OPTIONS
    max_damaged: float = MAX_DAMAGED

    def __post_init__(self) -> None:
        checks.check_numbers(self, checks.SHARDS, "output_shards")
        checks.check_numbers(self, checks.SHARE, "max_damaged")


def preprocess(request: Request) -> str:
    """Writes the unique examples; returns a message for the user with their number and place.

    >>> preprocess(Request("songs.tfrecord", "unique.tfrecord", config="my_melodies"))
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `config=my_melodies`: unknown config 'my_melodies'; known ...

    Raises:
      UserError: If there is no such config or music, nothing can be written, or Apache Beam is not
        installed.
    """
    from music_vae.commands import config_flag

    converter = config_flag.get_config(request.config).data_converter
    output = request.output_tfrecord
    if not tfrecord.is_remote(output):
        path = cli.expand(output).absolute()
        files.check_writable(path.parent, "output_tfrecord")
        path.parent.mkdir(parents=True, exist_ok=True)
        output = str(path)
    pipelines.require_beam(PROGRAM)
    if not any(map(tfrecord.is_remote, request.input_tfrecord.split(","))):
        with naming("input_tfrecord", request.input_tfrecord):
            tfrecord.expand_patterns(request.input_tfrecord)  # fails before Beam is imported
    lazy_imports.import_note_seq()
    from music_vae.dataset import beam_pipelines, preprocessing

    counts = beam_pipelines.preprocess(
        request.input_tfrecord,
        output,
        request.output_shards,
        converter,
        request.filters,
        request.pipeline_options,
        request.max_damaged,
    )
    written = pipelines.written(output, request.output_shards)
    return f"{preprocessing.report(counts)}\nWrote {written}"


def _run(values: flags.FlagValues) -> None:
    cli.require(values, "input_tfrecord", "output_tfrecord", "config")
    from music_vae.dataset.preprocessing import Filters

    names = [field.name for field in dataclasses.fields(Filters)]
    filters = Filters(**{name: values[name].value for name in names})
    request = Request(
        values.input_tfrecord,
        values.output_tfrecord,
        values.config,
        filters if values.enable_filtering else None,
        values.output_shards,
        tuple(values.pipeline_options),
        values.max_damaged,
    )
    print(preprocess(request))


COMMAND = cli.Command(PROGRAM, USAGE, FLAGS, _run)
main = COMMAND.main
console_entry_point = COMMAND.console_entry_point

if __name__ == "__main__":
    console_entry_point()
