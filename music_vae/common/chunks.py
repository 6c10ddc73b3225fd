"""Loops over more examples than are computed at once: in chunks, in threads, with a bar."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from music_vae.common import progress

_Result = TypeVar("_Result")


def map_chunks(
    function: Callable[[slice], _Result],
    count: int,
    size: int,
    *,
    workers: int = 1,
    label: str | None = None,
) -> list[_Result]:
    """Calls a function with every chunk of `count` examples, and returns its results in order.

        >>> letters = "abcde"
        >>> map_chunks(lambda chunk: letters[chunk], len(letters), 2)
        ['ab', 'cd', 'e']

    Args:
      function: Called with a slice of the examples.
      count: Number of examples.
      size: Number of examples in a chunk; the last may have fewer.
      workers: Number of threads that call the function.
      label: Text of a progress bar; None: there is no bar.
    """
    chunks = [slice(start, min(start + size, count)) for start in range(0, count, size)]

    def shown(results: Iterator[_Result]) -> list[_Result]:
        if label is None:
            return list(results)
        return list(progress.bar(results, label, unit="batch", total=len(chunks)))

    if min(workers, len(chunks)) <= 1:
        return shown(map(function, chunks))
    with ThreadPoolExecutor(workers) as pool:
        return shown(pool.map(function, chunks))
