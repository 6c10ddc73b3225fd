"""Two sets of windows, told apart by a classifier."""

import numpy as np
import pytest
from scipy import sparse
from scipy.stats import norm

from music_vae.common.errors import UserError
from music_vae.evaluation import learning, two_sample


def told_apart(first, second, pieces=None, classifier=learning.trees, seed=0):
    if pieces is None:
        pieces = range(len(first)), range(len(first), len(first) + len(second))
    return two_sample.auc(first, second, pieces, classifier, seed)


def normal(seed, number, mean=0.0):
    return np.random.default_rng(seed).normal(mean, 1, (number, 3))


@pytest.mark.parametrize("classifier", [learning.trees, learning.linear])
def test_what_is_alike_is_not_told_apart_and_what_differs_is(classifier):
    alike = told_apart(normal(0, 300), normal(1, 300), classifier=classifier)
    assert alike.value == pytest.approx(0.5, abs=0.08)  # the standard error is 0.03
    different = told_apart(normal(0, 300), normal(1, 300, mean=3), classifier=classifier)
    assert 0.98 < different.low <= different.value <= different.high <= 1


def test_the_auc_of_two_normal_distributions_is_the_one_of_theory():
    found = told_apart(normal(0, 500), normal(1, 500, mean=0.5), classifier=learning.linear)
    theory = norm.cdf(0.5 * np.sqrt(3) / np.sqrt(2))
    assert found.value == pytest.approx(theory, abs=0.04)
    assert found.low < theory < found.high


def test_pieces_are_not_learned_by_heart():
    """Each piece has a sound of its own, by which its windows would be known again."""
    rng = np.random.default_rng(0)
    sounds = np.repeat(rng.normal(0, 1, (40, 3)), 20, axis=0)
    windows = sounds + rng.normal(0, 0.01, sounds.shape)
    first, second = windows[:400], windows[400:]
    owners = np.repeat(np.arange(40), 20)
    by_piece = told_apart(first, second, (owners[:400], owners[400:]))
    assert by_piece.value < 0.7
    assert by_piece.high - by_piece.low > 0.2  # so few pieces say little
    assert told_apart(first, second).value > 0.95  # each window counted as a piece


def test_copies_in_the_pieces_they_are_of_are_not_told_apart():
    windows, pieces = normal(0, 100), np.arange(100) // 5
    assert told_apart(windows, windows, (pieces, pieces)).value == 0.5


def test_sparse_and_missing_numbers_can_be_told_apart():
    first, second = normal(0, 60), normal(0, 60, mean=9)
    both = sparse.csr_matrix(first), sparse.csr_matrix(second)
    assert told_apart(*both, (range(60), range(60, 120)), learning.linear).value > 0.9
    first[:, 0] = np.nan
    assert told_apart(first, second).value == 1
    second[:, 0] = np.nan
    assert told_apart(first, second).value == 1


def test_a_seed_repeats_the_figure():
    sets = normal(0, 80), normal(1, 80, mean=0.5)
    assert told_apart(*sets, seed=1) == told_apart(*sets, seed=1)
    assert told_apart(*sets, seed=1) != told_apart(*sets, seed=2)


def test_folds_hold_whole_pieces_and_both_sets():
    rng = np.random.default_rng(0)
    labels = np.repeat([1, 0], [50, 70])
    groups = np.concatenate([rng.integers(0, 9, 50), rng.integers(9, 15, 70)])
    folds = two_sample._folds(labels, groups, 15, rng)
    for group in range(15):
        assert len(set(folds[groups == group])) == 1
    for fold in range(two_sample.FOLDS):
        assert set(labels[folds == fold]) == {0, 1}


def test_one_piece_is_too_little():
    with pytest.raises(UserError, match="music of 1 piece cannot be told apart"):
        told_apart(normal(0, 20), normal(1, 20), ([0] * 20, range(1, 21)))


def test_the_interval_of_a_mean_is_that_of_pieces():
    rng = np.random.default_rng(0)
    pieces = np.repeat(np.arange(30), 50)
    values = rng.normal(5, 1, 30)[pieces]
    found = two_sample.mean(values, pieces)
    assert found.value == pytest.approx(values.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 / np.sqrt(30), rel=0.3)
    alone = two_sample.mean(values, np.arange(len(values)))
    assert alone.high - alone.low < (found.high - found.low) / 4
