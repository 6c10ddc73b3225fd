"""What a musician writes becomes the controls that models were trained with."""

import dataclasses

import numpy as np
import pytest

from music_vae.common.errors import UserError
from music_vae.common.lazy_imports import import_note_seq
from music_vae.configs import CONFIG_MAP
from music_vae.music.conditioning import Conditions, c_inputs, chord_classes, key_class
from music_vae.music.converters.melody import OneHotMelodyConverter

CHORDS = CONFIG_MAP["cat-mel_2bar_med_chords"]
BAND = CONFIG_MAP["hier-multiperf_vel_1bar_med_chords"]
HITS = CONFIG_MAP["groovae_2bar_hits_control"]
N_C, C, F, G, A_MINOR = 0, 1, 6, 8, 22


def controls(config, **conditions):
    steps = config.hparams.max_seq_len
    return c_inputs(config.data_converter, steps, Conditions(**conditions))


def keyed(**options):
    return CHORDS.replace(data_converter=OneHotMelodyConverter(slice_bars=2, **options))


def groove(steps, pitch=36):
    sequence = import_note_seq().NoteSequence()
    sequence.tempos.add(qpm=120)
    for step in steps:
        time = step * 0.125
        sequence.notes.add(
            pitch=pitch, velocity=80, start_time=time, end_time=time + 0.1, is_drum=True
        )
    sequence.total_time = 4.0
    return sequence


def test_chords_are_spread_evenly_over_the_music():
    (control,) = controls(CHORDS, chords="C G Am F")
    assert control.shape == (32, 49)
    assert control.dtype == np.float32
    np.testing.assert_array_equal(control.argmax(axis=1), np.repeat([C, G, A_MINOR, F], 8))
    np.testing.assert_array_equal(control.sum(axis=1), 1)


def test_chords_that_do_not_divide_the_music_have_shares_that_differ_by_a_step():
    (control,) = controls(CHORDS, chords="C N.C. Am7")
    classes, counts = np.unique(control.argmax(axis=1), return_counts=True)
    assert classes.tolist() == [N_C, C, A_MINOR]
    assert sorted(counts) == [10, 11, 11]


def test_a_key_goes_behind_the_chords():
    config = keyed(chord_encoding="triad", condition_on_key=True)
    (control,) = controls(config, chords="G", key="Bb")
    assert control.shape == (32, 61)
    assert [np.flatnonzero(row).tolist() for row in control[[0, -1]]] == [[G, 49 + 10]] * 2


@pytest.mark.parametrize(
    ("key", "number"), [("C", 0), ("F#", 6), ("Bb", 10), ("Am", 9), ("Cb", 11)]
)
def test_a_key_is_its_tonic(key, number):
    assert key_class(key) == number


@pytest.mark.parametrize("key", ["", "H", "C##", "major", "m"])
def test_what_is_no_key_is_named(key):
    with pytest.raises(UserError, match=f"unknown key '{key}'"):
        key_class(key)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("C H7 G", "unknown chord symbol 'H7'"),
        ("C Gsus4", "the chord 'Gsus4' is not a major, minor, augmented or diminished triad"),
        (" ", "no chord was given"),
    ],
)
def test_a_chord_that_cannot_be_told_is_named(text, message):
    with pytest.raises(UserError, match=message):
        chord_classes(text)


def test_more_chords_than_steps_are_refused():
    with pytest.raises(UserError, match="33 chords are more than the 32 steps"):
        controls(CHORDS, chords="C " * 33)


def test_a_band_has_a_bar_for_each_chord_and_none_at_the_program_of_a_track():
    first, second = controls(BAND, chords="C Am")
    assert first.shape == second.shape == (512, 49)
    expected = np.full((8, 64), A_MINOR)
    expected[:, 0] = N_C
    np.testing.assert_array_equal(second.argmax(axis=1), expected.reshape(-1))


def test_hits_are_those_of_a_pattern_of_one_window():
    (control,) = controls(HITS, hits=groove([0, 8, 31]))
    assert control.shape == (32, 9)
    assert np.argwhere(control).tolist() == [[0, 0], [8, 0], [31, 0]]


def test_hits_of_two_windows_are_refused():
    with pytest.raises(UserError, match="the hits fill 2 windows; expected one"):
        controls(HITS, hits=groove([0, 63]))


def test_a_model_without_controls_is_told_nothing():
    assert controls(CONFIG_MAP["cat-mel_2bar_small"], chords="C") == []


def test_the_last_chord_of_a_piece_goes_on_and_its_hits_do_not():
    rows = np.eye(49)[[C, G]]
    extended = CHORDS.data_converter.extended_controls
    np.testing.assert_array_equal(extended(rows, 4), rows[[0, 1, 1, 1]])
    np.testing.assert_array_equal(extended(rows, 1), rows[:1])
    np.testing.assert_array_equal(extended(rows[:0], 2), np.zeros((2, 49)))
    longer = HITS.data_converter.extended_controls(np.ones((1, 9)), 2)
    np.testing.assert_array_equal(longer, [[1] * 9, [0] * 9])


def test_an_instrument_at_a_time_is_told_whose_turn_it_is():
    converter = CONFIG_MAP["groovae_2bar_humanize"].data_converter
    turns = dataclasses.replace(converter, split_instruments=True)
    (control,) = c_inputs(turns, 18, Conditions())
    np.testing.assert_array_equal(control, np.tile(np.eye(9), (2, 1)))
