"""Measures the NumPy engine against what bounds it, the TensorFlow engine and the original.

    python benchmarks/engine.py --original_python=ENV/bin/python

Read the ratios, not the seconds. See README.md here for the original's environment.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import processes

TRIO, TRIOS = "hierdec-trio_16bar", 5
MELODY = "cat-mel_2bar_small"
BATCH = 250
ENGINES = ("numpy", "tensorflow")

# How fast NumPy multiplies large matrices, in as many threads as the environment says.
_PRODUCT = """
import time
import numpy
size, repeats = 2048, 5
a = numpy.random.default_rng(0).random((size, size), numpy.float32)
a @ a
start = time.perf_counter()
for _ in range(repeats):
    a @ a
print(2 * size**3 * repeats / (time.perf_counter() - start))
"""


def decode_random(config: str, batch: int, repeats: int) -> dict[str, Any]:
    """What `ours.py decode_random` reports, in one thread as in the command."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    command = processes.ours("decode_random", config, str(batch), str(repeats))
    try:
        return json.loads(processes.run(command).stdout)
    finally:
        del os.environ["OPENBLAS_NUM_THREADS"]


def trio_report(report: Mapping[str, Any]) -> str:
    """Seconds of a batch of trios beside those that reading the weights would take alone."""
    size = report["steps"] * report["bytes_per_step"]
    moved = 2 * report["copied_bytes"]  # read and written
    rounds = list(zip(report["decode_s"], report["copy_s"], strict=True))
    bounds = [size / (moved / copy) for _, copy in rounds]
    ratios = [decode / bound for (decode, _), bound in zip(rounds, bounds, strict=True)]
    copied = moved / statistics.median(report["copy_s"])
    return "\n".join(
        [
            f"{TRIOS} of {TRIO}, full size, medians of {len(rounds)}",
            f"  decoding                    {statistics.median(report['decode_s']):8.2f} s",
            f"  weights read per step       {report['bytes_per_step'] / 1e6:8.1f} MB",
            f"  copying memory              {copied / 1e9:8.1f} GB/s, read and written",
            f"  reading the weights alone   {statistics.median(bounds):8.2f} s",
            f"  decoding / reading          {statistics.median(ratios):8.2f}",
        ]
    )


def product_rate(threads: int) -> float:
    """Operations per second of a large product in so many threads."""
    os.environ["OPENBLAS_NUM_THREADS"] = str(threads)
    try:
        return float(processes.run([sys.executable, "-c", _PRODUCT]).stdout)
    finally:
        del os.environ["OPENBLAS_NUM_THREADS"]


def throughput_report(original_python: str, count: int, work_dir: Path, limit_s: float) -> str:
    """Samples per second of whole commands, of the engines alone, and of the products alone."""
    checkpoint = work_dir / "checkpoint" / MELODY
    make = processes.original(original_python, "make_checkpoint", MELODY, str(checkpoint))
    processes.run(make)
    flags = [
        f"--config={MELODY}",
        f"--checkpoint_file={checkpoint}",
        "--mode=sample",
        f"--max_batch_size={BATCH}",
    ]
    ours = [processes.console_script("music_vae_generate"), *flags]
    warm_up = [f"--output_dir={work_dir / 'warm_up'}", "--num_outputs=1"]
    processes.run([*ours, *warm_up])  # converts the checkpoint
    more = [f"--output_dir={work_dir / 'music'}", f"--num_outputs={count}"]
    commands = {
        f"command, --engine={engine}": [*ours, *more, f"--engine={engine}"] for engine in ENGINES
    }
    commands["the original's command"] = processes.original(
        original_python, "generate", *flags, *more
    )
    lines = [f"{count} samples of {MELODY}, batches of {BATCH}: samples per second"]
    for name, command in commands.items():
        processes.show_progress(name)
        outcome = processes.run(command, limit_s=limit_s)
        sign = "" if outcome.finished else "<"
        lines.append(f"  {name:<32}{sign}{count / outcome.cost.wall_s:8.1f}")
    for engine in ENGINES:
        processes.show_progress(f"decoding alone, {engine}")
        os.environ["OPENBLAS_NUM_THREADS"] = "1"
        arguments = (MELODY, str(checkpoint), engine, str(count), str(BATCH))
        seconds = float(processes.run(processes.ours("decode", *arguments)).stdout)
        del os.environ["OPENBLAS_NUM_THREADS"]
        lines.append(f"  {'decoding alone, ' + engine:<32}{count / seconds:8.1f}")
    report = decode_random(MELODY, BATCH, 3)
    operations = report["steps"] * report["operations_per_step"]
    for threads in sorted({1, os.cpu_count() or 1}):
        rate = product_rate(threads)
        name = f"products alone, {threads} thread{'s' if threads > 1 else ''}"
        lines.append(f"  {name:<32}{rate / operations:8.1f}  ({rate / 1e9:.0f} GFLOP/s)")
    return "\n".join(lines)


def golden_report() -> str:
    """Differences of every golden model through both engines."""
    heads = f"{'engine':>11}{'mu':>10}{'sigma':>10}{'samples':>14}"
    lines = [f"{'differences from the original':<34}{heads}"]
    for engine in ENGINES:
        for line in processes.run(processes.ours("golden", engine)).stdout.splitlines():
            if not line.startswith("{"):
                continue
            facts = json.loads(line)
            samples = f"{facts['different_steps']} of {facts['steps']}"
            lines.append(
                f"{facts['model']:<34}{engine:>11}{facts['mu']:>10.1e}{facts['sigma']:>10.1e}"
                f"{samples:>14}"
            )
    return "\n".join(lines)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--original_python", help="Python with magenta 2.1.4; without it, no throughput"
    )
    parser.add_argument("--repeats", type=int, default=5, help="of the trios (default: 5)")
    parser.add_argument("--count", type=int, default=1000, help="samples (default: 1000)")
    parser.add_argument("--limit_s", type=float, default=900, help="for a command (default: 900)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        os.environ["MUSIC_VAE_CACHE"] = str(Path(folder) / "cache")
        processes.show_progress("golden models")
        print(golden_report())
        processes.show_progress("trios")
        print()
        print(trio_report(decode_random(TRIO, TRIOS, options.repeats)))
        if options.original_python:
            print()
            print(
                throughput_report(
                    options.original_python, options.count, Path(folder), options.limit_s
                )
            )


if __name__ == "__main__":
    main()
