"""Models are copied, pickled and used from several threads and processes."""

import concurrent.futures
import copy
import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest

import music_vae
from music_vae.common.errors import UserError


@pytest.fixture(scope="module")
def model():
    return music_vae.load("melody", batch_size=3)


def sampled(model, seed):
    """Pitches and times of two samples; at the top of the module, so that processes find it."""
    made = model.sample(2, temperature=0.5, seed=seed)
    return [[(n.pitch, n.start_time, n.end_time) for n in piece.notes] for piece in made]


def test_a_model_says_what_it_is(model, tiny_run, tiny_config):
    assert repr(model) == "<TrainedModel cat-mel_2bar_mini: z 128, 32 steps, engine numpy>"
    z, steps = tiny_config.hparams.z_size, tiny_config.hparams.max_seq_len
    expected = f"<TrainedModel {tiny_config.name}: z {z}, {steps} steps, engine tensorflow>"
    assert repr(music_vae.load(tiny_run, engine="tensorflow")) == expected


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
@pytest.mark.parametrize("engine", ["numpy", "tensorflow"])
def test_a_copy_is_the_same_model(tiny_run, copied, engine):
    first = music_vae.load(tiny_run, batch_size=3, engine=engine)
    again = copied(first)
    assert repr(again) == repr(first)
    assert (again.config, again.batch_size) == (first.config, 3)
    assert (again.source, again.converter) == (first.source, first.converter)
    assert sampled(again, 5) == sampled(first, 5)
    (piece,) = first.sample(1, seed=1)
    np.testing.assert_array_equal(again.encode(piece, seed=1)[0], first.encode(piece, seed=1)[0])


def test_a_pickle_has_neither_weights_nor_priors(model):
    assert model.prior("fitted") is not None  # which is read, and kept
    content = pickle.dumps(model)
    assert len(content) < 20_000  # the weights have megabytes
    assert sampled(pickle.loads(content), 2) == sampled(model, 2)


def test_a_copy_without_an_encoder_has_none():
    again = copy.copy(music_vae.load("melody", with_encoder=False))
    with pytest.raises(UserError, match="encoder"):
        again.encode("examples/two_bars/durangs_hornpipe.mid")


def test_a_pickle_can_be_read_in_another_folder(tiny_run, tmp_path, monkeypatch):
    shutil.copytree(tiny_run, tmp_path / "here" / "mine")
    monkeypatch.chdir(tmp_path / "here")
    first = music_vae.load("mine")
    expected, content = sampled(first, 3), pickle.dumps(first)
    monkeypatch.chdir(tmp_path)
    assert sampled(pickle.loads(content), 3) == expected
    shutil.rmtree(tmp_path / "here")
    with pytest.raises(UserError, match=r"there is no checkpoint .*mine"):
        pickle.loads(content)


def test_threads_share_a_model(model):
    expected = [sampled(model, seed) for seed in range(8)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda seed: sampled(model, seed), range(8))) == expected


def test_threads_that_are_the_first_to_use_the_package_do_not_disturb_each_other(model, tmp_path):
    """All imports and the opening of the model happen in threads, in a process of its own."""
    code = """
import sys, threading
import music_vae
made, errors, start = [], [], threading.Barrier(4)
def work():
    try:
        start.wait()
        model = music_vae.load("melody")
        (piece,) = model.sample(1, temperature=0.5, seed=0)
        made.append([note.pitch for note in piece.notes])
    except BaseException as error:
        errors.append(repr(error))
sys.setswitchinterval(1e-5)
threads = [threading.Thread(target=work) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert not errors, errors
assert len(made) == 4 and made.count(made[0]) == 4, made
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_worker_processes_are_given_a_model(model):
    """New processes, which import everything anew, as on Windows and macOS."""
    context = multiprocessing.get_context("spawn")
    expected = [sampled(model, seed) for seed in range(3)]
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        made = list(pool.map(_sampled_elsewhere, [model] * 3, range(3)))
    assert [pieces for pieces, _ in made] == expected
    assert os.getpid() not in {process for _, process in made}


def _sampled_elsewhere(model, seed):
    return sampled(model, seed), os.getpid()
