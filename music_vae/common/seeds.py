"""Draws seeds, and makes random generators from them.

Needs NumPy only where a seed is drawn.
"""

import numbers
from typing import TYPE_CHECKING

from music_vae.common.errors import UserError

if TYPE_CHECKING:
    import numpy as np

MAX_SEED = 2**63 - 1
"""The largest seed that commands and settings accept: the largest integer of 64 bits."""

_MAX_DRAWN = 2**31 - 1  # fits in 32 bits, which is all that some generators take


def draw(rng: "np.random.Generator | None" = None) -> int:
    """Draws a seed from 0 to 2**31 - 1, both included.

    A call takes the next number of `rng`, so that one seed repeats all draws after it. Without
    `rng`, the seed is drawn by chance.

        >>> import numpy as np
        >>> draw(np.random.default_rng(1))
        1016164991
    """
    import numpy as np

    rng = np.random.default_rng() if rng is None else rng
    return int(rng.integers(_MAX_DRAWN, endpoint=True))


def generator(seed: int | None) -> "np.random.Generator":
    """Returns NumPy's random generator for a seed; without a seed, every call gives another one.

        >>> generator(1).integers(10, size=3).tolist()
        [4, 5, 7]

    Raises:
      UserError: For a seed below 0, or that is no whole number.
    """
    import numpy as np

    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, numbers.Integral)):
        raise UserError(f"`seed={seed!r}` must be a whole number or None")
    if seed is not None and seed < 0:
        raise UserError(f"`seed={seed}` must not be below 0")
    return np.random.default_rng(seed)
