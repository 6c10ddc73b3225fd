"""Checkpoints in every spelling, and every wrong one answered in a line."""

import json
import re
import shutil
import tarfile
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from music_vae.common.errors import UserError
from music_vae.common.hparams import HParams
from music_vae.configs import CONFIG_MAP, get_config
from music_vae.lstm_models import build_model
from music_vae.weights import checkpoint_files, config_file, tf_checkpoints
from music_vae.weights.tf_variables import named_variables
from support import paths

GOLDEN = paths.GOLDEN / "models" / "cat-mel_2bar_small"
MODELS = sorted(path.name for path in GOLDEN.parent.iterdir())
SIZES = "z_size=12,enc_rnn_size=[24],dec_rnn_size=[20,16]"
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


def write_variables(prefix, variables):
    """A checkpoint in the published layout."""
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(variables),
        shape_and_slices=[""] * len(variables),
        tensors=[tf.constant(value) for value in variables.values()],
    )


def make_zip(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, file in files.items():
            archive.write(file, name)
    return path


def files_of(folder, prefix=""):
    return {f"{prefix}{path.name}": path for path in folder.iterdir()}


@pytest.mark.parametrize(
    "spelling",
    ["model.ckpt", "model.ckpt.index", "model.ckpt.data-00000-of-00001", ""],
)
def test_a_prefix_its_files_and_its_directory_all_mean_the_checkpoint(folder, spelling):
    weights = tf_checkpoints.read_weights(folder / spelling)
    assert weights[MU].shape == (48, 12)


@pytest.mark.parametrize(
    ("name", "mode"), [("a.tar", "w"), ("a.tar.gz", "w:gz"), ("a.tgz", "w:gz")]
)
def test_an_archive_means_the_checkpoint_in_it_wherever_it_lies(folder, tmp_path, name, mode):
    path = make_tar(tmp_path / name, files_of(folder, "deep/down/"), mode)
    np.testing.assert_array_equal(
        tf_checkpoints.read_weights(path)[MU], tf_checkpoints.read_weights(folder)[MU]
    )


@pytest.mark.parametrize("name", MODELS)
def test_every_golden_checkpoint_loads_from_prefix_directory_tar_and_zip(name, tmp_path):
    facts = json.loads((GOLDEN.parent / name / "golden.json").read_text())
    config = CONFIG_MAP[name].replace(hparams=HParams(**facts["hparams"]))
    model, folder = build_model(config), tmp_path / "folder"
    folder.mkdir()
    for path in (GOLDEN.parent / name).glob("model.ckpt*"):
        shutil.copy(path, folder)
    files = files_of(folder, f"{name}/")
    sources = [
        *(folder / "model.ckpt", folder, make_tar(tmp_path / f"{name}.tar", files)),
        *(make_tar(tmp_path / f"{name}.tar.gz", files, "w:gz"), tmp_path / f"{name}.zip"),
    ]
    make_zip(sources[-1], files)
    expected = tf_checkpoints.read_weights(folder / "model.ckpt")
    for source in sources:
        for variable in model.trainable_variables:
            variable.assign(np.zeros(variable.shape))
        tf_checkpoints.load_weights(model, source)
        for key, variable in named_variables(model).items():
            np.testing.assert_array_equal(variable, expected[key], err_msg=f"{source} {key}")


def test_the_tilde_is_the_home_directory(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    assert MU in tf_checkpoints.read_weights("~/model.ckpt")


def test_a_directory_means_its_newest_checkpoint(tiny_run):
    with checkpoint_files.open_prefix(tiny_run) as prefix:
        assert prefix == tiny_run / "train" / "model.ckpt-3"


def test_a_runs_checkpoint_has_the_published_names(tiny_run, tiny_config):
    weights = tf_checkpoints.read_weights(tiny_run)
    assert set(weights) == set(named_variables(build_model(tiny_config)))


@pytest.mark.parametrize("path", ["nowhere", "nowhere.index", "nowhere/model.ckpt"])
def test_a_checkpoint_that_is_not_there_is_an_error_that_says_what_would_be(tmp_path, path):
    with pytest.raises(UserError, match="expected a prefix such as"):
        tf_checkpoints.read_weights(tmp_path / path)


def test_a_directory_without_a_checkpoint_is_an_error(tmp_path):
    with pytest.raises(UserError, match="there is no checkpoint in the directory"):
        tf_checkpoints.read_weights(tmp_path)


def test_a_damaged_checkpoint_is_one_line(folder, tmp_path):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match="cannot be read") as caught:
        tf_checkpoints.read_weights(tmp_path / "model.ckpt")
    assert "\n" not in str(caught.value)


def test_a_wrong_byte_is_one_line_or_does_not_matter(folder, tmp_path):
    """Every fifth of the index, which has all kinds of structure, and some of the data."""
    refused = 0
    for path in folder.iterdir():
        shutil.copy(path, tmp_path)
    for path in sorted(tmp_path.iterdir()):
        content = path.read_bytes()
        step = 5 if path.suffix == ".index" else len(content) // 20
        for at in range(0, len(content), step):
            path.write_bytes(content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :])
            try:
                tf_checkpoints.read_weights(tmp_path / "model.ckpt")
            except UserError as error:
                assert "\n" not in str(error)
                refused += 1
        path.write_bytes(content)
    assert refused > 100


def test_an_archive_that_is_none_is_one_line(tmp_path):
    (tmp_path / "a.tar").write_bytes(b"not a tar" * 100)
    with pytest.raises(UserError, match="cannot be read as a tar archive"):
        tf_checkpoints.read_weights(tmp_path / "a.tar")


def golden_model(overrides=SIZES):
    return build_model(get_config("cat-mel_2bar_small", overrides))


def test_a_checkpoint_of_other_sizes_changes_nothing(folder):
    model = golden_model("z_size=12,enc_rnn_size=[24],dec_rnn_size=[20,17]")
    before = [v.numpy() for v in model.trainable_variables]
    with pytest.raises(UserError, match=r"has shape \[12, 72\], expected \[12, 74\]"):
        tf_checkpoints.load_weights(model, folder)
    for old, variable in zip(before, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())


def test_missing_weights_are_an_error_that_lists_them(folder):
    model, weights = golden_model(), tf_checkpoints.read_weights(folder)
    names = list(named_variables(model))
    for name in ("encoder/mu/kernel", "encoder/mu/bias"):
        del weights[name]
    with pytest.raises(UserError, match=r"2 of 16 weights .*: encoder/mu/kernel, encoder/mu/bias;"):
        tf_checkpoints.assign_weights(model, weights, "incomplete")
    with pytest.raises(UserError) as caught:
        tf_checkpoints.assign_weights(model, {}, "empty")
    message = str(caught.value)
    assert f"{names[11]} and 4 more" in message
    assert names[12] not in message


def test_the_error_of_a_wrong_config_names_the_right_one_with_its_sizes(folder):
    model = build_model(get_config("cat-drums_2bar_small", SIZES))
    wanted = f"`config=cat-mel_2bar_small` .*`hparams={re.escape(SIZES)}`"
    with pytest.raises(UserError, match=wanted):
        tf_checkpoints.load_weights(model, folder)


def test_a_larger_model_whose_lower_layers_fit_is_refused(folder):
    """They would load, and encode nonsense; without an encoder nothing is wrong."""
    sizes = "z_size=12,enc_rnn_size=[24,24],dec_rnn_size=[20,16]"
    large = build_model(get_config("cat-mel_2bar_small", sizes))
    weights = {name: variable.numpy() for name, variable in named_variables(large).items()}
    with pytest.raises(UserError, match=r"also holds encoder/cell_1/.*enc_rnn_size=\[24,24\]"):
        tf_checkpoints.assign_weights(golden_model(), weights, "large")
    decoder = build_model(get_config("cat-mel_2bar_small", SIZES), with_encoder=False)
    tf_checkpoints.assign_weights(decoder, weights, "large")


def test_slots_counters_and_leftovers_of_training_are_ignored(folder, tmp_path, caplog):
    """As a checkpoint of the original's training has them, written by TensorFlow 1's Saver."""
    model, weights = golden_model(), tf_checkpoints.read_weights(folder)
    extra = {"beta1_power": np.float32(0.9), "beta2_power": np.float32(0.99)}
    extra["encoder/cudnn_lstm/opaque_kernel"] = np.zeros(30, np.float32)
    extra["encoder/cudnn_lstm/opaque_kernel/Adam"] = np.zeros(30, np.float32)
    for name in named_variables(model):
        extra[f"{name}/Adam"] = extra[f"{name}/Adam_1"] = np.ones_like(weights[name])
    write_variables(tmp_path / "model.ckpt", weights | extra)
    with caplog.at_level("DEBUG", "music_vae"):
        tf_checkpoints.load_weights(model, tmp_path)
    for name, variable in named_variables(model).items():
        np.testing.assert_array_equal(variable, weights[name])
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    (table,) = [r.getMessage() for r in caplog.records if "ignored" in r.getMessage()]
    lines = [line.split() for line in table.splitlines()[1:]]
    assert sum(line[0] == "loaded" for line in lines) == 16
    assert sum(line[0] == "ignored" for line in lines) == 32 + 5
    assert ["ignored", "global_step", "[]"] in lines


def test_what_is_missing_is_in_the_table_too(folder, caplog):
    weights = tf_checkpoints.read_weights(folder)
    del weights[MU]
    with caplog.at_level("DEBUG", "music_vae"), pytest.raises(UserError):
        tf_checkpoints.assign_weights(golden_model(), weights, "incomplete")
    assert f"missing  {MU} [48, 12]" in caplog.text


def test_weights_that_no_config_explains_are_a_warning(folder, caplog):
    weights = tf_checkpoints.read_weights(folder) | {"extra/kernel": np.zeros(3, np.float32)}
    tf_checkpoints.assign_weights(golden_model(), weights, "more")
    assert "more also holds what this config does not use: extra/kernel" in caplog.text


def test_a_checkpoint_that_claims_more_than_it_holds_is_not_read(folder, tmp_path):
    for path in folder.iterdir():
        shutil.copy(path, tmp_path)
    data = tmp_path / "model.ckpt.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"cannot be read: its variables claim 151,728 bytes"):
        tf_checkpoints.read_weights(tmp_path / "model.ckpt")


def test_a_variable_of_text_is_not_read(tmp_path):
    write_variables(tmp_path / "model.ckpt", {MU: np.array("text", object)})
    with pytest.raises(UserError, match="holds text instead of numbers"):
        tf_checkpoints.read_weights(tmp_path / "model.ckpt")


def test_a_checkpoint_says_its_step_and_whether_a_run_wrote_it(folder, tiny_run):
    with tf_checkpoints.open_checkpoint(folder) as weights:
        assert (weights.step, weights.of_run) == (1234, False)
    with tf_checkpoints.open_checkpoint(tiny_run) as weights:
        assert (weights.step, weights.of_run) == (3, True)


def test_a_folder_name_that_looks_like_a_pattern_is_taken_as_it_is(folder, tmp_path):
    odd = tmp_path / "r[1] *"
    shutil.copytree(folder, odd)
    np.testing.assert_array_equal(
        tf_checkpoints.read_weights(odd / "model.ckpt")[MU], tf_checkpoints.read_weights(folder)[MU]
    )


def test_the_twins_that_macos_adds_to_a_tar_are_left_out(folder, tmp_path):
    files = files_of(folder)
    twins = {f"._{name}": path for name, path in files.items()}
    assert MU in tf_checkpoints.read_weights(make_tar(tmp_path / "mac.tar", twins | files))


def test_the_config_of_an_archive_is_read_from_it(tiny_run, tiny_config, tmp_path):
    path = make_tar(tmp_path / "a.tar.gz", files_of(tiny_run / "train", "x/"), "w:gz")
    (tmp_path / "config.json").write_text("{}")  # of something else
    assert config_file.read(path) == tiny_config
    bare = make_tar(tmp_path / "b.tar", {"model.ckpt.index": GOLDEN / "model.ckpt.index"})
    assert config_file.read(bare) is None


@pytest.mark.parametrize("name", [r"\x", r"\N{x}", r"\000", "x" * 5000, r"\u12", "../" * 2000])
def test_a_state_file_that_makes_no_sense_is_passed_over(folder, tmp_path, name):
    for path in folder.iterdir():
        shutil.copy(path, tmp_path)
    (tmp_path / "checkpoint").write_text(f'model_checkpoint_path: "{name}"\n')
    assert checkpoint_files.newest_prefix(tmp_path) == tmp_path / "model.ckpt"
