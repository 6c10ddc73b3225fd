"""How many floating-point operations a training step of the original's algorithm takes.

Counted are the matrix products of the dense formulation, two operations per multiplication and
addition: forward, and twice as much for the gradients of inputs and weights. In it z and one-hot
inputs are multiplied at every step like any other input. Everything else (gates, softmax, NADE,
sampling, the optimizer) is small beside these and left out, for both sides alike.
"""

import math
from typing import Any

from music_vae.common.model_spec import shapes_of
from music_vae.common.plans import HierarchicalDecoderPlan, HierarchicalEncoderPlan
from music_vae.configs import Config

_PER_PRODUCT = 2 * 3


def step_operations(config: Config) -> int:
    """Operations of one training step at the config's batch size and longest length."""
    spec, hparams = config.model_spec, config.hparams
    batch, steps = hparams.batch_size, hparams.max_seq_len
    products = 0
    if spec.encoder is not None:
        lengths: tuple[int, ...] = (steps,)
        if isinstance(spec.encoder, HierarchicalEncoderPlan):
            lengths = spec.encoder.level_lengths
        rows = batch * steps
        for level, length in zip(spec.encoder.levels, lengths, strict=True):
            products += rows * _products(level)
            rows //= length
        products += rows * _products(spec.posterior)
    rows = batch
    if isinstance(spec.decoder, HierarchicalDecoderPlan):
        if spec.decoder.reencoder:
            raise ValueError("the operations of a re-encoder are not known")
        for conductor in spec.decoder.conductors:
            products += rows * _products(conductor.initial_state)
            rows *= conductor.steps
            products += rows * _products(conductor.lstm)
    for voice in spec.decoder.voices:
        products += rows * _products(voice.initial_state)
        at_every_step = (voice.control_lstm, voice.lstm, voice.output_projection)
        products += batch * steps * _products(at_every_step)
    return _PER_PRODUCT * products


def _products(part: Any) -> int:
    """Products with the kernels of a part of the plan, for each row that it is given."""
    return sum(math.prod(shape) for shape in shapes_of(part).values() if len(shape) == 2)
