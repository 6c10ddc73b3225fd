"""The Groove MIDI Dataset: its own split, from its folder, its zip, or TensorFlow Datasets."""

import shutil
import sys
import types
import zipfile
from pathlib import Path

import groove
import pytest

from music_vae import data
from support.paths import TUNES

TUNE = TUNES / "soldiers_joy.mid"
HEADER = "drummer,session,id,style,bpm,beat_type,time_signature,midi_filename,split"
ROWS = (
    "drummer2,s1,d2/s1/1,jazz,90,beat,4-4,drummer2/s1/1.mid,test",
    "drummer1,s1,d1/s1/2,rock/slow,120,fill,4-4,drummer1/s1/2.mid,train",
    "drummer1,s1,d1/s1/1,funk,138,beat,4-4,drummer1/s1/1.mid,validation",
    "drummer1,s1,d1/s1/3,funk,138,beat,4-4,drummer1/s1/3.mid,train",
)


@pytest.fixture
def dataset(tmp_path):
    """A folder with four recordings in its list, of which one is missing; one is not listed."""
    root = tmp_path / "groove"
    for name in ("drummer1/s1/1", "drummer1/s1/2", "drummer2/s1/1", "drummer2/s1/9"):
        path = root / f"{name}.mid"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TUNE, path)
    (root / "info.csv").write_text("\n".join((HEADER, *ROWS)) + "\n")
    return root


def run(*arguments):
    return groove.main([str(argument) for argument in arguments])


def found(output):
    return {
        split: [
            (s.filename, s.sequence_metadata.title)
            for s in data.read_note_sequences(str(output / f"{split}.tfrecord"))
        ]
        for split in ("train", "validation", "test")
    }


def zipped(dataset):
    path = dataset.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as file:
        for member in dataset.rglob("*.*"):
            file.write(member, Path("groove") / member.relative_to(dataset))
    return path


@pytest.mark.parametrize("source", [lambda d: d, lambda d: d.parent, zipped])
def test_the_official_split_is_kept(dataset, tmp_path, capsys, source):
    output = tmp_path / "out"
    assert run(f"--input={source(dataset)}", f"--output_dir={output}") == 0
    assert found(output) == {
        "train": [("drummer1/s1/2.mid", "rock/slow")],
        "validation": [("drummer1/s1/1.mid", "funk")],
        "test": [("drummer2/s1/1.mid", "jazz")],
    }
    printed = capsys.readouterr().out
    assert "     1 skipped: listed in info.csv, but not readable or not there" in printed
    assert "     1 skipped: not listed in info.csv" in printed


def test_tensorflow_datasets_gives_the_same(tmp_path, monkeypatch):
    asked = []

    def load(name, split, **_):
        asked.append((name, split))
        return [{"midi": TUNE.read_bytes()}]

    fake = types.ModuleType("tensorflow_datasets")
    fake.load, fake.as_numpy = load, iter
    fake.core = types.SimpleNamespace(
        registered=types.SimpleNamespace(DatasetNotFoundError=KeyError)
    )
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", fake)
    assert run("--tfds", f"--output_dir={tmp_path}") == 0
    assert asked == [("groove/full-midionly", s) for s in ("train", "validation", "test")]
    assert all(len(part) == 1 for part in found(tmp_path).values())


@pytest.mark.parametrize(
    ("change", "flags", "message"),
    [
        (None, [], "give --input or --tfds, one of the two"),
        (None, ["--input={0}", "--tfds"], "give --input or --tfds, one of the two"),
        (None, ["--input={0}/drummer1"], "holds 0 files info.csv; expected one"),
        (("test", "tset"), ["--input={0}"], "line 2: the split is 'tset'"),
        ((",train", ","), ["--input={0}"], "line 3: no split"),
        (("drummer", "nobody"), ["--input={0}"], "lists no recording that can be read"),
    ],
)
def test_a_users_mistake_is_one_line(dataset, tmp_path, capsys, change, flags, message):
    if change:
        info = dataset / "info.csv"
        info.write_text(info.read_text().replace(*change).replace("nobody,", "drummer,", 1))
    flags = [flag.format(dataset) for flag in flags]
    assert run(*flags, f"--output_dir={tmp_path / 'out'}") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
