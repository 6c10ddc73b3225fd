"""Checks that ABC text is not too much for its parser, before that builds anything of it.

The parser joins titles again and again, reads the header of a file for every tune of it, and tries
all ways to divide some fields and chords. So a small file could take gigabytes or hours.
"""

import re

from music_vae.music.unreadable import UnreadableMusicError

# The largest collections hold some 50,000 tunes; a long tune has a few thousand notes.
MAX_TUNES = 100_000
MAX_FILE_HEADER_LINES = 100
MAX_FILE_HEADER_CHARACTERS = 10_000
MAX_FIELDS = 2_000
MAX_TITLES = 50
MAX_TITLE_CHARACTERS = 5_000
MAX_BARS = 20_000
MAX_NOTES = 100_000
# Digits and slashes of an unusual chord: the number of ways to divide them doubles with each.
_MAX_CHORD_NUMBERS = 6
_MAX_OPEN_FIELDS = 20

_TUNE = re.compile(r"^[^\S\n]*X:", re.MULTILINE)
_FIELD = re.compile(r"[A-Za-z]:")
_NOTE = re.compile(r"(?:__|_|=|\^\^|\^)?[A-Ga-g][',]*\d*/*\d*")
_CHORD = re.compile(r"\[([\^_=A-Ga-g][\^_=A-Ga-g',\d/]*)(\]?)")
_OPEN_FIELD = re.compile(r"\[[A-Za-z]:")
_NUMBER = re.compile(r"[\d/]")
_COLONS = re.compile(r":+")
_FRACTION_OF_FRACTION = re.compile(r"\d/\d+/\d")


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
    lines = [line.partition("%")[0].strip() for line in tune.splitlines()]
    fields = [line for line in lines if _FIELD.match(line)]
    titles = [line for line in fields if line.startswith("T:")]
    music = [line for line in lines if not _FIELD.match(line)]
    _check("titles of a tune", len(titles), MAX_TITLES)
    _check("characters in the titles of a tune", sum(map(len, titles)), MAX_TITLE_CHARACTERS)
    _check("information fields of a tune", len(fields), MAX_FIELDS)
    _check("bars of a tune", sum(line.count("|") for line in music), MAX_BARS)
    _check("notes of a tune, with its repeats", _most_notes(music), MAX_NOTES)
    for line in music:
        _check_chords(line)
        # For each of them, the parser looks for the end through the whole rest of the line.
        open_fields = _OPEN_FIELD.findall(line, line.rfind("]") + 1)
        _check("fields without an end in a line", len(open_fields), _MAX_OPEN_FIELDS)
    for line in (*music, *(line for line in fields if line.startswith("Q:"))):
        if "Q:" in line and _FRACTION_OF_FRACTION.search(line):
            raise UnreadableMusicError("ABC with a tempo that is no fraction")


def _most_notes(music: list[str]) -> int:
    """Returns the largest number of notes that lines of music can stand for, if repeats are played.

    Each colon of a repeat sign plays a section once more.
    """
    letters = sum(sum(map(line.count, "ABCDEFGabcdefg")) for line in music)
    colons = (len(run) for line in music for run in _COLONS.findall(line))
    return letters * (1 + max(colons, default=0))


def _check_chords(line: str) -> None:
    """Raises `UnreadableMusicError` for a broken chord that could be divided in too many ways."""
    for notes, end in _CHORD.findall(line):
        is_sound = end and not _NOTE.sub("", notes)
        if not is_sound and len(_NUMBER.findall(notes)) > _MAX_CHORD_NUMBERS:
            raise UnreadableMusicError("ABC with a broken chord")


def _check(what: str, number: int, most: int) -> None:
    if number > most:
        raise UnreadableMusicError(f"ABC with more than {most:,} {what}")
