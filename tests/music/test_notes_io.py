"""Music files: what they give, and that broken or hostile ones are refused quickly and by name."""

import struct
import subprocess
import sys
import time
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from music_vae.common import lazy_imports
from music_vae.common.errors import UserError
from music_vae.music import notes_io
from music_vae.music.notes_io import UnreadableMusicError, read_file, read_music_file
from music_vae.music.readers import midi_structure
from support.midi_bytes import END_OF_TRACK, chunk, header
from support.paths import TUNES

C_MAJOR_TRIAD_XML = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 3.1 Partwise//EN"
  "http://www.musicxml.org/dtds/partwise.dtd">
<score-partwise version="3.1">
  <part-list><score-part id="P1"><part-name>Flute</part-name></score-part></part-list>
  <part id="P1"><measure number="1">
    <attributes><divisions>1</divisions><key><fifths>0</fifths></key>
      <time><beats>3</beats><beat-type>4</beat-type></time></attributes>
    <note><pitch><step>C</step><octave>4</octave></pitch><duration>1</duration></note>
    <note><pitch><step>E</step><octave>4</octave></pitch><duration>1</duration></note>
    <note><pitch><step>G</step><octave>4</octave></pitch><duration>1</duration></note>
  </measure></part>
</score-partwise>
"""

TWO_TUNES_ABC = """%abc-2.1
M:4/4
A book of tunes

X:1
T:Up
L:1/4
K:C
CDEF|

Between tunes stands text.

X:2
T:Down
L:1/4
K:C
fedc|
"""

CONTAINER = """<?xml version="1.0"?><container><rootfiles>
<rootfile full-path="songs/triad.xml"/></rootfiles></container>"""

BILLION_LAUGHS = """<?xml version="1.0"?>
<!DOCTYPE score-partwise [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><score-partwise>&c;</score-partwise>"""

NOTE = b"\x00\x90\x3c\x40\x60\x80\x3c\x00"
BAD_DIVISIONS = "MusicXML whose divisions of a quarter note are no positive number"


def quantity(value: int) -> bytes:
    """A variable-length quantity."""
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(value & 0x7F | 0x80)
    return bytes(reversed(digits))


def midi(*tracks: bytes, division: int = 96, claimed_tracks: int | None = None) -> bytes:
    count = len(tracks) if claimed_tracks is None else claimed_tracks
    return header(count, division=division) + b"".join(map(chunk, tracks))


BOMB = midi(b"\x00\x90\x3c\x40" + quantity(2**28 - 1) + b"\x80\x3c\x00" + END_OF_TRACK)


def saved(path: Path, data: bytes | str) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def mxl(path: Path, files: dict[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def reason(path: Path) -> str:
    with pytest.raises(UnreadableMusicError) as error:
        read_music_file(path)
    assert str(error.value).startswith(f"{path}: {error.value.reason}")
    assert "\n" not in str(error.value)
    assert isinstance(error.value, UserError)
    return error.value.reason


def pitches(sequence) -> list[int]:
    return [note.pitch for note in sequence.notes]


@pytest.mark.parametrize("path", sorted(TUNES.glob("*.mid")), ids=lambda path: path.stem)
def test_every_tune_of_the_examples_is_read(path):
    (sequence,) = read_music_file(path)
    assert len(sequence.notes) > 100


def test_a_midi_note_comes_with_its_pitch_velocity_and_times_in_seconds(tmp_path):
    (sequence,) = read_music_file(saved(tmp_path / "a.MID", midi(NOTE + END_OF_TRACK)))
    (note,) = sequence.notes
    assert (note.pitch, note.velocity) == (60, 64)
    assert (note.start_time, note.end_time) == (0, pytest.approx(0.5))


@pytest.mark.parametrize("suffix", [".xml", ".musicxml", ".XML"])
def test_musicxml_is_read(tmp_path, suffix):
    (sequence,) = read_music_file(saved(tmp_path / f"a{suffix}", C_MAJOR_TRIAD_XML))
    assert pitches(sequence) == [60, 64, 67]
    assert sequence.total_time == pytest.approx(1.5)


def test_musicxml_in_utf_16_is_read(tmp_path):
    text = C_MAJOR_TRIAD_XML.replace("UTF-8", "UTF-16")
    (sequence,) = read_music_file(saved(tmp_path / "a.xml", text.encode("utf-16")))
    assert pitches(sequence) == [60, 64, 67]


@pytest.mark.parametrize("suffix", [".mxl", ".MXL"])
def test_compressed_musicxml_is_read(tmp_path, suffix):
    files = {"META-INF/container.xml": CONTAINER, "songs/triad.xml": C_MAJOR_TRIAD_XML}
    (sequence,) = read_music_file(mxl(tmp_path / f"a{suffix}", files))
    assert pitches(sequence) == [60, 64, 67]


def test_each_tune_of_an_abc_file_is_a_sequence_and_text_between_them_is_not(tmp_path):
    reading = read_file(saved(tmp_path / "a.abc", TWO_TUNES_ABC))
    assert [sequence.reference_number for sequence in reading.sequences] == [1, 2]
    assert [pitches(sequence) for sequence in reading.sequences] == [
        [60, 62, 64, 65],
        [77, 76, 74, 72],
    ]
    assert [sequence.time_signatures[0].numerator for sequence in reading.sequences] == [4, 4]
    assert not reading.skipped


def test_windows_line_ends_and_latin_1_titles_are_understood_in_abc(tmp_path):
    text = TWO_TUNES_ABC.replace("T:Up", "T:Pêcheur").replace("\n", "\r\n")
    first, _ = read_music_file(saved(tmp_path / "a.abc", text.encode("latin-1")))
    assert first.sequence_metadata.title == "Pêcheur"


def test_broken_tunes_of_an_abc_file_are_counted_by_reason_and_the_others_kept(tmp_path):
    broken = (
        "\nX:5\nK:H\nCDEF|\n"  # H is not a key
        "\nX:6\nK:H\nCDEF|\n"
        "\nX:7\nK:C\n"  # no notes
        "\nX:2\nK:C\nCDEF|\n"  # a number that is taken
    )
    reading = read_file(saved(tmp_path / "a.abc", TWO_TUNES_ABC + broken))
    assert len(reading.sequences) == 2
    assert reading.skipped == {
        "ABC in an unknown key (K:)": 2,
        "no notes": 1,
        "ABC reference number (X:) used before in its file": 1,
    }


def test_an_abc_file_without_a_readable_tune_says_why(tmp_path):
    one_reason = "X:1\nK:H\nCDE|\n\nX:2\nK:H\nCDE|\n"
    expected = "ABC in an unknown key (K:)"
    assert reason(saved(tmp_path / "a.abc", one_reason)) == expected
    two_reasons = one_reason + "\nX:3\nK:C\n"
    assert reason(saved(tmp_path / "b.abc", two_reasons)) == "no tune of the ABC file can be read"
    assert reason(saved(tmp_path / "c.abc", "Dear diary")) == "not ABC"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "not a MIDI file"),
        (b"RIFF" + bytes(40), "not a MIDI file"),
        (midi(NOTE + END_OF_TRACK)[:-10], "damaged MIDI"),
        (midi(NOTE + END_OF_TRACK)[:25], "damaged MIDI"),
        (midi(b"\x00\x3c\x40" + END_OF_TRACK), "damaged MIDI"),  # running status of nothing
        (midi(b"\x00\xf4" + END_OF_TRACK), "no notes"),  # an undefined status
        (midi(b"\x00\xf0\x00\x00\x01" + END_OF_TRACK), "damaged MIDI"),  # ... of sysex
        (midi(b"\xff" * 1000 + END_OF_TRACK), "damaged MIDI"),  # an endless delta time
        (midi(NOTE + END_OF_TRACK, division=-4312), "MIDI in an unknown time"),
        (midi(NOTE + END_OF_TRACK, division=0), "MIDI without a length of a beat"),
        (midi(), "MIDI without tracks"),
        (midi(END_OF_TRACK), "no notes"),
        (midi(b"\x00\xff\x59\x02\xff\xff" + END_OF_TRACK), "no notes"),
        (midi(b"\x00\x90\xbc\x40" + END_OF_TRACK), "no notes"),
        (midi(b""), "no notes"),
    ],
)
def test_broken_midi_is_refused_with_a_reason(tmp_path, data, expected):
    assert reason(saved(tmp_path / "a.mid", data)).startswith(expected)


def test_running_status_meta_events_and_sysex_are_understood(tmp_path):
    track = b"\x00\x90\x3c\x40" + b"\x00\xff\x01\x01a" + b"\x60\x3c\x00" + b"\x00\xf0\x02\x01\xf7"
    (sequence,) = read_music_file(saved(tmp_path / "a.mid", midi(track + END_OF_TRACK)))
    assert pitches(sequence) == [60]


def test_37_bytes_of_midi_that_ask_for_6_gigabytes_are_refused_at_once(tmp_path):
    assert len(BOMB) == 37
    path = saved(tmp_path / "bomb.mid", BOMB)
    lazy_imports.import_note_seq()
    tracemalloc.start()
    start = time.monotonic()
    assert reason(path) == "longer than 100,000 quarter notes"
    seconds = time.monotonic() - start
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seconds < 1
    assert peak_bytes < 1 << 20


def test_pretty_midi_has_its_own_tick_limit_again(tmp_path):
    import io

    lazy_imports.import_note_seq()
    import pretty_midi

    with pytest.raises(ValueError, match="largest tick"):
        pretty_midi.PrettyMIDI(io.BytesIO(BOMB))


def test_midi_of_too_many_quarter_notes_or_seconds_is_refused(tmp_path):
    one_long_note = b"\x00\x90\x3c\x40" + quantity(200_000) + b"\x80\x3c\x00" + END_OF_TRACK
    many_quarters = midi(one_long_note, division=1)
    assert reason(saved(tmp_path / "a.mid", many_quarters)) == "longer than 100,000 quarter notes"
    sixteen_seconds_per_quarter = b"\x00\xff\x51\x03\xf4\x24\x00"
    slow = midi(sixteen_seconds_per_quarter + one_long_note, division=20)
    assert reason(saved(tmp_path / "b.mid", slow)) == "longer than 24 hours"


def test_files_over_the_size_and_event_limits_are_refused(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.mid", midi(NOTE * 100 + END_OF_TRACK))
    monkeypatch.setattr(midi_structure, "MAX_MIDI_EVENTS", 150)
    assert reason(path) == "MIDI with more than 150 events"
    monkeypatch.setattr(notes_io, "MAX_MIDI_BYTES", 1 << 19)
    with open(path, "ab") as file:
        file.truncate(1 << 20)
    assert reason(path).startswith("larger than")


def test_entity_bombs_are_refused_in_any_encoding(tmp_path):
    assert reason(saved(tmp_path / "a.xml", BILLION_LAUGHS)) == "XML with entity declarations"
    wide = BILLION_LAUGHS.replace('"1.0"', '"1.0" encoding="UTF-16"').encode("utf-16")
    assert reason(saved(tmp_path / "b.xml", wide)) == "XML with entity declarations"
    for container, score in ((BILLION_LAUGHS, "<a/>"), (CONTAINER, BILLION_LAUGHS)):
        files = {"META-INF/container.xml": container, "songs/triad.xml": score}
        assert reason(mxl(tmp_path / "c.mxl", files)) == "XML with entity declarations"


def test_zip_bombs_are_refused_whether_they_declare_their_size_or_lie(tmp_path):
    limit = notes_io.MAX_TEXT_BYTES
    files = {"META-INF/container.xml": CONTAINER, "songs/triad.xml": bytes(limit + 1)}
    honest = mxl(tmp_path / "a.mxl", files)
    assert honest.stat().st_size < 100_000
    assert reason(honest) == "larger than 50 MiB when unpacked"
    data = honest.read_bytes().replace(struct.pack("<L", limit + 1), struct.pack("<L", 1000))
    tracemalloc.start()
    assert reason(saved(tmp_path / "b.mxl", data)).startswith("cannot be read as compressed")
    assert tracemalloc.get_traced_memory()[1] < 10 << 20
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"a.xml": C_MAJOR_TRIAD_XML}, "compressed MusicXML without a score"),
        ({"META-INF/container.xml": CONTAINER}, "compressed MusicXML without a score"),
        ({"META-INF/container.xml": "<container/>"}, "compressed MusicXML without a score"),
        ({"META-INF/container.xml": "<contain"}, "not well-formed XML"),
    ],
)
def test_archives_without_a_score_are_refused(tmp_path, files, expected):
    assert reason(mxl(tmp_path / "a.mxl", files)) == expected


def test_archives_that_are_none_or_packed_otherwise_are_refused(tmp_path):
    path = saved(tmp_path / "a.mxl", C_MAJOR_TRIAD_XML)
    assert reason(path) == "cannot be read as compressed MusicXML"
    files = {"META-INF/container.xml": CONTAINER, "songs/triad.xml": C_MAJOR_TRIAD_XML}
    packed = mxl(tmp_path / "b.mxl", files, zipfile.ZIP_BZIP2)
    assert reason(packed) == "compressed MusicXML with an unknown compression method"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("</part>", "</prt>"), "not well-formed XML"),
        (("score-partwise", "score-timewise"), "MusicXML in time-wise order"),
        (("score-partwise", "html"), "not MusicXML"),
        (('encoding="UTF-8"', 'encoding="klingon"'), "not well-formed XML"),
        (("<octave>4", "<octave>14"), "a pitch outside 0..127"),
        (("<duration>1<", "<duration>999999<"), "longer than 24 hours"),
        (("<duration>1<", "<duration>-1<"), "a note at an impossible time"),
        (("<duration>1<", "<duration>much<"), "a note whose duration is no number"),
        (("<divisions>1<", "<divisions>0<"), BAD_DIVISIONS),
        (("<divisions>1<", "<divisions>-4<"), BAD_DIVISIONS),
        (("<divisions>1<", "<divisions>many<"), BAD_DIVISIONS),
    ],
)
def test_broken_musicxml_is_refused_with_a_reason(tmp_path, change, expected):
    path = saved(tmp_path / "a.xml", C_MAJOR_TRIAD_XML.replace(*change))
    assert reason(path) == expected


def test_a_missing_file_a_folder_and_an_unknown_suffix_are_refused(tmp_path):
    assert reason(tmp_path / "none.mid") == "no such file"
    (tmp_path / "folder.mid").mkdir()
    assert reason(tmp_path / "folder.mid") == "a folder; expected a file of music"
    assert reason(tmp_path) == "a folder; expected a file of music"
    assert reason(saved(tmp_path / "a.wav", b"RIFF")).startswith("unknown kind of music file; exp")


def test_midi_is_written_and_read_back_the_same(tmp_path):
    (sequence,) = read_music_file(TUNES / "bach_bwv10_7.mid")
    # One note is held while another of its pitch begins, where MIDI has no way to hold it.
    (held,) = (n for n in sequence.notes if (n.pitch, n.start_time) == (67, 36))
    held.end_time = 37
    notes_io.write_midi(sequence, tmp_path / "out" / "a.mid")
    (again,) = read_music_file(tmp_path / "out" / "a.mid")

    def notes(music):
        return sorted(
            (n.pitch, n.velocity, n.program, n.start_time, n.end_time) for n in music.notes
        )

    assert len(notes(again)) == len(notes(sequence))
    for written, read in zip(notes(sequence), notes(again), strict=True):
        assert read == pytest.approx(written, abs=1e-3)


def as_others_read(path):
    """Pitch, start and end in seconds of the notes in a MIDI file, by note-ons and note-offs."""
    import mido

    time, sounding, found = 0.0, {}, []
    for message in mido.MidiFile(path):
        time += message.time
        if message.type == "note_on" and message.velocity:
            sounding[message.channel, message.note] = time
        elif message.type in ("note_on", "note_off"):
            start = sounding.pop((message.channel, message.note))
            found.append((message.note, round(start, 2), round(time, 2)))
    assert not sounding
    return sorted(found)


@pytest.mark.parametrize("is_drum", [True, False])
def test_a_written_note_ends_where_the_next_of_its_pitch_begins(tmp_path, is_drum):
    sequence = lazy_imports.import_note_seq().NoteSequence(tempos=[{"qpm": 120}])
    for pitch, start, end in [(38, 0, 0.5), (38, 0.25, 0.75), (42, 0.1, 0.6), (38, 0.75, 1)]:
        note = {"pitch": pitch, "start_time": start, "end_time": end, "is_drum": is_drum}
        sequence.notes.add(velocity=80, **note)
    before = sequence.SerializeToString()
    notes_io.write_midi(sequence, tmp_path / "a.mid")
    assert sequence.SerializeToString() == before
    expected = [(38, 0, 0.25), (38, 0.25, 0.75), (38, 0.75, 1), (42, 0.1, 0.6)]
    assert as_others_read(tmp_path / "a.mid") == expected


def test_notes_of_one_pitch_that_begin_or_end_together_are_written_as_they_are(tmp_path):
    sequence = lazy_imports.import_note_seq().NoteSequence(tempos=[{"qpm": 120}])
    for start, end, velocity in [(0, 1, 80), (0.001, 1, 90), (0.5, 1.001, 70)]:
        sequence.notes.add(pitch=60, start_time=start, end_time=end, velocity=velocity)
    notes_io.write_midi(sequence, tmp_path / "a.mid")
    (again,) = read_music_file(tmp_path / "a.mid")
    found = [(n.velocity, round(n.start_time, 2), round(n.end_time, 2)) for n in again.notes]
    assert sorted(found) == [(70, 0.5, 1), (80, 0, 1), (90, 0, 1)]


def test_instrument_zero_may_have_several_programs_when_written(tmp_path):
    (sequence,) = read_music_file(saved(tmp_path / "a.mid", midi(NOTE + END_OF_TRACK)))
    for program, is_drum in ((40, False), (0, True)):
        note = sequence.notes.add()
        note.CopyFrom(sequence.notes[0])
        note.program, note.is_drum = program, is_drum
    before = sequence.SerializeToString()
    notes_io.write_midi(sequence, tmp_path / "b.mid")
    assert sequence.SerializeToString() == before
    (again,) = read_music_file(tmp_path / "b.mid")
    assert {(n.program, n.is_drum) for n in again.notes} == {(0, False), (40, False), (0, True)}


def test_a_failed_write_leaves_no_file_and_a_folder_is_refused(tmp_path):
    (sequence,) = read_music_file(saved(tmp_path / "a.mid", midi(NOTE + END_OF_TRACK)))
    sequence.notes[0].pitch = 999
    with pytest.raises(ValueError, match=r"0\.\.127"):
        notes_io.write_midi(sequence, tmp_path / "b.mid")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mid"]
    with pytest.raises(UserError, match="is a directory"):
        notes_io.write_midi(sequence, tmp_path)


def test_importing_is_instant_and_note_seq_comes_later_without_its_ffmpeg_warning():
    code = (
        "import sys; from music_vae.common import lazy_imports; "
        "from music_vae.music import notes_io; "
        "assert 'note_seq' not in sys.modules; lazy_imports.import_note_seq(); "
        "assert 'tensorflow' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "ffmpeg" not in done.stderr


@pytest.mark.parametrize(("qpm", "written"), [(1, 3.58), (3.5, 3.58)])
def test_a_tempo_that_midi_does_not_hold_is_clipped_with_a_line(tmp_path, caplog, qpm, written):
    (sequence,) = read_music_file(saved(tmp_path / "a.mid", midi(NOTE + END_OF_TRACK)))
    del sequence.tempos[:]
    sequence.tempos.add(qpm=qpm)
    notes_io.write_midi(sequence, tmp_path / "b.mid")
    (message,) = caplog.messages
    assert message.startswith(f"MIDI holds no tempo of {qpm:g}; written as ")
    (again,) = read_music_file(tmp_path / "b.mid")
    assert notes_io.tempo_of(again) == pytest.approx(written, abs=5e-3)
    assert again.notes[0].end_time == pytest.approx(sequence.notes[0].end_time, abs=0.1)
    assert sequence.tempos[0].qpm == qpm


@pytest.mark.parametrize("qpm", [1, 2, 3.5, 3.58, 3.6, 6e7, 1e9])
def test_a_piece_may_be_given_any_tempo_and_written(tmp_path, caplog, qpm):
    (sequence,) = read_music_file(saved(tmp_path / "a.mid", midi(NOTE + END_OF_TRACK)))
    piece = notes_io.with_tempo(sequence, qpm)
    assert piece.tempos[0].qpm == pytest.approx(min(max(qpm, 3.58), 6e7), abs=5e-3)
    # A quarter note, whatever the tempo.
    assert piece.notes[0].end_time == pytest.approx(60 / piece.tempos[0].qpm)
    assert len(caplog.messages) == (not 3.58 <= qpm <= 6e7)
    notes_io.write_midi(piece, tmp_path / "b.mid")
