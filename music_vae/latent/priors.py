"""Fitted priors: samples are drawn from where the latent vectors of music lie.

A model is trained towards a normal prior, but the latent vectors of real music fill a small part of
it, so that a point drawn from N(0, 1) is seldom one of music. A fitted prior is a mixture of
Gaussians (`gaussian_mixture`), fitted to the posteriors of the windows that the model was trained
on. Points are drawn nearer to the means of the components than those posteriors lie: samples are
then more like music, and still no more often copies of a window than other music is.

The prior of a model is one file, `prior.safetensors`, beside its weights. It belongs to one
training of the model.
"""

import dataclasses
import logging
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from music_vae.common import checks, files, progress
from music_vae.common.errors import UserError
from music_vae.latent import gaussian_mixture
from music_vae.latent.gaussian_mixture import Mixture
from music_vae.latent.latent_space import Prior
from music_vae.latent.small_networks import Owner
from music_vae.weights import locate, safetensors_file, shipped
from music_vae.weights.safetensors_file import SUFFIX, WeightsFile

if TYPE_CHECKING:
    from music_vae.configs import Config

PRIOR_FILE = f"prior{SUFFIX}"
"""Name of the file of the prior beside the weights of a model."""

FITTED, NORMAL = "fitted", "normal"
CHOICES = (FITTED, NORMAL)
"""Names of the priors of a model: the one fitted to music, and N(0, 1)."""

NUM_COMPONENTS = 2000
"""Number of components by default."""

SPREAD, NOISE = 0.3, 0.8
"""Shares of the standard deviations between and within posteriors that points are drawn with."""


_KIND = "kind"
_MIXTURE = "fitted prior"
_WEIGHTS = "weights_key"
_WINDOWS = "windows"
_WINDOWS_OF_A_COMPONENT = 10  # at least, on average
_NUM_STEPS = 8
_STEPS_FOR_AXES, _COMPONENTS_FOR_AXES = 5, 100
_LARGEST = 1000.0  # far beyond any latent vector

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, eq=False)
class FittedPrior:
    """A mixture of Gaussians that latent vectors are drawn from.

    >>> middle = Mixture(np.ones(1), np.array([[3.0, 0.0]]), np.zeros((1, 2)), np.zeros((1, 2)))
    >>> turned = FittedPrior(middle, np.array([[0.0, 1.0], [1.0, 0.0]]), num_windows=1)
    >>> turned.prior().points(np.zeros((1, 3)))
    array([[0., 3.]], dtype=float32)

    Attributes:
      mixture: The mixture, over axes of its own.
      axes: Its axes in the latent space, the columns of an orthogonal matrix `[Z, Z]`.
      num_windows: Number of windows that it was fitted to.
    """

    mixture: Mixture
    axes: np.ndarray
    num_windows: int

    def prior(self, spread: float = SPREAD, noise: float = NOISE) -> Prior:
        """Returns the prior that draws from the mixture, or from a narrower one.

        With a spread and a noise of 1 the points have the distribution of the mixture, with 0 they
        are the means of its components.

        Args:
          spread: Share of the standard deviation between the posteriors of a component.
          noise: Share of the standard deviation within the posteriors.
        """
        deviations = self.deviations(spread, noise)
        limits = np.cumsum(self.mixture.weights)[:-1]

        def points(normal: np.ndarray) -> np.ndarray:
            uniform = [0.5 * math.erfc(-number / math.sqrt(2)) for number in normal[:, 0]]
            chosen = np.searchsorted(limits, uniform, side="right")
            drawn = self.mixture.means[chosen] + deviations[chosen] * normal[:, 1:]
            return (drawn @ self.axes.T).astype(np.float32)

        return Prior(1 + len(self.axes), points)

    def deviations(self, spread: float = SPREAD, noise: float = NOISE) -> np.ndarray:
        """Returns the standard deviations `[K, Z]` of drawn points, along the mixture's axes."""
        return np.sqrt(spread**2 * self.mixture.between + noise**2 * self.mixture.within)

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """Returns the logarithm `[N]` of the mixture's density at latent vectors `[N, Z]`."""
        return gaussian_mixture.log_density(self.mixture, np.asarray(z, np.float64) @ self.axes)

    def write(self, path: str | Path, owner: Owner) -> None:
        """Writes the prior to a file with float16 numbers.

        Args:
          path: The `.safetensors` file.
          owner: The model whose windows it was fitted to.
        """
        arrays = {**self.mixture._asdict(), "axes": self.axes}
        for name in ("between", "within"):  # their squares may be too small for float16
            arrays[name] = np.sqrt(arrays[name])
        arrays["weights"] = self.mixture.weights * len(self.mixture.weights)
        metadata = {_KIND: _MIXTURE, "config": owner.config, _WEIGHTS: owner.weights_key}
        metadata[_WINDOWS] = str(self.num_windows)
        safetensors_file.write(path, arrays, metadata, dtype="float16")


def fit(
    mu: np.ndarray, sigma: np.ndarray, *, num_components: int = NUM_COMPONENTS, seed: int = 0
) -> FittedPrior:
    """Fits a prior to the posteriors of windows; shows progress.

    >>> rng = np.random.default_rng(0)
    >>> mu = rng.choice([-3.0, 3.0], (400, 1)) * [1, 1] + rng.normal(0, 0.1, (400, 2))
    >>> found = fit(mu, np.full((400, 2), 0.2))
    >>> z = found.prior().points(rng.standard_normal((500, 3)))
    >>> np.abs(z).mean(axis=0).round(1).tolist(), bool((z.prod(axis=1) > 0).all())  # no (3, -3)
    ([3.0, 3.0], True)

    Args:
      mu: Means of the posteriors, `[N, Z]`.
      sigma: Standard deviations of the posteriors, `[N, Z]`.
      num_components: Number of components; fewer are fitted to less than ten windows for each.
      seed: Seed of the choice of the windows that the components begin with.

    Raises:
      UserError: If there are no windows, posteriors that are not finite, or too many components.
    """
    if not len(mu) or not (np.isfinite(mu).all() and np.isfinite(sigma).all()):
        raise UserError(f"a prior cannot be fitted to {len(mu)} posteriors, or not all are finite")
    checks.check_number("components", num_components, checks.COMPONENTS)
    number = max(min(num_components, len(mu) // _WINDOWS_OF_A_COMPONENT), 1)
    rng = np.random.default_rng(seed)
    first = min(number, _COMPONENTS_FOR_AXES)
    steps = range(_STEPS_FOR_AXES)
    axes = gaussian_mixture.axes_within(gaussian_mixture.fit(mu, sigma**2, first, steps, rng), mu)
    bar: Iterable[int] = progress.bar(range(_NUM_STEPS), "fitting", unit="step")
    mixture = gaussian_mixture.fit(mu @ axes, sigma**2 @ axes**2, number, bar, rng)
    return FittedPrior(mixture, axes, len(mu))


def read(path: str | Path, owner: Owner) -> FittedPrior:
    """Reads the prior of a model from a file.

    >>> from tempfile import TemporaryDirectory
    >>> owner = Owner("cat-mel_2bar_small", z_size=2, weights_key="0a1b")
    >>> with TemporaryDirectory() as folder:
    ...     fit(np.eye(2), np.ones((2, 2))).write(f"{folder}/prior.safetensors", owner)
    ...     read(f"{folder}/prior.safetensors", owner).mixture.means.shape
    (1, 2)

    Raises:
      UserError: If the file holds no prior, that of another model, or one that is damaged.
    """
    file = WeightsFile(path)
    names = (*Mixture._fields, "axes")
    if file.metadata.get(_KIND) != _MIXTURE or set(file) != set(names):
        raise UserError(f"{str(path)!r} holds no fitted prior; music_vae_prior makes one")
    if file.metadata.get(_WEIGHTS) != owner.weights_key:
        raise UserError(
            f"{str(path)!r} has the prior of another model: of {file.metadata.get('config')} with "
            f"other weights than those of this {owner.config}; music_vae_prior makes a new one"
        )
    _check_shapes(path, file, owner.z_size)
    arrays = {name: np.array(file[name], np.float32) for name in names}
    if not all(np.isfinite(a).all() and (np.abs(a) <= _LARGEST).all() for a in arrays.values()):
        raise UserError(f"{str(path)!r} has numbers that no prior has")
    if not all((arrays[name] >= 0).all() for name in ("weights", "between", "within")):
        raise UserError(f"{str(path)!r} has weights or deviations below 0")
    total = arrays["weights"].sum(dtype=np.float64)
    if not total > 0:
        raise UserError(f"{str(path)!r} has no component of any weight")
    arrays["weights"] = arrays["weights"] / total
    axes = arrays.pop("axes")
    for name in ("between", "within"):
        arrays[name] = arrays[name] ** 2
    windows = file.metadata.get(_WINDOWS, "")
    return FittedPrior(Mixture(**arrays), axes, int(windows) if windows.isdecimal() else 0)


def check_replaceable(path: str | Path) -> None:
    """Raises `UserError` if there is a file that is no fitted prior, and so must not be replaced.

    >>> check_replaceable("music_vae/models/cat-mel_2bar_mini/weights.safetensors")
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `output=.../weights.safetensors` is there and holds no ...
    """
    try:
        kind = WeightsFile(path).metadata.get(_KIND)
    except UserError:
        kind = None
    if kind != _MIXTURE:
        raise UserError(
            f"`output={path}` is there and holds no fitted prior; name a file that is not there"
        )


def check_choice(choice: str | None) -> None:
    """Raises `UserError` for a choice that `find` cannot read.

    >>> check_choice("gaussian")
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `prior=gaussian`: expected fitted, normal or the name ...
    """
    if choice not in (None, *CHOICES) and not str(choice).endswith(SUFFIX):
        raise UserError(
            f"`prior={choice}`: expected {', '.join(CHOICES)} or the name of a {SUFFIX} file"
        )


def find(choice: str | None, config: "Config", source: str | Path) -> FittedPrior | None:
    """Returns the fitted prior of a model; None for N(0, 1). A line in the log names a fitted one.

    >>> from music_vae.configs import get_config
    >>> print(find("normal", get_config("cat-mel_2bar_mini"), "models/mel.safetensors"))
    None

    Args:
      choice: "fitted", the prior beside the weights; the name of another file of a fitted prior;
        or "normal". None: the fitted one if there is one beside the weights, else the normal one.
      config: Config of the model.
      source: The run, the folder or the file of the model.

    Raises:
      UserError: If a fitted prior is asked for and there is none, or the one that is there is of
        another model or damaged.
    """
    check_choice(choice)
    if choice not in (None, NORMAL) and not config.hparams.latent_size:
        raise UserError(f"`prior={choice}`: {config.name} has no latent space")
    if choice == NORMAL or not config.hparams.latent_size:
        return None
    found = default_path(source) if choice in (None, FITTED) else files.expand(choice or "")
    if choice is None and not found.is_file():
        return None
    if not found.is_file():
        which = f"; {shipped.with_own(default_path)}" if choice == FITTED else ""
        raise UserError(
            f"`prior={choice}`: there is no {found}{which}",
            hint="music_vae_prior fit makes a prior of a model",
        )
    try:
        fitted = read(found, Owner.of(config, source))
    except UserError as error:
        raise UserError(str(error), hint="`prior=normal` draws without it") from error
    _log.info("samples come from the prior in %s, fitted to %d windows", found, fitted.num_windows)
    return fitted


def choose(choice: str | None, config: "Config", source: str | Path) -> Prior | None:
    """Returns the prior that `find` finds, to draw from; None for N(0, 1).

    >>> from music_vae.configs import get_config
    >>> choose("mel.prior.safetensors", get_config("cat-mel_2bar_mini"), "models/mel.safetensors")
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `prior=mel.prior.safetensors`: there is no ...
    """
    fitted = find(choice, config, source)
    return None if fitted is None else fitted.prior()


def default_path(source: str | Path) -> Path:
    """Returns the path where the prior of a model is kept by default; see `locate.beside`.

    >>> default_path("models/mel.safetensors").name, default_path("examples").name
    ('mel.prior.safetensors', 'prior.safetensors')
    """
    return locate.beside(source, PRIOR_FILE)


def _check_shapes(path: str | Path, file: WeightsFile, z_size: int) -> None:
    """Raises `UserError` unless the arrays have the shapes of a prior that is not too large."""
    number = len(file["weights"]) if file["weights"].ndim == 1 else 0
    expected: dict[str, tuple[int, ...]] = dict.fromkeys(Mixture._fields, (number, z_size))
    expected |= {"weights": (number,), "axes": (z_size, z_size)}
    shapes = {name: file[name].shape for name in expected}
    if shapes != expected or number not in checks.COMPONENTS:
        listed = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
        raise UserError(
            f"{str(path)!r} has arrays that make no prior over {z_size} numbers: {listed}"
        )
