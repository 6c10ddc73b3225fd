"""Files of converted examples come back as they were, or are made anew; never anything else."""

import json
import logging
import shutil
import threading
import time

import numpy as np
import pytest

from music_vae import data
from music_vae.common.errors import UserError
from music_vae.dataset import disk_cache, loading
from music_vae.dataset.example_store import Packed, PieceGroups, Store, pack
from music_vae.music.converters.base import Example


def example(outputs, inputs=None, controls=None):
    outputs = np.array(outputs, np.int16)
    return Example(
        outputs if inputs is None else np.array(inputs, np.int16),
        outputs,
        None if controls is None else np.array(controls, np.int8),
        np.array(len(outputs), np.int32),
    )


MIXED = [
    PieceGroups([[example([1, 2, 3]), example([4], [5])], [example([6, 7])]], [1, 0, 0]),
    PieceGroups([[], [example([8, 9], [10, 11])]], [0, 0, 1]),
]


def rows(store, numbers):
    taken = store.take(np.array(numbers))
    return taken.inputs.tolist(), taken.outputs.tolist(), taken.length.tolist()


def check_mixed(store):
    assert rows(store, [3, 1, 0]) == (
        [[10, 11, -1], [5, -1, -1], [1, 2, 3]],
        [[8, 9, -1], [4, -1, -1], [1, 2, 3]],
        [2, 1, 3],
    )
    assert rows(store, [2]) == ([[6, 7]], [[6, 7]], [2])
    assert (store.num_examples, store.num_pieces, store.num_base_examples) == (4, 2, 2)
    groups = store.groups(np.array([0, 2]))
    assert [array.tolist() for array in store.bounds(groups)] == [[2, 3], [1, 1]]
    assert store.is_base(store.groups(np.array([1, 0]))).tolist() == [True, True]


def test_examples_of_all_lengths_come_back():
    check_mixed(Store(pack(MIXED, 3)))


@pytest.mark.parametrize("limit_bytes", [0, 1, 10**9])
def test_what_is_added_bit_by_bit_comes_back(tmp_path, limit_bytes):
    writer = disk_cache.Writer(tmp_path, limit_bytes=limit_bytes)
    for piece in MIXED:
        writer.append(pack([piece], 3))
    check_mixed(Store(writer.packed()))
    assert bool(list(tmp_path.iterdir())) == (limit_bytes < 2)


def test_an_empty_store_has_nothing(tmp_path):
    writer = disk_cache.Writer(tmp_path, limit_bytes=0)
    writer.append(pack([], 3))
    store = Store(writer.packed())
    assert (store.num_examples, store.num_pieces) == (0, 0)


@pytest.fixture
def cached(tmp_path, monkeypatch, tunes, tiny_config):
    """A function that loads the tunes with the cache, and the folder once it is there."""
    monkeypatch.setenv("MUSIC_VAE_CACHE", str(tmp_path))

    def load(config=tiny_config):
        return data.load(data.TFRecords(str(tunes)), config, augment=True, cache="disk")

    return load


def folders(tmp_path):
    return sorted(tmp_path.glob("examples/*"))


def arrays(music):
    return [array.tolist() for array in music.store.packed]


def test_a_second_run_converts_nothing(cached, tmp_path, monkeypatch):
    first = cached()
    (folder,) = folders(tmp_path)
    assert {path.name for path in folder.iterdir()} > {"index.json", "outputs.bin"}
    monkeypatch.setattr("music_vae.dataset.conversion.Conversion.__call__", None)
    second = cached()
    assert isinstance(second.store.packed.outputs, np.memmap)
    assert arrays(first) == arrays(second)
    assert (
        str(first)
        == str(second)
        == ("3 sequences gave 31 examples (skipped: time signature 2/4: 1)")
    )


def test_other_settings_other_music_and_other_code_are_converted_anew(
    cached, tmp_path, tiny_config, tunes, monkeypatch
):
    cached()
    other = tiny_config.replace(note_sequence_augmenter=None)
    cached(other)
    cached(other.replace(hparams=other.hparams.replace(batch_size=3)))  # the same
    assert len(folders(tmp_path)) == 2
    copy = tmp_path / "copy.tfrecord"
    shutil.copy(tunes, copy)
    data.load(data.TFRecords(str(copy)), other, cache="disk")
    assert len(folders(tmp_path)) == 2  # the same music under another name
    data.load(data.TFRecords(f"{copy},{tunes}"), other, cache="disk")
    assert len(folders(tmp_path)) == 3
    monkeypatch.setattr(loading, "__version__", "99")
    cached(other)
    assert len(folders(tmp_path)) == 4


def truncate(folder):
    path = folder / "outputs.bin"
    path.write_bytes(path.read_bytes()[:-1])


def flip_a_bit(folder):
    path = folder / "outputs.bin"
    content = bytearray(path.read_bytes())
    content[7] ^= 1
    path.write_bytes(content)


def change_index(change):
    def apply(folder):
        index = json.loads((folder / "index.json").read_text())
        change(index)
        (folder / "index.json").write_text(json.dumps(index))

    return apply


def forge(name, array):
    """Another array under a right checksum, as someone would who means harm."""

    def apply(folder):
        path = folder / f"{name}.bin"
        path.unlink(missing_ok=True)
        file = disk_cache._ArrayFile(path, array)
        file.write(array)
        file.close()
        change_index(lambda index: index["arrays"].update({name: file.entry()}))(folder)

    return apply


DAMAGES = {
    "cut off": truncate,
    "a bit": flip_a_bit,
    "no file": lambda folder: (folder / "steps.bin").unlink(),
    "no index": lambda folder: (folder / "index.json").unlink(),
    "no json": lambda folder: (folder / "index.json").write_text("{"),
    "a list": lambda folder: (folder / "index.json").write_text("[]"),
    "another version": change_index(lambda index: index.update(format_version=0)),
    "no counts": change_index(lambda index: index.update(skipped=["none"])),
    "endless counts": change_index(lambda index: index["skipped"].update(x=float("inf"))),
    "endless sequences": change_index(lambda index: index.update(num_sequences=float("inf"))),
    "lists without end": lambda folder: (folder / "index.json").write_text("[" * 100_000),
    "objects": change_index(lambda index: index["arrays"]["outputs"].update(dtype="|O")),
    "no shape": change_index(lambda index: index["arrays"]["outputs"].update(shape=[])),
    "a shape too large": change_index(lambda i: i["arrays"]["outputs"].update(shape=[10**18])),
    "steps beyond the end": forge("steps", np.full(31, 99, np.int32)),
    "negative steps": forge("steps", np.array([-32, 96] + [32] * 29, np.int32)),
    "too few steps": forge("steps", np.full(30, 32, np.int32)),
    "groups beyond the end": forge("groups", np.full((2, 11), 2, np.int64)),
    "numbers with a fraction": forge("groups", np.zeros((2, 11))),
    "one column more": forge("outputs", np.zeros((31 * 32, 0, 3), np.int16)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cache_is_said_and_made_anew(cached, tmp_path, caplog, damage):
    def warnings():
        return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]

    expected = arrays(cached())
    (folder,) = folders(tmp_path)
    DAMAGES[damage](folder)
    assert arrays(cached()) == expected
    (warning,) = warnings()
    assert "is damaged" in warning
    assert folders(tmp_path) == [folder]
    caplog.clear()
    assert arrays(cached()) == expected
    assert not warnings()


def test_a_conversion_that_fails_leaves_nothing(tmp_path, monkeypatch, tiny_config, tunes):
    from music_vae.common.errors import UserError
    from music_vae.dataset import tfrecord

    monkeypatch.setenv("MUSIC_VAE_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "odd.tfrecord"
    tfrecord.write_records(path, [*tfrecord.read_records(tunes), b"\xff"])
    with pytest.raises(UserError, match=r"record 4 of .*odd.tfrecord is not a NoteSequence"):
        data.load(data.TFRecords(str(path)), tiny_config, cache="disk")
    assert not list((tmp_path / "cache" / "examples").iterdir())


def test_processes_that_make_the_same_cache_at_once_agree(cached, tmp_path):
    found = []
    threads = [threading.Thread(target=lambda: found.append(arrays(cached()))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1] == found[2]
    assert len(folders(tmp_path)) == 1
    assert len(list((tmp_path / "examples").iterdir())) == 1


def test_one_of_two_processes_converts_and_the_other_waits(cached, monkeypatch, caplog):
    made = []
    write_files = loading._write_files

    def slow(*arguments, **options):
        time.sleep(0.3)
        made.append(write_files(*arguments, **options))

    monkeypatch.setattr(loading, "_write_files", slow)
    caplog.set_level("INFO", logger="music_vae")
    threads = [threading.Thread(target=cached) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert "another process is converting the same music; waiting for it" in caplog.text


def test_a_disk_that_loses_what_is_written_is_said(cached, monkeypatch):
    write_index = disk_cache.write_index

    def lose(folder, writer, **counts):
        write_index(folder, writer, **counts)
        (folder / "steps.bin").write_bytes(b"")

    monkeypatch.setattr(disk_cache, "write_index", lose)
    with pytest.raises(UserError, match=r"cannot be read back: .*; is its disk well\?"):
        cached()


def test_examples_that_went_to_files_are_found_from_another_working_directory(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("MUSIC_VAE_CACHE", "relative")
    monkeypatch.chdir(tmp_path)
    writer = disk_cache.Writer(None, limit_bytes=0)
    writer.append(pack(MIXED, 3))
    assert writer.directory.parent == tmp_path / "relative"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    check_mixed(Store(writer.packed()))


def test_every_array_has_its_place_in_the_index():
    assert set(disk_cache._KINDS) == set(Packed._fields)
