"""Times `music_vae_generate` against the original's, as whole commands in fresh processes.

    python benchmarks/generate.py --original_python=ENV/bin/python

Everything is measured in turn, round after round, so that a busy machine slows all alike: read the
ratios, not the seconds. See README.md here for the original's environment.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
NUM_OUTPUTS = 5

# Names of what is measured.
IMPORT, OURS, ORIGINAL = "import tensorflow", "music_vae_generate", "the original's"
HELP, WRONG_FLAG = "--help", "a wrong flag"

# A large product keeps all cores busy: how fast this machine is at this moment.
MATRIX_PRODUCT = """
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


def run(command: Sequence[str], *, expected_code: int = 0) -> tuple[Cost, str]:
    """Runs a command to its end; returns its cost and its stdout.

    This process stays small: Linux counts it towards the peak of a child that it starts.

    Raises:
      RuntimeError: If it ends with another code than the expected one; has the end of its stderr.
    """
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=stdout, stderr=stderr, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - start
        process.returncode = code = os.waitstatus_to_exitcode(status)
        stdout.seek(0)
        stderr.seek(0)
        if code != expected_code:
            message = stderr.read().decode(errors="replace")[-2000:]
            raise RuntimeError(f"{' '.join(command)} ended with {code}:\n{message}")
        output = stdout.read().decode()
    kilobyte = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes there
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * kilobyte / 1e6), output


def generate_flags(config: str, checkpoint: Path, output_dir: Path) -> list[str]:
    """The flags that both commands are given."""
    return [
        "--mode=sample",
        f"--num_outputs={NUM_OUTPUTS}",
        f"--config={config}",
        f"--checkpoint_file={checkpoint}",
        f"--output_dir={output_dir}",
    ]


def measure(
    original_python: str, config: str, checkpoint: Path, work_dir: Path, repeats: int
) -> tuple[dict[str, list[Cost]], list[dict[str, float]]]:
    """Costs by name, `repeats` of each, and the stages of as many runs of ours.

    A round that is not counted comes first: it reads everything from disk.
    """
    ours = [str(Path(sys.executable).with_name("music_vae_generate"))]
    original = [original_python, str(HERE / "original.py"), "generate"]
    flags = generate_flags(config, checkpoint, work_dir / "music")
    original_flags = generate_flags(config, checkpoint, work_dir / "music_original")
    commands = {
        IMPORT: [sys.executable, "-c", "import tensorflow"],
        OURS: ours + flags,
        ORIGINAL: original + original_flags,
        HELP: [*ours, "--help"],
        WRONG_FLAG: [*ours, "--temprature=1"],
    }
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    stages = []
    for number in range(repeats + 1):
        print(f"round {number} of {repeats}", file=sys.stderr)
        for name, command in commands.items():
            costs[name].append(run(command, expected_code=2 * (name == WRONG_FLAG))[0])
        _, output = run([sys.executable, str(HERE / "stages.py"), *flags])
        stages.append(json.loads(output.splitlines()[-1]))
    return {name: values[1:] for name, values in costs.items()}, stages[1:]


def medians(costs: Iterable[Cost]) -> Cost:
    """The median of each figure by itself."""
    return Cost(*(statistics.median(values) for values in zip(*costs, strict=True)))


def cost_table(costs: Mapping[str, Sequence[Cost]]) -> str:
    """Medians of every command, then ours against the original's."""
    middle = {name: medians(values) for name, values in costs.items()}
    lines = [f"{'median of ' + str(len(costs[OURS])):<28}{'wall s':>9}{'CPU s':>9}{'peak MB':>9}"]
    lines += [
        f"{name:<28}{cost.wall_s:>9.2f}{cost.cpu_s:>9.2f}{cost.peak_mb:>9.0f}"
        for name, cost in middle.items()
    ]
    # Ratios are taken round by round: within one the machine is about equally busy.
    rounds = list(zip(costs[IMPORT], costs[OURS], costs[ORIGINAL], strict=True))
    whole = [_ratio(ours, original) for _, ours, original in rounds]
    on_top = [
        _ratio(Cost(*(b - a for a, b in zip(base, ours, strict=True))), original)
        for base, ours, original in rounds
    ]
    for name, ratios in (
        ("ours / original", whole),
        ("(ours - import) / original", on_top),
    ):
        ratio = medians(ratios)
        lines.append(f"{name:<28}{ratio.wall_s:>9.2f}{ratio.cpu_s:>9.2f}{ratio.peak_mb:>9.2f}")
    return "\n".join(lines)


def _ratio(cost: Cost, other: Cost) -> Cost:
    return Cost(*(a / b for a, b in zip(cost, other, strict=True)))


def stage_table(stages: Sequence[Mapping[str, float]]) -> str:
    """Median seconds of every stage of our command."""
    lines = [f"{'where ours takes its time':<28}{'wall s':>9}"]
    for name in stages[0]:
        lines.append(f"{name:<28}{statistics.median(stage[name] for stage in stages):>9.3f}")
    return "\n".join(lines)


def main() -> None:
    """Makes a checkpoint, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--original_python", required=True, help="Python with magenta 2.1.4, see README.md"
    )
    parser.add_argument("--repeats", type=int, default=5, help="counted rounds (default: 5)")
    parser.add_argument("--config", default="cat-mel_2bar_small", help="name of the config")
    parser.add_argument(
        "--work_dir", type=Path, help="kept afterwards; a temporary one if left out"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as temporary:
        work_dir = options.work_dir or Path(temporary)
        checkpoint = work_dir / "checkpoint" / options.config
        original = [options.original_python, str(HERE / "original.py")]
        run([*original, "make_checkpoint", options.config, str(checkpoint)])
        costs, stages = measure(
            options.original_python, options.config, checkpoint, work_dir, options.repeats
        )
        _, rate = run([sys.executable, "-c", MATRIX_PRODUCT])
    print(f"{options.config}, {NUM_OUTPUTS} outputs, {os.cpu_count()} cores")
    print(f"matrix product of 2048 x 2048 in float32: {float(rate):.0f} GFLOP/s\n")
    print(cost_table(costs))
    print()
    print(stage_table(stages))


if __name__ == "__main__":
    main()
