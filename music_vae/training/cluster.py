"""Tells a process its place among those that train together, and restarts it when another dies.

The environment variable TF_CONFIG describes the processes. Needs no TensorFlow.
"""

import dataclasses
import json
import logging
import os
import sys
from collections.abc import Mapping

from music_vae.common.errors import UserError, WorkerLostError

MAX_RESTARTS = 10
"""Greatest number of times in a row that a process starts again without taking a step between."""

_RESTARTS = "MUSIC_VAE_RESTARTS"
_JOBS = ("chief", "worker")  # in the order in which their processes are numbered

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Cluster:
    """A place among the processes of a cluster.

    >>> chief = Cluster(process=0, num_processes=2)

    Attributes:
      process: Number of this process; 0 is the chief.
      num_processes: Number of processes in the cluster.
    """

    process: int
    num_processes: int


def read_tf_config(environment: Mapping[str, str] = os.environ) -> Cluster | None:
    """Returns the place in the cluster that TF_CONFIG describes, or None if it describes none.

    >>> addresses = ["first.example:2222", "second.example:2222"]
    >>> task = {"type": "worker", "index": 1}
    >>> text = json.dumps({"cluster": {"worker": addresses}, "task": task})
    >>> read_tf_config({"TF_CONFIG": text})
    Cluster(process=1, num_processes=2)

    Raises:
      UserError: If TF_CONFIG cannot be understood.
    """
    text = environment.get("TF_CONFIG", "")
    try:
        config = json.loads(text or "{}")
        jobs = {name: len(addresses) for name, addresses in config.get("cluster", {}).items()}
        if not jobs:
            return None
        kind, index = str(config["task"]["type"]), int(config["task"]["index"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            "TF_CONFIG must look like "
            '{"cluster": {"worker": ["HOST:PORT", "HOST:PORT"]}, "task": {"type": "worker", '
            f'"index": 0}}}}, not {text!r}'
        ) from error
    if jobs.get("ps"):
        raise UserError(
            "TF_CONFIG names parameter servers, which training does not use: every worker holds "
            "all weights; leave 'ps' away"
        )
    if kind not in _JOBS or not 0 <= index < jobs.get(kind, 0):
        raise UserError(
            f"TF_CONFIG says that this process is {kind} {index}, which is not among the chief and "
            "the workers of its cluster; evaluate with `mode=eval`, outside the cluster"
        )
    before = sum(jobs.get(name, 0) for name in _JOBS[: _JOBS.index(kind)])
    return Cluster(before + index, sum(jobs.get(name, 0) for name in _JOBS))


def restart(reason: WorkerLostError) -> None:
    """Replaces this process by a new one with the same command line.

    Returns without doing anything after `MAX_RESTARTS` restarts in a row without a step.

    >>> from unittest import mock
    >>> with mock.patch.dict(os.environ, MUSIC_VAE_RESTARTS="10"):
    ...     restart(WorkerLostError("another worker is gone"))  # gives up, and so returns

    Args:
      reason: The error that ended the training.
    """
    count = 0 if reason.progressed else int(os.environ.get(_RESTARTS, "0"))
    if count >= MAX_RESTARTS:
        return
    _log.warning("%s; starting again and waiting for it", reason)
    os.environ[_RESTARTS] = str(count + 1)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
