"""Baselines that play given hits."""

import numpy as np
import pytest

from music_vae.evaluation import groove_baselines
from music_vae.evaluation.groove_baselines import Grooves

BAR = 4


def grooves(*patterns, loudness=0.0, delay=0.0):
    """Grooves of two bars of four steps: a text of hits of each drum, by groove."""
    hits = np.array([[[step == "x" for step in row] for row in rows] for rows in patterns])
    hits = hits.transpose(0, 2, 1)
    velocities = loudness + np.zeros(hits.shape)
    return Grooves(hits, velocities, delay + np.zeros(hits.shape))


def joined(*parts):
    return Grooves(*(np.concatenate(own) for own in zip(*parts, strict=True)))


KNOWN = joined(
    grooves(("x.......", "....x..."), loudness=100, delay=0.1),
    grooves(("x.......", "....x..."), loudness=90, delay=0.0),
    grooves(("x...x...", "........"), loudness=40, delay=-0.1),
    grooves(("xxxxxxxx", "xxxxxxxx"), loudness=10, delay=0.4),
)


def test_the_nearest_grooves_play_the_hits_that_they_have():
    given = grooves(("x.......", "....x...")).hits
    found = groove_baselines.by_nearest(given, KNOWN, BAR, nearest=2)
    assert found.velocities.tolist() == [95, 95]
    assert found.delays == pytest.approx([0.05, 0.05])
    third = groove_baselines.by_nearest(given, KNOWN, BAR, nearest=3)
    assert third.velocities == pytest.approx([(100 + 90 + 40) / 3, 95])  # the third has no snare


def test_hits_that_no_near_groove_has_are_played_as_the_median():
    given = grooves((".......x", "........")).hits
    found = groove_baselines.by_nearest(given, KNOWN, BAR, nearest=1)
    medians = groove_baselines.by_median(given, KNOWN, BAR)
    assert found.velocities.tolist() == medians.velocities.tolist() == [10]


def test_the_median_is_of_the_drum_and_the_place():
    given = grooves(("x.......", "x...x..."), (".x......", "...x....")).hits
    found = groove_baselines.by_median(given, KNOWN, BAR)
    on_1 = np.median([100, 90, 40, 40, 10, 10])  # the bass drum's first steps of both bars
    assert found.velocities.tolist() == [on_1, 50, 50, 10, 10]
    never = grooves(("........", "x......."), loudness=70)
    other = groove_baselines.by_median(grooves(("x.......", ".x......")).hits, never, BAR)
    assert other.velocities.tolist() == [70, 70]  # as all hits, as the same drum's


def test_boosting_learns_what_the_hits_around_say():
    """A bass drum is loud if a snare comes with it."""
    rng = np.random.default_rng(0)
    hits = rng.random((300, 16, 2)) < 0.5
    velocities = np.where(hits[:, :, 1:], 100.0, 40.0) * np.ones((1, 1, 2))
    known = Grooves(hits, velocities, velocities / 1000)
    given = hits[:20]
    found = groove_baselines.by_boosting(given, known, BAR)
    truth = velocities[:20][given]
    assert np.abs(found.velocities - truth).mean() < 1
    assert np.abs(found.delays - truth / 1000).mean() < 0.01
    plain = groove_baselines.by_median(given, known, BAR)
    assert np.abs(plain.velocities - truth).mean() > 5
