"""`music_vae_generate`: makes music with a trained model and writes it as MIDI files."""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from music_vae import cli, files, imports
from music_vae.errors import UserError

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

    from music_vae.configs import Config
    from music_vae.trained_model import TrainedModel

PROGRAM = "music_vae_generate"
USAGE = """Makes music with a trained MusicVAE model and writes it as MIDI files.

  music_vae_generate --run_dir=RUN --mode=sample --num_outputs=5 --output_dir=music
  music_vae_generate --run_dir=RUN --mode=interpolate --input_midi_1=a.mid --input_midi_2=b.mid
  music_vae_generate --checkpoint_file=cat-mel_2bar_big --output_dir=music

The last takes the id of a published checkpoint, which is downloaded when it is first used;
music_vae_checkpoints lists them."""

FLAGS = cli.new_flags()
flags.DEFINE_string(
    "config",
    None,
    "The name of the config; not needed with --run_dir or the id of a published checkpoint.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "checkpoint_file",
    None,
    "A .safetensors file, or a checkpoint: its prefix, its .index or .data file, a directory, "
    "a .tar, .tar.gz or .zip, or the id of a published one. A checkpoint of that name goes "
    "before an id.",
    flag_values=FLAGS,
)
cli.define_checkpoint_base_url(FLAGS)
flags.DEFINE_string(
    "run_dir", None, "A run of music_vae_train; its newest checkpoint is used.", flag_values=FLAGS
)
flags.DEFINE_enum(
    "mode",
    "sample",
    ("sample", "interpolate"),
    "'sample' from the prior, or 'interpolate' between two pieces, both ends included.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "hparams", "", "Overrides of a config's sizes, as in z_size=128.", flag_values=FLAGS
)
flags.DEFINE_integer("num_outputs", 5, "How many pieces to make.", 1, flag_values=FLAGS)
flags.DEFINE_string("input_midi_1", None, "Where an interpolation starts.", flag_values=FLAGS)
flags.DEFINE_string("input_midi_2", None, "Where an interpolation ends.", flag_values=FLAGS)
flags.DEFINE_float(
    "temperature",
    0.5,
    "How bold: near 0 the likeliest, 1 as the model was trained.",
    lower_bound=0.0,
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "max_batch_size", 8, "How many pieces are computed at once.", 1, flag_values=FLAGS
)
flags.DEFINE_string(
    "output_dir", "/tmp/music_vae/generated", "Where the MIDI files go.", flag_values=FLAGS
)
flags.DEFINE_integer(
    "seed",
    None,
    "Makes the result repeatable; chosen by chance by default.",
    lower_bound=0,
    upper_bound=cli.MAX_SEED,
    flag_values=FLAGS,
)
flags.DEFINE_enum(
    "engine",
    "numpy",
    ("numpy", "tensorflow"),
    "What computes: both make the same music, and NumPy is there sooner.",
    flag_values=FLAGS,
)
flags.DEFINE_float(
    "qpm", None, "Tempo of the result in quarter notes a minute; 120 by default.", flag_values=FLAGS
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command with `argv` (default: the process's arguments); returns its exit code."""
    return cli.run_command(PROGRAM, USAGE, FLAGS, _run, argv)


def console_entry_point() -> None:
    """The console script."""
    sys.exit(main())


def _run(values: flags.FlagValues) -> None:
    # Threads of NumPy's products wait for each other, which costs more than they give: the engine
    # takes small ones. It has to be said before NumPy is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _check_flags(values)
    config = cli.config_of(values)
    output_dir = cli.expand(values.output_dir)
    files.check_writable(output_dir, "output_dir")
    if config.data_converter.control_depth:
        raise UserError(
            f"{config.name} is told the chords or the hits of every step, which this command "
            "cannot give it yet; use TrainedModel.sample(c_input=...) from Python"
        )
    imports.import_note_seq()
    stamp = time.strftime("%Y-%m-%d_%H%M%S")
    inputs = []
    if values.mode == "interpolate":
        inputs = _inputs(values, config, output_dir, stamp)
    pieces = _generate(values, _model(values, config), inputs)
    if values.qpm is not None:
        from music_vae import notes_io

        pieces = [notes_io.with_tempo(piece, values.qpm) for piece in pieces]
    name = f"{config.name}_{values.mode}_{stamp}"
    for path in _write(pieces, output_dir, name):
        print(path)


def _check_flags(values: flags.FlagValues) -> None:
    """Raises `UserError` for flags that do not go together; imports nothing heavy."""
    if bool(values.run_dir) == bool(values.checkpoint_file):
        raise UserError("give --run_dir or --checkpoint_file, one of the two")
    if values.checkpoint_file:
        from music_vae import checkpoint_files

        checkpoint_files.check_there(values.checkpoint_file)
    if values.qpm is not None and not 1 <= values.qpm <= 1000:
        raise UserError(f"--qpm={values.qpm} is no tempo; expected 1 to 1000")
    if values.mode == "interpolate":
        cli.require(values, "input_midi_1", "input_midi_2")
        if values.num_outputs < 2:
            raise UserError("--mode=interpolate needs --num_outputs of at least 2: the two ends")


def _inputs(
    values: flags.FlagValues, config: "Config", output_dir: Path, stamp: str
) -> "list[NoteSequence]":
    """Both ends of an interpolation; what is wrong with either is said of both at once."""
    pieces, errors = [], []
    for number in (1, 2):
        path = cli.expand(values[f"input_midi_{number}"].value)
        try:
            pieces.append(_single_input(config, path, number, output_dir, stamp))
        except UserError as error:
            errors.append(str(error))
    if errors:
        raise UserError("; ".join(errors))
    return pieces


def _single_input(
    config: "Config", path: Path, number: int, output_dir: Path, stamp: str
) -> "NoteSequence":
    """The piece in `path`, which must give exactly one example.

    Raises:
      UserError: If it gives none, with the reasons; or several: then each is written to
        `output_dir` first, and the message says where.
    """
    from music_vae import notes_io

    sequences = notes_io.read_music_file(path)
    if len(sequences) > 1:
        raise UserError(f"{path} holds {len(sequences)} tunes; expected a file with one")
    converter = config.data_converter.for_inference()
    tensors = converter.to_tensors(sequences[0])
    count = len(tensors.outputs)
    if count == 1:
        return sequences[0]
    if count == 0:
        reasons = ", ".join(f"{why} ({n})" for why, n in tensors.skipped.most_common())
        raise UserError(f"{path} holds nothing that {config.name} can encode: {reasons}")
    controls = tensors.controls if converter.control_depth else None
    extracts = converter.from_tensors(tensors.outputs, controls)
    name = f"{config.name}_input{number}-extractions_{stamp}"
    paths = _write(extracts, output_dir, name)
    # A piece that ends in silence is shorter as MIDI and may not fit any more.
    fitting = [p for p in paths if len(converter.extract(_read_back(p)).examples) == 1]
    advice = f": choose one, as in --input_midi_{number}={fitting[0]}" if fitting else ""
    raise UserError(
        f"{path} holds {count} pieces that {config.name} can encode, and one is needed; they are "
        f"now in {output_dir} as {name}-*.mid ({len(fitting)} of them fit as they are){advice}"
    )


def _read_back(path: Path) -> "NoteSequence":
    """A file that was just written; a sequence without notes if there are none in it."""
    from note_seq import NoteSequence

    from music_vae import notes_io

    try:
        return notes_io.read_music_file(path)[0]
    except notes_io.UnreadableMusicError:
        return NoteSequence()


def _model(values: flags.FlagValues, config: "Config") -> "TrainedModel":
    from music_vae import published

    weights = values.run_dir or published.locate(values.checkpoint_file, values.checkpoint_base_url)
    if values.engine == "tensorflow":
        imports.import_tensorflow()
    from music_vae.trained_model import TrainedModel

    return TrainedModel(
        config,
        min(values.max_batch_size, values.num_outputs),
        weights,
        with_encoder=values.mode != "sample",
        engine=values.engine,
    )


def _generate(
    values: flags.FlagValues, model: "TrainedModel", inputs: "Sequence[NoteSequence]"
) -> "list[NoteSequence]":
    count, temperature, seed = values.num_outputs, values.temperature, values.seed
    if values.mode == "interpolate":
        start, end = inputs
        return model.interpolate(start, end, count, temperature=temperature, seed=seed)
    return model.sample(count, temperature=temperature, seed=seed)


def _write(pieces: "Sequence[NoteSequence]", output_dir: Path, name: str) -> list[Path]:
    """Writes `NAME-000-of-005.mid` and so on; returns the paths."""
    from music_vae import notes_io

    paths = [
        output_dir / f"{name}-{index:03d}-of-{len(pieces):03d}.mid" for index in range(len(pieces))
    ]
    for piece, path in zip(pieces, paths, strict=True):
        notes_io.write_midi(piece, path)
    return paths
