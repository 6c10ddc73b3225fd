"""Times `music_vae_generate` against the original's, as whole commands in fresh processes.

    python benchmarks/generate.py --original_python=ENV/bin/python

Everything is measured in turn, round after round, so that a busy machine slows all alike: read the
ratios, not the seconds. See README.md here for the original's environment.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import processes
from processes import HERE, Cost

NUM_OUTPUTS = 5

# Names of what is measured.
IMPORT, OURS, ORIGINAL = "import tensorflow", "music_vae_generate", "the original's"
WITH_TENSORFLOW = "... --engine=tensorflow"
HELP, WRONG_FLAG = "--help", "a wrong flag"
MODES = ("sample", "interpolate")


def generate_flags(mode: str, config: str, checkpoint: Path, output_dir: Path) -> list[str]:
    """The flags that both commands are given."""
    inputs = checkpoint.parent
    return [
        f"--mode={mode}",
        *(f"--input_midi_{n}={inputs / f'{n}.mid'}" for n in (1, 2) if mode == "interpolate"),
        f"--num_outputs={NUM_OUTPUTS}",
        f"--config={config}",
        f"--checkpoint_file={checkpoint}",
        f"--output_dir={output_dir}",
    ]


def measure(
    original_python: str, mode: str, config: str, checkpoint: Path, work_dir: Path, repeats: int
) -> tuple[dict[str, list[Cost]], list[dict[str, float]]]:
    """Costs by name, `repeats` of each, and the stages of as many runs of ours.

    A round that is not counted comes first: it reads everything from disk.
    """
    ours = [processes.console_script("music_vae_generate")]
    flags = generate_flags(mode, config, checkpoint, work_dir / "music")
    original_flags = generate_flags(mode, config, checkpoint, work_dir / "music_original")
    commands = {
        IMPORT: [sys.executable, "-c", "import tensorflow"],
        OURS: ours + flags,
        WITH_TENSORFLOW: [*ours, *flags, "--engine=tensorflow"],
        ORIGINAL: processes.original(original_python, "generate", *original_flags),
        HELP: [*ours, "--help"],
        WRONG_FLAG: [*ours, "--temprature=1"],
    }
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    stages = []
    for number in range(repeats + 1):
        processes.show_progress(f"{mode}, round {number} of {repeats}")
        for name, command in commands.items():
            code = 2 * (name == WRONG_FLAG)
            costs[name].append(processes.run(command, expected_code=code).cost)
        staged = processes.run([sys.executable, str(HERE / "stages.py"), *flags])
        stages.append(json.loads(staged.stdout.splitlines()[-1]))
    return {name: values[1:] for name, values in costs.items()}, stages[1:]


def medians(costs: Iterable[Cost]) -> Cost:
    """The median of each figure by itself."""
    return Cost(*(statistics.median(values) for values in zip(*costs, strict=True)))


def cost_table(costs: Mapping[str, Sequence[Cost]]) -> str:
    """Medians of every command, then ours against the original's."""
    middle = {name: medians(values) for name, values in costs.items()}
    lines = [f"{'median of ' + str(len(costs[OURS])):<32}{'wall s':>9}{'CPU s':>9}{'peak MB':>9}"]
    lines += [
        f"{name:<32}{cost.wall_s:>9.2f}{cost.cpu_s:>9.2f}{cost.peak_mb:>9.0f}"
        for name, cost in middle.items()
    ]
    # Ratios are taken round by round: within one the machine is about equally busy.
    for name, ours, other in (
        ("ours / original", OURS, ORIGINAL),
        ("ours / import tensorflow", OURS, IMPORT),
        ("--engine=tensorflow / original", WITH_TENSORFLOW, ORIGINAL),
    ):
        ratio = medians(map(_ratio, costs[ours], costs[other]))
        lines.append(f"{name:<32}{ratio.wall_s:>9.3f}{ratio.cpu_s:>9.3f}{ratio.peak_mb:>9.3f}")
    return "\n".join(lines)


def _ratio(cost: Cost, other: Cost) -> Cost:
    return Cost(*(a / b for a, b in zip(cost, other, strict=True)))


def stage_table(stages: Sequence[Mapping[str, float]]) -> str:
    """Median seconds of every stage of our command."""
    lines = [f"{'where ours takes its time':<32}{'wall s':>9}"]
    for name in stages[0]:
        lines.append(f"{name:<32}{statistics.median(stage[name] for stage in stages):>9.3f}")
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
        make = ("make_checkpoint", options.config, str(checkpoint))
        processes.run(processes.original(options.original_python, *make))
        processes.run(processes.ours("write_inputs", options.config, str(checkpoint.parent)))
        os.environ["MUSIC_VAE_CACHE"] = str(work_dir / "cache")
        print(f"{options.config}, {NUM_OUTPUTS} outputs")
        print(processes.machine([processes.matrix_product_rate()]))
        for mode in MODES:
            costs, stages = measure(
                options.original_python,
                mode,
                options.config,
                checkpoint,
                work_dir,
                options.repeats,
            )
            print(f"\n--mode={mode}\n{cost_table(costs)}\n\n{stage_table(stages)}")


if __name__ == "__main__":
    main()
