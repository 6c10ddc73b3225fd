"""Names the arguments by which a musician conditions a model: chords, a key, hits."""

from typing import NoReturn

from music_vae.common.errors import UserError
from music_vae.configs import CONFIG_MAP, Config
from music_vae.music.converters.base import Converter

_ARGUMENTS = {
    "chords": ("chords", "the chord of every step, as in `chords='C G Am F'`"),
    "key": ("key", "the key, as in `key=Bb`"),
    "hits": ("control_midi", "the hits, as in `control_midi=hits.mid`"),
}
"""For each of `Conditioning.names`: the argument that gives it, and a phrase for messages."""

ARGUMENTS = tuple(name for name, _ in _ARGUMENTS.values())
"""Names of all arguments that may condition a model."""


_NOUNS = {"chords": "chords", "key": "a key", "control_midi": "hits"}
"""For each argument, the thing that a model is conditioned on."""


def refuse(name: str, config: Config) -> NoReturn:
    """Raises `UserError` that says which configs are conditioned on an argument, as one is not.

    >>> from music_vae.configs import get_config
    >>> refuse("key", get_config("cat-mel_2bar_mini"))
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `key`: cat-mel_2bar_mini is not conditioned on a key; no ...

    Args:
      name: Name of the argument.
      config: The config that is not conditioned on it.
    """
    known = [other.name for other in CONFIG_MAP.values() if name in needed(other.data_converter)]
    others = f"these configs are: {', '.join(known)}" if known else "no published config is"
    raise UserError(f"`{name}`: {config.name} is not conditioned on {_NOUNS[name]}; {others}")


def needed(converter: Converter) -> dict[str, str]:
    """Returns the arguments that condition a model, each with a phrase for messages.

    >>> from music_vae.configs import get_config
    >>> needed(get_config("hier-multiperf_vel_1bar_med_chords").data_converter)
    {'chords': "the chord of every step, as in `chords='C G Am F'`"}
    >>> needed(get_config("cat-mel_2bar_mini").data_converter)  # not conditioned on anything
    {}
    """
    return dict(_ARGUMENTS[name] for name in converter.conditioning.names)
