"""Shows progress bars where someone can see them: on a terminal."""

import sys
from collections.abc import Iterable
from typing import TypeVar

_Item = TypeVar("_Item")


def show_progress() -> bool:
    """Returns True if stderr is a terminal, so that someone can see a progress bar.

    >>> import contextlib, io
    >>> with contextlib.redirect_stderr(io.StringIO()):  # as into a file
    ...     show_progress()
    False
    """
    return sys.stderr.isatty()


def bar(
    items: Iterable[_Item], label: str, *, unit: str = "it", total: int | None = None
) -> Iterable[_Item]:
    """Passes items on, while a labelled bar counts them on stderr, if that is a terminal.

    >>> [beat * 2 for beat in bar([1, 2, 3], "doubling", unit="beat")]
    [2, 4, 6]

    Args:
      items: Items to pass on.
      label: Text beside the bar.
      unit: Name of an item, for the rate.
      total: Number of items; None: the length of `items`, if it has one.
    """
    from tqdm import tqdm

    return tqdm(items, label, total, unit=unit, disable=not show_progress())
