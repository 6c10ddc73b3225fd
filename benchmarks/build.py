"""Times building a model and training it against the original, in fresh processes.

    python benchmarks/build.py --original_python=ENV/bin/python

Both sides get the same hyper-parameters and the same batch. Models are small here, so that building
and the work around the arithmetic show. See README.md here for the original's environment.
"""

import argparse
import statistics
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

import processes
import train_report
from processes import HERE
from train_report import StepTimes

_SMALL = "batch_size=8,z_size=32,enc_rnn_size=[{encoder}],dec_rnn_size=[{decoder}]"
_FLAT = _SMALL.format(encoder="64", decoder="64,64")
_HIERARCHICAL_DECODER = _SMALL.format(encoder="64,64", decoder="64,64")

# As many layers as the config has, but narrow ones.
SMALL_HPARAMS = {
    "cat-mel_2bar_small": _FLAT,
    "groovae_4bar": _FLAT,
    "nade-drums_2bar_full": _FLAT + ",nade_num_hidden=32",
    "hierdec-mel_16bar": _HIERARCHICAL_DECODER,
    "hierdec-trio_16bar": _HIERARCHICAL_DECODER,
    "hier-multiperf_vel_1bar_med": _SMALL.format(encoder="64", decoder="64,64,64"),
}


class Round(NamedTuple):
    """One measurement of both sides."""

    ours: StepTimes
    original: StepTimes


def measure(
    config: str, hparams: str, steps: int, original_python: str, limit_s: float
) -> tuple[Round, str | None]:
    """One of ours, then one of the original's; second, what of the original was not reached."""
    arguments = ("train_steps", config, hparams, str(steps))
    ours = processes.run([sys.executable, str(HERE / "ours.py"), *arguments])
    original = processes.run(processes.original(original_python, *arguments), limit_s=limit_s)
    times = train_report.read(original.stdout)
    return Round(train_report.read(ours.stdout), times), _missing(times, steps, limit_s)


def _missing(times: StepTimes, steps: int, limit_s: float) -> str | None:
    if times.later_steps == steps:
        return None
    if times.first_s is None:
        built = "not built" if times.built_s is None else f"built after {times.built_s:.0f} s"
        return f"original: {built}, no step within {limit_s:.0f} s"
    return f"original: {times.later_steps} of {steps} later steps within {limit_s:.0f} s"


def table_row(config: str, rounds: Sequence[Round]) -> str:
    """Medians over the rounds, and the medians of the ratios within each."""
    first = _cells(rounds, lambda times: times.first_s)
    later = _cells(rounds, lambda times: times.later_s)
    return f"{config:<30}{first}{later}"


def _cells(rounds: Sequence[Round], value: Callable[[StepTimes], float | None]) -> str:
    """Ours, the original's and how much longer that took; `-` where it was not reached."""
    ours = [value(each.ours) or 0.0 for each in rounds]
    original = [value(each.original) for each in rounds]
    mine = f"{statistics.median(ours):>9.3f}"
    reached = [(a, b) for a, b in zip(ours, original, strict=True) if b is not None]
    if len(reached) < len(rounds):
        return f"{mine}{'-':>10}{'-':>8}"
    theirs = statistics.median(b for _, b in reached)
    ratio = statistics.median(b / a for a, b in reached)
    return f"{mine}{theirs:>10.3f}{ratio:>8.1f}"


def header(steps: int) -> str:
    """The two lines above the rows."""
    groups = f"{'':<30}{'start to first step, s':>27}{f'a later step (of {steps}), s':>27}"
    return f"{groups}\n{'config':<30}" + f"{'ours':>9}{'original':>10}{'ratio':>8}" * 2


def main() -> None:
    """Measures one config after the other and prints a row for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--original_python", required=True, help="Python with magenta 2.1.4, see README.md"
    )
    parser.add_argument(
        "--configs", default=",".join(SMALL_HPARAMS), help="comma-separated (default: %(default)s)"
    )
    parser.add_argument("--hparams", help="for all configs (default: small sizes for each)")
    parser.add_argument("--steps", type=int, default=20, help="later steps (default: 20)")
    parser.add_argument("--repeats", type=int, default=1, help="rounds of a config (default: 1)")
    parser.add_argument(
        "--limit_s", type=float, default=480, help="for one run of the original (default: 480)"
    )
    options = parser.parse_args()
    configs = options.configs.split(",")
    unknown = [name for name in configs if not options.hparams and name not in SMALL_HPARAMS]
    if unknown:
        parser.error(f"there are no small sizes for {', '.join(unknown)}; give --hparams")
    rates, notes = [processes.matrix_product_rate()], []
    print(header(options.steps), flush=True)
    for config in configs:
        hparams = options.hparams or SMALL_HPARAMS[config]
        rounds = []
        for number in range(1, options.repeats + 1):
            processes.show_progress(f"{config}: round {number} of {options.repeats}")
            measured, missing = measure(
                config, hparams, options.steps, options.original_python, options.limit_s
            )
            rounds.append(measured)
            notes += [f"{config}: {missing}"] if missing else []
        rates.append(processes.matrix_product_rate())
        print(table_row(config, rounds), flush=True)
    print("\n".join(["", *notes, processes.machine(rates)]))


if __name__ == "__main__":
    main()
