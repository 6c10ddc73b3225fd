"""Output distributions: what a decoder's numbers mean, as a loss, as metrics, and as samples."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

_MIN_TEMPERATURE = 1e-6
"""Below this a temperature of zero is meant: float32 still holds logits divided by it."""


class CategoricalHead(keras.layers.Layer):
    """One class per step: softmax over `depth` logits."""

    def __init__(self, depth: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.depth = depth

    @property
    def parameter_size(self) -> int:
        """Width of what the decoder gives per step."""
        return self.depth

    def loss(self, parameters: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """Cross-entropy in nats `[...]` of logits `[..., depth]` and one-hot targets."""
        return tf.nn.softmax_cross_entropy_with_logits(targets, parameters)

    @property
    def noise_size(self) -> int:
        """How many uniform numbers a sample takes."""
        return 1

    def sample(self, parameters: tf.Tensor, temperature: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """One-hot samples `[B, depth]` of softmax(logits / temperature); near 0 the likeliest.

        The class is the one in whose share of the unit interval the noise `[B, 1]`, uniform in
        [0, 1), falls: equal noise gives equal samples on any engine.
        """
        logits = parameters / tf.maximum(tf.cast(temperature, parameters.dtype), _MIN_TEMPERATURE)
        shares = tf.cumsum(tf.nn.softmax(logits), axis=-1)
        passed = shares <= noise * shares[:, -1:]
        classes = tf.reduce_sum(tf.cast(passed, tf.int32), axis=-1)
        return tf.one_hot(classes, self.depth, dtype=parameters.dtype)

    def statistics(
        self, parameters: tf.Tensor, targets: tf.Tensor, mask: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Sums over all valid steps, which add up over batches; `summarize` makes them metrics.

        Args:
          parameters: Logits `[..., depth]`.
          targets: One-hot `[..., depth]`.
          mask: `[...]`, 1 for valid steps.
        """
        labels = tf.argmax(targets, axis=-1, output_type=tf.int32)
        correct = tf.equal(tf.argmax(parameters, axis=-1, output_type=tf.int32), labels)
        counted = tf.one_hot(labels, self.depth) * mask[..., None]
        axes = list(range(counted.shape.rank - 1))
        hits = tf.reduce_sum(counted * tf.cast(correct, tf.float32)[..., None], axes)
        return {"correct": hits, "total": tf.reduce_sum(counted, axes)}

    def summarize(self, sums: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Metrics of summed `statistics`: accuracy, and its mean over all classes.

        A class that never occurs counts as 0 in that mean, as in the original's figures.
        """
        correct, total = np.asarray(sums["correct"]), np.asarray(sums["total"])
        per_class = np.divide(correct, total, out=np.zeros_like(correct), where=total > 0)
        return {
            "accuracy": float(correct.sum() / max(total.sum(), 1)),
            "mean_per_class_accuracy": float(per_class.mean()),
        }
