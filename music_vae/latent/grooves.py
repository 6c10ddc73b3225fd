"""Passes drum patterns of any length through a groove model, as far as its playing is wanted.

The models of Gillick et al. 2019 play two or four bars. A longer pattern is cut into such windows;
each is encoded and decoded, and the results are joined again. The timing and the velocities of the
model can then be mixed with those of the input, or be taken further from them than the model goes.
"""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from music_vae.common import checks, seeds
from music_vae.common.constants import DEFAULT_QPM, MAX_MIDI_VELOCITY
from music_vae.common.errors import NoExtractedExamplesError, UserError
from music_vae.engine import arguments
from music_vae.music import bar_lines, drum_part, pieces, tempos
from music_vae.music.converters import groove_notes
from music_vae.music.converters.base import Example, Tensors
from music_vae.music.converters.score import Score, as_sequence
from music_vae.music.symbols import DrumHits, FillsIn, Groove
from music_vae.music.tempo_map import TempoMap

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

    from music_vae.engine.array_model import ArrayModel
    from music_vae.music.converters.base import Converter
    from music_vae.music.pieces import Piece

MODEL, INPUT, BOTH = "model", "input", "both"
HITS = (MODEL, INPUT, BOTH)
"""Sources of the hits that are played: the model, the input pattern, or both."""

_OTHER_TAKES, _AS_TRAINED = 8, 1.0
"""Number and temperature of the takes by which hits are judged that the model did not draw."""

_HALF_WAY = 0.9  # half steps off a step, from which on a hit is between two

_HAIR = 1e-3  # steps by which a hit is nearer to one step than to the next

_SOFTEST = 1 / MAX_MIDI_VELOCITY  # a hit of MIDI velocity 0 would be none

_SECONDS_PER_MINUTE = 60


@dataclasses.dataclass(frozen=True)
class Playing:
    """Describes how much of a model's playing is wanted.

    >>> Playing(timing=0.5, hits="input")  # own hits, half-way between own timing and the model's
    Playing(timing=0.5, velocity=None, hits='input')

    Attributes:
      timing: Share of the model's timing: 0 keeps that of the input, 1 takes the model's, and more,
        up to 3, exaggerates it, as far as half a step from the beat. None: 1 if the model is made
        to fill in the timing, or nothing particular at all, else 0.
      velocity: Share of the model's velocities: 0 keeps those of the input, 1 takes the model's,
        and more exaggerates them. None: as for the timing.
      hits: Source of the hits, one of `HITS`. Those of the input keep their pitches. None: the
        input if the model has nothing to add to its hits, both if it adds some drums, else the
        model.

    Raises:
      UserError: For an amount that is not from 0 to 3, or unknown hits.
    """

    timing: float | None = None
    velocity: float | None = None
    hits: str | None = None

    def __post_init__(self) -> None:
        checks.check_numbers(self, checks.AMOUNT, "timing", "velocity")
        if self.hits is not None and self.hits not in HITS:
            raise UserError(f"hits={self.hits!r} must be one of {', '.join(HITS)}")

    def for_model(self, fills_in: FillsIn) -> "Mix":
        """Returns the mix for a model that fills in parts of a groove.

        >>> Playing().for_model(FillsIn(velocities=True, timing=True))
        Mix(timing=1.0, velocity=1.0, hits='input', added=())
        >>> Playing(timing=0.3).for_model(FillsIn(drums=(2,)))
        Mix(timing=0.3, velocity=0.0, hits='both', added=(2,))
        """
        plays_all = not any(fills_in)
        hits = BOTH if fills_in.drums else INPUT
        if plays_all or fills_in.hits:
            hits = MODEL
        return Mix(
            float(plays_all or fills_in.timing) if self.timing is None else self.timing,
            float(plays_all or fills_in.velocities) if self.velocity is None else self.velocity,
            self.hits or hits,
            () if fills_in.hits else fills_in.drums,
        )


class Mix(NamedTuple):
    """The shares of a model's playing in a groove; see `Playing`, which they are derived from.

    >>> Mix(1.0, 1.0, MODEL).is_models
    True

    Attributes:
      timing: Share of the model's timing.
      velocity: Share of the model's velocities.
      hits: Source of the hits.
      added: Numbers of the drums that alone the model may add to those of the input; empty: all.
    """

    timing: float
    velocity: float
    hits: str
    added: tuple[int, ...] = ()

    @property
    def is_models(self) -> bool:
        """True if nothing of the input's own playing is wanted."""
        return (self.timing, self.velocity, self.hits) == (1, 1, MODEL)


def reconstruct(
    model: "ArrayModel",
    sequence: "Piece",
    n: int = 1,
    *,
    playing: Playing | None = None,
    temperature: float = 1.0,
    c_input: np.ndarray | None = None,
    shift: np.ndarray | None = None,
    seed: int | None = None,
    keeps_tempo: bool = True,
) -> "list[NoteSequence]":
    """Returns a drum pattern of any length as the model plays it, at the tempos of the pattern.

    Here bass drum and snare take turns exactly on the beats of four bars, at one velocity. A model
    of two bars plays them: the snare is louder than the bass drum, and some hits come early.

    Hits of the input that are played have the model's velocity and timing even if the model did not
    draw them: those that it expects of them.

    >>> from music_vae import TrainedModel
    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> pattern = NoteSequence(tempos=[{"qpm": 120}], total_time=8.0)
    >>> for beat in range(16):
    ...     pitch, start = (36, 38)[beat % 2], beat / 2
    ...     _ = pattern.notes.add(
    ...         pitch=pitch, velocity=80, start_time=start, end_time=start + 0.1, is_drum=True)
    >>> model = TrainedModel.shipped("groovae_2bar_humanize_mini")
    >>> (played,) = reconstruct(model, pattern, temperature=0.5, seed=0)
    >>> [note.velocity for note in played.notes][:4]
    [122, 127, 120, 127]
    >>> [round(1000 * note.start_time) for note in played.notes][:4]  # milliseconds
    [9, 504, 994, 1499]

    Args:
      model: A model of grooves.
      sequence: The pattern, or a piece with one: a NoteSequence, a PrettyMIDI, or the path of a
        music file. Of a song, the drums are played. Silence is added up to the next bar line.
      n: Number of times that it is played.
      playing: Describes how much of the model's playing is wanted; by default, what it is made to
        fill in.
      temperature: Divides the logits of the hits: near 0 the likeliest hits, above 1 bolder ones.
      c_input: Controls `[T, Dc]` of every window; the pattern's own by default, if there are such.
      shift: `[Z]`, added to the latent vector of every window.
      seed: Seed of the random choices; None: every call differs.
      keeps_tempo: If True, the result has the tempos of the pattern; else it is at 120 quarter
        notes a minute, for what is put together from several parts first.

    Returns:
      `n` sequences without hits before time zero.

    Raises:
      NoExtractedExamplesError: If there is no groove in `sequence`; it says why.
      UserError: If the model is not one of grooves, or cannot mix as `playing` asks for.
    """
    piece = pieces.one("sequence", sequence)
    if isinstance(piece, Tensors):
        raise UserError("`sequence` must be a piece, not Tensors, which are its arrays")
    even, tempo = tempos.steady(as_sequence(piece) if isinstance(piece, Score) else piece)
    _check(model, n, playing)
    converter = model.converter
    mix = _mix(converter, playing)
    if not mix.is_models and not converter.has_numbers:
        raise UserError(f"{model.config.name} has velocities and timing in bins; nothing is mixed")
    even = drum_part.heard(converter, even)
    end = bar_lines.line_after_notes(even, TempoMap.of(even))
    example = _example(converter, _ending_at(end, even, converter.steps_per_quarter))
    encoded = _encoded(model, example, shift, c_input)
    takes = encoded.takes(model, n, temperature, seed)
    if mix.is_models:
        made = bar_lines.decoded(converter, takes)
    else:
        played = converter.groove(converter.dense_outputs(example.outputs))
        grooves = [converter.groove(take) for take in takes]
        if mix.hits != MODEL and (mix.timing or mix.velocity):
            other_seed = None if seed is None else seeds.draw(seeds.generator(seed))
            others = encoded.takes(model, _OTHER_TAKES, _AS_TRAINED, other_seed)
            expected = [converter.groove(take) for take in others]
            grooves = [_with_hits_of(played, groove, expected) for groove in grooves]
        own = None if mix.hits == MODEL else _hits_until(end, even, converter)
        if own is not None:
            played = played._replace(offsets=_reference_offsets(played, own))
        mixed = [_mixed(played, groove, mix) for groove in grooves]
        made = [_until(end, _notes(converter, played, groove, own)) for groove in mixed]
    made = [without_early_hits(notes) for notes in made]
    return tempos.applied(made, tempo) if keeps_tempo else made


def _example(converter: "Converter", sequence: "NoteSequence") -> Example:
    """Returns a whole groove as an example.

    Raises:
      NoExtractedExamplesError: If there is none; it says why.
    """
    extraction = converter.whole().extract(sequence)
    if not extraction.examples:
        reasons = ", ".join(extraction.skipped) or "it has no hits"
        raise NoExtractedExamplesError(f"there is no groove: {reasons}")
    (example,) = extraction.examples
    return example


def _check(model: Any, n: object, playing: object) -> None:
    """Raises `UserError` for a model of other music, and what is no model, number or `Playing`."""
    if not hasattr(model, "decode_to_tensors"):
        text = checks.value_text(model)
        raise UserError(f"`model` must be a model, as `music_vae.load` returns it, not {text}")
    if not model.converter.plays_any_length:
        raise UserError(f"{model.config.name} is not a model of grooves")
    checks.check_number("n", n, checks.COUNT)
    if not (playing is None or isinstance(playing, Playing)):
        raise UserError(f"`playing` must be a Playing, not {checks.value_text(playing)}")


class _Encoded(NamedTuple):
    """A groove that a model has heard.

    Attributes:
      points: Latent vectors `[W, Z]` of its windows.
      controls: Controls of each window, `[T, Dc]`; None: there are none of its own.
      c_input: Controls `[T, Dc]` of every window, which go before those; None: there are none.
      steps: Number of rows of the groove.
    """

    points: np.ndarray
    controls: list[np.ndarray] | None
    c_input: np.ndarray | None
    steps: int

    def takes(
        self, model: "ArrayModel", count: int, temperature: float, seed: int | None
    ) -> list[np.ndarray]:
        """Returns rows `[steps, D]` of the groove as the model plays it several times."""
        told = self.c_input
        if told is None and self.controls is not None:
            told = np.stack(self.controls * count)
        z = np.tile(self.points, (count, 1))
        made = model.decode_to_tensors(
            z, model.config.hparams.max_seq_len, temperature, told, seed=seed
        )
        rows = np.concatenate(made).reshape(count, -1, model.converter.output_depth)
        return list(rows[:, : self.steps])


def _encoded(
    model: "ArrayModel", example: Example, shift: np.ndarray | None, c_input: np.ndarray | None
) -> _Encoded:
    """Encodes the windows of a groove; see `reconstruct`."""
    converter, size = model.converter, model.config.hparams.max_seq_len
    inputs, controls = _windows(converter.dense_inputs(example.inputs), size), None
    if converter.control_depth and example.controls is not None:
        controls = _windows(converter.dense_controls(example.controls), size)
    _, mu, _ = model.encode_tensors(inputs, [size] * len(inputs), controls)
    points = mu if shift is None else mu + arguments.array_of("shift", shift, mu.shape[1:])
    return _Encoded(points, controls, c_input, len(example.outputs))


def without_early_hits(sequence: "NoteSequence") -> "NoteSequence":
    """Returns a copy in which hits that would start before time zero start at zero.

    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> early = NoteSequence(notes=[{"pitch": 36, "start_time": -0.25, "end_time": 0.5}])
    >>> [(note.start_time, note.end_time) for note in without_early_hits(early).notes]
    [(0.0, 0.75)]
    """
    copy = type(sequence)()
    copy.CopyFrom(sequence)
    for note in copy.notes:
        if note.start_time < 0:
            note.end_time -= note.start_time
            note.start_time = 0.0
    return copy


def _ending_at(end: float, sequence: "NoteSequence", steps_per_quarter: int) -> "NoteSequence":
    """Returns a copy in which hits that the last bar line is nearest to belong to the step before.

    Args:
      end: The quarter note of that bar line.
      sequence: The groove.
      steps_per_quarter: Number of steps of a quarter note.
    """
    copy = type(sequence)()
    copy.CopyFrom(sequence)
    latest_s = TempoMap.of(sequence).second_at(end - (0.5 + _HAIR) / steps_per_quarter)
    for note in copy.notes:
        note.start_time = min(note.start_time, latest_s)
    return copy


def _hits_until(end: float, sequence: "NoteSequence", converter: "Converter") -> DrumHits | None:
    """Returns the hits of a groove, of which none is nearest to the bar line that it ends at."""
    own = converter.drum_hits(sequence)
    if own is None:
        return None
    beyond = own.steps >= round(end * converter.steps_per_quarter)
    return own._replace(steps=own.steps - beyond, offsets=own.offsets - 2 * beyond)


def _until(end: float, notes: "NoteSequence") -> "NoteSequence":
    """Returns notes at 120 quarter notes a minute of which none begins or ends after a bar line."""
    copy = type(notes)()
    copy.CopyFrom(notes)
    end_s = end * _SECONDS_PER_MINUTE / DEFAULT_QPM
    last_s = (end - 1 / bar_lines.TICKS_PER_QUARTER) * _SECONDS_PER_MINUTE / DEFAULT_QPM
    for note in copy.notes:
        note.start_time, note.end_time = min(note.start_time, last_s), min(note.end_time, end_s)
    copy.total_time = end_s
    return copy


def _windows(rows: np.ndarray, size: int) -> list[np.ndarray]:
    """Cuts rows `[T, D]` into windows `[size, D]`, the last with zeros at its end."""
    padded = np.pad(rows, ((0, -len(rows) % size), (0, 0)))
    return list(padded.reshape(-1, size, rows.shape[1]))


def _notes(
    converter: "Converter", played: Groove, made: Groove, own: DrumHits | None
) -> "NoteSequence":
    """Returns the notes of a mixed groove, in which hits of the input, if any, are its own notes.

    Where the model hears one hit of several, those of a drum at one step, the others go with it;
    hits of drums that it does not know go with the loudest of their step.
    """
    if own is None:
        return bar_lines.decoded(converter, [converter.groove_outputs(made)])[0]
    added = made.hits & ~played.hits
    rows = converter.groove_outputs(Groove(added, *(part * added for part in made[1:])))
    (notes,) = bar_lines.decoded(converter, [rows])
    loudest = np.argmax(np.where(played.hits, played.velocities, -1), axis=-1)
    steps = np.minimum(own.steps, len(loudest) - 1)  # drums of no class may come later
    places = steps, np.where(own.drums < 0, loudest[steps], own.drums)
    heard = played.hits[places] & (steps == own.steps)
    earlier = np.where(heard, _earlier(played, made, own, places), 0)
    before = np.maximum(played.velocities[places], _SOFTEST)
    louder = np.where(heard & (own.drums >= 0), made.velocities[places] / before, 1)
    velocities = np.round(own.velocities * louder).clip(1, MAX_MIDI_VELOCITY).astype(int)
    moved = own._replace(velocities=velocities, offsets=own.offsets + earlier)
    groove_notes.add_hits(notes, moved, steps_per_quarter=converter.steps_per_quarter)
    notes.notes.sort(key=lambda note: (note.start_time, note.pitch))
    return notes


def _earlier(
    played: Groove, made: Groove, own: DrumHits, places: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Returns by how many half steps `[N]` the model plays each hit of the input earlier.

    A hit of a roll, which has more hits than steps, lies between two that the model hears: it moves
    as they do on either side, so that hits neither fall together nor change their order.
    """
    apart = made.offsets - played.offsets
    ahead = played.offsets[places] - own.offsets  # half steps by which it comes after the one heard
    side = np.sign(ahead).astype(int)
    beside = (places[0] + side).clip(0, len(apart) - 1), places[1]
    between = 2 - side * (played.offsets[beside] - played.offsets[places])
    share = np.where(played.hits[beside], np.abs(ahead) / np.maximum(between, 1), 0).clip(0, 1)
    return (1 - share) * apart[places] + share * apart[beside]


def _mix(converter: "Converter", playing: Playing | None) -> Mix:
    """Returns the mix that is wanted; all of the model's by default where nothing can be mixed."""
    if playing is None and not converter.has_numbers:
        playing = Playing(1.0, 1.0, MODEL)
    return (playing or Playing()).for_model(converter.fills_in)


def _reference_offsets(played: Groove, own: DrumHits) -> np.ndarray:
    """Returns the offsets `[T, drums]` from which a step's hits are moved to the model's.

    Of several hits at a step that is the one nearest to it. If the loudest counted, now the first
    of the two hits that a roll has at a step were moved to the model's time and now the second, and
    hits of different steps fell together. A hit half-way between two steps, which belongs to
    neither, is moved by as much as the model is off the step.
    """
    offsets = played.offsets.copy()
    heard = (own.drums >= 0) & (own.steps < len(offsets))
    nearest_last = np.flatnonzero(heard)[np.argsort(-np.abs(own.offsets[heard]), kind="stable")]
    offsets[own.steps[nearest_last], own.drums[nearest_last]] = own.offsets[nearest_last]
    return np.where(np.abs(offsets) < _HALF_WAY, offsets, 0)


def _with_hits_of(played: Groove, made: Groove, others: Sequence[Groove]) -> Groove:
    """Returns a groove that also plays the hits of the input that the model did not draw.

    Their velocities and offsets are those that the model expects if they are played, E[v | hit] =
    E[v hit] / P(hit). Both are estimated from other takes. `GrooveHead` predicts E[v hit] at every
    step, and `MixtureGrooveHead` gives 0 for a hit that it does not draw, so in both cases the sum
    over takes is divided by the number of them that have the hit. A hit that the model does not
    expect at all stays as the input has it.
    """
    counts = np.maximum(sum(take.hits.astype(int) for take in others), 1)
    velocities = np.clip(sum(take.velocities for take in others) / counts, 0, 1)
    offsets = np.clip(sum(take.offsets for take in others) / counts, -1, 1)
    added = played.hits & ~made.hits & (velocities > 0)
    return Groove(
        made.hits | added,
        np.where(added, velocities, made.velocities),
        np.where(added, offsets, made.offsets),
    )


def _mixed(played: Groove, made: Groove, mix: Mix) -> Groove:
    """Returns the groove between what was played and what the model made.

    A hit that only one of the two has takes its velocity from that one. The same holds for its
    timing, except that a hit which the input does not have keeps time with the loudest hit of the
    input at that step, if there is one: an added hi-hat comes with the bass drum.
    """
    added = made.hits
    if mix.added:
        added = made.hits & np.isin(np.arange(made.hits.shape[-1]), mix.added)
    hits = {MODEL: made.hits, INPUT: played.hits, BOTH: added | played.hits}[mix.hits]
    loudest = np.argmax(np.where(played.hits, played.velocities, -1), axis=-1)[:, None]
    of_step = np.take_along_axis(played.offsets, loudest, axis=-1)
    offsets = np.where(played.hits, played.offsets, of_step)
    in_time = np.broadcast_to(played.hits.any(axis=-1, keepdims=True), hits.shape)
    velocities = _between(played.velocities, made.velocities, played.hits, made.hits, mix.velocity)
    offsets = _between(offsets, made.offsets, in_time, made.hits, mix.timing)
    velocities, offsets = np.clip(velocities, _SOFTEST, 1), np.clip(offsets, -1, 1)
    return Groove(hits, np.where(hits, velocities, 0), np.where(hits, offsets, 0))


def _between(
    own: np.ndarray, new: np.ndarray, has_own: Any, has_new: np.ndarray, amount: float
) -> np.ndarray:
    """Returns `own` for amount 0, `new` for 1, and what lies beyond that for more.

    Where there is only one of them, it is that one.
    """
    mixed = (1 - amount) * own + amount * new
    return np.where(has_own & has_new, mixed, np.where(has_own, own, new))
