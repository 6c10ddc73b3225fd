"""Keeps processes from doing the same work at once, by lock files."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

import filelock

_log = logging.getLogger(__name__)


class LockedError(Exception):
    """Raised when another process holds a lock that is not waited for.

    >>> raise LockedError("/runs/mine/.lock")
    Traceback (most recent call last):
    music_vae.common.locks.LockedError: /runs/mine/.lock
    """


@contextlib.contextmanager
def held(path: Path, *, waiting: str | None = None) -> Iterator[None]:
    """Holds a lock in the block, which ends with its process, however that ends.

    The lock file stays. On a drive that has no locks the block runs without one.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with held(Path(folder, ".lock")), held(Path(folder, ".lock")):
    ...         print("not reached")
    Traceback (most recent call last):
    music_vae.common.locks.LockedError: .../.lock

    Args:
      path: The lock file; its folder is made if it is missing.
      waiting: Message for the log if another process holds the lock, for which is then waited.
        None: it is not waited for.

    Raises:
      LockedError: If another process holds the lock, and it is not waited for.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        if waiting is None:
            raise LockedError(str(path)) from None
        _log.info("%s", waiting)
        lock.acquire()
    except NotImplementedError:
        _log.warning("the drive of %s has no locks; let one process at a time use it", path.parent)
    try:
        yield
    finally:
        lock.release()
