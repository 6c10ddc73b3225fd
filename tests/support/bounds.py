"""Bounds on the time and the memory that a hostile input may take."""

import contextlib
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from music_vae.common.errors import UserError

_PATIENCE = 20
_TIMERS = {signal.ITIMER_PROF: signal.SIGPROF, signal.ITIMER_REAL: signal.SIGALRM}


@contextlib.contextmanager
def bounded(seconds: float = 20, gibibytes: float = 2) -> Iterator[None]:
    """Fails the test if the block computes for longer, or takes more memory on top.

    What only waits, or computes on a busy machine, may take `_PATIENCE` times as long by the clock.
    """

    def stop(*_: object) -> None:
        pytest.fail(f"it took more than {seconds} seconds")

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + int(gibibytes * 2**30)
    before, hard = resource.getrlimit(resource.RLIMIT_AS)
    previous = {number: signal.signal(number, stop) for number in _TIMERS.values()}
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, _PATIENCE * seconds)
    try:
        yield
    finally:
        for timer in _TIMERS:
            signal.setitimer(timer, 0)
        resource.setrlimit(resource.RLIMIT_AS, (before, hard))
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def refused_at_most(**limits: float) -> Iterator[None]:
    """Lets a hostile input be used or refused in a short `UserError`, within bounds."""
    with bounded(**limits):
        try:
            yield
        except UserError as error:
            assert 10 < len(str(error)) < 2000, str(error)
