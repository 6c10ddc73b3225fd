"""Scores of a clone: which files and stretches are taken, ids, sides, and going on where it was."""

import zipfile
from fractions import Fraction

import pytest
import scores
from splits import SPLITS

from music_vae import data
from music_vae.dataset import tfrecord

# Four bars and more for soprano and organ, in the middle of which the metre is another one; the
# pick-up of a quarter is cut off.
FIRST = ((4, 72, 74, 76, 77), (4, 79, 77, 76, 74), (4, 72, 76, 79, 84), (4, 83, 79, 77, 74))
SECOND = (*FIRST[::-1], (2, 72, 67))
NAMES = {60: "c", 62: "d", 64: "e", 65: "f", 67: "g", 69: "a", 71: "b"}


def kern_note(length, pitch):
    octave = pitch // 12 - 5  # from the one of the middle C
    return f"{length}{NAMES[pitch - 12 * octave] * (octave + 1)}"


def kern_song(title="Song"):
    lines = [f"!!!OTL: {title}", "**kern\t**kern", "*Iorgan\t*Isoprn", "*M4/4\t*M4/4"]
    lines += ["4r\t4gg", "=1\t=1"]
    for number, (length, *pitches) in enumerate(FIRST, 2):
        lines += [
            f"{'1C' if k == 0 else '.'}\t{kern_note(length, p)}" for k, p in enumerate(pitches)
        ]
        lines += [f"={number}\t={number}"]
    lines += ["*M3/4\t*M3/4", "2.C\t2.cc", "=\t=", "*M2/2\t*M2/2"]
    for length, *pitches in SECOND:
        lines += [
            f"{'1G' if k == 0 else '.'}\t{kern_note(length, p)}" for k, p in enumerate(pitches)
        ]
        lines += ["=\t="]
    return "\n".join([*lines, "*-\t*-"])


FIRST_MELODY = [
    (k * 0.5, pitch) for k, pitch in enumerate(p for _, *pitches in FIRST for p in pitches)
]


@pytest.fixture
def clone(tmp_path):
    """A clone with a song in two folders, once in another key, and files that give nothing."""
    root = tmp_path / "clone"
    for name, text in {
        "a/song.krn": kern_song(),
        "b/waltz.krn": "**kern\n*M3/4\n=1\n" + "2.c\n=\n" * 20 + "*-",
        "b/noise.krn": "\x00\xff *M4/4\n",
        "b/text.krn": "**text\n*M4/4\nla\n*-",
        "b/rests.krn": "**kern\n*M4/4\n=1\n" + "1r\n=\n" * 8 + "*-",
        "README.md": "scores",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def run(*arguments):
    return scores.main([str(argument) for argument in arguments])


def make(clone, output, *arguments, source="polish"):
    return run(
        f"--source={source}",
        f"--input={clone}",
        f"--output_dir={output}",
        "--num_workers=0",
        *arguments,
    )


def sequences(folder):
    paths = ",".join(str(folder / f"{name}.tfrecord") for name in SPLITS)
    return list(data.read_note_sequences(paths))


def notes(sequence, instrument=0):
    return [(n.start_time, n.pitch) for n in sequence.notes if n.instrument == instrument]


def test_a_score_gives_its_top_voice_by_stretches_and_its_longest_one_with_all_voices(
    clone, tmp_path, capsys
):
    assert make(clone, tmp_path / "out") == 0
    first, second = sequences(tmp_path / "out" / "melodies")
    assert notes(first) == FIRST_MELODY
    assert [len(first.notes), first.total_time] == [16, 8]
    assert [len(second.notes), second.total_time] == [18, 10]
    assert {note.program for note in first.notes} == {0}
    assert first.id == "/id/kern/polish/a/song.krn#0"
    assert second.id == "/id/kern/polish/a/song.krn#1"
    assert (first.filename, first.collection_name) == ("a/song.krn", "polish")
    assert first.sequence_metadata.title == "Song"

    (together,) = sequences(tmp_path / "out" / "multitrack")
    assert together.id == second.id
    assert notes(together) == notes(second)
    assert notes(together, 1) == [(2.0 * bar, 55) for bar in range(5)]
    assert {(note.instrument, note.program) for note in together.notes} == {(0, 52), (1, 19)}

    printed = capsys.readouterr().out
    assert "1 skipped: file: without a measure in 4/4, 2/2 or 2/4" in printed
    assert "1 skipped: score without a stretch of 4/4, 2/2 or 2/4, or without notes" in printed
    assert "1 skipped: file: not **kern" in printed
    assert "1 skipped: file: **kern with a line of too many or too few columns" in printed
    assert not (tmp_path / "out" / "read").exists()


def test_the_same_clone_gives_the_same_files_however_many_processes_read(clone, tmp_path):
    assert make(clone, tmp_path / "one") == 0
    assert (
        run(
            "--source=polish",
            f"--input={clone}",
            f"--output_dir={tmp_path / 'two'}",
            "--num_workers=1",
        )
        == 0
    )
    for name in ("melodies", "multitrack"):
        for split in SPLITS:
            files = [tmp_path / out / name / f"{split}.tfrecord" for out in ("one", "two")]
            assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize(("triplets", "melodies"), [(1, 1), (2, 0)])
def test_a_melody_with_many_notes_off_the_sixteenths_is_left_out(tmp_path, triplets, melodies):
    """Of each triplet two notes begin off them: 2 of 30, then 4 of 31."""
    bars = ["4c\n4d\n4e\n4f\n="] * (7 - triplets) + ["2c\n4d\n12e\n12f\n12g\n="] * triplets
    path = tmp_path / "song.krn"
    path.write_text("\n".join(["**kern", "*M4/4", "=1", *bars, "*-"]), encoding="utf-8")
    read = scores.read_file("song.krn", root=tmp_path, source="sos", cache=tmp_path)
    assert len(read.records[scores.MELODIES]) == melodies
    reason = "melody with too many notes off the sixteenths"
    assert read.skipped == ({} if melodies else {reason: 1})


def test_a_run_goes_on_where_it_was(clone, tmp_path):
    cache = tmp_path / "read"
    cache.mkdir()
    read = scores.read_file("a/song.krn", root=clone, source="polish", cache=cache)
    assert [len(read.records[kind]) for kind in scores.KINDS] == [2, 1]
    (clone / "a" / "song.krn").unlink()
    again = scores.read_file("a/song.krn", root=clone, source="polish", cache=cache)
    assert again == read


def test_a_kept_file_that_is_damaged_is_read_anew(clone, tmp_path):
    cache = tmp_path / "read"
    cache.mkdir()
    read = scores.read_file("a/song.krn", root=clone, source="polish", cache=cache)
    (kept,) = cache.iterdir()
    for damaged in ("", "{", "[]", '{"records": {}}', kept.read_text()[:-9]):
        kept.write_text(damaged)
        again = scores.read_file("a/song.krn", root=clone, source="polish", cache=cache)
        assert again == read


def test_a_work_goes_to_the_side_that_another_corpus_has_it_on(clone, tmp_path):
    beside = tmp_path / "beside"
    for side in SPLITS:
        tfrecord.write_records(beside / f"{side}.tfrecord", [])
    assert make(clone, tmp_path / "first", "--validation_share=0", "--test_share=0") == 0
    (first, _) = sequences(tmp_path / "first" / "melodies")
    for note in first.notes:
        note.pitch -= 5
    (beside / "test.tfrecord").unlink()
    tfrecord.write_records(beside / "test.tfrecord", [first.SerializeToString()])
    assert make(clone, tmp_path / "out", f"--beside={beside}") == 0
    out = tmp_path / "out"
    assert len(list(data.read_note_sequences(str(out / "melodies" / "test.tfrecord")))) == 2
    assert len(list(data.read_note_sequences(str(out / "multitrack" / "test.tfrecord")))) == 1


MUSICXML = """<score-partwise><part-list><score-part id="P1"><part-name>Voice</part-name>
</score-part><score-part id="P2"><part-name>Piano</part-name></score-part></part-list>
{parts}</score-partwise>"""
CONTAINER = """<container><rootfiles><rootfile full-path="score.xml"
media-type="application/vnd.recordare.musicxml+xml"/></rootfiles></container>"""


def musicxml_part(name, bars):
    """A part in 4/4 of bars of (step, octave, quarter notes)."""
    written = []
    for number, bar in enumerate(bars):
        head = (
            "<attributes><divisions>1</divisions><time><beats>4</beats><beat-type>4</beat-type>"
            "</time></attributes>"
        )
        written.append(f'<measure number="{number + 1}">' + (head if number == 0 else ""))
        for step, octave, length in bar:
            written.append(
                f"<note><pitch><step>{step}</step><octave>{octave}</octave></pitch>"
                f"<duration>{length}</duration><voice>1</voice></note>"
            )
        written.append("</measure>")
    return f'<part id="{name}">{"".join(written)}</part>'


def test_musicxml_gives_its_parts_as_voices(tmp_path):
    clone = tmp_path / "clone"
    clone.mkdir()
    voice = musicxml_part("P1", [[("C", 5, 2), ("D", 5, 1), ("E", 5, 1)]] * 5)
    piano = musicxml_part("P2", [[("C", 3, 4)]] * 5)
    with zipfile.ZipFile(clone / "song.mxl", "w") as archive:
        archive.writestr("META-INF/container.xml", CONTAINER)
        archive.writestr("score.xml", MUSICXML.format(parts=voice + piano))
    (clone / "broken.mxl").write_bytes(b"PK no archive")
    assert make(clone, tmp_path / "out", source="lieder") == 0
    (melody,) = sequences(tmp_path / "out" / "melodies")
    assert notes(melody)[:6] == [(0, 72), (1, 74), (1.5, 76), (2, 72), (3, 74), (3.5, 76)]
    assert melody.total_time == 10
    assert melody.id == "/id/musicxml/lieder/song.mxl#0"
    (together,) = sequences(tmp_path / "out" / "multitrack")
    assert notes(together, 1) == [(0, 48), (2, 48), (4, 48), (6, 48), (8, 48)]


HYMN = """% a hymn
X: 1
T: Hymn
C: copyright: public domain.  This score is a part of the Open Hymnal Project, 2008 Revision.
M: 4/4
L: 1/4
K: G
% 1
D | G A B c | d c B A | G2 B2 | d4 | e d c B | A G A B | G4- | G3 |]
"""


def hymnal(tmp_path, text):
    (tmp_path / "clone").mkdir(exist_ok=True)
    path = tmp_path / "clone" / "hymn.abc"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("beginning", "quarters"),
    [("D | G4", 1), ("|D | G4", 1), ("D/E/ F | G4", 2), ("G2 A2 | G4", 4), ("z | G4", 0)],
)
def test_the_first_measure_of_abc_tells_the_pick_up(tmp_path, beginning, quarters):
    path = hymnal(tmp_path, HYMN.replace("D | G A B c", f"w: no notes\n{beginning}"))
    assert scores.first_measure(path) == quarters


def test_bars_of_a_hymn_begin_after_its_pick_up(tmp_path):
    path = hymnal(tmp_path, HYMN)
    (score,) = scores._scores(path, scores.SOURCES["hymnal"])
    assert score.title == "Hymn"
    assert [measure.start for measure in score.measures[:3]] == [0, 1, 5]
    assert score.voices[0].notes[:2] == [(0, 1, 62), (1, 2, 67)]
    assert make(path.parent, tmp_path / "out", source="hymnal") == 0
    (melody,) = sequences(tmp_path / "out" / "melodies")
    assert notes(melody)[:5] == [(0, 67), (0.5, 69), (1, 71), (1.5, 72), (2, 74)]


IN_PARTS = """X: 1
T: Hymn in two parts
C: copyright: public domain.  This score is a part of the Open Hymnal Project, 2008 Revision.
M: 4/4
L: 1/4
V: S1V1 clef=treble
V: S2V1 clef=bass
K: G
[V: S1V1] D | G A B c | d2 B2 |
[V: S2V1] D, | G,2 D,2 | B,,2 G,,2 |
[V: S1V1] G A B c | d4 | G3 |]
[V: S2V1] G,4 | D,4 | G,3 |]
"""


def test_the_voices_of_a_hymn_are_instruments(tmp_path):
    path = hymnal(tmp_path, IN_PARTS)
    assert make(path.parent, tmp_path / "out", source="hymnal") == 0
    (together,) = sequences(tmp_path / "out" / "multitrack")
    assert notes(together)[:6] == [(0, 67), (0.5, 69), (1, 71), (1.5, 72), (2, 74), (3, 71)]
    bass = [(0, 55), (1, 50), (2, 47), (3, 43), (4, 55), (6, 50), (8, 55)]
    assert notes(together, 1) == bass


def test_a_hymn_under_another_licence_is_left_out(tmp_path, capsys):
    hymnal(tmp_path, HYMN.replace("public domain", "somebody"))
    assert make(tmp_path / "clone", tmp_path / "out", source="hymnal") == 2
    assert "1 file: not under the licence of the collection" in capsys.readouterr().err
    assert not (tmp_path / "out" / "melodies").exists()


def test_a_file_without_a_key_or_music_has_no_pick_up(tmp_path):
    assert scores.first_measure(hymnal(tmp_path, "X:1\nT:Nothing\n")) == Fraction(0)
    assert scores.first_measure(hymnal(tmp_path, "X:1\nK:C\n")) == Fraction(0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--source=polish"], "--input"),
        (["--source=nobody", "--input=."], "nobody"),
        (["--source=lieder", "--input={none}"], "git clone https://github.com/OpenScore/Lieder"),
        (["--source=lieder", "--input={clone}"], "holds no .mxl files"),
        (["--source=polish", "--input={clone}", "--beside={clone}"], "does not hold train"),
    ],
)
def test_what_cannot_be_done_gets_one_line(clone, tmp_path, capsys, arguments, message):
    given = [a.format(clone=clone, none=tmp_path / "none") for a in arguments]
    assert run(*given, f"--output_dir={tmp_path / 'out'}", "--num_workers=0") == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())
