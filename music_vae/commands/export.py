"""`music_vae_export`: writes trained models for other programs."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from music_vae.commands import cli, model_flags
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

_TFJS_FLAGS = ("quantize", "decode_only", "demo", "player")

_log = logging.getLogger(__name__)


def _export_tfjs(values: flags.FlagValues, config: "Config", folder: Path) -> None:
    from music_vae.export import demo, tfjs, tfjs_config
    from music_vae.weights import locate

    tfjs_config.check(config, decode_only=values.decode_only)
    if values.player and not values.demo:
        raise UserError("--player is a part of --demo; give both")
    player = demo.find_player(values.player) if values.player else None
    source = model_flags.source(values)
    weights = locate.open_weights(source)
    if values.decode_only:
        _log.warning(
            "--decode_only: a dummy takes the encoder's place; sample() and decode() play the "
            "model, encode(), interpolate() and similar() give the same for all music"
        )
    with files.atomic_directory(folder, "output_dir") as temporary:
        tfjs.write(
            config,
            weights,
            temporary,
            source=str(source),
            quantize=values.quantize,
            decode_only=values.decode_only,
        )
        demo.write_attributes(config, source, temporary)
        if values.demo:
            demo.write(config, temporary, player, decode_only=values.decode_only)


def _export_onnx(values: flags.FlagValues, config: "Config", folder: Path) -> None:
    from music_vae.export import onnx_model
    from music_vae.weights import locate

    for flag in _TFJS_FLAGS:
        if values[flag].present:
            raise UserError(f"--{flag} is for --format=tfjs")
    onnx_model.require_onnx()
    onnx_model.check(config)
    source = model_flags.source(values)
    weights = locate.open_weights(source)
    with files.atomic_directory(folder, "output_dir") as temporary:
        onnx_model.write(config, weights, temporary, source=str(source))


FORMATS: Mapping[str, Callable[[flags.FlagValues, "Config", Path], None]] = {
    "tfjs": _export_tfjs,
    "onnx": _export_onnx,
}
"""What writes each format of a model of a config into a new folder."""

FLAGS = cli.new_flags()
model_flags.define(FLAGS)
flags.DEFINE_enum("format", "tfjs", list(FORMATS), "What is written.", flag_values=FLAGS)
flags.DEFINE_string(
    "output_dir", None, "The folder to write; it must not be there, or be empty.", flag_values=FLAGS
)
flags.DEFINE_enum(
    "quantize",
    None,
    ["uint8", "uint16", "float16"],
    "tfjs: stores weights in fewer bits than the 32 of float32.",
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


def _run(values: flags.FlagValues) -> None:
    cli.require(values, "output_dir")
    model_flags.check(values)
    folder = cli.expand(values.output_dir)
    files.check_new_directory(folder, "output_dir")
    FORMATS[values.format](values, model_flags.config(values), folder)
    written = [path for path in folder.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in written)
    print(f"{folder}: {len(written)} files, {size / 1e6:.1f} MB")


COMMAND = cli.Command(PROGRAM, USAGE, FLAGS, _run)
main = COMMAND.main
console_entry_point = COMMAND.console_entry_point

if __name__ == "__main__":
    console_entry_point()
