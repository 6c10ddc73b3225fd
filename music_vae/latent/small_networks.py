"""Small dense networks over the z of a model, in NumPy, and the folders that they are kept in.

A folder has `network.json`, which says what the network is and whose z it knows, and
`weights.safetensors`. Needs no TensorFlow.
"""

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from music_vae.common import files
from music_vae.common.errors import UserError
from music_vae.weights import locate, safetensors_file
from music_vae.weights.safetensors_file import WEIGHTS_FILE, WeightsFile

if TYPE_CHECKING:
    from music_vae.configs import Config

NETWORK_FILE = "network.json"
FORMAT_VERSION = 1
_MAX_JSON_BYTES = 2**20

Layers = Sequence[tuple[np.ndarray, np.ndarray]]
"""Kernels `[In, Out]` and biases `[Out]`, with ReLUs in between."""


class Owner(NamedTuple):
    """Whose z a network knows: the model of a config, its width of z, and what tells its weights.

    Attributes:
      config: The config's name.
      z_size: Z.
      weights_key: See `safetensors_file.weights_key`.
    """

    config: str
    z_size: int
    weights_key: str

    @classmethod
    def of(cls, config: "Config", source: str | Path) -> "Owner":
        """The model of `config` whose weights `source` means: see `locate.open_weights`."""
        key = safetensors_file.weights_key(locate.open_weights(source))
        return cls(config.name, config.hparams.latent_size, key)


def forward(layers: Layers, inputs: np.ndarray) -> np.ndarray:
    """The outputs `[N, Out]` of the last layer for `inputs` `[N, In]`."""
    hidden = np.asarray(inputs, np.float32)
    for kernel, bias in layers[:-1]:
        hidden = np.maximum(hidden @ kernel + bias, 0)
    kernel, bias = layers[-1]
    return hidden @ kernel + bias


def write(
    folder: str | Path, kind: str, owner: Owner, layers: Layers, options: Mapping[str, Any]
) -> None:
    """Writes a network with float16 weights into a folder, which is made if it is not there."""
    arrays = _named(layers)
    described = {
        "format_version": FORMAT_VERSION,
        "kind": kind,
        **owner._asdict(),
        "options": dict(options),
        "network_key": safetensors_file.weights_key(arrays),
    }
    folder = Path(folder).expanduser()
    safetensors_file.write(folder / WEIGHTS_FILE, arrays, {"kind": kind}, dtype="float16")
    files.write_text(folder / NETWORK_FILE, json.dumps(described, indent=2) + "\n")


def read(folder: str | Path, kind: str, owner: Owner) -> tuple[Layers, dict[str, Any]]:
    """The layers and the options of a network of a kind that knows the z of `owner`.

    Raises:
      UserError: If there is none, it is another, or it cannot be used.
    """
    folder = Path(folder).expanduser()
    path = folder / NETWORK_FILE
    described = _described(path, kind)
    for name, own in owner._asdict().items():
        if described.get(name) != own:
            where = f"{described.get('config')} with z of {described.get('z_size')} numbers"
            if name == "weights_key":
                where = f"{owner.config} with other weights"
            raise UserError(
                f"{str(folder)!r} has the {kind} of another model: of {where}; {owner.config} "
                f"with z of {owner.z_size} numbers needs one of its own"
            )
    weights = WeightsFile(folder / WEIGHTS_FILE)
    if described.get("network_key") != safetensors_file.weights_key(weights):
        raise UserError(f"{str(folder)!r}: {WEIGHTS_FILE} and {NETWORK_FILE} are of two networks")
    return _layers(folder, weights), described["options"]


def check_shape(folder: str | Path, layers: Layers, inputs: int, outputs: int) -> None:
    """Raises `UserError` unless the network reads `inputs` numbers and gives `outputs`."""
    found = layers[0][0].shape[0], layers[-1][0].shape[1]
    if found != (inputs, outputs):
        raise UserError(
            f"{str(folder)!r} has a network from {found[0]} to {found[1]} numbers; expected one "
            f"from {inputs} to {outputs}"
        )


def _described(path: Path, kind: str) -> dict[str, Any]:
    """What `network.json` says, once it is known to be of the kind."""
    if not path.is_file():
        raise UserError(f"{str(path.parent)!r} holds no {kind}: there is no {NETWORK_FILE} in it")
    if path.stat().st_size > _MAX_JSON_BYTES:
        raise UserError(f"{str(path)!r} is larger than any description of a network")
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise UserError(f"{str(path)!r} is not JSON") from None
    if not isinstance(described, dict) or not isinstance(described.get("options"), dict):
        raise UserError(f"{str(path)!r} describes no network")
    version = described.get("format_version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise UserError(
            f"{str(path)!r} has format version {version}; this version of music_vae reads "
            f"{FORMAT_VERSION}"
        )
    if described.get("kind") != kind:
        raise UserError(f"{str(path.parent)!r} holds a {described.get('kind')}; expected a {kind}")
    return described


def _named(layers: Layers) -> dict[str, np.ndarray]:
    return {
        f"layer_{number}/{name}": array
        for number, layer in enumerate(layers)
        for name, array in zip(("kernel", "bias"), layer, strict=True)
    }


def _layers(folder: Path, weights: Mapping[str, np.ndarray]) -> Layers:
    """The layers in a file, whose shapes fit each other and whose numbers are numbers."""
    layers = []
    try:
        for number in range(len(weights) // 2):
            kernel, bias = (weights[f"layer_{number}/{name}"] for name in ("kernel", "bias"))
            layers.append((np.array(kernel, np.float32), np.array(bias, np.float32)))
    except KeyError as error:
        raise UserError(f"{str(folder)!r} has no weights {error} of its network") from None
    fitting = bool(layers) and all(
        kernel.ndim == 2 and bias.shape == kernel.shape[1:] for kernel, bias in layers
    )
    if fitting:
        pairs = itertools.pairwise(layers)
        fitting = all(one[0].shape[1] == two[0].shape[0] for one, two in pairs)
    if not fitting or len(weights) != 2 * len(layers):
        raise UserError(f"{str(folder)!r} has weights whose shapes do not make a network")
    if not all(np.isfinite(array).all() for layer in layers for array in layer):
        raise UserError(f"{str(folder)!r} has weights that are not numbers")
    return layers
