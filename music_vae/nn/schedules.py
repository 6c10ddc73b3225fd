"""Computes the numbers that change in the course of training, as pure functions of the step.

They work on Python numbers and on tensors alike: only arithmetic and `**` are used, so one
definition serves the compiled step and the tests.
"""

from typing import Any

from music_vae.common.hparams import HParams


def beta(hparams: HParams, step: Any) -> Any:
    """Returns the weight of the KL cost: (1 - beta_rate**step) * max_beta, with 0**0 = 1.

    With `beta_rate` 0 it is 0 at step 0 and `max_beta` after.

    >>> annealed = HParams(beta_rate=0.5, max_beta=0.2)
    >>> [round(beta(annealed, step), 4) for step in (0, 1, 2, 100)]
    [0.0, 0.1, 0.15, 0.2]

    Args:
      hparams: Hyper-parameters of the model.
      step: Number of the training step, a float or a float tensor.
    """
    return (1.0 - hparams.beta_rate**step) * hparams.max_beta


def learning_rate(hparams: HParams, step: Any) -> Any:
    """Returns (learning_rate - min_learning_rate) * decay_rate**step + min_learning_rate.

    >>> [round(learning_rate(HParams(), step), 6) for step in (0, 10_000, 100_000)]
    [0.001, 0.000374, 1e-05]
    """
    span = hparams.learning_rate - hparams.min_learning_rate
    return span * hparams.decay_rate**step + hparams.min_learning_rate


def sampling_probability(hparams: HParams, step: Any) -> Any:
    """Returns the probability that a decoder in training reads its own sample, not the target.

    With k the `sampling_rate`: constant: k; inverse_sigmoid: 1 - k / (k + exp(step / k));
    exponential: 1 - k**step (Bengio et al. 2015, where the probability is that of the target).

    >>> scheduled = HParams(sampling_schedule="inverse_sigmoid", sampling_rate=1000)
    >>> [round(sampling_probability(scheduled, step), 3) for step in (0, 7000, 14_000)]
    [0.001, 0.523, 0.999]
    """
    rate = hparams.sampling_rate
    if hparams.sampling_schedule == "constant":
        return rate + 0.0 * step
    if hparams.sampling_schedule == "exponential":
        return 1.0 - rate**step
    # Divided through by exp(step / k), which overflows a float32 at step 88 k.
    decay = 2.718281828459045 ** (-step / rate)
    return 1.0 - rate * decay / (rate * decay + 1.0)


def samples_in_training(hparams: HParams) -> bool:
    """True if the decoder ever reads its own samples in training.

    >>> samples_in_training(HParams(sampling_schedule="constant", sampling_rate=0.0))
    False
    >>> samples_in_training(HParams(sampling_schedule="exponential", sampling_rate=0.999))
    True
    """
    return not (hparams.sampling_schedule == "constant" and hparams.sampling_rate == 0)
