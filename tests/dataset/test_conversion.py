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
