"""Defines the configs, as values: which model to build, how to train it, and on which music.

A new config is made by `Config.replace` from the nearest old one. A comment before each names its
music and its sizes: the width of z, and the units of the layers of the encoder and the decoder.
"""

import dataclasses
import functools
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from music_vae.common import overrides
from music_vae.common.constants import (
    FULL_DRUM_PITCH_CLASSES,
    MELODY_PROGRAMS,
    REDUCED_DRUM_PITCH_CLASSES,
)
from music_vae.common.errors import UserError, did_you_mean, naming
from music_vae.common.hparams import HParams
from music_vae.common.json_values import from_json, shown, to_json
from music_vae.common.model_spec import ModelSpec, StepDepths, derive_model
from music_vae.common.specs import (
    SPEC_KINDS,
    BidirectionalEncoderSpec,
    DecoderSpec,
    EncoderSpec,
    FlatDecoderSpec,
    GrooveHeadSpec,
    HierarchicalDecoderSpec,
    HierarchicalEncoderSpec,
    MixtureGrooveHeadSpec,
    MultiCategoricalHeadSpec,
    NadeHeadSpec,
    SplitDecoderSpec,
)
from music_vae.music.augmentation import NoteSequenceAugmenter
from music_vae.music.converters.base import Converter, bars
from music_vae.music.converters.drums import DrumsConverter
from music_vae.music.converters.groove import GrooveConverter
from music_vae.music.converters.melody import OneHotMelodyConverter
from music_vae.music.converters.performance import MultiInstrumentPerformanceConverter
from music_vae.music.converters.trio import TrioConverter
from music_vae.music.drum_augmentation import DrumAugmenter, check_fits

FORMAT_VERSION = 1
"""Version of the format of `config.json`; a reader refuses a newer one."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
# Of a collection of data sets that TensorFlow Datasets would first import code for, only a user may
# give the name, not a config.
_TFDS_NAME = re.compile(r"[a-z0-9_]{1,100}(/[A-Za-z0-9._-]{1,100})?(:[0-9*]+(\.[0-9*]+){0,2})?")


@dataclasses.dataclass(frozen=True)
class Config:
    """A config: all that defines a model and its training.

    >>> melodies = OneHotMelodyConverter(slice_bars=4)
    >>> config = Config("my-melodies", HParams(max_seq_len=64, z_size=32), melodies)
    >>> config.model_spec.posterior.mu.units
    32

    Attributes:
      name: Name that commands print and use for files: up to 100 letters, digits, dots, underscores
        and hyphens.
      hparams: Hyper-parameters.
      data_converter: Converter between music and arrays.
      encoder: Architecture of the encoder.
      decoder: Architecture of the decoder.
      note_sequence_augmenter: Augmenter of whole pieces in training, or None.
      window_augmenter: Augmenter of the windows of music in training, or None.
      tfds_name: Name of a TensorFlow Dataset to train on by default, or None.

    Raises:
      UserError: For a name with other characters, a `tfds_name` that is none, a converter whose
        windows do not have `max_seq_len` steps, or a `window_augmenter` for another kind of music.
    """

    name: str
    hparams: HParams
    data_converter: Converter
    encoder: EncoderSpec = BidirectionalEncoderSpec()
    decoder: DecoderSpec = FlatDecoderSpec()
    note_sequence_augmenter: NoteSequenceAugmenter | None = None
    tfds_name: str | None = None
    window_augmenter: DrumAugmenter | None = None

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and _NAME.fullmatch(self.name)):
            raise UserError(
                f"name={shown(self.name)} cannot name a config; expected up to 100 letters, "
                "digits, dots, underscores and hyphens, a letter or digit first"
            )
        if self.tfds_name is not None and not (
            isinstance(self.tfds_name, str) and _TFDS_NAME.fullmatch(self.tfds_name)
        ):
            raise UserError(
                f"tfds_name={shown(self.tfds_name)} is no name of a TensorFlow Dataset; expected "
                "dataset, dataset/config or dataset/config:1.0.0"
            )
        self._check_window()
        if self.window_augmenter is not None:
            check_fits(self.window_augmenter, self.data_converter)

    def _check_window(self) -> None:
        """Raises `UserError` if the model would make more bars, or fewer, than it learns."""
        converter, steps = self.data_converter, self.hparams.max_seq_len
        if converter.window_bars is None or converter.window_steps == steps:
            return
        made, other = converter.bars_of(steps), ""
        hint = f"set max_seq_len={converter.window_steps}"
        if made != converter.window_bars:
            other = f" ({bars(made)})"
            hint += f", or take a config with windows of {bars(made)}"
        raise UserError(
            f"{self.name} learns windows of {bars(converter.window_bars)}, which are "
            f"{converter.window_steps} steps, but with max_seq_len={steps} it makes {steps} "
            f"steps{other}",
            hint=hint,
        )

    @functools.cached_property
    def model_spec(self) -> ModelSpec:
        """The plan of the model: its parts and their widths, the names and shapes of its weights.

        Raises:
          UserError: If the parts of the config do not fit each other.
        """
        converter = self.data_converter
        depths = StepDepths(
            converter.input_depth,
            converter.output_depth,
            converter.control_depth,
            converter.input_one_hots,
        )
        return derive_model(self.encoder, self.decoder, self.hparams, depths)

    def replace(self, **changes: Any) -> "Config":
        """Returns a copy with some values changed."""
        return dataclasses.replace(self, **changes)

    def with_overrides(self, hparams: str) -> "Config":
        """Returns a copy with overrides of its hyper-parameters, as on the command line.

        >>> get_config("cat-mel_2bar_small").with_overrides("batch_size=32").hparams.batch_size
        32

        Raises:
          UserError: For overrides that cannot be read or do not fit the config.
        """
        with naming("hparams", hparams):
            return self.replace(hparams=overrides.apply_overrides(self.hparams, hparams))


def config_to_json(config: Config) -> dict[str, Any]:
    """Converts a config to JSON data, with the version of the format and of the package.

    >>> config_to_json(get_config("cat-mel_2bar_mini"))["config"]["hparams"]["z_size"]
    128

    Raises:
      UserError: If JSON cannot hold a value in it, such as one of a user's own class.
    """
    from music_vae import __version__

    versions = {"format_version": FORMAT_VERSION, "music_vae_version": __version__}
    return {**versions, "config": to_json(config)}


def config_from_json(data: Any, own: Mapping[str, type] | None = None) -> Config:
    """Makes a config from JSON data, as the inverse of `config_to_json`.

    >>> config = get_config("cat-mel_2bar_mini")
    >>> config_from_json(config_to_json(config)) == config
    True

    Args:
      data: Content of a file; it causes no imports.
      own: Classes by name that are not part of this package and that it may contain, as
        `own_code.own_classes` finds them in the config that the user gave.

    Raises:
      UserError: If `data` is no config, is of a newer format, or contains other classes.
    """
    if not isinstance(data, dict) or "config" not in data:
        raise UserError("this is not the config of a music_vae model: it has no entry 'config'")
    if data.get("format_version") != FORMAT_VERSION:
        raise UserError(
            f"the config has format version {shown(data.get('format_version'))}; this version of "
            f"music_vae reads {FORMAT_VERSION}"
        )
    config = from_json(data["config"], _KINDS, own)
    if not isinstance(config, Config):
        raise UserError("the entry 'config' does not describe a Config")
    return config


_KINDS: dict[str, type] = SPEC_KINDS | {
    kind.__name__: kind
    for kind in (
        Config,
        DrumAugmenter,
        DrumsConverter,
        GrooveConverter,
        HParams,
        MultiInstrumentPerformanceConverter,
        NoteSequenceAugmenter,
        OneHotMelodyConverter,
        TrioConverter,
    )
}


def get_config(name: str, hparams: str = "") -> Config:
    """Returns the config called `name`, with overrides as on the command line.

    >>> get_config("cat-mel_2bar_small", hparams="batch_size=32").hparams.batch_size
    32

    Raises:
      UserError: For an unknown name (with the nearest known one) or a wrong override.
    """
    if name not in CONFIG_MAP:
        raise UserError(f"unknown config {name!r}; {did_you_mean(name, CONFIG_MAP)}")
    return CONFIG_MAP[name].with_overrides(hparams)


# Sizes that several configs share.
_TINY: dict[str, Any] = {"z_size": 64, "enc_rnn_size": (128,), "dec_rnn_size": (128, 128)}
_SMALL: dict[str, Any] = {"z_size": 256, "enc_rnn_size": (512,), "dec_rnn_size": (256, 256)}
_MEDIUM: dict[str, Any] = {"z_size": 256, "enc_rnn_size": (1024,), "dec_rnn_size": (512, 512)}
_BIG: dict[str, Any] = {"z_size": 512, "enc_rnn_size": (2048,), "dec_rnn_size": (2048,) * 3}
_SCHEDULED: dict[str, Any] = {"sampling_schedule": "inverse_sigmoid", "sampling_rate": 1000}
_MAX_BARS = 100  # length of the longest extracted melody or drum track

# Two levels: 16 bars of 16 steps, and 8 instruments of 64 events.
_BARS_ENCODER = HierarchicalEncoderSpec(level_lengths=(16, 16))
_INSTRUMENTS_ENCODER = HierarchicalEncoderSpec(level_lengths=(64, 8))

# Melodies: 2 bars, one voice of 90 classes; z 256, encoder 512, decoder 256-256.
_MEL_2BAR_SMALL = Config(
    name="cat-mel_2bar_small",
    hparams=HParams(max_beta=0.2, beta_rate=0.99999, **_SMALL, **_SCHEDULED),
    data_converter=OneHotMelodyConverter(
        valid_programs=MELODY_PROGRAMS, max_bars=_MAX_BARS, slice_bars=2
    ),
    note_sequence_augmenter=NoteSequenceAugmenter(transpose_range=(-5, 5)),
)
# z 512, encoder 2048, decoder 2048-2048-2048.
_MEL_2BAR_BIG = _MEL_2BAR_SMALL.replace(
    name="cat-mel_2bar_big", hparams=_MEL_2BAR_SMALL.hparams.replace(max_beta=0.5, **_BIG)
)
# Conditioned on the chord of every step; z 256, encoder 1024, decoder 512-512-512.
_MEL_2BAR_MED_CHORDS = Config(
    name="cat-mel_2bar_med_chords",
    hparams=HParams(z_size=256, enc_rnn_size=(1024,), dec_rnn_size=(512, 512, 512)),
    data_converter=OneHotMelodyConverter(max_bars=_MAX_BARS, slice_bars=2, chord_encoding="triad"),
    note_sequence_augmenter=NoteSequenceAugmenter(transpose_range=(-3, 3)),
)

# Drums: 2 bars; a step is one of the 512 combinations of nine drums, unless another is named.
_DRUMS_CONVERTER = DrumsConverter(
    max_bars=_MAX_BARS, pitch_classes=REDUCED_DRUM_PITCH_CLASSES, slice_bars=2, roll_input=True
)
# z 256, encoder 512, decoder 256-256.
_DRUMS_2BAR_SMALL = Config(
    name="cat-drums_2bar_small",
    hparams=HParams(free_bits=48, max_beta=0.2, **_SMALL, **_SCHEDULED),
    data_converter=_DRUMS_CONVERTER,
)
# z 512, encoder 2048, decoder 2048-2048-2048.
_DRUMS_2BAR_BIG = _DRUMS_2BAR_SMALL.replace(
    name="cat-drums_2bar_big", hparams=_DRUMS_2BAR_SMALL.hparams.replace(**_BIG)
)
# A roll of nine drums, drawn one after the other (NADE); z 256, encoder 1024, decoder 512-512.
_NADE_DRUMS_2BAR_REDUCED = _DRUMS_2BAR_SMALL.replace(
    name="nade-drums_2bar_reduced",
    hparams=_DRUMS_2BAR_SMALL.hparams.replace(nade_num_hidden=128, **_MEDIUM),
    data_converter=dataclasses.replace(_DRUMS_CONVERTER, roll_output=True),
    decoder=FlatDecoderSpec(NadeHeadSpec()),
)
# The same for a roll of all 61 drums.
_NADE_DRUMS_2BAR_FULL = _NADE_DRUMS_2BAR_REDUCED.replace(
    name="nade-drums_2bar_full",
    data_converter=dataclasses.replace(
        _DRUMS_CONVERTER, roll_output=True, pitch_classes=FULL_DRUM_PITCH_CLASSES
    ),
)

# Trios: 16 bars of melody, bass and drums; z 512.
_TRIO_CONVERTER = TrioConverter(slice_bars=16)
_TRIO_DEPTHS = _TRIO_CONVERTER.split_output_depths
# One flat decoder for all three; encoder 2048-2048, decoder 2048-2048-2048.
_FLAT_TRIO_16BAR = Config(
    name="flat-trio_16bar",
    hparams=HParams(max_seq_len=256, batch_size=256, **(_BIG | {"enc_rnn_size": (2048, 2048)})),
    data_converter=_TRIO_CONVERTER,
    decoder=FlatDecoderSpec(MultiCategoricalHeadSpec(_TRIO_DEPTHS)),
)
# A conductor of the bars, with a decoder for each part; encoder 2048-2048, decoders 1024-1024.
_HIERDEC_TRIO_16BAR = _FLAT_TRIO_16BAR.replace(
    name="hierdec-trio_16bar",
    hparams=_FLAT_TRIO_16BAR.hparams.replace(
        free_bits=256, max_beta=0.2, dec_rnn_size=(1024, 1024)
    ),
    decoder=HierarchicalDecoderSpec(
        level_lengths=(16, 16), core=SplitDecoderSpec(_TRIO_DEPTHS, (FlatDecoderSpec(),) * 3)
    ),
)
# A hierarchical encoder (1024), too.
_HIER_TRIO_16BAR = _HIERDEC_TRIO_16BAR.replace(
    name="hier-trio_16bar",
    hparams=_HIERDEC_TRIO_16BAR.hparams.replace(enc_rnn_size=(1024,)),
    encoder=_BARS_ENCODER,
)

# Long melodies: 16 bars; z 512. A flat decoder; encoder 2048-2048, decoder 2048-2048-2048.
_FLAT_MEL_16BAR = Config(
    name="flat-mel_16bar",
    hparams=_FLAT_TRIO_16BAR.hparams.replace(batch_size=512, free_bits=256, max_beta=0.2),
    data_converter=OneHotMelodyConverter(max_bars=_MAX_BARS, slice_bars=16),
)
# A conductor of the bars; encoder 2048-2048, decoder 1024-1024.
_HIERDEC_MEL_16BAR = _FLAT_MEL_16BAR.replace(
    name="hierdec-mel_16bar",
    hparams=_FLAT_MEL_16BAR.hparams.replace(dec_rnn_size=(1024, 1024)),
    decoder=HierarchicalDecoderSpec(level_lengths=(16, 16)),
)
# A hierarchical encoder (1024), too.
_HIER_MEL_16BAR = _HIERDEC_MEL_16BAR.replace(
    name="hier-mel_16bar",
    hparams=_HIERDEC_MEL_16BAR.hparams.replace(enc_rnn_size=(1024,)),
    encoder=_BARS_ENCODER,
)

# Multitrack: one bar of up to eight instruments with velocities, as performance events; z 512.
_PERFORMANCE_CONVERTER = MultiInstrumentPerformanceConverter(
    num_velocity_bins=8, hop_size_bars=1, max_num_instruments=8, max_events_per_instrument=64
)
# Encoder 1024, decoder 512-512-512.
_MULTIPERF_MED = Config(
    name="hier-multiperf_vel_1bar_med",
    hparams=HParams(
        max_seq_len=512, z_size=512, batch_size=256, enc_rnn_size=(1024,), dec_rnn_size=(512,) * 3
    ),
    data_converter=_PERFORMANCE_CONVERTER,
    encoder=_INSTRUMENTS_ENCODER,
    decoder=HierarchicalDecoderSpec(level_lengths=(8, 64)),
    note_sequence_augmenter=NoteSequenceAugmenter(transpose_range=(-3, 3)),
)
# Encoder 2048, decoder 1024-1024-1024.
_MULTIPERF_BIG = _MULTIPERF_MED.replace(
    name="hier-multiperf_vel_1bar_big",
    hparams=_MULTIPERF_MED.hparams.replace(enc_rnn_size=(2048,), dec_rnn_size=(1024, 1024, 1024)),
)
# Both conditioned on the chord of every event.
_CHORDS_PERFORMANCE = dataclasses.replace(_PERFORMANCE_CONVERTER, chord_encoding="triad")
_MULTIPERF_MED_CHORDS = _MULTIPERF_MED.replace(
    name="hier-multiperf_vel_1bar_med_chords", data_converter=_CHORDS_PERFORMANCE
)
_MULTIPERF_BIG_CHORDS = _MULTIPERF_BIG.replace(
    name="hier-multiperf_vel_1bar_big_chords", data_converter=_CHORDS_PERFORMANCE
)

# Grooves (Gillick et al. 2019): played drums with velocities and timing, from an input that lacks
# some of it; z 256, encoder 512, decoder 256-256.
_GROOVE_2BAR = GrooveConverter(
    split_bars=2,
    steps_per_quarter=4,
    quarters_per_bar=4,
    max_tensors_per_notesequence=20,
    inference_pitch_classes=REDUCED_DRUM_PITCH_CLASSES,
)
# 4 bars, from a complete input.
_GROOVAE_4BAR = Config(
    name="groovae_4bar",
    hparams=HParams(max_seq_len=64, free_bits=48, max_beta=0.2, dropout_keep_prob=0.3, **_SMALL),
    data_converter=dataclasses.replace(_GROOVE_2BAR, split_bars=4),
    decoder=FlatDecoderSpec(GrooveHeadSpec()),
    tfds_name="groove/4bar-midionly",
)
# 2 bars, from the hits alone; the other 2-bar grooves are in the table below.
_GROOVAE_2BAR_HUMANIZE = _GROOVAE_4BAR.replace(
    name="groovae_2bar_humanize",
    hparams=_GROOVAE_4BAR.hparams.replace(max_seq_len=32),
    data_converter=dataclasses.replace(_GROOVE_2BAR, humanize=True),
    tfds_name="groove/2bar-midionly",
)


def _groovae_2bar(name: str, **options: Any) -> Config:
    """Returns a 2-bar groove config whose converter has these options."""
    converter = dataclasses.replace(_GROOVE_2BAR, **options)
    return _GROOVAE_2BAR_HUMANIZE.replace(name=name, data_converter=converter)


_TAP: dict[str, Any] = {"tapify": True, "fixed_velocities": True}

PUBLISHED_CONFIGS: Mapping[str, Config] = MappingProxyType(
    {
        config.name: config
        for config in (
            _MEL_2BAR_SMALL,
            _MEL_2BAR_BIG,
            _MEL_2BAR_MED_CHORDS,
            _DRUMS_2BAR_SMALL,
            _DRUMS_2BAR_BIG,
            _NADE_DRUMS_2BAR_REDUCED,
            _NADE_DRUMS_2BAR_FULL,
            _FLAT_TRIO_16BAR,
            _HIERDEC_TRIO_16BAR,
            _HIER_TRIO_16BAR,
            _FLAT_MEL_16BAR,
            _HIERDEC_MEL_16BAR,
            _HIER_MEL_16BAR,
            _MULTIPERF_MED,
            _MULTIPERF_BIG,
            _MULTIPERF_MED_CHORDS,
            _MULTIPERF_BIG_CHORDS,
            _GROOVAE_4BAR,
            _GROOVAE_2BAR_HUMANIZE,
            # From a tapped rhythm: when to hit, but not which drum or how hard.
            _groovae_2bar("groovae_2bar_tap_fixed_velocity", **_TAP),
            # The same with some taps left out.
            _groovae_2bar(
                "groovae_2bar_tap_fixed_velocity_note_dropout",
                max_note_dropout_probability=0.8,
                **_TAP,
            ),
            _groovae_2bar("groovae_2bar_add_closed_hh", add_instruments=(2,)),  # from other drums
            # Conditioned on the hits; the published checkpoint is described under the second name.
            _groovae_2bar("groovae_2bar_hits_control_tfds", hits_as_controls=True),
            _groovae_2bar("groovae_2bar_hits_control", hits_as_controls=True),
        )
    }
)
"""The configs of the original MusicVAE by name, read-only."""

# Sizes of the shipped models, for 10^4 or 10^5 windows of music instead of 10^7.
_MINI: dict[str, Any] = {
    "batch_size": 64,
    "learning_rate": 0.002,
    "decay_rate": 0.99985,
    "min_learning_rate": 0.0001,
    "free_bits": 0,
    "max_beta": 0.08,
    "beta_rate": 0.9995,
    "z_size": 128,
    "enc_rnn_size": (256,),
    "dec_rnn_size": (256, 256),
}

# Without it, a model learns 16,000 windows by heart.
_DRUM_AUGMENTER = DrumAugmenter(splice=0.5, mix=0.5, drop=0.1, add=0.01)


def _mini(config: Config, suffix: str = "mini", **changes: Any) -> Config:
    """Returns a config in a reduced size, with `changes` of its hyper-parameters."""
    return config.replace(
        name=f"{config.name.removesuffix('_small')}_{suffix}",
        hparams=config.hparams.replace(**(_MINI | changes)),
    )


_MINI_GROOVE: dict[str, Any] = {
    **_TINY,
    "dropout_keep_prob": 0.7,
    "max_beta": 0.2,
    "beta_rate": 0.0,
}


def _mini_completing(name: str, completes: Mapping[str, Any], **changes: Any) -> Config:
    """Returns a 2-bar groove config in a reduced size, whose decoder reads what it completes."""
    converter = dataclasses.replace(
        _GROOVE_2BAR, inputs_as_controls=True, complete_inputs=0.5, **completes
    )
    changes = {**_MINI_GROOVE, "control_preprocessing_rnn_size": (128,), **changes}
    return _mini(PUBLISHED_CONFIGS[name], **changes).replace(
        data_converter=converter,
        decoder=FlatDecoderSpec(MixtureGrooveHeadSpec(), preprocess_controls=True),
    )


MINI_CONFIGS: Mapping[str, Config] = MappingProxyType(
    {
        config.name: config
        for config in (
            # 2-bar melodies, z 128, encoder 256, decoder 256-256.
            _mini(
                _MEL_2BAR_SMALL,
                batch_size=128,
                learning_rate=0.0035,
                decay_rate=0.9988,
                max_beta=0.12,
                beta_rate=0.99,
                sampling_schedule="constant",
                sampling_rate=0.8,
            ).replace(note_sequence_augmenter=NoteSequenceAugmenter(transpose_range=(-8, 8))),
            # 2-bar drums in the same sizes, for reconstruction and interpolation.
            _mini(
                _DRUMS_2BAR_SMALL,
                "mini_hikl",
                max_beta=0.02,
                batch_size=128,
                learning_rate=0.006,
                decay_rate=0.9996,
                sampling_rate=500,
            ).replace(window_augmenter=_DRUM_AUGMENTER),
            # The same for samples, from patterns that are alike in both bars; training begins with
            # the weights of the one before.
            _mini(
                _DRUMS_2BAR_SMALL,
                "mini_lokl",
                batch_size=128,
                max_beta=0.2,
                beta_rate=0.99,
                learning_rate=0.002,
                decay_rate=0.9985,
                sampling_schedule="constant",
                sampling_rate=0.5,
            ).replace(
                window_augmenter=DrumAugmenter(splice=0.0, mix=0.5, drop=0.2, every_bar=True)
            ),
            # Grooves, z 64, encoder 128, decoder 128-128.
            _mini(
                _GROOVAE_4BAR, **_MINI_GROOVE, free_bits=48, decay_rate=0.999, sampling_rate=0.5
            ).replace(decoder=FlatDecoderSpec(MixtureGrooveHeadSpec())),
            _mini_completing(
                "groovae_2bar_humanize", {"humanize": True}, decay_rate=0.999, sampling_rate=0.9
            ),
            _mini(
                PUBLISHED_CONFIGS["groovae_2bar_tap_fixed_velocity"],
                **_MINI_GROOVE,
                free_bits=48,
                decay_rate=0.9997,
            ),
            _mini_completing(
                "groovae_2bar_add_closed_hh",
                {"add_instruments": (2,)},
                learning_rate=0.001,
                decay_rate=0.9985,
                sampling_rate=0.7,
            ),
        )
    }
)
"""The configs of the trained models that come with the package, by name, read-only."""

CONFIG_MAP: Mapping[str, Config] = MappingProxyType({**PUBLISHED_CONFIGS, **MINI_CONFIGS})
"""All configs by name, read-only."""
