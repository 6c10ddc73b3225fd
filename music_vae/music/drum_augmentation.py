"""Augmentation of drum windows: patterns put together from several, drawn anew every time.

A model of few windows learns them by heart. One that is shown others in every epoch has to learn to
write down what it hears.
"""

import dataclasses

import numpy as np

from music_vae.common.errors import UserError
from music_vae.music.converters.base import Converter, Example
from music_vae.music.converters.compact import bit_masks


@dataclasses.dataclass(frozen=True)
class DrumAugmenter:
    """How windows are changed, by which probability, in this order.

    Attributes:
      splice: From a random beat on it goes on as another window.
      mix: Every drum is, by an even chance, that of another window.
      drop: The share of its hits that is left out; each window draws its own, from 0 to this.
      add: The share of places without a hit that get one, drawn in the same way.
    """

    splice: float = 0.0
    mix: float = 0.0
    drop: float = 0.0
    add: float = 0.0

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if not 0 <= value <= 1:
                raise UserError(f"{name}={value} is not a probability; expected 0 to 1")

    def augment(self, windows: Example, converter: Converter, rng: np.random.Generator) -> Example:
        """Stacked windows that are made of those that are given, each its own input and output.

        Args:
          windows: Compact examples of one length, `outputs` `[N, T]`.
          converter: What made them, see `check_fits`.
          rng: What chance is drawn from.
        """
        masks, num_drums = windows.outputs, converter.drums_in_mask
        if self.splice:
            masks = self._splice(masks, converter.steps_per_quarter, rng)
        if self.mix:
            masks = self._mix(masks, num_drums, rng)
        masks = masks & ~self._scattered(self.drop, masks, num_drums, rng)
        masks = masks | self._scattered(self.add, masks, num_drums, rng)
        return windows._replace(inputs=masks, outputs=masks)

    def _splice(
        self, masks: np.ndarray, steps_per_beat: int, rng: np.random.Generator
    ) -> np.ndarray:
        num_windows, steps = masks.shape
        cuts = rng.integers(1, max(steps // steps_per_beat, 2), num_windows) * steps_per_beat
        cuts[rng.random(num_windows) >= self.splice] = steps
        return np.where(np.arange(steps) < cuts[:, None], masks, rng.permutation(masks))

    def _mix(self, masks: np.ndarray, num_drums: int, rng: np.random.Generator) -> np.ndarray:
        taken = rng.integers(0, 2**num_drums, (len(masks), 1))
        taken[rng.random(len(masks)) >= self.mix] = 0
        return (masks & ~taken) | (rng.permutation(masks) & taken)

    def _scattered(
        self, most: float, masks: np.ndarray, num_drums: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Masks `[N, T]` of drums that are drawn one by one, by a chance of each window's own."""
        if not most:
            return np.zeros_like(masks)
        chances = rng.random((len(masks), 1, 1)) * most
        return bit_masks(rng.random((*masks.shape, num_drums)) < chances)


def check_fits(augmenter: DrumAugmenter, converter: Converter) -> None:
    """Raises `UserError` unless a converter makes windows of drums that end without a token."""
    fits = converter.drums_in_mask and converter.window_bars and converter.end_token is None
    if not fits:
        raise UserError(
            f"{type(augmenter).__name__} augments windows of drums; expected a DrumsConverter with "
            f"slice_bars and without an end token, got {converter}"
        )
