"""Damages sound MusicXML and ABC: bytes, tokens and structure."""

import random
import re

ODD_NUMBERS = ("0", "-1", "1", "7", "13", "128", "1e300", "nan", "inf", "", "x", "½", "0x10")
ODD_NUMBERS += ("999999999", "9" * 400, "1/0", "3+2", "-0.5", "1 2", "\N{ARABIC-INDIC DIGIT TWO}")
ODD_SIGNS = (
    "[",
    "]",
    "[|",
    "|:",
    ":|",
    "::",
    "|1",
    "[2",
    "(3",
    "(9:0:2",
    "{",
    "}",
    "!",
    '"',
    "z",
    "Z9",
)
ODD_SIGNS += (
    "&",
    "-",
    ">",
    "<<<",
    "^^",
    "__",
    "=",
    ",",
    "'''",
    "//",
    "/0",
    "%",
    "\\",
    "\0",
    "\n",
    "\n\n",
)
ODD_SIGNS += (
    "[K:H]",
    "[V:2]",
    "[M:0/0]",
    "[L:0]",
    "[Q:0]",
    "K:",
    "X:",
    "V:1",
    "w:",
    "é",
    "$",
    "H",
    "y",
)
_ROOT = "score-partwise"
_NUMBER = re.compile(r"\d+")
_XML_TEXT = re.compile(r"(?<=>)[^<>\s][^<>]*(?=<)")
_XML_TAG = re.compile(r"</?[a-z-]+")


def mutated(data: bytes, rng: random.Random, *, xml: bool) -> bytes:
    """Returns `data` with one to four changes."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        if rng.random() < (0.05 if xml else 0.25):  # hardly any XML stays sound with other bytes
            data = _with_other_bytes(data, rng)
        else:
            text = data.decode("utf-8", "replace")
            change = rng.choice(_XML_CHANGES if xml else _ABC_CHANGES)
            data = change(text, rng).encode("utf-8", "replace")
    return data


def _with_other_bytes(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data) + 1)
    end = min(start + rng.choice((0, 1, 4, 64)), len(data))
    middle = rng.choice((b"", rng.randbytes(rng.choice((1, 4))), data[start:end] * 3))
    return data[:start] if rng.random() < 0.1 else data[:start] + middle + data[end:]


def _replaced(pattern: re.Pattern[str], odd: tuple[str, ...], text: str, rng: random.Random) -> str:
    found = list(pattern.finditer(text))
    if not found:
        return text
    match = rng.choice(found)
    return text[: match.start()] + rng.choice(odd) + text[match.end() :]


def _other_number(text: str, rng: random.Random) -> str:
    return _replaced(_NUMBER, ODD_NUMBERS, text, rng)


def _other_text(text: str, rng: random.Random) -> str:
    return _replaced(_XML_TEXT, ODD_NUMBERS, text, rng)


def _other_tag(text: str, rng: random.Random) -> str:
    """Renames all tags of a name, so that the XML stays sound."""
    tags = sorted({tag.strip("</") for tag in _XML_TAG.findall(text)}) or ["note"]
    old, new = rng.choice(tags), rng.choice([*tags, "odd"])
    return re.sub(rf"(</?){old}(?=[ />])", rf"\g<1>{new}", text)


def _other_element(text: str, rng: random.Random) -> str:
    """Takes out an element, repeats it, or puts it into or in front of another."""
    name = rng.choice(
        sorted({tag.strip("</") for tag in _XML_TAG.findall(text)} - {_ROOT}) or ["a"]
    )
    found = list(re.finditer(rf"<{name}(?: [^>]*)?(?:/>|>.*?</{name}>)", text, re.DOTALL))
    if not found:
        return text
    one, other = rng.choice(found), rng.choice(found)
    copy = rng.choice(("", one[0] * rng.choice((2, 50)), other[0], f"<odd>{one[0]}</odd>"))
    return text[: one.start()] + copy + text[one.end() :]


def _other_sign(text: str, rng: random.Random) -> str:
    place = rng.randrange(len(text) + 1)
    return text[:place] + rng.choice(ODD_SIGNS) + text[place + rng.choice((0, 0, 1, 3)) :]


def _other_lines(text: str, rng: random.Random) -> str:
    lines = text.split("\n")
    place, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    copies = rng.choice((0, 2, 20))
    lines[place : place + 1] = rng.choice(([lines[place]] * copies, [lines[other], lines[place]]))
    return "\n".join(lines)


_XML_CHANGES = (_other_number, _other_text, _other_tag, _other_element, _other_element)
_ABC_CHANGES = (_other_number, _other_sign, _other_sign, _other_lines)
