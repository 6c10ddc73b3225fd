"""The seeds that a user may give, and the seeds that are drawn for what is computed inside.

Needs NumPy only where a seed is drawn.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

MAX_SEED = 2**63 - 1
"""The largest seed that commands and settings accept: the largest integer of 64 bits."""

_MAX_DRAWN = 2**31 - 1  # fits in 32 bits, which is all that some generators take


def draw(rng: "np.random.Generator | None" = None) -> int:
    """Draws a seed from 0 to 2**31 - 1, both included.

    A call takes the next number of `rng`, so that one seed repeats all that is drawn after it.
    Without `rng`, the seed is drawn by chance.

        >>> import numpy as np
        >>> draw(np.random.default_rng(1))
        1016164991
    """
    import numpy as np

    rng = np.random.default_rng() if rng is None else rng
    return int(rng.integers(_MAX_DRAWN, endpoint=True))
