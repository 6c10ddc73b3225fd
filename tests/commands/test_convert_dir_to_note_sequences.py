"""A folder of music becomes one TFRecord file, whatever single files in it do."""

import hashlib
import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest

from music_vae.commands import convert_dir_to_note_sequences as command
from music_vae.common import lazy_imports
from music_vae.dataset import tfrecord
from support import music_folder
from support.paths import TUNES


@pytest.fixture
def folder(tmp_path):
    return music_folder.make(tmp_path / "songs")


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
        "       1  ABC in an unknown key (K:)",
    ]
    assert "skipped a.MIDI: not a MIDI file: it does not start with MThd" in caplog.messages
    assert "skipped tunes of sub/c.abc: 1 ABC in an unknown key (K:)" in caplog.messages


def test_the_output_does_not_depend_on_the_number_of_workers(tmp_path):
    outputs = []
    for workers in (1, 3):
        output = tmp_path / f"{workers}.tfrecord"
        assert run("--input_dir", TUNES, "--output_file", output, "--num_workers", workers) == 0
        outputs.append(output.read_bytes())
    assert outputs[0] == outputs[1]
    names = [sequence.filename for sequence in sequences(tmp_path / "1.tfrecord")]
    assert names == sorted(path.name for path in TUNES.glob("*.mid"))


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
        (
            ["--input_dir={0}/empty", "--output_file={0}/o"],
            ".mid, .midi, .kar, .rmi, .xml, .musicxml, .mxl, ",
        ),
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


def test_help_names_all_flags_and_needs_no_note_seq():
    code = (
        "import sys; from music_vae.commands import convert_dir_to_note_sequences as c;"
        "assert c.main(['--help']) == 0; assert not {'note_seq', 'tensorflow'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for flag in ("input_dir", "output_file", "[no]recursive", "num_workers", "log"):
        assert re.search(rf"--{re.escape(flag)}\b", done.stdout)
