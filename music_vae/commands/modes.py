"""What the modes of `music_vae_generate` make of a model, some pieces, and what it is told."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from music_vae.common import seeds
from music_vae.common.constants import DEFAULT_QPM
from music_vae.latent import grooves
from music_vae.latent.grooves import Playing
from music_vae.latent.latent_space import Prior

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

    from music_vae.trained_model import TrainedModel


@dataclasses.dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
      mode: One of `MODES`.
      count: How many pieces.
      temperature: How bold.
      seed: Makes the result repeatable.
      grid: Rows and columns of an interpolation between four pieces; None for a path.
      similarity: Of neighbours.
      shift: `[Z]`, added to z to change attributes; None where none are.
      prior: Where samples come from; None: the model's prior.
      playing: How much of a groove is the model's.
    """

    mode: str
    count: int
    temperature: float
    seed: int | None = None
    grid: tuple[int, int] | None = None
    similarity: float = 1.0
    shift: np.ndarray | None = None
    prior: Prior | None = None
    playing: Playing = dataclasses.field(default_factory=Playing)


def with_seed(request: Request) -> Request:
    """The request with a seed: its own, or one that chance chooses."""
    if request.seed is not None:
        return request
    return dataclasses.replace(request, seed=seeds.draw())


def make(
    model: "TrainedModel",
    request: Request,
    pieces: "Sequence[NoteSequence]",
    controls: Sequence[np.ndarray] = (),
) -> "list[NoteSequence]":
    """Music at 120 quarter notes a minute, without hits before time zero.

    Args:
      model: What makes it.
      request: What is asked for.
      pieces: The inputs, if there are any.
      controls: See `conditioning.c_inputs`. Each gives a window of the music, from the same z;
        the windows are joined. Without any, pieces that are reconstructed, changed or varied have
        their own.
    """
    request = with_seed(request)  # so that all windows have one
    told: list[np.ndarray | None] = [*controls] or [None]
    windows = [MODES[request.mode](model, request, pieces, c_input) for c_input in told]
    made = [_joined(parts, model) for parts in zip(*windows, strict=True)]
    return [grooves.without_early_hits(piece) for piece in made]


def _sample(
    model: "TrainedModel", request: Request, pieces: Any, c_input: np.ndarray | None
) -> "list[NoteSequence]":
    del pieces  # the prior has none
    return model.sample(
        request.count,
        temperature=request.temperature,
        c_input=c_input,
        shift=request.shift,
        prior=request.prior,
        seed=request.seed,
    )


def _interpolate(
    model: "TrainedModel",
    request: Request,
    pieces: "Sequence[NoteSequence]",
    c_input: np.ndarray | None,
) -> "list[NoteSequence]":
    options: dict[str, Any] = {
        "temperature": request.temperature,
        "c_input": c_input,
        "seed": request.seed,
    }
    if request.grid is None:
        return model.interpolate_path(pieces, request.count, **options)
    rows = model.interpolate_grid(pieces, *request.grid, **options)
    return [piece for row in rows for piece in row]


def _reconstruct(
    model: "TrainedModel",
    request: Request,
    pieces: "Sequence[NoteSequence]",
    c_input: np.ndarray | None,
) -> "list[NoteSequence]":
    options: dict[str, Any] = {
        "temperature": request.temperature,
        "c_input": c_input,
        "shift": request.shift,
        "seed": request.seed,
    }
    if model.converter.plays_any_length:
        return grooves.reconstruct(
            model, pieces[0], request.count, playing=request.playing, **options
        )
    return model.reconstruct(list(pieces[:1]) * request.count, **options)


def _similar(
    model: "TrainedModel",
    request: Request,
    pieces: "Sequence[NoteSequence]",
    c_input: np.ndarray | None,
) -> "list[NoteSequence]":
    return model.similar(
        pieces[0],
        request.count,
        request.similarity,
        temperature=request.temperature,
        c_input=c_input,
        seed=request.seed,
    )


def _attribute(
    model: "TrainedModel",
    request: Request,
    pieces: "Sequence[NoteSequence]",
    c_input: np.ndarray | None,
) -> "list[NoteSequence]":
    change = _reconstruct if pieces else _sample
    return change(model, request, pieces, c_input)


MODES: dict[str, Callable[..., "list[NoteSequence]"]] = {
    "sample": _sample,
    "interpolate": _interpolate,
    "reconstruct": _reconstruct,
    "similar": _similar,
    "attribute": _attribute,
}


def _joined(parts: "Sequence[NoteSequence]", model: "TrainedModel") -> "NoteSequence":
    """Windows of a bar or more one after the other; one alone stays as it is."""
    if len(parts) == 1:
        return parts[0]
    from note_seq import sequences_lib

    converter = model.converter
    window_s = (converter.window_bars or 1) * converter.quarters_per_bar * 60 / DEFAULT_QPM
    joined = type(parts[0])()
    joined.CopyFrom(parts[0])
    for number, part in enumerate(parts[1:], start=1):
        moved = sequences_lib.shift_sequence_times(part, number * window_s)
        joined.notes.extend(moved.notes)
        joined.text_annotations.extend(moved.text_annotations)
        joined.total_time = max(joined.total_time, moved.total_time)
    return joined
