"""Writes the latent constraint of a model for other programs: `constraint.json`, `constraint.bin`.

`constraint.json` says what samples can be asked for, how the numbers in `constraint.bin` lie, and
how they move a point. `onnx_model` writes the same constraint as a graph.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from music_vae.common.errors import UserError, naming
from music_vae.export import packed_arrays
from music_vae.latent import constraints, small_networks
from music_vae.latent.constraints import Constraint

if TYPE_CHECKING:
    from music_vae.configs import Config

CONSTRAINT_FILE = "constraint.json"
NUMBERS_FILE = "constraint.bin"
FORMAT_VERSION = 1
"""Version of the format of `constraint.json`."""

NONE = "none"
"""Word that stands for no constraint, even if there is one."""

_USE = [
    "normal = as many standard normal numbers as z has",
    "wanted = for each of attributes, in order, the number that labels has for what is asked",
    "x = [normal, wanted]",
    "for each layer n from 0: x = x @ layer_n/kernel + layer_n/bias; between two layers, max(x, 0)",
    "target, gate = the two halves of x; g = 1 / (1 + exp(-gate))",
    "z = (1 - g) * normal + g * target",
]


def find(choice: str | None, config: "Config", source: str | Path) -> Constraint | None:
    """Returns the constraint of a model that is exported; None for none.

    >>> from music_vae.configs import get_config
    >>> from music_vae.weights import shipped
    >>> name = "cat-mel_2bar_mini"
    >>> find(None, get_config(name), shipped.folder(name)).listed()
    '...note_density=high, note_density=low...'
    >>> print(find("none", get_config(name), shipped.folder(name)))
    None

    Args:
      choice: "own", the constraint that lies with the model; the name of another folder of one; or
        "none". None: the model's own if there is one.
      config: Config of the model.
      source: The run, the folder or the file of the model.

    Raises:
      UserError: If there is no such constraint, or it is of another model or damaged.
    """
    if choice == NONE or (choice is None and not constraints.own_folder(source).exists()):
        return None
    with naming("constraint", choice):
        folder = constraints.folder_of(choice, source)
        try:
            return constraints.read(folder, small_networks.Owner.of(config, source))
        except UserError as error:
            raise UserError(str(error), hint="`constraint=none` leaves it out") from error


def describe(constraint: Constraint) -> dict[str, Any]:
    """Returns what samples can be asked for, and the numbers that stand for it, as plain data.

    >>> dense = constraints.Attribute("note_density", threshold=0.5, sides=("high",))
    >>> describe(Constraint([], [dense]))["labels"]
    {'high': 1, 'low': -1, 'any': 0}
    """
    return {
        "attributes": [attribute._asdict() for attribute in constraint.attributes],
        "labels": {**constraints.SIDES, "any": 0},
    }


def write(constraint: Constraint | None, folder: Path) -> list[Path]:
    """Writes a constraint into the folder of an exported model; returns the paths of the files.

    >>> import json, tempfile
    >>> import numpy as np
    >>> dense = constraints.Attribute("note_density", threshold=0.5, sides=("high",))
    >>> constraint = Constraint([(np.ones((3, 4)), np.zeros(4))], [dense])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write(constraint, Path(folder))
    ...     described = json.loads((Path(folder) / CONSTRAINT_FILE).read_text())
    ...     described["arrays"], (Path(folder) / described["file"]).stat().st_size
    ({'layer_0/kernel': [3, 4], 'layer_0/bias': [4]}, 64)

    Args:
      constraint: The constraint; None: there is none, and nothing is written.
      folder: The folder, which is there.
    """
    if constraint is None:
        return []
    described = {
        "format": "music_vae.constraint",
        "format_version": FORMAT_VERSION,
        "z": constraint.z_size,
        **describe(constraint),
    }
    return packed_arrays.write(
        folder / CONSTRAINT_FILE,
        folder / NUMBERS_FILE,
        described,
        small_networks.named(constraint.layers),
        _USE,
    )
