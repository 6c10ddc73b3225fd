"""What is one tune stays on one side."""

from collections import Counter

import numpy as np
import pytest
import splits
from splits import Shares, group_tunes, split, without_copies

from music_vae.common.errors import UserError

REEL = (62, 67, 66, 67, 69, 71, 67, 69, 71, 72, 71, 72, 74, 76, 78, 79)


def quavers(pitches, semitones=0):
    return [(pitch + semitones, 0.5) for pitch in pitches]


def random_tune(rng, length=64):
    return quavers(rng.integers(60, 80, length).tolist())


@pytest.fixture
def different(make_tune):
    """Forty tunes that have nothing in common."""
    rng = np.random.default_rng(0)
    return [make_tune(random_tune(rng), title=f"Tune {n}", name=f"{n}") for n in range(40)]


def test_a_transposed_strain_under_another_title_makes_two_pieces_one_tune(make_tune, different):
    mine = make_tune(quavers(REEL), title="The Reel", name="a")
    other = make_tune(quavers((60, 64, 67, 72) * 4) + quavers(REEL, -5), title="Jig", name="b")
    assert [40, 41] in group_tunes([*different, mine, other])


def test_a_phrase_makes_two_pieces_one_tune_wherever_its_bar_lines_are(make_tune, different):
    mine = make_tune(quavers(REEL), title="One", name="a")
    late = make_tune([(0, 0.5), *quavers(REEL)], title="Two", name="b")
    assert [40, 41] in group_tunes([*different, mine, late])


def test_a_title_makes_two_pieces_one_tune(make_tune, different):
    rng = np.random.default_rng(1)
    settings = [
        make_tune(random_tune(rng), title=title, name=title)
        for title in ("Soldier's Joy", "SOLDIERS JOY.", "The Soldiers' Joy")
    ]
    assert [40, 41, 42] in group_tunes([*different, *settings])


def test_what_all_music_shares_makes_no_tune(make_tune):
    scale = make_tune(quavers((60, 62) * 16), title="One", name="a")
    again = make_tune(quavers((60, 62) * 16), title="Two", name="b")
    rests = [make_tune([(60, 4), (0, 12)], title=f"Rest {n}", name=f"r{n}") for n in range(2)]
    assert group_tunes([scale, again, *rests]) == [[0], [1], [2], [3]]


def test_the_split_has_the_shares_asked_for_and_keeps_the_order(different):
    parts = split(different, Shares(0.1, 0.2))
    assert [len(parts[name]) for name in ("train", "validation", "test")] == [28, 4, 8]
    numbers = [int(s.filename) for s in parts["train"]]
    assert numbers == sorted(numbers)
    everything = sorted(s.filename for part in parts.values() for s in part)
    assert everything == sorted(s.filename for s in different)


def test_the_split_depends_on_the_music_alone(different):
    one, other = (split(d, Shares(0.2, 0.2)) for d in (different, different[::-1]))
    for name in splits.SPLITS:
        assert {s.id for s in one[name]} == {s.id for s in other[name]}


def test_groups_are_never_divided_and_large_ones_are_trained_on(make_tune, different):
    pairs = []
    for number, tune in enumerate(different):
        double = make_tune([], title="", name=f"double {number}")
        double.MergeFrom(tune)
        double.id = f"/id/double {number}"
        double.sequence_metadata.title = f"Double {number}"
        pairs += [tune, double]
    family = [make_tune(quavers(REEL, n), title="Family", name=f"f{n}") for n in range(8)]
    parts = split([*pairs, *family], Shares(0.2, 0.2))
    titles = {name: {s.sequence_metadata.title for s in part} for name, part in parts.items()}
    assert "Family" in titles["train"]
    for number in range(40):
        homes = [n for n in titles if f"Tune {number}" in titles[n]]
        assert homes == [n for n in titles if f"Double {number}" in titles[n]]


def test_copies_in_any_key_are_left_out_and_counted(make_tune, different):
    skipped = Counter()
    copy = make_tune(quavers(REEL, 3), title="Copy", name="b")
    kept = without_copies([make_tune(quavers(REEL), name="a"), copy, *different], skipped)
    assert [s.filename for s in kept] == ["a", *(s.filename for s in different)]
    assert skipped == {"a copy of another piece": 1}


def test_drums_of_other_pitches_are_no_copies(make_tune):
    drums = [make_tune([(pitch, 1)], drums=True, name=str(pitch)) for pitch in (36, 38)]
    assert without_copies(drums, Counter()) == drums


@pytest.mark.parametrize("shares", [(-0.1, 0), (0.5, 0.5), (0, 1)])
def test_shares_that_leave_nothing_are_refused(shares):
    with pytest.raises(UserError, match="leave nothing to train on"):
        Shares(*shares)
