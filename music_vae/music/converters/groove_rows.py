"""Lays out the hits, velocities and offsets of a groove as rows of numbers or of bins.

A grid `[..., T, 3, drums]` has the three numbers of every drum at every step. Compact rows hold
these numbers for a step or for one drum of it; dense rows are what a model reads and makes.
"""

import dataclasses

import numpy as np

from music_vae.common.constants import MAX_MIDI_VELOCITY
from music_vae.music.converters.compact import PAD, one_hot
from music_vae.music.symbols import HALF_STEPS

HIT, VELOCITY, OFFSET = 0, 1, 2
"""The places of a drum's three numbers on the axis of length 3."""

_LAST_BIN_MARGIN = 0.0001  # by which the last edge of bins lies above the largest value


@dataclasses.dataclass(frozen=True)
class GrooveRows:
    """Converts grids of a groove to rows and back.

    >>> step = np.array([[[1, 0], [0.8, 0], [-0.1, 0]]])  # hits, velocities, offsets of two drums
    >>> GrooveRows(num_drums=2).to_rows(step).tolist()
    [[1.0, 0.0, 0.8, 0.0, -0.1, 0.0]]
    >>> GrooveRows(num_drums=2, split_instruments=True).to_rows(step).tolist()
    [[1.0, 0.8, -0.1], [0.0, 0.0, 0.0]]

    Attributes:
      num_drums: Number of drum classes.
      split_instruments: If True, a row is one drum of a step; else a whole step.
      num_velocity_bins: Number of bins of velocities in dense rows; None: they stay numbers.
      num_offset_bins: Number of bins of offsets, None as for velocities.
    """

    num_drums: int
    split_instruments: bool = False
    num_velocity_bins: int | None = None
    num_offset_bins: int | None = None

    @property
    def drums_per_row(self) -> int:
        """Number of drums in a row."""
        return 1 if self.split_instruments else self.num_drums

    @property
    def rows_per_step(self) -> int:
        """Number of rows that make up a step."""
        return self.num_drums if self.split_instruments else 1

    @property
    def widths(self) -> tuple[int, int, int]:
        """Columns of all hits, of all velocities and of all offsets in a dense row."""
        drums = self.drums_per_row
        return drums, drums * (self.num_velocity_bins or 1), drums * (self.num_offset_bins or 1)

    def to_rows(self, grid: np.ndarray) -> np.ndarray:
        """Converts grids `[..., T, 3, drums]` to compact rows; `to_grid` is the inverse."""
        if self.split_instruments:
            return grid.swapaxes(-1, -2).reshape(*grid.shape[:-3], -1, 3)
        return grid.reshape(*grid.shape[:-2], -1)

    def to_grid(self, rows: np.ndarray) -> np.ndarray:
        """Converts compact rows to grids `[..., T, 3, drums]`."""
        if self.split_instruments:
            return rows.reshape(*rows.shape[:-2], -1, self.num_drums, 3).swapaxes(-1, -2)
        return rows.reshape(*rows.shape[:-1], 3, -1)

    def dense(self, rows: np.ndarray) -> np.ndarray:
        """Converts compact rows to dense ones, float32 in bins; NaN rows become zeros."""
        if self.num_velocity_bins is None or self.num_offset_bins is None:
            return np.nan_to_num(rows)
        hits, velocities, offsets = np.split(rows, 3, axis=-1)
        parts = (
            np.nan_to_num(hits),
            _binned(velocities, 0, 1, self.num_velocity_bins),
            _binned(offsets, -1, 1, self.num_offset_bins),
        )
        return np.concatenate(parts, axis=-1, dtype=np.float32)

    def split(self, rows: np.ndarray) -> list[np.ndarray]:
        """Returns the columns of hits, velocities and offsets of dense rows `[T, ...]`.

        Rows of a last step that is not complete are left out.
        """
        whole = len(rows) - len(rows) % self.rows_per_step
        return np.split(rows[:whole], np.cumsum(self.widths)[:-1], axis=-1)

    def played(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns hits, velocities (0 to 127) and offsets of dense rows, each `[T, drums]`.

        Offsets are in steps, positive is early.
        """
        hits, velocities, offsets = self.split(rows)
        if self.num_velocity_bins is None or self.num_offset_bins is None:
            velocities = np.round(velocities * MAX_MIDI_VELOCITY)
            offsets = offsets / HALF_STEPS
        else:
            velocities = _lower_edges(velocities, self.num_velocity_bins) * MAX_MIDI_VELOCITY
            offsets = _lower_edges(offsets, self.num_offset_bins) - 0.5
        shape = -1, self.num_drums
        return (
            hits.reshape(shape),
            velocities.clip(0, MAX_MIDI_VELOCITY).reshape(shape),
            offsets.clip(-0.5, 0.5).reshape(shape),
        )


def _binned(values: np.ndarray, low: float, high: float, number: int) -> np.ndarray:
    """Converts numbers `[..., N]` to one-hot bins `[..., N * number]`; NaN becomes zeros.

    Bin k holds what lies above edge k - 1, up to and including edge k, where the `number` edges
    are spaced evenly from `low` to a little above `high`.
    """
    edges = np.linspace(low, high + _LAST_BIN_MARGIN, number)
    bins = np.minimum(np.digitize(values, edges, right=True), number - 1)
    one_hot_bins = one_hot(np.where(np.isnan(values), PAD, bins), number)
    return one_hot_bins.reshape(*values.shape[:-1], -1)


def _lower_edges(scores: np.ndarray, number: int) -> np.ndarray:
    """Converts scores of bins `[..., N * number]` to the best bin's index / `number`."""
    return np.argmax(scores.reshape(*scores.shape[:-1], -1, number), axis=-1) / number
