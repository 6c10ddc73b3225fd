"""The two parts of a corpus: what is held out, and what is left to train on."""

from collections import Counter

import pytest

from music_vae.common.errors import UserError
from music_vae.data import TFRecords
from music_vae.dataset import tfrecord
from music_vae.dataset.holdout import Part

PIECES = [f"piece {n}".encode() for n in range(200)]


def source_of(path, pieces=PIECES):
    tfrecord.write_records(path, pieces)
    return TFRecords(str(path))


def contents(source, share, held_out):
    return [record.data for record in Part(source, share, held_out).records()]


def test_every_piece_is_in_one_of_the_two_parts(tmp_path):
    source = source_of(tmp_path / "a.tfrecord")
    for share in (0.001, 0.1, 0.5, 0.9):
        rest, held_out = (contents(source, share, part) for part in (False, True))
        assert sorted(rest + held_out) == sorted(PIECES)
        assert len(held_out) == max(1, round(share * len(PIECES)))


def test_the_same_pieces_are_held_out_whatever_their_order_and_their_files(tmp_path):
    source = source_of(tmp_path / "a.tfrecord")
    expected = set(contents(source, 0.1, True))
    source_of(tmp_path / "1.tfrecord", PIECES[:50:-1])
    source_of(tmp_path / "2.tfrecord", PIECES[:51])
    again = TFRecords(f"{tmp_path}/1.tfrecord,{tmp_path}/2.tfrecord")
    assert set(contents(again, 0.1, True)) == expected
    # They are no pattern of their places.
    places = [PIECES.index(piece) for piece in sorted(expected)]
    assert len({place % 10 for place in places}) > 3


def test_copies_of_a_piece_are_in_one_part(tmp_path):
    source = source_of(tmp_path / "a.tfrecord", PIECES * 3)
    rest, held_out = (Counter(contents(source, 0.1, part)) for part in (False, True))
    assert set(rest.values()) == set(held_out.values()) == {3}
    assert len(held_out) == 20


def test_too_few_pieces_are_refused(tmp_path):
    one = source_of(tmp_path / "one.tfrecord", [b"the same"] * 5)
    with pytest.raises(UserError, match=r"one\.tfrecord holds 1 different pieces, too few to"):
        list(Part(one, 0.1, True).records())
    two = source_of(tmp_path / "two.tfrecord", PIECES[:2])
    assert len(contents(two, 0.1, True)) == len(contents(two, 0.1, False)) == 1


@pytest.mark.parametrize("share", [0, 1, -0.1, float("nan"), "0.1"])
def test_what_is_no_share_is_refused(tmp_path, share):
    with pytest.raises(UserError, match="`share="):
        Part(TFRecords("a"), share, held_out=True)


def test_damaged_records_are_counted_once(tmp_path):
    source = source_of(tmp_path / "a.tfrecord")
    data = bytearray((tmp_path / "a.tfrecord").read_bytes())
    data[15] ^= 1  # in the first record
    (tmp_path / "a.tfrecord").write_bytes(data)
    skipped = Counter()
    found = list(Part(source, 0.1, held_out=False).records(skipped))
    assert skipped == {"damaged record": 1}
    assert len(found) == 179


def test_parts_have_fingerprints_of_their_own(tmp_path):
    source = source_of(tmp_path / "a.tfrecord")
    parts = [Part(source, share, part) for share in (0.1, 0.2) for part in (False, True)]
    prints = {part.fingerprint() for part in parts}
    assert len(prints) == 4
    assert source.fingerprint() not in prints
    assert Part(source, 0.1, True).fingerprint() == parts[1].fingerprint()
