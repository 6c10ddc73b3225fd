"""Takes training steps and evaluates a model.

A `Trainer` owns the state that a checkpoint needs to go on: weights, optimizer, step and seed.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from music_vae.common.batches import Batch
from music_vae.common.errors import UserError
from music_vae.lstm_models import Dropout, Loss, MusicVAE, Policy
from music_vae.nn import schedules
from music_vae.nn.noise import WHOLE, Shard, fold_in
from music_vae.nn.numerics import PLAIN, Numerics
from music_vae.nn.rnn import set_numerics
from music_vae.training.devices import ONE_DEVICE, Devices
from music_vae.training.optimizer import Adam, clip_gradients, counter

_NATS_PER_BIT = float(np.log(2.0))


class Trainer:
    """A model with its optimizer and step counter, on one device or several.

    On several, each replica of the model takes its share of a batch. Gradients are summed before
    they are clipped, so every replica takes the same step, and it is the one that a single device
    would take.

    >>> from music_vae.configs import get_config
    >>> from music_vae.data import convert, evaluation_batches
    >>> from music_vae.lstm_models import build_model
    >>> from music_vae.music.notes_io import read_music_file
    >>> sizes = "batch_size=2,z_size=2,enc_rnn_size=[4],dec_rnn_size=[4]"
    >>> config = get_config("cat-mel_2bar_small", sizes)
    >>> music = convert(read_music_file("examples/tunes/soldiers_joy.mid"), config)
    >>> batch = next(evaluation_batches(music, config))
    >>> trainer = Trainer(build_model(config), seed=0)
    >>> scalars, statistics = trainer.train_step(Batch(*map(tf.constant, batch)))
    >>> int(trainer.step), round(float(scalars["learning_rate"]), 6)
    (1, 0.001)

    Attributes:
      model: The model.
      hparams: Hyper-parameters of the model.
      optimizer: The optimizer of the model.
      step: int64 variable, number of steps taken.
      seed: int64 variable; with `step` it decides all random numbers of a step.
    """

    def __init__(
        self,
        model: MusicVAE,
        *,
        seed: int = 0,
        devices: Devices = ONE_DEVICE,
        numerics: Numerics = PLAIN,
    ) -> None:
        """Makes the optimizer and the step counter of a model.

        Args:
          model: The model, which was built in the scope of `devices`.
          seed: Seed of all noise.
          devices: The devices to train on.
          numerics: The way in which the model computes from now on.
        """
        if numerics.whole_step and devices.strategy is not None:
            raise ValueError("a step of several devices cannot be compiled as a whole")
        self.model = model
        self.hparams = model.hparams
        self._whole_step, self._towers = numerics.whole_step, numerics.towers
        set_numerics(model, numerics)
        self._devices = devices
        with devices.scope():
            self.step = counter(0, "global_step")
            self.seed = counter(seed, "seed")
            self.optimizer = Adam(model.trainable_variables)
        self._train = tf.function(
            self._train_step,
            reduce_retracing=not self._whole_step,
            autograph=False,
            jit_compile=self._whole_step or None,
        )
        self._evaluate = tf.function(self._evaluation_step, reduce_retracing=True, autograph=False)

    @property
    def samples_in_training(self) -> bool:
        """True if the decoder ever reads its own samples in training."""
        return schedules.samples_in_training(self.hparams)

    def train_step(self, batch: Batch) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """Takes one step; returns its scalars by their TensorBoard names, and the statistics.

        `decoder.summarize` turns the statistics into metrics. Both are those of the whole batch.

        The caller has to check the step: if training goes wrong, `loss` is not finite, and the
        weights are then spoilt.

        Args:
          batch: The whole batch, or the share of this process if there are several.
        """
        whole = self._of_full_length(batch) if self._whole_step else batch
        return self._train(whole, self._towers_of(batch))

    def _of_full_length(self, batch: Batch) -> Batch:
        """Pads a batch to the greatest length, because every other length is compiled anew."""
        missing = self.hparams.max_seq_len - int(batch.targets.shape[1])
        if missing <= 0:
            return batch
        padding = [[0, 0], [0, missing], [0, 0]]
        return batch._replace(
            inputs=tf.pad(batch.inputs, padding),
            targets=tf.pad(batch.targets, padding),
            controls=tf.pad(batch.controls, padding),
        )

    def _towers_of(self, batch: Batch) -> int:
        """Returns the number of towers for a batch; one if it cannot be divided equally."""
        size = int(batch.targets.shape[0])
        return self._towers if size % self._towers == 0 else 1

    def _train_step(
        self, batch: Batch, towers: int
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        return self._devices.run(partial(self._replica_step, towers), batch)

    def _replica_step(
        self, towers: int, batch: Batch, shard: Shard
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        step = tf.cast(self.step, tf.float32)
        gradients, scalars, statistics = self._devices.summed(
            _side_by_side(self._gradients, batch, shard, towers)
        )
        scalars["learning_rate"] = schedules.learning_rate(self.hparams, step)
        if self.samples_in_training:
            probability = schedules.sampling_probability(self.hparams, step)
            scalars["sampling_probability"] = probability
        scalars["global_norm"] = self.apply_gradients(gradients)
        return scalars, statistics

    def _gradients(
        self, batch: Batch, shard: Shard
    ) -> tuple[list[tf.Tensor], dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """Returns the gradients, scalars and statistics that a share adds to those of the batch."""
        step = tf.cast(self.step, tf.float32)
        variables = [variable.value for variable in self.model.trainable_variables]
        with tf.GradientTape() as tape:
            loss = self.model.elbo_loss(batch, step=step, policy=self.training_policy(shard))
            share = loss.total / shard.count
        return tape.gradient(share, variables), _loss_scalars(loss, shard), loss.statistics

    def training_policy(self, shard: Shard = WHOLE) -> Policy:
        """Returns scheduled sampling and dropout of the present step, for a share of the batch."""
        probability: Any = 0.0
        if self.samples_in_training:
            step = tf.cast(self.step, tf.float32)
            probability = schedules.sampling_probability(self.hparams, step)
        seed, dropout = self._fold_seed(self.step), None
        if self.hparams.dropout_keep_prob < 1:
            dropout = Dropout(self.hparams.dropout_keep_prob, seed, shard)
        return Policy(probability, seed, dropout, shard)

    def apply_gradients(self, gradients: Sequence[tf.Tensor]) -> tf.Tensor:
        """Clips and applies the gradients of this step, and advances `step`.

        Returns their global norm before clipping.
        """
        step = tf.cast(self.step, tf.float32)
        clipped, global_norm = clip_gradients(gradients, self.hparams)
        self.optimizer.apply(
            clipped,
            self.model.trainable_variables,
            learning_rate=schedules.learning_rate(self.hparams, step),
        )
        self.step.assign_add(1)
        return global_norm

    def evaluate(
        self, batches: Iterable[Batch], *, sampling_probability: float | None = None
    ) -> dict[str, float]:
        """Returns losses and metrics over `batches`, by their TensorBoard names.

        Args:
          batches: Batches of any size.
          sampling_probability: Probability with which the decoder reads its own samples. By default
            1 for a model that is trained on its samples, 0 (teacher forcing) otherwise.

        Raises:
          UserError: If there are no batches.
        """
        if sampling_probability is None:
            sampling_probability = float(self.samples_in_training)
        examples, sums, statistics = 0, dict[str, float](), dict[str, np.ndarray]()
        for batch in batches:
            size = int(tf.shape(batch.lengths)[0])
            scalars, sums_of_batch = self._evaluate(
                batch, self._fold_seed(examples), sampling_probability, self._towers_of(batch)
            )
            for name, value in scalars.items():
                sums[name] = sums.get(name, 0.0) + size * float(value)
            for name, value in sums_of_batch.items():
                statistics[name] = statistics.get(name, 0.0) + value.numpy().astype(np.float64)
            examples += size
        if not examples:
            raise UserError("there are no examples to evaluate on")
        losses = {name: value / examples for name, value in sums.items()}
        return losses | self.model.decoder.summarize(statistics)

    def _evaluation_step(
        self, batch: Batch, seed: tf.Tensor, sampling_probability: float, towers: int
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        step = tf.cast(self.step, tf.float32)

        def evaluate(batch: Batch, shard: Shard) -> Any:
            policy = Policy(sampling_probability, seed, shard=shard)
            loss = self.model.elbo_loss(batch, step=step, policy=policy)
            return _loss_scalars(loss, shard), loss.statistics

        return _side_by_side(evaluate, batch, WHOLE, towers)

    def _fold_seed(self, number: Any) -> tf.Tensor:
        """Returns a seed, int32 `[2]`, for each number, which depends on the trainer's seed."""
        base = tf.stack([tf.cast(self.seed % (2**31), tf.int32), 0])
        return fold_in(base, tf.cast(number, tf.int64))


def _side_by_side(
    function: Callable[[Batch, Shard], Any], batch: Batch, shard: Shard, towers: int
) -> Any:
    """Returns the sum of the results of `function` for equal parts of a share of a batch.

    No part depends on another, so that TensorFlow computes them at the same time.
    """
    shares = zip(*(tf.split(array, towers) for array in batch), strict=True)
    results = [
        function(Batch(*share), part)
        for share, part in zip(shares, shard.split(towers), strict=True)
    ]
    return tf.nest.map_structure(lambda *values: tf.add_n(values), *results)


def _loss_scalars(loss: Loss, shard: Shard) -> dict[str, tf.Tensor]:
    """Returns the terms that a share of a batch adds to the means over the whole batch."""
    scalars = {
        "loss": loss.total,
        "losses/r_loss": loss.recon,
        "losses/kl_loss": loss.kl_cost,
        "losses/kl_bits": loss.kl / _NATS_PER_BIT,
        "losses/kl_beta": loss.beta,
    }
    return {name: value / shard.count for name, value in scalars.items()}
