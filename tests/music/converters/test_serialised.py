"""What is read from bytes is what protobuf reads, or nothing."""

import note_seq
import numpy as np
import pytest
from google.protobuf.message import DecodeError

from music_vae import data
from music_vae.dataset import tfrecord
from music_vae.music.converters.score import read
from music_vae.music.converters.serialised import read_serialised


def tune(seed=0, num_notes=12):
    rng = np.random.default_rng(seed)
    sequence = note_seq.NoteSequence(id=f"tune {seed}", filename="ä" * 200, total_time=9.5)
    sequence.tempos.add(qpm=97.3)
    sequence.time_signatures.add(numerator=3, denominator=4, time=1)
    sequence.text_annotations.add(text="Am", annotation_type=1, time=0.5)
    sequence.source_info.parser = sequence.source_info.PRETTY_MIDI
    for number in range(num_notes):
        sequence.notes.add(
            start_time=number / 3,
            end_time=number / 3 + rng.random(),
            pitch=int(rng.integers(128)),
            velocity=int(rng.choice([0, 80])),
            instrument=int(rng.choice([0, 5])),
            program=int(rng.choice([0, 33])),
            is_drum=bool(rng.integers(2)),
            voice=int(rng.choice([0, 1])),
        )
    for number in range(num_notes // 2):
        sequence.control_changes.add(
            time=number / 5, control_number=64, control_value=int(rng.integers(128))
        )
        sequence.pitch_bends.add(time=number / 5, bend=int(rng.integers(-8000, 8000)))
    return sequence


def assert_equal(score, sequence):
    for found, expected in zip(score, read(sequence), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_scores_are_those_that_protobuf_reads():
    sequences = [tune(seed, num_notes) for seed, num_notes in enumerate([12, 0, 1, 40, 200])]
    sequences.insert(2, note_seq.NoteSequence())
    scores = read_serialised([sequence.SerializeToString() for sequence in sequences])
    for score, sequence in zip(scores, sequences, strict=True):
        assert_equal(score, sequence)
    assert read_serialised([]) == []


@pytest.mark.parametrize(
    "fields",
    [{"pitch": 128}, {"velocity": -1}, {"quantized_start_step": 300}, {"part": 200}],
)
@pytest.mark.parametrize("number", [0, -1])
def test_numbers_from_128_on_are_left_to_protobuf(fields, number):
    sequence = tune()
    for name, value in fields.items():
        setattr(sequence.notes[number], name, value)
    usual = tune(1)
    found = read_serialised([sequence.SerializeToString(), usual.SerializeToString()])
    assert found[0] is None
    assert_equal(found[1], usual)
    assert read_serialised([sequence.SerializeToString()]) == [None]


def test_notes_in_several_places_come_in_order():
    first, second = tune(1), tune(2)
    both = note_seq.NoteSequence()
    both.MergeFrom(first)
    both.MergeFrom(second)
    joined = first.SerializeToString() + second.SerializeToString()
    (score,) = read_serialised([joined])
    assert_equal(score, note_seq.NoteSequence.FromString(joined))
    assert_equal(score, both)


def test_a_record_that_ends_in_a_note_leaves_the_next_alone():
    notes = note_seq.NoteSequence(notes=tune().notes).SerializeToString()
    cut, whole = read_serialised([notes[:-1], notes])
    assert cut is None
    assert_equal(whole, note_seq.NoteSequence.FromString(notes))


def test_damaged_bytes_give_what_protobuf_gives_or_nothing():
    rng = np.random.default_rng(0)
    good = [tune(seed).SerializeToString() for seed in range(4)]
    read_again = 0
    for number in range(600):
        damaged = bytearray(good[number % 4])
        for _ in range(rng.integers(1, 3)):
            place = int(rng.integers(len(damaged)))
            match rng.integers(3):
                case 0:
                    damaged[place] = int(rng.choice([0, 1, 2, 8, 25, 66, 127, 128, 255]))
                case 1:
                    del damaged[place : place + int(rng.integers(1, 12))]
                case 2:
                    damaged[place:place] = rng.bytes(int(rng.integers(1, 12)))
        before, score, after = read_serialised([good[0], bytes(damaged), good[1]])
        assert before is not None
        assert after is not None
        try:
            sequence = note_seq.NoteSequence.FromString(bytes(damaged))
        except DecodeError:
            assert score is None
            continue
        if score is not None:
            assert_equal(score, sequence)
            read_again += 1
    assert read_again > 50


def test_a_number_without_end_takes_no_time():
    assert read_serialised([b"\xff" * 300_000]) == [None]


def test_records_that_are_left_to_protobuf_are_converted_as_well(tmp_path, tiny_config):
    sequence = note_seq.NoteSequence(total_time=4)
    for number in range(8):
        sequence.notes.add(
            pitch=60 + number, velocity=80, start_time=number / 2, end_time=number / 2 + 0.5
        )
    path = tmp_path / "tunes.tfrecord"
    usual = sequence.SerializeToString()
    sequence.notes[0].part = 200
    tfrecord.write_records(path, [usual, sequence.SerializeToString()])
    music = data.load(data.TFRecords(str(path)), tiny_config)
    first, second = (music.piece(n, tiny_config.data_converter) for n in range(2))
    assert str(first) == str(second)
    assert len(first) == 1
