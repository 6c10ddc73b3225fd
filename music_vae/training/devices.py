"""Runs training steps on one device, on several in one process, or on those of several processes.

Every replica holds all weights and takes an equal share of each batch: of B examples and N replicas
replica n takes rows [n * B / N, (n + 1) * B / N). The replicas of a process are consecutive.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from music_vae.common import pools
from music_vae.common.errors import UserError, WorkerLostError
from music_vae.nn import numerics
from music_vae.nn.noise import Shard
from music_vae.nn.numerics import Numerics
from music_vae.training.cluster import Cluster

# The errors of a collective operation in the processes that are left when one has gone.
_LOST = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
)


@dataclasses.dataclass(frozen=True)
class Devices:
    """The replicas of a run, and the place of this process among them.

    >>> devices = Devices()  # one device
    >>> devices.num_replicas, devices.is_chief
    (1, True)
    >>> float(devices.run(lambda share, shard: tf.reduce_sum(share), tf.constant([1.0, 2.0])))
    3.0

    Attributes:
      strategy: A tf.distribute.Strategy; None for one device.
      process: Number of this process; 0 is the chief, which alone writes files.
      num_processes: Number of processes.
    """

    strategy: Any = None
    process: int = 0
    num_processes: int = 1

    @property
    def is_chief(self) -> bool:
        """True if this process is the one that writes files."""
        return self.process == 0

    @property
    def num_replicas(self) -> int:
        """Number of replicas in all processes."""
        return 1 if self.strategy is None else self.strategy.num_replicas_in_sync

    def check_batch_size(self, batch_size: int) -> None:
        """Raises `UserError` unless every replica gets the same number of examples."""
        if batch_size % self.num_replicas:
            raise UserError(
                f"a batch of {batch_size} cannot be shared equally by {self.num_replicas} devices; "
                f"`batch_size={_nearest_multiple(batch_size, self.num_replicas)}` can"
            )

    def fastest(
        self,
        batch_size: int,
        *,
        jit: bool | None = None,
        cudnn: bool | None = None,
        products: str | None = None,
    ) -> Numerics:
        """Returns the fastest way to compute on these devices; see `numerics.fastest`.

        To be called before TensorFlow computes anything, because towers share its threads.
        """
        cores = pools.num_cpus()
        chosen = numerics.fastest(
            gpu=_has_gpus(),
            one_device=self.strategy is None,
            cores=cores,
            batch_size=batch_size,
            jit=jit,
            cudnn=cudnn,
            products=products,
        )
        numerics.share_threads(chosen.towers, cores)
        return chosen

    def scope(self) -> contextlib.AbstractContextManager:
        """Returns the context in which variables are made; all get the chief's values."""
        return contextlib.nullcontext() if self.strategy is None else self.strategy.scope()

    def run(self, function: Callable[[Any, Shard], Any], batch: Any) -> Any:
        """Calls `function(share, shard)` in every replica; returns the results of the first.

        Args:
          function: Function of a share of the batch, and of the `Shard` that says which it is.
          batch: The share of this process, a structure of arrays `[B, ...]`.
        """
        if self.strategy is None:
            return function(batch, Shard())
        here = self.num_replicas // self.num_processes

        def replica() -> Any:
            index = tf.distribute.get_replica_context().replica_id_in_sync_group
            local, share = Shard(index - self.process * here, here), batch
            if here > 1:
                share = tf.nest.map_structure(local.rows, batch)
            return function(share, Shard(index, self.num_replicas))

        results = self.strategy.run(replica)
        return tf.nest.map_structure(
            lambda result: self.strategy.experimental_local_results(result)[0], results
        )

    def summed(self, values: Any) -> Any:
        """Sums a structure of tensors over all replicas; to be called in a replica."""
        if self.num_replicas == 1:
            return values
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.SUM, values)

    def check_agreement(self, **values: int) -> None:
        """Raises `UserError` in every process unless all have the same values.

        Waits for all processes. The names of the arguments become words of the message.
        """
        if self.num_processes == 1:
            return

        def gather() -> tf.Tensor:
            own = tf.constant([list(values.values())], tf.int64)
            return tf.distribute.get_replica_context().all_gather(own, axis=0)

        with self.watching():
            gathered = self.strategy.run(tf.function(gather, autograph=False))
            everyone = self.strategy.experimental_local_results(gathered)[0].numpy()
        for name, column in zip(values, everyone.T, strict=True):
            if len(set(column)) > 1:
                raise UserError(
                    f"the workers disagree on the {name.replace('_', ' ')}: "
                    f"{', '.join(map(str, column))}; all need the same command, the same music and "
                    "a `run_dir` on storage that all of them share"
                )

    def watching(self) -> contextlib.AbstractContextManager:
        """Returns a context that raises `WorkerLostError` when another process has gone."""
        return _watching() if self.num_processes > 1 else contextlib.nullcontext()

    def wait_for_all(self) -> None:
        """Waits until every process has called this."""
        self.check_agreement(end=0)


ONE_DEVICE = Devices()


def open_devices(strategy: str, cluster: Cluster | None) -> Devices:
    """Returns the devices of a strategy; waits for all processes of a cluster.

    >>> open_devices("one_device", None).num_replicas
    1

    Args:
      strategy: auto, one_device, mirrored or multi_worker.
      cluster: The place in a cluster that TF_CONFIG describes, or None.

    Raises:
      UserError: If there are no such devices.
    """
    if strategy == "auto":
        several = len(tf.config.list_physical_devices("GPU")) > 1
        strategy = "multi_worker" if cluster else "mirrored" if several else "one_device"
    if strategy == "multi_worker":
        if cluster is None:
            raise UserError(
                "`strategy=multi_worker` needs the environment variable TF_CONFIG to name the "
                "cluster and this process's place in it; see docs/scale.md"
            )
        with _watching():
            multi_worker = tf.distribute.MultiWorkerMirroredStrategy()
        return Devices(multi_worker, cluster.process, cluster.num_processes)
    if cluster is not None and cluster.num_processes > 1:
        raise UserError(
            f"TF_CONFIG names a cluster of {cluster.num_processes}, which "
            f"`strategy={strategy}` does not use; take TF_CONFIG away, or `strategy`"
        )
    if strategy == "mirrored":
        kind = "GPU" if _has_gpus() else "CPU"
        names = [device.name for device in tf.config.list_logical_devices(kind)]
        return Devices(tf.distribute.MirroredStrategy(names))
    return ONE_DEVICE


def _has_gpus() -> bool:
    return bool(tf.config.list_physical_devices("GPU"))


@contextlib.contextmanager
def _watching() -> Iterator[None]:
    try:
        yield
    except _LOST as error:
        reason = str(error).strip().splitlines()[-1]
        raise WorkerLostError(f"another worker is gone ({reason})") from error


def _nearest_multiple(number: int, divisor: int) -> int:
    return max(round(number / divisor), 1) * divisor
