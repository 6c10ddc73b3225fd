"""A folder of music becomes one TFRecord file, whatever single files in it do."""

import hashlib
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from music_vae.commands import convert_dir_to_note_sequences as command
from music_vae.commands.convert_dir_to_note_sequences import Conversion
from music_vae.common import lazy_imports, pools
from music_vae.dataset import tfrecord
from support.paths import TUNES

ABC = "X:1\nL:1/4\nK:C\nCDEF|\n\nX:7\nL:1/4\nK:C\nfedc|\n\nX:8\nK:C\n(3CDE|\n"
MUSICXML = """<score-partwise><part-list><score-part id="P1"/></part-list><part id="P1">
<measure><attributes><divisions>1</divisions></attributes>
<note><pitch><step>C</step><octave>4</octave></pitch><duration>1</duration></note>
</measure></part></score-partwise>"""


@pytest.fixture
def folder(tmp_path):
    """A folder with two MIDI files, one of them broken, an ABC file, a MusicXML file and others."""
    root = tmp_path / "songs"
    (root / "sub").mkdir(parents=True)
    shutil.copy(TUNES / "soldiers_joy.mid", root / "b.mid")
    (root / "a.MIDI").write_bytes(b"not music")
    (root / "sub" / "c.abc").write_text(ABC)
    (root / "sub" / "d.xml").write_text(MUSICXML)
    (root / "readme.txt").write_text("no music")
    (root / "loop").symlink_to(root, target_is_directory=True)
    return root


def run(*arguments) -> int:
    return command.main([str(argument) for argument in arguments])


def sequences(path: Path) -> list:
    note_sequence = lazy_imports.import_note_seq().NoteSequence
    return [note_sequence.FromString(record) for record in tfrecord.read_records(path)]


def sha1(text: str) -> str:
    return hashlib.sha1(text.encode()).hexdigest()


def test_a_folder_is_converted_with_ids_names_and_a_summary(folder, tmp_path, capsys, caplog):
    output = tmp_path / "out" / "songs.tfrecord"
    caplog.set_level(logging.INFO)
    assert run(f"--input_dir={folder}/", f"--output_file={output}", "--recursive") == 0
    found = sequences(output)
    assert [(s.filename, s.id) for s in found] == [
        ("b.mid", f"/id/midi/songs/{sha1('b.mid')}"),
        ("sub/c.abc", f"/id/abc/songs/{sha1('sub/c.abc_1')}"),
        ("sub/c.abc", f"/id/abc/songs/{sha1('sub/c.abc_7')}"),
        ("sub/d.xml", f"/id/musicxml/songs/{sha1('sub/d.xml')}"),
    ]
    assert {s.collection_name for s in found} == {"songs"}
    assert all(s.notes for s in found)
    assert capsys.readouterr().out.splitlines() == [
        f"Converted 3 of 4 files to 4 sequences in {output}",
        "Skipped 1 file:",
        "       1  not a MIDI file",
        "Skipped 1 ABC tune:",
        "       1  cannot be read as ABC (TupletError)",
    ]
    assert "skipped a.MIDI: not a MIDI file: it does not start with MThd" in caplog.messages
    assert "skipped tunes of sub/c.abc: 1 cannot be read as ABC (TupletError)" in caplog.messages


def test_the_output_does_not_depend_on_the_number_of_workers(tmp_path):
    outputs = []
    for workers in (1, 3):
        output = tmp_path / f"{workers}.tfrecord"
        assert run("--input_dir", TUNES, "--output_file", output, "--num_workers", workers) == 0
        outputs.append(output.read_bytes())
    assert outputs[0] == outputs[1]
    names = [sequence.filename for sequence in sequences(tmp_path / "1.tfrecord")]
    assert names == sorted(path.name for path in TUNES.glob("*.mid"))


def test_subfolders_are_searched_only_when_asked_and_links_to_folders_never(folder, caplog):
    caplog.set_level(logging.DEBUG, logger="music_vae")
    assert command.find_music_files(folder, recursive=False) == ["a.MIDI", "b.mid"]
    everything = command.find_music_files(folder, recursive=True)
    assert everything == ["a.MIDI", "b.mid", "sub/c.abc", "sub/d.xml"]
    assert "files with other suffixes, ignored: 1" in caplog.messages


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output_file={0}/o"], "--input_dir is required"),
        (["--input_dir={0}/songs"], "--output_file is required"),
        (["--input_dir={0}/none", "--output_file={0}/o"], "none: no such folder"),
        (["--input_dir={0}/songs/b.mid", "--output_file={0}/o"], "b.mid is not a folder"),
        (["--input_dir={0}/songs", "--output_file={0}"], "is a folder; expected a file name"),
        (["--input_dir={0}/songs", "--output_file={0}/songs/b.mid/o"], "cannot make"),
        (["--input_dir={0}", "--output_file={0}/o"], "its subfolders hold 4: give --recursive"),
        (["--input_dir={0}/empty", "--output_file={0}/o"], ".mid, .midi, .xml, .musicxml, .mxl, "),
        (["--input_dir={0}/songs", "--output_file={0}/o", "--num_workers=0"], "num_workers"),
        (["--input_dir={0}/songs", "--output_file={0}/o", "extra"], "unexpected argument"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(folder, tmp_path, capsys, arguments, message):
    (tmp_path / "empty").mkdir()
    assert run(*(argument.format(tmp_path) for argument in arguments)) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not captured.out
    assert not (tmp_path / "o").exists()


def test_a_folder_without_any_readable_music_is_an_error_that_keeps_the_old_output(
    tmp_path, capsys
):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.mid").write_bytes(b"x")
    output = tmp_path / "o"
    output.write_text("old")
    assert run(f"--input_dir={tmp_path}/in", f"--output_file={output}") == 2
    assert "none of the 1 music files can be converted: 1 not a MIDI" in capsys.readouterr().err
    assert output.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "o"]


def test_file_names_that_are_not_utf_8_are_converted(tmp_path):
    name = os.fsdecode(b"caf\xe9.mid")
    try:
        shutil.copy(TUNES / "soldiers_joy.mid", tmp_path / name)
    except OSError:
        pytest.skip("this file system has UTF-8 names only")
    conversion = command.convert_file(name, root=tmp_path, collection="songs")
    sequence = lazy_imports.import_note_seq().NoteSequence.FromString(conversion.records[0])
    assert sequence.filename == "caf\N{REPLACEMENT CHARACTER}.mid"
    assert sequence.id.endswith(hashlib.sha1(b"caf\xe9.mid").hexdigest())


def test_a_file_that_takes_too_long_is_skipped(folder, monkeypatch):
    monkeypatch.setattr(command, "MAX_FILE_S", 0.05)
    monkeypatch.setattr(command.notes_io, "read_file", lambda _: time.sleep(10))
    conversion = command.convert_file("b.mid", root=folder, collection="songs")
    assert conversion.reason.startswith("takes longer than")


def test_abc_that_makes_the_parser_backtrack_for_ages_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "MAX_FILE_S", 0.5)
    lazy_imports.import_note_seq()
    (tmp_path / "a.abc").write_text("X:1\nL:1/4\nK:C\n[" + "A11111" * 40)
    conversion = command.convert_file("a.abc", root=tmp_path, collection="songs")
    assert conversion.reason.startswith("takes longer than")


# What stands in for reading a file in the tests below; workers import it from this module.
def misbehave(name: str, once: str = "") -> Conversion:
    if name.startswith("kill") or (name == "once" and not os.path.exists(once)):
        if name == "once":
            Path(once).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "hoard":
        try:
            bytearray(2 * pools.MAX_WORKER_BYTES)
        except MemoryError:
            return Conversion(name, reason="needs too much memory")
    return Conversion(name)


def test_a_worker_that_dies_takes_only_its_own_file_with_it():
    names = ["a", "kill 1", "b", "c", "kill 2", "kill 3", *"defghijkl"]
    results = list(command.convert_files(names, misbehave, num_workers=2))
    assert [result.name for result in results] == names
    reasons = {result.name: result.reason for result in results if result.reason}
    died = "the process that read it died"
    assert reasons == {"kill 1": died, "kill 2": died, "kill 3": died}


def test_a_file_that_ends_a_worker_only_once_is_converted_in_the_end(tmp_path):
    work = partial(misbehave, once=str(tmp_path / "mark"))
    results = list(command.convert_files(["once", "a"], work, num_workers=1))
    assert [(result.name, result.reason) for result in results] == [("once", ""), ("a", "")]


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on memory is Linux's")
def test_a_worker_has_a_limit_on_memory():
    (result,) = command.convert_files(["hoard"], misbehave, num_workers=1)
    assert result.reason == "needs too much memory"


def test_help_names_all_flags_and_needs_no_note_seq():
    code = (
        "import sys; from music_vae.commands import convert_dir_to_note_sequences as c;"
        "assert c.main(['--help']) == 0; assert not {'note_seq', 'tensorflow'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for flag in ("input_dir", "output_file", "[no]recursive", "num_workers", "log"):
        assert re.search(rf"--{re.escape(flag)}\b", done.stdout)
