"""Times sampling 16-bar trios with `music_vae_generate` against the original's, as whole commands.

    python benchmarks/trio.py --original_python=ENV/bin/python

The model has its full size and random weights. See README.md here for the original's environment.
"""

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

import processes
from processes import Cost, Outcome

CONFIG = "hierdec-trio_16bar"
NUM_OUTPUTS = 5


def generate_flags(checkpoint: Path, output_dir: Path) -> list[str]:
    """The flags that both commands are given."""
    return [
        f"--config={CONFIG}",
        f"--checkpoint_file={checkpoint}",
        "--mode=sample",
        f"--num_outputs={NUM_OUTPUTS}",
        f"--max_batch_size={NUM_OUTPUTS}",
        f"--output_dir={output_dir}",
    ]


def make_checkpoint(original_python: str, prefix: Path) -> None:
    """Makes the original write a checkpoint at `prefix`, unless there is one."""
    if prefix.with_name(prefix.name + ".index").exists():
        return
    processes.show_progress(f"making {prefix}")
    processes.run(processes.original(original_python, "make_checkpoint", CONFIG, str(prefix)))


def measure(
    original_python: str, checkpoint: Path, music_dir: Path, repeats: int, limit_s: float
) -> tuple[list[Cost], Outcome]:
    """`repeats` of ours, half of them before the one of the original's and half after."""
    ours = processes.console_script("music_vae_generate")
    costs = []
    for number in range(repeats):
        if number == (repeats + 1) // 2:
            original = _original(original_python, checkpoint, music_dir / "original", limit_s)
        processes.show_progress(f"ours, {number + 1} of {repeats}")
        music = music_dir / str(number)
        costs.append(processes.run([ours, *generate_flags(checkpoint, music)]).cost)
        _check(music)
    return costs, original


def _original(original_python: str, checkpoint: Path, music: Path, limit_s: float) -> Outcome:
    processes.show_progress(f"the original's, {limit_s:.0f} s at most")
    flags = generate_flags(checkpoint, music)
    command = processes.original(original_python, "generate", *flags)
    outcome = processes.run(command, limit_s=limit_s)
    if outcome.finished:
        _check(music)
    return outcome


def _check(music: Path) -> None:
    files = list(music.glob("*.mid"))
    if len(files) != NUM_OUTPUTS:
        raise RuntimeError(f"{music} holds {len(files)} MIDI files; expected {NUM_OUTPUTS}")


def table(ours: Sequence[Cost], original: Outcome) -> str:
    """Our median and every run of ours, the original's, and how much more that took."""
    middle = Cost(*(statistics.median(values) for values in zip(*ours, strict=True)))
    more = "" if original.finished else ">"
    lines = [f"{'':<28}{'wall s':>10}{'CPU s':>10}{'peak MB':>10}"]
    lines += [_row(f"ours, run {n}", cost) for n, cost in enumerate(ours, start=1)]
    lines.append(_row("ours, median", middle))
    lines.append(_row("the original's", original.cost, more))
    ratio = Cost(*(b / a for a, b in zip(middle, original.cost, strict=True)))
    return "\n".join([*lines, _row("original / ours", ratio, more)])


def _row(name: str, cost: Cost, more: str = "") -> str:
    return f"{name:<28}" + "".join(f"{f'{more}{value:.1f}':>10}" for value in cost)


def main() -> None:
    """Makes a checkpoint, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--original_python", required=True, help="Python with magenta 2.1.4, see README.md"
    )
    parser.add_argument("--repeats", type=int, default=3, help="runs of ours (default: 3)")
    parser.add_argument(
        "--limit_s", type=float, default=1200, help="for the original's run (default: 1200)"
    )
    parser.add_argument(
        "--work_dir",
        type=Path,
        help="where the checkpoint stays, to be used again (default: nowhere)",
    )
    options = parser.parse_args()
    if options.repeats < 2:
        parser.error("--repeats must be at least 2: one before the original's run and one after")
    with tempfile.TemporaryDirectory(prefix="benchmark-") as temporary:
        music_dir = Path(temporary) / "music"
        checkpoint = (options.work_dir or Path(temporary)) / "checkpoint" / CONFIG
        make_checkpoint(options.original_python, checkpoint)
        rates = [processes.matrix_product_rate()]
        costs, original = measure(
            options.original_python, checkpoint, music_dir, options.repeats, options.limit_s
        )
        rates.append(processes.matrix_product_rate())
    print(f"{CONFIG}, full size, {NUM_OUTPUTS} outputs")
    print(f"{processes.machine(rates)}\n")
    print(table(costs, original))


if __name__ == "__main__":
    main()
