"""Bounds on the time and the memory that a hostile input may take."""

import contextlib
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from music_vae.common.errors import UserError


@contextlib.contextmanager
def bounded(seconds: float = 20, gibibytes: float = 2) -> Iterator[None]:
    """Fails the test if the block takes longer, or more memory than there was before it."""

    def stop(*_: object) -> None:
        pytest.fail(f"it took more than {seconds} seconds")

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + int(gibibytes * 2**30)
    before, hard = resource.getrlimit(resource.RLIMIT_AS)
    previous = signal.signal(signal.SIGALRM, stop)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, (before, hard))
        signal.signal(signal.SIGALRM, previous)


@contextlib.contextmanager
def refused_at_most(**limits: float) -> Iterator[None]:
    """Lets a hostile input be used or refused in a short `UserError`, within bounds."""
    with bounded(**limits):
        try:
            yield
        except UserError as error:
            assert 10 < len(str(error)) < 2000, str(error)
