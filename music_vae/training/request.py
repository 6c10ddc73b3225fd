"""Describes what to train or to evaluate by frozen values that check themselves.

Needs no TensorFlow, so that mistakes are reported before it is imported.
"""

import dataclasses
from pathlib import Path

from music_vae.common import checks
from music_vae.common.constants import MAX_DAMAGED
from music_vae.common.errors import UserError
from music_vae.configs import Config
from music_vae.data import CACHES, MEMORY, TensorFlowDataset, TFRecords
from music_vae.dataset.holdout import Part
from music_vae.dataset.sources import Source
from music_vae.training.cluster import Cluster
from music_vae.weights.checkpoint_files import PATTERN_CHARACTERS

STRATEGIES = ("auto", "one_device", "mirrored", "multi_worker")
MIXED_PRECISIONS = ("none", "bfloat16", "float16")


@dataclasses.dataclass(frozen=True)
class Corpus:
    """The NoteSequences to train or to evaluate on, and how they become examples.

    >>> Corpus(tfds_name="groove/2bar-midionly").source("validation")
    TensorFlowDataset(name='groove/2bar-midionly', split='validation')
    >>> Corpus()
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `examples_path` is required: ...

    Attributes:
      examples_path: TFRecords: a file, a pattern, or a comma-separated list of them.
      tfds_name: Name of a TensorFlow Dataset, instead of TFRecords.
      cache_dataset: Place where examples are kept: memory, disk or none; see `data.load`.
      num_data_processes: Number of processes that convert music; None: one for each CPU, if there
        is much of it.
      max_damaged: Largest share of the records of a file that may be damaged, and are left out.
      holdout: Share of the pieces that are kept back: those that a run is not trained on; None: all
        are for the same.
      held_out: True for the music that is kept back, False for the rest.
    """

    examples_path: str | None = None
    tfds_name: str | None = None
    cache_dataset: str = MEMORY
    num_data_processes: int | None = None
    max_damaged: float = MAX_DAMAGED
    holdout: float | None = None
    held_out: bool = False

    def __post_init__(self) -> None:
        if self.examples_path and self.tfds_name:
            raise UserError("give `examples_path` or `tfds_name`, not both")
        if not self.examples_path and not self.tfds_name:
            raise UserError(
                "`examples_path` is required: TFRecords of NoteSequences: a file, a pattern, or a "
                "comma-separated list."
            )
        checks.check_among(self, "cache_dataset", CACHES)
        checks.check_numbers(self, checks.PROCESSES, "num_data_processes")
        checks.check_numbers(self, checks.SHARE, "max_damaged")
        checks.check_numbers(self, checks.HELD_OUT, "holdout")
        if self.holdout is not None and self.tfds_name:
            raise UserError("`holdout` is for `examples_path`; a TensorFlow Dataset has splits")
        if self.held_out and self.holdout is None:
            raise UserError("`held_out` needs `holdout`: the share that is kept back")

    def source(self, split: str) -> Source:
        """Returns the source of the music: the files, or the `split` of the TensorFlow Dataset."""
        if self.tfds_name:
            return TensorFlowDataset(self.tfds_name, split)
        records = TFRecords(self.examples_path or "", self.max_damaged)
        if self.holdout is None:
            return records
        return Part(records, self.holdout, held_out=self.held_out)


@dataclasses.dataclass(frozen=True)
class CheckpointPolicy:
    """The policy of which checkpoints of a run are kept.

    >>> CheckpointPolicy(max_to_keep=5)
    CheckpointPolicy(max_to_keep=5, keep_every_n_hours=1.0)

    Attributes:
      max_to_keep: Number of the newest checkpoints that are kept; None for all.
      keep_every_n_hours: Beyond those, one is kept for good every so many hours; None for none.
    """

    max_to_keep: int | None = 100
    keep_every_n_hours: float | None = 1.0

    def __post_init__(self) -> None:
        checks.check_numbers(self, checks.STEPS, "max_to_keep")
        checks.check_numbers(self, checks.HOURS, "keep_every_n_hours")


DEFAULT_POLICY = CheckpointPolicy()


@dataclasses.dataclass(frozen=True)
class Schedule:
    """The times at which a run is validated, and at which it stops early.

    >>> Schedule(every=0)
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `every=0` must be at least 1

    Attributes:
      every: Number of steps between two validations.
      patience: Number of validations in a row without a smaller loss after which training stops;
        None: it never stops early.
    """

    every: int = 500
    patience: int | None = None

    def __post_init__(self) -> None:
        checks.check_numbers(self, checks.STEPS, "every", "patience")


@dataclasses.dataclass(frozen=True)
class Computing:
    """The devices to compute on, and the way in which they compute.

    >>> Computing(strategy="one_device", mixed_precision="bfloat16").jit is None  # where it helps
    True

    Attributes:
      strategy: One of `STRATEGIES`; see `devices.open_devices`.
      cluster: Place among the processes that train together, if TF_CONFIG describes any.
      jit: True to compile with XLA; None: where it helps.
      cudnn: True to compute the LSTM layers with cuDNN; None: where it helps.
      mixed_precision: One of `MIXED_PRECISIONS`: the type of the products in the LSTM layers.
    """

    strategy: str = "auto"
    cluster: Cluster | None = None
    jit: bool | None = None
    cudnn: bool | None = None
    mixed_precision: str = "none"

    def __post_init__(self) -> None:
        checks.check_among(self, "strategy", STRATEGIES)
        checks.check_among(self, "mixed_precision", MIXED_PRECISIONS)


@dataclasses.dataclass(frozen=True)
class TrainRequest:
    """A request to start a run, or to go on with one.

    >>> from music_vae.configs import get_config
    >>> request = TrainRequest(
    ...     get_config("cat-mel_2bar_small"),
    ...     Path("runs/melodies"),
    ...     Corpus("train.tfrecord"),
    ...     validation_path="validation.tfrecord",
    ...     schedule=Schedule(every=1000, patience=5),
    ... )
    >>> request.num_steps, request.validation_corpus.examples_path
    (200000, 'validation.tfrecord')

    Attributes:
      config: Config of the model.
      run_dir: Folder of the run.
      corpus: The music to train on.
      num_steps: Number of steps to train for, in all; None: until interrupted.
      seed: Seed of weights, data order and noise; None: the seed of the run so far, or a random one
        for a new run.
      warm_start: A checkpoint, a .safetensors file, or the id of a published checkpoint, whose
        weights a new run starts with.
      checkpoints: Policy of which checkpoints are kept.
      validation_path: TFRecords to validate on while training; None: the run is validated on what
        the corpus holds out, if it does.
      schedule: The times at which the run is validated, and at which it stops early.
      computing: The devices to compute on, and the way in which they compute.
    """

    config: Config
    run_dir: Path
    corpus: Corpus
    num_steps: int | None = 200_000
    seed: int | None = None
    warm_start: str | Path | None = None
    checkpoints: CheckpointPolicy = DEFAULT_POLICY
    validation_path: str | None = None
    schedule: Schedule = Schedule()
    computing: Computing = Computing()

    def __post_init__(self) -> None:
        _check_encodable(self.run_dir)
        if PATTERN_CHARACTERS & set(str(self.run_dir)):
            raise UserError(f"`run_dir={self.run_dir}` must not contain any of * ? [ ]")
        if self.validation_path and self.corpus.holdout is not None:
            raise UserError("give `validation_path` or `holdout`, not both")
        validates = self.validation_corpus is not None
        if self.schedule.patience is not None and not validates:
            raise UserError(
                "`patience` needs `validation_path`, or a share for `holdout`: the music to "
                "validate on"
            )
        cluster = self.computing.cluster
        if validates and cluster is not None and cluster.num_processes > 1:
            name = "validation_path" if self.validation_path else "holdout"
            raise UserError(
                f"`{name}` is for training in one process; in a cluster, evaluate beside it with "
                "`mode=eval`"
            )
        checks.check_numbers(self, checks.STEPS, "num_steps")
        checks.check_numbers(self, checks.SEED, "seed")

    @property
    def validation_corpus(self) -> Corpus | None:
        """The music to validate on, which is converted like that to train on; None without any."""
        if self.corpus.holdout is not None:
            return dataclasses.replace(self.corpus, held_out=True)
        if not self.validation_path:
            return None
        return dataclasses.replace(self.corpus, examples_path=self.validation_path, tfds_name=None)


@dataclasses.dataclass(frozen=True)
class EvaluationRequest:
    """A request to evaluate the checkpoints of a run, which may not have begun yet.

    >>> from music_vae.configs import get_config
    >>> request = EvaluationRequest(
    ...     get_config("cat-mel_2bar_small"),
    ...     Path("runs/melodies"),
    ...     Corpus("validation.tfrecord"),
    ...     once=True,
    ... )
    >>> print(request.num_batches)  # all
    None

    Attributes:
      config: Config of the run.
      run_dir: Folder of the run.
      corpus: The music to evaluate on.
      once: True to evaluate only the newest checkpoint, and not to wait for others.
      num_batches: Number of batches to evaluate on; None for all.
      eval_dir_suffix: Text added to the name of the folder `eval`, to keep several corpora apart.
    """

    config: Config
    run_dir: Path
    corpus: Corpus
    once: bool = False
    num_batches: int | None = None
    eval_dir_suffix: str = ""

    def __post_init__(self) -> None:
        _check_encodable(self.run_dir)
        checks.check_numbers(self, checks.STEPS, "num_batches")


def _check_encodable(run_dir: Path) -> None:
    """Raises `UserError` for a path of bytes that are not UTF-8, which TensorFlow cannot open."""
    try:
        str(run_dir).encode("utf-8")
    except UnicodeEncodeError:
        raise UserError(
            f"`run_dir={run_dir}` is not UTF-8, as TensorFlow needs it", hint="rename the folder"
        ) from None
