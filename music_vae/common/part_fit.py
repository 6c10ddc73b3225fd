"""Whether the parts of a config fit each other: said before anything is built of them."""

import math

from music_vae.common.errors import UserError
from music_vae.common.specs import (
    DecoderSpec,
    FlatDecoderSpec,
    GrooveHeadSpec,
    HierarchicalDecoderSpec,
    HierarchicalEncoderSpec,
    MultiCategoricalHeadSpec,
    SplitDecoderSpec,
)
from music_vae.configs import Config


def check_parts(config: Config) -> None:
    """Raises `UserError` if encoder, decoder, sizes and representation do not fit each other."""
    converter, steps = config.data_converter, config.hparams.max_seq_len
    for part, spec in (("encoder", config.encoder), ("decoder", config.decoder)):
        if isinstance(spec, HierarchicalEncoderSpec | HierarchicalDecoderSpec):
            _check_steps(part, spec.level_lengths, steps)
    _check_decoder(config.decoder, converter.output_depth, converter.control_depth)
    _check_reencoder(config)


def _check_steps(part: str, level_lengths: tuple[int, ...], steps: int) -> None:
    product = math.prod(level_lengths)
    if product != steps:
        raise UserError(
            f"the {part}'s level_lengths {level_lengths} make {product} steps; "
            f"max_seq_len is {steps}"
        )


def _check_decoder(spec: DecoderSpec, depth: int, control_depth: int) -> None:
    """Checks a decoder of steps of width `depth`."""
    if isinstance(spec, HierarchicalDecoderSpec):
        _check_decoder(spec.core, depth, control_depth)
    elif isinstance(spec, SplitDecoderSpec):
        _check_depths(spec.depths, depth)
        for core, part in zip(spec.cores, spec.depths, strict=True):
            _check_core(core, part, control_depth)
    else:
        _check_core(spec, depth, control_depth)


def _check_core(spec: FlatDecoderSpec, depth: int, control_depth: int) -> None:
    if spec.preprocess_controls and not control_depth:
        raise UserError("controls can only be preprocessed where there are controls")
    if isinstance(spec.head, MultiCategoricalHeadSpec):
        _check_depths(spec.head.depths, depth)
    if isinstance(spec.head, GrooveHeadSpec) and depth % 3:
        raise UserError(f"a groove has hits, velocities and offsets: {depth} is no multiple of 3")


def _check_depths(depths: tuple[int, ...], depth: int) -> None:
    if sum(depths) != depth:
        raise UserError(f"depths {depths} do not add up to the output's {depth}")


def _check_reencoder(config: Config) -> None:
    spec, converter = config.decoder, config.data_converter
    if not isinstance(spec, HierarchicalDecoderSpec) or spec.reencoder is None:
        return
    if converter.control_depth:
        raise UserError("a re-encoder cannot be used with controls")
    if spec.reencoder.level_lengths != spec.level_lengths[::-1]:
        raise UserError(
            f"a re-encoder's level_lengths must be the decoder's {spec.level_lengths} the "
            f"other way round, not {spec.reencoder.level_lengths}"
        )
    same = config.encoder == spec.reencoder and converter.input_depth == converter.output_depth
    if isinstance(config.encoder, HierarchicalEncoderSpec) and not same:
        raise UserError("a re-encoder beside a hierarchical encoder must be that encoder")
