"""Latent constraints: sampled latent vectors are moved to where music is, and is as one asks.

The method is that of Engel, Hoffman and Roberts 2018, *Latent Constraints*. A network, the actor,
moves a latent vector z that was drawn from the prior into the region that critics take for encoded
music with the wanted attributes, without moving it farther than it must:

    dz, gate = network([z, wanted])
    g = sigmoid(gate)
    z' = (1 - g) * z + g * dz

`wanted` has one number for each attribute: 1 for high, -1 for low, 0 for any. An attribute is high
from a threshold on, which divides the training windows as evenly as possible. With no wish at all,
the actor only makes samples more realistic. `training.constraint_networks` trains it; to use one
takes no TensorFlow.
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
from music_vae.weights import locate, shipped

if TYPE_CHECKING:
    from music_vae.dataset.windows import Window
    from music_vae.music.converters.base import Converter

KIND = "constraint"
OWN = "own"
"""Word that stands for the constraint that lies with a model."""

OWN_FOLDER = "constraint"
"""Name of the constraint's folder in the folder of a model."""

SIDES = {"high": 1, "low": -1}
"""Number that stands for each side of an attribute that can be wanted."""

_MAX_NAME = 100  # characters of the name of an attribute
_MAX_THRESHOLD = 1e9  # far beyond any that is measured


class Attribute(NamedTuple):
    """An attribute that can be asked for.

    >>> density = Attribute("note_density", threshold=0.5, sides=("high", "low"))
    >>> density.labels([0.1, 0.5, 0.9, np.nan])
    array([-1, 1, 1, 0])

    Attributes:
      name: Name of the attribute, one of `attributes.names`.
      threshold: Smallest value that counts as high.
      sides: Sides that can be asked for, some of `SIDES`.
    """

    name: str
    threshold: float
    sides: tuple[str, ...]

    def labels(self, values: np.ndarray) -> np.ndarray:
        """Returns 1 where a value is high, -1 where it is low, and 0 where it is NaN."""
        values = np.asarray(values, np.float64)
        return np.where(np.isnan(values), 0, np.where(values >= self.threshold, 1, -1))


class Constraint:
    """A trained actor, with the attributes that it can be asked for.

    >>> from music_vae import TrainedModel
    >>> model = TrainedModel.shipped("cat-mel_2bar_mini")
    >>> constraint = of_shipped("cat-mel_2bar_mini")
    >>> for side in ("high", "low"):
    ...     prior = constraint.prior({"note_density": side}, z_size=128)
    ...     (melody,) = model.sample(1, temperature=0.1, prior=prior, seed=1)
    ...     print(side, len(melody.notes))
    high 16
    low 3

    Attributes:
      layers: The layers of the actor, which reads `[z, wanted]` and returns `[target, gate]`.
      attributes: The attributes that the actor knows, in the order of `wanted`.
    """

    def __init__(self, layers: Layers, known: Sequence[Attribute]) -> None:
        """Makes a constraint of the actor's layers and the attributes that it was trained for."""
        self.layers = layers
        self.attributes = tuple(known)

    @property
    def z_size(self) -> int:
        """Width Z of the latent vectors that are moved."""
        return len(self.layers[-1][1]) // 2

    def wanted(self, sides: Mapping[str, str]) -> np.ndarray:
        """Returns the vector `[A]` that asks for these sides of attributes, by name.

        Without any sides it asks for nothing but realism.

        >>> constraint = of_shipped("cat-mel_2bar_mini")
        >>> constraint.wanted({"c_diatonic": "high", "note_density": "low"})
        array([ 1., -1., 0., 0., 0.], dtype=float32)

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
        """Moves latent vectors z `[N, Z]`; `wanted` is `[A]`, the same for all of them."""
        z = np.asarray(z, np.float32)
        wishes = np.broadcast_to(np.asarray(wanted, np.float32), (len(z), len(self.attributes)))
        outputs = small_networks.forward(self.layers, np.concatenate([z, wishes], axis=1))
        target, gate = np.split(outputs, 2, axis=1)
        share = (np.tanh(gate / 2) + 1) / 2  # the sigmoid, which does not overflow
        with np.errstate(over="ignore", invalid="ignore"):  # see `small_networks.forward`
            return (1 - share) * z + share * target

    def prior(self, sides: Mapping[str, str], z_size: int) -> Prior:
        """Returns a prior whose samples, of `z_size` numbers, are moved to the wanted `sides`."""
        wanted = self.wanted(sides)
        return Prior(z_size, lambda z: self.apply(z, wanted))

    def listed(self) -> str:
        """Returns all that can be asked for, as `NAME=SIDE` with commas between."""
        return ", ".join(f"{a.name}={s}" for a in self.attributes for s in a.sides) or "none"

    def write(self, folder: str | Path, owner: Owner, about: Mapping[str, Any]) -> None:
        """Writes the constraint into a folder.

        Args:
          folder: The folder, which is made if it is not there.
          owner: The model that the constraint was trained for.
          about: Further entries for `network.json`, such as how it was trained.
        """
        described = [{**a._asdict(), "sides": list(a.sides)} for a in self.attributes]
        options = {"attributes": described, **about}
        small_networks.write(folder, KIND, owner, self.layers, options)


def read(folder: str | Path, owner: Owner) -> Constraint:
    """Reads the constraint of a model from a folder.

    >>> config, folder = get_config("cat-mel_2bar_mini"), shipped.folder("cat-mel_2bar_mini")
    >>> constraint = read(own_folder(folder), Owner.of(config, folder))
    >>> constraint.attributes[1]
    Attribute(name='note_density', threshold=0.3125, sides=('high', 'low'))

    Raises:
      UserError: If the folder holds no constraint, or that of another model.
    """
    layers, options = small_networks.read(folder, KIND, owner)
    entries = options.get("attributes")
    known = list(map(_attribute, entries)) if isinstance(entries, list) else [None]
    names = {attribute.name for attribute in known if attribute is not None}
    if len(names) != len(known):  # one is wrong, or comes twice
        raise UserError(f"{str(folder)!r} does not describe its attributes")
    small_networks.check_shape(folder, layers, owner.z_size + len(known), 2 * owner.z_size)
    return Constraint(layers, [attribute for attribute in known if attribute is not None])


def _attribute(entry: Any) -> Attribute | None:
    """Returns the attribute that an entry of `network.json` describes; None if it is none."""
    if not isinstance(entry, dict) or not entry.keys() >= set(Attribute._fields):
        return None
    name, threshold, sides = (entry[field] for field in Attribute._fields)
    if not isinstance(name, str) or len(name) > _MAX_NAME or not name.isidentifier():
        return None
    if type(threshold) not in (int, float) or not abs(threshold) <= _MAX_THRESHOLD:  # or NaN
        return None
    if not isinstance(sides, list) or not all(isinstance(side, str) for side in sides):
        return None
    return Attribute(name, float(threshold), tuple(sides)) if SIDES.keys() >= set(sides) else None


def of_shipped(config_name: str) -> Constraint:
    """Returns the constraint that comes with the package's model of a config.

    >>> of_shipped("cat-mel_2bar_mini").listed()
    'c_diatonic=high, c_diatonic=low, note_density=high, note_density=low, ...'

    Raises:
      UserError: If no model of that config, or no constraint for it, comes with the package.
    """
    folder = shipped.folder(config_name)
    return read(own_folder(folder), Owner.of(get_config(config_name), folder))


def labelled(
    converter: "Converter", windows: "Sequence[Window]", asked: Mapping[str, Sequence[str]]
) -> tuple[list[Attribute], np.ndarray]:
    """Finds the thresholds of attributes that divide windows, and labels the windows by them.

    >>> from music_vae import notes_io
    >>> from music_vae.dataset.windows import read_windows
    >>> config = get_config("cat-mel_2bar_small")
    >>> windows = read_windows(notes_io.read_music_file("examples/tunes/soldiers_joy.mid"), config)
    >>> attributes, labels = labelled(config.data_converter, windows, {"note_density": ["high"]})
    >>> attributes
    [Attribute(name='note_density', threshold=0.46875, sides=('high',))]
    >>> labels[:, 0].astype(int).tolist()
    [-1, -1, -1, -1, -1, -1, -1, -1, -1, 1, 1, 1, 1, 1, 1, -1]

    Args:
      converter: The representation of the windows.
      windows: The music whose values the thresholds divide.
      asked: The sides of each attribute that can be asked for, by its name.

    Returns:
      The attributes, and the labels `[N, A]` of the windows: see `Attribute.labels`.

    Raises:
      UserError: For an attribute that does not vary.
    """
    if not asked:
        return [], np.zeros((len(windows), 0))
    measured = corpus.measure_windows(converter, windows)
    known, labels = [], []
    for name, sides in asked.items():
        try:
            known.append(Attribute(name, even_split(measured[name]), tuple(sides)))
        except UserError as error:
            raise UserError(f"{name} cannot be asked for: {error}") from None
        labels.append(known[-1].labels(measured[name]))
    return known, np.stack(labels, axis=1)


def folder_of(choice: str | Path | None, source: str | Path) -> Path:
    """Returns the folder that a user means: the one that was named, or the model's own.

    >>> melodies = shipped.folder("cat-mel_2bar_mini")
    >>> folder_of("darker", melodies).name, folder_of(OWN, melodies).name
    ('darker', 'constraint')
    >>> folder_of(OWN, "examples")
    Traceback (most recent call last):
    music_vae.common.errors.UserError: the model has no constraint of its own: there is no
    examples/constraint; of the models that come with music_vae, cat-mel_2bar_mini has one

    Args:
      choice: A folder; `OWN` or None for the one that lies with the model.
      source: The run, the folder or the file of the model.

    Raises:
      UserError: If the model's own is meant, and there is none.
    """
    if choice not in (None, OWN):
        return Path(choice or "")
    folder = own_folder(source)
    if not folder.exists():
        raise UserError(
            f"the model has no constraint of its own: there is no {folder}; "
            f"{shipped.with_own(own_folder)}",
            hint="music_vae_constrain train makes one",
        )
    return folder


def own_folder(source: str | Path) -> Path:
    """Returns the folder where the constraint of a model lies by default: see `locate.beside`.

    >>> own_folder("models/mel.safetensors").name, own_folder("examples").name
    ('mel.constraint', 'constraint')
    """
    return locate.beside(source, OWN_FOLDER)


def even_split(values: np.ndarray) -> float:
    """Returns the threshold that as near as possible to half of the values `[N]` reach.

    Values that are NaN do not count.

    >>> even_split([0.1, 0.2, 0.7, 0.9])
    0.7

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
    """Returns the wanted side of each attribute, from texts such as 'NAME=high' or 'NAME=low'.

    >>> parse_sides(["note_density=high,c_diatonic=low"], "constrain")
    {'note_density': 'high', 'c_diatonic': 'low'}
    >>> parse_sides(["note_density,c_diatonic=low"], "attributes", all_by_default=True)
    {'note_density': ('high', 'low'), 'c_diatonic': ('low',)}

    Args:
      texts: Texts that each hold one wish, or several with commas between them.
      argument: Name of the argument that the texts were given for, used in messages.
      all_by_default: If True, `NAME` alone, or given with each side, means both sides: the values
        of the result are then tuples of sides.

    Raises:
      UserError: If a text is no wish, or an attribute is named twice.
    """
    wishes: dict[str, tuple[str, ...]] = {}
    for text in ",".join(texts).split(",") if texts else []:
        name, equals, side = (part.strip() for part in text.partition("="))
        sides = tuple(SIDES) if all_by_default and not equals else (side,)
        if not name or not set(sides) <= set(SIDES):
            raise UserError(
                f"`{argument}={text}` is no wish; expected NAME=high or NAME=low, as in "
                "note_density=high"
            )
        if name in wishes and not (all_by_default and side not in wishes[name]):
            raise UserError(f"`{argument}` has {name} twice")
        wishes[name] = (*wishes.get(name, ()), *sides)
    return wishes if all_by_default else {name: sides[0] for name, sides in wishes.items()}
