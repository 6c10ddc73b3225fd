"""Defines batches of examples, dense or compact, and the forms in which arrays are compact.

A model computes with one-hot vectors and rolls, which are mostly zeros. In compact form a step
takes a byte or two, which is all that is kept in memory and sent to the device.
"""

from typing import Any, NamedTuple


class Batch(NamedTuple):
    """Examples side by side, padded with zeros to T steps; arrays or tensors.

    >>> import numpy as np
    >>> steps = np.eye(3)[[[2, 0, 1]]]  # one example of three steps with three classes
    >>> batch = Batch(steps, steps, np.zeros((1, 3, 0)), np.array([3]))
    >>> batch.targets.shape, batch.lengths
    ((1, 3, 3), array([3]))

    Attributes:
      inputs: Steps that the encoder reads, float32 `[B, T, Din]`.
      targets: Steps that the decoder should give, float32 `[B, T, Dout]`.
      controls: Controls of each step, float32 `[B, T, Dc]`; Dc is 0 without controls.
      lengths: Numbers of valid steps, int32 `[B]`; in a hierarchy those of the segments, `[B, S]`.
    """

    inputs: Any
    targets: Any
    controls: Any
    lengths: Any


class CompactBatch(NamedTuple):
    """Examples side by side in compact form, a byte or two for each step.

    A `Compact` says how it becomes a `Batch`.

    >>> import numpy as np
    >>> classes = np.array([[2, 0, 1]], np.int8)
    >>> CompactBatch(classes, classes, np.zeros((1, 3, 0)), np.array([3])).inputs.nbytes
    3

    Attributes:
      inputs: Steps that the encoder reads, `[B, T]` or `[B, T, C]`.
      targets: Steps that the decoder should give, `[B, T]` or `[B, T, C]`.
      controls: Controls, `[B, T]` or `[B, T, C]`; float32 `[B, T, 0]` without controls.
      lengths: Numbers of valid steps, as in `Batch`.
    """

    inputs: Any
    targets: Any
    controls: Any
    lengths: Any


class OneHot(NamedTuple):
    """Form of class indices, which become one-hot vectors.

    >>> OneHot((90,))  # a melody: one of 90 classes at every step
    OneHot(depths=(90,))

    Attributes:
      depths: Number of classes of each index of a step. With one depth the indices are `[..., T]`,
        with C of them `[..., T, C]`.
    """

    depths: tuple[int, ...]


class Roll(NamedTuple):
    """Form of bit masks `[..., T]`, which become a piano roll with a column for each bit.

    >>> drums = Roll(depth=9, has_nothing=True)
    >>> mask = 0b101  # bass drum (bit 0) and closed hi-hat (bit 2)
    >>> [mask >> bit & 1 for bit in range(drums.depth)] + [int(mask == 0)]
    [1, 0, 1, 0, 0, 0, 0, 0, 0, 0]

    Attributes:
      depth: Number of bits.
      has_nothing: If True, a last column is 1 where no bit is set.
    """

    depth: int
    has_nothing: bool = False


class Numbers(NamedTuple):
    """Form of numbers `[..., T, D]`, which stay as they are; NaN is padding.

    >>> Numbers()
    Numbers()
    """


class Compact(NamedTuple):
    """The forms of a converter's compact arrays; padding becomes zeros in all of them.

    >>> from music_vae.music.converters.melody import OneHotMelodyConverter
    >>> OneHotMelodyConverter(chord_encoding="triad").compact
    Compact(inputs=OneHot(depths=(90,)), outputs=OneHot(depths=(90,)),
            controls=OneHot(depths=(49,)))

    Attributes:
      inputs: Form of the inputs.
      outputs: Form of the outputs.
      controls: Form of the controls, if there are any.
    """

    inputs: OneHot | Roll | Numbers
    outputs: OneHot | Roll | Numbers
    controls: OneHot | Roll | Numbers = Numbers()
