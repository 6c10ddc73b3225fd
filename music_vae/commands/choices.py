"""Choices that several commands offer, as values that check themselves: a model, and sampling.

Nothing here knows flags; `flag_groups` makes these values of them. Messages name arguments.
"""

import dataclasses
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from music_vae.common import lazy_imports
from music_vae.common.errors import UserError
from music_vae.common.seeds import MAX_SEED

if TYPE_CHECKING:
    from music_vae.configs import Config
    from music_vae.trained_model import TrainedModel

_log = logging.getLogger(__name__)


def check_at_least(request: object, least: float, *names: str) -> None:
    """Raises `UserError` if one of these fields is a number below the least that it may be."""
    for name in names:
        value = getattr(request, name)
        if value is not None and value < least:
            raise UserError(f"`{name}={value}` must be at least {least:g}")


@dataclasses.dataclass(frozen=True)
class ModelChoice:
    """The model that a command uses: that of a run or checkpoint, or one that ships.

    Attributes:
      config: What `config_flag.get_config` takes, as the name of a config; by itself a name means
        the model of that config that ships.
      run_dir: A run of training, whose newest checkpoint is used.
      checkpoint_file: What `published.resolve` takes: a checkpoint, or the id of a published one.
      hparams: Overrides of the config's hyper-parameters, as text.
      checkpoint_base_url: Where published checkpoints are, instead of where they were published.

    Raises:
      UserError: Unless one model is named; or if its checkpoint is not there.

    >>> ModelChoice(config="cat-mel_2bar_mini").read_config().hparams.max_seq_len
    32
    """

    config: str | None = None
    run_dir: str | None = None
    checkpoint_file: str | None = None
    hparams: str = ""
    checkpoint_base_url: str | None = None

    def __post_init__(self) -> None:
        if self.run_dir and self.checkpoint_file:
            raise UserError("give `run_dir` or `checkpoint_file`, one of the two")
        if not (self.run_dir or self.checkpoint_file or self.config):
            from music_vae.weights import shipped

            raise UserError(
                "give `config` with the name of a model that comes with music_vae "
                f"({shipped.listed()}), or `run_dir` or `checkpoint_file` for another"
            )
        if self.checkpoint_file:
            from music_vae.weights import checkpoint_files

            checkpoint_files.check_there(self.checkpoint_file)

    def read_config(self, *, with_latent: bool = False) -> "Config":
        """The config of the run or of the checkpoint, else the one that was named.

        Args:
          with_latent: Whether a model without a latent space is refused.

        Raises:
          UserError: If no config is known, or the one that was named is another.
        """
        config = self._config()
        if with_latent and not config.hparams.latent_size:
            raise UserError(f"{config.name} has no latent space")
        return config

    def label(self, config: "Config") -> str:
        """A name for the model of `config`: what was named, else the config."""
        return self.run_dir or self.checkpoint_file or config.name

    def resolve(self) -> str | Path:
        """The run, or the checkpoint, which is downloaded if it has to be."""
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
        """The model of `config`, which is what `read_config` gives; see `TrainedModel`."""
        source = self.resolve()
        if engine == "tensorflow":
            lazy_imports.import_tensorflow()
        from music_vae.trained_model import TrainedModel

        return TrainedModel(
            config, max_batch_size, source, with_encoder=with_encoder, engine=engine
        )

    def _config(self) -> "Config":
        from music_vae.commands import config_flag
        from music_vae.common import overrides

        source = self._named()
        if not (self.run_dir or self.checkpoint_file):
            _log.info("using the model %s that comes with music_vae", self.config)
        if self.run_dir and not Path(self.run_dir).expanduser().is_dir():
            raise UserError(f"`run_dir={self.run_dir}` is not a directory")
        config = config_flag.read(source, self.config)
        if config is None:
            if not self.config:
                given = "run_dir" if self.run_dir else "checkpoint_file"
                raise UserError(f"`{given}` needs `config`, as no config.json lies beside it")
            return config_flag.get_config(self.config, self.hparams)
        if other := config_flag.difference(self.config, config):
            raise UserError(f"{source} was trained with the config {config.name}, {other}")
        return config.replace(hparams=overrides.apply_overrides(config.hparams, self.hparams))

    def _named(self) -> str | Path:
        """What was named, else the model that ships with the package."""
        if self.run_dir or self.checkpoint_file:
            return self.run_dir or self.checkpoint_file or ""
        from music_vae.commands import config_flag
        from music_vae.weights import shipped

        return shipped.folder(config_flag.shipped_name(self.config or ""))


@dataclasses.dataclass(frozen=True)
class Sampling:
    """The drawing of music: by chance or not, boldly or not, so many at once.

    Attributes:
      seed: Makes the result repeatable; None: chosen by chance.
      temperature: How bold: near 0 the likeliest, 1 as the model was trained.
      max_batch_size: How many pieces or windows are computed at once.

    Raises:
      UserError: If a number is out of range.

    >>> Sampling(seed=1, temperature=0.5).max_batch_size
    64
    """

    seed: int | None = None
    temperature: float = 1.0
    max_batch_size: int = 64

    def __post_init__(self) -> None:
        if self.seed is not None and not 0 <= self.seed <= MAX_SEED:
            raise UserError(f"`seed={self.seed}` must be from 0 to {MAX_SEED}")
        check_at_least(self, 0, "temperature")
        check_at_least(self, 1, "max_batch_size")
