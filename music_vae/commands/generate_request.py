"""The request of `music_vae_generate`: one frozen value that checks itself."""

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from music_vae.commands.choices import ModelChoice, Sampling, check_at_least
from music_vae.common import seeds
from music_vae.common.errors import UserError

if TYPE_CHECKING:
    from music_vae.latent.grooves import Playing

MODES = ("sample", "interpolate", "reconstruct", "similar", "attribute")
NUM_OUTPUTS = 5
SIMILARITY = 0.8
AMOUNT = 1.0
HITS = ("model", "input", "both")
ENDS = {
    "input_midi_1": "Where an interpolation starts.",
    "input_midi_2": "Where an interpolation ends.",
}
"""The two pieces of an interpolation, each by an argument of its own."""

MIXING = ("amount", "timing_amount", "velocity_amount", "hits")

_MIN_QPM, _MAX_QPM = 1, 1000
_GRID = re.compile(r"([1-9]\d{0,2})x([1-9]\d{0,2})")
_GRID_INPUTS = 4


class InputFile(NamedTuple):
    """A piece that was given.

    Attributes:
      argument: The argument that names it.
      label: A name for what is cut out of it.
      path: Its file.
    """

    argument: str
    label: str
    path: Path


def _option(*modes: str, default: Any = None, on_page: bool = True) -> Any:
    """A field for some modes; a page says its value, if it was given."""
    return dataclasses.field(default=default, metadata={"modes": modes, "on_page": on_page})


@dataclasses.dataclass(frozen=True)
class Request:
    """A request for music: whose it is, how it is made, and which files come of it.

    What is None or empty was not asked for.

    >>> melodies = ModelChoice(config="cat-mel_2bar_mini")
    >>> Request(melodies, Path("music"), "sample", num_outputs=3, qpm=90).count
    3
    >>> Request(melodies, Path("music"), "similar")
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `mode=similar` needs one piece as `input_midi`, not 0

    Attributes:
      model: Whose music.
      output_dir: Where the files go.
      mode: One of `MODES`: samples of the prior; the way from piece to piece; a piece, or a groove
        of any length, reconstructed; pieces similar to one; or changes of attributes.
      num_outputs: How many pieces, or steps of an interpolation. By default 5, but one of a piece
        that is reconstructed or changed.
      sampling: Seed, temperature and batch size.
      engine: What computes: `numpy` or `tensorflow`.
      qpm: Tempo of the result; by default that of the first piece that was given, or 120.
      render: Which of `rendering.FORMATS` are made besides MIDI files.
      soundfont: What sound is made with.
      grid: Rows and columns between four pieces, as in 5x5.
      similarity: How near similar pieces are: 1 is the piece itself, 0 any; by default 0.8.
      attribute: Changes, as in note_density=+1.5; or, with `constraint`, what samples are to have,
        as in note_density=high.
      constraint: A folder of a constraint, or 'own': the one that lies with the model.
      personal: A folder of a personal model.
      attribute_vectors: Their file; by default the one that lies with the model.
      input_midi: Files of the pieces to start from.
      input_midi_1: Instead of these, the file of the first.
      input_midi_2: And of the second.
      amount: How much of a groove's playing is the model's, from 0 to 1; by default 1.
      timing_amount: The same of its timing alone.
      velocity_amount: The same of its velocities alone.
      hits: Whose hits a groove has: one of `HITS`.
      chords: Chord symbols with spaces between them.
      key: As in C, F#, Bb or Am.
      control_midi: The file of a drum pattern, whose hits count.

    Raises:
      UserError: For what does not go together, or is missing.
    """

    model: ModelChoice
    output_dir: Path
    mode: str = MODES[0]
    num_outputs: int | None = None
    sampling: Sampling = dataclasses.field(default_factory=Sampling)
    engine: str = "numpy"
    qpm: float | None = None
    render: tuple[str, ...] = ()
    soundfont: str | None = None
    grid: str | None = _option("interpolate")
    similarity: float | None = _option("similar")
    attribute: tuple[str, ...] = _option("attribute", "sample", default=())
    constraint: str | None = _option("sample")
    personal: str | None = _option("sample")
    attribute_vectors: str | None = _option("attribute", on_page=False)
    input_midi: tuple[Path, ...] = _option(*MODES[1:], default=(), on_page=False)
    input_midi_1: str | None = None
    input_midi_2: str | None = None
    amount: float | None = _option("reconstruct")
    timing_amount: float | None = _option("reconstruct")
    velocity_amount: float | None = _option("reconstruct")
    hits: str | None = _option("reconstruct")
    chords: str | None = _option(*MODES)
    key: str | None = _option(*MODES)
    control_midi: str | None = _option(*MODES)

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise UserError(f"`mode={self.mode}` must be one of {', '.join(MODES)}")
        check_at_least(self, 1, "num_outputs")
        if self.qpm is not None and not _MIN_QPM <= self.qpm <= _MAX_QPM:
            raise UserError(f"`qpm={self.qpm}` is no tempo; expected {_MIN_QPM} to {_MAX_QPM}")
        for option in self._options():
            allowed = option.metadata["modes"]
            if self.mode not in allowed:
                modes = " and ".join(f"`mode={mode}`" for mode in allowed)
                raise UserError(f"`{option.name}` is for {modes}")
        if self.constraint and self.personal:
            raise UserError("give `constraint` or `personal`, one of the two")
        if self.mode == "sample" and self.attribute and not self.constraint:
            raise UserError("`attribute` is for `mode=attribute`, or needs `constraint`")
        if self.mode == "attribute" and not self.attribute:
            raise UserError("`attribute` is required: as in `attribute=note_density=+1.5`")
        if self.mode != "sample":
            self._check_inputs()
        if any(getattr(self, name) is not None for name in MIXING):
            _ = self.playing  # refuses what is out of range

    # -- What follows from it -----------------------------------------------------------------

    @property
    def inputs(self) -> list[InputFile]:
        """The pieces to start from, in their order."""
        if self.mode == "sample":
            return []
        given = [(name, getattr(self, name)) for name in ENDS if getattr(self, name)]
        given += [("input_midi", path) for path in self.input_midi]
        return [
            InputFile(argument, f"input{number}", Path(path).expanduser())
            for number, (argument, path) in enumerate(given, start=1)
        ]

    @property
    def shape(self) -> tuple[int, int] | None:
        """Rows and columns of an interpolation, whose steps stand below each other; else None."""
        if self.mode != "interpolate":
            return None
        return self._rows_and_columns() or (self.count, 1)

    @property
    def count(self) -> int:
        """The number of pieces that are made."""
        grid = self._rows_and_columns()
        if grid is not None:
            return grid[0] * grid[1]
        if self.num_outputs is not None:
            return self.num_outputs
        one = self.mode in ("reconstruct", "attribute") and self.inputs
        return 1 if one else NUM_OUTPUTS

    @property
    def playing(self) -> "Playing":
        """The share of a groove that is the model's."""
        from music_vae.latent.grooves import Playing

        amount = AMOUNT if self.amount is None else self.amount
        return Playing(
            timing=amount if self.timing_amount is None else self.timing_amount,
            velocity=amount if self.velocity_amount is None else self.velocity_amount,
            hits=HITS[0] if self.hits is None else self.hits,
        )

    def facts(self) -> dict[str, str]:
        """The options that were given, in words, by name; and the model unless it ships."""
        model = {name: getattr(self.model, name) for name in ("run_dir", "checkpoint_file")}
        said = {name: text for name, text in model.items() if text is not None}
        for option in self._options():
            if option.metadata["on_page"]:
                value = getattr(self, option.name)
                said[option.name] = ", ".join(value) if isinstance(value, tuple) else str(value)
        return said

    def with_seed(self) -> "Request":
        """The request with a seed: its own, or one that chance chooses."""
        if self.sampling.seed is not None:
            return self
        sampling = dataclasses.replace(self.sampling, seed=seeds.draw())
        return dataclasses.replace(self, sampling=sampling)

    # -- Checks -------------------------------------------------------------------------------

    def _options(self) -> "list[dataclasses.Field[Any]]":
        """The fields for some modes that were given."""
        fields = [field for field in dataclasses.fields(self) if "modes" in field.metadata]
        return [field for field in fields if getattr(self, field.name) not in (None, ())]

    def _check_inputs(self) -> None:
        """Raises `UserError` for another number of inputs than the mode needs."""
        if (self.input_midi_1 or self.input_midi_2) and self.input_midi:
            raise UserError("give `input_midi`, or `input_midi_1` and `input_midi_2`")
        if self.mode == "interpolate" and not self.input_midi:
            for name, text in ENDS.items():
                if not getattr(self, name):
                    raise UserError(f"`{name}` is required: {text}")
        count = len(self.inputs)
        if self.mode == "interpolate":
            self._check_way(count)
        elif count > 1 or (count == 0 and self.mode != "attribute"):
            raise UserError(f"`mode={self.mode}` needs one piece as `input_midi`, not {count}")

    def _check_way(self, count: int) -> None:
        """Raises `UserError` if an interpolation does not go between so many pieces."""
        if self._rows_and_columns() is not None:
            if count != _GRID_INPUTS:
                raise UserError(f"`grid` needs {_GRID_INPUTS} pieces as `input_midi`, not {count}")
            if self.num_outputs is not None:
                raise UserError("`grid` says how many pieces to make; leave out `num_outputs`")
        elif count < 2:
            raise UserError("`mode=interpolate` needs two or more pieces as `input_midi`")
        elif self.count < 2:
            raise UserError("`mode=interpolate` needs `num_outputs` of at least 2: the two ends")

    def _rows_and_columns(self) -> tuple[int, int] | None:
        """Rows and columns, or None without a grid."""
        if self.grid is None:
            return None
        found = _GRID.fullmatch(self.grid)
        if found is None or min(map(int, found.groups())) < 2:
            raise UserError(f"`grid={self.grid}` is no grid; expected ROWSxCOLUMNS, as in 5x5")
        return int(found[1]), int(found[2])
