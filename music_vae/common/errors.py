"""Defines the errors that commands know, and the exit codes by which other processes know them."""

import contextlib
import difflib
from collections.abc import Iterable, Iterator

EXIT_OK = 0
EXIT_USER_ERROR = 2


class UserError(ValueError):
    """An error in something that the user gave; the message says what is right instead.

    A message names an argument, or a value for one, in backticks: `` `seed` ``, `` `seed=3` ``.
    Commands print it as one line on stderr, with such names as the flags that they have, and exit
    with code 2.

    >>> error = UserError("`seed=-1` must not be below 0", hint="leave it out for another one")
    >>> str(error), error.hint
    ('`seed=-1` must not be below 0', 'leave it out for another one')

    Attributes:
      hint: Advice to the user, where the message does not contain it.
    """

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@contextlib.contextmanager
def naming(argument: str, value: object) -> Iterator[None]:
    """Has a `UserError` that is raised in the block begin with the argument that it is about.

    What reads a file does not know by which of several arguments the file was given. An error that
    begins with an argument already stays as it is.

    >>> with naming("soundfont", "piano.sf2"):
    ...     raise UserError("piano.sf2: no such file")
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `soundfont=piano.sf2`: no such file

    Args:
      argument: Name of the argument.
      value: Its value, as it was given; None: it was not given, and messages stay as they are.
    """
    try:
        yield
    except UserError as error:
        message = str(error)
        if value is not None and not message.startswith("`"):
            error.args = (f"`{argument}={value}`: {message.removeprefix(f'{value}: ')}",)
        raise


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns a question with the known name nearest to a wrong one; all names if none is near.

    >>> did_you_mean("batchsize", ["batch_size", "z_size"])
    'did you mean batch_size?'
    >>> did_you_mean("x", ["batch_size", "z_size"])
    'known are batch_size, z_size'
    """
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(names)}"


class NoExtractedExamplesError(UserError):
    """The error for a sequence that should give exactly one example and gives none.

    >>> raise NoExtractedExamplesError("tune.mid: no melody")
    Traceback (most recent call last):
    music_vae.common.errors.NoExtractedExamplesError: tune.mid: no melody
    """


class MultipleExtractedExamplesError(UserError):
    """The error for a sequence that should give exactly one example and gives several.

    >>> issubclass(MultipleExtractedExamplesError, UserError)  # commands print it like any other
    True
    """


class WorkerLostError(Exception):
    """The error for a cluster of which another process has gone; this one cannot go on alone.

    >>> error = WorkerLostError("worker 1 is gone")
    >>> error.progressed = True  # it may be started again
    >>> print(error)
    worker 1 is gone

    Attributes:
      progressed: True if this process had taken a training step before.
    """

    progressed = False
