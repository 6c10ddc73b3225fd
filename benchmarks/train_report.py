"""What a process that measures training steps prints: a line of JSON as soon as it is known."""

import json
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

Step = Callable[[], float]


class StepTimes(NamedTuple):
    """Seconds up to what was reached; None for what was not.

    Attributes:
      built_s: From the start to the end of building, before the first step.
      first_s: From the start to the end of the first step.
      later_s: The median of a later step.
      later_steps: How many those were.
      loss: Of the last step, in nats.
    """

    built_s: float | None = None
    first_s: float | None = None
    later_s: float | None = None
    later_steps: int = 0
    loss: float | None = None


def measure(build: Callable[[], Step], num_later: int) -> None:
    """Builds a model, takes a first step and `num_later` more, and prints `StepTimes` throughout.

    Args:
      build: Makes a function that takes one step and returns its loss.
      num_later: How many steps follow the first.
    """
    start = time.perf_counter()
    step = build()
    times = _report(StepTimes(built_s=time.perf_counter() - start))
    loss = step()
    times = _report(times._replace(first_s=time.perf_counter() - start, loss=loss))
    later: list[float] = []
    for _ in range(num_later):
        before = time.perf_counter()
        loss = step()
        later.append(time.perf_counter() - before)
        middle = statistics.median(later)
        _report(times._replace(later_s=middle, later_steps=len(later), loss=loss))


def _report(times: StepTimes) -> StepTimes:
    print(json.dumps(times._asdict()), flush=True)
    return times


def read(stdout: str) -> StepTimes:
    """The last report in the output of a process that called `measure`."""
    lines: Sequence[str] = [line for line in stdout.splitlines() if line.startswith("{")]
    return StepTimes(**json.loads(lines[-1])) if lines else StepTimes()


class Block(NamedTuple):
    """Some steps in a row.

    Attributes:
      step_s: Seconds of each.
      peak_mb: The largest resident memory of the process so far.
    """

    step_s: list[float]
    peak_mb: float


def serve(step: Step) -> None:
    """Takes as many steps as each line of stdin says, and prints a `Block` of them."""
    for line in sys.stdin:
        step_s = []
        for _ in range(int(line)):
            before = time.perf_counter()
            step()
            step_s.append(time.perf_counter() - before)
        kilobyte = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes there
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilobyte / 1e6
        print(json.dumps(Block(step_s, peak_mb)._asdict()), flush=True)
