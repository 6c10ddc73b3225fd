"""Models for @magenta/music, the library that plays MusicVAE in web pages and in Node.js.

A folder of an exported model is what `new music_vae.MusicVAE(url)` loads: `config.json`, the
manifest and the shards. The player's variables have the names of published checkpoints, which are
our own; their layout is the same too.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from music_vae.common import weight_names as names
from music_vae.common.specs import HierarchicalDecoderSpec
from music_vae.configs import Config
from music_vae.export import tfjs_config, tfjs_files
from music_vae.weights.config_file import CONFIG_FILE
from music_vae.weights.fit import check_fit

PLAYER = "@magenta/music"
PLAYER_VERSION = "1.23.1"
"""The release that exports are written for and tested with, the last one (2021)."""

_DUMMY_UNITS = 1  # of an encoder that encodes nothing


def write(
    config: Config,
    weights: Mapping[str, np.ndarray],
    folder: Path,
    *,
    source: str = "the weights",
    quantize: str | None = None,
    decode_only: bool = False,
) -> None:
    """Writes a model's files into `folder`, which is there.

    Args:
      config: The model's.
      weights: float32 or float16 arrays by published name.
      folder: Where to.
      source: Where the weights come from, for messages.
      quantize: See `tfjs_files.write`.
      decode_only: Leaves the encoder out; a dummy that encodes everything as zeros takes its place,
        as the player loads no model without one.

    Raises:
      UserError: If the player cannot carry the config, or the weights are not of it.
    """
    tfjs_config.check(config, decode_only=decode_only)
    arrays = variables(config, weights, source=source, decode_only=decode_only)
    tfjs_files.write(folder, arrays, quantize)
    text = json.dumps(tfjs_config.describe(config), indent=2) + "\n"
    (folder / CONFIG_FILE).write_text(text, encoding="utf-8")


def variables(
    config: Config,
    weights: Mapping[str, np.ndarray],
    *,
    source: str = "the weights",
    decode_only: bool = False,
) -> dict[str, np.ndarray]:
    """The player's variables by name; see `write`."""
    wanted = {
        name: shape
        for name, shape in config.model_spec.weight_shapes.items()
        if not (decode_only and _is_encoder(name))
    }
    found = {name: tuple(array.shape) for name, array in weights.items()}
    check_fit(wanted, found, source, with_encoder=not decode_only)
    # The player never draws from a posterior.
    taken = [name for name in wanted if not name.startswith(f"{names.SIGMA}/")]
    arrays = {_renamed(name): weights[name] for name in taken}
    return arrays | _dummy_encoder(config) if decode_only else arrays


def _is_encoder(name: str) -> bool:
    return name.startswith(f"{names.ENCODER}/")


def _renamed(name: str) -> str:
    """The name of a variable; what reads the controls has one name in all models."""
    in_hierarchies = names.control_preprocessing(names.CORE_DECODER)
    if name.startswith(f"{in_hierarchies}/"):
        return names.control_preprocessing("") + name.removeprefix(in_hierarchies)
    return name


def _dummy_encoder(config: Config) -> dict[str, np.ndarray]:
    """Zeros of the smallest encoder that the player accepts."""
    converter, units = config.data_converter, _DUMMY_UNITS
    scopes = [names.ENCODER]
    if isinstance(config.decoder, HierarchicalDecoderSpec):
        scopes = [names.encoder_level(names.ENCODER, level) for level in range(2)]
    size = converter.input_depth + converter.control_depth
    shapes: dict[str, tuple[int, ...]] = {}
    for scope in scopes:
        for direction in names.DIRECTIONS:
            cell = names.lstm_cell(names.layer(names.bidirectional_stack(scope, 0, direction), 0))
            shapes[names.kernel(cell)] = size + units, 4 * units
            shapes[names.bias(cell)] = (4 * units,)
        size = 2 * units
    shapes[names.kernel(names.MU)] = size, config.hparams.latent_size
    shapes[names.bias(names.MU)] = (config.hparams.latent_size,)
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
