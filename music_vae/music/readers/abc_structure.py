"""Divides ABC text into tunes, and checks that they are not too much before anything is built.

The header of a file is read for every tune of it, so a small file could take gigabytes or hours.
"""

import re
from collections.abc import Iterator

from music_vae.music.unreadable import UnreadableMusicError

# The largest collections hold some 50,000 tunes; a long tune has a few thousand notes.
MAX_TUNES = 100_000
MAX_FILE_HEADER_LINES = 100
MAX_FILE_HEADER_CHARACTERS = 10_000
MAX_CHARACTERS = 2_000_000
MAX_FIELDS = 2_000
MAX_TITLES = 50
MAX_TITLE_CHARACTERS = 5_000
MAX_BARS = 20_000
MAX_NOTES = 100_000
MAX_INLINE_FIELDS = 20_000
MAX_TEXTS = 20_000

FIELD = re.compile(r"(?!z:|[a-g]:[|:]|[A-G]:\|)([A-Za-z]):\s*(.*)")
"""An information field; music may begin with a note and the end of a repeat."""

_TUNE = re.compile(r"^[^\S\n]*X:", re.MULTILINE)
_INLINE_FIELD = re.compile(r"\[[A-Za-z]:")
_COLONS = re.compile(r":+")


def tunes(text: str) -> Iterator[str]:
    r"""Yields the text of each tune, with the information fields of the file's header before it.

    Blank lines after its key and the next reference number (X:) end a tune. A text without such a
    number is none, unless the file has none at all: then one with a key (K:) is.

    >>> list(tunes("L:1/4\n\nX:1\nK:C\nCDEF|\nX:2\nK:C\nC|"))
    ['L:1/4\nX:1\nK:C\nCDEF|', 'L:1/4\nX:2\nK:C\nC|']

    Raises:
      UnreadableMusicError: If there are too many, or too much stands before them.
    """
    check_tunes(text)
    sign = "X:" if _TUNE.search(text) else "K:"
    blocks = [block for block in re.split(r"\n[^\S\n]*\n", "\n".join(text.splitlines())) if block]
    header: list[str] = []
    unfinished: list[str] = []  # a tune whose header has no key yet
    after: list[str] = []  # what stands between that and here
    for index, block in enumerate(blocks):
        lines = [line for line in map(str.strip, block.split("\n")) if line]
        starts = [number for number, line in enumerate(lines) if line.startswith(sign)]
        if sign == "K:":
            del starts[1:]  # the others are changes of key
        if starts:
            if unfinished:
                yield "\n".join(header + unfinished)
            unfinished, after = [], []
            *whole, last = _cut(lines, starts[1:])
            for tune in whole:
                yield "\n".join(header + tune)
            if _has_key(last):
                yield "\n".join(header + last)
            else:
                unfinished = last
        elif unfinished:
            after += lines
            if _has_key(lines):
                yield "\n".join(header + unfinished + after)
                unfinished, after = [], []
        elif index == 0:
            header = [line for line in lines if FIELD.match(line)]
            check_file_header(header)
    if unfinished:
        yield "\n".join(header + unfinished)


def _cut(lines: list[str], places: list[int]) -> list[list[str]]:
    return [lines[start:end] for start, end in zip([0, *places], [*places, None], strict=True)]


def _has_key(lines: list[str]) -> bool:
    return any(line.startswith("K:") for line in lines)


def check_tunes(text: str) -> None:
    r"""Raises `UnreadableMusicError` if a file holds too many tunes.

    >>> check_tunes("X:1\nK:C\nCDEF|\n")
    >>> check_tunes("X:1\nK:C\nC|\n\n" * 200_000)
    Traceback (most recent call last):
    music_vae.music.unreadable.UnreadableMusicError: ABC with more than 100,000 tunes
    """
    _check("tunes", sum(1 for _ in _TUNE.finditer(text)), MAX_TUNES)


def check_file_header(lines: list[str]) -> None:
    """Raises `UnreadableMusicError` if the header of a file, read for each tune, is too long.

    >>> check_file_header(["L:1/8"] * 1000)
    Traceback (most recent call last):
    music_vae.music.unreadable.UnreadableMusicError: ABC with more than 100 lines in its file header
    """
    _check("lines in its file header", len(lines), MAX_FILE_HEADER_LINES)
    size = sum(map(len, lines))
    _check("characters in its file header", size, MAX_FILE_HEADER_CHARACTERS)


def check_tune(tune: str) -> None:
    r"""Raises `UnreadableMusicError` if a tune has too much of something.

    >>> check_tune("X:1\nT:A tune\nK:C\nCDEF|")
    >>> check_tune("X:1\n" + "T:a\n" * 20_000 + "K:C\nCDEF|")
    Traceback (most recent call last):
    music_vae.music.unreadable.UnreadableMusicError: ABC with more than 50 titles of a tune
    """
    _check("characters of a tune", len(tune), MAX_CHARACTERS)
    lines = [line.partition("%")[0].strip() for line in tune.splitlines()]
    fields = [line for line in lines if FIELD.match(line)]
    titles = [line for line in fields if line.startswith("T:")]
    music = [line for line in lines if not FIELD.match(line)]
    _check("titles of a tune", len(titles), MAX_TITLES)
    _check("characters in the titles of a tune", sum(map(len, titles)), MAX_TITLE_CHARACTERS)
    _check("information fields of a tune", len(fields), MAX_FIELDS)
    bars = (line.count("|") + line.count("::") for line in music)
    _check("bars of a tune", sum(bars), MAX_BARS)
    inline = (sum(1 for _ in _INLINE_FIELD.finditer(line)) for line in music)
    _check("fields within the lines of a tune", sum(inline), MAX_INLINE_FIELDS)
    _check("texts of a tune", sum(line.count('"') // 2 for line in music), MAX_TEXTS)
    _check("notes of a tune, with its repeats", _most_notes(music), MAX_NOTES)


def _most_notes(music: list[str]) -> int:
    """Returns the largest number of notes that lines of music can stand for, if repeats are played.

    Each colon of a repeat sign plays a section once more.
    """
    letters = sum(sum(map(line.count, "ABCDEFGabcdefg")) for line in music)
    colons = (len(run) for line in music for run in _COLONS.findall(line))
    return letters * (1 + max(colons, default=0))


def _check(what: str, number: int, most: int) -> None:
    if number > most:
        raise UnreadableMusicError(f"ABC with more than {most:,} {what}")
