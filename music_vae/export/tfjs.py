"""Exports models for @magenta/music, the library that plays MusicVAE in web pages and in Node.js.

The folder of an exported model is what `new music_vae.MusicVAE(url)` loads: `config.json`, the
manifest and the shards. The player's variables have the names and shapes of published checkpoints,
as the weights here do.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from music_vae.common import weight_names as names
from music_vae.configs import Config
from music_vae.export import tfjs_config, tfjs_files
from music_vae.weights.config_file import CONFIG_FILE
from music_vae.weights.fit import check_fit

PLAYER = "@magenta/music"
PLAYER_VERSION = "1.23.1"
"""Release of the player that exports are written for and tested with: the last one (2021)."""

_DUMMY_UNITS = 1  # size of an encoder that encodes nothing


def write(
    config: Config,
    weights: Mapping[str, np.ndarray],
    folder: Path,
    *,
    source: str = "the weights",
    quantize: str | None = None,
    decode_only: bool = False,
) -> None:
    """Writes a model's files into a folder.

    >>> import tempfile
    >>> from music_vae.configs import get_config
    >>> config = get_config("cat-mel_2bar_mini", "z_size=2,enc_rnn_size=[2],dec_rnn_size=[2,2]")
    >>> weights = {name: np.zeros(shape, np.float32)
    ...            for name, shape in config.model_spec.weight_shapes.items()}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(config, weights, Path(folder))
    ...     print(*sorted(path.name for path in Path(folder).iterdir()))
    config.json group1-shard1of1.bin weights_manifest.json

    Args:
      config: Config of the model.
      weights: float32 or float16 arrays by published name.
      folder: Folder to write to, which exists.
      source: Name of the place that the weights come from, for messages.
      quantize: Type that the weights are stored in; see `tfjs_files.write`.
      decode_only: Leaves the encoder out; a dummy that cannot encode takes its place, as the player
        loads no model without one.

    Raises:
      UserError: If the player cannot carry such a model, or the weights do not fit the config.
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
    """Returns the player's variables by name; see `write` for the arguments.

    The layer that makes sigma is left out, as the player never draws from a posterior.

    >>> from music_vae.configs import get_config
    >>> config = get_config("cat-mel_2bar_mini", "z_size=2,enc_rnn_size=[2],dec_rnn_size=[2,2]")
    >>> shapes = config.model_spec.weight_shapes
    >>> names = variables(config, {name: np.zeros(shape) for name, shape in shapes.items()})
    >>> sorted(set(shapes) - set(names))
    ['encoder/sigma/bias', 'encoder/sigma/kernel']
    """
    wanted = {
        name: shape
        for name, shape in config.model_spec.weight_shapes.items()
        if not (decode_only and _is_encoder(name))
    }
    shapes = {name: tuple(array.shape) for name, array in weights.items()}
    check_fit(wanted, shapes, source, with_encoder=not decode_only)
    taken = [name for name in wanted if not name.startswith(f"{names.SIGMA}/")]
    arrays = {_renamed(name): weights[name] for name in taken}
    return arrays | _dummy_encoder(config) if decode_only else arrays


def _is_encoder(name: str) -> bool:
    return name.startswith(f"{names.ENCODER}/")


def _renamed(name: str) -> str:
    """Returns the player's name of a weight.

    Only the layer that preprocesses controls is renamed: the player has one name for it in all
    models.
    """
    in_hierarchies = names.control_preprocessing(names.CORE_DECODER)
    if name.startswith(f"{in_hierarchies}/"):
        return names.control_preprocessing("") + name.removeprefix(in_hierarchies)
    return name


def _dummy_encoder(config: Config) -> dict[str, np.ndarray]:
    """Returns the weights, all zeros, of the smallest encoder that the player loads."""
    converter, units = config.data_converter, _DUMMY_UNITS
    scopes = [names.ENCODER]
    if config.model_spec.decoder.conductors:
        scopes = [names.encoder_level(names.ENCODER, level) for level in range(2)]
    size = converter.input_depth + converter.control_depth
    shapes: dict[str, tuple[int, ...]] = {}
    for scope in scopes:
        for direction in names.DIRECTIONS:
            cell = names.lstm_cell(names.layer(names.bidirectional_stack(scope, 0, direction), 0))
            shapes[names.kernel(cell)] = size + units, 4 * units
            shapes[names.bias(cell)] = (4 * units,)
        size = 2 * units
    # A row too many: the player loads it, and gives an error instead of a point when it encodes.
    shapes[names.kernel(names.MU)] = size + 1, config.hparams.latent_size
    shapes[names.bias(names.MU)] = (config.hparams.latent_size,)
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
