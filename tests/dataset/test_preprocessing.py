"""Filters, unique examples and their sources, one sequence at a time."""

from collections import Counter

import numpy as np
import pytest

from music_vae.configs import CONFIG_MAP
from music_vae.dataset import preprocessing
from music_vae.dataset.preprocessing import Filters, examples_of, why_filtered, with_sources
from music_vae.music.converters.score import read

MELODY = CONFIG_MAP["cat-mel_2bar_small"].data_converter


def parse(record):
    from note_seq.protobuf import music_pb2

    return music_pb2.NoteSequence.FromString(record)


def tune(pitches=(60, 62, 64, 65), *, beats=8, velocities=(80,), name="a", qpm=120):
    """A note on every beat; the pitches and velocities go round."""
    from note_seq.protobuf import music_pb2

    sequence = music_pb2.NoteSequence(id=name, ticks_per_quarter=220)
    sequence.tempos.add(qpm=qpm)
    sequence.time_signatures.add(numerator=4, denominator=4)
    for beat in range(beats):
        sequence.notes.add(
            pitch=pitches[beat % len(pitches)],
            velocity=velocities[beat % len(velocities)],
            start_time=beat * 60 / qpm,
            end_time=(beat + 1) * 60 / qpm,
        )
    sequence.total_time = beats * 60 / qpm
    return sequence


def add_drums(sequence):
    sequence.notes.add(pitch=36, velocity=99, end_time=0.1, start_time=0.06, is_drum=True)
    return sequence


def run(sequence, converter=MELODY, filters=None):
    counts = Counter()
    found = list(examples_of(sequence.SerializeToString(), converter, filters, counts))
    return found, counts


def test_an_example_is_a_sequence_of_its_own():
    ((record, source),), counts = run(tune())
    assert source == "a"
    example = parse(record)
    assert example.id == ""
    assert [note.pitch for note in example.notes] == [60, 62, 64, 65] * 2
    assert counts == {"sequences read": 1, preprocessing.PARTS: 1, "parts converted": 1} | {
        "examples": 1
    }


def test_equal_examples_are_equal_bytes_whatever_tempo_and_velocity_they_are_from():
    first, _ = run(tune())
    second, _ = run(tune(qpm=90, velocities=(20, 90), name="b"))
    assert first[0][0] == second[0][0]


def test_all_examples_are_taken_whatever_the_cap_of_training():
    found, counts = run(tune(range(50, 90), beats=40))
    assert len(found) == counts["examples"] == 9 > MELODY.max_tensors_per_notesequence


def test_a_sequence_is_split_where_its_tempo_changes():
    sequence = tune(beats=16)
    sequence.tempos.add(qpm=60, time=4.0)
    found, counts = run(sequence)
    assert counts[preprocessing.PARTS] == 2
    assert len(found) == 1  # the second part, at half the tempo, has but one bar
    assert counts["melody shorter than 2 bars"] == 1


def test_more_than_a_hundred_changes_are_too_many():
    sequence = tune(beats=400)
    for number in range(101):
        sequence.tempos.add(qpm=100 + number, time=number + 0.5)
    found, counts = run(sequence)
    assert found == []
    assert counts["more than 100 changes of metre and tempo"] == 1


FILTERS = {
    "longer than 3 seconds": (tune(), Filters(max_total_time=3)),
    "more than 7 notes": (tune(), Filters(max_num_notes=7)),
    "fewer than 3 velocities": (tune(velocities=(50, 60)), Filters(min_velocities=3)),
    "fewer than 2 metric positions": (tune(), Filters(min_metric_positions=2)),
    "fewer than 1 velocity": (tune(), Filters(is_drum=True)),
    "not drums alone": (add_drums(tune()), Filters(drums_only=True)),
    "a tempo of 0": (tune(qpm=1), Filters()),
}


@pytest.mark.parametrize("reason", FILTERS)
def test_a_filter_leaves_out_what_it_says(reason):
    sequence, filters = FILTERS[reason]
    if reason == "a tempo of 0":
        sequence.tempos[0].qpm = 0
    assert why_filtered(read(sequence), filters) == reason
    found, counts = run(sequence, filters=filters)
    assert (found, counts[reason]) == ([], 1)


def test_filters_let_through_what_just_meets_them():
    sequence = add_drums(tune(velocities=(50, 60)))
    assert why_filtered(read(sequence), Filters(max_total_time=4, max_num_notes=9)) is None
    assert why_filtered(read(sequence), Filters(min_velocities=3, min_metric_positions=2)) is None
    others = Filters(min_velocities=3, is_drum=False)
    assert why_filtered(read(sequence), others) == "fewer than 3 velocities"
    drums = Filters(min_velocities=1, min_metric_positions=1, is_drum=True)
    assert why_filtered(read(sequence), drums) is None


def test_silent_notes_do_not_count():
    assert why_filtered(read(tune(velocities=(0,))), Filters()) == "fewer than 1 velocity"


def test_what_is_no_sequence_or_no_music_is_counted():
    counts = Counter()
    assert not list(examples_of(b"\xff", MELODY, None, counts))
    assert counts == {"record that is not a NoteSequence": 1}
    sequence = tune()
    sequence.notes[0].end_time = float("nan")
    assert run(sequence)[1]["a time that is not a number"] == 1
    sequence = tune()
    sequence.quantization_info.steps_per_quarter = 4
    assert run(sequence)[1]["already quantised"] == 1


def test_an_example_that_cannot_be_read_again_is_left_out():
    # The second window begins with a note that is held from the first: decoded, it is silent.
    sequence = tune(beats=12)
    del sequence.notes[1:8]
    sequence.notes[0].end_time = 4.0
    found, counts = run(sequence)
    assert counts["example from which none can be read again"] == 1
    assert len(found) == counts["examples"] == 1


@pytest.mark.parametrize("name", ["cat-drums_2bar_small", "groovae_2bar_humanize"])
def test_drums_become_sequences_with_a_total_time(name):
    sequence = tune(pitches=(36, 38), velocities=(127, 64))
    for note in sequence.notes:
        note.is_drum = True
    converter = CONFIG_MAP[name].data_converter
    ((record, _),), _ = run(sequence, converter)
    example = parse(record)
    assert 3.5 < example.total_time <= 4
    (again,) = converter.extract(example).examples
    np.testing.assert_allclose(
        again.outputs, converter.extract(sequence).examples[0].outputs, atol=1e-6
    )


def test_chords_are_kept():
    converter = CONFIG_MAP["cat-mel_2bar_med_chords"].data_converter
    sequence = tune()
    sequence.text_annotations.add(text="Am", time=0, annotation_type=1)
    ((record, _),), counts = run(sequence, converter)
    assert [a.text for a in parse(record).text_annotations] == ["Am"]
    assert not counts[preprocessing.NOT_EQUAL]


def test_sources_are_named_once_and_in_order():
    ((record, _),), _ = run(tune())
    assert parse(with_sources(record, ["b", "a", "", "b"])).id == "a,b"


def test_the_report_has_totals_and_then_reasons():
    counts = Counter({"sequences read": 3, "examples": 5, "not drums alone": 1, "no melody": 2})
    lines = preprocessing.report(counts).splitlines()
    assert [line.split(maxsplit=1) for line in lines] == [
        ["3", "sequences read"],
        ["0", "parts of one metre and tempo"],
        ["0", "parts converted"],
        ["5", "examples"],
        ["0", "unique examples"],
        ["Not", "used:"],
        ["2", "no melody"],
        ["1", "not drums alone"],
    ]
