"""`music_vae_personalize` on a model of random weights, and samples with what it made."""

import logging

import numpy as np
import pytest

from music_vae import generate
from music_vae.commands import personalize
from music_vae.latent import personal_models
from music_vae.latent.personal_models import PersonalModel
from music_vae.latent.small_networks import Owner
from music_vae.training import personal_networks
from music_vae.weights import config_file
from support.commands import loaded_after
from support.paths import TUNES

FAST = ["--num_steps=3"]


@pytest.fixture(scope="module")
def fitted(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("personal") / "mine"
    tunes = ",".join(str(TUNES / f"{name}.mid") for name in ("soldiers_joy", "fishers_hornpipe"))
    flags = [f"--run_dir={run}", f"--input_midi={tunes}", f"--output={folder}"]
    assert personalize.main([*flags, "--size=3", *FAST]) == 0
    return folder


def test_samples_come_from_the_small_model_without_tensorflow(run, fitted, tmp_path):
    flags = [f"--run_dir={run}", f"--personal={fitted}", "--num_outputs=3", "--seed=1"]
    flags.append(f"--output_dir={tmp_path}")
    assert not loaded_after(("music_vae.generate", *flags))
    assert len(list(tmp_path.glob("*.mid"))) == 3


def test_the_size_is_that_of_a_point(run, fitted):
    found = personal_models.read(fitted, Owner.of(config_file.read(run), run))
    assert found.size == found.prior().size == 3
    assert found.decode(np.zeros((2, 3))).shape == (2, 4)


def test_a_folder_is_read_with_its_subfolders_and_what_cannot_be_read_is_said(
    run, tmp_path, caplog, capsys
):
    caplog.set_level(logging.WARNING)
    below = tmp_path / "music" / "more"
    below.mkdir(parents=True)
    (below / "tune.mid").write_bytes((TUNES / "soldiers_joy.mid").read_bytes())
    (below / "broken.mid").write_bytes(b"not music")
    (tmp_path / "music" / "notes.txt").write_text("nothing")
    flags = [f"--run_dir={run}", f"--input_dir={tmp_path / 'music'}", f"--output={tmp_path / 'p'}"]
    assert personalize.main([*flags, *FAST]) == 0
    assert "of 16 windows from 1 of 2 files: " in capsys.readouterr().out
    assert "broken.mid" in caplog.text


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "give --input_midi or --input_dir"),
        (["--input_midi=a.mid", "--input_dir=b"], "give --input_midi or --input_dir"),
        (["--input_midi=a.mid"], "--output is required"),
        (["--input_dir=nowhere", "--output=OUT"], "--input_dir=nowhere is not a folder"),
        (["--input_midi=a.mid,", "--output=OUT"], "--input_midi has an empty name"),
        (["--input_midi=RAG", "--output=OUT"], "1 files hold 0 windows that cat-mel_2bar_small"),
        (["--input_midi=a.mid", "--output=OUT", "--run_dir=nowhere"], "is not a directory"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(run, tmp_path, capsys, flags, message):
    out = tmp_path / "out"
    names = {"OUT": str(out), "RAG": str(TUNES / "maple-leaf-rag.mid")}
    for name, path in names.items():
        flags = [flag.replace(name, path) for flag in flags]
    assert personalize.main(["--log=ERROR", f"--run_dir={run}", *flags]) == 2
    error = [line for line in capsys.readouterr().err.splitlines() if "WARNING" not in line]
    assert len(error) == 1
    assert message in error[0]
    assert not out.exists()


def test_a_personal_model_is_never_replaced(run, fitted, capsys):
    before = {path: path.read_bytes() for path in fitted.iterdir()}
    flags = [f"--run_dir={run}", f"--input_dir={TUNES}", f"--output={fitted}", *FAST]
    assert personalize.main(flags) == 2
    assert f"--output={fitted} " in capsys.readouterr().err
    assert {path: path.read_bytes() for path in fitted.iterdir()} == before


def test_a_personal_model_of_another_training_is_refused(tiny_run, fitted, tmp_path, capsys):
    flags = [f"--run_dir={tiny_run}", f"--personal={fitted}", f"--output_dir={tmp_path}"]
    assert generate.main(flags) == 2
    assert "has the personal model of another model" in capsys.readouterr().err


def test_training_finds_where_the_pieces_lie():
    """Two clusters of windows at (-2, 0) and (2, 2); what is not encoded does not matter."""
    rng = np.random.default_rng(0)
    side = rng.choice([-1.0, 1.0], 64)
    mu = np.stack([2 * side, 1 + side, np.zeros(64)], axis=1)
    sigma = np.tile([0.1, 0.1, 1.0], (64, 1))
    settings = personal_networks.Settings(size=2, hidden=(32,), learning_rate=5e-3)
    layers, kl_nats = personal_networks.train(mu, sigma, range(400), settings)
    assert kl_nats > np.log(2)  # what tells one cluster from the other
    z = PersonalModel(layers).decode(rng.standard_normal((200, 2)))
    off_the_line = np.abs(z[:, 1] - (1 + z[:, 0] / 2))
    assert np.mean(off_the_line) < 0.3  # of the prior: 1.3
    assert np.mean(np.abs(z[:, 2])) < 0.5
    assert 0.2 < np.mean(z[:, 0] > 1) < 0.8
    assert 0.2 < np.mean(z[:, 0] < -1) < 0.8
