"""`music_vae_personalize`: fits a small model of one's own music to the z of a model."""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from music_vae.commands import cli, model_flags
from music_vae.common import files, lazy_imports, progress
from music_vae.common.errors import UserError

if TYPE_CHECKING:
    from music_vae.configs import Config
    from music_vae.dataset.windows import Window

PROGRAM = "music_vae_personalize"
USAGE = """Fits a small model to a handful of one's own pieces: a VAE over the z of a trained model.

  music_vae_personalize --config=cat-mel_2bar_mini --input_midi=a.mid,b.mid --output=DIR
  music_vae_personalize --config=cat-mel_2bar_mini --input_dir=MIDI_DIR --output=DIR

Every window that the model can encode is used, of MIDI, MusicXML and ABC files.
music_vae_generate --mode=sample --personal=DIR then makes music like them (MidiMe, Dinculescu et
al. 2019)."""

FLAGS = cli.new_flags()
model_flags.define(FLAGS)
flags.DEFINE_multi_string(
    "input_midi",
    [],
    "Files of music, with commas or one flag for each.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "input_dir", None, "A folder of music, read with its subfolders.", flag_values=FLAGS
)
flags.DEFINE_string("output", None, "The folder to write.", flag_values=FLAGS)
flags.DEFINE_integer(
    "size", 4, "How many numbers make a point of the small model.", 1, flag_values=FLAGS
)
flags.DEFINE_integer("num_steps", 1000, "Steps of training.", 1, flag_values=FLAGS)
flags.DEFINE_float(
    "beta",
    1.0,
    "Weight of its KL divergence: less keeps nearer to the pieces, more varies them.",
    lower_bound=0.0,
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "max_batch_size", 64, "How many windows are computed at once.", 1, flag_values=FLAGS
)
flags.DEFINE_integer("seed", 0, "Of all that is drawn.", 0, cli.MAX_SEED, flag_values=FLAGS)

MIN_WINDOWS = 2

_log = logging.getLogger("music_vae.commands.personalize")


def _run(values: flags.FlagValues) -> None:
    if bool(values.input_midi) == bool(values.input_dir):
        raise UserError("give --input_midi or --input_dir, one of the two")
    cli.require(values, "output")
    model_flags.check(values)
    config = model_flags.config(values)
    if not config.hparams.latent_size:
        raise UserError(f"{config.name} has no latent space")
    output = cli.expand(values.output)
    files.check_writable(output, "output")
    paths = _paths(values)
    source = model_flags.source(values)
    lazy_imports.import_note_seq()
    windows = _windows(paths, config)
    from music_vae.latent import corpus
    from music_vae.latent.small_networks import Owner
    from music_vae.trained_model import TrainedModel

    owner = Owner.of(config, source)
    model = TrainedModel(config, values.max_batch_size, source)
    _, mu, sigma = corpus.encode_windows(model, windows)
    lazy_imports.import_tensorflow()
    from tqdm import trange

    from music_vae.latent.personal_models import PersonalModel
    from music_vae.training import personal_networks

    layers, kl_nats = personal_networks.train(
        mu,
        sigma,
        trange(values.num_steps, desc="training", disable=not progress.show_progress()),
        personal_networks.Settings(size=values.size, beta=values.beta, seed=values.seed),
    )
    about = {"windows": len(windows), "steps": values.num_steps, "kl_nats": kl_nats}
    PersonalModel(layers).write(output, owner, about)
    print(f"A personal model of {len(windows)} windows from {len(paths)} files: {output}")


def _paths(values: flags.FlagValues) -> list[Path]:
    """The files that were named, or those in the folder."""
    if values.input_midi:
        return cli.listed_paths(values.input_midi, "input_midi")
    root = cli.expand(values.input_dir)
    if not root.is_dir():
        raise UserError(f"--input_dir={root} is not a folder")
    from music_vae.dataset.music_files import find_music_files

    return [root / name for name in find_music_files(root, recursive=True)]


def _windows(paths: Sequence[Path], config: "Config") -> "list[Window]":
    """The windows in the files; files that cannot be read, or hold none, are logged."""
    from tqdm import tqdm

    from music_vae.dataset.windows import read_windows
    from music_vae.music import notes_io

    windows: list[Window] = []
    for path in tqdm(paths, unit="file", desc="reading", disable=not progress.show_progress()):
        skipped: Counter[str] = Counter()
        try:
            sequences = notes_io.read_music_file(path)
        except notes_io.UnreadableMusicError as error:
            _log.warning("skipped %s", error)
            continue
        found = read_windows(sequences, config, skipped.update)
        if not found:
            reasons = ", ".join(f"{reason} ({n})" for reason, n in skipped.most_common())
            _log.warning("%s holds nothing that %s can encode: %s", path, config.name, reasons)
        windows += found
    if len(windows) < MIN_WINDOWS:
        raise UserError(
            f"{len(paths)} files hold {len(windows)} windows that {config.name} can encode; a "
            f"personal model needs {MIN_WINDOWS} at least, and some dozens are better"
        )
    return windows


COMMAND = cli.Command(PROGRAM, USAGE, FLAGS, _run)
main = COMMAND.main
console_entry_point = COMMAND.console_entry_point

if __name__ == "__main__":
    console_entry_point()
