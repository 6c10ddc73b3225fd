"""Writes trained models for other programs: the command `music_vae_export`.

From Python, make a `Request` and give it to `export`.
"""

import dataclasses
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from music_vae.commands import cli, flag_groups
from music_vae.commands.choices import ModelChoice
from music_vae.common import files
from music_vae.common.errors import UserError

if TYPE_CHECKING:
    from music_vae.configs import Config

PROGRAM = "music_vae_export"
USAGE = """Writes a trained model for other programs.

  music_vae_export --config=cat-mel_2bar_mini --demo --output_dir=page
  music_vae_export --run_dir=RUN --quantize=uint8 --output_dir=model
  music_vae_export --run_dir=RUN --format=onnx --output_dir=model

--format=tfjs writes a folder for web pages and Node.js: what new music_vae.MusicVAE(url) of
@magenta/music 1.23.1 loads, from any web server. With --demo there is a page in it that makes
music; serve the folder, for example with python -m http.server --directory=page, and open
http://localhost:8000.

--format=onnx writes encoder, decoder and decoder step as ONNX files for apps and plug-ins, with a
model.json that says what goes in and what the numbers mean."""

FORMATS = ("tfjs", "onnx")
"""Formats of an export: for TensorFlow.js, and ONNX."""

_TFJS_OPTIONS = ("decode_only", "demo", "player")

_log = logging.getLogger(__name__)

FLAGS = cli.new_flags()
flag_groups.define_model(FLAGS)
flags.DEFINE_enum("format", "tfjs", FORMATS, "What is written.", flag_values=FLAGS)
flags.DEFINE_string(
    "output_dir", None, "The folder to write; it must not be there, or be empty.", flag_values=FLAGS
)
flags.DEFINE_enum(
    "quantize",
    None,
    ["uint8", "uint16", "float16"],
    "Stores weights in fewer bits than the 32 of float32.",
    flag_values=FLAGS,
)
flags.DEFINE_boolean(
    "decode_only",
    False,
    "tfjs: leaves out the encoder, for models whose encoder the player cannot carry.",
    flag_values=FLAGS,
)
flags.DEFINE_boolean(
    "demo", False, "tfjs: adds index.html, a page that plays the model.", flag_values=FLAGS
)
flags.DEFINE_string(
    "player",
    None,
    "tfjs: a copy of @magenta/music for the page, which else comes from a public server: the "
    "package's folder, or its file dist/magentamusic.js. It is copied into the folder, which then "
    "needs no network.",
    flag_values=FLAGS,
)


flag_groups.define_prior(FLAGS)
flags.DEFINE_string(
    "constraint",
    None,
    "The latent constraint that is added: 'own', the one that lies with the model; another folder "
    "of music_vae_constrain; or 'none'. By default the model's own, if there is one.",
    flag_values=FLAGS,
)


@dataclasses.dataclass(frozen=True)
class Request:
    """A request to write a model for other programs.

    >>> melodies = ModelChoice(config="cat-mel_2bar_mini")
    >>> Request(melodies, Path("page"), demo=True).format
    'tfjs'
    >>> Request(melodies, Path("model"), format="onnx", demo=True)
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `demo` is for `format=tfjs`

    Attributes:
      model: The model.
      output_dir: The folder to write; it must not be there, or be empty.
      format: One of `FORMATS`.
      quantize: Number format of the weights, one of `quantization.TYPES`; None: float32.
      decode_only: If True, the encoder is left out. This and the next two are for tfjs, and None if
        they were not given.
      demo: If True, a page that plays the model is added.
      player: A copy of the player for that page; None: the page loads it from a public server.
      prior: Prior that is added, and that the page draws from, as for `TrainedModel.sample`.
      constraint: Latent constraint that is added, as for `constraint_files.find`.

    Raises:
      UserError: For options that do not go together.
    """

    model: ModelChoice
    output_dir: Path
    format: str = FORMATS[0]
    quantize: str | None = None
    decode_only: bool | None = None
    demo: bool | None = None
    player: str | None = None
    prior: str | None = None
    constraint: str | None = None

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise UserError(f"`format={self.format}` must be one of {', '.join(FORMATS)}")
        for name in _TFJS_OPTIONS:
            if self.format != "tfjs" and getattr(self, name) is not None:
                raise UserError(f"`{name}` is for `format=tfjs`")
        if self.player and not self.demo:
            raise UserError("`player` is a part of `demo`; give both")


def export(request: Request) -> str:
    """Writes the folder; returns a message for the user with the number and size of its files.

    >>> import tempfile
    >>> melodies = ModelChoice(config="cat-mel_2bar_mini")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     export(Request(melodies, Path(folder, "page"), quantize="uint8"))
    '.../page: 8 files, ... MB'

    Raises:
      UserError: If there is something in the folder already, or the model cannot be exported.
    """
    folder = request.output_dir
    files.check_new_directory(folder, "output_dir")
    config = request.model.read_config()
    if request.format == "tfjs":
        _export_tfjs(request, config)
    else:
        _export_onnx(request, config)
    written = [path for path in folder.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in written)
    return f"{folder}: {len(written)} files, {size / 1e6:.1f} MB"


def _export_tfjs(request: Request, config: "Config") -> None:
    from music_vae.export import (
        attribute_files,
        constraint_files,
        demo,
        prior_files,
        tfjs,
        tfjs_config,
    )
    from music_vae.latent import priors
    from music_vae.weights import locate

    decode_only = bool(request.decode_only)
    tfjs_config.check(config, decode_only=decode_only)
    player = demo.find_player(request.player) if request.player else None
    source = request.model.resolve()
    weights = locate.open_weights(source)
    prior = priors.find(request.prior, config, source)
    constraint = constraint_files.find(request.constraint, config, source)
    if decode_only:
        _log.warning(
            "--decode_only: a dummy takes the encoder's place; sample() and decode() play the "
            "model, encode(), interpolate() and similar() end in an error"
        )
    with files.atomic_directory(request.output_dir, "output_dir") as temporary:
        tfjs.write(
            config,
            weights,
            temporary,
            source=str(source),
            quantize=request.quantize,
            decode_only=decode_only,
        )
        attribute_files.write(config, source, temporary)
        prior_files.write(prior, temporary)
        constraint_files.write(constraint, temporary)
        if request.demo:
            demo.write(config, temporary, player, decode_only=decode_only)


def _export_onnx(request: Request, config: "Config") -> None:
    from music_vae.export import attribute_files, constraint_files, onnx_model, prior_files
    from music_vae.latent import priors
    from music_vae.weights import locate

    onnx_model.require_onnx()
    onnx_model.check(config)
    source = request.model.resolve()
    weights = locate.open_weights(source)
    prior = priors.find(request.prior, config, source)
    constraint = constraint_files.find(request.constraint, config, source)
    with files.atomic_directory(request.output_dir, "output_dir") as temporary:
        attributes = attribute_files.write(config, source, temporary)
        onnx_model.write(
            config,
            weights,
            temporary,
            source=str(source),
            quantize=request.quantize,
            fitted_prior=prior is not None,
            attributes=bool(attributes),
            constraint=constraint,
        )
        prior_files.write(prior, temporary)


def _run(values: flags.FlagValues) -> None:
    cli.require(values, "output_dir")
    options = {name: values[name].value for name in _TFJS_OPTIONS if values[name].present}
    model, folder = flag_groups.model(values), cli.expand(values.output_dir)
    options |= {name: values[name].value for name in ("quantize", "prior", "constraint")}
    print(export(Request(model, folder, values.format, **options)))


COMMAND = cli.Command(PROGRAM, USAGE, FLAGS, _run)
main = COMMAND.main
console_entry_point = COMMAND.console_entry_point

if __name__ == "__main__":
    console_entry_point()
