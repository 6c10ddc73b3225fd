"""Times training steps against the original, in turns, beside the rate of a matrix product.

    python benchmarks/train.py --original_python=ENV/bin/python

Both sides get the same hyper-parameters and the same batch. See README.md here for the original's
environment.
"""

import argparse
import contextlib
import os
import statistics
import sys
from collections.abc import Sequence
from typing import NamedTuple

import operations
import processes
from processes import HERE
from train_report import Block

from music_vae.configs import get_config

_PRODUCT_SIZE = 2048
_PRODUCT_OPERATIONS = 2 * _PRODUCT_SIZE**3
_PRODUCTS_PER_ROUND = 5


class Case(NamedTuple):
    """What is trained, and how many times as fast as the original it should be."""

    config: str
    hparams: str
    goal: float


CASES = (
    Case("cat-mel_2bar_small", "batch_size=512", 1.3),
    Case("cat-mel_2bar_small", "batch_size=32", 2.5),
    Case("groovae_2bar_humanize", "batch_size=512", 1.3),
    Case("groovae_2bar_humanize", "batch_size=32", 2.5),
    Case("hierdec-mel_16bar", "batch_size=32,enc_rnn_size=[256],dec_rnn_size=[256]", 3.0),
    Case("hier-multiperf_vel_1bar_med", "batch_size=16,enc_rnn_size=[256],dec_rnn_size=[128]", 4.0),
)


class Round(NamedTuple):
    """Seconds per step of both sides and per matrix product, one after the other; and peaks."""

    ours: Block
    original: Block
    product: Block

    def seconds(self) -> tuple[float, float, float]:
        """The median of each side."""
        ours, original, product = (statistics.median(block.step_s) for block in self)
        return ours, original, product


def measure(case: Case, original_python: str, rounds: int, seconds: float) -> list[Round]:
    """Rounds of about `seconds` seconds for each side; what is built and warmed up is not timed."""
    arguments = ("serve_steps", case.config, case.hparams)
    ours = [sys.executable, str(HERE / "ours.py")]
    commands = (
        [*ours, *arguments],
        processes.original(original_python, *arguments),
        [*ours, "serve_products", str(_PRODUCT_SIZE)],
    )
    with contextlib.ExitStack() as stack:
        servers = [processes.Server(command) for command in commands]
        for server in servers:
            stack.callback(server.close)
        counts = []
        for server in servers:
            server.take(2)  # builds and traces, too
            counts.append(max(2, round(seconds / statistics.median(server.take(2).step_s))))
        counts[-1] = _PRODUCTS_PER_ROUND
        measured = []
        for number in range(1, rounds + 1):
            processes.show_progress(f"{case.config} {case.hparams}: round {number} of {rounds}")
            blocks = [server.take(n) for server, n in zip(servers, counts, strict=True)]
            measured.append(Round(*blocks))
    return measured


def table_row(case: Case, rounds: Sequence[Round]) -> str:
    """Medians over the rounds, and the medians of the ratios within each."""
    ours, original, _ = (
        statistics.median(s) for s in zip(*(r.seconds() for r in rounds), strict=True)
    )
    ratio = statistics.median(b / a for a, b, _ in (r.seconds() for r in rounds))
    work = operations.step_operations(get_config(case.config, case.hparams))
    shares = [
        statistics.median(
            work / r.seconds()[side] * r.seconds()[2] / _PRODUCT_OPERATIONS for r in rounds
        )
        for side in range(2)
    ]
    peaks = [max(r[side].peak_mb for r in rounds) for side in range(2)]
    return (
        f"{case.config:<28}{get_config(case.config, case.hparams).hparams.batch_size:>6}"
        f"{1 / ours:>9.2f}{1 / original:>10.2f}{ratio:>7.2f}{case.goal:>6.1f}"
        f"{shares[0]:>8.2f}{shares[1]:>10.2f}{work / 1e9:>8.1f}{peaks[0]:>8.0f}{peaks[1]:>10.0f}"
    )


def header() -> str:
    """The two lines above the rows."""
    groups = f"{'':<34}{'steps per second':>32}{'rate / product':>18}{'':>8}{'peak, MB':>18}"
    names = f"{'config':<28}{'batch':>6}{'ours':>9}{'original':>10}{'ratio':>7}{'goal':>6}"
    return f"{groups}\n{names}{'ours':>8}{'original':>10}{'GFLOP':>8}{'ours':>8}{'original':>10}"


def main() -> None:
    """Measures one case after the other and prints a row for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--original_python", required=True, help="Python with magenta 2.1.4, see README.md"
    )
    parser.add_argument(
        "--cases",
        default=",".join(map(str, range(1, len(CASES) + 1))),
        help="numbers of rows, comma-separated (default: %(default)s)",
    )
    parser.add_argument("--rounds", type=int, default=7, help="of each case (default: 7)")
    parser.add_argument(
        "--seconds", type=float, default=3, help="of each side in a round (default: 3)"
    )
    options = parser.parse_args()
    rates: list[float] = []
    print(header(), flush=True)
    for number in map(int, options.cases.split(",")):
        case = CASES[number - 1]
        rounds = measure(case, options.original_python, options.rounds, options.seconds)
        rates += [_PRODUCT_OPERATIONS / r.seconds()[2] / 1e9 for r in rounds]
        print(table_row(case, rounds), flush=True)
    print(f"\n{processes.machine(rates)}; load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
