"""Times the way from notes to batches against the original's converters, in fresh processes.

    python benchmarks/data.py --original_python=ENV/bin/python

The original transposes and converts each sequence anew in every epoch of what it does not cache;
with its cache a piece keeps one key, which is not measured. Its tf.data pipeline is left out: its
augmenter and converter are called one sequence after the other. See README.md here.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

import example_music
import processes
from processes import HERE

WAYS = {
    "original": "original",
    "none_1": "ours, uncached, 1 process",
    "none_all": "ours, uncached, a process per core",
    "memory": "ours, cached in memory",
    "disk": "ours, cached on disk",
}


def measure(
    way: str, config: str, path: Path, original_python: str, cache: Path
) -> dict[str, float]:
    """Seconds and examples of one way."""
    if way == "original":
        command = processes.original(original_python, "examples", config, str(path))
    else:
        command = [sys.executable, str(HERE / "ours.py"), "examples", config, str(path), way]
    stdout = processes.run(command, environment={"MUSIC_VAE_CACHE": str(cache)}).stdout
    return json.loads(stdout.splitlines()[-1])


def waiting(config: str, batch_size: int, path: Path, steps: int) -> dict[str, float]:
    """The share of the time of training steps in which they wait for a batch."""
    arguments = ["waiting", config, f"batch_size={batch_size}", str(path), str(steps)]
    stdout = processes.run([sys.executable, str(HERE / "ours.py"), *arguments]).stdout
    return json.loads(stdout.splitlines()[-1])


def main() -> None:
    """Measures in rounds and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--original_python", required=True, help="Python with magenta 2.1.4, see README.md"
    )
    parser.add_argument("--config", default="cat-mel_2bar_small")
    parser.add_argument("--examples_path", help="one TFRecord file (default: random tunes)")
    parser.add_argument("--sequences", type=int, default=500, help="random tunes (default: 500)")
    parser.add_argument("--repeats", type=int, default=3, help="rounds (default: 3)")
    parser.add_argument(
        "--batch_sizes", default="32,512", help="to train with (default: %(default)s); '' for none"
    )
    parser.add_argument("--steps", type=int, default=8, help="training steps (default: 8)")
    options = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(options.examples_path or Path(folder, "tunes.tfrecord")).absolute()
        if not options.examples_path:
            example_music.write(path, options.sequences)
        for number in range(1, options.repeats + 1):
            for way in WAYS:
                processes.show_progress(f"round {number} of {options.repeats}: {WAYS[way]}")
                found[way].append(
                    measure(way, options.config, path, options.original_python, Path(folder))
                )
        print_rates(options.config, found)
        for size in filter(None, options.batch_sizes.split(",")):
            processes.show_progress(f"training at batch {size}")
            times = waiting(options.config, int(size), path, options.steps)
            share = times["waiting_s"] / times["total_s"]
            print(
                f"batch {size}: {times['total_s'] / times['steps']:.3f} s a step, of which it "
                f"waits for data {100 * share:.2f} %"
            )
    print(processes.machine([processes.matrix_product_rate()]))


def print_rates(config: str, found: dict[str, list[dict[str, float]]]) -> None:
    """The rates, and medians of their ratios to the original's within each round."""
    rates = {way: [run["examples"] / run["seconds"] for run in runs] for way, runs in found.items()}
    print(f"{config:<40}{'examples/s':>12}{'ratio':>8}{'to start, s':>13}")
    for way, name in WAYS.items():
        ratios = [ours / other for ours, other in zip(rates[way], rates["original"], strict=True)]
        start_s = statistics.median(run.get("start_s", 0.0) for run in found[way])
        rate, ratio = statistics.median(rates[way]), statistics.median(ratios)
        print(f"{name:<40}{rate:>12.0f}{ratio:>8.1f}{start_s:>13.1f}", flush=True)


if __name__ == "__main__":
    main()
