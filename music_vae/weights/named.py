"""Finds the weights and the config of a model by whatever names it: a name, a run, a checkpoint."""

import logging
from pathlib import Path
from typing import NamedTuple

from music_vae.common import files, own_code
from music_vae.common.errors import UserError, did_you_mean
from music_vae.configs import CONFIG_MAP, Config, get_config
from music_vae.weights import config_file, locate, published, shipped

_log = logging.getLogger(__name__)


class NamedModel(NamedTuple):
    """The config of a model, and the place of its weights.

    >>> find("groove").config.name
    'groovae_2bar_humanize_mini'
    """

    config: Config
    source: str | Path


def find(source: str | Path, config: Config | str | None = None) -> NamedModel:
    """Returns the config of a model and the place of its weights; downloads nothing.

    >>> find("melody").config.name, find("music_vae/models/groovae_4bar_mini").config.name
    ('cat-mel_2bar_mini', 'groovae_4bar_mini')
    >>> find("hierdec-trio_16bars")
    Traceback (most recent call last):
    music_vae.common.errors.UserError: there is no model 'hierdec-trio_16bars'; did you mean
    hierdec-trio_16bar?

    Args:
      source: Name of a model that comes with the package, or its short name; id of a published
        checkpoint; or the path of a run, a file of weights, or a checkpoint. If a checkpoint lies
        at a path, that path goes before a name.
      config: The config, or its name. It is needed if no `config.json` lies beside the weights,
        or if that has classes of the user's own. None: that of the file.

    Raises:
      UserError: If there is no such model, its config is not known, or it has another one.
    """
    if not (isinstance(source, str | Path) and str(source)):
        raise UserError(
            "`source` must be the name of a model or the path of a run or a checkpoint, not "
            f"{source!r}"
        )
    given = _given(config)
    name = str(source)
    if name in (*shipped.ALIASES, *shipped.names()):
        if not published.holds_checkpoint(files.expand(source)):
            source = shipped.folder(shipped.full_name(name))
        else:
            _log.info("%s is a checkpoint here, which goes before the model of that name", source)
    _check_there(source)
    found = config_file.read(source, own_code.own_classes(given))
    if found is None and given is None:
        raise UserError(f"no config.json lies beside {str(source)!r}; give its `config`, too")
    if found is not None and given is not None and found.name != given.name:
        raise UserError(
            f"{str(source)!r} was trained with the config {found.name}, not `config={given.name}`"
        )
    return NamedModel(found or given, source)  # type: ignore[arg-type]


def _given(config: Config | str | None) -> Config | None:
    """Returns the config that an argument stands for, if it is given."""
    if config is None or isinstance(config, Config):
        return config
    if isinstance(config, str):
        return get_config(config)
    raise UserError(f"`config` must be a Config or the name of one, not {config!r}")


def _check_there(source: str | Path) -> None:
    """Raises `UserError` if nothing lies at a path, or it looks like a name that nothing has."""
    name, path = str(source), files.expand(source)
    is_path = len(path.parts) > 1 or path.suffix or path.exists()
    if is_path or published.find(source) is not None:
        locate.check_there(source)
        return
    if published.holds_checkpoint(path):
        return
    if name in CONFIG_MAP:
        raise UserError(
            f"no model of {name} comes with music_vae; these do: {shipped.listed()}. For another, "
            "give the path of a run or a checkpoint"
        )
    known = [*shipped.ALIASES, *shipped.names(), *published.PUBLISHED]
    raise UserError(
        f"there is no model {name!r}; {did_you_mean(name, known)}",
        hint="a run or a checkpoint is named by its path",
    )
