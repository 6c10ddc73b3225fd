"""Defines the request of `music_vae_generate`: one frozen value that checks itself."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from music_vae.commands.choices import ModelChoice, Sampling
from music_vae.commands.tasks import TASKS
from music_vae.common import checks, files, seeds
from music_vae.common.errors import UserError

if TYPE_CHECKING:
    from music_vae.latent.grooves import Playing

MODES = ("sample", "interpolate", "reconstruct", "similar", "attribute")
NUM_OUTPUTS = 5
SIMILARITY = 0.8
HITS = ("model", "input", "both")
ENDS = {
    "input_midi_1": "Where an interpolation starts.",
    "input_midi_2": "Where an interpolation ends.",
}
"""Arguments that each give one of the two ends of an interpolation, with their help."""

AMOUNTS = ("amount", "timing_amount", "velocity_amount")
MIXING = (*AMOUNTS, "hits")
"""Arguments that say how a groove is mixed with the model's; see `Request.playing`."""

_GRID = re.compile(r"([1-9]\d{0,2})x([1-9]\d{0,2})")
_GRID_INPUTS = 4
_WINDOWS = re.compile(r"[1-9]\d{0,5}(,[1-9]\d{0,5})*")
ALL_WINDOWS = "all"


class InputFile(NamedTuple):
    """A file of music that was given.

    >>> InputFile("input_midi", "input1", Path("tune.mid")).path.name
    'tune.mid'

    Attributes:
      argument: Name of the argument that gave it.
      label: Label in the names of files that are cut out of it.
      path: Path of the file.
    """

    argument: str
    label: str
    path: Path


def _option(*modes: str, default: Any = None, on_page: bool = True) -> Any:
    """Returns a dataclass field that is for some modes only.

    Args:
      modes: The modes.
      default: Default of the field.
      on_page: If True, the page of results shows the value.
    """
    return dataclasses.field(default=default, metadata={"modes": modes, "on_page": on_page})


def _named(modes: Sequence[str]) -> str:
    """Returns modes, and the tasks that are such modes, as part of a sentence."""
    names = []
    for mode in modes:
        names += [mode, *(name for name, task in TASKS.items() if task.mode == mode)]
    *others, last = (f"`mode={name}`" for name in dict.fromkeys(names))
    return f"{', '.join(others)} and {last}" if others else last


@dataclasses.dataclass(frozen=True)
class Request:
    """A request for music: the model, the way in which music is made, and the files to write.

    A field that is None or empty was not asked for.

    >>> melodies = ModelChoice(config="cat-mel_2bar_mini")
    >>> Request(melodies, Path("music"), "sample", num_outputs=3, qpm=90).count
    3
    >>> Request(melodies, Path("music"), "similar")
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `mode=similar` needs one piece as `input_midi`, not 0

    Attributes:
      model: The model.
      output_dir: Folder of the files that are written.
      mode: One of `MODES`: "sample" from the prior; "interpolate" from piece to piece;
        "reconstruct" a piece, or a groove of any length; make pieces "similar" to one; or change an
        "attribute".
      num_outputs: Number of pieces, or of steps of an interpolation, those that were given among
        them; None: 5, or as many as were given, but 1 for a piece that is reconstructed or changed.
      sampling: Seed, temperature and batch size.
      engine: Engine that computes, "numpy" or "tensorflow".
      qpm: Tempo of the result in quarter notes a minute; None: that of the first input, or 120.
      render: Formats that are made besides MIDI files, of `rendering.FORMATS`.
      soundfont: The .sf2 file that sound is made with; None: the one of pretty_midi.
      loop: If True, sound is as long as its piece, and can be repeated without a gap.
      join: If True, the steps of an interpolation are one piece, one after the other.
      grid: Numbers of rows and columns of a grid between four pieces, as in 5x5.
      similarity: Nearness of similar pieces, from 0 (any piece) to 1 (the piece itself); None: 0.8.
      attribute: Changes of attributes, as in note_density=+1.5; or with `constraint`, attributes
        that samples are to have, as in note_density=high.
      constraint: Folder of a constraint; "own": the one that lies with the model.
      personal: Folder of a personal model.
      prior: Prior that random points of the latent space come from: "fitted", "normal", or a file;
        None: the fitted one if there is one beside the weights, else the normal one.
      attribute_vectors: File of attribute vectors; None: the one that lies with the model.
      input_midi: Files of the pieces to start from.
      window: Numbers of the windows to take of files that hold several, counted from 1, with commas
        between: one for each input or one for all; or "all", to go through a whole piece window by
        window. None: files hold one, or are grooves that are reconstructed or changed.
      input_midi_1: File of the first end of an interpolation, instead of `input_midi`.
      input_midi_2: File of the second end of an interpolation, instead of `input_midi`.
      task: Name of the task that this is, one of `tasks.TASKS`, or None.
      amount: Share of a groove's timing and velocities that is the model's, from 0 to 1, or more,
        up to 3, to exaggerate; None: 1 for what the model is made to fill in, 0 for the rest.
      timing_amount: Share of the timing that is the model's; None: as `amount`.
      velocity_amount: Share of the velocities that is the model's; None: as `amount`.
      hits: Source of a groove's hits, one of `HITS`; None: see `grooves.Playing`.
      chords: Chord symbols with spaces between them, for a model that is conditioned on chords.
      key: Key as in C, F#, Bb or Am, for a model that is conditioned on the key.
      control_midi: File of a drum pattern, for a model that is conditioned on hits.

    Raises:
      UserError: For values that are out of range, missing, or do not go together.
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
    loop: bool = False
    join: bool = _option("interpolate", default=False)
    grid: str | None = _option("interpolate")
    similarity: float | None = _option("similar")
    attribute: tuple[str, ...] = _option("attribute", "sample", default=())
    constraint: str | None = _option("sample")
    personal: str | None = _option("sample")
    prior: str | None = _option("sample", "similar", "attribute")
    attribute_vectors: str | None = _option("attribute", on_page=False)
    input_midi: tuple[Path, ...] = _option(*MODES[1:], default=(), on_page=False)
    window: str | None = _option(*MODES[1:])
    input_midi_1: str | None = None
    input_midi_2: str | None = None
    task: str | None = None
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
        checks.check_numbers(self, checks.COUNT, "num_outputs")
        checks.check_numbers(self, checks.QPM, "qpm")
        checks.check_numbers(self, checks.SHARE, "similarity")
        checks.check_numbers(self, checks.AMOUNT, *AMOUNTS)
        for option in self._options():
            allowed = option.metadata["modes"]
            if self.mode not in allowed:
                raise UserError(f"`{option.name}` is for {_named(allowed)}")
        if self.constraint and self.personal:
            raise UserError("give `constraint` or `personal`, one of the two")
        self._check_prior()
        if self.mode == "sample" and self.attribute and not self.constraint:
            raise UserError("`attribute` is for `mode=attribute`, or needs `constraint`")
        if self.mode == "attribute" and not self.attribute:
            raise UserError("`attribute` is required: as in `attribute=note_density=+1.5`")
        if self.task is not None and (self.task not in TASKS or TASKS[self.task].mode != self.mode):
            raise UserError(f"`task={self.task}` is none of `mode={self.mode}`")
        if self.mode != "sample":
            self._check_inputs()
        if any(getattr(self, name) is not None for name in MIXING):
            _ = self.playing  # refuses what is out of range

    # -- Derived values -----------------------------------------------------------------------

    @property
    def inputs(self) -> list[InputFile]:
        """The files of the pieces to start from, in their order.

        >>> melodies, ends = ModelChoice(config="cat-mel_2bar_mini"), (Path("a.mid"), Path("b.mid"))
        >>> way = Request(melodies, Path("music"), "interpolate", input_midi=ends)
        >>> [(piece.label, piece.path.name) for piece in way.inputs]
        [('input1', 'a.mid'), ('input2', 'b.mid')]
        """
        if self.mode == "sample":
            return []
        given = [(name, getattr(self, name)) for name in ENDS if getattr(self, name)]
        given += [("input_midi", path) for path in self.input_midi]
        return [
            InputFile(argument, f"input{number}", files.expand(path))
            for number, (argument, path) in enumerate(given, start=1)
        ]

    @property
    def shape(self) -> tuple[int, int] | None:
        """Numbers of rows and columns of an interpolation; None for other modes, or if joined.

        The steps between two pieces stand below each other.

        >>> melodies, ends = ModelChoice(config="cat-mel_2bar_mini"), (Path("a.mid"), Path("b.mid"))
        >>> Request(melodies, Path("music"), "interpolate", num_outputs=7, input_midi=ends).shape
        (7, 1)
        """
        if self.mode != "interpolate" or self.join:
            return None
        return self._rows_and_columns() or (self.count, 1)

    @property
    def count(self) -> int:
        """Number of pieces that are made."""
        grid = self._rows_and_columns()
        if grid is not None:
            return grid[0] * grid[1]
        if self.num_outputs is not None:
            return self.num_outputs
        one = self.mode in ("reconstruct", "attribute") and self.inputs
        return 1 if one else max(NUM_OUTPUTS, len(self.inputs))

    @property
    def draws_points(self) -> bool:
        """True if the music comes from random points of the latent space, or from near them.

        >>> melodies, tune = ModelChoice(config="cat-mel_2bar_mini"), (Path("a.mid"),)
        >>> Request(melodies, Path("music"), "sample").draws_points
        True
        >>> Request(melodies, Path("music"), "reconstruct", input_midi=tune).draws_points
        False
        """
        changes_samples = self.mode == "attribute" and not self.inputs
        return self.mode in ("sample", "similar") or changes_samples

    @property
    def playing(self) -> "Playing":
        """The shares of a groove's timing and velocities that are the model's, and whose hits.

        None: what the model is made to fill in.

        >>> drums, tune = ModelChoice(config="groovae_2bar_humanize_mini"), (Path("beat.mid"),)
        >>> Request(
        ...     drums, Path("music"), "reconstruct", input_midi=tune, amount=0.5, hits="input"
        ... ).playing
        Playing(timing=0.5, velocity=0.5, hits='input')
        """
        from music_vae.latent.grooves import Playing

        return Playing(
            timing=self.amount if self.timing_amount is None else self.timing_amount,
            velocity=self.amount if self.velocity_amount is None else self.velocity_amount,
            hits=self.hits,
        )

    @property
    def takes_all_windows(self) -> bool:
        """True if a whole piece is asked for, window by window."""
        return self.window == ALL_WINDOWS

    @property
    def windows(self) -> Sequence[int | None]:
        """The number of the window of each input, counted from 1; None where none was chosen.

        >>> melodies, ends = ModelChoice(config="cat-mel_2bar_mini"), (Path("a.mid"), Path("b.mid"))
        >>> Request(
        ...     melodies, Path("music"), "interpolate", input_midi=ends, window="1,5"
        ... ).windows
        [1, 5]
        """
        if self.window is None or self.takes_all_windows:
            return [None for _ in self.inputs]
        numbers = [int(text) for text in self.window.split(",")]
        return numbers * len(self.inputs) if len(numbers) == 1 else numbers

    def facts(self) -> dict[str, str]:
        """Returns the options that were given, as texts by name, and the model unless it ships.

        >>> melodies, tune = ModelChoice(config="cat-mel_2bar_mini"), (Path("a.mid"),)
        >>> Request(melodies, Path("music"), "similar", similarity=0.9, input_midi=tune).facts()
        {'similarity': '0.9'}
        """
        model = {name: getattr(self.model, name) for name in ("run_dir", "checkpoint_file")}
        facts = {name: text for name, text in model.items() if text is not None}
        for option in self._options():
            if option.metadata["on_page"]:
                value = getattr(self, option.name)
                facts[option.name] = ", ".join(value) if isinstance(value, tuple) else str(value)
        return facts

    def with_seed(self) -> "Request":
        """Returns the request with a seed: its own, or one that is chosen by chance."""
        if self.sampling.seed is not None:
            return self
        sampling = dataclasses.replace(self.sampling, seed=seeds.draw())
        return dataclasses.replace(self, sampling=sampling)

    # -- Checks -------------------------------------------------------------------------------

    def _options(self) -> "list[dataclasses.Field[Any]]":
        """Returns the fields for some modes that were given."""
        fields = [field for field in dataclasses.fields(self) if "modes" in field.metadata]
        values = {field.name: getattr(self, field.name) for field in fields}
        return [
            f for f in fields if values[f.name] not in (None, ()) and values[f.name] is not False
        ]

    def _check_prior(self) -> None:
        """Raises `UserError` for a prior that does not exist, or from which nothing is drawn."""
        if self.prior is None:
            return
        from music_vae.latent import priors

        priors.check_choice(self.prior)
        if self.constraint or self.personal:
            raise UserError("give `prior`, `constraint` or `personal`, one of them")
        if not self.draws_points:
            raise UserError("`prior` is for samples; `input_midi` gives a piece instead")

    def _check_inputs(self) -> None:
        """Raises `UserError` unless there are as many inputs as the mode needs."""
        if (self.input_midi_1 or self.input_midi_2) and self.input_midi:
            raise UserError("give `input_midi`, or `input_midi_1` and `input_midi_2`")
        if self.mode == "interpolate" and not self.input_midi:
            for name, text in ENDS.items():
                if not getattr(self, name):
                    raise UserError(f"`{name}` is required: {text}")
        count = len(self.inputs)
        if self.mode == "interpolate":
            self._check_interpolation(count)
        elif count > 1 or (count == 0 and self.mode != "attribute"):
            raise UserError(f"`mode={self.mode}` needs one piece as `input_midi`, not {count}")
        self._check_window()

    def _check_window(self) -> None:
        """Raises `UserError` unless windows are numbers, as many as there are inputs, or all."""
        if self.window is None:
            return
        if not self.inputs:
            raise UserError("`window` is for pieces that are given as `input_midi`")
        if self.takes_all_windows:
            if self.mode == "interpolate":
                raise UserError(
                    "`window=all` is for one piece; an interpolation needs the number of a window"
                )
        elif not _WINDOWS.fullmatch(self.window):
            raise UserError(
                f"`window={self.window}`: expected the number of a window, from 1 on, or all"
            )
        elif len(self.windows) != len(self.inputs):
            raise UserError(
                f"`window={self.window}` has {len(self.windows)} numbers for "
                f"{len(self.inputs)} pieces; expected one for each or one for all"
            )

    def _check_interpolation(self, count: int) -> None:
        """Raises `UserError` unless an interpolation between `count` pieces is possible."""
        if self._rows_and_columns() is not None:
            if self.join:
                raise UserError("`join` is for one way from piece to piece, not for `grid`")
            if count != _GRID_INPUTS:
                raise UserError(f"`grid` needs {_GRID_INPUTS} pieces as `input_midi`, not {count}")
            if self.num_outputs is not None:
                raise UserError("`grid` says how many pieces to make; leave out `num_outputs`")
        elif count < 2:
            raise UserError("`mode=interpolate` needs two or more pieces as `input_midi`")
        elif self.count < 2:
            raise UserError("`mode=interpolate` needs `num_outputs` of at least 2: the two ends")
        elif self.count < count:
            raise UserError(
                f"`num_outputs={self.count}` is fewer than the {count} pieces of `input_midi`, "
                "which are among the outputs of an interpolation; give as many at least"
            )

    def _rows_and_columns(self) -> tuple[int, int] | None:
        """Returns the numbers of rows and columns of the grid, or None if there is none."""
        if self.grid is None:
            return None
        match = _GRID.fullmatch(self.grid)
        if match is None or min(map(int, match.groups())) < 2:
            raise UserError(f"`grid={self.grid}` is no grid; expected ROWSxCOLUMNS, as in 5x5")
        return int(match[1]), int(match[2])
