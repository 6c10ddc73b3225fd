"""Batches of examples, dense or compact, and how compact arrays become dense."""

from typing import Any, NamedTuple


class Batch(NamedTuple):
    """Examples side by side, padded with zeros to T steps; arrays or tensors.

    Attributes:
      inputs: float32 `[B, T, Din]`, what the encoder reads.
      targets: float32 `[B, T, Dout]`, what the decoder should give.
      controls: float32 `[B, T, Dc]`; Dc is 0 without controls.
      lengths: int32 `[B]`, valid steps; `[B, S]`, those of each segment, where there are segments.
    """

    inputs: Any
    targets: Any
    controls: Any
    lengths: Any


class CompactBatch(NamedTuple):
    """The same examples in compact form: a byte or two a step, for the way to the device.

    Attributes:
      inputs: `[B, T]` or `[B, T, C]`; see `Compact` for what they stand for.
      targets: `[B, T]` or `[B, T, C]`.
      controls: `[B, T]` or `[B, T, C]`; float32 `[B, T, 0]` without controls.
      lengths: As in `Batch`.
    """

    inputs: Any
    targets: Any
    controls: Any
    lengths: Any


class OneHot(NamedTuple):
    """Class indices, `[..., T]` or side by side `[..., T, C]`, to one-hots of these depths."""

    depths: tuple[int, ...]


class Roll(NamedTuple):
    """Bit masks `[..., T]` to a column for each bit, and perhaps one for 'none of them'."""

    depth: int
    has_nothing: bool = False


class Numbers(NamedTuple):
    """Numbers `[..., T, D]` as they are; NaN to zeros."""


class Compact(NamedTuple):
    """How compact arrays become dense; padding becomes zeros.

    Attributes:
      inputs: Of inputs.
      outputs: Of outputs.
      controls: Of controls, if there are any.
    """

    inputs: OneHot | Roll | Numbers
    outputs: OneHot | Roll | Numbers
    controls: OneHot | Roll | Numbers = Numbers()
