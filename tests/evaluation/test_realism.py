"""The judge of a model's music, on models whose music is known to be real, or noise."""

import numpy as np
import pytest

from music_vae.common.errors import UserError
from music_vae.configs import get_config
from music_vae.dataset.windows import Window
from music_vae.evaluation import realism
from music_vae.evaluation.evaluator import Evaluator
from music_vae.latent.latent_space import Prior
from music_vae.music.converters.base import Example

DRUMS = get_config("cat-drums_2bar_small", "z_size=1")
MELODIES = get_config("cat-mel_2bar_small", "z_size=1")
PER_PIECE = 3


def beats(rng, pieces):
    """Bass drum on 1 and 3, snare on 2 and 4, hi-hats on eighths, nearly all of them, and rides."""
    windows = []
    for piece in range(pieces):
        for _ in range(PER_PIECE):
            masks = np.zeros(32, np.int64)
            masks[::8] |= 1 * (rng.random(4) < 0.9)
            masks[4::8] |= 2 * (rng.random(4) < 0.9)
            masks[::2] |= 4 * (rng.random(16) < 0.8)
            masks |= 256 * (rng.random(32) < 0.3)
            windows.append(Window(Example(masks, masks, None, np.array(32)), 0.125, piece))
    return windows


def noise(rng, number, symbols):
    return [rng.integers(0, symbols, 32) for _ in range(number)]


class Player:
    """A model that plays given music: samples of its own prior, and of every window the window.

    The first number of z says which; windows are numbered from 0, samples from -1 down.
    """

    workers, batch_size = 1, 64

    def __init__(self, config, windows, samples):
        self.config, self.converter = config, config.data_converter
        self.windows, self.samples = windows, samples
        self.known = {self.dense_input(w.example): n for n, w in enumerate(windows)}

    def dense_input(self, example):
        return self.converter.dense_inputs(example.inputs).tobytes()

    def encode_tensors(self, inputs, lengths, controls=None, *, seed=None):
        z = np.array([[self.known[array.tobytes()]] for array in inputs], np.float32)
        return z, z, np.ones_like(z)

    def decode_to_tensors(self, z, length=None, temperature=1.0, c_input=None, *, seed=None):
        chosen = [
            self.windows[int(n)].example.outputs if n >= 0 else self.samples[int(-n) - 1]
            for n in z[:, 0]
        ]
        return [self.converter.dense_outputs(symbols) for symbols in chosen]


def judged(config, windows, training, samples, **options):
    own = Prior(1, points=lambda normal: -1.0 - np.arange(len(normal))[:, None])
    player = Player(config, windows, samples)
    options.setdefault("number", len(samples))
    found = realism.judge(Evaluator(player), windows, training, priors={"prior": own}, **options)
    return found.metrics


@pytest.fixture(scope="module")
def real():
    rng = np.random.default_rng(0)
    return beats(rng, 50), beats(rng, 50)


def test_samples_that_are_held_out_windows_are_not_told_apart(real):
    windows, training = real
    samples = [window.example.outputs for window in windows]
    found = judged(DRUMS, windows, training, samples)
    prior = found["music"]["prior"]
    assert prior["dist"] == pytest.approx(0, abs=1e-12)
    assert prior["auc_features"]["value"] == prior["auc_windows"]["value"] == 0.5
    assert prior["bits_per_step"] == pytest.approx(found["held_out"]["bits_per_step"])
    assert prior["copies"] == found["held_out"]["copies"] == 0


def test_samples_from_where_the_windows_are_from_are_not_told_apart(real):
    windows, training = real
    samples = [w.example.outputs for w in beats(np.random.default_rng(5), 50)]
    found = judged(DRUMS, windows, training, samples)
    prior, floor = found["music"]["prior"], found["music"]["training"]
    for row in (prior, floor):
        assert row["dist"] < 0.15
        # With so few windows the standard error is 0.046.
        assert row["auc_features"]["value"] == pytest.approx(0.5, abs=0.14)
        assert row["auc_windows"]["value"] == pytest.approx(0.5, abs=0.14)
    assert prior["bits_per_step"] == pytest.approx(found["held_out"]["bits_per_step"], rel=0.05)


def test_noise_is_told_apart(real):
    windows, training = real
    samples = noise(np.random.default_rng(2), len(windows), symbols=512)
    found = judged(DRUMS, windows, training, samples)
    prior = found["music"]["prior"]
    assert prior["auc_features"]["low"] > 0.99
    assert prior["auc_windows"]["low"] > 0.95
    assert prior["dist"] > 2
    assert prior["bits_per_step"] > 2 * found["held_out"]["bits_per_step"]
    for name in ("posterior", "reconstructions"):  # which this model makes right
        assert found["music"][name]["dist"] == pytest.approx(0, abs=1e-12)
        assert found["music"][name]["auc_features"]["value"] == 0.5


def test_copies_of_training_windows_are_found_and_others_are_not(real):
    windows, training = real
    copies = [window.example.outputs for window in training[:40]]
    samples = copies + noise(np.random.default_rng(2), 60, symbols=512)
    found = judged(DRUMS, windows, training, samples)
    assert found["music"]["prior"]["copies"] == 0.4
    assert found["held_out"]["copies"] == 0
    assert judged(DRUMS, windows, windows, samples)["held_out"]["copies"] == 1


def scales(rng, pieces, low=30):
    """Scales up and down in eighths, each piece in a key of its own."""
    windows = []
    for piece in range(pieces):
        key = low + rng.integers(0, 12)
        for _ in range(PER_PIECE):
            degrees = np.abs(np.cumsum(rng.choice([-1, 1], 16)) + 3) % 7
            tokens = np.zeros(32, np.int16)
            tokens[::2] = key + np.array([0, 2, 4, 5, 7, 9, 11])[degrees]
            windows.append(Window(Example(tokens, tokens, None, np.array(32)), 0.125, piece))
    return windows


def test_the_key_of_a_melody_surprises_nobody():
    rng = np.random.default_rng(0)
    windows, training = scales(rng, 30), scales(rng, 30)
    moved = [w.example.outputs + np.int16(9) * (w.example.outputs > 1) for w in windows]
    found = judged(MELODIES, windows, training, moved)
    prior = found["music"]["prior"]
    assert prior["bits_per_step"] == pytest.approx(found["held_out"]["bits_per_step"])
    assert prior["auc_windows"]["value"] == 0.5
    assert prior["auc_features"]["value"] > 0.9  # by the mean pitch
    assert found["features"]["in key"]["prior"] == 1
    means = found["features"]["mean pitch"]
    assert means["prior"] == pytest.approx(means["held-out"] + 9)


def test_a_seed_repeats_all_figures(real):
    windows, training = real
    samples = noise(np.random.default_rng(2), 30, symbols=8)
    assert judged(DRUMS, windows, training, samples) == judged(DRUMS, windows, training, samples)


def test_one_piece_is_too_little_and_is_said_before_anything_is_made(real):
    windows, training = real
    for own in ((windows[:PER_PIECE], training), (windows, training[:PER_PIECE])):
        with pytest.raises(UserError, match="music of 1 piece cannot be told apart"):
            judged(DRUMS, *own, samples=[], number=10)  # which nobody can play
