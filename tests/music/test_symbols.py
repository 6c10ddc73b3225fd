"""Tokens without a key."""

import numpy as np

from music_vae.music.symbols import without_key


def test_pitches_move_together_and_what_is_no_pitch_stays():
    tokens = np.array([[42, 3], [0, 44]])
    is_pitch = np.array([[True, False], [False, True]])
    found = without_key(tokens, is_pitch)
    np.testing.assert_array_equal(found, without_key(tokens + 5 * is_pitch, is_pitch))
    np.testing.assert_array_equal(found[~is_pitch], [3, 0])
    assert found[1, 1] - found[0, 0] == 2


def test_silence_has_no_key():
    tokens = np.array([0, 1])
    np.testing.assert_array_equal(without_key(tokens, tokens > 1), tokens)
