"""Notes which sections of an ABC tune are repeated, and what is played in which order.

The notes of a tune are kept as they are written; NoteSequence has annotations of sections, and
groups of them that say how often each is played.
"""

from collections.abc import Collection

_MAX_TIMES = 100


class Sections:
    """Takes the bar lines of a voice in their order.

    >>> sections = Sections()  # |: 4 quarter notes :|
    >>> sections.bar(0.0, ends=0, lines="|", begins=1)
    >>> sections.bar(4.0, ends=1, lines="|", begins=0)
    >>> sections.finish(4.0)
    >>> sections.starts, sections.groups
    ([0.0], [([0], 2)])

    Attributes:
      starts: Where each section begins, in quarter notes; its number is its place in the list.
      groups: Numbers of the sections that are played one after the other, and how often.
      mismatched: True once a repeat does not end as it begins.
    """

    def __init__(self) -> None:
        self.starts: list[float] = []
        self.groups: list[tuple[list[int], int]] = []
        self.mismatched = False
        self._expected = 0  # how many colons are to end the repeat
        self._unplayed = 0  # the first section that is in no group
        self._body: list[int] = []  # the sections before the endings
        self._endings: list[tuple[Collection[int], int]] = []
        self._ended: float | None = None  # where the last ending ended

    def bar(self, time: float, *, ends: int, lines: str, begins: int) -> None:
        """Takes a bar line with so many colons before and after it."""
        if self._ended is not None and time > self._ended:
            self._close_endings()
        if not ends and not begins:
            if len(lines) > 1 and time > 0 and not self._expected and self._begin(time):
                self._play_before(1)
            return
        if self._expected and ends != self._expected:
            self.mismatched = True
        new = self._begin(time)
        if self._endings and not begins:
            self._ended = time
        elif ends:
            if time > 0:
                self._play_before(min(ends + 1, _MAX_TIMES))
            else:
                self.mismatched = True
        elif time > 0 and new:
            self._play_before(1)
        self._expected = begins

    def ending(self, time: float, numbers: Collection[int]) -> None:
        """Takes the beginning of the endings of these numbers."""
        if time == 0:
            return  # an ending of nothing
        self._begin(time)
        last = len(self.starts) - 1
        if not self._endings:
            self._body = list(range(self._unplayed, last))
        self._endings.append((numbers, last))
        self._expected, self._ended = 0, None

    def finish(self, time: float) -> None:
        """Takes the end of the tune."""
        self._close_endings()
        self.mismatched |= bool(self._expected)
        if self.starts and self.starts[-1] >= time:
            self.starts.pop()
        if self.groups and self._unplayed < len(self.starts):
            self.groups.append(([len(self.starts) - 1], 1))

    def _begin(self, time: float) -> bool:
        """Begins a section; returns false if one begins here already."""
        if not self.starts and time > 0:
            self.starts.append(0.0)
        if self.starts and self.starts[-1] == time:
            return False
        self.starts.append(time)
        return True

    def _play_before(self, times: int) -> None:
        """Plays the section that ends here."""
        if self._endings:
            self._close_endings()
        elif len(self.starts) > 1:
            self._play([len(self.starts) - 2], times)

    def _close_endings(self) -> None:
        """Plays what is before the endings with each of them in turn."""
        last = max((number for numbers, _ in self._endings for number in numbers), default=0)
        for number in range(1, last + 1):
            sections = [section for numbers, section in self._endings if number in numbers]
            if sections:
                self._play([*self._body, *sections], 1)
        self._endings, self._body, self._ended = [], [], None

    def _play(self, sections: list[int], times: int) -> None:
        self.groups.append((sections, times))
        self._unplayed = max(self._unplayed, sections[-1] + 1)
