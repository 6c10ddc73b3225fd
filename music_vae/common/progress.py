"""Whether a progress bar is shown."""

import sys


def show_progress() -> bool:
    """Whether a progress bar has someone to look at it: only where stderr is a terminal."""
    return sys.stderr.isatty()
