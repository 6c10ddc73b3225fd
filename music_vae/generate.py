"""Makes music with a trained model, as MIDI files, sound, pictures, a page: `music_vae_generate`.

From Python, make a `generate_request.Request` and give it to `generating.generate`.
"""

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from music_vae.commands import cli, flag_groups
from music_vae.commands.choices import ModelChoice, Sampling
from music_vae.commands.generate_request import (
    ENDS,
    HITS,
    MODES,
    NUM_OUTPUTS,
    SIMILARITY,
    Request,
)
from music_vae.commands.tasks import TASKS, Task
from music_vae.common import checks
from music_vae.common.errors import UserError
from music_vae.common.texts import printable

_log = logging.getLogger("music_vae.generate")  # also where the module is run as a script

PROGRAM = "music_vae_generate"
USAGE = """Makes music with a trained MusicVAE model and writes it as MIDI files.

  new melodies         music_vae_generate --config=melody --num_outputs=5
  variations           music_vae_generate --mode=vary --input_midi=tune.mid
  of a whole song      music_vae_generate --mode=vary --input_midi=song.mid --window=all
  more or fewer notes  music_vae_generate --config=melody --mode=attribute \\
                         --attribute=note_density=+1.5 --input_midi=tune.mid
  from A to B          music_vae_generate --config=melody --mode=interpolate \\
                         --input_midi=a.mid,b.mid
  stiff drums, played  music_vae_generate --mode=humanize --input_midi=beat.mid
  drums of a rhythm    music_vae_generate --mode=tap --input_midi=taps.mid
  your own model       music_vae_generate --run_dir=RUN

--config names a model that comes with music_vae: melody, drums, groove or another, and a wrong name
says which there are. --checkpoint_file takes the id of a published checkpoint, too, which is
downloaded when it is first used; music_vae_checkpoints lists them."""

SECTIONS = {
    "all tasks": ("config", "mode", "input_midi", "output_dir", "num_outputs", "render"),
    "how bold, how fast": ("temperature", "seed", "qpm"),
    "longer pieces": ("window",),
    "variations: vary, similar": ("similarity",),
    "attributes": ("attribute",),
    "interpolations": ("grid",),
    "drums: humanize, tap, add_hihat, reconstruct": ("amount", "hits"),
    "models of your own": ("run_dir",),
}
"""Names of the flags that `--help` shows, by task; `--helpfull` shows all."""

FLAGS = cli.new_flags()
flag_groups.define_model(FLAGS)
flags.DEFINE_enum(
    "mode",
    MODES[0],
    (*MODES, *TASKS),
    "'sample' from the prior; 'interpolate' from piece to piece, both ends included, or in a "
    "--grid between four; 'reconstruct' a piece, or a groove of any length; 'similar' pieces to "
    "one; or change an 'attribute' of a piece, or of samples from the prior. Four tasks need no "
    "--config: 'humanize' a stiff drum pattern, turn a rhythm that you 'tap' into a whole kit, "
    "'add_hihat' to drums, or 'vary' a melody or drums.",
    flag_values=FLAGS,
)
cli.define_number(
    "num_outputs",
    NUM_OUTPUTS,
    "How many pieces to make, or steps of an interpolation. Of a piece that is reconstructed or "
    "whose attributes change, one is made unless this is given.",
    checks.COUNT,
    values=FLAGS,
)
flags.DEFINE_multi_string(
    "input_midi",
    [],
    "The pieces to start from: MIDI, MusicXML or ABC files, with commas or one flag for each.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "window",
    None,
    "Which bars of an input that is longer than a window: the number of a window, or 'all' for the "
    "whole melody or all drums, window by window. Several inputs can have one number each, as in "
    "1,3. Without it, such an input is refused with a list of its windows.",
    flag_values=FLAGS,
)
for _name, _help in ENDS.items():
    flags.DEFINE_string(_name, None, _help, flag_values=FLAGS)
flags.DEFINE_string(
    "grid",
    None,
    "Rows and columns between four pieces, as in 5x5: the ends of the first row, then those of the "
    "last.",
    flag_values=FLAGS,
)
flags.DEFINE_boolean(
    "join",
    False,
    "Makes one file of an interpolation, with its steps one after the other.",
    flag_values=FLAGS,
)
cli.define_number(
    "similarity",
    SIMILARITY,
    "How near similar pieces are: 1 is the piece itself, 0 any.",
    checks.SHARE,
    values=FLAGS,
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
flag_groups.define_prior(FLAGS)
flags.DEFINE_string(
    "attribute_vectors",
    None,
    "The file of music_vae_attributes; by default the one in --run_dir or beside "
    "--checkpoint_file.",
    flag_values=FLAGS,
)
for _name, _help in (
    (
        "amount",
        "How much of a reconstructed groove's playing is the model's; 0: the input's; above 1, to "
        "3, it is exaggerated. By default 1 for what the model is made to fill in, else 0.",
    ),
    ("timing_amount", "The same of its timing alone; --amount by default."),
    ("velocity_amount", "The same of its velocities alone; --amount by default."),
):
    cli.define_number(_name, None, _help, checks.AMOUNT, values=FLAGS)
flags.DEFINE_enum(
    "hits",
    None,
    HITS,
    "Whose hits a reconstructed groove has; by default the input's where the model has nothing to "
    "add to them, both where it adds drums, else the model's.",
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
flags.DEFINE_string(
    "output_dir", "/tmp/music_vae/generated", "Where the MIDI files go.", flag_values=FLAGS
)
cli.define_number(
    "qpm",
    None,
    "Tempo of the result in quarter notes a minute; by default that of the first input, or 120.",
    checks.QPM,
    values=FLAGS,
)
flag_groups.define_sampling(
    FLAGS,
    0.5,
    "How bold: near 0 the likeliest, 1 as the model was trained.",
    max_batch_size=8,
    items="pieces",
    repeatable="the result",
)
flag_groups.define_engine(FLAGS, "make the same music, and NumPy is there sooner.")
flag_groups.define_rendering(FLAGS)


def request_of(values: flags.FlagValues) -> Request:
    """Makes a request of the flags, with a field for each that was given.

    >>> import copy
    >>> values = copy.deepcopy(FLAGS)
    >>> chosen = ["--config=cat-mel_2bar_mini", "--mode=interpolate", "--input_midi=a.mid,b.mid"]
    >>> _ = values(["music_vae_generate", *chosen, "--qpm=90"])
    >>> request = request_of(values)
    >>> request.mode, [path.name for path in request.input_midi], request.qpm
    ('interpolate', ['a.mid', 'b.mid'], 90.0)

    Raises:
      UserError: For values that are out of range, missing, or do not go together.
    """
    given = {
        field.name: values[field.name].value
        for field in dataclasses.fields(Request)
        if field.name in values and values[field.name].present
    }
    inputs = tuple(cli.listed_paths(values.input_midi, "input_midi"))
    task = TASKS.get(values.mode)
    given |= {
        "model": _model(values, task, inputs),
        "output_dir": cli.expand(values.output_dir),
        "sampling": _sampling(values, task),
        "render": flag_groups.formats(values),
        "attribute": tuple(values.attribute),
        "input_midi": inputs,
    }
    if task is None:
        return Request(**given)
    try:
        return Request(**given | {"mode": task.mode, "task": values.mode})
    except UserError as error:  # which names the mode that the task is
        named = str(error).replace(f"`mode={task.mode}`", f"`mode={values.mode}`")
        raise UserError(named, hint=error.hint) from error


def _model(values: flags.FlagValues, task: Task | None, inputs: Sequence[Path]) -> ModelChoice:
    """Returns the model that the flags choose, else that of the task."""
    return flag_groups.model(values, None if task is None else lambda: task.config_for(inputs))


def _sampling(values: flags.FlagValues, task: Task | None) -> Sampling:
    """Returns the settings of sampling, with the temperature of the task unless one was given."""
    sampling = flag_groups.sampling(values)
    if task is None or task.temperature is None or values["temperature"].present:
        return sampling
    return dataclasses.replace(sampling, temperature=task.temperature)


def _run(values: flags.FlagValues) -> None:
    request = request_of(values).with_seed()
    from music_vae.commands import generating
    from music_vae.commands.inputs import SeveralWindowsError

    try:
        for path in generating.generate(request):
            print(path)
    except SeveralWindowsError as error:
        for line in error.listing:
            print(printable(line))
        raise
    if values.seed is None:
        seed = request.sampling.seed
        _log.info("the seed was %d; --seed=%d makes the same music again", seed, seed)


COMMAND = cli.Command(PROGRAM, USAGE, FLAGS, _run, sections=SECTIONS)
main = COMMAND.main
console_entry_point = COMMAND.console_entry_point

if __name__ == "__main__":
    console_entry_point()
