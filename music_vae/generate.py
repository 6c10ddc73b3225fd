"""`music_vae_generate`: makes music with a trained model: MIDI files, sound, pictures, a page."""

import itertools
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from music_vae.commands import cli, model_flags
from music_vae.common import files, lazy_imports
from music_vae.common.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from note_seq.protobuf.music_pb2 import NoteSequence

    from music_vae.commands.modes import Request
    from music_vae.commands.piece_files import InputFile
    from music_vae.configs import Config
    from music_vae.latent.latent_space import Prior
    from music_vae.trained_model import TrainedModel

PROGRAM = "music_vae_generate"
USAGE = """Makes music with a trained MusicVAE model and writes it as MIDI files.

  music_vae_generate --config=cat-mel_2bar_mini --mode=sample --num_outputs=5 --output_dir=music
  music_vae_generate --run_dir=RUN --mode=sample --num_outputs=5 --output_dir=music
  music_vae_generate --run_dir=RUN --mode=interpolate --input_midi=a.mid,b.mid,c.mid
  music_vae_generate --run_dir=RUN --mode=interpolate --input_midi=a.mid,b.mid,c.mid,d.mid \\
    --grid=5x5
  music_vae_generate --run_dir=RUN --mode=similar --input_midi=a.mid --similarity=0.8
  music_vae_generate --run_dir=RUN --mode=attribute --attribute=note_density=+1.5
  music_vae_generate --config=cat-mel_2bar_mini --constraint=own --attribute=note_density=high
  music_vae_generate --run_dir=RUN --mode=sample --personal=DIR
  music_vae_generate --run_dir=RUN --mode=reconstruct --input_midi=drums.mid --amount=0.7
  music_vae_generate --config=cat-mel_2bar_mini --render=wav,png,html
  music_vae_generate --checkpoint_file=cat-mel_2bar_big --output_dir=music

The first uses a model that comes with music_vae; --config with another name says which do. The last
takes the id of a published checkpoint, which is downloaded when it is first used;
music_vae_checkpoints lists them. Models that are told chords, a key or hits take --chords, --key or
--control_midi."""

MODES = ("sample", "interpolate", "reconstruct", "similar", "attribute")
_MODE_OF_FLAG = {
    "grid": ("interpolate",),
    "similarity": ("similar",),
    "attribute": ("attribute", "sample"),
    "constraint": ("sample",),
    "personal": ("sample",),
    "attribute_vectors": ("attribute",),
    "input_midi": ("interpolate", "reconstruct", "similar", "attribute"),
    **dict.fromkeys(("amount", "timing_amount", "velocity_amount", "hits"), ("reconstruct",)),
}
# What a page says of its pieces if it was given, besides what it always does.
_SAID = (
    *("run_dir", "checkpoint_file", "grid", "similarity", "attribute", "constraint", "personal"),
    *("amount", "timing_amount", "velocity_amount", "hits", "chords", "key", "control_midi"),
)
_GRID = re.compile(r"([1-9]\d{0,2})x([1-9]\d{0,2})")
_GRID_INPUTS = 4

FLAGS = cli.new_flags()
model_flags.define(FLAGS)
flags.DEFINE_enum(
    "mode",
    "sample",
    MODES,
    "'sample' from the prior; 'interpolate' from piece to piece, both ends included, or in a "
    "--grid between four; 'reconstruct' a piece, or a groove of any length; 'similar' pieces to "
    "one; or change an 'attribute' of a piece, or of samples from the prior.",
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "num_outputs",
    5,
    "How many pieces to make, or steps of an interpolation. Of a piece that is reconstructed or "
    "whose attributes change, one is made unless this is given.",
    1,
    flag_values=FLAGS,
)
flags.DEFINE_multi_string(
    "input_midi",
    [],
    "The pieces to start from: MIDI, MusicXML or ABC files, with commas or one flag for each.",
    flag_values=FLAGS,
)
flags.DEFINE_string("input_midi_1", None, "Where an interpolation starts.", flag_values=FLAGS)
flags.DEFINE_string("input_midi_2", None, "Where an interpolation ends.", flag_values=FLAGS)
flags.DEFINE_string(
    "grid",
    None,
    "Rows and columns between four pieces, as in 5x5: the ends of the first row, then those of the "
    "last.",
    flag_values=FLAGS,
)
flags.DEFINE_float(
    "similarity",
    0.8,
    "How near similar pieces are: 1 is the piece itself, 0 any.",
    0.0,
    1.0,
    flag_values=FLAGS,
)
flags.DEFINE_multi_string(
    "attribute",
    [],
    "What to change and by how many times its attribute vector, as in note_density=+1.5; several "
    "with commas or one flag for each. With --constraint, what samples are to have, as in "
    "note_density=high or c_diatonic=low.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "constraint",
    None,
    "A folder of music_vae_constrain: samples are moved to where music is, and has the "
    "--attribute that is asked for. 'own' means the one that lies with the model.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "personal",
    None,
    "A folder of music_vae_personalize: samples are like the pieces that it was made from.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "attribute_vectors",
    None,
    "The file of music_vae_attributes; by default the one in --run_dir or beside "
    "--checkpoint_file.",
    flag_values=FLAGS,
)
for _name, _default, _help in (
    ("amount", 1.0, "How much of a reconstructed groove's playing is the model's; 0: the input's."),
    ("timing_amount", None, "The same of its timing alone; --amount by default."),
    ("velocity_amount", None, "The same of its velocities alone; --amount by default."),
):
    flags.DEFINE_float(_name, _default, _help, 0.0, 1.0, flag_values=FLAGS)
flags.DEFINE_enum(
    "hits",
    "model",
    ("model", "input", "both"),
    "Whose hits a reconstructed groove has.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "chords",
    None,
    "For a model that is told chords: symbols spread evenly over the music, as in 'C G Am F'; a "
    "model of bars of several instruments makes a bar for each.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "key", None, "For a model that is told the key: as in C, F#, Bb or Am.", flag_values=FLAGS
)
flags.DEFINE_string(
    "control_midi",
    None,
    "For a model that is told the hits: a drum pattern of one window whose hits count.",
    flag_values=FLAGS,
)
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
    "qpm",
    None,
    "Tempo of the result in quarter notes a minute; by default that of the first input, or 120.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "render",
    None,
    "What to make besides MIDI files, with commas between: sound (wav, flac, ogg), pictures (png, "
    "svg; one of a whole interpolation), or html, a page of all pieces as index.html.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "soundfont",
    None,
    "The .sf2 file that sound is made with; by default the one that comes with pretty_midi.",
    flag_values=FLAGS,
)


def _run(values: flags.FlagValues) -> None:
    _check_flags(values)
    config = model_flags.config(values)
    output_dir = cli.expand(values.output_dir)
    files.check_writable(output_dir, "output_dir")
    _check_for_model(values, config)
    from music_vae.commands import modes, piece_files
    from music_vae.music import notes_io
    from music_vae.render import rendering

    names = () if values.render is None else values.render.split(",")
    wanted = rendering.prepare(names, values.soundfont, shape=_shape(values))
    request = modes.with_seed(_request(values, config))
    lazy_imports.import_note_seq()
    stamp = time.strftime("%Y-%m-%d_%H%M%S")
    controls = _controls(values, config, output_dir, stamp)
    inputs = _inputs(values, config, output_dir, stamp)
    pieces = modes.make(_model(values, config, request.count), request, inputs, controls)
    qpm = values.qpm
    if qpm is None and inputs:
        qpm = notes_io.tempo_of(inputs[0])
    if qpm is not None:
        pieces = [notes_io.with_tempo(piece, qpm) for piece in pieces]
    name = f"{config.name}_{values.mode}_{stamp}"
    paths = piece_files.named(output_dir, name, len(pieces), request.grid)
    piece_files.write(pieces, paths)
    facts = _facts(values, config, request, notes_io.tempo_of(pieces[0]))
    title = f"{config.name}: {values.mode}"
    made = rendering.Made(pieces, paths, name, title, _shape(values), facts)
    for path in itertools.chain(paths, rendering.write(wanted, made)):
        print(path)


# -- Flags ----------------------------------------------------------------------------------------


def _check_flags(values: flags.FlagValues) -> None:
    """Raises `UserError` for flags that do not go together; imports nothing heavy."""
    model_flags.check(values)
    if values.qpm is not None and not 1 <= values.qpm <= 1000:
        raise UserError(f"--qpm={values.qpm} is no tempo; expected 1 to 1000")
    for flag, allowed in _MODE_OF_FLAG.items():
        if values[flag].present and values.mode not in allowed:
            raise UserError(f"--{flag} is for --mode={' and --mode='.join(allowed)}")
    if values.constraint and values.personal:
        raise UserError("give --constraint or --personal, one of the two")
    if values.mode == "sample" and values.attribute and not values.constraint:
        raise UserError("--attribute is for --mode=attribute, or needs --constraint")
    if values.mode == "attribute" and not values.attribute:
        raise UserError("--attribute is required: as in --attribute=note_density=+1.5")
    _check_inputs(values)


def _check_inputs(values: flags.FlagValues) -> None:
    """Raises `UserError` for another number of inputs than the mode needs."""
    if values.mode == "sample":
        return
    old = values.input_midi_1 or values.input_midi_2
    if old and values.input_midi:
        raise UserError("give --input_midi, or --input_midi_1 and --input_midi_2")
    if values.mode == "interpolate" and not values.input_midi:
        cli.require(values, "input_midi_1", "input_midi_2")
    count = len(_input_files(values))
    if values.mode == "interpolate":
        if values.grid is not None:
            _grid(values)
            if count != _GRID_INPUTS:
                raise UserError(f"--grid needs {_GRID_INPUTS} pieces as --input_midi, not {count}")
            if values["num_outputs"].present:
                raise UserError("--grid says how many pieces to make; leave out --num_outputs")
        elif count < 2:
            raise UserError("--mode=interpolate needs two or more pieces as --input_midi")
        elif values.num_outputs < 2:
            raise UserError("--mode=interpolate needs --num_outputs of at least 2: the two ends")
    elif count > 1 or (count == 0 and values.mode != "attribute"):
        raise UserError(f"--mode={values.mode} needs one piece as --input_midi, not {count}")


def _input_files(values: flags.FlagValues) -> "list[InputFile]":
    """The inputs in their order."""
    from music_vae.commands.piece_files import InputFile

    found = [
        (flag, cli.expand(values[flag].value))
        for flag in ("input_midi_1", "input_midi_2")
        if values[flag].value
    ]
    found += [("input_midi", path) for path in cli.listed_paths(values.input_midi, "input_midi")]
    return [
        InputFile(flag, f"input{number}", path)
        for number, (flag, path) in enumerate(found, start=1)
    ]


def _grid(values: flags.FlagValues) -> tuple[int, int] | None:
    """Rows and columns, or None without a grid."""
    if values.grid is None:
        return None
    found = _GRID.fullmatch(values.grid)
    if found is None or min(map(int, found.groups())) < 2:
        raise UserError(f"--grid={values.grid} is no grid; expected ROWSxCOLUMNS, as in 5x5")
    return int(found[1]), int(found[2])


def _shape(values: flags.FlagValues) -> tuple[int, int] | None:
    """Rows and columns of an interpolation, whose steps stand below each other; else None."""
    if values.mode != "interpolate":
        return None
    return _grid(values) or (values.num_outputs, 1)


def _check_for_model(values: flags.FlagValues, config: "Config") -> None:
    """Raises `UserError` for flags that the model needs, or that mean nothing to it."""
    from music_vae.commands import conditions

    needed = conditions.flags_needed(config.data_converter)
    for flag in ("chords", "key", "control_midi"):
        if values[flag].value is not None and flag not in needed:
            raise UserError(f"--{flag}: {config.name} is not told that")
    missing = [text for flag, text in needed.items() if values[flag].value is None]
    starts_from_one = values.mode not in ("sample", "interpolate") and _input_files(values)
    if missing and not (starts_from_one and len(missing) == len(needed)):  # else it has its own
        raise UserError(f"{config.name} has to be told {' and '.join(missing)}")
    mixing = [
        f for f in ("amount", "timing_amount", "velocity_amount", "hits") if values[f].present
    ]
    if mixing and not config.data_converter.plays_any_length:
        raise UserError(f"--{mixing[0]} is for models of grooves; {config.name} is none")
    if mixing and not config.data_converter.has_numbers:
        raise UserError(f"--{mixing[0]}: {config.name} has velocities and timing in bins")
    if values.mode != "sample" and not config.hparams.latent_size:
        raise UserError(f"{config.name} has no latent space; --mode=sample is all it can do")


# -- What is made of them -------------------------------------------------------------------------


def _request(values: flags.FlagValues, config: "Config") -> "Request":
    """What to make; reads the attribute vectors, if they are needed."""
    from music_vae.commands.modes import Request
    from music_vae.latent.grooves import Playing

    grid = _grid(values)
    one = values.mode in ("reconstruct", "attribute") and bool(_input_files(values))
    count = 1 if one and not values["num_outputs"].present else values.num_outputs
    timing, velocity = values.timing_amount, values.velocity_amount
    return Request(
        values.mode,
        grid[0] * grid[1] if grid else count,
        values.temperature,
        values.seed,
        grid=grid,
        similarity=values.similarity,
        shift=_shift(values, config),
        prior=_prior(values, config),
        playing=Playing(
            timing=values.amount if timing is None else timing,
            velocity=values.amount if velocity is None else velocity,
            hits=values.hits,
        ),
    )


def _facts(
    values: flags.FlagValues, config: "Config", request: "Request", qpm: float
) -> dict[str, str]:
    """What a page says of its pieces."""
    inputs = ", ".join(given.path.name for given in _input_files(values))
    facts = {
        "config": config.name,
        "mode": values.mode,
        "seed": str(request.seed),
        "temperature": f"{values.temperature:g}",
        "tempo": f"{qpm:g}",
        **({"input": inputs} if inputs and values.mode != "sample" else {}),
    }
    for name in _SAID:
        if values[name].present:
            found = values[name].value
            facts[name] = ", ".join(found) if isinstance(found, list) else str(found)
    return facts


def _shift(values: flags.FlagValues, config: "Config") -> "np.ndarray | None":
    """What the changes of attributes add to z, None without any."""
    if values.mode != "attribute":
        return None
    from music_vae.latent import attribute_vectors, latent_space

    amounts = attribute_vectors.parse_amounts(values.attribute, "attribute")
    path = values.attribute_vectors
    if path is None:
        path = attribute_vectors.default_path(model_flags.source(values))
        if not path.is_file():
            raise UserError(
                f"there are no attribute vectors in {path}; make them with music_vae_attributes "
                "compute, or name a file with --attribute_vectors"
            )
    return latent_space.attribute_shift(attribute_vectors.read(path, config), amounts)


def _prior(values: flags.FlagValues, config: "Config") -> "Prior | None":
    """Where samples come from; None: the model's prior."""
    if not (values.constraint or values.personal):
        return None
    if not config.hparams.latent_size:
        raise UserError(
            f"{config.name} has no latent space, which --constraint and --personal need"
        )
    from music_vae.latent import constraints, personal_models
    from music_vae.latent.small_networks import Owner

    source = model_flags.source(values)
    owner = Owner.of(config, source)
    if values.personal:
        return personal_models.read(cli.expand(values.personal), owner).prior()
    own = values.constraint == "own"
    folder = constraints.own_folder(source) if own else cli.expand(values.constraint)
    wanted = constraints.parse_sides(values.attribute, "attribute")
    return constraints.read(folder, owner).prior(wanted, config.hparams.latent_size)


def _controls(
    values: flags.FlagValues, config: "Config", output_dir: Path, stamp: str
) -> "list[np.ndarray]":
    """What the model is told by flags; nothing where none are given."""
    from music_vae.commands import conditions, piece_files
    from music_vae.music import conditioning

    converter = config.data_converter
    needed = conditions.flags_needed(converter)
    told = any(values[flag].value is not None for flag in needed)
    if not converter.control_depth or (needed and not told):
        return []
    hits = None
    if values.control_midi is not None:
        pattern = piece_files.InputFile("control_midi", "control", cli.expand(values.control_midi))
        (hits,) = piece_files.read_windows(config, [pattern], output_dir, stamp)
    given = conditioning.Conditions(chords=values.chords, key=values.key, hits=hits)
    return conditioning.c_inputs(converter, config.hparams.max_seq_len, given)


def _inputs(
    values: flags.FlagValues, config: "Config", output_dir: Path, stamp: str
) -> "list[NoteSequence]":
    """The pieces to start from; grooves that are reconstructed or changed are of any length."""
    from music_vae.commands import piece_files

    given = [] if values.mode == "sample" else _input_files(values)
    whole = values.mode in ("reconstruct", "attribute")
    if whole and config.data_converter.plays_any_length:
        return [piece_files.read_one(file.path) for file in given]
    return piece_files.read_windows(config, given, output_dir, stamp)


def _model(values: flags.FlagValues, config: "Config", count: int) -> "TrainedModel":
    source = model_flags.source(values)
    if values.engine == "tensorflow":
        lazy_imports.import_tensorflow()
    from music_vae.trained_model import TrainedModel

    return TrainedModel(
        config,
        min(values.max_batch_size, count),
        source,
        with_encoder=values.mode != "sample",
        engine=values.engine,
    )


COMMAND = cli.Command(PROGRAM, USAGE, FLAGS, _run)
main = COMMAND.main
console_entry_point = COMMAND.console_entry_point

if __name__ == "__main__":
    console_entry_point()
