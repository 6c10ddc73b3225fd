"""Mutants of a `config.json`, as a careless or a hostile hand would make them."""

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

DELETED = object()

VALUES: tuple[Any, ...] = (
    None,
    True,
    "x",
    "",
    "../../x",
    "\x1b[31m<script>",
    "x" * 100_000,
    "\ud800",
    -1,
    0,
    1.5,
    5.0,
    10**9,
    10**30,
    -(10**400),
    1e308,
    float("nan"),
    float("inf"),
    [],
    [0],
    [-1, 10**9],
    [10**9] * 3,
    [1] * 50_000,
    ["x"],
    [[1], [None]],
    {},
    {"kind": "HParams"},
    {"kind": "FlatDecoderSpec"},
    {"kind": "OneHotMelodyConverter"},
    {"kind": "DrumsConverter", "steps_per_quarter": 10**9},
    {"kind": "HierarchicalDecoderSpec", "level_lengths": [10**9, 10**9]},
    {"kind": "HierarchicalDecoderSpec", "level_lengths": [1] * 5_000},
    {"kind": "MultiCategoricalHeadSpec", "depths": [-10, 100]},
    {"kind": "os.system"},
    {"kind": ["Config"]},
    {"kind": "Mine", "code": {"module": "\x1b[31m", "file": "../x.py"}},
    DELETED,
)
"""What each value is replaced by; `DELETED` takes it away."""


class Mutant(NamedTuple):
    """A changed config.

    Attributes:
      place: Keys from the top to the value that was changed.
      value: The value that stands there now, `DELETED`, or the number of lists it was put into.
      data: The content of the file.
    """

    place: tuple[str | int, ...]
    value: Any
    data: Any

    def __str__(self) -> str:
        return f"{self.place} = {ascii(self.value)[:80]}"


def mutants(data: Any) -> Iterator[Mutant]:
    """Yields the content of a file with every value replaced by every one of `VALUES`.

    Of a list, only the first two items are changed. Every value is also put into 30 and 900 lists,
    and every object gets an entry that it does not have.
    """
    for place in places(data):
        old = _at(data, place)
        for value in VALUES:
            yield Mutant(place, value, with_value(data, place, value))
        for depth in (1, 30, 900):
            yield Mutant(place, depth, with_value(data, place, nested(old, depth)))
        if isinstance(old, dict):
            for name in ("x", "\x1b[31m", "__class__", "code"):
                yield Mutant((*place, name), 1, with_value(data, (*place, name), 1))


def nested(value: Any, depth: int) -> Any:
    """Returns a value in `depth` lists."""
    for _ in range(depth):
        value = [value]
    return value


def places(data: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yields the keys from the top to every value."""
    yield place
    items = data.items() if isinstance(data, dict) else ()
    if isinstance(data, list):
        items = enumerate(data[:2])
    for key, value in items:
        yield from places(value, (*place, key))


def _at(data: Any, place: tuple[str | int, ...]) -> Any:
    for key in place:
        data = data[key]
    return data


def with_value(data: Any, place: tuple[str | int, ...], value: Any) -> Any:
    """Returns a copy with another value at a place."""
    if not place:
        return {} if value is DELETED else value
    data = copy.deepcopy(data)
    owner = _at(data, place[:-1])
    if value is DELETED:
        del owner[place[-1]]
    else:
        owner[place[-1]] = value
    return data
