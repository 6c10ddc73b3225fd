"""One training step, one evaluation step, and what a checkpoint has to hold to go on from there."""

from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from music_vae import schedules
from music_vae.errors import UserError
from music_vae.lstm_models import Dropout, Loss, MusicVAE, Policy
from music_vae.specs import Batch, HParams

# Adam's constants (Kingma & Ba 2015); epsilon stands outside the bias correction.
_ADAM = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}
_NATS_PER_BIT = float(np.log(2.0))


class Trainer:
    """A model with its optimizer and step counter.

    Attributes:
      model: The model.
      optimizer: Its optimizer; the learning rate is set at every step.
      step: int64 variable, number of steps taken.
      seed: int64 variable; with `step` it decides all random numbers of a step.
    """

    def __init__(self, model: MusicVAE, *, seed: int = 0) -> None:
        self.model = model
        self.hparams = model.hparams
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False, name="global_step")
        self.seed = tf.Variable(seed, dtype=tf.int64, trainable=False, name="seed")
        self.optimizer = Adam(**_ADAM)
        self.optimizer.build(model.trainable_variables)
        self._train = tf.function(self._train_step, reduce_retracing=True, autograph=False)
        self._evaluate = tf.function(self._evaluation_step, reduce_retracing=True, autograph=False)

    @property
    def samples_in_training(self) -> bool:
        """Whether the decoder ever reads its own samples in training."""
        return schedules.samples_in_training(self.hparams)

    def train_step(self, batch: Batch) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """Takes one step; returns its scalars by their TensorBoard names, and the statistics.

        `decoder.summarize` turns the statistics into metrics.

        The step is the caller's to check: `loss` is not finite where training went wrong, and the
        weights are then spoilt.
        """
        return self._train(batch)

    def _train_step(self, batch: Batch) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        step = tf.cast(self.step, tf.float32)
        with tf.GradientTape() as tape:
            loss = self.model.elbo_loss(batch, step=step, policy=self.training_policy())
        variables = [variable.value for variable in self.model.trainable_variables]
        global_norm = self.apply_gradients(tape.gradient(loss.total, variables))
        scalars = _loss_scalars(loss) | {
            "global_norm": global_norm,
            "learning_rate": self.optimizer.learning_rate.value,
        }
        if self.samples_in_training:
            probability = schedules.sampling_probability(self.hparams, step)
            scalars["sampling_probability"] = probability
        return scalars, loss.statistics

    def training_policy(self) -> Policy:
        """Scheduled sampling and dropout of the present step."""
        probability: Any = 0.0
        if self.samples_in_training:
            step = tf.cast(self.step, tf.float32)
            probability = schedules.sampling_probability(self.hparams, step)
        seed, dropout = self._fold_seed(self.step), None
        if self.hparams.dropout_keep_prob < 1:
            dropout = Dropout(self.hparams.dropout_keep_prob, seed)
        return Policy(probability, seed, dropout)

    def apply_gradients(self, gradients: Sequence[tf.Tensor]) -> tf.Tensor:
        """Clips and applies the gradients of this step; returns their global norm before clipping.

        Advances `step`.
        """
        step = tf.cast(self.step, tf.float32)
        self.optimizer.learning_rate.assign(schedules.learning_rate(self.hparams, step))
        clipped, global_norm = clip_gradients(gradients, self.hparams)
        self.optimizer.apply(clipped, self.model.trainable_variables)
        self.step.assign_add(1)
        return global_norm

    def evaluate(
        self, batches: Iterable[Batch], *, sampling_probability: float | None = None
    ) -> dict[str, float]:
        """Losses and metrics over `batches`, by their TensorBoard names.

        Args:
          batches: Batches of any size.
          sampling_probability: How often the decoder reads its own samples. By default 1 for a
            model that is trained on its samples, 0 (teacher forcing) otherwise.

        Raises:
          UserError: If there are no batches.
        """
        if sampling_probability is None:
            sampling_probability = float(self.samples_in_training)
        examples, sums, statistics = 0, dict[str, float](), dict[str, np.ndarray]()
        for batch in batches:
            size = int(tf.shape(batch.lengths)[0])
            loss = self._evaluate(batch, self._fold_seed(examples), sampling_probability)
            for name, value in _loss_scalars(loss).items():
                sums[name] = sums.get(name, 0.0) + size * float(value)
            for name, value in loss.statistics.items():
                statistics[name] = statistics.get(name, 0.0) + value.numpy().astype(np.float64)
            examples += size
        if not examples:
            raise UserError("there are no examples to evaluate on")
        losses = {name: value / examples for name, value in sums.items()}
        return losses | self.model.decoder.summarize(statistics)

    def _evaluation_step(self, batch: Batch, seed: tf.Tensor, sampling_probability: float) -> Loss:
        step = tf.cast(self.step, tf.float32)
        return self.model.elbo_loss(batch, step=step, policy=Policy(sampling_probability, seed))

    def _fold_seed(self, number: Any) -> tf.Tensor:
        """int32 `[2]`, its own for each number under this trainer's seed."""
        base = tf.stack([tf.cast(self.seed % (2**31), tf.int32), 0])
        return tf.random.experimental.stateless_fold_in(base, tf.cast(number, tf.int64))


class Adam(keras.optimizers.Adam):
    """Keras's Adam, with the update of a variable as one operation instead of a dozen.

    Both are Kingma & Ba's algorithm with epsilon outside the bias correction.
    """

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        step = tf.cast(self.iterations.value + 1, tf.float32)
        self._constants = {
            "beta1": tf.constant(self.beta_1),
            "beta2": tf.constant(self.beta_2),
            "epsilon": tf.constant(self.epsilon),
            "beta1_power": tf.pow(self.beta_1, step),
            "beta2_power": tf.pow(self.beta_2, step),
        }
        super().apply(grads, trainable_variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        index = self._get_variable_index(variable)
        constants = self._constants | {"lr": learning_rate}
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            **{name: tf.cast(value, gradient.dtype) for name, value in constants.items()},
            grad=gradient,
        )


def clip_gradients(
    gradients: Sequence[tf.Tensor], hparams: HParams
) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Clipped gradients, and their global norm before clipping.

    `global_norm` scales them down to a global norm of `grad_clip`, and to zero at a norm of
    `grad_norm_clip_to_zero` or above. `value` clips every element to `grad_clip`.
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


def _loss_scalars(loss: Loss) -> dict[str, tf.Tensor]:
    return {
        "loss": loss.total,
        "losses/r_loss": loss.recon,
        "losses/kl_loss": loss.kl_cost,
        "losses/kl_bits": loss.kl / _NATS_PER_BIT,
        "losses/kl_beta": loss.beta,
    }
