"""Runs commands in fresh processes and says what they cost; says how fast the machine is."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import train_report

HERE = Path(__file__).parent

# A large product keeps all cores busy: how fast this machine is at this moment.
_MATRIX_PRODUCT = """
import time
import tensorflow as tf
size, repeats = 2048, 5
a = tf.random.normal([size, size])
tf.matmul(a, a).numpy()
start = time.perf_counter()
for _ in range(repeats):
    tf.matmul(a, a).numpy()
print(2 * size**3 * repeats / (time.perf_counter() - start) / 1e9)
"""


class Cost(NamedTuple):
    """What one process took, its own children included."""

    wall_s: float
    cpu_s: float
    peak_mb: float


class Outcome(NamedTuple):
    """What a process cost and printed, and whether it came to its end before its time was up."""

    cost: Cost
    stdout: str
    finished: bool


def run(
    command: Sequence[str],
    *,
    expected_code: int = 0,
    limit_s: float | None = None,
    environment: Mapping[str, str] | None = None,
) -> Outcome:
    """Runs a command to its end, or kills it after `limit_s` seconds.

    `environment` has variables to set for it.

    This process stays small: Linux counts it towards the peak of a child that it starts.

    Raises:
      RuntimeError: If it ends by itself with another code than the expected one; has the end of
        its stderr.
    """
    quiet = {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    variables = {**os.environ, **quiet, **(environment or {})}
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=stdout, stderr=stderr, env=variables)
        timer = threading.Timer(limit_s or 0, process.kill)
        if limit_s is not None:
            timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - start
        process.returncode = code = os.waitstatus_to_exitcode(status)
        timer.cancel()
        stdout.seek(0)
        stderr.seek(0)
        limited = limit_s is not None and wall_s >= limit_s and code == -signal.SIGKILL
        if code != expected_code and not limited:
            message = stderr.read().decode(errors="replace")[-2000:]
            raise RuntimeError(f"{' '.join(command)} ended with {code}:\n{message}")
        output = stdout.read().decode()
    kilobyte = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes there
    peak_mb = usage.ru_maxrss * kilobyte / 1e6
    return Outcome(Cost(wall_s, usage.ru_utime + usage.ru_stime, peak_mb), output, not limited)


class Server:
    """A process that takes as many steps as it is told, again and again; see `train_report.serve`.

    Waiting, it uses no time: several can be measured in turns.
    """

    def __init__(self, command: Sequence[str]) -> None:
        environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115, closed with the process
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
            text=True,
        )

    def take(self, steps: int) -> train_report.Block:
        """Takes `steps` steps.

        Raises:
          RuntimeError: If the process has ended; has the end of its stderr.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{steps}\n")
            self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith("{"):
                return train_report.Block(**json.loads(line))
        self._errors.seek(0)
        message = self._errors.read().decode(errors="replace")[-2000:]
        raise RuntimeError(f"{self._process.args} ended:\n{message}")

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.communicate()


def console_script(name: str) -> str:
    """The path of a command of this package."""
    return str(Path(sys.executable).with_name(name))


def original(python: str, *arguments: str) -> list[str]:
    """A command of `original.py` under the original's Python."""
    return [python, str(HERE / "original.py"), *arguments]


def ours(*arguments: str) -> list[str]:
    """A command of `ours.py` under this Python."""
    return [sys.executable, str(HERE / "ours.py"), *arguments]


def show_progress(*words: object) -> None:
    """Says on stderr what is running now."""
    print(*words, file=sys.stderr, flush=True)


def machine(rates: Iterable[float]) -> str:
    """A line on the machine, with its lowest and highest measured rate of a matrix product."""
    rates = list(rates)
    return (
        f"{os.cpu_count()} cores; matrix product of 2048 x 2048 in float32: "
        f"{min(rates):.0f} to {max(rates):.0f} GFLOP/s"
    )


def matrix_product_rate() -> float:
    """How fast this machine is at this moment, in GFLOP/s."""
    return float(run([sys.executable, "-c", _MATRIX_PRODUCT]).stdout)
