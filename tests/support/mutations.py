"""Strategies of damage: bytes and JSON data as a bad disk, or a hostile hand, would change them."""

import json
from typing import Any

from hypothesis import strategies as st

from support.hostile_configs import DELETED, VALUES, places, with_value

_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**64 - 1)
_MOST_EDITS = 4
_LONGEST = 64  # bytes that an edit deletes, repeats or puts in


@st.composite
def damaged(draw: Any, data: bytes, start: int = 0) -> bytes:
    """Returns data with a few edits from byte `start` on: flipped bits, numbers, gaps, repeats."""
    changed = bytearray(data)
    for _ in range(draw(st.integers(1, _MOST_EDITS))):
        place = draw(st.integers(min(start, len(changed)), len(changed)))
        kind = draw(st.sampled_from(("flip", "number", "delete", "repeat", "insert", "cut")))
        size = draw(st.integers(1, _LONGEST))
        if kind == "flip" and place < len(changed):
            changed[place] ^= 1 << draw(st.integers(0, 7))
        elif kind == "number":
            width = draw(st.sampled_from((1, 2, 4, 8)))
            order = draw(st.sampled_from(("little", "big")))
            number = draw(st.sampled_from(_NUMBERS)) % 256**width
            changed[place : place + width] = number.to_bytes(width, order)
        elif kind == "delete":
            del changed[place : place + size]
        elif kind == "repeat":
            changed[place:place] = changed[place : place + size] * draw(st.integers(1, 3))
        elif kind == "insert":
            changed[place:place] = draw(st.binary(max_size=size))
        elif kind == "cut" and draw(st.booleans()):
            del changed[place:]
    return bytes(changed)


@st.composite
def damaged_json(draw: Any, data: Any) -> bytes:
    """Returns JSON text of data with one or two values that are wrong in kind, size or place."""
    for _ in range(draw(st.integers(1, 2))):
        place = draw(st.sampled_from(list(places(data))))
        value = draw(st.sampled_from(VALUES))
        if not place and value is DELETED:
            continue
        data = with_value(data, place, value)
    return json.dumps(data).encode()
