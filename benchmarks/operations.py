"""How many floating-point operations a training step of the original's algorithm takes.

Counted are the matrix products of the dense formulation, two operations per multiplication and
addition: forward, and twice as much for the gradients of inputs and weights. In it z and one-hot
inputs are multiplied at every step like any other input. Everything else (gates, softmax, sampling,
the optimizer) is small beside these and left out, for both sides alike.
"""

import itertools
from collections.abc import Sequence

from music_vae.common.hparams import HParams
from music_vae.common.specs import (
    BidirectionalEncoderSpec,
    EncoderSpec,
    FlatDecoderSpec,
    HierarchicalDecoderSpec,
    HierarchicalEncoderSpec,
)
from music_vae.configs import Config

_PER_PRODUCT = 2 * 3
_NO_INPUT_SIZE = 1  # of a conductor that reads nothing back


def step_operations(config: Config) -> int:
    """Operations of one training step at the config's batch size and longest length."""
    converter, hparams = config.data_converter, config.hparams
    batch, steps, z_size = hparams.batch_size, hparams.max_seq_len, hparams.z_size
    width = converter.input_depth + converter.control_depth
    products, embedding = _encoder(config.encoder, width, batch, steps, hparams)
    products += batch * embedding * 2 * z_size
    depths = converter.output_depth, converter.control_depth
    spec = config.decoder
    if isinstance(spec, FlatDecoderSpec):
        products += _flat_decoder(z_size, depths, batch, steps, hparams)
    elif isinstance(spec, HierarchicalDecoderSpec) and isinstance(spec.core, FlatDecoderSpec):
        *levels, core_steps = spec.level_lengths
        for segments in levels:
            products += _initial_state(z_size, batch, hparams)
            batch *= segments
            products += _stack(_NO_INPUT_SIZE, hparams.dec_rnn_size, batch)
            z_size = hparams.dec_rnn_size[-1]
        products += _flat_decoder(z_size, depths, batch, core_steps, hparams)
    else:
        raise ValueError(f"the operations of {spec} are not known")
    return _PER_PRODUCT * products


def _stack(width: int, sizes: Sequence[int], rows: int) -> int:
    """Products of LSTM layers: a kernel [width + units, 4 * units] for each row."""
    widths = itertools.pairwise((width, *sizes))
    return rows * sum((before + units) * 4 * units for before, units in widths)


def _encoder(
    spec: EncoderSpec, width: int, batch: int, steps: int, hparams: HParams
) -> tuple[int, int]:
    """Products, and the width of the embedding."""
    sizes = hparams.enc_rnn_size
    if isinstance(spec, HierarchicalEncoderSpec):
        products, rows = 0, batch * steps
        for length in spec.level_lengths:
            level, width = _encoder(spec.core, width, rows // length, length, hparams)
            products, rows = products + level, rows // length
        return products, width
    if not isinstance(spec, BidirectionalEncoderSpec):
        return _stack(width, sizes, batch * steps), sizes[-1]
    products = 0
    for before, units in itertools.pairwise((width, *(2 * size for size in sizes))):
        products += 2 * _stack(before, [units // 2], batch * steps)
    return products, 2 * sizes[-1]


def _initial_state(z_size: int, rows: int, hparams: HParams) -> int:
    return rows * z_size * 2 * sum(hparams.dec_rnn_size)


def _flat_decoder(
    z_size: int, depths: tuple[int, int], batch: int, steps: int, hparams: HParams
) -> int:
    rows, (output_depth, control_depth) = batch * steps, depths
    products = _initial_state(z_size, batch, hparams)
    products += _stack(output_depth + z_size + control_depth, hparams.dec_rnn_size, rows)
    return products + rows * hparams.dec_rnn_size[-1] * output_depth
