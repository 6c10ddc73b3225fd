"""Conversion in processes: in order, and with one clear error when something goes wrong."""

import os
import signal

import pytest

from music_vae import data
from music_vae.common.errors import UserError
from music_vae.dataset import conversion, tfrecord
from music_vae.music.converters.melody import OneHotMelodyConverter


# Processes import these from this module.
class DyingConverter(OneHotMelodyConverter):
    def extract_all(self, sequences):
        os.kill(os.getpid(), signal.SIGKILL)


class RaisingConverter(OneHotMelodyConverter):
    def extract_all(self, sequences):
        raise ZeroDivisionError("no bars")


@pytest.mark.parametrize("cache", ["memory", "none"])
@pytest.mark.parametrize("num_processes", [0, 1])
def test_a_converter_that_raises_is_one_error_that_names_the_record(
    tunes, tiny_config, num_processes, cache
):
    config = tiny_config.replace(data_converter=RaisingConverter())
    with pytest.raises(
        UserError, match=r"record 1 of .*tunes.tfrecord cannot be converted: ZeroDivisionError: no"
    ):
        music = data.load(
            data.TFRecords(str(tunes)), config, num_processes=num_processes, cache=cache
        )
        next(data.evaluation_batches(music, config))


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_a_process_that_dies_is_one_error_that_names_the_records(tunes, tiny_config, cache):
    config = tiny_config.replace(data_converter=DyingConverter())
    with pytest.raises(UserError, match=r"converted record 1 of .* to record 3 of .* died"):
        music = data.load(data.TFRecords(str(tunes)), config, num_processes=2, cache=cache)
        next(data.evaluation_batches(music, config))


def test_chunks_are_short_and_keep_the_order(tunes, monkeypatch):
    records = list(data.TFRecords(str(tunes)).records())
    monkeypatch.setattr(conversion, "CHUNK_RECORDS", 2)
    assert [(c.first, len(c.records)) for c in conversion.chunks(records)] == [(0, 2), (2, 1)]
    monkeypatch.setattr(conversion, "CHUNK_BYTES", 1)
    assert [c.first for c in conversion.chunks(records)] == [0, 1, 2]
    assert [r for c in conversion.chunks(records) for r in c.records] == records


def test_a_record_says_where_it_is_from(tmp_path):
    path = tmp_path / "odd.tfrecord"
    tfrecord.write_records(path, [b"", b"\xff\xff"])
    with pytest.raises(UserError, match=r"record 2 of .*odd\.tfrecord is not a NoteSequence"):
        list(data.read_note_sequences(str(path)))


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_what_is_left_of_a_damaged_file_does_not_depend_on_the_processes(
    tunes, tiny_config, tmp_path, monkeypatch, cache
):
    monkeypatch.setattr(conversion, "CHUNK_RECORDS", 2)
    path, damaged = tmp_path / "tunes.tfrecord", bytearray(3 * tunes.read_bytes())
    damaged[12] ^= 1
    path.write_bytes(damaged[:-5])
    drawn = []
    for num_processes in (0, 2):
        source = data.TFRecords(str(path), max_damaged=0.3)
        music = data.load(
            source, tiny_config, augment=True, num_processes=num_processes, cache=cache
        )
        epoch = music.shuffled(tiny_config, seed=1, epoch=0)
        drawn.append(epoch.take(1000).outputs.tolist())
        assert "7 sequences gave" in str(music)
        assert "damaged record: 2" in str(music)
        music.close()
    assert drawn[0] == drawn[1]


def test_music_that_was_kept_under_a_loose_limit_is_not_used_under_a_strict_one(
    tunes, tiny_config, tmp_path
):
    path, damaged = tmp_path / "tunes.tfrecord", bytearray(tunes.read_bytes())
    damaged[12] ^= 1
    path.write_bytes(damaged)
    loose, strict = data.TFRecords(str(path), max_damaged=0.5), data.TFRecords(str(path))
    for _ in range(2):  # the second time from files
        assert data.load(loose, tiny_config, cache="disk").skipped["damaged record"] == 1
    with pytest.raises(UserError, match="1 of 3 records"):
        data.load(strict, tiny_config, cache="disk")
