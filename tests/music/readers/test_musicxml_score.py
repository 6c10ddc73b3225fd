"""MusicXML says what is played in many ways; each gives the notes, tempos, metres and chords."""

import time
import tracemalloc
from pathlib import Path

import pytest

from music_vae.music import notes_io
from music_vae.music.notes_io import UnreadableMusicError, read_music_file
from music_vae.music.readers import musicxml_structure
from support.scores import ignored, pitches, spans

SCORES = Path(__file__).parent / "scores"
MELODY = [60, 62, 64, 65, 67, 65, 64, 62, 60, 64, 67, 72, 71, 67, 62, 60]  # in eighth notes
QUARTER_NOTES = "<attributes><divisions>1</divisions></attributes>"
IN_4_4 = "<attributes><time><beats>4</beats><beat-type>4</beat-type></time></attributes>"


def note(pitch="C4", duration=1, more="", *, before=""):
    if pitch == "rest":
        sound = "<rest/>"
    else:
        step, alter, octave = pitch[0], pitch[1:-1], pitch[-1]
        alter = f"<alter>{len(alter) if alter[0] == '#' else -len(alter)}</alter>" if alter else ""
        sound = f"<pitch><step>{step}</step>{alter}<octave>{octave}</octave></pitch>"
    return f"<note>{before}{sound}<duration>{duration}</duration>{more}</note>"


def unpitched(place="C5", more=""):
    step, octave = place
    place = f"<display-step>{step}</display-step><display-octave>{octave}</display-octave>"
    return f"<note><unpitched>{place}</unpitched><duration>1</duration>{more}</note>"


def midi(program=None, channel=None, drum=None, name="I"):
    numbers = (("midi-program", program), ("midi-channel", channel), ("midi-unpitched", drum))
    inside = "".join(f"<{tag}>{value}</{tag}>" for tag, value in numbers if value is not None)
    return f'<midi-instrument id="{name}">{inside}</midi-instrument>'


def time_signature(beats, beat_type):
    return (
        f"<attributes><time><beats>{beats}</beats><beat-type>{beat_type}</beat-type></time>"
        "</attributes>"
    )


def score(*parts, instruments=()):
    """Parts are lists of measures, or one measure each."""
    instruments = [*instruments, *[""] * (len(parts) - len(instruments))]
    heads = "".join(
        f'<score-part id="P{number}"><part-name>Part {number}</part-name>{more}</score-part>'
        for number, more in enumerate(instruments)
    )
    bodies = ""
    for number, measures in enumerate(parts):
        measures = [measures] if isinstance(measures, str) else measures
        inside = "".join(f"<measure>{measure}</measure>" for measure in measures)
        bodies += f'<part id="P{number}">{inside}</part>'
    return f"<score-partwise><part-list>{heads}</part-list>{bodies}</score-partwise>"


@pytest.fixture
def read(tmp_path):
    def read_text(*parts, instruments=()):
        path = tmp_path / "a.musicxml"
        path.write_text(score(*parts, instruments=instruments))
        (sequence,) = read_music_file(path)
        return sequence

    return read_text


def read_score(name):
    (sequence,) = read_music_file(SCORES / f"{name}.musicxml")
    return sequence


def metres(sequence):
    return [(round(2 * m.time, 3), m.numerator, m.denominator) for m in sequence.time_signatures]


# -- Whole scores ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "metre"),
    [
        ("repeat", [(0, 4, 4)]),
        ("chord_none", [(0, 4, 4)]),
        ("chord_power", [(0, 4, 4)]),
        ("grace", [(0, 4, 4)]),
        ("key_8_flats", [(0, 4, 4)]),
        ("time_3+2", [(0, 4, 4)]),
        ("time_senza", []),
        ("zero", [(0, 4, 4)]),
    ],
)
def test_every_score_gives_its_sixteen_notes_of_the_first_program(name, metre):
    sequence = read_score(name)
    expected = [(pitch, index / 2, index / 2 + 0.5) for index, pitch in enumerate(MELODY)]
    assert spans(sequence) == expected
    assert {(n.instrument, n.program, n.is_drum) for n in sequence.notes} == {(0, 0, False)}
    assert metres(sequence) == metre
    assert sequence.total_time == 4


def test_a_pick_up_is_a_measure_of_its_own_metre():
    sequence = read_score("pickup")
    assert pitches(sequence) == [67, 69, *MELODY]
    assert metres(sequence) == [(0, 1, 4), (1, 4, 4)]


def test_a_metronome_mark_of_about_96_is_a_tempo_of_96():
    sequence = read_score("metronome_ca")
    assert [(t.time, t.qpm) for t in sequence.tempos] == [(0, 96)]
    assert sequence.total_time == pytest.approx(8 * 60 / 96)


def test_a_slow_tempo_is_read_as_it_is_and_one_of_0_is_no_tempo(caplog):
    assert [t.qpm for t in read_score("slow").tempos] == [2]
    assert not caplog.messages
    assert [t.qpm for t in read_score("zero").tempos] == [120]
    assert ignored(caplog) == "a tempo that is no positive number"


def test_grace_notes_are_left_out_with_a_line(caplog):
    assert pitches(read_score("grace")) == MELODY
    assert ignored(caplog) == "a grace note (3 times)"


def test_a_key_of_8_flats_is_f_flat():
    (key,) = read_score("key_8_flats").key_signatures
    assert (key.key, key.mode) == (4, key.MAJOR)


@pytest.mark.parametrize("name", ["two_parts_no_midi", "two_parts_with_midi"])
def test_the_part_is_the_instrument(name):
    sequence = read_score(name)
    assert pitches(sequence, part=0) == [pitch + 12 for pitch in MELODY]
    assert len(pitches(sequence, part=1)) == 16
    assert all(n.instrument == n.part and n.program == 0 for n in sequence.notes)
    assert [info.name for info in sequence.part_infos] == ["Soprano", "Alto"]


def test_drums_have_the_pitches_that_their_instruments_name():
    sequence = read_score("drums")
    assert spans(sequence) == [(38, time, time + 1) for time in range(8)]
    assert all(n.is_drum for n in sequence.notes)
    sequence = read_score("melody_and_drums")
    assert pitches(sequence, part=0) == MELODY
    assert pitches(sequence, part=1) == [38] * 8
    assert [n.is_drum for n in sequence.notes] == [False] * 16 + [True] * 8


# -- Programs and drums ---------------------------------------------------------------------------


def test_programs_count_from_1_and_need_no_channel(read):
    parts = [note(), note(), note()]
    sequence = read(*parts, instruments=[midi(program=128), midi(33, channel=2), ""])
    assert [n.program for n in sequence.notes] == [127, 32, 0]


def test_numbers_that_midi_has_not_are_ignored(read, caplog):
    sequence = read(note(), instruments=[midi(program=129, channel=0)])
    assert [(n.program, n.is_drum) for n in sequence.notes] == [(0, False)]
    assert ignored(caplog) == "a midi-program outside 1..128, a midi-channel outside 1..16"


def test_a_note_may_name_one_of_several_instruments_of_its_part(read):
    instruments = midi(74, name="flute") + midi(73, name="piccolo")
    music = note() + note(more='<instrument id="piccolo"/>')
    assert [n.program for n in read(music, instruments=[instruments]).notes] == [73, 72]


def test_a_part_may_change_its_program(read):
    change = f"<sound>{midi(46)}</sound>"
    music = note() + change + note() + f"<direction>{change}</direction>" + note()
    assert [n.program for n in read(music, instruments=[midi(41)]).notes] == [40, 45, 45]


def test_the_tenth_channel_is_that_of_drums(read):
    (drum,) = read(note("C2"), instruments=[midi(1, channel=10)]).notes
    assert (drum.pitch, drum.is_drum) == (36, True)


def test_a_drum_without_a_midi_number_is_read_by_its_place_on_the_staff(read, caplog):
    cross = "<notehead>x</notehead>"
    music = unpitched("F4") + unpitched("C5") + unpitched("G5", cross) + unpitched("F5", cross)
    sequence = read(music + "<note><unpitched/><duration>1</duration></note>")
    assert [(n.pitch, n.is_drum) for n in sequence.notes] == [
        (36, True),
        (38, True),
        (42, True),
        (51, True),
        (38, True),
    ]
    assert ignored(caplog).startswith("the drum of a note, which is read by its place on the staff")


def test_each_drum_of_a_kit_has_its_own_number(read):
    kit = midi(channel=10, drum=37, name="kick") + midi(channel=10, drum=43, name="hat")
    music = unpitched(more='<instrument id="hat"/>') + unpitched(more='<instrument id="kick"/>')
    assert pitches(read(music, instruments=[kit])) == [42, 36]


# -- Pitches and dynamics -------------------------------------------------------------------------


def test_c_flat_and_b_sharp_are_in_the_octave_of_their_letter(read):
    assert pitches(read(note("Cb4") + note("B#4") + note("Bbb3") + note("F##5"))) == [
        59,
        72,
        57,
        79,
    ]


@pytest.mark.parametrize(("alter", "pitch"), [(0.5, 60), (1.5, 61), (-0.5, 60), (-1.5, 59)])
def test_a_quarter_tone_is_read_as_the_note_nearer_to_the_natural_one(read, caplog, alter, pitch):
    music = note("C#4").replace("<alter>1<", f"<alter>{alter}<")
    assert pitches(read(music + note("D#4"))) == [pitch, 63]
    assert ignored(caplog).startswith("a part of a semitone")


def test_a_transposing_part_sounds_as_it_is_transposed(read):
    transpose = "<transpose><chromatic>-2</chromatic><octave-change>-1</octave-change></transpose>"
    key = "<key><fifths>2</fifths></key>"
    chord = "<harmony><root><root-step>D</root-step></root><kind>dominant</kind></harmony>"
    sequence = read(f"<attributes>{key}{transpose}</attributes>{chord}{note('D5')}")
    assert pitches(sequence) == [60]
    assert [key.key for key in sequence.key_signatures] == [0]
    assert [text.text for text in sequence.text_annotations] == ["C7"]


def test_a_pitch_that_midi_has_not_is_left_out(read, caplog):
    music = note("C4") + note("G#9") + note("G9") + note("A9") + note("D4")
    assert spans(read(music)) == [(60, 0, 1), (127, 2, 3), (62, 4, 5)]
    assert ignored(caplog) == "a pitch outside 0..127 (2 times)"


def test_dynamics_are_percentages_of_a_velocity_of_90(read):
    music = note() + '<direction><sound dynamics="100"/></direction>' + note()
    sequence = read(music + note().replace("<note>", '<note dynamics="50">') + note())
    assert [n.velocity for n in sequence.notes] == [64, 90, 45, 90]
    assert [n.velocity for n in read('<sound dynamics="9999"/>' + note()).notes] == [127]


# -- Time -----------------------------------------------------------------------------------------


def test_chords_voices_and_rests_have_their_times(read):
    first = note("C4", 2) + note("E4", 2, before="<chord/>") + note("rest", 1) + note("D4", 1)
    back = "<backup><duration>3</duration></backup>"
    second = "<forward><duration>1</duration></forward>" + note("C3", 1, "<voice>2</voice>")
    sequence = read(QUARTER_NOTES + first + back + second)
    assert spans(sequence) == [(60, 0, 2), (64, 0, 2), (62, 3, 4), (48, 2, 3)]
    assert [n.voice for n in sequence.notes] == [1, 1, 1, 2]


TIE, TIED = '<tie type="start"/>', '<tie type="stop"/>'


def test_tied_notes_are_one(read):
    first = [note("C4", 3) + note("D4", 1, TIE), note("D4", 4, TIED + TIE), note("D4", 1, TIED)]
    assert spans(read(first)) == [(60, 0, 3), (62, 3, 9)]
    chord = note("C4", 2, TIE) + note("E4", 2, before="<chord/>")
    after = note("C4", 1, TIED) + note("E4", 1, before="<chord/>")
    assert spans(read([chord, after])) == [(60, 0, 3), (64, 0, 2), (64, 2, 3)]


def test_a_tie_to_nothing_leaves_the_notes_as_they_are(read):
    lost = note("C4", 1, TIE) + note("D4") + note("C4", 1, TIED) + note("E4", 1, TIE) + note("F4")
    assert [pitch for pitch, *_ in spans(read(lost))] == [60, 62, 60, 64, 65]
    # The same pitch in another voice is another note.
    back = "<backup><duration>1</duration></backup>"
    second = back + note("C4", 1, "<voice>2</voice>" + TIED)
    assert spans(read(note("C4", 1, TIE) + note("C4", 1, "<voice>1</voice>") + second)) == [
        *((60, 0, 1), (60, 1, 2), (60, 1, 2)),
    ]


def test_a_tempo_holds_for_all_parts_from_where_it_stands(read):
    sound = '<sound tempo="{}"/>'
    first = sound.format(60) + note() + f"<direction>{sound.format(240)}</direction>" + note()
    sequence = read(first, note("E4") + note("G4"))
    assert [(t.time, t.qpm) for t in sequence.tempos] == [(0, 60), (1, 240)]
    assert [(n.start_time, n.end_time) for n in sequence.notes] == [(0, 1), (1, 1.25)] * 2


def test_a_metronome_mark_counts_where_no_sound_gives_the_tempo(read):
    unit = "<beat-unit>quarter</beat-unit><beat-unit-dot/><per-minute>80</per-minute>"
    mark = f"<direction-type><metronome>{unit}</metronome></direction-type>"
    assert [t.qpm for t in read(f"<direction>{mark}</direction>{note()}").tempos] == [120]
    sound = '<sound tempo="90"/>'
    assert [t.qpm for t in read(f"<direction>{mark}{sound}</direction>{note()}").tempos] == [90]


def test_a_measure_that_one_part_does_not_fill_shifts_no_other(read):
    four, three = note() * 4, note() * 3
    assert spans(read([IN_4_4 + four, note("D4")], [three, note("E4")]), part=1)[-1] == (64, 4, 5)
    # Rests too many are a mistake, too.
    longer = note("rest", 8)
    assert spans(read([IN_4_4 + four, note("D4")], [longer, note("E4")]))[-1] == (62, 4, 5)
    # An empty measure is as long as its metre.
    assert spans(read([IN_4_4 + four, "", note("D4")]))[-1] == (62, 8, 9)


def test_a_backup_beyond_the_measure_ends_at_its_beginning(read):
    back = "<backup><duration>9</duration></backup>"
    assert spans(read([note() * 4, note("D4") + back + note("E4")]))[-2:] == [
        (62, 4, 5),
        (64, 4, 5),
    ]


@pytest.mark.parametrize(
    ("beats", "beat_type", "expected"),
    [("3+2", "4", (5, 4)), ("2+3", "8", (5, 8)), ("6", "8", (6, 8)), ("3", "2", (3, 2))],
)
def test_the_beats_of_a_metre_may_be_a_sum(read, beats, beat_type, expected):
    upper, lower = expected
    sequence = read(time_signature(beats, beat_type) + note(duration=4 * upper / lower))
    assert metres(sequence) == [(0, *expected)]


def test_a_metre_of_two_fractions_is_their_sum(read):
    both = "<beats>3</beats><beat-type>8</beat-type><beats>2</beats><beat-type>4</beat-type>"
    music = f"<attributes><time>{both}</time></attributes>" + note(duration=3.5)
    assert metres(read(music)) == [(0, 7, 8)]


@pytest.mark.parametrize("beats", ["x", "0", "3/4", "", "-4", "999999999999"])
def test_a_metre_that_is_no_fraction_is_ignored(read, caplog, beats):
    sequence = read(time_signature(beats, 4) + note() * 3)
    assert metres(sequence) == [(0, 3, 4)]  # by its length
    assert ignored(caplog) == "a metre that is no fraction"


def test_minor_keys_and_modes_are_told_from_major(read):
    def key(mode):
        text = f"<key><fifths>-1</fifths><mode>{mode}</mode></key>"
        (signature,) = read(f"<attributes>{text}</attributes>{note()}").key_signatures
        return signature.key, signature.mode

    kinds = read(note()).key_signatures[0]
    assert key("major") == (5, kinds.MAJOR)
    assert key("minor") == (2, kinds.MINOR)
    assert key("dorian") == (7, kinds.DORIAN)
    assert key("none") == (5, kinds.MAJOR)


# -- What is left out -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Neapolitan", "other", "klingon"])
def test_a_chord_of_an_unknown_kind_costs_no_note(read, caplog, kind):
    chord = f"<harmony><root><root-step>C</root-step></root><kind>{kind}</kind></harmony>"
    sequence = read(chord + note())
    assert pitches(sequence) == [60]
    assert not sequence.text_annotations
    assert ignored(caplog) == f"a chord of an unknown kind ({kind})"


@pytest.mark.parametrize(
    ("inside", "symbol"),
    [
        (
            "<root><root-step>B</root-step><root-alter>-1</root-alter></root><kind>minor</kind>",
            "Bbm",
        ),
        ("<root><root-step>C</root-step></root><kind>power</kind>", "C5"),
        ("<root><root-step>C</root-step></root><kind/>", "C"),
        ("<kind>none</kind>", "N.C."),
        (
            "<root><root-step>C</root-step></root><kind>major</kind>"
            "<bass><bass-step>E</bass-step></bass>",
            "C/E",
        ),
        (
            "<root><root-step>C</root-step></root><kind>dominant</kind><degree><degree-value>9"
            "</degree-value><degree-alter>1</degree-alter><degree-type>add</degree-type></degree>",
            "C7(#9)",
        ),
        ("<function>IV</function><kind>major</kind>", None),
        ("<root><root-step>H</root-step></root><kind>major</kind>", None),
        ("<root><root-step>C</root-step><root-alter>7</root-alter></root><kind>major</kind>", None),
        ("<root><root-step>C</root-step></root><kind>major</kind><degree/>", None),
    ],
)
def test_chord_symbols_are_those_of_lead_sheets(read, inside, symbol):
    sequence = read(f"<harmony>{inside}</harmony>{note()}")
    assert [text.text for text in sequence.text_annotations] == ([symbol] if symbol else [])


@pytest.mark.parametrize(
    ("odd", "remark"),
    [
        (note(duration="much"), "a note whose duration is no number"),
        (note(duration="nan"), "a note whose duration is no number"),
        (note(duration="9" * 5000), "a note whose duration is no number"),
        (note(duration=-1), "a note at an impossible time"),
        ("<note><pitch/><duration>0</duration></note>", "a note without a pitch"),
        ("<note><duration>0</duration></note>", "a note without a pitch"),
        ("<backup><duration>-4</duration></backup>", "a backup whose duration is no positive numb"),
        ("<forward/>", "a forward whose duration is no positive number"),
        ('<sound tempo="-60"/>', "a tempo that is no positive number"),
        ('<sound tempo="fast"/>', "a tempo that is no positive number"),
        (
            "<attributes><key><fifths>99</fifths></key></attributes>",
            "a key signature that is no maj",
        ),
        ("<attributes><key/></attributes>", "a key signature that is no major or minor key"),
        (
            "<attributes><transpose><chromatic>x</chromatic></transpose></attributes>",
            "a transposition that is no number",
        ),
        (
            "<direction><direction-type><metronome/></direction-type></direction>",
            "a metronome mark that is no tempo",
        ),
    ],
)
def test_one_odd_element_costs_nothing_but_itself(read, caplog, odd, remark):
    assert spans(read(note("C4") + odd + note("D4"))) == [(60, 0, 1), (62, 1, 2)]
    assert ignored(caplog).startswith(remark)


def test_a_note_without_length_gets_the_shortest(read):
    music = QUARTER_NOTES.replace("1", "8") + note(duration=0) + note("D4", 8)
    assert spans(read(music)) == [(60, 0, 0.125), (62, 0, 1)]


def test_elements_outside_measures_and_unknown_ones_are_passed_over(tmp_path):
    text = score(note("C4") + "<print><note/></print>" + note("D4"))
    text = text.replace("<part-list>", "<work><note/></work><note/><part-list><part/>")
    path = tmp_path / "a.xml"
    path.write_text(text.replace("<measure>", "<sound tempo='9'/><measure>"))
    assert pitches(read_music_file(path)[0]) == [60, 62]


# -- Hostile files --------------------------------------------------------------------------------

LARGE = 200_000
HOSTILE = {
    "nesting": ("<a>" * LARGE + "</a>" * LARGE, "XML nested more than 100 deep"),
    "nesting in a note": (
        f"<note>{'<notations>' * LARGE}{'</notations>' * LARGE}</note>",
        "MusicXML with an element of more than 1,000 parts",
    ),
    "parts of a note": (
        f"<note>{'<tie/>' * LARGE}</note>",
        "MusicXML with an element of more than 1,000 parts",
    ),
    "measures": ("</measure><measure>" * LARGE, "MusicXML with more than 100,000 measures"),
    "parts": (
        "</measure></part>" + "<part/>" * LARGE + "<part><measure>",
        "MusicXML with more than 1,000 parts",
    ),
    "a huge duration": (note(duration=999_999_999), "longer than 24 hours"),
    "a number without end": ('<sound tempo="1e-300"/>' + note(), "longer than 24 hours"),
    "small divisions": (
        "<attributes><divisions>1e-300</divisions></attributes>" + note(),
        "MusicXML whose divisions of a quarter note are no positive number",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_scores_are_refused_at_once_in_one_line(tmp_path, name):
    measure, reason = HOSTILE[name]
    path = tmp_path / "a.musicxml"
    path.write_text(score(note() + measure))
    tracemalloc.start()
    start = time.monotonic()
    with pytest.raises(UnreadableMusicError, match=reason) as error:
        notes_io.read_file(path)
    seconds = time.monotonic() - start
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "\n" not in str(error.value)
    assert seconds < 5
    assert peak_bytes < 10 * path.stat().st_size + 2**21


def test_memory_is_in_proportion_to_the_notes_not_to_what_surrounds_them(tmp_path):
    around = "<note><lyric><text>la</text></lyric><notations><slur/></notations>"
    path = tmp_path / "a.musicxml"
    path.write_text(
        score([note("rest").replace("<note>", around) + "<print/>" * 20] * 5_000 + [note()])
    )
    read_music_file(path)
    tracemalloc.start()
    (sequence,) = read_music_file(path)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(sequence.notes) == 1
    assert peak_bytes < 4 * path.stat().st_size


def test_measures_without_end_are_read_as_far_as_they_are_written(read):
    repeat = '<barline><repeat direction="backward" times="1000000000"/></barline>'
    rest = "<attributes><measure-style><multiple-rest>1000000000</multiple-rest></measure-style>"
    sequence = read([note() + repeat, rest + "</attributes>", note()])
    assert len(sequence.notes) == 2


def test_elements_come_in_the_order_of_the_file():
    text = score(note() + "<harmony/>", note("E4")).encode()
    assert [element.tag for element in musicxml_structure.elements(text)] == [
        *("score-part", "score-part"),
        *("part", "measure", "note", "harmony"),
        *("part", "measure", "note"),
    ]
