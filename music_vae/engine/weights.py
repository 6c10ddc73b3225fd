"""Defines `Weights`, a model's weights by name, which are checked before they are used."""

from collections.abc import Mapping

import numpy as np

from music_vae.common.errors import UserError
from music_vae.common.model_spec import ModelSpec
from music_vae.common.plans import DensePlan
from music_vae.weights.fit import check_finite, check_fit


class Weights:
    """The weights of a model, as float32 arrays by published name.

    float16 is widened when an array is taken; float32 is handed out without a copy.

    >>> weights = Weights({"encoder/mu/bias": np.array([0.5, 1.5], np.float16)})
    >>> weights.take("encoder/mu/bias")
    array([0.5, 1.5], dtype=float32)
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Takes float32 or float16 arrays by name."""
        self._arrays = arrays

    def take(self, name: str) -> np.ndarray:
        """Returns the weight of this name.

        Raises:
          UserError: If it has numbers that are not finite, as after training that diverged.
        """
        return check_finite(name, np.asarray(self._arrays[name], np.float32))

    def dense(self, plan: DensePlan) -> tuple[np.ndarray, np.ndarray]:
        """Returns the kernel `[input_size, units]` and the bias `[units]` of a layer."""
        return self.take(plan.kernel), self.take(plan.bias)

    def check(self, spec: ModelSpec, source: str) -> None:
        """Raises `UserError` if these are not the weights of such a model; see `fit.check_fit`.

        Only names, shapes and types are looked at; no array is read. `source` names the origin of
        the weights in messages.
        """
        wanted = spec.weight_shapes
        shapes = {name: tuple(array.shape) for name, array in self._arrays.items()}
        check_fit(wanted, shapes, source, with_encoder=spec.encoder is not None)
        for name in wanted:
            dtype = self._arrays[name].dtype
            if dtype not in (np.float32, np.float16):
                raise UserError(f"{source}: {name} is {dtype}; expected float32 or float16")
