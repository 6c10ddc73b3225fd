"""Converts frozen dataclasses to JSON data and back.

A file with JSON data may come from anywhere, so every value is compared with the annotation of its
field before anything is made of it.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Union

from music_vae.common import own_code
from music_vae.common.errors import UserError

MALFORMED = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""Errors of Python where JSON text, or a value in it, is not of the kind or size expected."""

_KIND, _CODE = "kind", "code"
"""Entries of a JSON object besides the fields of a dataclass."""

_MAX_DEPTH = 32  # of lists and objects in each other; a config has 5
_MAX_NUMBER = 2**53  # up to which a float holds every whole number
_MAX_SHOWN = 60  # characters of a value in a message
_MAX_LISTED = 8  # numbers of a list in a message


def to_json(value: Any) -> Any:
    """Converts a value made of dataclasses, tuples and plain values to JSON data.

    A dataclass becomes an object whose `kind` is the name of its class. If the class is not part of
    this package, the object has `code`, too, the place of that class: see `own_code.location`.

    >>> from music_vae.common.specs import HierarchicalEncoderSpec
    >>> to_json(HierarchicalEncoderSpec(level_lengths=(16, 2)))["level_lengths"]
    [16, 2]

    Raises:
      UserError: For values that JSON cannot hold.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kind = type(value)
        fields = {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
        code = {_CODE: own_code.location(kind)} if own_code.is_own(kind) else {}
        if taken := fields.keys() & {_KIND, _CODE}:
            raise UserError(f"{kind.__name__} has a field {taken.pop()!r}; give it another name")
        return {_KIND: kind.__name__, **code, **fields}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if value is not None and not isinstance(value, bool | int | float | str):
        raise UserError(
            f"{value!r} cannot be written as JSON; expected numbers, texts, None, tuples or "
            "dataclasses made of them"
        )
    return value


def from_json(data: Any, kinds: Mapping[str, type], own: Mapping[str, type] | None = None) -> Any:
    """Makes a value from JSON data, as the inverse of `to_json`; lists become tuples.

    >>> from music_vae.common.specs import CategoricalHeadSpec, HierarchicalEncoderSpec
    >>> kinds = {kind.__name__: kind for kind in (CategoricalHeadSpec, HierarchicalEncoderSpec)}
    >>> from_json([{"kind": "CategoricalHeadSpec"}, 3], kinds)
    (CategoricalHeadSpec(), 3)
    >>> from_json({"kind": "HierarchicalEncoderSpec", "level_lengths": [16, "2"]}, kinds)
    Traceback (most recent call last):
    music_vae.common.errors.UserError: level_lengths[1] is '2'; expected a whole number

    Args:
      data: Content of a file, which anybody may have written: it causes no imports.
      kinds: Classes of this package that may be made, by name.
      own: Classes that are not part of this package and may be made, by name.

    Raises:
      UserError: For a kind that is in neither of them, for missing, unknown or wrong values, for
        numbers beyond 2^53, and for lists and objects that are nested too deeply.
    """
    return _Reader(kinds, own or {}).read(data, Any, "", 0)


class _Reader(typing.NamedTuple):
    """Makes values of these classes from JSON data.

    Attributes:
      kinds: Classes of this package that may be made, by name.
      own: Other classes that may be made, by name.
    """

    kinds: Mapping[str, type]
    own: Mapping[str, type]

    def read(self, data: Any, expected: Any, place: str, depth: int) -> Any:
        """Returns the value at a place; raises `UserError` unless its type is the expected one."""
        if depth > _MAX_DEPTH:
            raise UserError(f"lists and objects are nested more than {_MAX_DEPTH} deep")
        if isinstance(data, list):
            value: Any = tuple(self._items(data, expected, place, depth))
        elif isinstance(data, dict):
            value = self._object(data, place, depth)
        else:
            value = data
            if isinstance(data, float) and not math.isfinite(data):
                raise UserError(f"{_named(place)} is {data}; expected a finite number")
            if isinstance(data, int) and abs(data) > _MAX_NUMBER:
                raise UserError(f"{_named(place)} has many digits; expected a number up to 2^53")
        if not _fits(value, expected):
            raise UserError(f"{_named(place)} is {shown(data)}; expected {_phrase(expected)}")
        return value

    def _items(self, data: list[Any], expected: Any, place: str, depth: int) -> Iterator[Any]:
        """Yields the items of a list."""
        choices = [kind for kind in _alternatives(expected) if typing.get_origin(kind) is tuple]
        arguments = typing.get_args(choices[0]) if len(choices) == 1 else (Any, ...)
        if arguments[-1] is not ...:
            if len(arguments) != len(data):
                raise UserError(
                    f"{_named(place)} has {len(data)} values; expected {_phrase(expected)}"
                )
        else:
            arguments = arguments[:1] * len(data)
        for number, (item, kind) in enumerate(zip(data, arguments, strict=True)):
            yield self.read(item, kind, f"{place}[{number}]", depth + 1)

    def _object(self, data: dict[str, Any], place: str, depth: int) -> Any:
        """Returns the dataclass that an object describes."""
        kind = self._kind(data.get(_KIND), data.get(_CODE))
        fields = {key: value for key, value in data.items() if key not in (_KIND, _CODE)}
        known = {field.name: field for field in dataclasses.fields(kind) if field.init}
        if unknown := fields.keys() - known.keys():
            raise UserError(
                f"{kind.__name__} has no value {', '.join(map(shown, sorted(unknown)))}"
            )
        missing = [
            name
            for name, field in known.items()
            if name not in fields
            and field.default is dataclasses.MISSING
            and field.default_factory is dataclasses.MISSING
        ]
        if missing:
            raise UserError(f"{kind.__name__} cannot be made: it needs {', '.join(missing)}")
        expected = _annotations(kind)
        values = {}
        for name, value in fields.items():
            # In code of the user's own, a default need not fit its annotation.
            is_default = own_code.is_own(kind) and value == known[name].default
            annotation = Any if is_default else expected.get(name, Any)
            inner = f"{place}.{name}" if place else name
            values[name] = self.read(value, annotation, inner, depth + 1)
        return _make(kind, values)

    def _kind(self, name: Any, code: Any) -> type:
        """Returns the class that an object names."""
        known = self.kinds if code is None else self.own
        if isinstance(name, str) and name in known:
            return known[name]
        if isinstance(name, str) and code is not None:
            raise own_code.missing(name, code)
        raise UserError(f"unknown kind {shown(name)}; known are {', '.join(sorted(self.kinds))}")


def _make(kind: type, values: dict[str, Any]) -> Any:
    """Returns a dataclass with these values, which its own checks may still refuse."""
    try:
        return kind(**values)
    except UserError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # Of a class of the user's own, whose annotations need not tell all.
        raise UserError(f"{kind.__name__} cannot be made from these values: {error}") from error


# -- Annotations ----------------------------------------------------------------------------------


def _annotations(kind: type) -> dict[str, Any]:
    """Returns the types of a dataclass's fields by name; none where they cannot be found out."""
    try:
        return typing.get_type_hints(kind)
    except Exception:  # names that only type checkers know, in code of the user's own
        if not own_code.is_own(kind):
            raise
        return {}


def _alternatives(expected: Any) -> tuple[Any, ...]:
    """Returns the types of a union; a type that is none as the only one."""
    if typing.get_origin(expected) in (Union, types.UnionType):
        return typing.get_args(expected)
    return (expected,)


def _fits(value: Any, expected: Any) -> bool:
    """Returns True if a value is of a type; a type that JSON data cannot have fits everything."""
    return any(_fits_one(value, kind) for kind in _alternatives(expected))


def _fits_one(value: Any, kind: Any) -> bool:
    if kind is bool or kind is str:
        return isinstance(value, kind)
    if kind is int or kind is float:
        numbers = int if kind is int else (int, float)
        return isinstance(value, numbers) and not isinstance(value, bool)
    if kind is None or kind is types.NoneType:
        return value is None
    if (typing.get_origin(kind) or kind) is tuple:
        return isinstance(value, tuple)  # whose items were compared when they were read
    if typing.get_origin(kind) is typing.Literal:
        return value in typing.get_args(kind)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        # A part of the user's own takes the place of any; whoever uses it says if it cannot.
        is_part = dataclasses.is_dataclass(value) and own_code.is_own(type(value))
        return isinstance(value, kind) or is_part
    return True


def _phrase(expected: Any) -> str:
    """Returns what an annotation means, in words."""
    words: dict[Any, str] = {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        str: "a text",
        None: "null",
        types.NoneType: "null",
    }
    phrases = []
    for kind in _alternatives(expected):
        arguments = typing.get_args(kind)
        if typing.get_origin(kind) is tuple:
            length = "" if arguments[-1] is ... else f" of {len(arguments)}"
            phrases.append(f"a list{length}, each {_phrase(arguments[0])}")
        elif typing.get_origin(kind) is typing.Literal:
            phrases += map(repr, arguments)
        else:
            phrases.append(words.get(kind) or str(getattr(kind, "__name__", kind)))
    return " or ".join(phrases)


def _named(place: str) -> str:
    return place or "the value"


def shown(value: Any) -> str:
    """Returns JSON data as a short text of plain characters, for messages about a file.

    >>> shown("\\x1b[31m"), shown([1] * 1000), shown({"kind": "HParams", "z_size": 3}), shown(None)
    ("'\\\\x1b[31m'", 'a list of 1000', 'HParams', 'null')
    """
    if isinstance(value, dict):
        name = value.get(_KIND)
        return name if isinstance(name, str) and name.isidentifier() else "an object"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return _cut(ascii(value[: _MAX_SHOWN + 1] if isinstance(value, str) else value))


def brief(value: Any) -> str:
    """Returns JSON data as `shown` does, but texts without quotes, and short lists of numbers.

    >>> brief("encoder/mu/bias"), brief([-2, 512]), brief([[]]), brief("x" * 1000)[55:]
    ('encoder/mu/bias', '[-2, 512]', 'a list of 1', 'xxxxx...')
    """
    if isinstance(value, str):
        return _cut(ascii(value[: _MAX_SHOWN + 1])[1:-1])
    is_short = isinstance(value, list) and len(value) <= _MAX_LISTED
    if is_short and all(isinstance(item, int | float) for item in value):
        return _cut(str(value))
    return shown(value)


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
