"""The fitted prior in exported folders: its numbers, and how a program draws with them."""

import json

import numpy as np
import pytest

from music_vae.commands import export
from music_vae.export import prior_files
from music_vae.latent import priors
from music_vae.latent.small_networks import Owner
from music_vae.weights import config_file
from support import exported_arrays, fitted_priors

EVEN = "z_size=8,enc_rnn_size=[16],dec_rnn_size=[12,12]"


@pytest.fixture(scope="module")
def run(random_run):
    run = random_run("cat-mel_2bar_small", EVEN)
    fitted_priors.of_two(run)
    return run


def test_points_that_are_drawn_as_the_file_says_are_ours(run, tmp_path):
    fitted = priors.read(priors.default_path(run), Owner.of(config_file.read(run), run))
    assert len(prior_files.write(fitted, tmp_path)) == 2
    arrays, prior = exported_arrays.read(tmp_path / "prior.json")[1], fitted.prior()
    rng = np.random.default_rng(1)
    for number in (-1.0, 0.3, 2.0):  # the chances below them are .16, .62 and .98
        e = rng.standard_normal(8)
        (ours,) = prior.points(np.concatenate([[number], e])[np.newaxis])
        uniform = {-1.0: 0.1587, 0.3: 0.6179, 2.0: 0.9772}[number]
        k = np.flatnonzero(arrays["cumulative_weights"] > uniform)[0]
        z = arrays["axes"] @ (arrays["means"][k] + arrays["deviations"][k] * e)
        np.testing.assert_allclose(z, ours, atol=1e-5)
    assert arrays["cumulative_weights"][-1] == 1


def test_the_normal_prior_needs_no_files(tmp_path):
    assert prior_files.write(None, tmp_path) == []
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", ["tfjs", "onnx"])
def test_exports_carry_the_prior_unless_it_is_to_be_the_normal_one(run, tmp_path, form):
    flags = [f"--run_dir={run}", f"--format={form}", *["--demo"] * (form == "tfjs")]
    for name, more in (("fitted", []), ("normal", ["--prior=normal"])):
        folder = tmp_path / name
        assert export.main([*flags, *more, f"--output_dir={folder}"]) == 0
        assert (folder / "prior.bin").is_file() == (name == "fitted")
        if form == "onnx":
            described = json.loads((folder / "model.json").read_text())
            assert described["prior"] == {"fitted": "prior.json", "normal": "normal"}[name]
            words = {"fitted": "as prior.json says", "normal": "standard normal numbers"}[name]
            assert words in described["use"]["sample"]
        else:
            told = f'"prior": {"true" if name == "fitted" else "false"}'
            assert told in (folder / "index.html").read_text(encoding="utf-8")
