"""How surprising music is, and which of it are copies."""

import numpy as np

from music_vae.configs import get_config
from music_vae.dataset.windows import Window
from music_vae.evaluation.surprise import Surprise, key, tokens
from music_vae.music.converters.base import Example
from music_vae.music.converters.melody import OneHotMelodyConverter
from music_vae.music.converters.performance import MultiInstrumentPerformanceConverter

MELODY = OneHotMelodyConverter(slice_bars=1)


def melody(*own):
    return np.resize(np.array(own, np.int16), 16)


def surprise_of(*melodies):
    windows = [Window(Example(own, own, None, np.int32(16)), 0.125) for own in melodies]
    return Surprise.of(MELODY, windows)


def test_what_was_learned_is_less_surprising_than_what_was_not():
    surprise = surprise_of(*[melody(40, 0, 42, 0)] * 9, melody(50, 47))
    known, other = (
        surprise.measure([MELODY.dense_outputs(own)])
        for own in (melody(45, 0, 47, 0), melody(45, 0, 45, 50))
    )
    assert known["bits_per_step"] < 0.5 < 2 < other["bits_per_step"]


def test_copies_are_equal_step_by_step():
    surprise = surprise_of(melody(40, 0, 42, 0))
    same, moved = (
        MELODY.dense_outputs(own) for own in (melody(40, 0, 42, 0), melody(41, 0, 43, 0))
    )
    assert surprise.measure([same, moved])["copies"] == 0.5
    assert key(MELODY, same, any_key=True) == key(MELODY, moved, any_key=True)


def test_grooves_are_copies_only_with_their_playing():
    converter = get_config("groovae_2bar_humanize").data_converter
    groove = np.zeros((32, 27))
    groove[0, [0, 9]] = 1, 0.5
    louder = groove + 0.01 * (groove == 0.5)
    assert (converter.symbols(groove) == converter.symbols(louder)).all()
    assert key(converter, groove) != key(converter, louder)
    assert key(converter, groove) == key(converter, groove.astype(np.float32))


def test_the_padding_of_segments_is_no_music():
    converter = MultiInstrumentPerformanceConverter(
        max_num_instruments=2, max_events_per_instrument=5, min_total_events=1
    )
    row = np.array([352, 60, 480, -1, -1, 480, -1, -1, -1, -1])  # -1 is padding
    outputs = converter.dense_outputs(row)
    assert tokens(converter, outputs) == tokens(converter, outputs, np.array([3, 1]))
    assert len(tokens(converter, outputs)) == 4
