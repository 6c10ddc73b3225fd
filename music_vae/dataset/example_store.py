"""Many compact examples side by side in a few flat arrays, in memory or mapped from files.

    store = Store(pack(pieces, num_transpositions=1))
    store.take(np.array([3, 1, 4]))     # three examples, stacked and padded

Examples come in groups, those of one piece in one key. A piece has a base group, its examples as
they stand, and for every transposition that may be asked for the group that it is made from: the
base group where the examples themselves can be transposed exactly, else one of its own.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from music_vae.music.converters.base import Example
from music_vae.music.converters.compact import pad_value


class Packed(NamedTuple):
    """Examples as flat arrays: N examples of S steps in all, G groups, P pieces, K transpositions.

    Attributes:
      outputs: `[S, ...]`, the outputs of all examples, one after the other.
      inputs: `[S', ...]`, the inputs of those examples that have others than their outputs.
      controls: `[S, ...]`, or `[0]` without controls.
      lengths: int32 `[N, ...]`.
      steps: int32 `[N]`, how many steps of `outputs` are each example's.
      own_inputs: bool `[N]`, whether an example has inputs of its own.
      group_sizes: int32 `[G]`, how many examples are in each group.
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

    Attributes:
      groups: Lists of examples, the first being the base group.
      of_transposition: For each transposition, the number of the group that it is made from.
    """

    groups: list[Sequence[Example]]
    of_transposition: list[int]


def pack(pieces: Iterable[PieceGroups], num_transpositions: int) -> Packed:
    """The pieces' examples as flat arrays."""
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
    """Examples by number; see the module.

    Attributes:
      packed: The arrays.
      num_examples: How many there are, transposed ones included.
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
        """How many pieces there are."""
        return len(self.packed.base_groups)

    @property
    def num_base_examples(self) -> int:
        """How many examples the pieces have as they stand."""
        return int(self.packed.group_sizes[self.packed.base_groups].sum(dtype=np.int64))

    def groups(self, transpositions: np.ndarray | None = None) -> np.ndarray:
        """The group `[P]` of each piece: for a transposition (its number) `[P]`, or the base."""
        if transpositions is None:
            return self.packed.base_groups
        return self.packed.groups[np.arange(self.num_pieces), transpositions]

    def is_base(self, groups: np.ndarray) -> np.ndarray:
        """Whether the groups `[P]`, one of each piece, are the pieces as they stand."""
        return groups == self.packed.base_groups

    def bounds(self, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The first example of each group `[...]`, and how many there are."""
        return self._group_starts.of(groups), self.packed.group_sizes[groups]

    def take(self, numbers: np.ndarray) -> Example:
        """The examples `[N]` stacked: arrays `[N, T, ...]`, padded to the longest."""
        packed, steps = self.packed, self.packed.steps[numbers]
        longest = int(steps.max(initial=0))
        starts = self._starts.of(numbers)
        outputs = _gather(packed.outputs, starts, steps, longest)
        inputs = outputs
        if self._input_starts is not None:
            own = packed.own_inputs[numbers]
            own_starts = self._input_starts.of(numbers)
            found = _gather(packed.inputs, own_starts, np.where(own, steps, 0), longest)
            shape = (-1, *(1,) * (outputs.ndim - 1))
            inputs = np.where(own.reshape(shape), found, outputs)
        controls = None
        if len(packed.controls):
            controls = _gather(packed.controls, starts, steps, longest)
        return Example(inputs, outputs, controls, packed.lengths[numbers])


class _Starts:
    """Where each of `sizes` `[N]` begins when they follow one another."""

    def __init__(self, sizes: np.ndarray) -> None:
        self._size = int(sizes[0]) if len(sizes) else 0
        self._starts = None
        if not (sizes == self._size).all():
            self._starts = np.cumsum(sizes, dtype=np.int64) - sizes

    def of(self, numbers: np.ndarray) -> np.ndarray:
        """The beginnings of some of them, int64."""
        if self._starts is None:  # all of one size: most music, and no array to keep in memory
            return np.asarray(numbers, np.int64) * self._size
        return self._starts[numbers]


def _gather(flat: np.ndarray, starts: np.ndarray, steps: np.ndarray, longest: int) -> np.ndarray:
    """Rows `[N, longest, ...]` of `flat`, each of so many steps from its start, then padding."""
    inside = np.arange(longest) < steps[:, None]
    places = np.where(inside, starts[:, None] + np.arange(longest), 0)
    if not len(flat):  # no row has a step
        return np.full(places.shape, pad_value(flat.dtype), flat.dtype)
    found = flat[places]
    if not inside.all():
        found[~inside] = pad_value(flat.dtype)
    return found


def stack(parts: Sequence[Example]) -> Example:
    """Stacked examples one after the other, padded to the longest."""
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
    """Single examples stacked, padded to the longest."""
    outputs = _stacked([example.outputs for example in examples])
    inputs = outputs
    if any(example.inputs is not example.outputs for example in examples):
        inputs = _stacked([example.inputs for example in examples])
    controls = [example.controls for example in examples if example.controls is not None]
    told = _stacked(controls) if controls else None
    return Example(inputs, outputs, told, np.stack([example.length for example in examples]))


def _stacked(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays `[T, ...]` as one `[N, T, ...]`, padded to the longest."""
    longest = max(map(len, arrays))
    if all(len(array) == longest for array in arrays):
        return np.array(arrays)
    return np.concatenate([_padded(array[None], longest) for array in arrays])


def _padded(array: np.ndarray, steps: int) -> np.ndarray:
    """`[N, T, ...]` to `[N, steps, ...]`."""
    missing = [(0, 0), (0, steps - array.shape[1]), *[(0, 0)] * (array.ndim - 2)]
    return np.pad(array, missing, constant_values=pad_value(array.dtype))
