"""Describes a config to @magenta/music's class MusicVAE, in the `config.json` that it reads.

The player knows only the architectures that were published for it. Another one it would play
wrongly, or refuse with an error of its linear algebra; so a config's values are checked here, and
every reason against it is given.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from music_vae.common.errors import UserError
from music_vae.common.plans import FlatDecoderPlan, SplitDecoderPlan
from music_vae.common.specs import (
    BidirectionalEncoderSpec,
    BooleanHeadSpec,
    CategoricalHeadSpec,
    GrooveHeadSpec,
    HeadSpec,
    HierarchicalEncoderSpec,
    NadeHeadSpec,
)
from music_vae.configs import Config
from music_vae.export import representations
from music_vae.music.converters.base import Converter
from music_vae.music.converters.drums import DrumsConverter
from music_vae.music.converters.groove import GrooveConverter
from music_vae.music.converters.melody import OneHotMelodyConverter
from music_vae.music.converters.performance import MultiInstrumentPerformanceConverter
from music_vae.music.converters.trio import TrioConverter

_END_TOKEN = "its sequences end with an end token"

Json = dict[str, Any]


def check(config: Config, *, decode_only: bool = False) -> None:
    """Raises `UserError` for a config that the player cannot carry, with every reason.

    >>> from music_vae.configs import get_config
    >>> check(get_config("cat-mel_2bar_mini"))  # no objection
    >>> check(get_config("cat-mel_2bar_mini", "dec_rnn_size=[256,128]"))
    Traceback (most recent call last):
    music_vae.common.errors.UserError: ...: the decoder's layers differ in size (256, 128)

    Args:
      config: Config of the model.
      decode_only: If True, the encoder is not checked, as the model will only decode.
    """
    reasons = [*_decoder_reasons(config), *_converter_reasons(config)]
    encoder_reasons = list(_encoder_reasons(config))
    hint = "`format=onnx` carries more kinds of models"
    if not decode_only:
        if encoder_reasons and not reasons:
            hint = "`decode_only` exports what samples and decodes, without its encoder"
        reasons += encoder_reasons
    if reasons:
        raise UserError(
            f"@magenta/music cannot carry {config.name}: {'; '.join(reasons)}", hint=hint
        )


def describe(config: Config) -> Json:
    """Returns the content of `config.json` for a config that `check` accepts.

    >>> from music_vae.configs import get_config
    >>> describe(get_config("cat-mel_2bar_mini"))["dataConverter"]
    {'type': 'MelodyConverter', 'args': {'numSteps': 32, 'minPitch': 21, 'maxPitch': 108}}
    """
    converter = config.data_converter
    described: Json = {"type": "MusicVAE", "dataConverter": _converter(config)}
    if converter.conditioning.chords:
        described["chordEncoder"] = "TriadChordEncoder"
    if converter.conditioning.key:
        described["conditionOnKey"] = True
    if converter.conditioning.hits:
        described["extraControls"] = [{"name": "hits", "depth": converter.control_depth}]
    if isinstance(_head(config), BooleanHeadSpec):
        described["useBooleanDecoder"] = True
    return described


def left_out(config: Config) -> tuple[int, ...]:
    """Returns the indices of the drum classes that are left out of the encoder's input.

    The model adds these drums; a page that plays such a model leaves them out, too.

    >>> from music_vae.configs import get_config
    >>> left_out(get_config("groovae_2bar_add_closed_hh"))  # class 2: closed hi-hat
    (2,)
    """
    return _known(config.data_converter).left_out(config.data_converter)


# -- Architectures --------------------------------------------------------------------------------


def _decoder_reasons(config: Config) -> Iterator[str]:
    """Yields the reasons against the decoder."""
    plan, hparams = config.model_spec.decoder, config.hparams
    if not hparams.latent_size:
        yield "it has no latent space"
    if len(set(hparams.dec_rnn_size)) > 1:
        yield f"the decoder's layers differ in size ({_listed(hparams.dec_rnn_size)})"
    if hparams.residual_decoder:
        yield "its decoder has residual layers"
    if len(plan.conductors) > 1:
        yield f"it has {len(plan.conductors)} levels of conductors, not one"
    if plan.reads_back:
        yield "its conductor reads back what it conducts"
    if plan.reencoder:
        yield "its conductor re-encodes"
    preprocesses = plan.reads_controls_first
    layers = len(hparams.control_preprocessing_rnn_size)
    if preprocesses and (layers > 1 or len(plan.voices) > 1):
        yield "it reads controls with more than one layer, or more than once"


def _encoder_reasons(config: Config) -> Iterator[str]:
    """Yields the reasons against the encoder, which must be of the same kind as the decoder."""
    encoder, hparams = config.encoder, config.hparams
    wanted = config.model_spec.decoder.level_lengths
    if len(hparams.enc_rnn_size) > 1:
        yield f"its encoder has {len(hparams.enc_rnn_size)} layers, not one"
    if hparams.residual_encoder:
        yield "its encoder has residual layers"
    core = encoder.core if isinstance(encoder, HierarchicalEncoderSpec) else encoder
    if not isinstance(core, BidirectionalEncoderSpec):
        yield "its encoder reads in one direction"
    lengths = encoder.level_lengths if isinstance(encoder, HierarchicalEncoderSpec) else None
    if not wanted:
        if lengths is not None:
            yield "its encoder is hierarchical and its decoder is not"
    elif lengths is None:
        yield "its decoder is hierarchical and its encoder is not"
    elif lengths != wanted[::-1]:
        yield f"its encoder's levels {lengths} are not the decoder's, {wanted}"


def _head(config: Config) -> HeadSpec | None:
    """Returns the decoder's output distribution; None if there are several decoders."""
    core = config.model_spec.decoder.core
    return core.head.spec if isinstance(core, FlatDecoderPlan) else None


# -- Representations ------------------------------------------------------------------------------


def _converter_reasons(config: Config) -> Iterator[str]:
    """Yields the reasons against the representation of music."""
    converter = config.data_converter
    known = _known(converter)
    yield from known.reasons(config, converter)
    heads = known.heads(converter)
    if heads and not isinstance(_head(config), heads):
        yield f"the outputs of its decoder ({_kind(config)}) are not those of its music"


def _kind(config: Config) -> str:
    """Returns the decoder's output distribution in words."""
    head = _head(config)
    name = "Several" if head is None else type(head).__name__.removesuffix("HeadSpec")
    return re.sub(r"(?<!^)(?=[A-Z])", " ", name).lower()


def _converter(config: Config) -> Json:
    """Returns the player's name for the representation of music, and its arguments."""
    converter = config.data_converter.for_inference()
    args: Json = {"numSteps": config.hparams.max_seq_len}
    plan = config.model_spec.decoder
    if plan.conductors:
        args["numSegments"] = plan.num_segments
    kind, own = _known(converter).described(converter)
    return {"type": kind, "args": args | own}


def _trio_reasons(config: Config, converter: TrioConverter) -> Iterator[str]:
    core = config.model_spec.decoder.core
    if not isinstance(core, SplitDecoderPlan):
        yield "one decoder makes melody, bass and drums together, not one for each"
    elif [part.output_depth for part in core.cores] != list(converter.split_output_depths) or any(
        not isinstance(part.head.spec, CategoricalHeadSpec) for part in core.cores
    ):
        yield "its decoders are not those of a melody, a bass and drums"


def _melody_reasons(config: Config, converter: OneHotMelodyConverter) -> Iterator[str]:
    del config
    if converter.add_end_token:
        yield _END_TOKEN


def _drum_reasons(config: Config, converter: DrumsConverter) -> Iterator[str]:
    del config
    if converter.add_end_token:
        yield _END_TOKEN
    if converter.roll_output and not converter.roll_input:
        yield "it makes drum rolls from drums that are one-hot"


def _groove_reasons(config: Config, converter: GrooveConverter) -> Iterator[str]:
    del config
    if converter.has_bins:
        yield "its velocities and offsets are in bins"
    if converter.split_instruments:
        yield "every drum has a step of its own"
    if converter.inputs_as_controls:
        yield "its decoder reads the input, too"
    # The player's tapped rhythms, and they alone, lack velocities and have offsets.
    if converter.tapify and not (converter.fixed_velocities or converter.humanize):
        yield "its encoder reads the velocities of tapped rhythms"
    if converter.fixed_velocities and not (converter.tapify or converter.humanize):
        yield "its encoder reads offsets without velocities"


def _performance_reasons(
    config: Config, converter: MultiInstrumentPerformanceConverter
) -> Iterator[str]:
    if converter.num_chunks > 1:
        yield "its pieces are cut into chunks"
    elif converter.chunk_steps != converter.vocabulary.max_shift_steps:
        yield (
            f"its pieces have {converter.chunk_steps} steps and its longest time shift "
            f"{converter.vocabulary.max_shift_steps}, which must be the same"
        )
    lengths = converter.max_num_instruments, converter.max_events_per_instrument
    if config.model_spec.decoder.level_lengths != lengths:
        yield f"its decoder does not conduct {lengths[0]} instruments of {lengths[1]} events"


def _melody(converter: OneHotMelodyConverter) -> tuple[str, Json]:
    return "MelodyConverter", _pitches(converter)


def _drums(converter: DrumsConverter) -> tuple[str, Json]:
    kinds = {
        (True, False): "DrumsConverter",
        (True, True): "DrumRollConverter",
        (False, False): "DrumsOneHotConverter",
    }
    return kinds[converter.roll_input, converter.roll_output], _classes(converter)


def _trio(converter: TrioConverter) -> tuple[str, Json]:
    pitches = _pitches(converter.melody_converter)
    args = {"melArgs": pitches, "bassArgs": dict(pitches)}
    return "TrioConverter", args | {"drumsArgs": _classes(converter.drums_converter)}


def _groove(converter: GrooveConverter) -> tuple[str, Json]:
    args = {"stepsPerQuarter": converter.steps_per_quarter} | _classes(converter)
    flags = {"humanize": converter.humanize, "tapify": converter.tapify}
    return "GrooveConverter", args | {name: True for name, is_set in flags.items() if is_set}


def _performance(converter: MultiInstrumentPerformanceConverter) -> tuple[str, Json]:
    args = {
        "stepsPerQuarter": converter.steps_per_quarter,
        "totalSteps": converter.chunk_steps,
        "numVelocityBins": converter.num_velocity_bins,
    }
    return "MultitrackConverter", args | _pitches(converter)


def _pitches(converter: OneHotMelodyConverter | MultiInstrumentPerformanceConverter) -> Json:
    return {"minPitch": converter.min_pitch, "maxPitch": converter.max_pitch}


def _classes(converter: DrumsConverter | GrooveConverter) -> Json:
    # Always given: the player's own nine classes differ from these in some pitches.
    return {"pitchClasses": [list(pitches) for pitches in converter.pitch_classes]}


def _listed(sizes: tuple[int, ...]) -> str:
    return ", ".join(map(str, sizes))


# -- The table of representations -----------------------------------------------------------------

_CLASSES: tuple[type, ...] = (CategoricalHeadSpec,)
_ROLLS = NadeHeadSpec, BooleanHeadSpec


class _Known(NamedTuple):
    """Functions that describe a representation of music to the player.

    Attributes:
      described: Returns the player's name for a converter, and its arguments.
      reasons: Yields the reasons why the player cannot carry a config with such a converter.
      heads: Returns the output distributions that the player reads for a converter; an empty tuple
        if `reasons` check the decoder.
      left_out: Returns the indices of the drum classes that are left out of the encoder's input.
    """

    described: Callable[[Any], tuple[str, Json]]
    reasons: Callable[[Config, Any], Iterator[str]]
    heads: Callable[[Any], tuple[type, ...]] = lambda _: _CLASSES
    left_out: Callable[[Any], tuple[int, ...]] = lambda _: ()


_REPRESENTATIONS: dict[type[Converter], _Known] = {
    OneHotMelodyConverter: _Known(_melody, _melody_reasons),
    DrumsConverter: _Known(
        _drums, _drum_reasons, lambda converter: _ROLLS if converter.roll_output else _CLASSES
    ),
    TrioConverter: _Known(_trio, _trio_reasons, lambda _: ()),
    GrooveConverter: _Known(
        _groove,
        _groove_reasons,
        lambda _: (GrooveHeadSpec,),
        lambda converter: converter.add_instruments or (),
    ),
    MultiInstrumentPerformanceConverter: _Known(_performance, _performance_reasons),
}


def _known(converter: Converter) -> _Known:
    return representations.find(_REPRESENTATIONS, converter, "@magenta/music")
