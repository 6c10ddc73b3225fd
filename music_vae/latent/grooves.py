"""Grooves of any length through a groove model, with as much of its playing as is wanted.

The models of Gillick et al. 2019 play two or four bars. A longer groove is cut into such windows,
each is encoded and decoded, and what comes out is joined again. Its timing and its velocities can
then be mixed with those of the input.
"""

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from music_vae.common.constants import MAX_MIDI_VELOCITY
from music_vae.common.errors import NoExtractedExamplesError, UserError
from music_vae.music.symbols import Groove

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

    from music_vae.engine.array_model import ArrayModel

MODEL, INPUT, BOTH = "model", "input", "both"
HITS = (MODEL, INPUT, BOTH)
"""Whose hits are played."""

_SOFTEST = 1 / MAX_MIDI_VELOCITY  # a hit of MIDI velocity 0 would be none


@dataclasses.dataclass(frozen=True)
class Playing:
    """How much of a model's playing is wanted.

    Attributes:
      timing: 0 keeps the timing of the input, 1 takes the model's; what lies between is mixed.
      velocity: The same of velocities.
      hits: Whose hits are played: the model's, the input's, or those of both.

    Raises:
      UserError: For an amount that is not from 0 to 1, or unknown hits.
    """

    timing: float = 1.0
    velocity: float = 1.0
    hits: str = MODEL

    def __post_init__(self) -> None:
        for name in ("timing", "velocity"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"the amount of {name}, {getattr(self, name)}, must be from 0 to 1")
        if self.hits not in HITS:
            raise UserError(f"hits={self.hits!r} must be one of {', '.join(HITS)}")

    @property
    def is_models(self) -> bool:
        """Whether nothing of the input is wanted."""
        return self == Playing()


def reconstruct(
    model: "ArrayModel",
    sequence: "NoteSequence",
    n: int = 1,
    *,
    playing: Playing | None = None,
    temperature: float = 1.0,
    c_input: np.ndarray | None = None,
    shift: np.ndarray | None = None,
    seed: int | None = None,
) -> "list[NoteSequence]":
    """A drum pattern of any length as the model plays it, at 120 quarter notes a minute.

    Args:
      model: A model of grooves.
      sequence: The pattern; it is padded to a bar line.
      n: How many times it is played.
      playing: How much of the model's playing is wanted; all by default.
      temperature: How bold the hits are.
      c_input: Control `[T, Dc]` of every window; the pattern's own by default, if there is one.
      shift: `[Z]`, added to the z of every window.
      seed: Makes the result repeatable.

    Returns:
      `n` sequences without hits before time zero.

    Raises:
      NoExtractedExamplesError: If there is no groove in `sequence`; it says why.
      UserError: If the model is not one of grooves, or cannot mix as `playing` asks for.
    """
    converter, playing = model.converter, playing or Playing()
    if not converter.plays_any_length:
        raise UserError(f"{model.config.name} is not a model of grooves")
    if not playing.is_models and not converter.has_numbers:
        raise UserError(f"{model.config.name} has velocities and timing in bins; nothing is mixed")
    extraction = converter.whole().extract(sequence)
    if not extraction.examples:
        reasons = ", ".join(extraction.skipped) or "it has no hits"
        raise NoExtractedExamplesError(f"there is no groove: {reasons}")
    (example,) = extraction.examples
    size = model.config.hparams.max_seq_len
    inputs = _windows(converter.dense_inputs(example.inputs), size)
    controls = None
    if converter.control_depth and example.controls is not None:
        controls = _windows(converter.dense_controls(example.controls), size)
    _, mu, _ = model.encode_tensors(inputs, [size] * len(inputs), controls)
    z = np.tile(mu if shift is None else mu + shift, (n, 1))
    if controls is not None and c_input is None:
        c_input = np.stack(controls * n)
    made = model.decode_to_tensors(z, size, temperature, c_input, seed=seed)
    rows = np.concatenate(made).reshape(n, -1, converter.output_depth)
    takes = list(rows[:, : len(example.outputs)])
    if not playing.is_models:
        played = converter.groove(converter.dense_outputs(example.outputs))
        mixed = [_mixed(played, converter.groove(take), playing) for take in takes]
        takes = [converter.groove_outputs(groove) for groove in mixed]
    return [without_early_hits(take) for take in converter.from_tensors(takes)]


def without_early_hits(sequence: "NoteSequence") -> "NoteSequence":
    """A copy in which what starts before time zero starts there."""
    copy = type(sequence)()
    copy.CopyFrom(sequence)
    for note in copy.notes:
        if note.start_time < 0:
            note.end_time -= note.start_time
            note.start_time = 0.0
    return copy


def _windows(rows: np.ndarray, size: int) -> list[np.ndarray]:
    """Rows `[T, D]` in windows `[size, D]`, the last with zeros at its end."""
    padded = np.pad(rows, ((0, -len(rows) % size), (0, 0)))
    return list(padded.reshape(-1, size, rows.shape[1]))


def _mixed(played: Groove, made: Groove, playing: Playing) -> Groove:
    """The groove between what was played and what the model made.

    A hit that one of the two does not have has the velocity of the other. The same holds for its
    timing; but a hit that the input does not have keeps time with the loudest one of the input at
    that step, if there is one: an added hi-hat comes with the bass drum.
    """
    hits = {MODEL: made.hits, INPUT: played.hits, BOTH: made.hits | played.hits}[playing.hits]
    loudest = np.argmax(np.where(played.hits, played.velocities, -1), axis=-1)[:, None]
    of_step = np.take_along_axis(played.offsets, loudest, axis=-1)
    offsets = np.where(played.hits, played.offsets, of_step)
    in_time = np.broadcast_to(played.hits.any(axis=-1, keepdims=True), hits.shape)
    velocities = _between(
        played.velocities, made.velocities, played.hits, made.hits, playing.velocity
    )
    offsets = _between(offsets, made.offsets, in_time, made.hits, playing.timing)
    return Groove(
        hits, np.where(hits, np.maximum(velocities, _SOFTEST), 0), np.where(hits, offsets, 0)
    )


def _between(
    own: np.ndarray, new: np.ndarray, has_own: Any, has_new: np.ndarray, amount: float
) -> np.ndarray:
    """`own` for amount 0, `new` for 1; where there is only one of them, that one."""
    mixed = (1 - amount) * own + amount * new
    return np.where(has_own & has_new, mixed, np.where(has_own, own, new))
