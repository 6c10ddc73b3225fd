"""Works in several processes, in order, so that none of them can take the others down.

A file may be built to exhaust the program that reads it. So a process has a limit on its memory,
and one that dies takes only its item with it. Results do not depend on the number of processes.
"""

import contextlib
import logging
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Generic, TypeVar

from music_vae.common import lazy_imports

# Memory that a process may use beyond its imports; large scores need some 1 GiB.
MAX_WORKER_BYTES = 4 * 2**30
# Enough items in flight for processes never to wait, and few to repeat when one dies.
_IN_FLIGHT_PER_PROCESS = 3
# Processes take a second or two to start.
_ALONE_S = 2.0

_logger = logging.getLogger(__name__)
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Pool(Generic[_Item, _Result]):
    """Processes that do one kind of work, started when they are first needed.

    >>> with Pool(len, num_processes=0, died=lambda item: -1) as pool:
    ...     list(pool.map(["C", "D E", "F G A"]))
    [1, 3, 5]
    """

    def __init__(
        self,
        work: Callable[[_Item], _Result],
        num_processes: int | None,
        *,
        died: Callable[[_Item], _Result],
    ) -> None:
        """Makes a pool, whose processes are not started yet.

        Args:
          work: Function of an item that returns its result; all three can be pickled.
          num_processes: Number of processes; 0: this one alone. None: one for each CPU, once this
            one has worked for longer than their start takes.
          died: Function that returns the result of an item whose process died, or raises.
        """
        self._work = work
        self._alone_s = _ALONE_S if num_processes is None else 0.0
        self._size = num_cpus() if num_processes is None else num_processes
        self._died = died
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> "Pool[_Item, _Result]":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stops the processes; results that are not ready yet are lost."""
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)
            self._executor = None

    def map(self, items: Iterable[_Item]) -> Iterator[_Result]:
        """Yields the result of every item, in order."""
        waiting = iter(items)
        start = time.monotonic()
        while self._executor is None and (
            self._size == 0 or time.monotonic() - start < self._alone_s
        ):
            try:
                item = next(waiting)
            except StopIteration:
                return
            yield self._work(item)
        yield from self._map(waiting)

    def _map(self, waiting: Iterator[_Item]) -> Iterator[_Result]:
        """Yields the results of items that the processes work on."""
        in_flight: deque[tuple[_Item, Future[_Result]]] = deque()
        while True:
            while len(in_flight) < self._size * _IN_FLIGHT_PER_PROCESS:
                try:
                    item = next(waiting)
                except StopIteration:
                    break
                if self._executor is None:
                    self._executor = _new_executor(self._size)
                in_flight.append((item, _submit(self._executor, self._work, item)))
            if not in_flight:
                return
            _, future = in_flight[0]
            try:
                result = future.result()
            except BrokenProcessPool:
                self.close()
                yield from self._one_by_one(in_flight)
                in_flight.clear()
            else:
                in_flight.popleft()
                yield result

    def _one_by_one(self, in_flight: Iterable[tuple[_Item, Future[_Result]]]) -> Iterator[_Result]:
        """Yields the results of a pool that broke, working on unfinished items once more.

        A process that dies breaks its whole pool, and the pool does not tell which item was the
        cause. In a pool of one process, that is known.
        """
        executor = _started_executor()
        try:
            for item, future in in_flight:
                if not isinstance(future.exception(), BrokenProcessPool):
                    yield future.result()
                    continue
                try:
                    yield _submit(executor, self._work, item).result()
                except BrokenProcessPool:
                    yield self._died(item)
                    executor.shutdown()
                    executor = _started_executor()
        finally:
            executor.shutdown(cancel_futures=True)


def num_cpus() -> int:
    """Returns the number of CPUs that this process may use.

    >>> num_cpus() <= os.cpu_count()
    True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _submit(
    executor: ProcessPoolExecutor, work: Callable[[_Item], _Result], item: _Item
) -> Future[_Result]:
    """Submits one item; if the pool is broken already, the future raises that error."""
    try:
        with _children_without_interrupts():
            return executor.submit(work, item)
    except BrokenProcessPool as error:
        failed: Future[_Result] = Future()
        failed.set_exception(error)
        return failed


@contextlib.contextmanager
def _children_without_interrupts() -> Iterator[None]:
    """Has processes that start in the block begin life without Ctrl-C, which the parent answers.

    It goes to the whole process group. A process that met it before `_prepare_process` would print
    a traceback. Of this process it is answered after the block.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _new_executor(size: int) -> ProcessPoolExecutor:
    """Starts a pool of processes."""
    # Spawned: a fork of a process with threads (the pool's own, tqdm's, TensorFlow's) may deadlock.
    return ProcessPoolExecutor(size, mp_context=get_context("spawn"), initializer=_prepare_process)


def _started_executor() -> ProcessPoolExecutor:
    """Starts a pool of one process, so that what dies in it dies of its item.

    Raises:
      MemoryError: If processes die without any.
    """
    executor = _new_executor(1)
    try:
        _submit(executor, abs, 0).result()
    except BrokenProcessPool:
        executor.shutdown()
        raise MemoryError("processes to work in cannot be started") from None
    return executor


def _prepare_process() -> None:
    """Imports what a process of a pool needs and limits its memory, where the system can."""
    # Ctrl-C goes to the whole process group; the parent alone answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The ABC parser logs every oddity of every tune there.
    logging.getLogger("absl").setLevel(logging.ERROR)
    lazy_imports.import_note_seq()
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        wanted = pages * resource.getpagesize() + MAX_WORKER_BYTES
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    except (ImportError, OSError, ValueError):
        _logger.debug("no limit on the memory of processes on this system")
