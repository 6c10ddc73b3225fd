"""Pieces of music in any form: NoteSequences, PrettyMIDI objects, files and their content."""

import io
import logging

import pretty_midi
import pytest
from note_seq.protobuf.music_pb2 import NoteSequence

import music_vae
from music_vae.common.errors import UserError
from music_vae.music import notes_io, pieces
from support.paths import TUNES

JOY = TUNES / "soldiers_joy.mid"
ABC = "X:1\nK:C\nCDEF|\n"
XML = """<score-partwise><part-list><score-part id="P"/></part-list><part id="P"><measure>
<attributes><divisions>1</divisions></attributes>
<note><pitch><step>E</step><octave>4</octave></pitch><duration>4</duration></note>
</measure></part></score-partwise>"""
MIDDLE_C = NoteSequence(notes=[{"pitch": 60, "velocity": 80, "end_time": 2.0}], total_time=2.0)


def pitches(piece):
    return [note.pitch for note in piece.notes]


def test_paths_open_files_and_content_are_read_alike():
    tune = music_vae.read(JOY)
    assert tune == notes_io.read_music_file(JOY)[0]
    assert music_vae.read(str(JOY)) == tune
    assert music_vae.read(JOY.read_bytes()) == tune
    assert music_vae.read(io.BytesIO(JOY.read_bytes())) == tune
    with JOY.open("rb") as file:
        assert music_vae.read(file) == tune


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (ABC.encode(), [60, 62, 64, 65]),
        (b"\xef\xbb\xbf% a song\n" + ABC.encode(), [60, 62, 64, 65]),
        (XML.encode(), [64]),
        (('<?xml version="1.0" encoding="utf-16"?>' + XML).encode("utf-16"), [64]),
    ],
)
def test_content_shows_what_it_is(content, expected):
    assert pitches(music_vae.read(content)) == expected
    assert pitches(music_vae.read(bytearray(content))) == expected


def test_an_open_file_that_gives_nothing_is_refused():
    class Closed:
        def read(self, size):
            return None

    with pytest.raises(UserError, match="`source` must be open for reading; it gave None"):
        music_vae.read(Closed())


def test_text_files_are_read_too():
    assert pitches(music_vae.read(io.StringIO(ABC))) == [60, 62, 64, 65]


def test_several_tunes_are_refused_with_the_way_to_read_them(tmp_path, caplog):
    path = tmp_path / "tunes.abc"
    path.write_text(f"{ABC}\n{ABC.replace('X:1', 'X:2')}")
    with pytest.raises(UserError, match=r"tunes.abc: it holds 2 tunes; expected one") as found:
        music_vae.read(path)
    assert "read_music_file" in found.value.hint
    path.write_text(f"{ABC}\n{ABC}")  # the second has the number of the first, and is left out
    with caplog.at_level(logging.WARNING):
        assert pitches(music_vae.read(path)) == [60, 62, 64, 65]
    assert "tunes left out: 1: ABC reference number" in caplog.text


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (3, "`source` must be the path of a music file, an open file or bytes, not 3"),
        (None, "`source` must be"),
        (b"", "neither MIDI nor MusicXML nor ABC"),
        (b"a text", "neither MIDI nor MusicXML nor ABC"),
        (b"MThd", "the content: "),
        (b"PK\x03\x04", "the content: "),
        ("nowhere.mid", "nowhere.mid: no such file"),
        ("README.md", "unknown kind of music file"),
    ],
)
def test_what_cannot_be_read_is_said(source, message):
    with pytest.raises(UserError, match=message):
        music_vae.read(source)


@pytest.mark.parametrize("kind", ["sequence", "pretty_midi", "path"])
def test_any_piece_is_written_and_read_again(tmp_path, kind):
    piece = {
        "sequence": music_vae.read(JOY),
        "pretty_midi": pretty_midi.PrettyMIDI(str(JOY)),
        "path": JOY,
    }[kind]
    music_vae.save(piece, tmp_path / "new" / "tune.mid")
    again, file = music_vae.read(tmp_path / "new" / "tune.mid"), io.BytesIO()
    assert pitches(again) == pitches(music_vae.read(JOY))
    music_vae.save(piece, file)
    assert music_vae.read(file.getvalue()) == again


def test_no_file_is_replaced(tmp_path):
    path = tmp_path / "tune.mid"
    path.write_text("mine")
    with pytest.raises(UserError, match=r"tune.mid`: there is a file of that name already"):
        music_vae.save(MIDDLE_C, path)
    assert path.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("piece", "target", "message"),
    [
        (MIDDLE_C, "tune.xml", "`target=tune.xml` must end in .mid"),
        (MIDDLE_C, "tune", "`target=tune` must end in .mid"),
        (MIDDLE_C, 3, "`target` must be a path or an open file, not 3"),
        (MIDDLE_C, io.StringIO(), "`target` must be open for bytes"),
        (3, "tune.mid", "`piece` must be a NoteSequence, a PrettyMIDI, or the path"),
        ([MIDDLE_C, MIDDLE_C], "tune.mid", "`piece` must be one piece, not a list of 2"),
        (NoteSequence(notes=[{"pitch": 200}]), "tune.mid", "`piece` has what MIDI does not hold"),
    ],
)
def test_what_cannot_be_written_leaves_no_file(tmp_path, monkeypatch, piece, target, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        music_vae.save(piece, target)
    assert list(tmp_path.iterdir()) == []


def test_one_and_several_pieces_are_taken_in_every_form():
    tune, midi = music_vae.read(JOY), pretty_midi.PrettyMIDI(str(JOY))
    for piece in (tune, JOY, str(JOY), midi, [tune], [midi], (str(JOY),)):
        assert pitches(pieces.one("piece", piece)) == pitches(tune)
        assert list(map(pitches, pieces.listed("pieces", piece))) == [pitches(tune)]
    several = pieces.listed("pieces", iter([tune, midi, JOY]))
    assert [len(piece.notes) for piece in several] == [len(tune.notes)] * 3
    assert pieces.listed("pieces", []) == []


@pytest.mark.parametrize("wrong", [None, 3, b"MThd", {"a": 1}, io.BytesIO(), object()])
def test_what_is_no_piece_is_said(wrong):
    for take in (pieces.one, pieces.listed):
        with pytest.raises(UserError, match="`piece"):
            take("piece", wrong)
    with pytest.raises(UserError, match=r"`pieces\[1\]"):
        pieces.listed("pieces", [MIDDLE_C, wrong])


def test_a_pretty_midi_that_no_file_could_hold_is_refused():
    midi = pretty_midi.PrettyMIDI()
    midi.instruments.append(pretty_midi.Instrument(0))
    midi.instruments[0].notes.append(pretty_midi.Note(80, 60, -1.0, 2.0))
    with pytest.raises(UserError, match="`piece=PrettyMIDI`: a note at an impossible time"):
        pieces.one("piece", midi)
    midi.instruments[0].notes[:] = ["C4"]
    with pytest.raises(UserError, match="`piece=PrettyMIDI`: cannot be read as MIDI"):
        pieces.one("piece", midi)
