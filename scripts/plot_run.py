"""Draws the curves of a training run with validation.

    python scripts/plot_run.py RUN_DIR OUT.png

Needs matplotlib. Losses are those of TensorBoard: a point is the mean of the batches around it.
"""

import argparse
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from music_vae.render import plotting
from music_vae.training import validation
from music_vae.weights import config_file

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
    config = config_file.read(arguments.run_dir)
    curve = validation.read_curve(arguments.run_dir)
    best = min(curve, key=lambda line: line[validation.LOSS])
    steps = [line["step"] for line in curve]
    train_dir = arguments.run_dir / config_file.TRAIN_DIR
    panels = {
        title: {
            "training": training_curve(train_dir, name),
            "validation": (steps, [line[name] for line in curve]),
        }
        for title, name in PANELS.items()
        if name in curve[0]
    }
    plotting.training(arguments.output, panels, title=config.name, best_step=best["step"])


if __name__ == "__main__":
    main()
