"""Numbers that change in the course of training, as pure functions of the step.

They work on Python numbers and on tensors alike: only arithmetic and `**` are used, so one
definition serves the compiled step and the tests.
"""

from typing import Any

from music_vae.common.hparams import HParams


def beta(hparams: HParams, step: Any) -> Any:
    """Weight of the KL cost: (1 - beta_rate**step) * max_beta, with 0**0 = 1.

    `step` is a float or a float tensor. With `beta_rate` 0 it is 0 at step 0 and `max_beta` after.
    """
    return (1.0 - hparams.beta_rate**step) * hparams.max_beta


def learning_rate(hparams: HParams, step: Any) -> Any:
    """(learning_rate - min_learning_rate) * decay_rate**step + min_learning_rate."""
    span = hparams.learning_rate - hparams.min_learning_rate
    return span * hparams.decay_rate**step + hparams.min_learning_rate


def sampling_probability(hparams: HParams, step: Any) -> Any:
    """How likely a decoder in training reads its own sample instead of the target.

    constant: k; inverse_sigmoid: 1 - k / (k + exp(step / k)); exponential: 1 - k**step
    (Bengio et al. 2015, where the probability is that of the opposite choice).
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
    """Whether the model ever reads its own samples in training."""
    return not (hparams.sampling_schedule == "constant" and hparams.sampling_rate == 0)
