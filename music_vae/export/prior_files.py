"""Writes the fitted prior of a model for other programs: `prior.json` and `prior.bin`.

`prior.json` says how the numbers in `prior.bin` lie, and how a point is drawn with them.
"""

from pathlib import Path

import numpy as np

from music_vae.export import packed_arrays
from music_vae.latent.priors import FittedPrior

PRIOR_FILE = "prior.json"
NUMBERS_FILE = "prior.bin"
FORMAT_VERSION = 1
"""Version of the format of `prior.json`."""

_USE = [
    "k = the first component whose cumulative weight is above u, with u uniform in [0, 1)",
    "e = as many standard normal numbers as z has",
    "z = axes @ (means[k] + deviations[k] * e)",
]


def write(fitted: FittedPrior | None, folder: Path) -> list[Path]:
    """Writes a prior into the folder of an exported model; returns the paths of the files.

    >>> import json, tempfile
    >>> from music_vae.latent import priors
    >>> fitted = priors.fit(np.eye(2), np.ones((2, 2)))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write(fitted, Path(folder))
    ...     described = json.loads((Path(folder) / PRIOR_FILE).read_text())
    ...     described["arrays"], (Path(folder) / described["file"]).stat().st_size
    ({'cumulative_weights': [1], 'means': [1, 2], 'deviations': [1, 2], 'axes': [2, 2]}, 36)

    Args:
      fitted: The prior; None: the normal prior, for which nothing is written.
      folder: The folder, which is there.
    """
    if fitted is None:
        return []
    cumulative = np.cumsum(fitted.mixture.weights, dtype=np.float64)
    arrays = {
        "cumulative_weights": cumulative / cumulative[-1],
        "means": fitted.mixture.means,
        "deviations": fitted.deviations(),
        "axes": fitted.axes,
    }
    described = {
        "format": "music_vae.prior",
        "format_version": FORMAT_VERSION,
        "z": len(fitted.axes),
    }
    return packed_arrays.write(folder / PRIOR_FILE, folder / NUMBERS_FILE, described, arrays, _USE)
