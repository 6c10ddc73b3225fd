"""ABC says what is played in many ways; each gives the notes, voices, tempos and metres."""

from pathlib import Path

import pytest

from music_vae.common.lazy_imports import import_note_seq
from music_vae.music.notes_io import read_file, read_music_file
from support.scores import ignored, pitches, spans

SCORES = Path(__file__).parent / "scores"
G_MAJOR_BAR = [67, 69, 71, 72, 74, 76, 74, 71]  # GABc dedB
DEDB = [74, 76, 74, 71]


@pytest.fixture
def read(tmp_path):
    def read_text(music, head="L:1/4\nK:C\n"):
        path = tmp_path / "a.abc"
        path.write_text(f"X:1\n{head}{music}\n")
        (sequence,) = read_music_file(path)
        return sequence

    return read_text


def in_eighths(pitches, start=0.0):
    return [(pitch, start + i / 2, start + i / 2 + 0.5) for i, pitch in enumerate(pitches)]


def sections(sequence):
    starts = [round(2 * section.time, 3) for section in sequence.section_annotations]
    groups = [
        ([section.section_id for section in group.sections], group.num_times)
        for group in sequence.section_groups
    ]
    return starts, groups


# -- A file of ten tunes --------------------------------------------------------------------------

TWO_BARS = G_MAJOR_BAR + DEDB * 2
TRIPLET = [(74, 2, 2.333), (76, 2.333, 2.667), (74, 2.667, 3), (74, 3, 3.5), (71, 3.5, 4)]
TUNES = {
    1: in_eighths(TWO_BARS),
    2: [*in_eighths([*TWO_BARS, *DEDB]), (67, 10, 12)],
    3: in_eighths(G_MAJOR_BAR[:4]) + TRIPLET + in_eighths(DEDB * 2, start=4),
    4: in_eighths(TWO_BARS),
    5: [(67, 0, 0.5), (71, 0, 0.5), (74, 0, 0.5), *in_eighths(TWO_BARS)[1:]],
    6: in_eighths(G_MAJOR_BAR),
    7: [
        *in_eighths([67, 69, 71, 72]),
        *((74, 2, 3.5), (71, 3.5, 4)),
        *((74, 4, 4.75), (76, 4.75, 5), (74, 5, 5.5), (71, 5.5, 6), (74, 6, 8)),
    ],
    8: in_eighths(TWO_BARS),
    9: in_eighths(DEDB, start=2),
    10: [
        *in_eighths([67, 69, 71]),
        (72, 1.5, 2.5),
        *in_eighths([74, 76, 71, *DEDB * 2], start=2.5),
    ],
}


def test_all_ten_tunes_of_a_file_are_read(caplog):
    reading = read_file(SCORES / "folk.abc")
    assert not reading.skipped
    assert ignored(caplog) == "a grace note, an ornament (2 times)"
    tunes = {sequence.reference_number: sequence for sequence in reading.sequences}
    assert {number: spans(tune) for number, tune in tunes.items()} == TUNES
    assert spans(tunes[6], part=1) == [(55, 0, 2), (62, 2, 4)]
    assert [note.instrument for note in tunes[6].notes] == [0] * 8 + [1] * 2
    assert sections(tunes[2]) == ([0, 4, 8], [([0, 1], 1), ([0, 2], 1)])
    assert [text.text for text in tunes[4].text_annotations] == ["G", "D7"]
    assert tunes[9].total_time == 4


def test_a_slow_tempo_is_read_as_it_is():
    (sequence,) = read_music_file(SCORES / "slow.abc")
    assert [tempo.qpm for tempo in sequence.tempos] == [2]
    assert sequence.total_time == 8 * 30


# -- Notes ----------------------------------------------------------------------------------------


def test_octaves_and_accidentals_last_to_the_bar_line(read):
    assert pitches(read("C, c' ^F F f _B __B =B B|F B ^^C|", "K:D\n")) == [
        *(49, 85, 66, 66, 78, 70, 69, 71, 71),
        *(66, 71, 62),
    ]


@pytest.mark.parametrize(
    ("written", "quarters"),
    [("C", 1), ("C2", 2), ("C/", 0.5), ("C//", 0.25), ("C3/2", 1.5), ("C/4", 0.25), ("C3/", 1.5)],
)
def test_lengths_are_fractions_of_the_unit(read, written, quarters):
    assert spans(read(f"{written} D")) == [(60, 0, quarters), (62, quarters, quarters + 1)]


@pytest.mark.parametrize("written", ["C0", "C/0", "C99999"])
def test_a_length_that_is_no_fraction_counts_as_one_unit(read, caplog, written):
    assert spans(read(f"{written} D")) == [(60, 0, 1), (62, 1, 2)]
    assert ignored(caplog) == "a length that is no fraction"


def test_rests_of_all_kinds_pass_time(read):
    assert spans(read("z C x2 D|Z|E Z2|F y|X|G", "M:3/4\nL:1/4\nK:C\n")) == [
        *((60, 1, 2), (62, 4, 5), (64, 8, 9), (65, 15, 16), (67, 19, 20)),
    ]


@pytest.mark.parametrize(
    ("written", "metre", "quarters"),
    [
        ("(3CDE", "4/4", 2 / 3),
        ("(2CD", "6/8", 3 / 2),
        ("(4CDEF", "6/8", 3 / 4),
        ("(5CDEFG", "4/4", 2 / 5),
        ("(5CDEFG", "9/8", 3 / 5),
        ("(6CDEFGA", "4/4", 1 / 3),
        ("(7CDEFGAB", "12/8", 3 / 7),
        ("(3:2:2CD", "4/4", 2 / 3),
        ("(3::2CD", "4/4", 2 / 3),
        ("(5:4CDEFG", "4/4", 4 / 5),
        ("(3 C z E", "4/4", 2 / 3),
    ],
)
def test_tuplets_last_as_long_as_the_standard_says(read, written, metre, quarters):
    notes = spans(read(f"{written} c", f"M:{metre}\nL:1/4\nK:C\n"))
    for _, start, end in notes[:-1]:
        assert end - start == pytest.approx(quarters, abs=2e-3)
    assert notes[-1][2] - notes[-1][1] == pytest.approx(1)


def test_a_chord_lasts_as_its_first_note(read):
    assert spans(read("[CE2G]D [CEG]2 [C/E/]2 ^F")) == [
        *((60, 0, 1), (64, 0, 2), (67, 0, 1), (62, 1, 2)),
        *((60, 2, 4), (64, 2, 4), (67, 2, 4)),
        *((60, 4, 5), (64, 4, 5), (66, 5, 6)),
    ]
    assert pitches(read('|[CE]|["C"!f!C^E]|[zE]')) == [60, 64, 60, 65, 64]


def test_ties_make_one_note_and_keep_its_accidental(read):
    assert spans(read("C-C ^F-|F F|[CE]-[CE]2|[C-E][CE]")) == [
        *((60, 0, 2), (66, 2, 4), (65, 4, 5)),
        *((60, 5, 8), (64, 5, 8)),
        *((60, 8, 10), (64, 8, 9), (64, 9, 10)),
    ]
    assert spans(read("C-D C z C")) == [(60, 0, 1), (62, 1, 2), (60, 2, 3), (60, 4, 5)]


@pytest.mark.parametrize(
    ("sign", "first", "second"),
    [
        (">", 1.5, 0.5),
        ("<", 0.5, 1.5),
        (">>", 1.75, 0.25),
        ("<<", 0.25, 1.75),
        (">>>", 1.875, 0.125),
    ],
)
def test_broken_rhythm_moves_time_from_one_note_to_the_other(read, sign, first, second):
    expected = [(60, 0, first), (62, first, first + second), (64, 2, 3)]
    assert spans(read(f"C{sign}D E")) == expected
    assert spans(read(f"C {sign} z E"))[-1] == (64, 2, 3)
    assert spans(read(f"z{sign}D E")) == [(62, first, 2), (64, 2, 3)]
    assert spans(read(f"[CE]{sign}[DF]"))[:2] == [(60, 0, first), (64, 0, first)]


def test_dynamics_are_velocities(read):
    assert [note.velocity for note in read("C !p! D E !ff! F !trill! G").notes] == [
        *(90, 60, 60, 120, 120),
    ]


@pytest.mark.parametrize(
    ("written", "remark"),
    [
        ("{/g}C {gab}D", "a grace note (2 times)"),
        ("~C TD", "an ornament (2 times)"),
        ("!trill!C +roll+D", "an ornament (2 times)"),
        ("C @ D", "the sign @"),
        ("C [ D", "the sign ["),
        ("C \x07 D", "a sign that is not ABC"),
        ("C G,,,,,,,,, D", "a pitch outside 0..127"),
        ("(0C D", "a tuplet of no notes"),
        ("[M:7]C [L:x]D", "a metre (M:) that is no fraction, a unit of lengths (L:) that is no fr"),
        ("[Q:fast]C [K:H]D", "a tempo (Q:) without a number, an unknown key (K:)"),
    ],
)
def test_what_is_not_understood_costs_nothing_but_itself(read, caplog, written, remark):
    assert pitches(read(written)) == [60, 62]
    assert ignored(caplog).startswith(remark)


def test_marks_that_do_not_change_the_notes_need_no_line(read, caplog):
    music = '.C vD uE HF (G A) "^text"B "Am"c !fermata!d !>!e L f\\\n`$ g y'
    assert pitches(read(music)) == [60, 62, 64, 65, 67, 69, 71, 72, 74, 76, 77, 79]
    assert not caplog.messages


# -- Voices ---------------------------------------------------------------------------------------


def test_each_voice_has_its_own_time_key_and_unit_and_is_an_instrument(read):
    head = 'M:4/4\nL:1/4\nV:T1 name="Tenor I" clef=treble-8\nV:B transpose=-2\nK:C\n'
    music = "V:T1\nCD|[V:B] [L:1/8][K:G]FF|\n[V:T1]EF|\nV:B\nGA"
    sequence = read(music, head)
    assert spans(sequence) == [(48, 0, 1), (50, 1, 2), (52, 2, 3), (53, 3, 4)]
    assert spans(sequence, part=1) == [(64, 0, 0.5), (64, 0.5, 1), (65, 1, 1.5), (67, 1.5, 2)]
    assert [info.name for info in sequence.part_infos] == ["Tenor I", "B"]
    assert [(time.numerator, time.time) for time in sequence.time_signatures] == [(4, 0)]


def test_a_voice_overlay_begins_with_its_bar(read):
    assert spans(read("CDEF & c2 d2|G & [CE]4 & C,|A")) == [
        *((60, 0, 1), (62, 1, 2), (64, 2, 3), (65, 3, 4), (72, 0, 2), (74, 2, 4)),
        *((67, 4, 5), (60, 4, 8), (64, 4, 8), (48, 4, 5), (69, 8, 9)),
    ]


def test_programs_and_the_channel_of_drums_are_those_of_abc2midi(read):
    head = "L:1/4\n%%MIDI program 40\nK:C\n"
    music = "C\n%%MIDI program 2 41\nD\nV:2\n%%MIDI channel 10\nC"
    notes = read(music, head).notes
    assert [(n.program, n.is_drum) for n in notes] == [(40, False), (41, False), (40, True)]


# -- Fields ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metre", "expected"),
    [
        *(("C", [(4, 4)]), ("C|", [(2, 2)]), ("none", []), ("", []), ("6/8", [(6, 8)])),
        *(
            ("2+3/8", [(5, 8)]),
            ("(2+2+3)/16", [(7, 16)]),
            ("3/4+2/8", [(8, 8)]),
            ("3 / 4", [(3, 4)]),
        ),
    ],
)
def test_metres_may_be_named_or_summed(read, caplog, metre, expected):
    sequence = read("C", f"M:{metre}\nK:C\n")
    assert [(time.numerator, time.denominator) for time in sequence.time_signatures] == expected
    assert not caplog.messages


@pytest.mark.parametrize("metre", ["3", "FREI4/4", "4/0", "0/4", "3/4 and more", "999/4"])
def test_a_metre_that_is_no_fraction_is_ignored(read, caplog, metre):
    assert not read("C", f"M:{metre}\nK:C\n").time_signatures
    assert ignored(caplog) == "a metre (M:) that is no fraction"


@pytest.mark.parametrize(
    ("tempo", "qpm"),
    [
        *(
            ("1/4=100", 100),
            ("3/8 = 40", 60),
            ("1/4 3/8 1/4 3/8=40", 200),
            ("90", 45),
            ("C=90", 45),
        ),
        *(('"Allegro" 1/4=120', 120), ('1/2=60 "Slow"', 120), ("1/4=c. 96", 96), ("C3=40", 60)),
    ],
)
def test_tempos_have_old_and_new_forms(read, tempo, qpm):
    sequence = read("C", f"L:1/8\nQ:{tempo}\nK:C\n")
    assert [(mark.time, mark.qpm) for mark in sequence.tempos] == [(0, qpm)]


def test_a_tempo_in_the_middle_holds_from_there_for_all_voices(read):
    head = "L:1/4\nQ:1/4=60\nK:C\n"
    sequence = read("V:1\nCD[Q:1/4=120]EF\nV:2\nCDEF", head)
    times = [(note.start_time, note.end_time) for note in sequence.notes]
    assert times == [(0, 1), (1, 2), (2, 2.5), (2.5, 3)] * 2


@pytest.mark.parametrize(
    ("key", "expected", "tonic"),
    [
        *(("G", 66, 7), ("Gmaj", 66, 7), ("Em", 66, 4), ("E minor", 66, 4), ("Ador", 66, 9)),
        *(
            ("D Mixolydian", 66, 2),
            ("F#m", 66, 6),
            ("Cb", 64, 11),
            ("Bb", 65, 10),
            ("none", 65, None),
        ),
        *(("", 65, None), ("HP", 66, None), ("Hp", 66, None), ("G clef=bass", 66, 7)),
        *(("C ^f", 66, 0), ("Dmix=f", 65, 2), ("G exp _f", 64, 7), ("D middle=d =f", 65, 2)),
    ],
)
def test_keys_have_modes_and_accidentals_of_their_own(read, key, expected, tonic):
    sequence = read("F", f"K:{key}\n")
    assert pitches(sequence) == [expected]
    assert [mark.key for mark in sequence.key_signatures] == ([] if tonic is None else [tonic])


def test_a_clef_after_the_key_is_no_accidental(read):
    assert pitches(read("B", "K:Gm clef=bass\n")) == [70]


def test_a_key_may_change_within_the_tune(read):
    sequence = read("F|[K:G]F|\nK:F\nFB")
    assert pitches(sequence) == [65, 66, 65, 70]
    assert [(2 * mark.time, mark.key) for mark in sequence.key_signatures] == [
        *((0, 0), (1, 7), (2, 5)),
    ]


def test_lyrics_comments_and_text_are_no_music(read, caplog):
    music = "CD% EF\n%%begintext\nABC\n%%endtext\nw:|abc def\n+: ghi\nW:words\nEF\nr:remark"
    assert pitches(read(music)) == [60, 62, 64, 65]
    assert not caplog.messages


def test_music_may_begin_with_a_note_and_a_colon(read):
    assert pitches(read("|:CD\ne:|\nA:|")) == [60, 62, 76, 69]


def test_a_line_of_the_header_that_is_no_field_is_no_music(read, caplog):
    assert pitches(read("C", "3/8=120\nBACH\nK:C\n")) == [60]
    assert ignored(caplog) == "a line of a header that is no field (2 times)"


def test_tunes_need_no_blank_line_between_them_and_no_number(tmp_path, caplog):
    path = tmp_path / "a.abc"
    path.write_text("X:5\nK:C\nC|\nX:2\nK:C\nD|\n\nX:\nK:C\nE|\n\nX:six\nK:C\nF|\n")
    tunes = {tune.reference_number: pitches(tune) for tune in read_music_file(path)}
    assert tunes == {5: [60], 2: [62], 6: [64], 7: [65]}
    assert ignored(caplog) == "a reference number (X:) that is no number (2 times)"


def test_a_file_without_numbers_has_tunes_where_there_are_keys(tmp_path):
    path = tmp_path / "a.abc"
    path.write_text("T:One\nL:1/4\nK:G\nF|\nK:C\nF|\n\nA remark: C\n\nT:Two\nK:C\nD|\n")
    tunes = [(t.reference_number, t.sequence_metadata.title) for t in read_music_file(path)]
    assert tunes == [(1, "One"), (2, "Two")]
    assert [pitches(tune) for tune in read_music_file(path)] == [[66, 65], [62]]


def test_a_blank_line_in_a_header_does_not_end_a_tune_but_text_is_none(tmp_path):
    path = tmp_path / "a.abc"
    path.write_text("X:1\n\nT:One\n\nK:G\nF|\n\nText: CDE|\n\nX:2\nCD|\n\nText: GAB|\n\nX:3\nE|")
    assert [pitches(tune) for tune in read_music_file(path)] == [[66], [60, 62], [64]]
    assert read_music_file(path)[0].sequence_metadata.title == "One"


# -- Repeats --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("music", "starts", "groups"),
    [
        ("CDEF|GABc|", [], []),
        ("|:CD:|", [0], [([0], 2)]),
        ("|:CD:|EF", [0, 2], [([0], 2), ([1], 1)]),
        ("CD:|EF:|", [0, 2], [([0], 2), ([1], 2)]),
        ("|:CD::EF:|", [0, 2], [([0], 2), ([1], 2)]),
        ("CD||EF|]", [0, 2], [([0], 1), ([1], 1)]),
        ("|::CD::|", [0], [([0], 3)]),
        ("|:CD|1 E:|2 F||G", [0, 2, 3, 4], [([0, 1], 1), ([0, 2], 1), ([3], 1)]),
        ("CD|[1 E:|[2 F|]", [0, 2, 3], [([0, 1], 1), ([0, 2], 1)]),
        ("|:CD|1,3 E:|2 F:|", [0, 2, 3], [([0, 1], 1), ([0, 2], 1), ([0, 1], 1)]),
        (
            "|:C|1 D:|2 E|:F|1 G:|2 A|]",
            [0, 1, 2, 3, 4, 5],
            [([0, 1], 1), ([0, 2], 1), ([3, 4], 1), ([3, 5], 1)],
        ),
    ],
)
def test_repeats_and_endings_are_noted_as_sections(read, caplog, music, starts, groups):
    sequence = read(music)
    assert sections(sequence) == (starts, groups)
    assert not caplog.messages
    if groups:
        played = import_note_seq().sequences_lib.expand_section_groups(sequence)
        assert len(played.notes) >= len(sequence.notes)


@pytest.mark.parametrize("music", ["|:CD", ":|CD", "|:CD|::EF:|"])
def test_a_repeat_that_does_not_fit_costs_no_notes(read, caplog, music):
    assert pitches(read(music))[:2] == [60, 62]
    assert ignored(caplog) == "a repeat that does not end as it begins"
