"""The bar lines at which pieces end, and the length of what models make."""

import numpy as np
import pytest
from note_seq.protobuf.music_pb2 import NoteSequence

from music_vae.configs import get_config
from music_vae.music import bar_lines


def piece(*times_s, metres=(), **fields):
    """A piece of notes (start and end in seconds), with metres (time, numerator, denominator)."""
    sequence = NoteSequence(**fields)
    for start, end in times_s:
        sequence.notes.add(pitch=60, velocity=80, start_time=start, end_time=end)
    for time, numerator, denominator in metres:
        sequence.time_signatures.add(time=time, numerator=numerator, denominator=denominator)
    return sequence


@pytest.mark.parametrize(
    ("sequence", "end_s"),
    [
        (piece(), 0.0),
        (piece((0, 2)), 2.0),
        (piece((0, 2.0005)), 2.0),  # late by less than half a tick
        (piece((0, 2.01)), 4.0),
        (piece((2, 2)), 4.0),  # begins with the second bar
        (piece((-0.1, 0.1)), 2.0),
        (piece((0, 1), total_time=3.0), 4.0),
        (piece((0, 1), tempos=[{"qpm": 60}]), 4.0),
        (piece((0, 3), metres=[(0, 3, 4)]), 3.0),
        (piece((0, 3.1), metres=[(0, 3, 4)]), 4.5),
        (piece((0, 2.5), metres=[(2, 6, 8)]), 3.5),
        (piece((0, 2), metres=[(0, 4, 4), (2, 3, 4)]), 2.0),
        (piece((0, 1), metres=[(0, 0, 4), (0, 4, 0)]), 2.0),  # no metres
        (piece((0, 2.1), tempos=[{"qpm": 120}, {"time": 2.0, "qpm": 60}]), 6.0),
    ],
)
def test_a_piece_ends_on_the_first_bar_line_where_it_is_over(sequence, end_s):
    assert bar_lines.end_s(sequence) == pytest.approx(end_s, abs=2e-3)


def test_a_filled_piece_ends_its_last_note_on_the_bar_line_and_the_other_stays():
    ringing = piece((0, 1), (1.9, 2.4))
    filled = bar_lines.filled(ringing)
    assert [note.end_time for note in filled.notes] == [1, 2]
    assert filled.total_time == 2
    assert [note.end_time for note in ringing.notes] == [1, 2.4]
    assert bar_lines.filled(ringing, least_s=4.0).notes[1].end_time == 2.4


@pytest.mark.parametrize(
    ("name", "bars"),
    [
        ("cat-mel_2bar_small", 2),
        ("cat-drums_2bar_small", 2),
        ("groovae_2bar_humanize", 2),
        ("groovae_4bar", 4),
        ("flat-trio_16bar", 16),
        ("hier-multiperf_vel_1bar_med", 1),
    ],
)
def test_decoded_music_lasts_the_bars_of_its_window(name, bars):
    converter = get_config(name).data_converter
    silent = np.zeros((converter.window_steps, converter.output_depth))
    (decoded,) = bar_lines.decoded(converter, [silent])
    assert decoded.total_time == bars * 2.0
    assert [(m.numerator, m.denominator) for m in decoded.time_signatures] == [(4, 4)]


def test_a_late_hit_at_the_last_step_ends_with_the_window():
    converter = get_config("groovae_2bar_humanize").data_converter
    rows = np.zeros((32, converter.output_depth))
    rows[-1, [0, 9, 18]] = 1.0, 0.5, -1.0  # a bass drum, half a step late
    (decoded,) = bar_lines.decoded(converter, [rows])
    (hit,) = decoded.notes
    assert (hit.start_time, hit.end_time) == (4 - 0.125 / 2, 4.0)
    assert decoded.total_time == 4.0
