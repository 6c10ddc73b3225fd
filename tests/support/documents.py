"""The code in pages of Markdown: fenced blocks, the commands in them, and code within sentences."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

from support.paths import ROOT

README = ROOT / "README.md"
PAGES = (README, *sorted((ROOT / "docs").rglob("*.md")))
LANGUAGES = ("sh", "python", "text", "json")


class Block(NamedTuple):
    """A fenced piece of code.

    Attributes:
      page: The file it is in.
      line: The number of its first line, from 1.
      language: One of `LANGUAGES`.
      text: Its lines.
    """

    page: Path
    line: int
    language: str
    text: str


class Page(NamedTuple):
    """A page taken apart."""

    blocks: list[Block]
    text: str  # all that is outside the blocks


class Command(NamedTuple):
    """A command of a page, as words."""

    page: Path
    line: int
    words: tuple[str, ...]

    @property
    def flags(self):
        """Values by flag, as they were given; empty for a flag without one."""
        parts = (word[2:].partition("=") for word in self.words if word.startswith("--"))
        return {name: value for name, _, value in parts}

    def has(self, wanted):
        """Whether the command has each of the words `wanted`; a flag may go on after them."""
        return all(
            any(part in word if part.startswith("--") else part == word for word in self.words)
            for part in wanted.split()
        )

    def __str__(self):
        return f"{self.page.relative_to(ROOT)}:{self.line} {' '.join(self.words)[:70]}"


def read(page):
    """Takes a page apart.

    Raises:
      AssertionError: For a block that does not say its language, or has no end.
    """
    blocks, text, block, before = [], [], None, ""
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        where = f"{page.relative_to(ROOT)}:{number}"
        fence = re.fullmatch(r"```(\w*)", line)
        if block is not None and fence:
            blocks.append(block._replace(text=block.text.removesuffix("\n")))
            block = None
        elif block is not None:
            block = block._replace(text=f"{block.text}{line}\n")
        elif fence:
            assert fence[1] in LANGUAGES, f"{where}: a block says which of {LANGUAGES} it is"
            block = Block(page, number + 1, fence[1], "")
        else:
            indented = line.startswith("    ") and not before.strip()
            assert not indented, f"{where}: code is fenced, with its language"
            text.append(line)
        before = line
    assert block is None, f"{page}: a block has no end"
    return Page(blocks, "\n".join(text))


def blocks(language):
    """The blocks of all pages in a language."""
    return [block for page in PAGES for block in read(page).blocks if block.language == language]


def commands():
    """The commands of all blocks of shell."""
    found = []
    for block in blocks("sh"):
        line, whole = block.line, ""
        for number, part in enumerate(block.text.split("\n"), start=block.line):
            line = line if whole else number
            whole += part.removesuffix("\\")
            if part.endswith("\\"):
                continue
            words = tuple(shlex.split(whole, comments=True))
            if words:
                found.append(Command(block.page, line, words))
            whole = ""
        assert not whole, f"{block.page}:{line}: the command has no end"
    return found


def inline(page):
    """The code within the sentences of a page."""
    return re.findall(r"`([^`\n]+)`", read(page).text)
