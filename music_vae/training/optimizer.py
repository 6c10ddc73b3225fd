"""Updates weights as the original did: clips gradients, then applies Adam."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from music_vae.common.hparams import HParams


class Adam(tf.Module):
    """Adam (Kingma & Ba 2015) with epsilon outside the bias correction, one operation per variable.

    Each replica updates its own copy of a variable, because gradients have been summed before.
    Variables are named as in Keras's Adam, whose checkpoints can be restored into this one.

    >>> weight = keras.Variable([1.0])
    >>> adam = Adam([weight])
    >>> adam.apply([tf.constant([4.0])], [weight], learning_rate=0.1)
    >>> weight.numpy().round(4)  # the first step is as long as the learning rate
    array([0.9], dtype=float32)
    """

    def __init__(
        self,
        variables: Sequence[keras.Variable],
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
    ) -> None:
        super().__init__(name="adam")
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self._iterations = counter(0, "iterations")
        self._momentums = [_slot(variable) for variable in variables]
        self._velocities = [_slot(variable) for variable in variables]

    @property
    def iterations(self) -> tf.Variable:
        """Number of updates, an int64 variable."""
        return self._iterations

    def apply(
        self,
        gradients: Sequence[tf.Tensor],
        variables: Sequence[keras.Variable],
        *,
        learning_rate: Any,
    ) -> None:
        """Updates the variables.

        Args:
          gradients: The gradient of each variable.
          variables: The variables that this object was made for, in the same order.
          learning_rate: Learning rate of this step.
        """
        step = tf.cast(self._iterations + 1, tf.float32)
        constants = {
            "beta1": self.beta_1,
            "beta2": self.beta_2,
            "epsilon": self.epsilon,
            "beta1_power": tf.pow(self.beta_1, step),
            "beta2_power": tf.pow(self.beta_2, step),
            "lr": learning_rate,
        }
        slots = zip(self._momentums, self._velocities, strict=True)
        for gradient, variable, (m, v) in zip(gradients, variables, slots, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.value.handle,
                m=m.handle,
                v=v.handle,
                **{name: tf.cast(value, gradient.dtype) for name, value in constants.items()},
                grad=gradient,
            )
        self._iterations.assign_add(1)


def counter(value: int, name: str) -> tf.Variable:
    """Returns an int64 variable that every replica advances in the same way.

    >>> step = counter(100, "step")
    >>> int(step.assign_add(1))
    101
    """
    return tf.Variable(
        value,
        dtype=tf.int64,
        trainable=False,
        name=name,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )


def _slot(variable: keras.Variable) -> tf.Variable:
    return tf.Variable(tf.zeros(variable.shape, variable.dtype), trainable=False)


def clip_gradients(
    gradients: Sequence[tf.Tensor], hparams: HParams
) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Returns clipped gradients, and their global norm before clipping.

    The clip mode `global_norm` scales them down to a global norm of `grad_clip`, and to zero at a
    norm of `grad_norm_clip_to_zero` or above. `value` clips every element to `grad_clip`.

    >>> gradients = [tf.constant([3.0, 0.0]), tf.constant([4.0])]
    >>> clipped, norm = clip_gradients(gradients, HParams(grad_clip=1.0))
    >>> float(norm), [gradient.numpy().round(2).tolist() for gradient in clipped]
    (5.0, [[0.6..., 0.0], [0.8...]])
    """
    global_norm = tf.linalg.global_norm(gradients)
    if hparams.clip_mode == "value":
        limit = hparams.grad_clip
        return [tf.clip_by_value(g, -limit, limit) for g in gradients], global_norm
    scale = hparams.grad_clip / tf.maximum(global_norm, hparams.grad_clip)
    vanish = global_norm >= hparams.grad_norm_clip_to_zero
    scale = tf.where(vanish, tf.zeros_like(scale), scale)
    # 0 times infinity is 0 here.
    return [tf.math.multiply_no_nan(g, scale) for g in gradients], global_norm
