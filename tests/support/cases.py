"""A small model of every config and of every part of the library that no config uses."""

import dataclasses
import functools

from music_vae.common.specs import (
    BooleanHeadSpec,
    FlatDecoderSpec,
    HierarchicalDecoderSpec,
    HierarchicalEncoderSpec,
    LstmEncoderSpec,
    MixtureGrooveHeadSpec,
)
from music_vae.configs import PUBLISHED_CONFIGS, get_config
from music_vae.music.converters.drums import DrumsConverter

SMALL = "batch_size=2,z_size=4,enc_rnn_size=[5],dec_rnn_size=[6,4],nade_num_hidden=3"
MELODY_16BAR = "hierdec-mel_16bar"


def config_of(name):
    return get_config(name, SMALL)


def with_hparams(name, **changes):
    config = config_of(name)
    return config.replace(hparams=config.hparams.replace(**changes))


def with_converter(config, **changes):
    """A config with a changed converter, and as many steps as its windows then have."""
    converter = dataclasses.replace(config.data_converter, **changes)
    steps = converter.window_steps or config.hparams.max_seq_len
    hparams = config.hparams.replace(max_seq_len=steps)
    return config.replace(data_converter=converter, hparams=hparams)


def boolean_drums():
    """Drum rolls, each class by itself."""
    converter = DrumsConverter(max_bars=100, slice_bars=2, roll_input=True, roll_output=True)
    return config_of("nade-drums_2bar_reduced").replace(
        data_converter=converter, decoder=FlatDecoderSpec(BooleanHeadSpec())
    )


def hierarchical(lengths=(4, 6), encoder=None, dropout_keep_prob=1.0, **options):
    """A hierarchy over a bar of 24 steps, for these read their segments one by one."""
    config = with_hparams(MELODY_16BAR, dropout_keep_prob=dropout_keep_prob)
    config = with_converter(config, slice_bars=1, steps_per_quarter=6)
    decoder = HierarchicalDecoderSpec(level_lengths=lengths, **options)
    return config.replace(decoder=decoder, encoder=encoder or config.encoder)


def played_grooves(preprocess_controls=True):
    """A humanizer that draws velocities and timing, and whose decoder reads the hits."""
    config = with_converter(
        with_hparams("groovae_2bar_humanize", control_preprocessing_rnn_size=(3,)),
        inputs_as_controls=True,
        complete_inputs=0.5,
    )
    decoder = FlatDecoderSpec(MixtureGrooveHeadSpec(components=2), preprocess_controls)
    return config.replace(decoder=decoder)


LEVELS = HierarchicalEncoderSpec(level_lengths=(6, 4))
VARIANTS = {
    "a forward encoder": lambda: config_of("cat-mel_2bar_small").replace(encoder=LstmEncoderSpec()),
    "a boolean head": boolean_drums,
    "a mixture of velocities and of offsets": played_grooves,
    "an autoregressive conductor": lambda: hierarchical(autoregressive_levels=(0,)),
    "an autoregressive conductor on some levels": lambda: hierarchical(
        (2, 2, 6), autoregressive_levels=(1,)
    ),
    "a re-encoding hierarchy": lambda: hierarchical(
        autoregressive_levels=(0,), reencoder=LEVELS, encoder=LEVELS
    ),
    "a re-encoder of its own": lambda: hierarchical(autoregressive_levels=(0,), reencoder=LEVELS),
    "preprocessed controls": lambda: with_hparams(
        "cat-mel_2bar_med_chords", control_preprocessing_rnn_size=(3,)
    ).replace(decoder=FlatDecoderSpec(preprocess_controls=True)),
    "residual layers": lambda: with_hparams(
        "cat-mel_2bar_small", residual_encoder=True, residual_decoder=True
    ),
    "dropout in a hierarchy that reads back": lambda: hierarchical(
        autoregressive_levels=(0,), dropout_keep_prob=0.5
    ),
    "a constant schedule": lambda: with_hparams(
        "cat-mel_2bar_small", sampling_schedule="constant", sampling_rate=0.5
    ),
    "an exponential schedule": lambda: with_hparams(
        "cat-mel_2bar_small", sampling_schedule="exponential", sampling_rate=0.5
    ),
    "an inverse sigmoid schedule in a hierarchy": lambda: with_hparams(
        MELODY_16BAR, sampling_schedule="inverse_sigmoid", sampling_rate=1
    ),
    "clipping by value": lambda: with_hparams(
        "cat-mel_2bar_small", clip_mode="value", grad_clip=0.01
    ),
    "no latent vector": lambda: with_hparams("cat-mel_2bar_small", z_size=0),
    "no condition": lambda: with_hparams("cat-mel_2bar_small", conditional=False),
}
CASES = {name: functools.partial(config_of, name) for name in PUBLISHED_CONFIGS} | VARIANTS
