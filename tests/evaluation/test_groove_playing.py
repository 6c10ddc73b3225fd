"""The playing of grooves beside a drummer's."""

import numpy as np
import pytest

from music_vae.configs import get_config
from music_vae.dataset.windows import Window
from music_vae.evaluation import groove_playing
from music_vae.music.converters.base import Example

CONVERTER = get_config("groovae_2bar_humanize").data_converter
STEP_S = 0.1


def outputs(hits, velocities, offsets):
    return np.concatenate([hits, hits * velocities, hits * offsets], axis=1).astype(np.float32)


def corpus(seed, number):
    """Grooves whose hits, velocities and offsets come by chance, each a piece of its own."""
    rng = np.random.default_rng(seed)
    windows = []
    for piece in range(number):
        hits = rng.random((32, 9)) < 0.2
        rows = outputs(hits, rng.uniform(0.2, 0.8, (32, 9)), rng.uniform(-0.5, 0.5, (32, 9)))
        windows.append(Window(Example(rows, rows, None, np.array(32)), STEP_S, piece))
    return windows


@pytest.fixture(scope="module")
def held_out_and_training():
    return corpus(0, 6), corpus(1, 40)


def measure(held_out, training, made):
    return groove_playing.measure(CONVERTER, held_out, made, training)


def test_a_model_that_plays_as_the_drummer_has_no_error(held_out_and_training):
    held_out, training = held_out_and_training
    found = measure(held_out, training, [w.example.outputs for w in held_out])
    for figure in ("onset_ms", "velocity"):
        assert found[figure]["model"] == {"value": 0, "low": 0, "high": 0}
        assert found["all_hits"][figure]["model"]["value"] == 0
    assert (found["hits_kept"]["value"], found["hits_added"]) == (1, 0)
    for part in ("timing", "velocities"):
        assert found[part] == {"spread": pytest.approx(1), "correlation": pytest.approx(1)}


def test_errors_are_in_milliseconds_and_in_midi_velocities(held_out_and_training):
    held_out, training = held_out_and_training
    made = []
    for window in held_out:
        hits, velocities, offsets = np.split(window.example.outputs, 3, axis=1)
        made.append(outputs(hits, velocities + 10 / 127, offsets - 0.4))
    found = measure(held_out, training, made)
    assert found["velocity"]["model"]["value"] == pytest.approx(10)
    assert found["onset_ms"]["model"]["value"] == pytest.approx(0.2 * 1000 * STEP_S)
    assert found["timing"]["spread"] == pytest.approx(1, abs=1e-5)


def test_hits_that_are_dropped_do_not_count_and_those_added_are_told(held_out_and_training):
    held_out, training = held_out_and_training
    made = []
    for window in held_out:
        rows = window.example.outputs.copy()
        rows[16:, :9] = 0  # the second bar
        rows[0, :9] = 1
        made.append(rows)
    found = measure(held_out, training, made)
    truth = np.concatenate([w.example.outputs[:, :9] for w in held_out]).reshape(-1, 32, 9)
    assert found["hits_kept"]["value"] == pytest.approx(truth[:, :16].sum() / truth.sum())
    assert found["hits_added"] == pytest.approx((1 - truth[:, 0]).sum() / truth.sum())
    assert found["velocity"]["model"]["value"] == 0


def test_baselines_find_nothing_where_there_is_nothing_to_find(held_out_and_training):
    """All is drawn by chance, so that the middle is the best guess: a quarter of the range."""
    held_out, training = held_out_and_training
    found = measure(held_out, training, [w.example.outputs for w in held_out])["all_hits"]
    for name in ("nearest", "boosting", "median"):
        assert 25 * 0.9 < found["onset_ms"][name]["value"] / 0.5 < 25 * 1.25
        assert 0.15 * 127 * 0.9 < found["velocity"][name]["value"] < 0.15 * 127 * 1.25
    assert found["onset_ms"]["quantised"]["value"] == pytest.approx(12.5, rel=0.1)


def test_a_model_that_plays_no_hit_has_no_errors(held_out_and_training):
    held_out, training = held_out_and_training
    found = measure(held_out, training, [np.zeros((32, 27))] * len(held_out))
    assert found["hits_kept"]["value"] == 0
    assert (found["onset_ms"], found["velocity"]) == ({}, {})
    assert np.isnan(found["timing"]["correlation"])
