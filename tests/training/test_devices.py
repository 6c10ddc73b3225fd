"""Several devices take the step that one device takes."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from music_vae.common.errors import UserError
from music_vae.nn.noise import Shard
from music_vae.training import devices
from music_vae.training.cluster import Cluster
from music_vae.training.devices import ONE_DEVICE, Devices
from support.sizes import TINY

# Trains for some steps on logical devices, which have to be made before TensorFlow starts.
TRAIN = """
import sys
import keras, numpy as np, tensorflow as tf
from music_vae import data
from music_vae.training import devices
from music_vae.configs import get_config
from music_vae.lstm_models import build_model
from music_vae.common.batches import Batch
from music_vae.training.trainer import Trainer

_, tunes, hparams, count, output = sys.argv
cpu = tf.config.list_physical_devices("CPU")[0]
logical = [tf.config.LogicalDeviceConfiguration()] * int(count)
tf.config.set_logical_device_configuration(cpu, logical)
on = devices.open_devices("mirrored" if int(count) > 1 else "auto", None)
assert on.num_replicas == int(count)
config = get_config("cat-mel_2bar_small", hparams)
music = data.convert(data.read_note_sequences(tunes), config)
batch = Batch(*map(tf.constant, next(data.evaluation_batches(music, config))))
keras.utils.set_random_seed(0)
with on.scope():
    model = build_model(config)
trainer = Trainer(model, seed=1, devices=on)
steps = [trainer.train_step(batch) for _ in range(3)]
figures = {f"{n}/{k}": v for n, step in enumerate(steps) for part in step for k, v in part.items()}
weights = {f"weight/{n}": v for n, v in enumerate(model.get_weights())}
np.savez(output, **figures, **weights)
"""


@pytest.mark.slow
def test_two_devices_take_the_same_steps_as_one(tunes, tmp_path):
    """With dropout and scheduled sampling: noise does not depend on the devices."""
    found = []
    for count in (1, 2):
        output = tmp_path / f"{count}.npz"
        hparams = f"{TINY},dropout_keep_prob=0.8"
        arguments = [str(tunes), hparams, str(count), str(output)]
        subprocess.run([sys.executable, "-c", TRAIN, *arguments], check=True)
        found.append(dict(np.load(output)))
    one, two = found
    assert set(one) == set(two)
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, rtol=1e-5, atol=1e-5, err_msg=name)


def test_one_device_is_what_there_is_without_a_cluster_and_gpus():
    assert devices.open_devices("auto", None) is ONE_DEVICE
    assert devices.open_devices("one_device", None) is ONE_DEVICE
    assert ONE_DEVICE.is_chief


def test_a_strategy_that_does_not_suit_the_cluster_is_refused():
    with pytest.raises(UserError, match="needs the environment variable TF_CONFIG"):
        devices.open_devices("multi_worker", None)
    with pytest.raises(UserError, match="`strategy=mirrored` does not use"):
        devices.open_devices("mirrored", Cluster(0, 2))


class Four:
    num_replicas_in_sync = 4


@pytest.mark.parametrize(("size", "better"), [(30, 32), (2, 4), (9, 8)])
def test_a_batch_that_cannot_be_shared_equally_is_refused(size, better):
    with pytest.raises(UserError, match=rf"of {size} cannot.*4 devices.*`batch_size={better}` can"):
        Devices(Four()).check_batch_size(size)
    Devices(Four()).check_batch_size(8)


@pytest.mark.parametrize("axis", [0, 1])
def test_shares_have_the_random_numbers_of_the_whole_batch(axis):
    seed, shape = tf.constant([1, 2]), [6, 6, 2]
    for name in ("uniform", "normal"):
        whole = getattr(Shard(), name)(shape, seed, batch_axis=axis)
        share = [2 if n == axis else size for n, size in enumerate(shape)]
        parts = [getattr(Shard(n, 3), name)(share, seed, batch_axis=axis) for n in range(3)]
        np.testing.assert_array_equal(tf.concat(parts, axis), whole)
        rows = [Shard(n, 3).rows(whole, batch_axis=axis) for n in range(3)]
        np.testing.assert_array_equal(tf.concat(rows, axis), whole)
