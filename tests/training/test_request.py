"""Requests check themselves, and need no TensorFlow for it."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from music_vae import data
from music_vae.common.errors import UserError
from music_vae.configs import get_config
from music_vae.training.cluster import Cluster
from music_vae.training.request import (
    Computing,
    Corpus,
    EvaluationRequest,
    Schedule,
    TrainRequest,
)

TUNES = Corpus("tunes.tfrecord", num_data_processes=3)


def test_music_is_read_from_files_or_from_a_data_set():
    assert TUNES.source("train") == data.TFRecords("tunes.tfrecord")
    assert Corpus(tfds_name="groove").source("test") == data.TensorFlowDataset("groove", "test")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "`examples_path` is required"),
        ({"examples_path": "a", "tfds_name": "b"}, "`examples_path` or `tfds_name`, not both"),
        ({"examples_path": "a", "cache_dataset": "maybe"}, "one of memory, disk, none"),
        ({"examples_path": "a", "num_data_processes": 0}, "must be at least 1"),
    ],
)
def test_music_that_cannot_be_meant_is_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        Corpus(**arguments)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"run_dir": Path("run[1]")}, r"`run_dir=run\[1\]` must not contain"),
        ({"num_steps": 0}, "`num_steps=0` must be at least 1"),
        ({"seed": -1}, "`seed=-1` must be at least 0"),
        ({"seed": 2**63}, "must be at most"),
        ({"schedule": Schedule(patience=3)}, "`patience` needs `validation_path`"),
        (
            {"validation_path": "a", "computing": Computing(cluster=Cluster(0, 2))},
            "`validation_path` is for training in one process",
        ),
    ],
)
def test_a_run_that_cannot_be_is_refused(tiny_config, changes, message):
    request = TrainRequest(tiny_config, Path("run"), TUNES)
    with pytest.raises(UserError, match=message):
        dataclasses.replace(request, **changes)


def test_settings_out_of_range_are_refused(tiny_config):
    with pytest.raises(UserError, match="`strategy=many` must be one of auto, one_device"):
        Computing("many")
    with pytest.raises(UserError, match="`mixed_precision=float64` must be one of none, bfloat16"):
        Computing(mixed_precision="float64")
    with pytest.raises(UserError, match="`every=0` must be at least 1"):
        Schedule(0)
    with pytest.raises(UserError, match="`num_batches=0` must be at least 1"):
        EvaluationRequest(tiny_config, Path("run"), TUNES, num_batches=0)


def test_music_to_validate_on_is_converted_like_that_to_train_on(tiny_config):
    request = TrainRequest(tiny_config, Path("run"), Corpus(tfds_name="groove"))
    assert request.validation_corpus is None
    request = TrainRequest(tiny_config, Path("run"), TUNES, validation_path="held-out.tfrecord")
    assert request.validation_corpus == Corpus("held-out.tfrecord", num_data_processes=3)


def test_requests_need_no_tensorflow():
    code = "import sys, music_vae.training.request; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("request_type", [TrainRequest, EvaluationRequest])
def test_a_run_whose_name_tensorflow_cannot_open_is_refused(request_type):
    config = get_config("cat-mel_2bar_small")
    with pytest.raises(UserError, match="is not UTF-8"):
        request_type(config, Path("r\udce9sum\udce9"), TUNES)
