"""Tests if a classifier can tell two sets of music apart: the classifier two-sample test.

A classifier learns to tell windows of one set from those of another (Lopez-Paz and Oquab 2017). Its
AUC is the probability that it takes a window of the first set rather than one of the second for one
of the first: 0.5 means that it cannot tell them apart, 1 that it always can. All windows of a piece
lie in one fold, so that it never knows a piece that it is asked about. It needs scikit-learn.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from music_vae.common.errors import UserError
from music_vae.evaluation import learning

FOLDS = 5
RESAMPLES = 400
"""Number of times that pieces are drawn for an interval."""

_INTERVAL = (2.5, 97.5)  # percentiles


class Estimate(NamedTuple):
    """A figure with its interval of 95 %.

    >>> print(Estimate(0.62, 0.55, 0.7))
    0.62 (0.55 to 0.70)

    Attributes:
      value: The figure.
      low: Lower end of the interval.
      high: Upper end of the interval.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


def auc(
    first: Any,
    second: Any,
    pieces: tuple[Sequence[Any], Sequence[Any]],
    classifier: Callable[[int], Any],
    seed: int = 0,
) -> Estimate:
    """Returns how well a classifier tells two sets of windows apart; see the module.

    The AUC counts pairs of windows of one fold. Its interval is that of the pieces: they are drawn
    anew with replacement, while the classifiers stay.

    >>> rng = np.random.default_rng(0)
    >>> low, high = rng.normal(0, 1, (60, 2)), rng.normal(9, 1, (60, 2))
    >>> numbers = range(60), range(60, 120)  # each window is a piece of its own
    >>> auc(low, high, numbers, learning.trees).value
    1.0

    Args:
      first: Windows of the first set, a matrix `[N, D]`; it may be sparse.
      second: Windows of the second set, `[M, D]`.
      pieces: The piece that each window belongs to, for both sets. A piece may be in both.
      classifier: Function from a seed to an untrained classifier.
      seed: Seed of the folds, the classifiers and the interval.

    Raises:
      UserError: If a set is of fewer than two pieces.
    """
    labels = np.repeat([1, 0], [first.shape[0], second.shape[0]])
    names, groups = np.unique(np.concatenate([*map(np.asarray, pieces)]), return_inverse=True)
    rng = np.random.default_rng([seed, 11])
    folds = _folds(labels, groups, len(names), rng)
    scores = _scores(_stacked(first, second), labels, folds, classifier, seed)
    value = _weighted_auc(scores, labels, folds, np.ones(len(labels)))
    drawn = _drawn_anew(len(names), rng)
    again = [_weighted_auc(scores, labels, folds, own[groups]) for own in drawn.astype(float)]
    return Estimate(value, *np.nanpercentile(again, _INTERVAL).tolist())


def check_pieces(number: int) -> None:
    """Raises `UserError` for music of fewer than two pieces.

    >>> check_pieces(1)
    Traceback (most recent call last):
    music_vae.common.errors.UserError: music of 1 piece cannot be told apart; give more pieces
    """
    if number < 2:
        raise UserError(f"music of {number} piece cannot be told apart; give more pieces")


def mean(values: np.ndarray, pieces: Sequence[int] | np.ndarray, seed: int = 0) -> Estimate:
    """Returns the mean of numbers, with the interval that comes from drawing pieces anew.

    >>> print(mean(np.array([1.0, 1.0, 3.0, 3.0]), pieces=[0, 0, 1, 1]))
    2.00 (1.00 to 3.00)

    Args:
      values: Numbers `[N]`.
      pieces: The piece that each is from, `[N]`.
      seed: Seed of the interval.
    """
    names, groups = np.unique(np.asarray(pieces), return_inverse=True)
    sums = np.bincount(groups, values, len(names))
    counts = np.bincount(groups, minlength=len(names))
    rng = np.random.default_rng([seed, 12])
    drawn = _drawn_anew(len(names), rng)
    again = (drawn @ sums) / (drawn @ counts)
    return Estimate(float(np.mean(values)), *np.percentile(again, _INTERVAL).tolist())


def _drawn_anew(number: int, rng: np.random.Generator) -> np.ndarray:
    """Returns how often each piece is drawn, `[RESAMPLES, number]`, as many as there are."""
    return rng.multinomial(number, np.full(number, 1 / number), RESAMPLES)


def _folds(
    labels: np.ndarray, groups: np.ndarray, num_groups: int, rng: np.random.Generator
) -> np.ndarray:
    """Returns the fold of each window `[N]`, so that folds hold about as much of both sets.

    Each piece, the largest first, comes to the fold that has the least of its own set.
    """
    sizes = np.stack([np.bincount(groups[labels == own], minlength=num_groups) for own in (0, 1)])
    num_pieces = int((sizes > 0).sum(axis=1).min())
    check_pieces(num_pieces)
    num_folds = min(FOLDS, num_pieces)
    filled = np.zeros((2, num_folds))
    fold_of = np.zeros(num_groups, np.int64)
    order = rng.permutation(num_groups)
    for group in order[np.argsort(-sizes.sum(axis=0)[order], kind="stable")]:
        own = sizes[:, group]
        fold_of[group] = np.argmin((filled * own[:, None]).sum(axis=0))
        filled[:, fold_of[group]] += own
    return fold_of[groups]


def _scores(
    windows: Any,
    labels: np.ndarray,
    folds: np.ndarray,
    classifier: Callable[[int], Any],
    seed: int,
) -> np.ndarray:
    """Returns the scores `[N]` of windows by classifiers that know the other folds."""
    scores = np.zeros(len(labels))
    for fold in np.unique(folds):
        known = _known_columns(windows, folds != fold)
        with learning.one_thread(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # logistic regression may not converge
            fitted = classifier(seed).fit(known[folds != fold], labels[folds != fold])
            scores[folds == fold] = fitted.predict_proba(known[folds == fold])[:, 1]
    return scores


def _known_columns(windows: Any, chosen: np.ndarray) -> Any:
    """Returns the features `[N, D]` of which some of the chosen windows have a number."""
    if not isinstance(windows, np.ndarray):
        return windows
    return windows[:, np.isfinite(windows[chosen]).any(axis=0)]


def _weighted_auc(
    scores: np.ndarray, labels: np.ndarray, folds: np.ndarray, weights: np.ndarray
) -> float:
    """Returns the weight of pairs in one fold that are in the right order, of all such pairs."""
    right = pairs = 0.0
    for fold in np.unique(folds):
        own = folds == fold
        _, ranks = np.unique(scores[own], return_inverse=True)
        ones, zeros = (
            np.bincount(ranks, weights[own] * (labels[own] == label)) for label in (1, 0)
        )
        below = np.cumsum(zeros) - zeros
        right += float(ones @ (below + zeros / 2))
        pairs += float(ones.sum() * zeros.sum())
    return right / pairs if pairs else float("nan")


def _stacked(first: Any, second: Any) -> Any:
    if isinstance(first, np.ndarray):
        return np.concatenate([first, second])
    from scipy import sparse

    return sparse.vstack([first, second]).tocsr()
