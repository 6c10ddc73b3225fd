"""Game music: from WAD files, zips, packages and folders to split TFRecords."""

import shutil
import struct
import subprocess
import zipfile

import games
import pytest

from music_vae import data
from music_vae.common.errors import UserError
from music_vae.music import notes_io
from support.paths import TUNES

NAMES = ("soldiers_joy.mid", "fishers_hornpipe.mid", "bach_bwv10_7.mid")


def wad(lumps, magic=b"IWAD"):
    """A WAD file of (name, contents)."""
    place, body, directory = 12, b"", b""
    for name, contents in lumps:
        directory += struct.pack("<ii8s", place, len(contents), name)
        body += contents
        place += len(contents)
    return magic + struct.pack("<ii", len(lumps), place) + body + directory


@pytest.fixture
def doom():
    """A WAD with a picture, three tunes and an empty marker."""
    tunes = [(f"D_E1M{n}".encode(), (TUNES / name).read_bytes()) for n, name in enumerate(NAMES)]
    return wad([(b"TITLEPIC", b"\x00\x01"), *tunes, (b"S_END", b"")])


def run(*arguments):
    return games.main([str(argument) for argument in arguments])


def names_in(folder):
    paths = ",".join(str(folder / f"{name}.tfrecord") for name in ("train", "validation", "test"))
    return sorted(sequence.filename for sequence in data.read_note_sequences(paths))


def test_the_lumps_of_a_wad_come_with_their_names(doom):
    lumps = dict(games.wad_lumps(doom))
    assert list(lumps) == ["TITLEPIC", "D_E1M0", "D_E1M1", "D_E1M2", "S_END"]
    assert lumps["D_E1M1"] == (TUNES / NAMES[1]).read_bytes()
    assert lumps["S_END"] == b""


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "no WAD"),
        (b"ZWAD" + bytes(8), "no WAD"),
        (b"IWAD" + struct.pack("<ii", 1, 12), "directory lies outside"),
        (b"IWAD" + struct.pack("<ii", -1, 12), "directory lies outside"),
        (b"IWAD" + struct.pack("<ii", 2**30, 12), "directory lies outside"),
        (
            b"IWAD" + struct.pack("<ii", 1, 12) + struct.pack("<ii8s", 4, 99, b"X"),
            "lump lies outside",
        ),
        (
            b"IWAD" + struct.pack("<ii", 1, 12) + struct.pack("<ii8s", -4, 4, b"X"),
            "lump lies outside",
        ),
    ],
)
def test_a_wad_that_is_none_or_damaged_is_refused(contents, message):
    with pytest.raises(UserError, match=message):
        list(games.wad_lumps(contents))


def test_names_of_lumps_cannot_lead_elsewhere(tmp_path):
    source = tmp_path / "evil.wad"
    source.write_bytes(wad([(b"../x", (TUNES / NAMES[0]).read_bytes())]))
    (tmp_path / "midi").mkdir()
    games.gather(source, tmp_path / "midi")
    assert [path.name for path in (tmp_path / "midi").iterdir()] == ["evil____x.mid"]


def test_a_folder_with_a_wad_and_a_zip_of_midi_become_tfrecords(doom, tmp_path, capsys):
    source = tmp_path / "games"
    source.mkdir()
    (source / "doom.wad").write_bytes(doom)
    archive = tmp_path / "more.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("songs/copy.mid", (TUNES / NAMES[0]).read_bytes())
        file.writestr("songs/broken.mid", b"MThd")
        file.writestr("songs/readme.txt", b"no music")
    output = tmp_path / "out"
    assert run(f"--input={source},{archive}", f"--output_dir={output}") == 0
    # The first of two copies stays, in the order of names.
    assert names_in(output) == ["copy.mid", "doom_D_E1M1.mid", "doom_D_E1M2.mid"]
    printed = capsys.readouterr().out
    assert f"     3 sequences in {output}/train.tfrecord" in printed
    assert "     1 skipped: a copy of another piece" in printed
    assert "     1 skipped: not a MIDI file" in printed
    first = {path.name: path.read_bytes() for path in output.iterdir()}
    assert run(f"--input={source},{archive}", f"--output_dir={output}") == 0
    assert {path.name: path.read_bytes() for path in output.iterdir()} == first


def test_two_files_of_one_name_are_both_kept(tmp_path):
    for folder, name in (("a", NAMES[0]), ("b", NAMES[1]), ("c", NAMES[0])):
        (tmp_path / folder).mkdir()
        shutil.copy(TUNES / name, tmp_path / folder / "song.mid")
        (tmp_path / "midi").mkdir(exist_ok=True)
        games.gather(tmp_path / folder, tmp_path / "midi")
    found = sorted(path.name for path in (tmp_path / "midi").iterdir())
    assert found == ["song.mid", "song_2.mid"]


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="makes a Debian package")
def test_files_whose_names_match_are_left_out(tmp_path, capsys):
    out = tmp_path / "out"
    assert run(f"--input={TUNES}", "--exclude=soldiers*, bach*", f"--output_dir={out}") == 0
    assert "fishers_hornpipe.mid" in names_in(out)
    assert not {"soldiers_joy.mid", "bach_bwv10_7.mid"} & set(names_in(out))
    assert "2 skipped: file that was excluded" in capsys.readouterr().out


def test_a_pattern_that_matches_no_file_is_a_mistake(tmp_path, capsys):
    arguments = (f"--input={TUNES}", "--exclude=*remix*", f"--output_dir={tmp_path / 'out'}")
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert "no file has a name that matches '*remix*' of --exclude" in error
    assert len(error.splitlines()) == 1


def test_a_debian_package_is_read_without_being_installed(doom, tmp_path):
    root = tmp_path / "package"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN" / "control").write_text(
        "Package: doom\nVersion: 1\nArchitecture: all\nMaintainer: me <me@x.y>\nDescription: x\n"
    )
    (root / "usr/share/games").mkdir(parents=True)
    (root / "usr/share/games/doom.wad").write_bytes(doom)
    package = tmp_path / "doom.deb"
    subprocess.run(
        ["dpkg-deb", "--build", str(root), str(package)], check=True, capture_output=True
    )
    names = [name for name, _ in games.midi_files(package)]
    assert names == [f"doom_D_E1M{n}.mid" for n in range(3)]


def test_lead_instruments_become_pianos_and_nothing_else_does(make_tune):
    flute = make_tune([(72, 1)], program=73)
    strings = make_tune([(72, 1)], program=48)
    bass = make_tune([(40, 1)], program=33)
    drums = make_tune([(36, 1)], program=73, drums=True)
    for sequence in (flute, strings, bass, drums):
        games.leads_as_piano(sequence)
    programs = [s.notes[0].program for s in (flute, strings, bass, drums)]
    assert programs == [0, 48, 33, 73]


def test_leads_as_piano_is_written_when_asked_for(tmp_path):
    from music_vae.common.lazy_imports import import_note_seq

    sequence = import_note_seq().NoteSequence()
    sequence.notes.add(pitch=70, velocity=80, start_time=0, end_time=1, program=73)
    (tmp_path / "in").mkdir()
    notes_io.write_midi(sequence, tmp_path / "in" / "flute.mid")
    for flag, program in (("--noleads_as_piano", 73), ("--leads_as_piano", 0)):
        assert run(f"--input={tmp_path}/in", f"--output_dir={tmp_path}/out", flag) == 0
        (found,) = data.read_note_sequences(str(tmp_path / "out" / "train.tfrecord"))
        assert found.notes[0].program == program


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--input={0}/none"], "none: no such file or folder"),
        (["--input={0}/empty"], "holds no MIDI and no WAD files"),
        (["--input={0}/text.zip"], "is not a folder or a zip that can be read"),
        (["--input={0}/evil.zip"], "which is not safe"),
        (["--input={0}/empty", "--test_share=1"], "leave nothing to train on"),
        ([], "no apt-get here"),
    ],
)
def test_a_users_mistake_is_one_line(tmp_path, capsys, monkeypatch, flags, message):
    monkeypatch.setattr(games.shutil, "which", lambda _: None)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.zip").write_text("no zip")
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as file:
        file.writestr("../../evil.mid", b"MThd")
    assert run(*(flag.format(tmp_path) for flag in flags), f"--output_dir={tmp_path}/out") == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(games.common, "MAX_ARCHIVE_BYTES", 1000)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.mid", bytes(2000))
    with pytest.raises(UserError, match="more than the"):
        list(games.midi_files(tmp_path / "bomb.zip"))
