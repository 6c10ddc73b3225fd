"""Defines the choices that several commands offer: a model, and the settings of sampling.

Each is a frozen value that checks itself and knows nothing of flags, so that Python can make one,
too. `flag_groups` makes them of the flags of a command.
"""

import contextlib
import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from music_vae.common import checks, files, lazy_imports
from music_vae.common.errors import UserError, naming

if TYPE_CHECKING:
    from music_vae.configs import Config
    from music_vae.trained_model import TrainedModel

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class ModelChoice:
    """The model that a command uses: that of a run or a checkpoint, or one that ships.

    >>> melodies = ModelChoice(config="cat-mel_2bar_mini")
    >>> melodies.read_config().hparams.max_seq_len
    32
    >>> ModelChoice(run_dir="runs/mine", checkpoint_file="cat-mel_2bar_big")
    Traceback (most recent call last):
    music_vae.common.errors.UserError: give `run_dir` or `checkpoint_file`, one of the two

    Attributes:
      config: The config, as a text that `config_flag.get_config` takes, such as a name, or one of
        `shipped.ALIASES`. If nothing else is given, the model of that config that ships is meant.
      run_dir: A run of training, whose newest checkpoint is used.
      checkpoint_file: A checkpoint, or the id of a published one; see `published.resolve`.
      hparams: Overrides of the config's hyper-parameters, as in "z_size=128".
      checkpoint_base_url: Address from which published checkpoints are downloaded; None: the
        address at which they were published.

    Raises:
      UserError: Unless exactly one model is named, and if its checkpoint does not exist.
    """

    config: str | None = None
    run_dir: str | None = None
    checkpoint_file: str | None = None
    hparams: str = ""
    checkpoint_base_url: str | None = None

    def __post_init__(self) -> None:
        from music_vae.weights import shipped

        if self.config:
            with naming("config", self.config):
                object.__setattr__(self, "config", shipped.full_name(self.config))
        if self.run_dir and self.checkpoint_file:
            raise UserError("give `run_dir` or `checkpoint_file`, one of the two")
        if not (self.run_dir or self.checkpoint_file or self.config):
            raise UserError(
                "give `config` with the name of a model that comes with music_vae "
                f"({shipped.listed(with_short_names=True)}), or `run_dir` or `checkpoint_file` for "
                "another"
            )
        if self.checkpoint_file:
            from music_vae.weights import locate

            with self._naming():
                locate.check_there(self.checkpoint_file)

    def read_config(self, *, with_latent: bool = False) -> "Config":
        """Returns the config of the run or of the checkpoint, else the one that was named.

        Args:
          with_latent: If True, a model without a latent space is refused.

        Raises:
          UserError: If no config is known, or the model was trained with another than was named.
        """
        config = self._config()
        if with_latent and not config.hparams.latent_size:
            raise UserError(f"{config.name} has no latent space")
        return config

    def label(self, config: "Config") -> str:
        """Returns a name for the model: its run or checkpoint, else the name of `config`.

        >>> melodies = ModelChoice(config="cat-mel_2bar_mini")
        >>> melodies.label(melodies.read_config())
        'cat-mel_2bar_mini'
        """
        return self.run_dir or self.checkpoint_file or config.name

    def resolve(self) -> str | Path:
        """Returns the run or the checkpoint, and downloads the checkpoint if it has to.

        >>> ModelChoice(config="cat-mel_2bar_mini").resolve().name  # the folder of a shipped model
        'cat-mel_2bar_mini'
        """
        from music_vae.weights import published

        return self.run_dir or published.resolve(self._named(), self.checkpoint_base_url)

    def open(
        self,
        config: "Config",
        max_batch_size: int,
        *,
        with_encoder: bool = True,
        engine: str = "numpy",
    ) -> "TrainedModel":
        """Opens the model.

        >>> melodies = ModelChoice(config="cat-mel_2bar_mini")
        >>> model = melodies.open(melodies.read_config(), max_batch_size=1)
        >>> (tune,) = model.sample(1, temperature=0.5, seed=0)
        >>> [note.pitch for note in tune.notes][:5]
        [74, 74, 69, 72, 76]

        Args:
          config: The config that `read_config` returns.
          max_batch_size: Number of pieces that are computed at once.
          with_encoder: If False, the model cannot encode, and is opened sooner.
          engine: The engine that computes, "numpy" or "tensorflow".
        """
        source = self.resolve()
        if engine == "tensorflow":
            lazy_imports.import_tensorflow()
        from music_vae.trained_model import TrainedModel

        with self._naming():
            return TrainedModel(
                config, max_batch_size, source, with_encoder=with_encoder, engine=engine
            )

    def _naming(self) -> contextlib.AbstractContextManager[None]:
        """Has errors of a run or a checkpoint begin with the argument that named it."""
        name = "run_dir" if self.run_dir else "checkpoint_file"
        return naming(name, getattr(self, name) or None)

    def _config(self) -> "Config":
        from music_vae.commands import config_flag

        source = self._named()
        if not (self.run_dir or self.checkpoint_file):
            _log.info("using the model %s that comes with music_vae", self.config)
        if self.run_dir and not files.expand(self.run_dir).is_dir():
            raise UserError(f"`run_dir={self.run_dir}` is not a directory")
        with self._naming():
            config = config_flag.read(source, self.config)
        if config is None:
            if not self.config:
                given = "run_dir" if self.run_dir else "checkpoint_file"
                raise UserError(f"`{given}` needs `config`, as no config.json lies beside it")
            return config_flag.get_config(self.config, self.hparams)
        if other := config_flag.difference(self.config, config):
            raise UserError(f"{source} was trained with the config {config.name}, {other}")
        return config.with_overrides(self.hparams)

    def _named(self) -> str | Path:
        """Returns the run or checkpoint that was named, else the folder of the shipped model."""
        if self.run_dir or self.checkpoint_file:
            return self.run_dir or self.checkpoint_file or ""
        from music_vae.commands import config_flag
        from music_vae.weights import shipped

        return shipped.folder(config_flag.shipped_name(self.config or ""))


def output_path(
    model: ModelChoice, output: Path | None, beside: Callable[[str | Path], Path]
) -> Path:
    """Returns the path that a command writes what it finds about a model to.

    That is the one that was given, else the one beside the model. A model that comes with the
    package stays as it was installed.

    >>> run, shipped = ModelChoice(run_dir="runs/mine"), ModelChoice(config="cat-mel_2bar_mini")
    >>> output_path(run, None, lambda source: Path(source, "figures.json")).as_posix()
    'runs/mine/figures.json'
    >>> output_path(shipped, None, lambda source: Path(source, "figures.json"))
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `output` is required, as cat-mel_2bar_mini comes with ...

    Args:
      model: The model.
      output: The value of the argument `output`; None: it was not given.
      beside: Function that returns the path for a run, or for the folder or file of a model.

    Raises:
      UserError: If nothing was given, and the path would lie in the installed package.
    """
    if output is not None:
        return output
    from music_vae.weights import shipped

    path = beside(model.resolve())
    if shipped.MODELS_DIR in path.absolute().resolve().parents:
        name = model.config or path.parent.name
        raise UserError(
            f"`output` is required, as {name} comes with music_vae and stays as it was installed; "
            f"name a place of your own, as in `output={path.name}`"
        )
    return path


def output_file(
    model: ModelChoice, output: Path | None, beside: Callable[[str | Path], Path]
) -> Path:
    """Returns the `.safetensors` file that a command writes; see `output_path`.

    >>> output_file(ModelChoice(run_dir="runs/mine"), Path("vectors.txt"), Path)
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `output=vectors.txt`: expected the name of a .safetensors ...

    Raises:
      UserError: As `output_path` does, for a file of another kind, and for a folder that cannot be
        written to.
    """
    path = output_path(model, output, beside)
    files.check_writable(path.parent, "output")
    if path.is_dir() or path.suffix != ".safetensors":
        raise UserError(f"`output={path}`: expected the name of a .safetensors file")
    return path


@dataclasses.dataclass(frozen=True)
class Sampling:
    """The settings of sampling: seed, temperature and batch size.

    >>> Sampling(seed=1, temperature=0.5)
    Sampling(seed=1, temperature=0.5, max_batch_size=64)
    >>> Sampling(temperature=-1)
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `temperature=-1` must be at least 0

    Attributes:
      seed: Seed of the random generator, which makes the result repeatable; None: chosen by chance.
      temperature: Boldness of the samples: near 0 the likeliest music, 1 as the model was trained.
      max_batch_size: Number of pieces or windows that are computed at once.

    Raises:
      UserError: If a number is out of range.
    """

    seed: int | None = None
    temperature: float = 1.0
    max_batch_size: int = 64

    def __post_init__(self) -> None:
        checks.check_numbers(self, checks.SEED, "seed")
        checks.check_numbers(self, checks.TEMPERATURE, "temperature")
        checks.check_numbers(self, checks.BATCH_SIZE, "max_batch_size")
