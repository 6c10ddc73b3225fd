"""Finds what music is made from, beside the model: pieces, controls, vectors and a prior."""

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from music_vae.commands import conditions, inputs
from music_vae.commands.generate_request import InputFile, Request
from music_vae.common import files, lazy_imports
from music_vae.common.errors import UserError, naming
from music_vae.configs import Config
from music_vae.latent import grooves, latent_space, priors
from music_vae.latent.latent_space import Prior
from music_vae.music import conditioning, notes_io, tempos
from music_vae.music.converters.base import Tensors
from music_vae.music.converters.score import as_sequence
from music_vae.music.heard_windows import Window
from music_vae.music.tempo_map import TempoMap

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence


_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Material:
    """The things that music is made from, beside the model; `gather` finds them.

    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> middle_c = NoteSequence(notes=[{"pitch": 60, "velocity": 80, "end_time": 2}], total_time=2)
    >>> len(Material(pieces=[middle_c]).pieces)
    1

    Attributes:
      pieces: The pieces that were given; windows of longer ones are `Tensors`.
      controls: Controls of each window of the music, made by `conditioning.c_inputs`. All windows
        are decoded from the same latent vectors, each with its own controls, and then joined.
        Empty: a piece that is reconstructed, changed or varied keeps its own controls.
      shift: Vector `[Z]` that is added to latent vectors to change attributes; None: no change.
      prior: Prior from which samples are drawn, or its name; None: the model's default, as in
        `TrainedModel.sample`.
      qpm: Tempo of the first window, if the result is to have it; None: that at the beginning of
        the first piece.
      spans: Quarter notes at which each piece begins and ends, if the pieces are the windows of a
        whole piece, which are to be joined; empty: they are not. A window can begin before 0, and
        be silent up to a pick-up; and the piece can end before its last window does.
      semitones: Number of semitones by which the result is moved up, as `pieces` were moved down.
      track: Name of the track that the first piece is of; empty if it has none.
      program: MIDI program of that track, which the result has, too; None: that of the model.
      tempo_map: Tempos of a groove of any length that change, and are left out of `pieces`; None
        for any other music.
    """

    pieces: "Sequence[NoteSequence | Tensors]" = ()
    controls: Sequence[np.ndarray] = ()
    shift: np.ndarray | None = None
    prior: Prior | str | None = None
    qpm: float | None = None
    tempo_map: TempoMap | None = None
    spans: Sequence[tuple[float, float]] = ()
    semitones: int = 0
    track: str = ""
    program: int | None = None


def gather(request: Request, config: Config, stamp: str) -> Material:
    """Reads the material that the request names: pieces, controls, vectors, a constraint.

    >>> from music_vae.commands.choices import ModelChoice
    >>> drums = ModelChoice(config="groovae_2bar_humanize_mini")
    >>> request = Request(drums, Path("music"), "attribute", attribute=("hit_density=+1.5",))
    >>> gather(request, drums.read_config(), stamp="now").shift.shape
    (64,)

    Args:
      request: The request.
      config: The config of its model.
      stamp: Text that makes names of files unique, such as the time. It is used if an input holds
        several windows, which are then written as files to choose from.

    Raises:
      UserError: If something does not exist, cannot be read, or is not for the model.
    """
    shift, prior = _shift(request, config), _prior(request, config)
    lazy_imports.import_note_seq()
    controls = _controls(request, config, stamp)
    if not _is_whole(request, config):
        return _of_windows(request, config, stamp, Material((), controls, shift, prior))
    pieces, tempo_map = _steady(_pieces(request, config, stamp))
    return Material(pieces, controls, shift, prior, tempo_map=tempo_map)


def _shift(request: Request, config: Config) -> np.ndarray | None:
    """Returns the vector that is added to latent vectors to change attributes, or None."""
    if request.mode != "attribute":
        return None
    from music_vae.latent import attribute_vectors

    amounts = attribute_vectors.parse_amounts(request.attribute, "attribute")
    given = request.attribute_vectors
    path = given or attribute_vectors.default_path(request.model.resolve())
    if given is None and not Path(path).is_file():
        raise UserError(
            f"there are no attribute vectors in {path}; make them with music_vae_attributes "
            "compute, or name a file with `attribute_vectors`"
        )
    with naming("attribute_vectors", given):
        vectors = attribute_vectors.read(path, config)
    with naming("attribute", ",".join(request.attribute)):
        return latent_space.attribute_shift(vectors, amounts)


def _prior(request: Request, config: Config) -> Prior | str | None:
    """Returns the prior that points are drawn from, or its name; None: no points are drawn."""
    if not request.draws_points:
        return None
    if not (request.constraint or request.personal):
        return priors.choose(request.prior, config, request.model.resolve()) or priors.NORMAL
    if not config.hparams.latent_size:
        raise UserError(
            f"{config.name} has no latent space, which `constraint` and `personal` need"
        )
    from music_vae.latent import constraints, personal_models
    from music_vae.latent.small_networks import Owner

    source = request.model.resolve()
    owner = Owner.of(config, source)
    if request.personal:
        with naming("personal", request.personal):
            return personal_models.read(request.personal, owner).prior()
    wanted = constraints.parse_sides(request.attribute, "attribute")
    with naming("constraint", request.constraint):
        folder = constraints.folder_of(request.constraint, source)
        constraint = constraints.read(folder, owner)
    with naming("attribute", ",".join(request.attribute)):
        return constraint.prior(wanted, config.hparams.latent_size)


def _controls(request: Request, config: Config, stamp: str) -> list[np.ndarray]:
    """Returns the controls of each window; empty if nothing was given to condition on."""
    converter = config.data_converter
    needed = conditions.needed(converter)
    given = any(getattr(request, name) is not None for name in needed)
    if not converter.control_depth or (needed and not given):
        return []
    hits = None
    if request.control_midi is not None:
        path = files.expand(request.control_midi)
        pattern = InputFile("control_midi", "control", path)
        (window,) = inputs.read_windows(config, [pattern], request.output_dir, stamp)
        hits = window.tensors
    musical = conditioning.Conditions(chords=request.chords, key=request.key, hits=hits)
    return conditioning.c_inputs(converter, config.hparams.max_seq_len, musical)


def _pieces(request: Request, config: Config, stamp: str) -> "list[NoteSequence]":
    """Reads the grooves to start from, which have any length unless a window of one is chosen."""
    if request.window is not None and not request.takes_all_windows:
        windows = _windows(request, config, stamp)
        return [
            notes_io.with_tempo(as_sequence(window.score), window.qpm)
            for window in windows
            if window.score is not None
        ]
    mix = request.playing.for_model(config.data_converter.fills_in)
    keeps_hits = request.mode == "reconstruct" and mix.hits != grooves.MODEL
    return [inputs.read_groove(config, given, keeps_hits=keeps_hits) for given in request.inputs]


def _of_windows(request: Request, config: Config, stamp: str, material: Material) -> Material:
    """Returns material with the windows that a request names."""
    windows, tempo_map = _windows(request, config, stamp), None
    if request.takes_all_windows:
        (given,) = request.inputs
        windows, tempo_map = inputs.read_all_windows(config, given)
    moves = {window.semitones for window in windows}
    if len(moves) > 1:
        _log.warning(
            "not all pieces were moved by as many octaves; what is made of them is not moved back"
        )
    return dataclasses.replace(
        material,
        pieces=[window.tensors for window in windows],
        qpm=windows[0].qpm if windows and request.qpm is None else None,
        tempo_map=None if request.qpm is not None else tempo_map,
        spans=[_span(w, config) for w in windows] if request.takes_all_windows else (),
        semitones=-moves.pop() if len(moves) == 1 else 0,
        track=windows[0].track if windows else "",
        program=windows[0].program if windows else None,
    )


def _span(window: Window, config: Config) -> tuple[float, float]:
    """Returns the quarter notes at which the bars of a window begin and end."""
    length = (window.num_bars or 1) * config.data_converter.quarters_per_bar
    return window.start_quarter, window.start_quarter + length


def _windows(request: Request, config: Config, stamp: str) -> list[Window]:
    """Reads the windows to start from; none if those of a whole piece are wanted."""
    if request.takes_all_windows:
        return []
    folder, chosen = request.output_dir, request.windows
    return inputs.read_windows(config, request.inputs, folder, stamp, chosen)


def _is_whole(request: Request, config: Config) -> bool:
    """Returns True for pieces that may have any length."""
    return request.mode in ("reconstruct", "attribute") and config.data_converter.plays_any_length


def _steady(pieces: "list[NoteSequence]") -> "tuple[list[NoteSequence], TempoMap | None]":
    """Returns a whole groove at a steady tempo, and its tempos if they change."""
    if not pieces:
        return pieces, None
    (piece,) = pieces
    even, tempo = tempos.steady(piece)
    return [even], tempo if isinstance(tempo, TempoMap) else None
