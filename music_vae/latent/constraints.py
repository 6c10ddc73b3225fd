"""Latent constraints: samples that are moved to where music is, and is as one asks.

Engel, Hoffman and Roberts 2018, *Latent Constraints*: an actor moves a point z of the prior into
the region that critics take for encoded music with the wanted attributes, and stays near it:

    dz, gate = network([z, wanted])
    g = sigmoid(gate)
    z' = (1 - g) * z + g * dz

`wanted` has a number for each attribute: 1 for high, -1 for low, 0 for any. An attribute is high
from a threshold on, which divides the training windows as evenly as it can. The actor is trained
by `constraint_networks`; here it needs no TensorFlow.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from music_vae.common.errors import UserError
from music_vae.configs import get_config
from music_vae.latent import corpus, small_networks
from music_vae.latent.latent_space import Prior
from music_vae.latent.small_networks import Layers, Owner
from music_vae.weights import shipped
from music_vae.weights.config_file import TRAIN_DIR

if TYPE_CHECKING:
    from music_vae.dataset.windows import Window
    from music_vae.music.converters.base import Converter

KIND = "constraint"
OWN_FOLDER = "constraint"
"""Its name in the folder of a model."""

SIDES = {"high": 1, "low": -1}


class Attribute(NamedTuple):
    """An attribute that can be asked for.

    Attributes:
      name: One of `attributes.names`.
      threshold: The smallest value that is high.
      sides: What can be asked for: some of `SIDES`.
    """

    name: str
    threshold: float
    sides: tuple[str, ...]

    def labels(self, values: np.ndarray) -> np.ndarray:
        """1 where a value is high, -1 where it is low, 0 where it is NaN."""
        values = np.asarray(values, np.float64)
        return np.where(np.isnan(values), 0, np.where(values >= self.threshold, 1, -1))


class Constraint:
    """A trained actor and what it can be asked for."""

    def __init__(self, layers: Layers, known: Sequence[Attribute]) -> None:
        self._layers = layers
        self.attributes = tuple(known)

    def wanted(self, sides: Mapping[str, str]) -> np.ndarray:
        """The vector `[A]` that asks for sides of attributes, by name; none for any music.

        Raises:
          UserError: For an attribute or a side that the constraint does not know.
        """
        known = {attribute.name: attribute for attribute in self.attributes}
        for name, side in sides.items():
            if name not in known or side not in known[name].sides:
                raise UserError(
                    f"the constraint does not know {name}={side}; it knows {self.listed()}"
                )
        return np.array([SIDES.get(sides.get(name, ""), 0) for name in known], np.float32)

    def apply(self, z: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Points `[N, Z]` of the prior, moved; `wanted` is `[A]`, the same for all."""
        z = np.asarray(z, np.float32)
        told = np.broadcast_to(np.asarray(wanted, np.float32), (len(z), len(self.attributes)))
        found = small_networks.forward(self._layers, np.concatenate([z, told], axis=1))
        target, gate = np.split(found, 2, axis=1)
        share = (np.tanh(gate / 2) + 1) / 2  # the sigmoid, which does not overflow
        return (1 - share) * z + share * target

    def prior(self, sides: Mapping[str, str], z_size: int) -> Prior:
        """The prior of `z_size` dimensions, moved; see `wanted` for `sides`."""
        wanted = self.wanted(sides)
        return Prior(z_size, lambda z: self.apply(z, wanted))

    def listed(self) -> str:
        """What can be asked for, in a sentence."""
        return ", ".join(f"{a.name}={s}" for a in self.attributes for s in a.sides) or "none"

    def write(self, folder: str | Path, owner: Owner, about: Mapping[str, Any]) -> None:
        """Writes it into a folder, for the model that it was trained for."""
        described = [{**a._asdict(), "sides": list(a.sides)} for a in self.attributes]
        options = {"attributes": described, **about}
        small_networks.write(folder, KIND, owner, self._layers, options)


def read(folder: str | Path, owner: Owner) -> Constraint:
    """The constraint of a model in a folder.

    Raises:
      UserError: If there is none, or it is of another model.
    """
    layers, options = small_networks.read(folder, KIND, owner)
    try:
        found = [
            Attribute(str(entry["name"]), float(entry["threshold"]), tuple(entry["sides"]))
            for entry in options["attributes"]
        ]
    except (TypeError, KeyError, ValueError):
        raise UserError(f"{str(folder)!r} does not describe its attributes") from None
    if not all(side in SIDES for attribute in found for side in attribute.sides):
        raise UserError(f"{str(folder)!r} does not describe its attributes")
    small_networks.check_shape(folder, layers, owner.z_size + len(found), 2 * owner.z_size)
    return Constraint(layers, found)


def of_shipped(config_name: str) -> Constraint:
    """The constraint that comes with the package's model of a config.

    Raises:
      UserError: If there is none.
    """
    folder = shipped.folder(config_name)
    return read(own_folder(folder), Owner.of(get_config(config_name), folder))


def labelled(
    converter: "Converter", windows: "Sequence[Window]", asked: Mapping[str, Sequence[str]]
) -> tuple[list[Attribute], np.ndarray]:
    """The attributes with their thresholds, and the labels `[N, A]` of windows: 1, 0 and -1.

    Args:
      converter: Of the windows.
      windows: What divides the values.
      asked: The sides of each attribute that can be asked for.

    Raises:
      UserError: For an attribute that does not vary.
    """
    if not asked:
        return [], np.zeros((len(windows), 0))
    measured = corpus.measure_windows(converter, windows)
    found, labels = [], []
    for name, sides in asked.items():
        try:
            found.append(Attribute(name, even_split(measured[name]), tuple(sides)))
        except UserError as error:
            raise UserError(f"{name} cannot be asked for: {error}") from None
        labels.append(found[-1].labels(measured[name]))
    return found, np.stack(labels, axis=1)


def own_folder(source: str | Path) -> Path:
    """Where the constraint of a model is by default: beside its weights.

    Args:
      source: Its run or directory: `constraint` in it. Or a file: of `mel.safetensors` or of a
        checkpoint `mel.ckpt` it is `mel.constraint` beside it.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        return (path.parent if path.name == TRAIN_DIR else path) / OWN_FOLDER
    return path.with_name(f"{path.name.partition('.')[0]}.{OWN_FOLDER}")


def even_split(values: np.ndarray) -> float:
    """The threshold from which on as near as possible to half of the values `[N]` lie.

    NaN is left out.

    Raises:
      UserError: If all values are equal, or there are none.
    """
    known = np.sort(np.asarray(values, np.float64)[~np.isnan(values)])
    levels = np.unique(known)
    if len(levels) < 2:
        raise UserError(f"it is {levels[0] if len(levels) else math.nan:g} everywhere")
    above = len(known) - np.searchsorted(known, levels[1:])
    return float(levels[1:][np.argmin(np.abs(above / len(known) - 0.5))])


def parse_sides(
    texts: Sequence[str], argument: str, *, all_by_default: bool = False
) -> dict[str, Any]:
    """The sides that `NAME=high` and `NAME=low` ask for, several with commas, by name.

    Args:
      texts: What was given.
      argument: As what it was given, for messages.
      all_by_default: Whether `NAME` alone, or with both sides, means both: the values of the result
        are then tuples of sides.

    Raises:
      UserError: For anything else.
    """
    found: dict[str, tuple[str, ...]] = {}
    for text in ",".join(texts).split(",") if texts else []:
        name, equals, side = (part.strip() for part in text.partition("="))
        sides = tuple(SIDES) if all_by_default and not equals else (side,)
        if not name or not set(sides) <= set(SIDES):
            raise UserError(
                f"`{argument}={text}` is no wish; expected NAME=high or NAME=low, as in "
                "note_density=high"
            )
        if name in found and not (all_by_default and side not in found[name]):
            raise UserError(f"`{argument}` has {name} twice")
        found[name] = (*found.get(name, ()), *sides)
    return found if all_by_default else {name: sides[0] for name, sides in found.items()}
