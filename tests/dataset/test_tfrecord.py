"""TFRecord files: TensorFlow reads what we write, and damage is named."""

import gzip
import struct
import zlib
from collections import Counter
from pathlib import Path

import pytest

from music_vae import data
from music_vae.common.errors import UserError
from music_vae.dataset import sources, tfrecord

RECORDS = [b"", b"one", bytes(range(256)) * 20_000]


def write(path: Path, records=RECORDS) -> bytes:
    assert tfrecord.write_records(path, iter(records)) == len(records)
    return path.read_bytes()


def test_records_come_back_as_they_were_written(tmp_path):
    write(tmp_path / "a.tfrecord")
    assert list(tfrecord.read_records(tmp_path / "a.tfrecord")) == RECORDS


def test_the_bytes_of_a_small_record_are_those_of_the_format(tmp_path):
    # Golden value: what tf.io.TFRecordWriter writes for b"abc".
    expected = bytes.fromhex("0300000000000000b099490e6162636e57f121")
    assert write(tmp_path / "a.tfrecord", [b"abc"]) == expected


def test_no_records_make_an_empty_file_that_reads_as_no_records(tmp_path):
    assert write(tmp_path / "a.tfrecord", []) == b""
    assert list(tfrecord.read_records(tmp_path / "a.tfrecord")) == []


def test_a_gzipped_file_reads_the_same(tmp_path):
    path = tmp_path / "a.tfrecord"
    path.write_bytes(gzip.compress(write(path)))
    assert list(tfrecord.read_records(path)) == RECORDS


def test_an_error_while_writing_leaves_the_old_file_and_no_temporary_one(tmp_path):
    path = tmp_path / "a.tfrecord"
    write(path, [b"old"])

    def failing():
        yield b"new"
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        tfrecord.write_records(path, failing())
    assert list(tfrecord.read_records(path)) == [b"old"]
    assert list(tmp_path.iterdir()) == [path]


def test_tensorflow_reads_our_files_and_we_read_those_of_tensorflow(tmp_path):
    import tensorflow as tf

    ours, theirs, zipped = (str(tmp_path / name) for name in ("ours", "theirs", "zipped"))
    data = write(Path(ours))
    assert [item.numpy() for item in tf.data.TFRecordDataset(ours)] == RECORDS
    for path, options in ((theirs, None), (zipped, "GZIP")):
        with tf.io.TFRecordWriter(path, options) as writer:
            for record in RECORDS:
                writer.write(record)
        assert list(tfrecord.read_records(path)) == RECORDS
    assert Path(theirs).read_bytes() == data


def change(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


FIRST = 8 + 4 + 3 + 4  # bytes of the record b"one"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: change(data, 0), "record 1 has a length whose checksum is wrong; is this a"),
        (lambda data: change(data, 13), "record 1 has data whose checksum is wrong"),
        (lambda data: change(data, FIRST), "record 2 has a length whose checksum is wrong; the f"),
        (lambda data: change(data, FIRST + 13), "record 2 has data whose checksum is wrong"),
        (lambda data: data[: FIRST + 5], "record 2 is cut off in its header"),
        (lambda data: data[: FIRST + 14], "record 2 is cut off: 2 of 7 bytes are left"),
        (lambda data: b"MThd, not a record", "record 1 has a length whose checksum is wrong"),
    ],
)
@pytest.mark.parametrize("compress", [False, True], ids=["plain", "gzip"])
def test_damage_is_named_with_file_and_record(tmp_path, damage, message, compress):
    path = tmp_path / "a.tfrecord"
    data = damage(write(path, [b"one", b"two"]))
    path.write_bytes(gzip.compress(data) if compress else data)
    with pytest.raises(UserError) as error:
        list(tfrecord.read_records(path))
    assert f"{path}: {message}" in str(error.value)


def test_a_damaged_gzip_file_is_named(tmp_path):
    path = tmp_path / "a.tfrecord"
    packed = gzip.compress(write(path))
    for content in (packed[:-20], change(packed, len(packed) - 6), packed[:30] + b"\xff" * 30):
        path.write_bytes(content)
        with pytest.raises(UserError, match="damaged gzip data"):
            list(tfrecord.read_records(path))


def with_length(length: int) -> bytes:
    packed = struct.pack("<Q", length)
    return packed + struct.pack("<I", tfrecord._masked_crc(packed))


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("length", [2**31 - 1, 2**63])
def test_a_huge_length_is_refused_without_allocating_it(tmp_path, length, compress):
    import tracemalloc

    path = tmp_path / "a.tfrecord"
    data = with_length(length) + b"x"
    path.write_bytes(gzip.compress(data) if compress else data)
    tracemalloc.start()
    with pytest.raises(UserError, match=r"cut off: 1 of|more than a record can hold"):
        list(tfrecord.read_records(path))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 8 * tfrecord._PIECE_BYTES


def test_a_missing_file_and_a_folder_are_the_users_to_mend(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        list(tfrecord.read_records(tmp_path / "none"))
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        list(tfrecord.read_records(tmp_path))


def test_patterns_expand_to_sorted_files_each_once(tmp_path):
    for name in ("b.tfrecord", "a.tfrecord", "c,d.tfrecord", "sub/e.tfrecord"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    def names(patterns):
        return [
            path.relative_to(tmp_path).as_posix() for path in tfrecord.expand_patterns(patterns)
        ]

    assert names(f"{tmp_path}/b.tfrecord") == ["b.tfrecord"]
    assert names(f"{tmp_path}/[ab].tfrecord") == ["a.tfrecord", "b.tfrecord"]
    assert names(f"{tmp_path}/b.tfrecord, {tmp_path}/?.tfrecord") == ["a.tfrecord", "b.tfrecord"]
    assert names(f"{tmp_path}/c,d.tfrecord") == ["c,d.tfrecord"]
    assert "sub/e.tfrecord" in names(f"{tmp_path}/**/*.tfrecord")


def test_patterns_understand_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.tfrecord").touch()
    assert tfrecord.expand_patterns("~/*.tfrecord") == [tmp_path / "a.tfrecord"]


@pytest.mark.parametrize(
    ("patterns", "message"),
    [("", "no file name given"), (" , ", "no file name given"), ("{0}", "is a directory; give")],
)
def test_patterns_without_a_name_or_with_a_folder_are_refused(tmp_path, patterns, message):
    with pytest.raises(UserError, match=message):
        tfrecord.expand_patterns(patterns.format(tmp_path))


def test_a_pattern_that_matches_nothing_is_named_even_among_others(tmp_path):
    (tmp_path / "a").touch()
    with pytest.raises(UserError, match=r"no file matches .*/b\*"):
        tfrecord.expand_patterns(f"{tmp_path}/a,{tmp_path}/b*")


def test_a_damaged_record_is_skipped_named_and_counted(tmp_path, caplog):
    path = tmp_path / "a.tfrecord"
    path.write_bytes(change(write(path, [b"one", *([b"x"] * 198), b"end"]), 13))
    skipped = Counter()
    records = list(data.TFRecords(str(path)).records(skipped))
    assert [record.number for record in records] == list(range(2, 201))
    assert skipped == {"damaged record": 1}
    assert caplog.messages == [
        f"{path}: record 1 has data whose checksum is wrong; the file is damaged; left out"
    ]


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "gzip"])
def test_a_file_whose_rest_cannot_be_found_counts_as_one_damaged_record(tmp_path, caplog, compress):
    first, second = tmp_path / "1.tfrecord", tmp_path / "2.tfrecord"
    content = write(first, [b"one", b"two", b"three"])[: FIRST + 14]
    first.write_bytes(gzip.compress(content) if compress else content)
    write(second, [b"x"] * 100)
    skipped = Counter()
    source = data.TFRecords(f"{tmp_path}/*.tfrecord")
    records = list(source.records(skipped))
    assert [record.data for record in records] == [b"one", *[b"x"] * 100]
    assert skipped == {"damaged record": 1}
    (line,) = caplog.messages
    assert f"{first}: record 2 is cut off: 2 of 7 bytes are left; {FIRST} " in line
    assert ("of its unpacked data were read" if compress else f"of {FIRST + 14} bytes") in line
    list(source.records())
    assert len(caplog.messages) == 1  # not again for every epoch


def test_damaged_gzip_data_ends_its_file_alone(tmp_path):
    first, second = tmp_path / "1.tfrecord", tmp_path / "2.tfrecord"
    first.write_bytes(gzip.compress(write(first, [b"one", b"two"]))[:-8])
    write(second, [b"x"] * 200)
    assert len(list(data.TFRecords(f"{tmp_path}/*.tfrecord").records())) == 202


@pytest.mark.parametrize(
    ("number", "share", "message"),
    [
        (50, 0.01, r"1 of 50 records of .* is damaged, more than `max_damaged=0.01` allows; the"),
        (50, 0.02, None),
        (50, 0.0, "more than `max_damaged=0` allows"),
        (1, 1.0, "a.tfrecord: record 1 has data whose checksum is wrong"),
    ],
)
def test_only_a_small_share_may_be_damaged(tmp_path, number, share, message):
    path = tmp_path / "a.tfrecord"
    path.write_bytes(change(write(path, [b"one"] * number), 13))
    records = data.TFRecords(str(path), share).records()
    if message is None:
        assert len(list(records)) == number - 1
        return
    with pytest.raises(UserError, match=message):
        list(records)


def test_several_damaged_records_and_no_other_are_one_error(tmp_path, caplog):
    path = tmp_path / "a.tfrecord"
    path.write_bytes(2 * change(write(path, [b"one"]), 13))
    with pytest.raises(UserError, match=r"2 of 2 records of .* are damaged, none is left"):
        list(data.TFRecords(str(path), 1.0).records())
    assert not caplog.messages  # the error says it


OTHERS = {
    "tf_examples": "0a140a120a06696e7075747312081a060a0401020304",
    "sequence_examples": "12160a140a06696e70757473120a0a081a060a0401020304",
    "midi": b"MThd\0\0\0\6\0\1\0\2\1\xe0MTrk".hex(),
}


@pytest.mark.parametrize("name", OTHERS)
def test_records_of_another_kind_are_said_to_be_so(tmp_path, name):
    path = tmp_path / "a.tfrecord"
    write(path, [bytes.fromhex(OTHERS[name])] * 3)
    records = list(data.TFRecords(str(path)).records())
    for read in (sources.scores, lambda _: list(data.read_note_sequences(str(path)))):
        with pytest.raises(UserError, match=r"these records are not NoteSequences: record 1 of"):
            read(records)


def test_a_file_packed_with_zlib_is_said_to_be_so(tmp_path):
    path = tmp_path / "a.tfrecord"
    path.write_bytes(zlib.compress(write(path)))
    with pytest.raises(UserError, match=r"these records are not NoteSequences: .* with zlib"):
        list(data.TFRecords(str(path)).records())
