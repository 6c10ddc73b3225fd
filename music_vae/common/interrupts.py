"""Ends work in order when a signal asks for it, so that what was done is kept."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

_ENDING = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
_ALL = [signal.SIGINT, *_ENDING]


class Terminated(KeyboardInterrupt):
    """Raised where the program stands when another one, or a terminal that closes, ends it.

    It is a `KeyboardInterrupt`, so that whoever saves what was done before Ctrl-C ends the program
    does so then, too.

    >>> Terminated(signal.SIGTERM).number
    <Signals.SIGTERM: 15>

    Attributes:
      number: The signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextlib.contextmanager
def raised() -> Iterator[None]:
    """Has the signals that end a program raise `Terminated` in the block.

    Signals that are ignored, or that something else answers, are left alone. In other threads than
    the main one, Python cannot answer signals, and nothing changes.

    >>> import os
    >>> try:
    ...     with raised():
    ...         os.kill(os.getpid(), signal.SIGTERM)
    ... except KeyboardInterrupt as error:
    ...     print(type(error).__name__, error.number)
    Terminated 15
    """

    def end(number: int, _: FrameType | None) -> None:
        raise Terminated(number)

    with _answered(end, [n for n in _ENDING if signal.getsignal(n) is signal.SIG_DFL]):
        yield


@contextlib.contextmanager
def postponed() -> Iterator[None]:
    """Answers a signal that would end the program after the block; a second one at once.

    For what is of little use by halves, as a checkpoint of several files.

    >>> try:
    ...     with postponed():
    ...         signal.raise_signal(signal.SIGINT)
    ...         print("all is saved")
    ... except KeyboardInterrupt:
    ...     print("interrupted")
    all is saved
    interrupted
    """
    waiting: list[int] = []
    before: dict[int, Any] = {number: signal.getsignal(number) for number in _ALL}

    def note(number: int, frame: FrameType | None) -> None:
        answer = before[number]
        if waiting and callable(answer):
            answer(number, frame)
        waiting.append(number)

    with _answered(note, [number for number in _ALL if callable(before[number])]):
        yield
    if waiting:
        signal.raise_signal(waiting[0])


@contextlib.contextmanager
def _answered(answer: Any, numbers: list[signal.Signals]) -> Iterator[None]:
    """Has a function answer these signals in the block, if this is the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, answer) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
