"""Files of a folder are found and converted, whatever single ones of them do."""

import hashlib
import logging
import os
import shutil
import signal
import struct
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from music_vae.common import lazy_imports, pools
from music_vae.dataset import music_files
from music_vae.dataset.music_files import ConvertedFile
from support import music_folder
from support.paths import MIDI, TUNES


@pytest.fixture
def folder(tmp_path):
    return music_folder.make(tmp_path / "songs")


def test_subfolders_are_searched_only_when_asked(folder, caplog):
    caplog.set_level(logging.DEBUG, logger="music_vae")
    assert music_files.find_music_files(folder, recursive=False) == ["a.MIDI", "b.mid"]
    everything = music_files.find_music_files(folder, recursive=True)
    assert everything == ["a.MIDI", "b.mid", "sub/c.abc", "sub/d.xml"]
    assert "files with other suffixes, ignored: 1" in caplog.messages


def test_file_names_that_are_not_utf_8_are_converted(tmp_path):
    name = os.fsdecode(b"caf\xe9.mid")
    try:
        shutil.copy(TUNES / "soldiers_joy.mid", tmp_path / name)
    except OSError:
        pytest.skip("this file system has UTF-8 names only")
    conversion = music_files.convert_file(name, root=tmp_path, collection="songs")
    sequence = lazy_imports.import_note_seq().NoteSequence.FromString(conversion.records[0])
    assert sequence.filename == "caf\N{REPLACEMENT CHARACTER}.mid"
    assert sequence.id.endswith(hashlib.sha1(b"caf\xe9.mid").hexdigest())


def test_a_file_that_takes_too_long_is_skipped(folder, monkeypatch):
    monkeypatch.setattr(music_files, "MAX_FILE_S", 0.05)
    monkeypatch.setattr(music_files.notes_io, "read_file", lambda _: time.sleep(10))
    conversion = music_files.convert_file("b.mid", root=folder, collection="songs")
    assert conversion.reason.startswith("takes longer than")


def test_abc_that_made_a_parser_backtrack_for_ages_is_read_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(music_files, "MAX_FILE_S", 5)
    (tmp_path / "a.abc").write_text("X:1\nL:1/4\nK:C\n[" + "A11111" * 40)
    conversion = music_files.convert_file("a.abc", root=tmp_path, collection="songs")
    assert (conversion.reason, len(conversion.records)) == ("", 1)


def test_a_file_that_takes_ages_is_stopped(tmp_path, monkeypatch):
    def read_for_ages(path):
        while True:
            pass

    monkeypatch.setattr(music_files, "MAX_FILE_S", 0.5)
    monkeypatch.setattr(music_files.notes_io, "read_file", read_for_ages)
    (tmp_path / "a.abc").write_text("X:1\nK:C\nA")
    conversion = music_files.convert_file("a.abc", root=tmp_path, collection="songs")
    assert conversion.reason.startswith("takes longer than")


# What stands in for reading a file in the tests below; workers import it from this module.
def misbehave(name: str, once: str = "") -> ConvertedFile:
    if name.startswith("kill") or (name == "once" and not os.path.exists(once)):
        if name == "once":
            Path(once).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "hoard":
        try:
            bytearray(2 * pools.MAX_WORKER_BYTES)
        except MemoryError:
            return ConvertedFile(name, reason="needs too much memory")
    return ConvertedFile(name)


def test_a_worker_that_dies_takes_only_its_own_file_with_it():
    names = ["a", "kill 1", "b", "c", "kill 2", "kill 3", *"defghijkl"]
    results = list(music_files.convert_files(names, misbehave, num_processes=2))
    assert [result.name for result in results] == names
    reasons = {result.name: result.reason for result in results if result.reason}
    died = "the process that read it died"
    assert reasons == {"kill 1": died, "kill 2": died, "kill 3": died}


def test_a_file_that_ends_a_worker_only_once_is_converted_in_the_end(tmp_path):
    work = partial(misbehave, once=str(tmp_path / "mark"))
    results = list(music_files.convert_files(["once", "a"], work, num_processes=1))
    assert [(result.name, result.reason) for result in results] == [("once", ""), ("a", "")]


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on memory is Linux's")
def test_a_worker_has_a_limit_on_memory():
    (result,) = music_files.convert_files(["hoard"], misbehave, num_processes=1)
    assert result.reason == "needs too much memory"


def test_links_to_folders_are_followed_and_each_folder_is_searched_once(tmp_path):
    songs, elsewhere = tmp_path / "songs", tmp_path / "elsewhere"
    for folder in (songs / "own", elsewhere / "more"):
        folder.mkdir(parents=True)
        (folder / "a.mid").touch()
    (songs / "again").symlink_to(songs / "own")
    (songs / "link").symlink_to(elsewhere)
    (songs / "other").symlink_to(elsewhere)
    (elsewhere / "more" / "circle").symlink_to(songs)
    (songs / "nowhere").symlink_to(tmp_path / "missing")
    found = music_files.find_music_files(songs, recursive=True)
    assert found == ["link/more/a.mid", "own/a.mid"]
    assert music_files.find_music_files(songs, recursive=False) == []


def test_pieces_of_one_midi_file_have_ids_of_their_own(tmp_path):
    shutil.copy(MIDI / "kinds" / "type2.mid", tmp_path / "a.mid")
    converted = music_files.convert_file("a.mid", root=tmp_path, collection="c")
    note_sequence = lazy_imports.import_note_seq().NoteSequence
    sequences = [note_sequence.FromString(record) for record in converted.records]
    assert [len(sequence.notes) for sequence in sequences] == [16, 16]
    assert len({sequence.id for sequence in sequences}) == 2


def test_karaoke_and_riff_files_are_read_as_midi(tmp_path):
    data = (TUNES / "soldiers_joy.mid").read_bytes()
    info = b"LIST" + struct.pack("<L", 3) + b"abc\0"
    chunks = b"RMID" + info + b"data" + struct.pack("<L", len(data)) + data
    (tmp_path / "a.mid").write_bytes(data)
    (tmp_path / "a.kar").write_bytes(data)
    (tmp_path / "a.rmi").write_bytes(b"RIFF" + struct.pack("<L", len(chunks)) + chunks)
    (tmp_path / "b.rmi").write_bytes(data)
    (tmp_path / "cut.rmi").write_bytes(b"RIFF\0\0\0\0RMIDdata\xff\xff\xff\xff" + data[:40])
    (tmp_path / "none.rmi").write_bytes(b"RIFF\0\0\0\0RMIDLIST\x02\0\0\0ab")
    names = music_files.find_music_files(tmp_path, recursive=False)
    assert len(names) == 6
    converted = {n: music_files.convert_file(n, root=tmp_path, collection="c") for n in names}
    note_sequence = lazy_imports.import_note_seq().NoteSequence
    notes = [
        note_sequence.FromString(converted[name].records[0]).notes
        for name in ("a.mid", "a.kar", "a.rmi", "b.rmi")
    ]
    assert all(list(other) == list(notes[0]) for other in notes)
    assert converted["cut.rmi"].reason == "damaged MIDI"
    assert converted["none.rmi"].reason == "not a MIDI file"
