"""Sequences that no musician wrote are skipped with a reason, quickly and in little memory."""

import math
import time

import pytest

from music_vae.configs import CONFIG_MAP
from music_vae.music.converters import extract, sections

CONFIGS = (
    "cat-mel_2bar_small",
    "cat-mel_2bar_med_chords",
    "cat-drums_2bar_small",
    "hierdec-trio_16bar",
    "groovae_2bar_humanize",
    "hier-multiperf_vel_1bar_med_chords",
)
NOT_A_NUMBER = {"a time that is not a number": 1}
NO_TEMPO = {"a tempo that is not a number from 0 on": 1}
TOO_LONG = {"longer than 10000 bars": 1}


def band():
    """16 bars of melody, bass and drums."""
    from note_seq.protobuf import music_pb2

    sequence = music_pb2.NoteSequence(total_time=32)
    sequence.tempos.add(qpm=120)
    sequence.time_signatures.add(numerator=4, denominator=4)
    for beat in range(64):
        for pitch, instrument, program in ((60, 0, 0), (40, 1, 33), (36, 9, 0)):
            sequence.notes.add(
                pitch=pitch,
                velocity=80,
                start_time=beat / 2,
                end_time=beat / 2 + 0.4,
                instrument=instrument,
                program=program,
                is_drum=instrument == 9,
            )
    return sequence


def tempo(qpm):
    def change(sequence):
        sequence.tempos[0].qpm = qpm

    return change


def late_note(seconds):
    def change(sequence):
        sequence.notes[-1].start_time = seconds
        sequence.notes[-1].end_time = sequence.total_time = seconds + 1

    return change


def total_time(seconds):
    def change(sequence):
        sequence.total_time = seconds

    return change


def note(**fields):
    def change(sequence):
        for name, value in fields.items():
            setattr(sequence.notes[0], name, value)

    return change


def annotation(seconds):
    def change(sequence):
        sequence.text_annotations.add(text="Am", time=seconds, annotation_type=1)

    return change


def pedal(seconds):
    def change(sequence):
        sequence.control_changes.add(time=seconds, control_number=64, control_value=127)

    return change


def many_tempos(sequence):
    for number in range(sections.MAX_TIME_CHANGES):
        sequence.tempos.add(qpm=100 + number % 7, time=number / 1000)


def many_instruments(sequence):
    for number in range(sections.MAX_INSTRUMENTS + 1):
        sequence.notes.add(pitch=60, velocity=80, end_time=1, instrument=number)


CASES = {
    "a tempo that is no number": (tempo(math.nan), NO_TEMPO),
    "an infinite tempo": (tempo(math.inf), NO_TEMPO),
    "a negative tempo": (tempo(-1), NO_TEMPO),
    "no tempo": (tempo(0), {"a tempo of 0": 1}),
    "a tempo of a thousand million": (tempo(1e9), TOO_LONG),
    "a total time that is no number": (total_time(math.nan), NOT_A_NUMBER),
    "an infinite total time": (total_time(math.inf), NOT_A_NUMBER),
    "a million steps": (late_note(125_000), TOO_LONG),
    "the age of the universe": (total_time(4e17), {"a time beyond 10000000 seconds": 1}),
    "a note that begins nowhere": (note(start_time=math.nan), NOT_A_NUMBER),
    "a note without an end": (note(end_time=math.inf), NOT_A_NUMBER),
    "a velocity beyond MIDI's": (note(velocity=2**31 - 1), {"a velocity outside 0-127": 1}),
    "a chord symbol at no time": (annotation(math.nan), NOT_A_NUMBER),
    "a pedal at no time": (pedal(math.inf), NOT_A_NUMBER),
    "many tempos": (many_tempos, {"more than 10000 changes of metre and tempo": 1}),
    "many instruments": (many_instruments, {"more than 1000 instruments": 1}),
}


@pytest.fixture(params=CONFIGS)
def converter(request):
    return CONFIG_MAP[request.param].data_converter


def test_the_music_that_is_made_impossible_below_is_music(converter):
    assert converter.extract(band()).examples


@pytest.mark.parametrize("name", CASES)
def test_an_impossible_sequence_is_skipped_with_a_reason(converter, name):
    change, reasons = CASES[name]
    sequence = band()
    change(sequence)
    start = time.process_time()
    found = converter.extract(sequence)
    low, high = converter.transposable_range(sequence)
    assert time.process_time() - start < 2
    assert found.examples == []
    if reasons == TOO_LONG:
        assert [reason[:11] for reason in found.skipped] == ["longer than"]
    else:
        assert dict(found.skipped) == reasons
    assert low <= 0 <= high


def test_a_hit_that_ends_long_before_it_starts_makes_no_long_groove():
    sequence = band()
    note(start_time=1e6, end_time=0)(sequence)
    found = CONFIG_MAP["groovae_2bar_humanize"].data_converter.extract(sequence)
    assert (found.examples, found.skipped) == ([], TOO_LONG)


def test_a_tempo_too_fast_for_a_number_is_skipped():
    sequence = band()
    tempo(1.7e308)(sequence)
    sequence.total_time = 0
    for own in sequence.notes:
        own.start_time = own.end_time = 0
    found = CONFIG_MAP["groovae_2bar_humanize"].data_converter.extract(sequence)
    assert (found.examples, found.skipped) == ([], TOO_LONG)


def test_a_pitch_that_is_none_is_left_out(converter):
    sequence = band()
    note(pitch=2**31 - 1)(sequence)
    converter.extract(sequence)  # nothing is raised


def test_reading_a_track_of_many_silences_ends(monkeypatch):
    sequence = band()
    for number in range(20):
        start = 40 + 8 * number
        sequence.notes.add(pitch=60, velocity=80, start_time=start, end_time=start + 1)
    sequence.total_time = start + 1
    monkeypatch.setattr(extract, "MAX_NOTES_READ", 5 * (64 + 20))
    found = CONFIG_MAP["cat-mel_2bar_small"].data_converter.extract(sequence)
    assert found.skipped["the rest of a track after 5 silences"] == 1


def test_more_trios_than_a_band_can_have_are_not_combined():
    sequence = band()
    for number in range(20, 200):
        program, is_drum = ((0, False), (33, False), (0, True))[number % 3]
        for bar in range(16):
            sequence.notes.add(
                pitch=60,
                velocity=80,
                start_time=2 * bar,
                end_time=2 * bar + 1,
                instrument=number,
                program=program,
                is_drum=is_drum,
            )
    found = CONFIG_MAP["hierdec-trio_16bar"].data_converter.extract(sequence)
    assert found.skipped["too many instruments to combine"] == 1
