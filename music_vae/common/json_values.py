"""Converts frozen dataclasses to JSON data and back."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from music_vae.common import own_code
from music_vae.common.errors import UserError

_KIND, _CODE = "kind", "code"
"""Entries of a JSON object besides the fields of a dataclass."""


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

    >>> from music_vae.common.specs import CategoricalHeadSpec
    >>> kinds = {"CategoricalHeadSpec": CategoricalHeadSpec}
    >>> from_json([{"kind": "CategoricalHeadSpec"}, 3], kinds)
    (CategoricalHeadSpec(), 3)

    Args:
      data: Content of a file, which anybody may have written: it causes no imports.
      kinds: Classes of this package that may be made, by name.
      own: Classes that are not part of this package and may be made, by name.

    Raises:
      UserError: For a kind that is in neither of them, and for missing, unknown or wrong values.
    """
    if isinstance(data, list):
        return tuple(from_json(item, kinds, own) for item in data)
    if not isinstance(data, dict):
        return data
    fields = dict(data)
    name, code = fields.pop(_KIND, None), fields.pop(_CODE, None)
    known = kinds if code is None else own or {}
    if not isinstance(name, str) or name not in known:
        if isinstance(name, str) and code is not None:
            raise own_code.missing(name, code)
        raise UserError(f"unknown kind {name!r}; known are {', '.join(sorted(kinds))}")
    kind = known[name]
    unknown = set(fields) - {field.name for field in dataclasses.fields(kind)}
    if unknown:
        raise UserError(f"{name} has no value {', '.join(sorted(map(repr, unknown)))}")
    try:
        return kind(**{key: from_json(value, kinds, own) for key, value in fields.items()})
    except TypeError as error:
        raise UserError(f"{name} cannot be made from {data}: {error}") from error
