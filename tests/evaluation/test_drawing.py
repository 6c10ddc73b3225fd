"""What is drawn to be judged: windows of a corpus, latent vectors, and the music of a model."""

import numpy as np
import pytest

from music_vae.configs import get_config
from music_vae.dataset.windows import Window, read_windows
from music_vae.evaluation import drawing
from music_vae.evaluation.evaluator import Evaluator
from music_vae.latent.latent_space import Prior
from music_vae.music import notes_io
from music_vae.music.converters.base import Example
from music_vae.trained_model import TrainedModel
from support.paths import TUNES


def test_windows_are_few_of_each_piece():
    tokens = np.zeros(4, np.int16)
    example = Example(tokens, tokens, None, np.int32(4))
    windows = [Window(example, 0.125, piece) for piece in [0] * 90 + [1] * 9 + [2]]
    assert drawing.most_per_piece(windows, 3) == 1
    assert drawing.most_per_piece(windows, 11) == 5
    assert drawing.most_per_piece(windows, 1000) == 90
    drawn = drawing.drawn_windows(windows, 1000, 5, seed=0)
    assert [w.piece for w in drawn] == [0] * 5 + [1] * 5 + [2]
    assert len(drawing.drawn_windows(windows, 4, 5, seed=0)) == 4


@pytest.fixture(scope="module")
def model():
    return TrainedModel.shipped("cat-mel_2bar_mini")


def test_latent_vectors_come_from_the_prior(model):
    normal = Evaluator(model, 1).latent_vectors(4, None)
    assert normal.shape == (4, 128)
    far = Prior(2, points=lambda numbers: numbers @ np.ones((2, 128)) + 100)
    drawn = Evaluator(model, 1).latent_vectors(4, far)
    assert drawn == pytest.approx(100, abs=10)
    assert (Evaluator(model, 1).latent_vectors(4, None) == normal).all()
    assert (Evaluator(model, 2).latent_vectors(4, None) != normal).any()


def test_what_is_made_of_a_window_belongs_to_its_piece(model):
    tunes = [
        notes_io.read_music_file(TUNES / f"{n}.mid")[0]
        for n in ("soldiers_joy", "fishers_hornpipe")
    ]
    windows = read_windows(tunes, get_config("cat-mel_2bar_mini"))[12:20]
    assert [window.piece for window in windows] == [0] * 4 + [1] * 4
    music = drawing.draw(Evaluator(model), windows, 3, {"prior": None}, temperature=0.01)
    assert music["prior"].pieces.tolist() == [-1, -2, -3]
    for name in (drawing.POSTERIOR, drawing.RECONSTRUCTIONS):
        assert music[name].pieces.tolist() == [0] * 4 + [1] * 4
    made = [model.converter.symbols(array) for array in music[drawing.RECONSTRUCTIONS].outputs]
    right = [np.mean(own == w.example.outputs) for own, w in zip(made, windows, strict=True)]
    assert np.mean(right) > 0.9
