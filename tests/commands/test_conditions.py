"""The flags that condition a model."""

import dataclasses

import pytest

from music_vae.commands import conditions
from music_vae.configs import CONFIG_MAP
from music_vae.generate import FLAGS
from music_vae.music.converters.base import Conditioning
from music_vae.music.converters.melody import OneHotMelodyConverter


def converter(name):
    return CONFIG_MAP[name].data_converter


@pytest.mark.parametrize(
    ("converter", "flags"),
    [
        (converter("cat-mel_2bar_med_chords"), ["chords"]),
        (converter("hier-multiperf_vel_1bar_med_chords"), ["chords"]),
        (converter("groovae_2bar_hits_control"), ["control_midi"]),
        (OneHotMelodyConverter(slice_bars=2, condition_on_key=True), ["key"]),
        (
            OneHotMelodyConverter(chord_encoding="triad", condition_on_key=True),
            ["chords", "key"],
        ),
        (converter("cat-mel_2bar_small"), []),
        (converter("groovae_4bar"), []),
    ],
)
def test_every_model_says_which_flags_tell_it_what(converter, flags):
    needed = conditions.needed(converter)
    assert list(needed) == flags
    assert all(f"`{flag}=" in text for flag, text in needed.items())


def test_there_is_a_flag_for_every_condition():
    everything = Conditioning(**{f.name: True for f in dataclasses.fields(Conditioning)})

    class Everything:
        conditioning = everything

    assert len(conditions.needed(Everything())) == len(everything.names)
    assert set(conditions.needed(Everything())) == set(conditions.ARGUMENTS) <= set(FLAGS)
