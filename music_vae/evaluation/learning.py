"""Makes the learners of scikit-learn by which music is judged, and says if they are there."""

import contextlib
from collections.abc import Iterator
from typing import Any

from music_vae.common.errors import UserError


def require_scikit_learn() -> None:
    """Raises `UserError` if scikit-learn is not installed.

    >>> require_scikit_learn()  # it is
    """
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise UserError(
            "`realism` needs scikit-learn: pip install 'music_vae[evaluation]'"
        ) from error


def trees(seed: int) -> Any:
    """Returns an untrained classifier of features: gradient boosting, which takes NaN, too.

    >>> trees(0).max_iter
    100
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=100,
        max_leaf_nodes=8,
        min_samples_leaf=10,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=seed,
    )


def linear(seed: int) -> Any:
    """Returns an untrained classifier of raw windows: logistic regression.

    >>> linear(0).C
    0.1
    """
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=0.1, solver="liblinear", random_state=seed)


def regressor(seed: int) -> Any:
    """Returns an untrained model of a number's median: gradient boosting.

    >>> regressor(0).loss
    'absolute_error'
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(
        loss="absolute_error", max_iter=150, early_stopping=False, random_state=seed
    )


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Has scikit-learn compute in one thread meanwhile.

    On so little data several threads gain nothing, and lose much of the time if they have to share
    their processors. The result does not depend on their number then, either.

    >>> with one_thread():
    ...     _ = trees(0).fit([[0.0], [1.0]] * 20, [0, 1] * 20)
    """
    import sklearn.ensemble  # noqa: F401  (threads of libraries that are loaded can be limited)
    import threadpoolctl

    with threadpoolctl.threadpool_limits(1):
        yield
