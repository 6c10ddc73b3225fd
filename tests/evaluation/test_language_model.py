"""The n-gram model: a distribution, by hand, and against what it was not told."""

import math

import pytest

from music_vae.evaluation.language_model import DISCOUNT, train

CORPUS = ["abab", "abba", "aabb"]


@pytest.mark.parametrize("history", ["", "a", "ab", "abab", "zz", "ccca", "xaba"])
@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_probabilities_of_all_tokens_add_up_to_one(history, order):
    model = train(CORPUS, 4, order)
    assert math.fsum(model.probability(history, token) for token in "abcd") == pytest.approx(1)


def test_a_bigram_by_hand():
    # After 'a' come b, b, c: counts 2 and 1. Tokens stand after so many different ones: a after
    # the start and b (2), b after a (1), c after a (1).
    model = train(["abac", "ab"], 4, 2)
    alone = {
        token: (count - DISCOUNT) / 4 + 3 * DISCOUNT / 4 / 4
        for token, count in {"a": 2, "b": 1, "c": 1}.items()
    }
    assert model.probability("", "a") == pytest.approx(alone["a"])
    assert model.probability("a", "b") == pytest.approx(
        (2 - DISCOUNT) / 3 + 2 * DISCOUNT / 3 * alone["b"]
    )
    assert model.probability("a", "d") == pytest.approx(2 * DISCOUNT / 3 * (3 * DISCOUNT / 4 / 4))


def test_the_cost_of_a_piece_is_that_of_its_tokens_from_the_beginning():
    model = train(["ab", "ab", "ab"], 2, 2)
    # Nothing else ever begins a piece, or follows 'a'.
    start = (3 - DISCOUNT) / 3 + DISCOUNT / 3 * model.probability("", "a")
    after = model.probability("a", "b")
    assert model.cost("ab") == pytest.approx(-math.log(start) - math.log(after))
    assert model.cost("ba") > model.cost("ab")


def test_a_longer_history_tells_more():
    corpus = ["abcabdabcabd" * 3] * 5
    short, long = (train(corpus, 5, order) for order in (3, 5))
    assert long.cost("abcabdabcabd") < 0.6 * short.cost("abcabdabcabd")


def test_what_was_never_heard_costs_more_and_not_everything():
    model = train(CORPUS, 4)
    assert model.cost("abab") < model.cost("abcd") < math.inf
    assert model.cost("") == 0


def test_tokens_may_be_chords_of_tokens():
    model = train([[(1, 2), (3, 4)], [(1, 2), (5, 6)]], 9)
    assert model.cost([(1, 2), (3, 4)]) < model.cost([(3, 4), (1, 2)])
