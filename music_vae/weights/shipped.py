"""The trained models that come with the package: `models/CONFIG/weights.safetensors`, config.json.

Needs no TensorFlow.
"""

import difflib
from pathlib import Path

from music_vae.common.errors import UserError
from music_vae.configs import get_config
from music_vae.weights.safetensors_file import WEIGHTS_FILE

MODELS_DIR = Path(__file__).parents[1] / "models"


def names() -> list[str]:
    """The configs whose models ship."""
    return sorted(path.parent.name for path in MODELS_DIR.glob(f"*/{WEIGHTS_FILE}"))


def folder(config_name: str) -> Path:
    """The folder of the model of a config, which can be used as a checkpoint.

    Raises:
      UserError: If none ships, with those that do; or there is no such config.
    """
    if config_name not in names():
        get_config(config_name)  # a name that does not exist is said first
        near = difflib.get_close_matches(config_name, names(), n=1)
        hint = f"did you mean {near[0]}? These do" if near else "these do"
        raise UserError(
            f"no model of {config_name} ships with music_vae; {hint}: {listed()}. For another, "
            "give `run_dir` or `checkpoint_file`"
        )
    return MODELS_DIR / config_name


def listed() -> str:
    """The names in a sentence."""
    return ", ".join(names())
