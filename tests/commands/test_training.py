"""The flags of the original say what TF_CONFIG says, and others what a request takes."""

import copy
import json

import pytest

from music_vae import train
from music_vae.commands import training
from music_vae.common.errors import UserError
from music_vae.training.cluster import Cluster
from music_vae.training.request import MIXED_PRECISIONS, STRATEGIES

TWO = {"worker": ["a:1", "b:1"]}


def given(*flags):
    """The flags of the command, as they are given to it."""
    values = copy.deepcopy(train.FLAGS)
    values(["music_vae_train", *flags])
    return values


@pytest.fixture
def find_cluster(monkeypatch):
    """The cluster that flags mean in a process that is so many, of two, by TF_CONFIG."""

    def find(index, *flags):
        config = {"cluster": TWO, "task": {"type": "worker", "index": index}}
        monkeypatch.setenv("TF_CONFIG", "" if index is None else json.dumps(config))
        return training.find_cluster(given(*flags))

    return find


def test_the_originals_flags_may_say_what_tf_config_says(find_cluster):
    assert find_cluster(None) is None
    assert find_cluster(None, "--num_sync_workers=1", "--master=local") is None
    assert find_cluster(1, "--num_sync_workers=2", "--task=1") == Cluster(1, 2)


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--master=grpc://host:1", "--master=grpc://host:1.*TF_CONFIG naming all"),
        ("--num_ps_tasks=1", "--num_ps_tasks=1.*leave the flag away"),
        ("--num_sync_workers=3", "--num_sync_workers=3.*it names 2"),
        ("--task=1", "--task=1.*this is worker 0"),
    ],
)
def test_the_originals_flags_say_what_to_use_instead(find_cluster, flag, message):
    with pytest.raises(UserError, match=message):
        find_cluster(0, flag)


@pytest.mark.parametrize(
    ("flag", "choices"), [("strategy", STRATEGIES), ("mixed_precision", MIXED_PRECISIONS)]
)
def test_flags_offer_what_a_request_takes(flag, choices):
    assert tuple(train.FLAGS[flag].parser.enum_values) == choices


def test_a_flag_counts_under_the_name_that_old_commands_have():
    values = given("--num_data_threads=3")
    assert training.find_num_data_processes(values) == 3
    assert training.find_num_data_processes(given("--num_data_processes=2")) == 2
    assert training.find_num_data_processes(given()) is None
    with pytest.raises(UserError, match="--num_data_processes or --num_data_threads, one of"):
        training.find_num_data_processes(given("--num_data_processes=2", "--num_data_threads=3"))
