"""`music_vae_preprocess` and the Beam path of `convert_dir_to_note_sequences`, from end to end."""

import shutil
import signal
import sys
from collections import Counter

import pytest

from music_vae import data
from music_vae.commands import convert_dir_to_note_sequences, preprocess
from music_vae.common.interrupts import Terminated
from music_vae.configs import CONFIG_MAP
from music_vae.dataset import tfrecord
from support.paths import TUNES


@pytest.fixture
def command(tunes, tmp_path):
    def run(*flags):
        return preprocess.main(
            [
                f"--input_tfrecord={tunes}",
                f"--output_tfrecord={tmp_path / 'out' / 'unique.tfrecord'}",
                "--config=cat-mel_2bar_small",
                *flags,
            ]
        )

    return run


@pytest.fixture(scope="module")
def beam():
    return pytest.importorskip("apache_beam", reason="the extra 'beam' is not installed")


def records(pattern):
    return [
        r for path in tfrecord.expand_patterns(str(pattern)) for r in tfrecord.read_records(path)
    ]


def test_a_damaged_record_is_left_out_and_counted_unless_there_are_more_than_allowed(
    beam, command, tunes, tmp_path, capsys
):
    path, damaged = tmp_path / "damaged.tfrecord", bytearray(tunes.read_bytes())
    damaged[12] ^= 1
    path.write_bytes(damaged)
    assert command(f"--input_tfrecord={path}", "--output_shards=1", "--max_damaged=0.5") == 0
    output = capsys.readouterr().out
    assert "2  sequences read" in output
    assert "1  damaged record" in output
    assert command(f"--input_tfrecord={path}", "--output_shards=1") == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert f"1 of 3 records of {path} is damaged, more than --max_damaged=0.01 allows" in error


def test_records_of_another_kind_are_said_to_be_so(beam, command, tmp_path, capsys):
    path = tmp_path / "tf_examples.tfrecord"
    record = bytes.fromhex("0a140a120a06696e7075747312081a060a0401020304")
    tfrecord.write_records(path, [record] * 3)
    assert command(f"--input_tfrecord={path}", "--output_shards=1") == 2
    assert f"{path}: these records are not NoteSequences" in capsys.readouterr().err


def test_each_unique_example_is_written_once_with_its_sources(
    beam, command, tunes, tmp_path, capsys
):
    from music_vae.dataset.preprocessing import examples_of

    twice = tmp_path / "twice.tfrecord"
    sequences = list(data.read_note_sequences(str(tunes)))
    sequences.append(type(sequences[0])())
    sequences[-1].CopyFrom(sequences[0])
    for number, sequence in enumerate(sequences):
        sequence.id = f"tune{number}"
    tfrecord.write_records(twice, [s.SerializeToString() for s in sequences])
    assert command(f"--input_tfrecord={twice}", "--output_shards=3") == 0

    pattern = tmp_path / "out" / "unique.tfrecord-*-of-00003"
    output = capsys.readouterr().out
    assert f"Wrote {pattern}" in output
    assert "4  sequences read" in output
    assert "1  time signature 2/4" in output
    assert len(list(pattern.parent.iterdir())) == 3

    converter = CONFIG_MAP["cat-mel_2bar_small"].data_converter
    expected = {}
    for sequence in sequences:
        record = sequence.SerializeToString()
        for example, source in examples_of(record, converter, None, Counter()):
            expected.setdefault(example, set()).add(source)
    found = {}
    for sequence in data.read_note_sequences(str(pattern)):
        sources, sequence.id = sequence.id, ""
        found[sequence.SerializeToString(deterministic=True)] = set(sources.split(","))
    assert found == expected
    assert {"tune0", "tune3"} in found.values()
    assert f"{len(expected)}  unique examples" in output


def test_training_reads_the_examples(beam, command, tmp_path, tiny_config):
    assert command("--output_shards=1") == 0
    source = data.TFRecords(str(tmp_path / "out" / "unique.tfrecord"))
    music = data.load(source, tiny_config, augment=True)
    assert music.num_sequences == music.num_examples > 20
    batch, _ = next(data.TrainingBatches(music, tiny_config, seed=0))
    assert batch.inputs.shape == (8, 32, 90)


def test_filters_are_counted(beam, command, capsys):
    assert command("--max_num_notes=100") == 2
    error = capsys.readouterr().err
    assert "there are no examples in" in error
    assert "3 more than 100 notes" in error
    assert command("--max_num_notes=1", "--noenable_filtering") == 0


def test_several_processes_give_the_same(beam, command, tmp_path, tunes):
    assert command("--output_shards=1") == 0
    output = tmp_path / "out" / "unique.tfrecord"
    expected = sorted(records(output))
    options = "--runner=DirectRunner,--direct_num_workers=2,--direct_running_mode=multi_processing"
    assert command("--output_shards=1", f"--pipeline_options={options}") == 0
    assert sorted(records(output)) == expected


def test_a_file_without_records_is_one_line(beam, command, tmp_path, capsys):
    damaged = tmp_path / "damaged.tfrecord"
    damaged.write_bytes(b"this is no TFRecord file, but a text")
    assert command(f"--input_tfrecord={damaged}") == 2
    error = capsys.readouterr().err
    assert f"1 of 1 records of {damaged} is damaged, none is left" in error
    assert error.count("\n") == 1


def test_a_pipeline_that_fails_is_one_line(beam, command, capsys, monkeypatch):
    def fail(*_):
        raise RuntimeError("a worker of the runner\nhas gone")

    monkeypatch.setattr("music_vae.dataset.beam_pipelines._write", fail)
    assert command() == 2
    error = capsys.readouterr().err
    assert "the pipeline failed (--log=DEBUG says where): has gone" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (RuntimeError("has gone"), 2, "the pipeline failed (--log=DEBUG says where): has gone"),
        (KeyboardInterrupt(), 130, "music_vae_preprocess: interrupted"),
        (Terminated(signal.SIGTERM), 143, "music_vae_preprocess: terminated"),
    ],
)
def test_an_end_within_the_pipeline_is_one_line(
    beam, command, tmp_path, capsys, caplog, monkeypatch, error, code, line
):
    def fail(*_):
        raise error

    monkeypatch.setattr("music_vae.dataset.preprocessing.examples_of", fail)
    caplog.set_level("INFO", "music_vae")
    assert command() == code
    assert line in capsys.readouterr().err
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_folder_is_converted_by_beam_as_it_is_without(beam, tmp_path, capsys):
    folder = tmp_path / "songs"
    folder.mkdir()
    for name in ("soldiers_joy.mid", "fishers_hornpipe.mid"):
        shutil.copy(TUNES / name, folder)
    (folder / "empty.mid").write_bytes(b"")
    flags = [f"--input_dir={folder}", f"--output_file={tmp_path / 'plain'}"]
    assert convert_dir_to_note_sequences.main(flags) == 0
    plain = capsys.readouterr().out
    options = "--pipeline_options=--runner=DirectRunner"
    flags = [f"--input_dir={folder}", f"--output_file={tmp_path / 'beam'}", options]
    assert convert_dir_to_note_sequences.main(flags) == 0
    assert sorted(records(tmp_path / "beam")) == sorted(records(tmp_path / "plain"))
    assert capsys.readouterr().out == plain.replace("/plain", "/beam")
    assert convert_dir_to_note_sequences.main([*flags, "--output_shards=2"]) == 0
    assert sorted(records(tmp_path / "beam-*-of-00002")) == sorted(records(tmp_path / "plain"))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--config="], "--config is required"),
        (["--config=cat"], "unknown config 'cat'"),
        (["--input_tfrecord="], "--input_tfrecord is required"),
        (["--output_tfrecord="], "--output_tfrecord is required"),
        (["--output_shards=0"], "--output_shards"),
        (["--output_tfrecord=/dev/null/out"], "is not a directory"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(command, capsys, flags, message):
    assert command(*flags) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_missing_input_is_said(beam, command, capsys):
    assert command("--input_tfrecord=nowhere*") == 2
    assert "no file matches nowhere*" in capsys.readouterr().err


def test_without_beam_the_error_says_what_to_install(command, capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    assert command() == 2
    expected = "music_vae_preprocess needs Apache Beam: pip install 'music_vae[beam]'\n"
    assert capsys.readouterr().err == f"music_vae_preprocess: {expected}"
    flags = [f"--input_dir={TUNES}", f"--output_file={tmp_path / 'x'}", "--pipeline_options=--a=b"]
    assert convert_dir_to_note_sequences.main(flags) == 2
    assert "--pipeline_options needs Apache Beam: pip install" in capsys.readouterr().err


def test_shards_are_for_beam_alone(tmp_path, capsys):
    flags = [f"--input_dir={TUNES}", f"--output_file={tmp_path / 'x'}", "--output_shards=2"]
    assert convert_dir_to_note_sequences.main(flags) == 2
    assert "--output_shards needs --pipeline_options" in capsys.readouterr().err
