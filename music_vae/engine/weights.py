"""A model's weights by name and shape; what is wrong with them is said before they are used."""

from collections.abc import Mapping

import numpy as np

from music_vae.common.errors import UserError
from music_vae.common.model_spec import ModelSpec
from music_vae.common.plans import DensePlan
from music_vae.weights.fit import check_fit


class Weights:
    """Hands out float32 arrays by published name.

    float16 is widened when it is handed out; float32 is handed out as it is, read or not.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        """`arrays` are float32 or float16, by name."""
        self._arrays = arrays

    def take(self, name: str) -> np.ndarray:
        """The weight of this name."""
        return np.asarray(self._arrays[name], np.float32)

    def dense(self, plan: DensePlan) -> tuple[np.ndarray, np.ndarray]:
        """Kernel `[input_size, units]` and bias `[units]` of a layer."""
        return self.take(plan.kernel), self.take(plan.bias)

    def check(self, spec: ModelSpec, source: str) -> None:
        """Raises `UserError` if these are not the weights of such a model; see `fit.check_fit`.

        Nothing is read for it. `source` says where they come from.
        """
        wanted = spec.weight_shapes
        found = {name: tuple(array.shape) for name, array in self._arrays.items()}
        check_fit(wanted, found, source, with_encoder=spec.encoder is not None)
        for name in wanted:
            dtype = self._arrays[name].dtype
            if dtype not in (np.float32, np.float16):
                raise UserError(f"{source}: {name} is {dtype}; expected float32 or float16")
