"""Near copies of a work stay on one side, across corpora."""

from collections import Counter

import numpy as np
import pytest
import works
from splits import SPLITS, Shares

from music_vae.common.errors import UserError
from music_vae.dataset import tfrecord

SHARES = Shares(0.2, 0.2)


def random_line(seed, length=64):
    rng = np.random.default_rng(seed)
    return [(pitch, 0.5) for pitch in rng.integers(60, 80, length).tolist()]


def transposed(line, semitones):
    return [(pitch + semitones, quarters) for pitch, quarters in line]


@pytest.fixture
def songs(make_tune):
    """Thirty songs that have nothing in common."""
    return [make_tune(random_line(n), name=f"{n}.krn") for n in range(30)]


def sides_beside(songs, beside, shares=SHARES):
    return works.sides(songs, [], shares, beside)


def test_every_file_is_on_one_side_and_the_shares_are_kept(songs):
    sides = works.sides(songs, [], SHARES)
    assert Counter(sides.values()) == {"train": 18, "validation": 6, "test": 6}
    assert works.sides(songs[::-1], [], SHARES) == sides


def test_two_parts_of_a_file_are_one_work(make_tune, songs):
    again = make_tune(random_line(99), name="7.krn")
    assert len(works.sides([*songs, again], [], SHARES)) == 30


@pytest.mark.parametrize("held_out", [Shares(0.9, 0), Shares(0, 0.9)])
def test_a_near_copy_in_another_key_and_off_the_bar_lines_stays_beside(make_tune, songs, held_out):
    line = random_line(1)
    changed = [(0, 1.5), *transposed(line[:40], 3), *random_line(5, 24)]
    copy = make_tune(changed, name="copy.krn", title="Another title")
    sides = works.sides([*songs, copy], [], held_out)
    assert sides["copy.krn"] == sides["1.krn"]
    assert works.links([works.Piece("a", works.phrases(s)) for s in (songs[1], copy)], 2) == [
        (0, 1)
    ]


def test_a_few_bars_in_common_make_no_work(make_tune):
    shared = random_line(3, 16)
    pair = [make_tune([*shared, *random_line(n, 96)], name=str(n)) for n in (4, 5)]
    pieces = [works.Piece(tune.filename, works.phrases(tune)) for tune in pair]
    assert len(pieces[0].phrases & pieces[1].phrases) >= 4
    assert works.links(pieces, 2) == []


def test_a_title_makes_no_work(make_tune):
    pair = [make_tune(random_line(n), name=str(n), title="Kyrie") for n in (1, 2)]
    assert works.links([works.Piece("", works.phrases(tune)) for tune in pair], 2) == []


def test_a_scale_that_all_pieces_have_makes_no_work(make_tune):
    scale = [(60 + n % 2, 0.5) for n in range(64)]
    pieces = [works.Piece("", works.phrases(make_tune(scale, name=str(n)))) for n in range(2)]
    assert works.links(pieces, 2) == []


@pytest.mark.parametrize("side", SPLITS)
def test_what_shares_its_music_with_a_split_corpus_goes_to_its_side(make_tune, songs, side):
    beside = [
        works.Piece("reel", works.phrases(make_tune(transposed(random_line(8), -2))), side),
        works.Piece("jig", works.phrases(make_tune(random_line(98))), "train"),
    ]
    assert sides_beside(songs, beside)["8.krn"] == side


def test_what_is_on_two_sides_already_is_left_out(make_tune, songs):
    beside = [
        works.Piece("one", works.phrases(make_tune(random_line(8, 40))), "train"),
        works.Piece("other", works.phrases(make_tune(random_line(8))), "test"),
    ]
    sides = sides_beside(songs, beside)
    assert sides["8.krn"] == works.LEFT_OUT
    skipped = Counter()
    parts = works.parted(songs, sides, skipped)
    assert sum(map(len, parts.values())) == 29
    assert skipped == {"a work that is on two sides already": 1}


def test_pieces_that_are_split_already_are_not_moved(songs):
    beside = [works.Piece(str(n), works.phrases(s), "train") for n, s in enumerate(songs)]
    assert works.links([works.Piece("", set()), *beside, *beside], 1) == []


def test_all_voices_of_a_file_are_on_the_side_of_its_melody(make_tune, songs):
    together = [make_tune(random_line(n + 50), name=f"{n}.krn") for n in range(20, 40)]
    sides = works.sides(songs, together, SHARES)
    assert len(sides) == 40
    assert {name: sides[name] for name in sides if int(name[:-4]) < 20}.keys() == {
        f"{n}.krn" for n in range(20)
    }
    parts = works.parted(together, sides, Counter())
    assert all(sides[s.filename] == side for side in SPLITS for s in parts[side])


def test_phrases_are_those_of_the_top_voice_not_of_drums(make_tune):
    piece = make_tune(random_line(1), drums=True)
    assert works.phrases(piece) == set()
    tune = make_tune(random_line(1))
    upper = works.phrases(tune)
    for note in make_tune(random_line(2)).notes:
        note.instrument = 1
        tune.notes.append(note)
    assert works.phrases(tune) == upper != set()


def test_a_corpus_that_is_split_is_read_with_its_sides(make_tune, tmp_path):
    for number, side in enumerate(SPLITS):
        tune = make_tune(random_line(number), name=side)
        tfrecord.write_records(tmp_path / f"{side}.tfrecord", [tune.SerializeToString()])
    pieces = works.read_sides([tmp_path])
    assert [(piece.name, piece.side) for piece in pieces] == [(f"/id/{s}", s) for s in SPLITS]
    (tmp_path / "test.tfrecord").unlink()
    with pytest.raises(UserError, match="does not hold train, validation, test"):
        works.read_sides([tmp_path])
