"""Augments drum windows: puts patterns together from several, drawn anew every time.

A model that is trained on few windows learns them by heart. One that is shown other patterns in
every epoch has to learn to encode any pattern.
"""

import dataclasses

import numpy as np

from music_vae.common.errors import UserError
from music_vae.music.converters.base import Converter, Example
from music_vae.music.converters.compact import bit_masks


@dataclasses.dataclass(frozen=True)
class DrumAugmenter:
    """Splices, mixes, thins and thickens drum windows at random, in this order.

    >>> DrumAugmenter(splice=0.5, drop=0.1)
    DrumAugmenter(splice=0.5, mix=0.0, drop=0.1, add=0.0, every_bar=False)

    Attributes:
      splice: Probability that a window continues as another window from a random beat on.
      mix: Probability that a window takes about half of its drums from another window.
      drop: Largest share of hits that is left out; each window draws its own share from 0 to this.
      add: Largest share of places without a hit that get one, drawn in the same way.
      every_bar: If True, `drop` and `add` change the same places in every bar, so that bars which
        were alike stay alike.

    Raises:
      UserError: If one of the first four is not a probability.
    """

    splice: float = 0.0
    mix: float = 0.0
    drop: float = 0.0
    add: float = 0.0
    every_bar: bool = False

    def __post_init__(self) -> None:
        for name in ("splice", "mix", "drop", "add"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise UserError(f"{name}={value} is not a probability; expected 0 to 1")

    def augment(self, windows: Example, converter: Converter, rng: np.random.Generator) -> Example:
        """Returns as many windows, made of those that are given; inputs equal outputs.

        >>> from music_vae.music.converters.drums import DrumsConverter
        >>> masks = np.array([[1] * 8, [2] * 8])  # two beats of bass drum, two beats of snare
        >>> windows, rng = Example(masks, masks, None, np.array([8, 8])), np.random.default_rng(0)
        >>> DrumAugmenter(splice=1.0).augment(windows, DrumsConverter(), rng).outputs.tolist()
        [[1, 1, 1, 1, 2, 2, 2, 2], [2, 2, 2, 2, 1, 1, 1, 1]]

        Args:
          windows: Stacked compact examples of one length, `outputs` `[N, T]`.
          converter: The converter that made them, see `check_fits`.
          rng: The source of randomness.
        """
        masks, num_drums = windows.outputs, converter.drums_in_mask
        if self.splice:
            masks = self._splice(masks, converter.steps_per_quarter, rng)
        if self.mix:
            masks = self._mix(masks, num_drums, rng)
        period = converter.steps_per_bar if self.every_bar else masks.shape[1]
        masks = masks & ~self._scattered(self.drop, masks, num_drums, period, rng)
        masks = masks | self._scattered(self.add, masks, num_drums, period, rng)
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
        self,
        most: float,
        masks: np.ndarray,
        num_drums: int,
        period: int,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """Draws masks `[N, T]` drum by drum, which repeat after `period` steps.

        Each window has a chance of its own, up to `most`.
        """
        if not most:
            return np.zeros_like(masks)
        num_windows, steps = masks.shape
        chances = rng.random((num_windows, 1, 1)) * most
        drawn = bit_masks(rng.random((num_windows, min(period, steps), num_drums)) < chances)
        return drawn[:, np.arange(steps) % period]


def check_fits(augmenter: DrumAugmenter, converter: Converter) -> None:
    """Raises `UserError` unless a converter makes drum windows without an end token.

    >>> from music_vae.music.converters.drums import DrumsConverter
    >>> check_fits(DrumAugmenter(mix=0.5), DrumsConverter(slice_bars=2))
    >>> check_fits(DrumAugmenter(mix=0.5), DrumsConverter())  # whole tracks of any length
    Traceback (most recent call last):
    ...
    music_vae.common.errors.UserError: DrumAugmenter augments windows of drums; ...
    """
    fits = converter.drums_in_mask and converter.window_bars and converter.end_token is None
    if not fits:
        raise UserError(
            f"{type(augmenter).__name__} augments windows of drums; expected a DrumsConverter with "
            f"slice_bars and without an end token, got {converter}"
        )
