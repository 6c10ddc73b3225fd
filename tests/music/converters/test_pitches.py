import numpy as np

from music_vae.music.converters.pitches import class_of


def test_numbers_find_their_class():
    numbers = np.array([3, 7, 1, 4, -125, 131, 2**31 - 1], np.int32)
    assert class_of(((3, 1), (7,)), numbers).tolist() == [0, 1, 0, -1, -1, -1, -1]
