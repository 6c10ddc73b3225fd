"""Scores: which stretches are taken, top voices, and NoteSequences of other readers."""

from fractions import Fraction

import notation
import pytest
from notation import Measure, Note, Score, Section, Voice

from music_vae.common.lazy_imports import import_note_seq


def measures(*written):
    """Measures of (length in quarter notes, metre), one after the other."""
    found, start = [], Fraction(0)
    for length, metre in written:
        found.append(Measure(start, start + length, metre))
        start += length
    return found


def stretches(*written):
    return [tuple(section) for section in notation.sections(Score(measures=measures(*written)))]


def test_a_pick_up_is_cut_off():
    assert stretches((1, "4/4"), *[(4, "4/4")] * 4, (3, "4/4")) == [(0, 1, 17)]


def test_another_metre_begins_another_stretch():
    assert stretches(
        *[(4, "4/4")] * 2, *[(2, "2/4")] * 4, *[(3, "3/4")] * 9, *[(4, "2/2")] * 3
    ) == [(0, 0, 8), (1, 8, 16), (2, 43, 55)]


def test_two_halves_of_a_measure_are_one():
    halves = [(3, "4/4"), (1, "4/4")]
    assert stretches((4, "4/4"), *halves, (4, "4/4")) == [(0, 0, 12)]


def test_a_measure_that_is_too_long_or_too_short_ends_a_stretch():
    whole = [(2, "2/4")] * 4
    assert stretches(*whole, (3, "2/4"), *whole, (1, "2/4"), *whole) == [
        (0, 0, 8),
        (1, 11, 19),
        (2, 20, 28),
    ]


def test_empty_measures_and_single_bars_do_not_count():
    assert stretches((4, "4/4"), (3, "3/4"), (0, "4/4"), (4, "4/4"), (0, "4/4"), (4, "4/4")) == [
        (0, 7, 15)
    ]


def test_a_score_without_metre_has_no_stretches():
    assert stretches(*[(4, "")] * 8) == []


def test_the_melody_is_the_highest_note_until_the_next_one():
    chords = Voice(
        0, [Note(4, 6, 60), Note(4, 9, 67), Note(5, 6, 65), Note(8, 12, 72), Note(12, 13, 50)]
    )
    assert notation.melody(chords, Section(0, Fraction(4), Fraction(10))) == [
        (0, 1, 67),
        (1, 2, 65),
        (4, 6, 72),
    ]


def test_triplets_are_off_the_sixteenths():
    starts = [
        Fraction(0),
        Fraction(1, 4),
        Fraction(1, 3),
        Fraction(2, 3),
        Fraction(7, 8),
        Fraction(2),
    ]
    voice = Voice(0, [Note(start, start + 1, 60) for start in starts])
    assert notation.off_steps(voice) == 0.5
    assert notation.off_steps(Voice()) == 0


def test_a_sequence_is_in_seconds_at_120_with_an_instrument_for_each_voice():
    voices = [Voice(52, [Note(0, 1, 60)]), Voice(), Voice(19, [Note(Fraction(1, 3), 4, 48)])]
    sequence = notation.to_sequence(voices, Fraction(8))
    assert [
        (note.instrument, note.program, note.pitch, note.start_time, note.end_time)
        for note in sequence.notes
    ] == [(0, 52, 60, 0, 0.5), (2, 19, 48, pytest.approx(1 / 6), 2)]
    assert sequence.total_time == 4
    assert sequence.tempos[0].qpm == 120
    assert (sequence.time_signatures[0].numerator, sequence.time_signatures[0].denominator) == (
        4,
        4,
    )


@pytest.fixture
def played():
    """Two bars of 4/4, the second half as fast, then one of 3/4, and a grace note of no length."""
    sequence = import_note_seq().NoteSequence()
    sequence.tempos.add(time=0, qpm=120)
    sequence.tempos.add(time=2, qpm=60)
    sequence.time_signatures.add(time=0, numerator=4, denominator=4)
    sequence.time_signatures.add(time=6, numerator=3, denominator=4)
    for start, end, pitch, part in (
        (0, 2, 60, 3),
        (2, 6, 62, 3),
        (6, 8, 64, 3),
        (2, 2, 90, 3),
    ):
        sequence.notes.add(start_time=start, end_time=end, pitch=pitch, part=part)
    sequence.notes.add(start_time=0, end_time=8, pitch=40, part=5, program=19)
    sequence.total_time = 8
    return sequence


def test_a_sequence_becomes_a_score_in_quarter_notes(played):
    score = notation.from_sequence(played)
    assert score.voices == [
        Voice(0, [Note(0, 4, 60), Note(4, 8, 62), Note(8, 10, 64)]),
        Voice(19, [Note(0, 10, 40)]),
    ]
    assert score.measures == [Measure(0, 4, "4/4"), Measure(4, 8, "4/4"), Measure(8, 11, "3/4")]


def test_measures_begin_after_a_pick_up_that_is_known(played):
    score = notation.from_sequence(played, Fraction(1))
    assert score.measures[:3] == [
        Measure(0, 1, "4/4"),
        Measure(1, 5, "4/4"),
        Measure(5, 8, "4/4"),
    ]


def test_a_sequence_without_a_metre_has_no_measures(played):
    del played.time_signatures[:]
    assert notation.from_sequence(played).measures == []
    played.time_signatures.add(numerator=0, denominator=0)
    assert notation.from_sequence(played).measures == []
