"""Keeps many compact examples in a few flat arrays, in memory or mapped from files.

    store = Store(pack(pieces, num_transpositions=1))
    store.take(np.array([3, 1, 4]))     # three examples, stacked and padded

Examples come in groups: the examples of one piece in one key. A piece has a base group, its
examples as they stand. Every transposition of the piece is made from a group: from the base group
if the examples themselves can be transposed exactly, else from a group of its own.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from music_vae.music.converters.base import Example
from music_vae.music.converters.compact import pad_value


class Packed(NamedTuple):
    """Examples as flat arrays: N examples of S steps in all, G groups, P pieces, K transpositions.

    >>> tokens = [np.array([41, 0, 43], np.int8), np.array([45, 1], np.int8)]
    >>> examples = [Example(own, own, None, np.int32(len(own))) for own in tokens]
    >>> packed = pack([PieceGroups([examples], of_transposition=[0])], num_transpositions=1)
    >>> packed.outputs.tolist(), packed.steps.tolist(), packed.group_sizes.tolist()
    ([41, 0, 43, 45, 1], [3, 2], [2])

    Attributes:
      outputs: `[S, ...]`, the outputs of all examples, one after the other.
      inputs: `[S', ...]`, the inputs of those examples whose inputs are not their outputs.
      controls: `[S, ...]`, the controls of all examples, or `[0]` without controls.
      lengths: int32 `[N, ...]`, the `length` of each example.
      steps: int32 `[N]`, number of steps of each example in `outputs`.
      own_inputs: bool `[N]`, True for an example whose inputs are not its outputs.
      group_sizes: int32 `[G]`, number of examples in each group.
      base_groups: int64 `[P]`, the group of each piece as it stands.
      groups: int64 `[P, K]`, the group that each transposition of a piece is made from.
    """

    outputs: np.ndarray
    inputs: np.ndarray
    controls: np.ndarray
    lengths: np.ndarray
    steps: np.ndarray
    own_inputs: np.ndarray
    group_sizes: np.ndarray
    base_groups: np.ndarray
    groups: np.ndarray


class PieceGroups(NamedTuple):
    """The groups of a piece.

    >>> tokens = np.array([41, 0, 43], np.int8)
    >>> example = Example(tokens, tokens, None, np.int32(3))
    >>> piece = PieceGroups([[example]], of_transposition=[0, 0, 0])  # -1, 0 and 1 semitones
    >>> len(piece.groups)
    1

    Attributes:
      groups: Lists of examples, of which the first is the base group.
      of_transposition: For each transposition, the number of the group that it is made from.
    """

    groups: list[Sequence[Example]]
    of_transposition: list[int]


def pack(pieces: Iterable[PieceGroups], num_transpositions: int) -> Packed:
    """Packs the examples of pieces into flat arrays.

    >>> tokens = np.array([41, 0, 43], np.int8)
    >>> example = Example(tokens, tokens, None, np.int32(3))
    >>> packed = pack([PieceGroups([[example, example]], [0])], num_transpositions=1)
    >>> packed.outputs.tolist()
    [41, 0, 43, 41, 0, 43]

    Args:
      pieces: The groups of each piece.
      num_transpositions: Number of transpositions, K, of every piece.
    """
    examples: list[Example] = []
    sizes: list[int] = []
    bases: list[int] = []
    table: list[list[int]] = []
    for piece in pieces:
        bases.append(len(sizes))
        table.append([len(sizes) + group for group in piece.of_transposition])
        for group in piece.groups:
            sizes.append(len(group))
            examples += group
    own = np.array([example.inputs is not example.outputs for example in examples], bool)
    return Packed(
        outputs=_joined([example.outputs for example in examples]),
        inputs=_joined([e.inputs for e, is_own in zip(examples, own, strict=True) if is_own]),
        controls=_joined([e.controls for e in examples if e.controls is not None]),
        lengths=np.array([example.length for example in examples], np.int32),
        steps=np.array([len(example.outputs) for example in examples], np.int32),
        own_inputs=own,
        group_sizes=np.array(sizes, np.int32),
        base_groups=np.array(bases, np.int64),
        groups=np.array(table, np.int64).reshape(len(bases), num_transpositions),
    )


def _joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(arrays) if arrays else np.empty(0, np.int8)


class Store:
    """Examples that are taken by number from packed arrays.

    >>> tokens = [np.array([41, 0, 43], np.int8), np.array([45, 1], np.int8)]
    >>> examples = [Example(own, own, None, np.int32(len(own))) for own in tokens]
    >>> store = Store(pack([PieceGroups([examples], [0])], num_transpositions=1))
    >>> store.take(np.array([1, 0, 1])).outputs  # padded with -1
    array([[45,  1, -1],
           [41,  0, 43],
           [45,  1, -1]], dtype=int8)

    Attributes:
      packed: The arrays.
      num_examples: Number of examples, those in other keys included.
    """

    def __init__(self, packed: Packed) -> None:
        self.packed = packed
        self.num_examples = len(packed.steps)
        self._starts = _Starts(packed.steps)
        has_own = bool(packed.own_inputs.any())
        self._input_starts = self._starts if has_own else None
        if has_own and not packed.own_inputs.all():
            self._input_starts = _Starts(np.where(packed.own_inputs, packed.steps, 0))
        self._group_starts = _Starts(packed.group_sizes)

    @property
    def num_pieces(self) -> int:
        """Number of pieces."""
        return len(self.packed.base_groups)

    @property
    def num_base_examples(self) -> int:
        """Number of examples of the pieces as they stand."""
        return int(self.packed.group_sizes[self.packed.base_groups].sum(dtype=np.int64))

    def groups(self, transpositions: np.ndarray | None = None) -> np.ndarray:
        """Returns the group of each piece, `[P]`, for one transposition of each.

        Args:
          transpositions: The number of the transposition, `[P]`; None: the base groups.
        """
        if transpositions is None:
            return self.packed.base_groups
        return self.packed.groups[np.arange(self.num_pieces), transpositions]

    def is_base(self, groups: np.ndarray) -> np.ndarray:
        """Returns True for those of the groups `[P]`, one for each piece, that are base groups."""
        return groups == self.packed.base_groups

    def bounds(self, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the number of the first example of each group `[...]`, and the group's size."""
        return self._group_starts.of(groups), self.packed.group_sizes[groups]

    def take(self, numbers: np.ndarray) -> Example:
        """Returns the examples of these numbers `[N]` stacked: `[N, T, ...]`, padded at the end."""
        packed, steps = self.packed, self.packed.steps[numbers]
        longest = int(steps.max(initial=0))
        starts = self._starts.of(numbers)
        outputs = _gather(packed.outputs, starts, steps, longest)
        inputs = outputs
        if self._input_starts is not None:
            own = packed.own_inputs[numbers]
            own_starts = self._input_starts.of(numbers)
            own_inputs = _gather(packed.inputs, own_starts, np.where(own, steps, 0), longest)
            shape = (-1, *(1,) * (outputs.ndim - 1))
            inputs = np.where(own.reshape(shape), own_inputs, outputs)
        controls = None
        if len(packed.controls):
            controls = _gather(packed.controls, starts, steps, longest)
        return Example(inputs, outputs, controls, packed.lengths[numbers])


class _Starts:
    """The starts of arrays of the given sizes, `[N]`, that follow one another."""

    def __init__(self, sizes: np.ndarray) -> None:
        self._size = int(sizes[0]) if len(sizes) else 0
        self._starts = None
        if not (sizes == self._size).all():
            self._starts = np.cumsum(sizes, dtype=np.int64) - sizes

    def of(self, numbers: np.ndarray) -> np.ndarray:
        """Returns the starts, int64, of the arrays of these numbers."""
        if self._starts is None:  # all of one size: most music, and no array to keep in memory
            return np.asarray(numbers, np.int64) * self._size
        return self._starts[numbers]


def _gather(flat: np.ndarray, starts: np.ndarray, steps: np.ndarray, longest: int) -> np.ndarray:
    """Returns rows `[N, longest, ...]` of `flat`: from each start so many steps, then padding."""
    inside = np.arange(longest) < steps[:, None]
    places = np.where(inside, starts[:, None] + np.arange(longest), 0)
    if not len(flat):  # no row has a step
        return np.full(places.shape, pad_value(flat.dtype), flat.dtype)
    rows = flat[places]
    if not inside.all():
        rows[~inside] = pad_value(flat.dtype)
    return rows


def stack(parts: Sequence[Example]) -> Example:
    """Concatenates stacked examples, padded to the longest.

    >>> one, two = np.array([[41, 0, 43]], np.int8), np.array([[45, 1]], np.int8)
    >>> parts = [Example(own, own, None, np.array([own.shape[1]])) for own in (one, two)]
    >>> stack(parts).outputs.tolist()
    [[41, 0, 43], [45, 1, -1]]
    """
    if len(parts) == 1:
        return parts[0]
    longest = max(part.outputs.shape[1] for part in parts)

    def joined(name: str) -> np.ndarray:
        arrays = [getattr(part, name) for part in parts]
        return np.concatenate([_padded(array, longest) for array in arrays])

    controls = None if parts[0].controls is None else joined("controls")
    lengths = np.concatenate([part.length for part in parts])
    return Example(joined("inputs"), joined("outputs"), controls, lengths)


def stack_single(examples: Sequence[Example]) -> Example:
    """Stacks single examples, padded to the longest.

    >>> tokens = [np.array([41, 0, 43], np.int8), np.array([45, 1], np.int8)]
    >>> examples = [Example(own, own, None, np.int32(len(own))) for own in tokens]
    >>> stack_single(examples).outputs.tolist()
    [[41, 0, 43], [45, 1, -1]]
    """
    outputs = _stacked([example.outputs for example in examples])
    inputs = outputs
    if any(example.inputs is not example.outputs for example in examples):
        inputs = _stacked([example.inputs for example in examples])
    controls = [example.controls for example in examples if example.controls is not None]
    lengths = np.stack([example.length for example in examples])
    return Example(inputs, outputs, _stacked(controls) if controls else None, lengths)


def _stacked(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Stacks arrays `[T, ...]` to one `[N, T, ...]`, padded to the longest."""
    longest = max(map(len, arrays))
    if all(len(array) == longest for array in arrays):
        return np.array(arrays)
    return np.concatenate([_padded(array[None], longest) for array in arrays])


def _padded(array: np.ndarray, steps: int) -> np.ndarray:
    """Pads an array `[N, T, ...]` to `[N, steps, ...]`."""
    missing = [(0, 0), (0, steps - array.shape[1]), *[(0, 0)] * (array.ndim - 2)]
    return np.pad(array, missing, constant_values=pad_value(array.dtype))
