"""The original's inputs and outputs, and what equality with them means."""

import json
import os
from pathlib import Path

import numpy as np
import tensorflow as tf

from music_vae.common.batches import Batch
from music_vae.common.hparams import HParams
from music_vae.configs import CONFIG_MAP
from music_vae.lstm_models import Policy, build_model
from music_vae.weights import tf_checkpoints
from support import paths

GOLDEN = Path(os.environ.get("GOLDEN_DIR", paths.GOLDEN))
TEACHER_FORCING = Policy(0.0, tf.zeros([2], tf.int32))
TIE_LOGITS = 1e-4  # the golden temperature: classes closer than some of these fell by chance
CASES = sorted(path.name for path in (GOLDEN / "models").iterdir())


class Golden:
    """One golden case: the model with the golden weights, the batch, and what is expected."""

    def __init__(self, name, dtype=np.float32):
        folder = GOLDEN / "models" / name
        self.facts = json.loads((folder / "golden.json").read_text())
        self.values = np.load(folder / "golden.npz")
        self.config = CONFIG_MAP[name].replace(hparams=HParams(**self.facts["hparams"]))
        self.model = build_model(self.config)
        tf_checkpoints.load_weights(self.model, folder / "model.ckpt")
        batch, steps = self.values["input_sequence"].shape[:2]
        controls = np.zeros((batch, steps, 0))
        if "control_sequence" in self.values:
            controls = self.values["control_sequence"]
        self.batch = Batch(
            tf.constant(self.values["input_sequence"].astype(dtype)),
            tf.constant(self.values["output_sequence"].astype(dtype)),
            tf.constant(controls.astype(dtype)),
            tf.constant(self.values["sequence_length"]),
        )


def report(record_property, name, actual, expected):
    """Notes the largest difference relative to the size of the expected values; returns it."""
    scale = max(float(np.abs(expected).max()), 1e-12)
    difference = float(np.abs(np.asarray(actual) - expected).max()) / scale
    record_property(name, difference)
    return difference


def check_tie(config, logits, expected):
    """That the expected classes are the likeliest, or as good as."""
    depths = getattr(config.data_converter, "split_output_depths", None) or (len(expected),)
    assert sum(depths) == len(logits), "the samples differ, and there are no classes to tie"
    edges = np.cumsum(depths)[:-1]
    for part, one_hot in zip(np.split(logits, edges), np.split(expected, edges), strict=True):
        assert part.max() - part[one_hot.argmax()] < 10 * TIE_LOGITS
