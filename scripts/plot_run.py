"""Draws the curves of a training run with validation.

    python scripts/plot_run.py RUN_DIR OUT.png

Needs matplotlib. Losses are those of TensorBoard: a point is the mean of the batches around it.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from music_vae import run_config, validation

_POINTS = 200
PANELS = {
    "nats per example, reconstruction": "losses/r_loss",
    "bits per example, KL": "losses/kl_bits",
    "share of right steps": "metrics/accuracy",
}


def training_curve(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values of a scalar, averaged down to some hundred points."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0}).Reload()
    if name not in events.Tags()["tensors"]:
        return np.zeros(0), np.zeros(0)
    found = {e.step: float(make_ndarray(e.tensor_proto)) for e in events.Tensors(name)}
    steps = np.array(sorted(found))
    values = np.array([found[step] for step in steps])
    groups = np.array_split(np.arange(len(steps)), min(_POINTS, len(steps)))
    return (
        np.array([steps[group].mean() for group in groups]),
        np.array([values[group].mean() for group in groups]),
    )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    config = run_config.read(arguments.run_dir)
    curve = validation.read_curve(arguments.run_dir)
    best = min(curve, key=lambda line: line[validation.LOSS])
    steps = [line["step"] for line in curve]
    panels = {title: name for title, name in PANELS.items() if name in curve[0]}
    figure, axes = plt.subplots(1, len(panels), figsize=(3.4 * len(panels), 2.8))
    for axis, (title, name) in zip(axes, panels.items(), strict=True):
        axis.plot(*training_curve(arguments.run_dir / run_config.TRAIN_DIR, name), label="training")
        axis.plot(steps, [line[name] for line in curve], label="validation")
        axis.axvline(best["step"], color="0.7", linewidth=0.8, label="shipped")
        axis.set(title=title, xlabel="step")
        axis.title.set_fontsize(9)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False, fontsize=8)
    figure.suptitle(config.name, fontsize=10)
    figure.tight_layout()
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(arguments.output, dpi=100)


if __name__ == "__main__":
    main()
