"""**kern as notes: lengths, pitches, ties, splits, metres, and files that are damaged."""

from fractions import Fraction

import kern
import pytest
from notation import Measure, Note

from music_vae.music.notes_io import UnreadableMusicError


def read(*lines):
    return kern.read_kern("\n".join(lines).encode())


def one_spine(*tokens):
    """The notes of one spine as (start, end, pitch)."""
    (voice,) = read("**kern", *tokens, "*-").voices
    return [tuple(note) for note in voice.notes]


# A song of two bars for voice and piano: the last spine is the highest staff. The right hand of the
# piano splits for a bar, and its bass is tied over the bar line.
SONG = (
    "!!!COM: Nobody, A.",
    "!!!OTL: Song",
    "**kern\t**kern\t**text\t**kern",
    '*Ipiano\t*Ipiano\t*\t*I"Singer',
    "*\t*\t*\t*ICvox",
    "*M4/4\t*M4/4\t*\t*M4/4",
    "=1-\t=1-\t=1-\t=1-",
    "*\t*^\t*\t*",
    "1C [1GG\t2e\t4c\tLa\t4.cc",
    ".\t.\t4d\t.\t.",
    ".\t.\t.\tla\t8dd",
    ".\t2f\t2B\t_\t2ee",
    "*\t*v\t*v\t*\t*",
    "=2\t=2\t=2\t=2",
    "1GG]\t1c 1e\tla\t1cc;",
    "==\t==\t==\t==",
    "*-\t*-\t*-\t*-",
)


def test_a_song_has_its_staves_as_voices_the_highest_first():
    score = read(*SONG)
    singer, right, left = score.voices
    assert score.title == "Nobody, A.: Song"
    assert singer.notes == [(0, 1.5, 72), (1.5, 2, 74), (2, 4, 76), (4, 8, 72)]
    assert sorted(right.notes) == [
        (0, 1, 60),
        (0, 2, 64),
        (1, 2, 62),
        (2, 4, 59),
        (2, 4, 65),
        (4, 8, 60),
        (4, 8, 64),
    ]
    assert left.notes == [(0, 4, 48), (0, 8, 43)]
    assert [voice.program for voice in score.voices] == [52, 0, 0]
    assert score.measures == [Measure(0, 4, "4/4"), Measure(4, 8, "4/4"), Measure(8, 8, "4/4")]


def test_pitches_are_letters_octaves_and_signs():
    written = ("4c", "4cc", "4ccc", "4C", "4CC", "4f#", "4b-", "4F##", "4e--", "4gn", "4bb|-\\L")
    pitches = [pitch for _, _, pitch in one_spine(*written)]
    assert pitches == [60, 72, 84, 48, 36, 66, 70, 55, 62, 67, 82]


@pytest.mark.parametrize(
    ("token", "quarters"),
    [
        ("4c", 1),
        ("2.c", 3),
        ("4..c", Fraction(7, 4)),
        ("8c.", Fraction(3, 4)),
        ("0c", 8),
        ("00c", 16),
        ("12c", Fraction(1, 3)),
        ("20cL", Fraction(1, 5)),
        ("3%2c", Fraction(8, 3)),
        ("{(8.c'^/L", Fraction(3, 4)),
    ],
)
def test_lengths_are_parts_of_a_whole_note(token, quarters):
    assert one_spine(token) == [(0, quarters, 60)]


def test_a_triplet_fills_its_quarter():
    assert [end for _, end, _ in one_spine("12c", "12d", "12e", "4f")] == [
        Fraction(1, 3),
        Fraction(2, 3),
        1,
        2,
    ]


def test_rests_take_time_and_grace_notes_take_none():
    assert one_spine("4r", "8qd", "qqe", "4c", "4ryy", "4d") == [(1, 2, 60), (3, 4, 62)]


def test_a_tie_is_one_note():
    assert one_spine("[2c", "=2", "2c_", "4c]", "4c") == [(0, 5, 60), (5, 6, 60)]


def test_of_a_chord_only_the_tied_notes_are_held():
    assert one_spine("[4c 4e", "4c] 4f") == [(0, 2, 60), (0, 1, 64), (1, 2, 65)]


def test_a_tie_with_another_note_between_is_struck_again():
    assert one_spine("[4c", "4d", "4c]") == [(0, 1, 60), (1, 2, 62), (2, 3, 60)]


def test_a_note_may_sound_over_bar_lines():
    score = read(
        "**kern\t**kern", "*M2/2\t*M2/2", "=1\t=1", "0C\t1c", "=2\t=2", ".\t1d", "=3\t=3", "*-\t*-"
    )
    assert score.voices[1].notes == [(0, 8, 48)]
    assert [measure[:2] for measure in score.measures] == [(0, 4), (4, 8), (8, 8)]


def test_a_new_metre_holds_from_its_measure_on():
    score = read("**kern", "*M2/4", "=1", "2c", "=2", "*M3/4", "2.d", "==", "*-")
    assert score.measures[:2] == [Measure(0, 2, "2/4"), Measure(2, 5, "3/4")]


def test_a_measure_with_two_metres_has_none():
    score = read("**kern", "*M2/4", "=1", "4c", "*M6/8", "8d", "=2", "2.d", "==", "*-")
    assert [measure.metre for measure in score.measures[:2]] == ["", "6/8"]


def test_a_column_that_is_too_short_waits_for_the_others():
    score = read(
        "**kern\t**kern", "*M2/4\t*M2/4", "=1\t=1", "4C\t2c", "=2\t=2", "2D\t2d", "==\t==", "*-\t*-"
    )
    assert [voice.notes for voice in score.voices] == [
        [(0, 2, 60), (2, 4, 62)],
        [(0, 1, 48), (2, 4, 50)],
    ]


def test_spines_change_places():
    score = read("**kern\t**kern", "4C\t4c", "*x\t*x", "4d\t4D", "*-\t*-")
    assert [[n.pitch for n in voice.notes] for voice in score.voices] == [[60, 62], [48, 50]]


def test_a_spine_of_text_may_be_added_and_end():
    score = read("**kern", "4c", "*+", "4d\tla", "*\t*-", "4e", "*-")
    assert [note.pitch for note in score.voices[0].notes] == [60, 62, 64]


def test_staves_without_notes_are_no_voices():
    score = read("**kern\t**kern", "1c\t1r", "*-\t*-")
    assert [voice.notes for voice in score.voices] == [[Note(0, 4, 60)]]


@pytest.mark.parametrize(
    ("instrument", "program"),
    [("*Ivioln", 40), ("*Iorgan", 19), ("*Itenor", 52), ("*ICvox", 52), ("*ICstr", 0), ("*Ix", 0)],
)
def test_instruments_have_their_programs(instrument, program):
    assert read("**kern", instrument, "4c", "*-").voices[0].program == program


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not \\*\\*kern"),
        (b"\x00\xff\xfe noise", "columns"),
        (b"**text\nla\n*-\n", "not \\*\\*kern"),
        (b"**kern\t**kern\n4c\n", "columns"),
        (b"**kern\n4c\n**kern\n", "begins anew"),
        (b"**kern\n" + b"\n".join([b"\t".join([b"*^"] * 2**n) for n in range(12)]), "columns"),
        (b"**kern\n" + b"0000000c\n" * 2000, "quarter notes"),
    ],
    ids=["empty", "noise", "text", "columns", "again", "splits", "long"],
)
def test_what_is_no_table_of_kern_is_refused_with_a_reason(data, reason):
    with pytest.raises(UnreadableMusicError, match=reason):
        kern.read_kern(data)


@pytest.mark.parametrize("token", ["c", "4", "4h", "4%0c", "0%0c", "9999c", "4ccccccccc", "[", "."])
def test_odd_tokens_do_no_harm(token):
    notes = one_spine("4d", token, "4e")
    assert [note[2] for note in notes if note[2] in (62, 64)] == [62, 64]
