"""Checkpoints in every spelling, and every wrong one answered in a line."""

import io
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest

from music_vae import checkpoints, run_config
from music_vae.configs import get_config
from music_vae.errors import UserError
from music_vae.legacy_weights import named_variables
from music_vae.lstm_models import build_model

GOLDEN = Path(__file__).parent / "golden" / "models" / "cat-mel_2bar_small"
MU = "encoder/mu/kernel"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A directory with nothing but a published checkpoint."""
    folder = tmp_path_factory.mktemp("published")
    for path in GOLDEN.glob("model.ckpt*"):
        shutil.copy(path, folder)
    return folder


def make_tar(path, files, mode="w"):
    with tarfile.open(path, mode) as tar:
        for name, file in files.items():
            tar.add(file, arcname=name)
    return path


def checkpoint_files(folder, prefix=""):
    return {f"{prefix}{path.name}": path for path in folder.iterdir()}


@pytest.mark.parametrize(
    "spelling",
    ["model.ckpt", "model.ckpt.index", "model.ckpt.data-00000-of-00001", ""],
)
def test_a_prefix_its_files_and_its_directory_all_mean_the_checkpoint(folder, spelling):
    weights = checkpoints.read_weights(folder / spelling)
    assert weights[MU].shape == (48, 12)


@pytest.mark.parametrize(
    ("name", "mode"), [("a.tar", "w"), ("a.tar.gz", "w:gz"), ("a.tgz", "w:gz")]
)
def test_an_archive_means_the_checkpoint_in_it_wherever_it_lies(folder, tmp_path, name, mode):
    path = make_tar(tmp_path / name, checkpoint_files(folder, "deep/down/"), mode)
    np.testing.assert_array_equal(
        checkpoints.read_weights(path)[MU], checkpoints.read_weights(folder)[MU]
    )


def test_the_tilde_is_the_home_directory(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    assert MU in checkpoints.read_weights("~/model.ckpt")


def test_a_directory_means_its_newest_checkpoint(tiny_run):
    with checkpoints.open_prefix(tiny_run) as prefix:
        assert prefix == tiny_run / "train" / "model.ckpt-3"


def test_a_runs_checkpoint_has_the_published_names(tiny_run, tiny_config):
    weights = checkpoints.read_weights(tiny_run)
    assert set(weights) == set(named_variables(build_model(tiny_config)))


@pytest.mark.parametrize("path", ["nowhere", "nowhere.index", "nowhere/model.ckpt"])
def test_a_checkpoint_that_is_not_there_is_an_error_that_says_what_would_be(tmp_path, path):
    with pytest.raises(UserError, match="expected a prefix such as"):
        checkpoints.read_weights(tmp_path / path)


def test_a_directory_without_a_checkpoint_is_an_error(tmp_path):
    with pytest.raises(UserError, match="there is no checkpoint in the directory"):
        checkpoints.read_weights(tmp_path)


def test_a_damaged_checkpoint_is_one_line(folder, tmp_path):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match="cannot be read") as caught:
        checkpoints.read_weights(tmp_path / "model.ckpt")
    assert "\n" not in str(caught.value)


def test_an_archive_that_is_none_is_one_line(tmp_path):
    (tmp_path / "a.tar").write_bytes(b"not a tar" * 100)
    with pytest.raises(UserError, match="cannot be read as a tar archive"):
        checkpoints.read_weights(tmp_path / "a.tar")


def test_an_archive_must_hold_one_checkpoint(folder, tmp_path):
    make_tar(tmp_path / "none.tar", {"readme.txt": GOLDEN / "golden.json"})
    with pytest.raises(UserError, match="must hold one checkpoint; found none"):
        checkpoints.read_weights(tmp_path / "none.tar")
    two = checkpoint_files(folder) | {
        name.replace("model", "other"): path for name, path in checkpoint_files(folder).items()
    }
    make_tar(tmp_path / "two.tar", two)
    with pytest.raises(UserError, match=r"found model.ckpt, other.ckpt"):
        checkpoints.read_weights(tmp_path / "two.tar")


def test_members_that_escape_or_are_no_files_are_not_followed(folder, tmp_path):
    path = tmp_path / "bad.tar"
    make_tar(path, checkpoint_files(folder))
    secret = tmp_path / "secret"
    secret.write_text("secret")
    with tarfile.open(path, "a") as tar:
        for name in ("../../escaped.json", f"{tmp_path}/absolute.json"):
            member = tarfile.TarInfo(name)
            member.size = 2
            tar.addfile(member, io.BytesIO(b"{}"))
        link = tarfile.TarInfo("link.index")
        link.type, link.linkname = tarfile.SYMTYPE, str(secret)
        tar.addfile(link)
        device = tarfile.TarInfo("device.index")
        device.type = tarfile.CHRTYPE
        tar.addfile(device)
    before = sorted(tmp_path.rglob("*"))
    assert MU in checkpoints.read_weights(path)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_member_that_claims_too_much_is_refused_before_it_is_read(folder, tmp_path, monkeypatch):
    path = make_tar(tmp_path / "large.tar", checkpoint_files(folder))
    monkeypatch.setattr(checkpoints, "MAX_MEMBER_BYTES", 1000)
    with pytest.raises(UserError, match=r"claims 151,728 bytes; .* has at most 1,000"):
        checkpoints.read_weights(path)


def golden_model(overrides="z_size=12,enc_rnn_size=[24],dec_rnn_size=[20,16]"):
    return build_model(get_config("cat-mel_2bar_small", overrides))


def test_a_checkpoint_of_other_sizes_changes_nothing(folder):
    model = golden_model("z_size=12,enc_rnn_size=[24],dec_rnn_size=[20,17]")
    before = [v.numpy() for v in model.trainable_variables]
    with pytest.raises(UserError, match=r"has shape \[12, 72\], expected \[12, 74\]"):
        checkpoints.load_weights(model, folder)
    for old, variable in zip(before, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())


def test_missing_weights_are_an_error_and_others_are_left_alone(folder):
    model = golden_model()
    weights = checkpoints.read_weights(folder)
    extra = weights | {"encoder/mu/kernel/Adam": weights[MU], "global_step": np.int64(3)}
    checkpoints.assign_weights(model, extra, "with extras")
    np.testing.assert_array_equal(named_variables(model)[MU], weights[MU])
    del weights[MU]
    with pytest.raises(UserError, match=r"lacks 1 of 16 weights .* first being encoder/mu"):
        checkpoints.assign_weights(model, weights, "incomplete")


def test_a_folder_name_that_looks_like_a_pattern_is_taken_as_it_is(folder, tmp_path):
    odd = tmp_path / "r[1] *"
    shutil.copytree(folder, odd)
    np.testing.assert_array_equal(
        checkpoints.read_weights(odd / "model.ckpt")[MU], checkpoints.read_weights(folder)[MU]
    )


def test_the_twins_that_macos_adds_to_a_tar_are_left_out(folder, tmp_path):
    files = checkpoint_files(folder)
    twins = {f"._{name}": path for name, path in files.items()}
    assert MU in checkpoints.read_weights(make_tar(tmp_path / "mac.tar", twins | files))


def test_the_config_of_an_archive_is_read_from_it(tiny_run, tiny_config, tmp_path):
    path = make_tar(tmp_path / "a.tar.gz", checkpoint_files(tiny_run / "train", "x/"), "w:gz")
    (tmp_path / "config.json").write_text("{}")  # of something else
    assert run_config.read(path) == tiny_config
    bare = make_tar(tmp_path / "b.tar", {"model.ckpt.index": GOLDEN / "model.ckpt.index"})
    assert run_config.read(bare) is None
