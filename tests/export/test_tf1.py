"""Exports are what the original writes: names, types and values, in every form of archive."""

import tarfile

import numpy as np
import pytest
import tensorflow as tf

from music_vae.common.errors import UserError
from music_vae.configs import get_config
from music_vae.export import tf1
from music_vae.lstm_models import build_model
from music_vae.weights import config_file, tf_checkpoints
from music_vae.weights.tf_variables import named_variables
from support import paths

MODELS = paths.GOLDEN / "models"
GOLDEN = MODELS / "cat-mel_2bar_small" / "model.ckpt"


def variables(prefix):
    """Everything in a checkpoint of the published layout, as TensorFlow 1 reads it."""
    reader = tf.compat.v1.train.NewCheckpointReader(str(prefix))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def assert_equal(actual, expected):
    assert set(actual) == set(expected)
    for name, value in expected.items():
        assert np.asarray(actual[name]).dtype == np.asarray(value).dtype, name
        np.testing.assert_array_equal(actual[name], value, err_msg=name)


@pytest.mark.parametrize("name", sorted(path.name for path in MODELS.iterdir()))
def test_what_the_original_wrote_comes_out_as_it_was(name, tmp_path):
    source = MODELS / name / "model.ckpt"
    assert tf1.export(source, tmp_path / "out") == tmp_path / "out"
    assert_equal(variables(tmp_path / "out"), variables(source))
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"out.index", "out.data-00000-of-00001"}


def test_a_run_comes_out_with_its_weights_and_step_and_nothing_else(tiny_run, tmp_path):
    prefix = tf1.export(tiny_run, f"{tmp_path}/deep/down/")
    assert prefix == tmp_path / "deep" / "down" / "model.ckpt-3"
    weights = tf_checkpoints.read_weights(tiny_run)
    assert_equal(variables(prefix), weights | {"global_step": np.int64(3)})
    assert tf.train.latest_checkpoint(str(prefix.parent)) == str(prefix)
    assert config_file.read(prefix.parent) == config_file.read(tiny_run)
    names = {path.name for path in prefix.parent.iterdir()}
    files = {"model.ckpt-3.index", "model.ckpt-3.data-00000-of-00001"}
    assert names == files | {"checkpoint", "config.json"}


def test_a_saver_of_tensorflow_1_restores_it(tiny_run, tmp_path):
    prefix = tf1.export(tiny_run, tmp_path / "out")
    weights = tf_checkpoints.read_weights(tiny_run)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name, value in weights.items():
            tf.compat.v1.get_variable(name, value.shape, tf.float32, use_resource=False)
        step = tf.compat.v1.train.get_or_create_global_step()
        tf.compat.v1.train.Saver().restore(session, str(prefix))
        assert session.run(step) == 3
        for variable in tf.compat.v1.trainable_variables():
            np.testing.assert_array_equal(session.run(variable), weights[variable.op.name])


@pytest.mark.parametrize("name", ["small.tar", "small.tar.gz", "small.tgz"])
def test_an_archive_has_the_config_with_it(name, tiny_run, tmp_path):
    path = tf1.export(tiny_run, tmp_path / name)
    assert path == tmp_path / name
    assert [file.name for file in tmp_path.iterdir()] == [name]
    with tarfile.open(path) as tar:
        assert tar.getnames() == [
            *("small.ckpt.data-00000-of-00001", "small.ckpt.index", "config.json")
        ]
    assert config_file.read(path) == config_file.read(tiny_run)
    assert_equal(
        tf_checkpoints.read_weights(path),
        tf_checkpoints.read_weights(tiny_run) | {"global_step": np.int64(3)},
    )


def test_slots_and_leftovers_stay_behind(tmp_path):
    weights = variables(GOLDEN)
    extra = {f"{name}/Adam": value for name, value in weights.items() if value.shape}
    extra |= {"beta1_power": np.float32(0.9), "encoder/opaque_kernel": np.zeros(3, np.float32)}
    tf1.write_variables(tmp_path / "model.ckpt", weights | extra)
    tf1.export(tmp_path / "model.ckpt", tmp_path / "out")
    assert_equal(variables(tmp_path / "out"), weights)


def test_what_cannot_be_exported_leaves_nothing(tmp_path):
    tf1.write_variables(tmp_path / "model.ckpt", {"global_step": np.int64(3)})
    out = tmp_path / "out"
    for target in ("x", "x.tar", ""):
        with pytest.raises(UserError, match="holds no weights of a MusicVAE model"):
            tf1.export(tmp_path / "model.ckpt", f"{out}/{target}")
    assert not list(out.iterdir())
    with pytest.raises(UserError, match=r"the original reads no \.zip"):
        tf1.export(GOLDEN, out / "x.zip")


def test_an_export_trains_on_here(tiny_run, tiny_config, tmp_path):
    model = build_model(tiny_config)
    tf_checkpoints.load_weights(model, tf1.export(tiny_run, tmp_path / "x.tar"))
    expected = tf_checkpoints.read_weights(tiny_run)
    for name, variable in named_variables(model).items():
        np.testing.assert_array_equal(variable, expected[name])


def test_the_config_that_is_given_goes_with_it(tmp_path):
    config = get_config("cat-mel_2bar_small", "z_size=12,enc_rnn_size=[24],dec_rnn_size=[20,16]")
    assert config_file.read(tf1.export(GOLDEN, tmp_path / "x.tar", config)) == config
