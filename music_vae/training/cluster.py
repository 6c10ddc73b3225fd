"""Several processes that train together: who they are, by TF_CONFIG, and what to do when one dies.

Needs no TensorFlow.
"""

import dataclasses
import json
import logging
import os
import sys
from collections.abc import Mapping

from music_vae.common.errors import UserError, WorkerLostError

MAX_RESTARTS = 10
"""How often in a row a process starts again without having taken a step in between."""

_RESTARTS = "MUSIC_VAE_RESTARTS"
_JOBS = ("chief", "worker")  # in the order in which their processes are numbered

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Cluster:
    """A place among the processes of a cluster.

    Attributes:
      process: This process's number; 0 is the chief.
      num_processes: How many there are.
    """

    process: int
    num_processes: int


def read_tf_config(environment: Mapping[str, str] = os.environ) -> Cluster | None:
    """The cluster that the environment variable TF_CONFIG names; None if it names none.

    Raises:
      UserError: If it cannot be understood.
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
    """Replaces this process by a fresh one with the same command line.

    Returns, having done nothing, after `MAX_RESTARTS` in a row that got nowhere.

    Args:
      reason: What happened.
    """
    count = 0 if reason.progressed else int(os.environ.get(_RESTARTS, "0"))
    if count >= MAX_RESTARTS:
        return
    _log.warning("%s; starting again and waiting for it", reason)
    os.environ[_RESTARTS] = str(count + 1)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
