"""Names what musicians do with shipped models: each task is a mode, a model and its settings."""

from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from music_vae.common.errors import UserError


class Task(NamedTuple):
    """A task: a mode of a request, with a shipped model that is used unless another is given.

    >>> TASKS["humanize"].mode, TASKS["humanize"].config
    ('reconstruct', 'groovae_2bar_humanize_mini')

    Attributes:
      mode: The mode, one of `generate_request.MODES`.
      config: Name of the config of the model that is used.
      drums_config: Name of the config of the model for a file that holds drums alone; None: the
        same.
      temperature: Temperature unless another is given; None: the default of the command.
      for_grooves: True if only a model of grooves can do it.
    """

    mode: str
    config: str
    drums_config: str | None = None
    temperature: float | None = None
    for_grooves: bool = False

    def config_for(self, inputs: Sequence[Path]) -> str:
        """Returns the name of the config of the model that fits the inputs.

        >>> TASKS["vary"].config_for([Path("examples/tunes/soldiers_joy.mid")])
        'cat-mel_2bar_mini'
        """
        if self.drums_config is not None and inputs and all(map(_has_drums_alone, inputs)):
            return self.drums_config
        return self.config


TASKS = MappingProxyType(
    {
        "humanize": Task("reconstruct", "groovae_2bar_humanize_mini", for_grooves=True),
        "tap": Task(
            "reconstruct",
            "groovae_2bar_tap_fixed_velocity_mini",
            temperature=0.8,
            for_grooves=True,
        ),
        "add_hihat": Task("reconstruct", "groovae_2bar_add_closed_hh_mini", for_grooves=True),
        # Of the two models of drums, this one keeps more of what it is given.
        "vary": Task("similar", "cat-mel_2bar_mini", drums_config="cat-drums_2bar_mini_hikl"),
    }
)
"""The tasks, by name."""


def _has_drums_alone(path: Path) -> bool:
    """Returns True if all notes of a file are drums; False also if it cannot be read."""
    from music_vae.music import drum_part, notes_io

    try:
        sequences = notes_io.read_music_file(path)
    except UserError:  # which is said when the file is read for good
        return False
    return all(map(drum_part.has_drums_alone, sequences))
