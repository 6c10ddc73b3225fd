"""Says how a piece was made, so that it can be made again from its MIDI file.

The text is the command with all that the music depends on. It goes with files that musicians hand
on, so of a file or a folder elsewhere on the machine it says the name alone.
"""

import dataclasses
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import music_vae
from music_vae.commands.generate_request import Request
from music_vae.common import files
from music_vae.configs import Config

PROGRAM = "music_vae_generate"
_WITHOUT_EFFECT = (
    *("output_dir", "render", "soundfont", "loop"),
    *("engine", "max_batch_size", "checkpoint_base_url", "task"),
)
"""Arguments on which the notes do not depend, beside all others."""


def text(request: Request, config: Config, number: int, count: int) -> str:
    """Returns what is written into the MIDI file of a piece.

    >>> from music_vae.commands.choices import ModelChoice, Sampling
    >>> melodies, tune = ModelChoice(config="cat-mel_2bar_mini"), Path("/home/ada/My tune.mid")
    >>> request = Request(
    ...     melodies, Path("music"), "similar", similarity=0.9, input_midi=(tune,),
    ...     sampling=Sampling(seed=7, temperature=0.5))
    >>> print(text(request, melodies.read_config(), 2, 5))
    music_vae ..., piece 2 of 5: music_vae_generate --config=cat-mel_2bar_mini --mode=similar
    --num_outputs=5 --seed=7 --temperature=0.5 --similarity=0.9 '--input_midi=My tune.mid'

    Args:
      request: The request, with its seed.
      config: The config of its model.
      number: Number of the piece, from 1 on.
      count: Number of pieces.
    """
    command = shlex.join([PROGRAM, *_flags(request, config)])
    return f"music_vae {music_vae.__version__}, piece {number} of {count}: {command}"


def _flags(request: Request, config: Config) -> Iterator[str]:
    """Yields the flags of the command."""
    values: dict[str, Any] = {"config": request.model.config or config.name, "mode": request.mode}
    if request.grid is None:
        values["num_outputs"] = request.count
    values |= {"seed": request.sampling.seed, "temperature": request.sampling.temperature}
    for part in (request.model, request.sampling, request):
        for field in dataclasses.fields(part):
            value = getattr(part, field.name)
            if value != field.default and not dataclasses.is_dataclass(value):
                values.setdefault(field.name, value)
    for name, value in values.items():
        if name not in _WITHOUT_EFFECT:
            yield from _flag(name, value)


def _flag(name: str, value: Any) -> Iterator[str]:
    """Yields a flag as it is given, or one for each of several values."""
    if value is True:
        yield f"--{name}"
        return
    for each in value if isinstance(value, tuple) else (value,):
        is_elsewhere = isinstance(each, str | Path) and files.expand(each).is_absolute()
        yield f"--{name}={Path(each).name if is_elsewhere else each}"
