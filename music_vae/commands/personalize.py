"""Fits a small model of one's own music to the latent vectors of a trained model.

This is the command `music_vae_personalize`; from Python, make a `Request` and give it to
`personalize`.
"""

import dataclasses
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from music_vae.commands import cli, flag_groups
from music_vae.commands.choices import ModelChoice, Sampling
from music_vae.common import checks, files, lazy_imports, progress
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
flag_groups.define_model(FLAGS)
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
cli.define_number(
    "size", 4, "How many numbers make a point of the small model.", checks.UNITS, values=FLAGS
)
cli.define_number("num_steps", 1000, "Steps of training.", checks.STEPS, values=FLAGS)
cli.define_number(
    "beta",
    1.0,
    "Weight of its KL divergence: less keeps nearer to the pieces, more varies them.",
    checks.WEIGHT,
    values=FLAGS,
)
flag_groups.define_sampling(FLAGS)

_MIN_WINDOWS = 2

_log = logging.getLogger("music_vae.commands.personalize")


@dataclasses.dataclass(frozen=True)
class Request:
    """A request to fit a personal model.

    >>> melodies = ModelChoice(config="cat-mel_2bar_mini")
    >>> Request(melodies, Path("mine"), Sampling(), input_dir=Path("songs")).size
    4
    >>> Request(melodies, Path("mine"), Sampling())
    Traceback (most recent call last):
    music_vae.common.errors.UserError: give `input_midi` or `input_dir`, one of the two

    Attributes:
      model: The model to whose latent vectors it is fitted.
      output: The folder to write.
      sampling: Seed and batch size.
      input_midi: Files of music.
      input_dir: A folder of music instead, read with its subfolders.
      size: Number of dimensions of the small model's latent space.
      num_steps: Number of steps of training.
      beta: Weight of the KL divergence: less keeps nearer to the pieces, more varies them.

    Raises:
      UserError: Unless either files or a folder are named, or if a number is out of range.
    """

    model: ModelChoice
    output: Path
    sampling: Sampling
    input_midi: tuple[Path, ...] = ()
    input_dir: Path | None = None
    size: int = 4
    num_steps: int = 1000
    beta: float = 1.0

    def __post_init__(self) -> None:
        _check_one_input(self.input_midi, self.input_dir)
        checks.check_numbers(self, checks.UNITS, "size")
        checks.check_numbers(self, checks.STEPS, "num_steps")
        checks.check_numbers(self, checks.WEIGHT, "beta")


def personalize(request: Request) -> str:
    """Fits a personal model and writes it; returns a message for the user.

    >>> import tempfile
    >>> melodies, tunes = ModelChoice(config="cat-mel_2bar_mini"), Path("examples/two_bars")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     output = Path(folder, "mine")
    ...     personalize(Request(melodies, output, Sampling(), input_dir=tunes, num_steps=2))
    'A personal model of 2 windows from 2 files: .../mine'

    Raises:
      UserError: If there is too little music that the model can encode.
    """
    config = request.model.read_config(with_latent=True)
    files.check_new_directory(request.output, "output")
    paths = _paths(request)
    source = request.model.resolve()
    lazy_imports.import_note_seq()
    windows, used = _windows(paths, config, "input_dir" if request.input_dir else "input_midi")
    from music_vae.latent import corpus
    from music_vae.latent.personal_models import PersonalModel
    from music_vae.latent.small_networks import Owner

    owner = Owner.of(config, source)
    model = request.model.open(config, request.sampling.max_batch_size)
    _, mu, sigma = corpus.encode_windows(model, windows)
    lazy_imports.import_tensorflow()
    from music_vae.training import personal_networks

    layers, kl_nats = personal_networks.train(
        mu,
        sigma,
        progress.bar(range(request.num_steps), "training"),
        personal_networks.Settings(
            size=request.size, beta=request.beta, seed=request.sampling.seed or 0
        ),
    )
    about = {"windows": len(windows), "steps": request.num_steps, "kl_nats": kl_nats}
    PersonalModel(layers).write(request.output, owner, about)
    of_all = f"{used} of {len(paths)}" if used < len(paths) else f"{used}"
    return f"A personal model of {len(windows)} windows from {of_all} files: {request.output}"


def _check_one_input(input_midi: Sequence[str | Path], input_dir: str | Path | None) -> None:
    """Raises `UserError` unless either files or a folder are given."""
    if bool(input_midi) == bool(input_dir):
        raise UserError("give `input_midi` or `input_dir`, one of the two")


def _paths(request: Request) -> Sequence[Path]:
    """Returns the files that were named, or those in the folder."""
    root = request.input_dir
    if root is None:
        for path in request.input_midi:
            if not path.is_file():
                raise UserError(f"`input_midi={path}`: no such file")
        return request.input_midi
    if not root.is_dir():
        raise UserError(f"`input_dir={root}` is not a folder")
    from music_vae.dataset.music_files import find_music_files

    return [root / name for name in find_music_files(root, recursive=True)]


def _windows(paths: Sequence[Path], config: "Config", argument: str) -> "tuple[list[Window], int]":
    """Reads the windows in the files; returns how many have some, too, and logs the others."""
    from music_vae.dataset.windows import read_windows
    from music_vae.music import notes_io
    from music_vae.music.drum_part import drum_part

    windows: list[Window] = []
    used = 0
    for path in progress.bar(paths, "reading", unit="file"):
        skipped: Counter[str] = Counter()
        try:
            sequences = notes_io.read_music_file(path)
        except notes_io.UnreadableMusicError as error:
            _log.warning("skipped %s", error)
            continue
        if config.data_converter.has_hits:
            sequences = [drum_part(sequence).piece for sequence in sequences]
        own = read_windows(sequences, config, skipped.update)
        if not own:
            reasons = ", ".join(f"{reason} ({n})" for reason, n in skipped.most_common())
            _log.warning("%s holds nothing that %s can encode: %s", path, config.name, reasons)
        windows += own
        used += bool(own)
    if len(windows) < _MIN_WINDOWS:
        raise UserError(
            f"`{argument}`: {len(paths)} files hold {len(windows)} windows that {config.name} can "
            f"encode; a personal model needs {_MIN_WINDOWS} at least, and some dozens are better"
        )
    return windows, used


def _run(values: flags.FlagValues) -> None:
    _check_one_input(values.input_midi, values.input_dir)
    cli.require(values, "output")
    request = Request(
        flag_groups.model(values),
        cli.expand(values.output),
        flag_groups.sampling(values),
        tuple(cli.listed_paths(values.input_midi, "input_midi")),
        cli.expand(values.input_dir) if values.input_dir else None,
        values.size,
        values.num_steps,
        values.beta,
    )
    print(personalize(request))


COMMAND = cli.Command(PROGRAM, USAGE, FLAGS, _run)
main = COMMAND.main
console_entry_point = COMMAND.console_entry_point

if __name__ == "__main__":
    console_entry_point()
