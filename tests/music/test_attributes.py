"""Attributes of little pieces that can be checked by eye."""

import dataclasses
import math

import numpy as np
import pytest

from music_vae.common.errors import UserError
from music_vae.common.lazy_imports import import_note_seq
from music_vae.configs import CONFIG_MAP
from music_vae.music import attributes
from music_vae.music.attributes import measure, measure_sequence, names
from music_vae.music.converters.compact import bit_masks
from music_vae.music.symbols import Groove, Melody

MELODIES = CONFIG_MAP["cat-mel_2bar_small"].data_converter
DRUMS = CONFIG_MAP["cat-drums_2bar_small"].data_converter
GROOVES = CONFIG_MAP["groovae_2bar_humanize"].data_converter


def melody(*notes, num_steps=16):
    """Of notes (step, pitch)."""
    steps, pitches = np.array(notes, int).reshape(-1, 2).T
    return Melody(steps, pitches, num_steps)


def steps(*steps, num_steps=16):
    return melody(*((step, 60) for step in steps), num_steps=num_steps)


def test_white_keys_are_the_diatonic_ones():
    assert attributes.c_diatonic(melody((0, 60), (1, 61), (2, 71), (3, 77))) == 3 / 4


def test_density_counts_the_notes_of_a_step():
    assert attributes.note_density(steps(0, 3, 9)) == 3 / 16


def test_the_interval_is_from_note_to_note_whatever_its_direction():
    assert attributes.average_interval(melody((0, 60), (2, 67), (4, 64))) == (7 + 3) / 2


@pytest.mark.parametrize(
    ("found", "sixteenth", "eighth"),
    [
        (steps(0, 4, 8, 12), 0, 0),
        (steps(0, 2, 4, 6), 0, 0),  # steady eighths
        (steps(0, 1, 2, 3), 0, 0),  # steady sixteenths
        (steps(2, 6), 0, 1),  # between the quarters, which are silent
        (steps(1, 2), 1 / 2, 0),  # what is at 2 follows what is at 1
        (steps(3, 7, 8), 2 / 3, 0),
        (steps(0, 6, 9, 10), 1 / 4, 1 / 4),  # 6 and 9 come as a surprise
        (steps(4, 5, 6), 0, 0),
    ],
)
def test_a_note_is_syncopated_that_nothing_prepares(found, sixteenth, eighth):
    assert attributes.syncopation_16th(found) == pytest.approx(sixteenth)
    assert attributes.syncopation_8th(found) == pytest.approx(eighth)


def test_what_is_not_defined_is_not_a_number():
    silence = melody()
    assert attributes.note_density(silence) == 0
    for name in ("c_diatonic", "average_interval", "syncopation_16th", "syncopation_8th"):
        assert math.isnan(attributes.MELODY_ATTRIBUTES[name](silence)), name
    assert math.isnan(attributes.average_interval(steps(4)))
    assert math.isnan(attributes.drum_syncopation(np.zeros((4, 2))))
    empty = Groove(*np.zeros((3, 4, 2)).astype(bool))
    assert math.isnan(attributes.velocity_spread(empty))
    assert math.isnan(attributes.timing_spread(empty))


def hits(*places, num_steps=16, drums=9):
    grid = np.zeros((num_steps, drums), bool)
    grid[tuple(np.array(places).T)] = True
    return grid


def test_drums_are_syncopated_each_among_its_own():
    steady = [(step, 2) for step in range(0, 16, 2)]
    assert attributes.drum_syncopation(hits(*steady)) == 0
    # A snare at 6 and a kick at 11 are prepared by the hi-hat, but not by themselves.
    assert attributes.drum_syncopation(hits(*steady, (6, 1), (11, 0))) == 2 / 10
    assert attributes.hit_density(hits(*steady, (6, 1), (11, 0))) == 10 / 16


def test_velocities_and_timing_spread_over_the_hits_alone():
    played = hits((0, 0), (4, 1), num_steps=8)
    velocities, offsets = np.full((8, 9), 0.9), np.full((8, 9), -0.7)
    velocities[[0, 4], [0, 1]] = 0.25, 0.75
    offsets[[0, 4], [0, 1]] = -0.5, 0.5
    groove = Groove(played, velocities, offsets)
    assert attributes.velocity_spread(groove) == pytest.approx(127 * 0.25)
    assert attributes.timing_spread(groove) == pytest.approx(0.25)


def test_the_outputs_of_a_melody_are_measured_up_to_their_end():
    converter = dataclasses.replace(MELODIES, add_end_token=True)
    tokens = np.array([60 - 21 + 2, 0, 1, 61 - 21 + 2, converter.end_token, 64 - 21 + 2])
    found = measure(converter, converter.dense_outputs(tokens))
    assert found["note_density"] == 2 / 4
    assert found["c_diatonic"] == 1 / 2
    assert found["average_interval"] == 1
    assert found["syncopation_16th"] == 1 / 2


@pytest.mark.parametrize("roll", [False, True])
def test_drums_are_measured_in_either_form(roll):
    converter = dataclasses.replace(DRUMS, roll_output=roll)
    grid = hits((0, 0), (0, 2), (6, 1))
    found = measure(converter, converter.dense_outputs(bit_masks(grid)))
    assert found == {"hit_density": 3 / 16, "syncopation": 1 / 3}


def test_every_window_of_a_sequence_is_measured():
    sequence = import_note_seq().NoteSequence()
    for step in range(0, 64, 4):
        start = step * 0.125
        velocity = 40 if step < 32 else 40 + step
        sequence.notes.add(
            pitch=36, velocity=velocity, start_time=start, end_time=start + 0.1, is_drum=True
        )
    sequence.total_time = 8.0
    first, second = measure_sequence(GROOVES, sequence)
    assert first == {
        "hit_density": 1 / 4,
        "syncopation": 0,
        "velocity_spread": 0,
        "timing_spread": 0,
    }
    assert second["velocity_spread"] == pytest.approx(np.std(np.arange(32, 64, 4)), rel=1e-6)


def test_grooves_of_one_drum_a_row_are_measured_like_those_of_one_step_a_row():
    turns = dataclasses.replace(GROOVES, split_instruments=True)
    grid = np.random.default_rng(0).random((16, 3, 9))
    rows = grid.swapaxes(1, 2).reshape(-1, 3)
    assert measure(turns, rows) == measure(GROOVES, grid.reshape(16, -1))


def test_each_representation_has_its_names():
    assert names(MELODIES)[:2] == ("c_diatonic", "note_density")
    assert names(DRUMS) == ("hit_density", "syncopation")
    assert names(GROOVES) == (*names(DRUMS), "velocity_spread", "timing_spread")


@pytest.mark.parametrize(
    "converter",
    [
        CONFIG_MAP["hierdec-trio_16bar"].data_converter,
        dataclasses.replace(MELODIES, steps_per_quarter=3),
        dataclasses.replace(GROOVES, num_velocity_bins=4, num_offset_bins=4),
    ],
)
def test_attributes_are_not_defined_for_everything(converter):
    with pytest.raises(UserError, match="attributes are defined for melodies, drums and"):
        names(converter)
