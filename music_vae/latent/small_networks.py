"""Small dense networks over the latent vectors of a model, in NumPy, and the folders they lie in.

The folder of a network has `network.json`, which says what the network is and which model's latent
vectors it was trained on, and `weights.safetensors`. Nothing here needs TensorFlow.
"""

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from music_vae.common import files
from music_vae.common.errors import UserError
from music_vae.common.json_values import shown
from music_vae.weights import locate, safetensors_file
from music_vae.weights.safetensors_file import WEIGHTS_FILE, WeightsFile

if TYPE_CHECKING:
    from music_vae.configs import Config

NETWORK_FILE = "network.json"
FORMAT_VERSION = 1
_MAX_JSON_BYTES = 2**20

Layers = Sequence[tuple[np.ndarray, np.ndarray]]
"""Kernel `[In, Out]` and bias `[Out]` of each layer, from first to last; ReLUs lie in between."""


class Owner(NamedTuple):
    """The model whose latent vectors a network was trained on.

    Other weights give the same music other latent vectors, so a network serves one model only.

    >>> from music_vae.configs import get_config
    >>> from music_vae.weights import shipped
    >>> owner = Owner.of(get_config("cat-mel_2bar_mini"), shipped.folder("cat-mel_2bar_mini"))
    >>> owner.config, owner.z_size
    ('cat-mel_2bar_mini', 128)

    Attributes:
      config: Name of the model's config.
      z_size: Number of dimensions Z of the latent space.
      weights_key: Digest of the model's weights; see `safetensors_file.weights_key`.
    """

    config: str
    z_size: int
    weights_key: str

    @classmethod
    def of(cls, config: "Config", source: str | Path) -> "Owner":
        """Returns the model of `config` with the weights at `source`: see `locate.open_weights`."""
        key = safetensors_file.weights_key(locate.open_weights(source))
        return cls(config.name, config.hparams.latent_size, key)


def forward(layers: Layers, inputs: np.ndarray) -> np.ndarray:
    """Computes the outputs `[N, Out]` of the last layer for `inputs` `[N, In]`.

    >>> identity = np.eye(2), np.zeros(2)
    >>> forward([identity, identity], np.array([[3.0, -4.0]]))  # a ReLU lies in between
    array([[3., 0.]])
    """
    hidden = np.asarray(inputs, np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # whoever decodes z finds what is not finite
        for kernel, bias in layers[:-1]:
            hidden = np.maximum(hidden @ kernel + bias, 0)
        kernel, bias = layers[-1]
        return hidden @ kernel + bias


def named(layers: Layers) -> dict[str, np.ndarray]:
    """Returns the arrays of layers, from first to last, by the names that files give them.

    >>> list(named([(np.ones((4, 1)), np.zeros(1))]))
    ['layer_0/kernel', 'layer_0/bias']
    """
    return {
        f"layer_{number}/{name}": array
        for number, layer in enumerate(layers)
        for name, array in zip(("kernel", "bias"), layer, strict=True)
    }


def write(
    folder: str | Path, kind: str, owner: Owner, layers: Layers, options: Mapping[str, Any]
) -> None:
    """Writes a network with float16 weights into a folder, which is made if it is not there.

    >>> import os, tempfile
    >>> owner = Owner("cat-mel_2bar_small", z_size=4, weights_key="0a1b")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(folder, "critic", owner, [(np.ones((4, 1)), np.zeros(1))], {"steps": 10})
    ...     sorted(os.listdir(folder))
    ['network.json', 'weights.safetensors']

    Args:
      folder: The folder of the network.
      kind: The purpose of the network, which `read` asks for.
      owner: The model whose latent vectors it was trained on.
      layers: The layers.
      options: Further values that describe the network, as JSON can hold them.
    """
    arrays = named(layers)
    described = {
        "format_version": FORMAT_VERSION,
        "kind": kind,
        **owner._asdict(),
        "options": dict(options),
        "network_key": safetensors_file.weights_key(arrays),
    }
    folder = files.expand(folder)
    # Both are written before either is renamed, as each is worth nothing without the other.
    with files.atomic_path(folder / NETWORK_FILE) as temporary:
        temporary.write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
        safetensors_file.write(folder / WEIGHTS_FILE, arrays, {"kind": kind}, dtype="float16")


def read(folder: str | Path, kind: str, owner: Owner) -> tuple[Layers, dict[str, Any]]:
    """Reads the layers and the options of a network of this kind, trained for this owner.

    >>> import tempfile
    >>> owner = Owner("cat-mel_2bar_small", z_size=4, weights_key="0a1b")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(folder, "critic", owner, [(np.ones((4, 1)), np.zeros(1))], {"steps": 10})
    ...     layers, options = read(folder, "critic", owner)
    >>> len(layers), options
    (1, {'steps': 10})

    Raises:
      UserError: If the folder holds no network, one of another kind or of another owner, or one
        that is damaged.
    """
    folder = files.expand(folder)
    path = folder / NETWORK_FILE
    described = _described(path, kind)
    for name, own in owner._asdict().items():
        if described.get(name) != own:
            config, size = shown(described.get("config")), shown(described.get("z_size"))
            where = f"{config} with z of {size} numbers"
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
    """Raises `UserError` unless the network reads `inputs` numbers and returns `outputs`.

    >>> check_shape("my_critic", [(np.ones((4, 1)), np.zeros(1))], inputs=4, outputs=2)
    Traceback (most recent call last):
    music_vae.common.errors.UserError: 'my_critic' has a network from 4 to 1 numbers; expected ...

    Args:
      folder: The folder of the network, for the message.
      layers: The layers.
      inputs: Number of inputs that are expected.
      outputs: Number of outputs that are expected.
    """
    shape = layers[0][0].shape[0], layers[-1][0].shape[1]
    if shape != (inputs, outputs):
        raise UserError(
            f"{str(folder)!r} has a network from {shape[0]} to {shape[1]} numbers; expected one "
            f"from {inputs} to {outputs}"
        )


def _described(path: Path, kind: str) -> dict[str, Any]:
    """Reads `network.json` and checks that it describes a network of this kind."""
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
    if type(version) is not int or version > FORMAT_VERSION:
        raise UserError(
            f"{str(path)!r} has format version {shown(version)}; this version of music_vae reads "
            f"{FORMAT_VERSION}"
        )
    if (other := described.get("kind")) != kind:
        raise UserError(
            f"{str(path.parent)!r} holds a network of the kind {shown(other)}; expected a {kind}"
        )
    return described


def _layers(folder: Path, weights: Mapping[str, np.ndarray]) -> Layers:
    """Returns the layers in a file after checking that their shapes fit and all are finite."""
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
