"""Progress bars, where someone looks at them."""

import sys
from collections.abc import Iterable
from typing import TypeVar

_Item = TypeVar("_Item")


def show_progress() -> bool:
    """Whether a progress bar has someone to look at it: only where stderr is a terminal."""
    return sys.stderr.isatty()


def bar(
    items: Iterable[_Item], label: str, *, unit: str = "it", total: int | None = None
) -> Iterable[_Item]:
    """Passes items on, while a labelled bar counts them on stderr, if that is a terminal."""
    from tqdm import tqdm

    return tqdm(items, label, total, unit=unit, disable=not show_progress())
