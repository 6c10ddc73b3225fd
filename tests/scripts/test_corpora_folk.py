"""Folk tunes: bars on the bar lines, repeats played out, from ABC and from TFRecords."""

from collections import Counter
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import folk
import pytest
from folk import Measure, Note, on_bar_lines

from music_vae import data
from music_vae.dataset import tfrecord

# A pick-up, a repeat, a second strain with a bar cut short before its own pick-up; then a tune in
# 2/4, one in 6/8, and one with a chord.
ABC = """X:1
T:Pick-up
M:4/4
L:1/4
K:C
G|cdef|{a}g2f:|
A|cdef|g4|

X:2
T:Two Four
M:2/4
L:1/4
K:C
cd|ef|g2|

X:3
T:Jig
M:6/8
L:1/8
K:C
cdefga|cdefga|

X:4
T:Chord
M:C|
L:1/4
K:C
[ce]def|g4|
"""


def measure(*lengths, rest=0.0):
    """A measure of notes of these lengths in quarters, all of pitch 60, and a rest at its end."""
    notes, start = [], 0.0
    for length in lengths:
        notes.append(Note(start, length, 60))
        start += length
    return Measure(start + rest, notes)


def starts(*measures, bar=4.0):
    return [note.start for note in on_bar_lines(measures, bar)]


def test_a_pick_up_ends_on_a_bar_line():
    assert starts(measure(0.5, 0.5), measure(4), measure(4)) == [3, 3.5, 4, 8]


def test_a_short_bar_and_the_pick_up_after_it_make_a_bar():
    assert starts(measure(1), measure(4), measure(3), measure(1), measure(4)) == [3, 4, 8, 11, 12]


def test_a_rest_that_stands_for_the_pick_up_is_not_counted_twice():
    assert starts(measure(4), measure(3, rest=0.5), measure(1), measure(4)) == [0, 4, 7, 8]


def test_a_full_bar_waits_for_the_next_bar_line():
    assert starts(measure(4), measure(1.5), measure(4)) == [0, 4, 8]


def test_a_bar_of_rest_takes_its_time():
    assert starts(measure(4), measure(rest=4.0), measure(4)) == [0, 8]


def test_bars_of_2_4_follow_each_other_by_two_quarters():
    assert starts(measure(1), measure(1, 1), measure(1, 1), bar=2.0) == [1, 2, 3, 4, 5]


def test_no_measures_are_no_notes():
    assert starts() == []


@pytest.fixture
def abc_dir(tmp_path):
    root = tmp_path / "tunes"
    (root / "book").mkdir(parents=True)
    (root / "book" / "one.abc").write_text(ABC)
    return root


def run(*arguments):
    return folk.main([str(argument) for argument in arguments])


def found(output):
    paths = ",".join(str(output / f"{name}.tfrecord") for name in ("train", "validation", "test"))
    return {s.id: s for s in data.read_note_sequences(paths)}


def notes(sequence):
    """(pitch, start, length) in quarters at 120 a minute."""
    return [(n.pitch, 2 * n.start_time, 2 * (n.end_time - n.start_time)) for n in sequence.notes]


def test_abc_is_played_out_and_put_on_the_bar_lines(abc_dir, tmp_path, capsys):
    pytest.importorskip("music21")
    output = tmp_path / "out"
    assert run(f"--input={abc_dir}", f"--output_dir={output}", "--num_workers=1") == 0
    tunes = found(output)
    assert set(tunes) == {f"/id/abc/tunes/book/one.abc#{number}" for number in (0, 1, 3)}
    chord = [(76, 0, 1), (74, 1, 1), (76, 2, 1), (77, 3, 1), (79, 4, 4)]
    assert notes(tunes["/id/abc/tunes/book/one.abc#3"]) == chord
    tune = tunes["/id/abc/tunes/book/one.abc#0"]
    strain = [(67, -1), (72, 0), (74, 1), (76, 2), (77, 3), (79, 4), (77, 6)]
    expected = [(pitch, bar + start) for bar in (4, 12) for pitch, start in strain]
    expected += [(69, 19), (72, 20), (74, 21), (76, 22), (77, 23), (79, 24)]
    assert [note[:2] for note in notes(tune)] == expected
    assert tune.sequence_metadata.title == "Pick-up"
    assert (tune.filename, tune.collection_name) == ("book/one.abc", "book")
    assert [(t.numerator, t.denominator) for t in tune.time_signatures] == [(4, 4)]
    printed = capsys.readouterr().out
    assert "1 skipped: metre 6/8" in printed
    assert sorted(path.name for path in output.iterdir()) == [
        "test.tfrecord",
        "train.tfrecord",
        "validation.tfrecord",
    ]


def test_files_that_were_read_are_not_read_again(abc_dir, tmp_path):
    kept = '{"tunes": [{"file": "a", "number": 3, "title": "T", "notes": []}], "skipped": {"x": 2}}'
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "book__one.abc.json").write_text(kept)
    skipped = Counter()
    paths = [abc_dir / "book" / "one.abc"]
    (tune,) = folk.read_files(abc_dir, paths, tmp_path / "cache", 1, skipped)
    assert (tune["number"], skipped) == (3, {"x": 2})


def test_tunes_of_a_tfrecord_are_split_as_they_are(make_tune, tmp_path):
    tunes = [make_tune([(60 + n, 1), (65, n + 1)], name=str(n)) for n in range(4)]
    path = tmp_path / "tunes.tfrecord"
    tfrecord.write_records(path, [tune.SerializeToString() for tune in tunes])
    flags = ["--validation_share=0.25", "--test_share=0.25"]
    assert run(f"--input={path}", f"--output_dir={tmp_path / 'out'}", *flags) == 0
    assert found(tmp_path / "out") == {tune.id: tune for tune in tunes}
    counts = [len(list(tfrecord.read_records(p))) for p in sorted((tmp_path / "out").iterdir())]
    assert counts == [1, 2, 1]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--input={0}/none"], "no file matches"),
        (["--validation_share=nan"], "--validation_share=nan: expected a number from 0 to 1"),
        (["--test_share=-1"], "--test_share=-1: expected a number from 0 to 1"),
        (["--num_workers=100000000000000000000"], "expected a whole number from 1 to 4096"),
        (["--input={0}/empty"], "holds no ABC files (.abc)"),
        (["--input={0}/text"], "is this a TFRecord file?"),
        (["--input={0}/text", "--output_dir={0}/text"], "is not a directory"),
    ],
)
def test_a_users_mistake_is_one_line(tmp_path, capsys, monkeypatch, flags, message):
    monkeypatch.setattr(folk.importlib.util, "find_spec", lambda _: object())
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("no tunes in here")
    flags = [f"--output_dir={tmp_path}/out", *(flag.format(tmp_path) for flag in flags)]
    assert run(*flags) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not Path(tmp_path / "out").exists()


def test_reading_abc_without_music21_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(folk.importlib.util, "find_spec", lambda _: None)
    assert run(f"--output_dir={tmp_path}/out") == 2
    assert "pip install 'music_vae[corpora]'" in capsys.readouterr().err


def test_a_reader_that_dies_is_said_and_what_was_read_is_kept(
    abc_dir, tmp_path, capsys, monkeypatch
):
    class Dying:
        def __init__(self, *_, **__): ...
        def __enter__(self):
            return self

        def __exit__(self, *_): ...
        def map(self, read, names):
            raise BrokenProcessPool
            yield

    monkeypatch.setattr(folk.importlib.util, "find_spec", lambda _: object())
    monkeypatch.setattr(folk, "ProcessPoolExecutor", Dying)
    assert run(f"--input={abc_dir}", f"--output_dir={tmp_path}/out") == 2
    assert "give the command again to go on" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["read"]


def test_what_else_is_in_the_folder_of_read_files_stays(abc_dir, tmp_path, monkeypatch):
    tune = {"file": "a.abc", "number": 0, "title": "A", "notes": [Note(0.0, 4.0, 60)]}
    monkeypatch.setattr(folk.importlib.util, "find_spec", lambda _: object())
    monkeypatch.setattr(folk, "read_files", lambda *_: [tune])
    read = tmp_path / "out" / "read"
    read.mkdir(parents=True)
    for name in ("kept.json", "mine.txt"):
        (read / name).write_text("{}")
    assert run(f"--input={abc_dir}", f"--output_dir={tmp_path}/out") == 0
    assert [path.name for path in read.iterdir()] == ["mine.txt"]
