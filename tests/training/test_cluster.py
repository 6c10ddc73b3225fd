"""Several processes: what TF_CONFIG means, and two workers that train as one process does."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from music_vae.common.errors import UserError, WorkerLostError
from music_vae.training import cluster
from music_vae.training.cluster import Cluster, read_tf_config
from music_vae.weights import checkpoint_files, tf_checkpoints
from support.events import scalars
from support.sizes import TINY

STEPS = 20
TWO = {"worker": ["a:1", "b:1"]}


def tf_config(jobs, kind, index):
    return {"TF_CONFIG": json.dumps({"cluster": jobs, "task": {"type": kind, "index": index}})}


def test_no_tf_config_is_no_cluster():
    assert read_tf_config({}) is None
    assert read_tf_config({"TF_CONFIG": "{}"}) is None


def test_processes_are_numbered_from_the_chief_on():
    assert read_tf_config(tf_config(TWO, "worker", 1)) == Cluster(1, 2)
    jobs = {"chief": ["c:1"], **TWO}
    assert read_tf_config(tf_config(jobs, "chief", 0)) == Cluster(0, 3)
    assert read_tf_config(tf_config(jobs, "worker", 1)) == Cluster(2, 3)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"TF_CONFIG": "{"}, "TF_CONFIG must look like"),
        ({"TF_CONFIG": json.dumps({"cluster": TWO})}, "TF_CONFIG must look like"),
        (tf_config({**TWO, "ps": ["p:1"]}, "worker", 0), "leave 'ps' away"),
        (tf_config(TWO, "worker", 2), "this process is worker 2"),
        (tf_config(TWO, "evaluator", 0), "evaluate with `mode=eval`"),
    ],
)
def test_a_tf_config_that_cannot_be_used_says_why(environment, message):
    with pytest.raises(UserError, match=message):
        read_tf_config(environment)


def test_a_process_starts_again_so_often_and_no_more(monkeypatch):
    started = []
    monkeypatch.setattr(os, "execv", lambda *command: started.append(command))
    monkeypatch.delenv("MUSIC_VAE_RESTARTS", raising=False)
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "music_vae.train", "--seed=1"])
    lost, lost_after_steps = WorkerLostError("gone"), WorkerLostError("gone")
    lost_after_steps.progressed = True
    for _ in range(cluster.MAX_RESTARTS + 2):
        cluster.restart(lost)
    assert len(started) == cluster.MAX_RESTARTS
    assert started[0] == (sys.executable, [sys.executable, "-m", "music_vae.train", "--seed=1"])
    cluster.restart(lost_after_steps)
    cluster.restart(lost)
    assert len(started) == cluster.MAX_RESTARTS + 2
    monkeypatch.delenv("MUSIC_VAE_RESTARTS")


# -- Two processes on this machine ----------------------------------------------------------------


# The step is slowed down, so that there is time to kill a worker before the end.
COMMAND = """
import sys, time
from music_vae import train
from music_vae.training import loop
loop.CHECKPOINT_EVERY_S = {every_s}
take_step = loop._take_step
def slow_step(*arguments):
    take_step(*arguments)
    time.sleep({sleep_s})
loop._take_step = slow_step
sys.exit(train.main())
"""


class Workers:
    """Two processes of one command."""

    def __init__(self, *flags, every_s=60.0, sleep_s=0.0):
        self.command = [sys.executable, "-c", COMMAND.format(every_s=every_s, sleep_s=sleep_s)]
        self.command += flags
        with socket.socket() as first, socket.socket() as second:
            for each in (first, second):
                each.bind(("127.0.0.1", 0))
            self.addresses = ["{}:{}".format(*each.getsockname()) for each in (first, second)]
        self.processes = [None, None]
        for index in range(2):
            self.start(index)

    def start(self, index):
        environment = os.environ | tf_config({"worker": self.addresses}, "worker", index)
        self.processes[index] = subprocess.Popen(
            self.command, env=environment, stderr=subprocess.PIPE, text=True
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.communicate()

    def end(self):
        """Their exit codes and what they wrote to stderr."""
        errors = [process.communicate(timeout=300)[1] for process in self.processes]
        return [process.returncode for process in self.processes], errors


def flags(tunes, run_dir, steps):
    return [
        *("--config=cat-mel_2bar_small", f"--hparams={TINY}", "--seed=7"),
        *(f"--examples_path={tunes}", f"--run_dir={run_dir}", f"--num_steps={steps}"),
    ]


@pytest.fixture(scope="module")
def undisturbed(tunes, tmp_path_factory):
    """The directory of a run of two workers to which nothing happened."""
    run_dir = tmp_path_factory.mktemp("cluster") / "run"
    with Workers(*flags(tunes, run_dir, STEPS)) as workers:
        codes, errors = workers.end()
    assert codes == [0, 0], errors
    return run_dir


@pytest.mark.slow
def test_two_workers_lose_as_much_as_one_process_does(tunes, tmp_path, undisturbed):
    from music_vae import train

    assert train.main(flags(tunes, tmp_path, STEPS)) == 0
    one, two = scalars(tmp_path / "train"), scalars(undisturbed / "train")
    assert set(one) == set(two)
    for name, values in one.items():
        assert two[name] == pytest.approx(values, rel=1e-5, abs=1e-6), name


@pytest.mark.slow
def test_the_chief_alone_writes(undisturbed):
    names = [path.name for path in (undisturbed / "train").iterdir()]
    assert sum(name.startswith("events") for name in names) == 1
    progress = json.loads((undisturbed / "train" / "progress.json").read_text())
    assert progress == {"step": STEPS, "num_steps": STEPS, "finished": True}


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_a_worker_that_is_killed_and_comes_back_ends_where_it_would_have(
    tunes, tmp_path, undisturbed, killed
):
    with Workers(*flags(tunes, tmp_path, STEPS), every_s=0.0, sleep_s=0.2) as workers:
        deadline = time.monotonic() + 200
        while not list((tmp_path / "train").glob("model.ckpt-?.index")):
            assert time.monotonic() < deadline
            assert [process.poll() for process in workers.processes] == [None, None]
            time.sleep(0.05)
        workers.processes[killed].send_signal(signal.SIGKILL)
        workers.processes[killed].communicate()
        workers.start(killed)
        codes, errors = workers.end()
    assert codes == [0, 0], errors
    assert "starting again" in errors[1 - killed]
    assert "going on from" in errors[killed]
    assert checkpoint_files.newest_prefix(tmp_path / "train").name == f"model.ckpt-{STEPS}"
    expected = tf_checkpoints.read_weights(undisturbed)
    for name, value in tf_checkpoints.read_weights(tmp_path).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


@pytest.mark.slow
def test_workers_that_do_not_share_their_storage_are_told_so(tunes, tmp_path):
    from music_vae import train

    assert train.main(flags(tunes, tmp_path / "0", 1)) == 0
    with Workers(*flags(tunes, tmp_path / "0", 3)) as workers:
        workers.processes[1].kill()
        workers.processes[1].communicate()
        workers.command[-2] = f"--run_dir={tmp_path / '1'}"
        workers.start(1)
        codes, errors = workers.end()
    assert codes == [2, 2], errors
    for error in errors:
        assert "the workers disagree on the step: 1, 0" in error
