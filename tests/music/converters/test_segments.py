import numpy as np

from music_vae.music.converters.segments import join, maxima, minima, ranges, split, totals

SIZES = np.array([0, 2, 0, 3, 0])
VALUES = np.array([-3, 5, -1, -2, -4])


def test_what_is_joined_can_be_split_again():
    arrays = [VALUES[:0], VALUES[:2], VALUES[:0], VALUES[2:], VALUES[:0]]
    joined, sizes = join(arrays)
    assert joined.tolist() == VALUES.tolist()
    assert sizes.tolist() == SIZES.tolist()
    assert [part.tolist() for part in split(joined, sizes)] == [a.tolist() for a in arrays]


def test_segments_are_reduced_and_empty_ones_give_nothing():
    assert totals(VALUES > 0, SIZES).tolist() == [0, 1, 0, 0, 0]
    assert totals(VALUES, SIZES).tolist() == [0, 2, 0, -7, 0]
    assert maxima(VALUES, SIZES).tolist() == [0, 5, 0, 0, 0]
    assert minima(VALUES, SIZES).tolist() == [0, -3, 0, -4, 0]
    assert maxima(VALUES[:0], SIZES[:1]).tolist() == [0]


def test_the_smallest_number_is_smaller_than_0():
    least = np.array([np.iinfo(np.int32).min], np.int32)
    assert minima(least, np.array([1])) == least


def test_what_is_not_a_number_stays_so():
    assert np.isnan(maxima(np.array([1, np.nan, 2]), np.array([3]))).all()


def test_ranges_count_from_their_first_number():
    assert ranges(np.array([7, 1, 4]), np.array([2, 0, 3])).tolist() == [7, 8, 4, 5, 6]
