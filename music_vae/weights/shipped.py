"""Finds the trained models that come with the package.

Each is a folder `models/CONFIG` with `weights.safetensors` and `config.json`. Needs no TensorFlow.
"""

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from music_vae.common.errors import UserError
from music_vae.configs import CONFIG_MAP, get_config
from music_vae.weights.safetensors_file import WEIGHTS_FILE

MODELS_DIR = Path(__file__).parents[1] / "models"

ALIASES = {
    "melody": "cat-mel_2bar_mini",
    "drums": "cat-drums_2bar_mini_lokl",
    "groove": "groovae_2bar_humanize_mini",
}
"""Short names of models: for each kind of music the one of two bars that is best for samples."""

_NEAR = 0.75  # of 1, the same; melodie and drum are nearer to short names


class ShippedModel(NamedTuple):
    """Describes a model that comes with the package.

    Attributes:
      name: Name of the model, which is that of its config.
      short_name: Short name that also stands for it; empty if it has none.
      music: The music that it makes, and what it reads of it.
      num_steps: Number of steps of a piece.
      latent_size: Width Z of its latent vectors.

    >>> ShippedModel("cat-mel_2bar_mini", "melody", "melody, 2 bars", 32, 128).short_name
    'melody'
    """

    name: str
    short_name: str
    music: str
    num_steps: int
    latent_size: int


def models() -> list[ShippedModel]:
    """Returns the models that come with the package, sorted by name.

    >>> for model in models()[1:3]:
    ...     print(f"{model.short_name}: {model.name}, {model.music}")
    drums: cat-drums_2bar_mini_lokl, 9 drums, 2 bars
    melody: cat-mel_2bar_mini, melody, 2 bars
    """
    short = {name: alias for alias, name in ALIASES.items()}
    configs = [get_config(name) for name in names()]
    return [
        ShippedModel(
            config.name,
            short.get(config.name, ""),
            config.data_converter.describe(),
            config.hparams.max_seq_len,
            config.hparams.latent_size,
        )
        for config in configs
    ]


def names() -> list[str]:
    """Returns the names of the configs whose models ship with the package, sorted.

    >>> names()[:2]
    ['cat-drums_2bar_mini_hikl', 'cat-drums_2bar_mini_lokl']
    """
    return sorted(path.parent.name for path in MODELS_DIR.glob(f"*/{WEIGHTS_FILE}"))


def full_name(name: str) -> str:
    """Returns the name of a config for which a short one may stand.

    >>> full_name("melody"), full_name("groovae_4bar_mini")
    ('cat-mel_2bar_mini', 'groovae_4bar_mini')

    Raises:
      UserError: If it is nearly a short one.
    """
    near = difflib.get_close_matches(name, ALIASES, n=1, cutoff=_NEAR)
    if near and name not in (*ALIASES, *CONFIG_MAP):
        raise UserError(f"there is no model {name!r}; did you mean {near[0]}?")
    return ALIASES.get(name, name)


def folder(config_name: str) -> Path:
    """Returns the folder of the model of a config, which can be used as a checkpoint.

    >>> sorted(path.name for path in folder("groovae_4bar_mini").iterdir())
    ['attributes.safetensors', 'config.json', 'prior.safetensors', 'weights.safetensors']

    Raises:
      UserError: If no model of that config ships, or there is no such config.
    """
    if config_name not in names():
        get_config(config_name)  # raises an error of its own for a name that does not exist
        near = difflib.get_close_matches(config_name, names(), n=1)
        hint = f"did you mean {near[0]}? These do" if near else "these do"
        raise UserError(
            f"no model of {config_name} ships with music_vae; {hint}: {listed()}. For another, "
            "give `run_dir` or `checkpoint_file`"
        )
    return MODELS_DIR / config_name


def with_own(path_of: Callable[[Path], Path]) -> str:
    """Returns which models something comes with that lies beside their weights, as a clause.

    >>> with_own(lambda folder: folder / "constraint")
    'of the models that come with music_vae, cat-mel_2bar_mini has one'

    Args:
      path_of: Function that returns where it is, of the folder of a model.
    """
    found = [name for name in names() if path_of(MODELS_DIR / name).exists()]
    have = "has" if len(found) == 1 else "have"
    return f"of the models that come with music_vae, {', '.join(found) or 'none'} {have} one"


def listed(*, with_short_names: bool = False) -> str:
    """Returns the names of the models as part of a sentence.

    >>> listed(with_short_names=True)
    'cat-drums_2bar_mini_hikl, ..., groovae_4bar_mini; in short melody, drums, groove'
    """
    all_names = names()
    short = [alias for alias, name in ALIASES.items() if name in all_names]
    ending = f"; in short {', '.join(short)}" if short and with_short_names else ""
    return ", ".join(all_names) + ending
