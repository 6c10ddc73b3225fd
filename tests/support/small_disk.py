"""A disk that is soon full, for tests of what is then said and left."""

import contextlib
import resource
from collections.abc import Iterator


@contextlib.contextmanager
def small_disk(file_bytes: int = 100) -> Iterator[None]:
    """Has the system refuse to make any file larger, as a full disk does, in the block."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
