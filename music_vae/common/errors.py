"""The errors that commands know, and the exit codes that tell other processes of them."""

import difflib
from collections.abc import Iterable

EXIT_OK = 0
EXIT_USER_ERROR = 2


class UserError(ValueError):
    """Something the user gave is wrong; the message says what, and what would be right.

    A message names an argument, or a value for one, in backticks: `` `seed` ``, `` `seed=3` ``.
    Commands print it as one line on stderr, with such names as the flags that they have, and exit
    with code 2.

    Attributes:
      hint: What the user can do about it, where the message does not say so itself.
    """

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The known name that is nearest to a wrong one, as a question; all of them if none is near.

    >>> did_you_mean("batchsize", ["batch_size", "z_size"])
    'did you mean batch_size?'
    >>> did_you_mean("x", ["batch_size", "z_size"])
    'known are batch_size, z_size'
    """
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(names)}"


class NoExtractedExamplesError(UserError):
    """A sequence that should give exactly one example gives none."""


class MultipleExtractedExamplesError(UserError):
    """A sequence that should give exactly one example gives several."""


class WorkerLostError(Exception):
    """Another process of a cluster has gone; this one cannot go on without it.

    Attributes:
      progressed: Whether this process had taken a step.
    """

    progressed = False
