"""The effects of attribute vectors, on a model that does what they say."""

import numpy as np
import pytest

from music_vae.evaluation import attribute_effects
from music_vae.evaluation.attribute_effects import measure
from support.stand_ins import Scale


def test_the_effects_of_vectors_are_measured_in_standard_deviations():
    vectors = {"average_interval": np.array([0.0, 2, 0]), "note_density": np.array([0.25, 0, 9])}
    figures = measure(Scale(), vectors, number=50)
    change = figures["change"]["plus"]
    assert list(change) == ["note_density", "average_interval"]  # in the order of the attributes
    assert change["average_interval"]["average_interval"] == pytest.approx(2)
    assert figures["change"]["minus"]["average_interval"]["note_density"] == 0
    assert figures["plain"]["mean"]["average_interval"] == pytest.approx(6, abs=1)
    unit = figures["plain"]["standard_deviation"]["average_interval"]
    assert figures["relative"]["plus"]["average_interval"]["average_interval"] == pytest.approx(
        2 / unit
    )


def test_a_vector_is_dominant_that_changes_its_own_attribute_most_and_the_right_way():
    nan = np.nan
    assert attribute_effects._is_dominant(np.array([0.5, -0.4, nan]), 0, 1)
    assert not attribute_effects._is_dominant(np.array([0.5, -0.6, nan]), 0, 1)
    assert not attribute_effects._is_dominant(np.array([-0.5, 0.4]), 0, 1)
    assert attribute_effects._is_dominant(np.array([-0.5, 0.4]), 0, -1)
    assert not attribute_effects._is_dominant(np.array([nan, 0.4]), 0, 1)


def test_means_leave_out_what_is_not_defined():
    values = np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan]])
    np.testing.assert_array_equal(attribute_effects._mean(values), [2, np.nan])
