"""Models that answer by a rule, so that what is measured of them is known."""

import numpy as np

from music_vae.configs import get_config


class Scale:
    """A model whose z is (note density, semitones of every step, 0), and which makes that.

    z of a window is read from its tokens; decoding plays up to 32 notes with that interval.
    """

    workers = 1

    def __init__(self):
        self.config = get_config("cat-mel_2bar_small", "z_size=3")
        self.converter = self.config.data_converter

    def tokens(self, density, interval):
        number = int(np.clip(np.round(32 * density), 0, 32))
        tokens = np.zeros(32, np.int16)
        tokens[:number] = 40 + np.round(interval).astype(int) * (np.arange(number) % 2)
        return tokens

    def encode_tensors(self, inputs, lengths, controls=None, *, seed=None):
        z = []
        for array in inputs:
            tokens = np.argmax(array, axis=-1)
            notes = tokens[tokens > 1]
            z.append([len(notes) / 32, np.abs(np.diff(notes)).mean() if len(notes) > 1 else 0, 0])
        return np.array(z), np.array(z), np.zeros((len(z), 3))

    def decode_to_tensors(self, z, length, temperature, *, seed):
        return [self.converter.dense_outputs(self.tokens(0.5 + row[0], 6 + row[1])) for row in z]
