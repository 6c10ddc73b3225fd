"""A model's weights by name and shape; what is wrong with them is said before they are used."""

from collections.abc import Mapping

import numpy as np

from music_vae import weight_names as names
from music_vae.errors import UserError


class Weights:
    """Hands out float32 arrays by published name, or only notes which are wanted.

    float16 is widened when it is handed out; float32 is handed out as it is, read or not.

    Attributes:
      wanted: Shapes of the weights that were taken, by name.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], source: str, *, survey: bool = False):
        """Args:
        arrays: float32 or float16 arrays by name; more than are needed do no harm.
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

    def check(self) -> None:
        """Raises `UserError` if a weight that was taken is missing or has another shape or type."""
        missing = [name for name in self.wanted if name not in self._arrays]
        if missing:
            raise UserError(
                f"{self._source} lacks {len(missing)} of {len(self.wanted)} weights of this "
                f"config: {', '.join(missing)}; is it a checkpoint of another config?"
            )
        for name, shape in self.wanted.items():
            found = self._arrays[name]
            if found.shape != shape:
                raise UserError(
                    f"{self._source} is a checkpoint of another config or other --hparams: {name} "
                    f"has shape {list(found.shape)}, expected {list(shape)}"
                )
            if found.dtype not in (np.float32, np.float16):
                raise UserError(
                    f"{self._source}: {name} is {found.dtype}; expected float32 or float16"
                )
