"""Weights are found where they are, and checkpoints converted once."""

import shutil
import subprocess
import sys
import tarfile
import zipfile

import numpy as np
import pytest

from music_vae.common.errors import UserError
from music_vae.engine import ENGINES
from music_vae.trained_model import TrainedModel
from music_vae.weights import config_file, convert, locate, safetensors_file, tf_checkpoints
from support import paths

GOLDEN = paths.GOLDEN / "models" / "cat-mel_2bar_small"
NAME = "decoder/output_projection/bias"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("MUSIC_VAE_CACHE", str(folder))
    return folder


@pytest.fixture
def conversions(monkeypatch):
    """The checkpoints that are converted."""
    made = []

    def convert_and_note(checkpoint, target, metadata):
        made.append(checkpoint)
        real(checkpoint, target, metadata)

    real = convert.convert
    monkeypatch.setattr(convert, "convert", convert_and_note)
    return made


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "model.tar"
    with tarfile.open(path, "w") as tar:
        for file in sorted(GOLDEN.glob("model.ckpt.*")):
            tar.add(file, f"folder/{file.name}")
    return path


def compressed(archive):
    path = archive.with_suffix(".tar.gz")
    with tarfile.open(path, "w:gz") as tar, tarfile.open(archive) as source:
        for member in source:
            tar.addfile(member, source.extractfile(member))
    return path


def test_every_spelling_of_a_checkpoint_is_converted_once(archive, conversions, cache):
    expected = tf_checkpoints.read_weights(GOLDEN)
    del expected["global_step"]
    spellings = (GOLDEN / "model.ckpt", GOLDEN, GOLDEN / "model.ckpt.index", archive)
    for path in (*spellings, *spellings):
        found = locate.open_weights(path)
        assert set(found) == set(expected)
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array)
    assert conversions == [GOLDEN / "model.ckpt"]
    assert len(list((cache / "weights").iterdir())) == 1


def test_a_compressed_archive_is_converted_once(archive, conversions):
    path = compressed(archive)
    for _ in range(2):
        assert NAME in locate.open_weights(path)
    assert conversions == [path]


def test_what_belongs_to_the_optimizer_is_left_out(tiny_run):
    found = locate.open_weights(tiny_run / "train" / "model.ckpt-3")
    assert found.keys() == tf_checkpoints.read_weights(tiny_run).keys()
    assert all(name.split("/")[0] in ("encoder", "decoder") for name in found)


def test_a_damaged_file_in_the_cache_is_made_again(conversions, cache):
    locate.open_weights(GOLDEN)
    (file,) = (cache / "weights").iterdir()
    file.write_bytes(b"x" * 100)
    assert NAME in locate.open_weights(GOLDEN)
    assert len(conversions) == 2


def test_a_runs_own_weights_need_no_conversion(tiny_run, conversions):
    for path in (tiny_run, tiny_run / "train", tiny_run / "train" / "weights.safetensors"):
        found = locate.open_weights(path)
        assert found.metadata["step"] == "3"
        for name, array in tf_checkpoints.read_weights(tiny_run).items():
            np.testing.assert_array_equal(found[name], array)
    assert not conversions


def test_weights_of_an_older_checkpoint_are_left_aside(tiny_run, tmp_path, conversions):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    path = run / "train" / "weights.safetensors"
    old = {name: np.zeros_like(array) for name, array in safetensors_file.WeightsFile(path).items()}
    safetensors_file.write(path, old, {locate.KEY: "of another"})
    assert locate.open_weights(run)[NAME].any()
    assert conversions == [run / "train" / "model.ckpt-3"]
    for file in (run / "train").glob("*ckpt*"):
        file.unlink()
    assert not locate.open_weights(run)[NAME].any()


def test_all_that_can_be_opened_is_there(tiny_run, archive, tmp_path):
    file = tiny_run / "train" / "weights.safetensors"
    alone = tmp_path / "alone"
    for folder in (alone, alone / "run" / "train"):
        folder.mkdir(parents=True)
        shutil.copy(file, folder)
    checkpoints = (GOLDEN, GOLDEN / "model.ckpt", GOLDEN / "model.ckpt.index", archive, tiny_run)
    for path in (file, alone, alone / "run", alone / "run" / "train", *checkpoints):
        locate.check_there(path)
        assert NAME in locate.open_weights(path)


@pytest.mark.parametrize("path", ["nowhere", "", "nowhere.safetensors", "nowhere.tar", "empty"])
def test_what_cannot_be_opened_is_not_there(tmp_path, path):
    (tmp_path / "empty" / "train").mkdir(parents=True)
    for look in (locate.check_there, locate.open_weights):
        with pytest.raises(UserError):
            look(tmp_path / path)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere", "there is no checkpoint '.*nowhere'; expected a prefix"),
        ("", "there is no checkpoint in the directory"),
        ("nowhere.safetensors", "cannot be read: No such file"),
    ],
)
def test_what_is_not_there_is_named(tmp_path, path, message):
    with pytest.raises(UserError, match=message):
        locate.open_weights(tmp_path / path)


def test_an_archive_without_a_checkpoint_is_refused(tmp_path):
    path = tmp_path / "empty.tar"
    tarfile.open(path, "w").close()
    with pytest.raises(UserError, match="must hold one checkpoint"):
        locate.open_weights(path)
    path.write_bytes(b"no archive")
    with pytest.raises(UserError, match="cannot be read as a tar archive"):
        locate.open_weights(path)


def pack(path, *files):
    """An archive of files, in a folder; its name says of which kind."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in files:
                archive.write(file, f"folder/{file.name}")
        return path
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for file in files:
            archive.add(file, f"folder/{file.name}")
    return path


@pytest.mark.parametrize("name", ["model.tar", "model.tar.gz", "model.zip"])
def test_weights_in_an_archive_need_no_conversion(name, tiny_run, tmp_path, conversions, cache):
    folder = tiny_run / "train"
    path = pack(tmp_path / name, folder / "weights.safetensors", folder / "config.json")
    for _ in range(2):
        found = locate.open_weights(path)
        for key, array in tf_checkpoints.read_weights(tiny_run).items():
            np.testing.assert_array_equal(found[key], array)
    assert not conversions
    (kept,) = (cache / "weights").iterdir()
    assert kept.read_bytes() == (folder / "weights.safetensors").read_bytes()
    assert config_file.read(path) == config_file.read(tiny_run)


def test_both_engines_read_weights_in_an_archive(tiny_run, tiny_config, tmp_path):
    path = pack(tmp_path / "model.zip", tiny_run / "train" / "weights.safetensors")
    z = np.zeros((1, tiny_config.hparams.z_size), np.float32)
    made = [
        TrainedModel(tiny_config, 1, path, engine=engine).decode_to_tensors(z, seed=1)[0]
        for engine in ENGINES
    ]
    np.testing.assert_array_equal(*made)


@pytest.mark.parametrize("matches", [True, False])
def test_weights_beside_a_checkpoint_in_an_archive_must_be_its_own(
    matches, tiny_run, tmp_path, conversions
):
    folder, weights = tiny_run / "train", tmp_path / "weights.safetensors"
    key = locate.checkpoint_key(folder / "model.ckpt-3") if matches else "of another"
    safetensors_file.write(weights, {NAME: np.zeros(90)}, {locate.KEY: key})
    path = pack(tmp_path / "model.tar", weights, *folder.glob("model.ckpt-3.*"))
    assert locate.open_weights(path)[NAME].any() == (not matches)
    assert conversions == [path] * (not matches)


def test_a_damaged_copy_is_made_again_and_damage_in_an_archive_is_said(tiny_run, tmp_path, cache):
    weights = tiny_run / "train" / "weights.safetensors"
    path = pack(tmp_path / "model.tar", weights)
    locate.open_weights(path)
    (kept,) = (cache / "weights").iterdir()
    kept.write_bytes(b"x" * 100)
    assert NAME in locate.open_weights(path)
    broken = tmp_path / "weights.safetensors"
    broken.write_bytes(weights.read_bytes()[:-1])
    path = pack(tmp_path / "broken.tar", broken)
    with pytest.raises(
        UserError, match=r"broken.tar/weights.safetensors' is not a file of weights"
    ):
        locate.open_weights(path)
    assert list((cache / "weights").iterdir()) == [kept]


CODE = """
import logging, sys
from music_vae.weights import locate
from music_vae.common.errors import UserError
logging.basicConfig(level=logging.INFO, format="%(message)s")
try:
    print(len(locate.open_weights(sys.argv[1])), "tensorflow" in sys.modules)
except UserError as error:
    print(error)
"""


def test_an_archive_of_weights_needs_no_tensorflow_and_no_other_process(tiny_run, tmp_path):
    path = pack(tmp_path / "model.tar", tiny_run / "train" / "weights.safetensors")
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(path)], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("16 False\n", "")


def test_without_tensorflow_another_process_converts_and_this_one_says_so(tmp_path, cache):
    path = GOLDEN / "model.ckpt"

    def run(path):
        return subprocess.run(
            [sys.executable, "-c", CODE, str(path)], capture_output=True, text=True, check=True
        )

    first, second = run(path), run(path)
    (file,) = (cache / "weights").iterdir()
    expected = f"converting the TensorFlow checkpoint {path} once, to {file}\n"
    assert (first.stdout, first.stderr) == ("16 False\n", expected)
    assert (second.stdout, second.stderr) == ("16 False\n", "")
    broken = tmp_path / "broken.ckpt.index"
    broken.write_bytes(b"no index")
    assert run(broken).stdout.startswith(f"the checkpoint '{broken.with_suffix('')}' cannot be")
