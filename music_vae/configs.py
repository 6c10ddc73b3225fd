"""The published configurations, as values: what to build, how to train it, on which music.

    get_config("cat-mel_2bar_small")                              # as published
    get_config("cat-mel_2bar_small", hparams="batch_size=32")     # with overrides

A new configuration is a `dataclasses.replace` of the nearest old one.
"""

import dataclasses
import difflib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from music_vae import overrides
from music_vae.augment import NoteSequenceAugmenter
from music_vae.constants import MELODY_PROGRAMS, REDUCED_DRUM_PITCH_CLASSES
from music_vae.converters.base import Converter
from music_vae.converters.drums import DrumsConverter
from music_vae.converters.melody import OneHotMelodyConverter
from music_vae.errors import UserError
from music_vae.specs import (
    SPEC_KINDS,
    BidirectionalEncoderSpec,
    DecoderSpec,
    EncoderSpec,
    FlatDecoderSpec,
    HParams,
    from_json,
    to_json,
)

FORMAT_VERSION = 1
"""Of `config.json`; a reader refuses a newer one."""


@dataclasses.dataclass(frozen=True)
class Config:
    """One configuration.

    Attributes:
      name: Its name on the command line.
      hparams: Hyper-parameters.
      data_converter: The representation of music.
      encoder: What encodes.
      decoder: What decodes.
      note_sequence_augmenter: What is varied in training, or None.
      tfds_name: Name of a TensorFlow Dataset to train on by default, or None.
    """

    name: str
    hparams: HParams
    data_converter: Converter
    encoder: EncoderSpec = BidirectionalEncoderSpec()
    decoder: DecoderSpec = FlatDecoderSpec()
    note_sequence_augmenter: NoteSequenceAugmenter | None = None
    tfds_name: str | None = None

    def replace(self, **changes: Any) -> "Config":
        """A copy with some values changed."""
        return dataclasses.replace(self, **changes)


def config_to_json(config: Config) -> dict[str, Any]:
    """A config as JSON data, with the format's and the package's version."""
    from music_vae import __version__

    versions = {"format_version": FORMAT_VERSION, "music_vae_version": __version__}
    return {**versions, "config": to_json(config)}


def config_from_json(data: Any) -> Config:
    """The inverse of `config_to_json`.

    Raises:
      UserError: If it is not a config, or one of a newer format.
    """
    if not isinstance(data, dict) or "config" not in data:
        raise UserError("this is not the config of a music_vae model: it has no entry 'config'")
    if data.get("format_version") != FORMAT_VERSION:
        raise UserError(
            f"the config has format version {data.get('format_version')}; this version of "
            f"music_vae reads {FORMAT_VERSION}"
        )
    config = from_json(data["config"], _KINDS)
    if not isinstance(config, Config):
        raise UserError("the entry 'config' does not describe a Config")
    return config


_KINDS: dict[str, type] = SPEC_KINDS | {
    kind.__name__: kind
    for kind in (Config, DrumsConverter, NoteSequenceAugmenter, OneHotMelodyConverter)
}


def get_config(name: str, hparams: str = "") -> Config:
    """The published config `name`, with overrides as on the command line.

    Raises:
      UserError: For an unknown name (with the nearest known one) or a wrong override.
    """
    if name not in CONFIG_MAP:
        near = difflib.get_close_matches(name, CONFIG_MAP, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(CONFIG_MAP)}"
        raise UserError(f"unknown config {name!r}; {hint}")
    config = CONFIG_MAP[name]
    return config.replace(hparams=overrides.apply_overrides(config.hparams, hparams))


# Sizes, as the published configs share them.
_SMALL: dict[str, Any] = {"z_size": 256, "enc_rnn_size": (512,), "dec_rnn_size": (256, 256)}
_BIG: dict[str, Any] = {"z_size": 512, "enc_rnn_size": (2048,), "dec_rnn_size": (2048,) * 3}
_SCHEDULED: dict[str, Any] = {"sampling_schedule": "inverse_sigmoid", "sampling_rate": 1000}
_MAX_BARS = 100  # of one extracted melody or drum track

# 2-bar melodies, one voice of 90 classes, in every key.
_MEL_2BAR_SMALL = Config(
    name="cat-mel_2bar_small",
    hparams=HParams(max_beta=0.2, beta_rate=0.99999, **_SMALL, **_SCHEDULED),
    data_converter=OneHotMelodyConverter(
        valid_programs=MELODY_PROGRAMS, max_bars=_MAX_BARS, slice_bars=2
    ),
    note_sequence_augmenter=NoteSequenceAugmenter(transpose_range=(-5, 5)),
)
_MEL_2BAR_BIG = _MEL_2BAR_SMALL.replace(
    name="cat-mel_2bar_big",
    hparams=_MEL_2BAR_SMALL.hparams.replace(max_beta=0.5, **_BIG),
)

# 2-bar drums, nine classes, one of 512 combinations at a time.
_DRUMS_2BAR_SMALL = Config(
    name="cat-drums_2bar_small",
    hparams=HParams(free_bits=48, max_beta=0.2, **_SMALL, **_SCHEDULED),
    data_converter=DrumsConverter(
        max_bars=_MAX_BARS,
        pitch_classes=REDUCED_DRUM_PITCH_CLASSES,
        slice_bars=2,
        roll_input=True,
    ),
)
_DRUMS_2BAR_BIG = _DRUMS_2BAR_SMALL.replace(
    name="cat-drums_2bar_big", hparams=_DRUMS_2BAR_SMALL.hparams.replace(**_BIG)
)

# 16-bar melodies, teacher-forced.
_FLAT_MEL_16BAR = Config(
    name="flat-mel_16bar",
    hparams=HParams(
        max_seq_len=256, free_bits=256, max_beta=0.2, **(_BIG | {"enc_rnn_size": (2048, 2048)})
    ),
    data_converter=OneHotMelodyConverter(max_bars=_MAX_BARS, slice_bars=16),
)

CONFIG_MAP: Mapping[str, Config] = MappingProxyType(
    {
        config.name: config
        for config in (
            _MEL_2BAR_SMALL,
            _MEL_2BAR_BIG,
            _DRUMS_2BAR_SMALL,
            _DRUMS_2BAR_BIG,
            _FLAT_MEL_16BAR,
        )
    }
)
"""All configs by name, read-only."""
