"""A model's weights by name and shape; what is wrong with them is said before they are used."""

from collections.abc import Mapping

import numpy as np

from music_vae.common import weight_names as names
from music_vae.common.errors import UserError
from music_vae.weights.fit import check_fit


class Weights:
    """Hands out float32 arrays by published name, or only notes which are wanted.

    float16 is widened when it is handed out; float32 is handed out as it is, read or not.

    Attributes:
      wanted: Shapes of the weights that were taken, by name.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], source: str, *, survey: bool = False):
        """Args:
        arrays: float32 or float16 arrays by name.
        source: Where they come from, for messages.
        survey: Hand out zeros instead and read nothing, so that `check` comes first.
        """
        self._arrays = arrays
        self._source = source
        self._survey = survey
        self.wanted: dict[str, tuple[int, ...]] = {}

    def take(self, name: str, *shape: int) -> np.ndarray:
        """The weight `name` of this shape."""
        self.wanted[name] = shape
        if self._survey:
            return np.broadcast_to(np.float32(0), shape)
        return np.asarray(self._arrays[name], np.float32)

    def dense(self, layer: str, size: int, units: int) -> tuple[np.ndarray, np.ndarray]:
        """Kernel `[size, units]` and bias `[units]` of a layer."""
        kernel = self.take(names.kernel(layer), size, units)
        return kernel, self.take(names.bias(layer), units)

    def check(self, *, with_encoder: bool) -> None:
        """Raises `UserError` if the arrays are not what was taken; see `fit.check_fit`."""
        found = {name: tuple(array.shape) for name, array in self._arrays.items()}
        check_fit(self.wanted, found, self._source, with_encoder=with_encoder)
        for name in self.wanted:
            dtype = self._arrays[name].dtype
            if dtype not in (np.float32, np.float16):
                raise UserError(f"{self._source}: {name} is {dtype}; expected float32 or float16")
