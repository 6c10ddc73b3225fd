"""Takes those components out of a fitted prior that make copies of the music it was fitted to.

A component over windows that are nearly the same, as those of a loop are, gives this music again.
Music is drawn from every component, and those of which a piece is a copy are left out.
"""

import logging
from collections.abc import Set
from typing import TYPE_CHECKING

import numpy as np

from music_vae.common import progress
from music_vae.latent.priors import FittedPrior

if TYPE_CHECKING:
    from music_vae.engine.array_model import ArrayModel

TEMPERATURE = 0.5
"""The temperature at which music is drawn: that of `music_vae_generate` by default."""

_DRAWS = 4  # pieces of each component

_log = logging.getLogger(__name__)


def without_copies(
    fitted: FittedPrior, model: "ArrayModel", keys: Set[bytes], *, seed: int = 0
) -> FittedPrior:
    """Returns a prior without the components that make copies; shows progress.

    If all components make copies, as of very little music, the prior stays as it is, with a
    warning.

    >>> from music_vae import TrainedModel
    >>> from music_vae.latent import priors
    >>> model = TrainedModel.shipped("cat-mel_2bar_mini")
    >>> near_zero = priors.fit(np.zeros((20, 128)), np.full((20, 128), 0.1))
    >>> len(without_copies(near_zero, model, keys=set()).mixture.weights)  # nothing to copy
    2

    Args:
      fitted: The prior.
      model: A model without controls, whose prior it is.
      keys: `Converter.window_key` of the windows that it was fitted to.
      seed: Seed of what is drawn.
    """
    rng = np.random.default_rng([seed, 1])
    mixture, deviations = fitted.mixture, fitted.deviations()
    copies = np.zeros(len(mixture.weights), bool)
    for draw in progress.bar(range(_DRAWS), "looking for copies", unit="draw"):
        along = mixture.means + deviations * rng.standard_normal(deviations.shape)
        made = model.decode_to_tensors(along @ fitted.axes.T, None, TEMPERATURE, seed=seed + draw)
        converter = model.converter
        copies |= [converter.window_key(converter.symbols(one)) in keys for one in made]
    if copies.all():
        _log.warning("all components of the prior make copies; there is little music")
        return fitted
    _log.info("%d of %d components make copies and are left out", copies.sum(), len(copies))
    kept = type(mixture)(*(array[~copies] for array in mixture))
    kept = kept._replace(weights=kept.weights / kept.weights.sum())
    return FittedPrior(kept, fitted.axes, fitted.num_windows)
