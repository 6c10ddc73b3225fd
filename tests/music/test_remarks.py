"""What is left out or changed of music is said in words."""

import pytest
from note_seq.protobuf.music_pb2 import NoteSequence

from music_vae.configs import get_config
from music_vae.music import remarks

MELODIES = get_config("cat-mel_2bar_mini").data_converter
GROOVES = get_config("groovae_2bar_humanize_mini").data_converter


@pytest.mark.parametrize(
    ("pitches", "clauses"),
    [
        ([36, 38], []),
        (
            [36, 56],
            ["1 of 2 drum sounds is not in this model's kit and was left out: cowbell"],
        ),
        (
            [36, 54, 56, 20],
            [
                "3 of 4 drum sounds are not in this model's kit and were left out: note 20, "
                "tambourine, cowbell"
            ],
        ),
        ([35, 38], ["1 of 2 drum sounds is played as another: acoustic bass drum as bass drum 1"]),
    ],
)
def test_drums_that_a_kit_lacks_have_names(pitches, clauses):
    assert remarks.on_kit(pitches, [(36, 35), (38,)]) == clauses


def test_taps_are_on_no_other_drum_and_may_be_on_one_that_is_not_heard():
    kit = [(36, 35), (38,)]
    assert remarks.on_kit([35, 38], kit, are_taps=True) == []
    (clause,) = remarks.on_kit([35, 88], kit, are_taps=True)
    assert clause.startswith("1 of 2 drum sounds is not in this model's kit and was left out")


def test_a_model_that_plays_grooves_has_loudness():
    piece = NoteSequence(notes=[{"velocity": 60}, {"velocity": 90}])
    assert remarks.on_expression(piece, MELODIES) == ["not in this model: loudness"]
    assert remarks.on_expression(piece, GROOVES) == []


def test_chords_pedals_and_lyrics_that_a_model_cannot_hear_are_named():
    piece = NoteSequence(
        notes=[{"velocity": 60}],
        control_changes=[{"control_number": 64, "control_value": 127}],
        text_annotations=[{"text": "Am", "annotation_type": 1}, {"text": "la"}],
    )
    (clause,) = remarks.on_expression(piece, MELODIES)
    assert clause == "not in this model: pedals and controllers, chord symbols, text"
    conditioned = get_config("cat-mel_2bar_med_chords").data_converter
    assert "chord symbols" not in remarks.on_expression(piece, conditioned)[0]


def test_the_name_of_a_track_cannot_control_a_terminal():
    assert remarks.quoted("a\x1b[31m\nb") == "'a\\x1b[31m b'"
    assert remarks.quoted(50 * "a") == f"'{40 * 'a'}…'"


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        ("time signature 3/4", "it is in 3/4, and m takes music in 4/4"),
        ("only drums", "it has only drums, and m takes melodies"),
        ("no notes", "it has no notes"),
        ("polyphonic track", "it has chords, and m takes single notes"),
        ("a tempo of 0", "m cannot take it: a tempo of 0"),
    ],
)
def test_a_reason_becomes_a_sentence(reason, sentence):
    assert remarks.sentence(reason, "m", MELODIES) == sentence
