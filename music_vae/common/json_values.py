"""Frozen dataclasses to JSON data and back."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from music_vae.common.errors import UserError


def to_json(value: Any) -> Any:
    """A spec (or anything made of dataclasses, tuples and plain values) as JSON data.

    A dataclass becomes an object whose `kind` is its class's name.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"kind": type(value).__name__, **fields}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    return value


def from_json(data: Any, kinds: Mapping[str, type]) -> Any:
    """The inverse of `to_json`; lists become tuples.

    Raises:
      UserError: For a kind that is not in `kinds`, and for missing, unknown or wrong values.
    """
    if isinstance(data, list):
        return tuple(from_json(item, kinds) for item in data)
    if not isinstance(data, dict):
        return data
    fields = dict(data)
    name = fields.pop("kind", None)
    if not isinstance(name, str) or name not in kinds:
        raise UserError(f"unknown kind {name!r}; known are {', '.join(sorted(kinds))}")
    kind = kinds[name]
    unknown = set(fields) - {field.name for field in dataclasses.fields(kind)}
    if unknown:
        raise UserError(f"{name} has no value {', '.join(sorted(map(repr, unknown)))}")
    try:
        return kind(**{key: from_json(value, kinds) for key, value in fields.items()})
    except TypeError as error:
        raise UserError(f"{name} cannot be made from {data}: {error}") from error
