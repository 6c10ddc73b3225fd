"""What a model is told, from what a musician writes: chord symbols, a key, or a pattern of hits.

A model with controls reads a row of them at every step (see `converters.controls` and the groove
converter); `c_input` is these rows, `[T, Dc]`.
"""

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from music_vae.common.constants import SEMITONES
from music_vae.common.errors import UserError
from music_vae.configs import Config
from music_vae.music.converters.base import Converter, one_hot
from music_vae.music.converters.controls import (
    CHORD_CLASSES,
    KEY_CLASSES,
    NO_CHORD,
    Harmony,
    encode_chord,
    is_readable_chord,
)
from music_vae.music.converters.groove import GrooveConverter
from music_vae.music.converters.performance import MultiInstrumentPerformanceConverter

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

_TONICS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ACCIDENTALS = {"": 0, "#": 1, "b": -1}


@dataclasses.dataclass(frozen=True)
class Told:
    """What the musician tells a model; None where nothing was said.

    Attributes:
      chords: Chord symbols with spaces between them.
      key: A tonic, as in C, F# or Bb; Bbm is the minor key on it.
      hits: A piece of one window whose hits count; of grooves.
    """

    chords: str | None = None
    key: str | None = None
    hits: "NoteSequence | None" = None


def flags_needed(converter: Converter) -> dict[str, str]:
    """The flags that give what a model is told, each with a word for it; empty without controls."""
    harmony = getattr(converter, "harmony", Harmony(chords=False, keys=False))
    hits = isinstance(converter, GrooveConverter) and converter.hits_as_controls
    known = {
        "chords": (harmony.chords, "the chord of every step, as in --chords='C G Am F'"),
        "key": (harmony.keys, "the key, as in --key=Bb"),
        "control_midi": (hits, "the hits, as in --control_midi=hits.mid"),
    }
    return {flag: text for flag, (needed, text) in known.items() if needed}


def c_inputs(config: Config, told: Told) -> list[np.ndarray]:
    """The controls of what is to be made, `[T, Dc]` with T the config's `max_seq_len`.

    One for every window that the music takes: there are several where a window has one chord (of
    several instruments) and several chords were given; none for a model without controls.

    Raises:
      UserError: For a symbol that is unknown or no triad, a key that is none, more chords than
        steps, or hits that do not fill exactly one window.
    """
    converter: Any = config.data_converter.for_inference()
    steps = config.hparams.max_seq_len
    if isinstance(converter, GrooveConverter):
        found = _groove_controls(converter, told, steps)
        return [] if found is None else [found]
    if not converter.control_depth:
        return []
    if isinstance(converter, MultiInstrumentPerformanceConverter):
        track = converter.max_events_per_instrument
        return [_one_chord(chord, steps, track) for chord in chord_classes(told.chords or "")]
    columns = []
    if converter.harmony.chords:
        columns.append(one_hot(_spread(chord_classes(told.chords or ""), steps), CHORD_CLASSES))
    if converter.harmony.keys:
        columns.append(one_hot(np.full(steps, key_class(told.key or "")), KEY_CLASSES))
    return [np.concatenate(columns, axis=-1).astype(np.float32)]


def extended(converter: Converter, control: np.ndarray, steps: int) -> np.ndarray:
    """A piece's own controls `[T, Dc]` cut or continued to `steps` rows.

    The last chord and key go on; after the last hit nothing is hit.
    """
    control = np.asarray(control, np.float32)[:steps]
    missing = steps - len(control)
    if isinstance(converter, GrooveConverter) or not len(control):
        return np.pad(control, ((0, missing), (0, 0)))
    return np.concatenate([control, np.repeat(control[-1:], missing, axis=0)])


def chord_classes(text: str) -> np.ndarray:
    """The classes of chord symbols with spaces between them, `[N]`.

    Raises:
      UserError: If there is none, or one is unknown or no triad; it names the first such.
    """
    symbols = text.split()
    if not symbols:
        raise UserError("no chord was given; expected chord symbols, as in 'C G Am F'")
    classes = []
    for symbol in symbols:
        found = encode_chord(symbol)
        if found is None and is_readable_chord(symbol):
            raise UserError(
                f"the chord {symbol!r} is not a major, minor, augmented or diminished triad, which "
                "is all that a model knows"
            )
        if found is None:
            raise UserError(
                f"unknown chord symbol {symbol!r}; expected symbols as in C, F#m, Bb7, G/B or N.C."
            )
        classes.append(found)
    return np.array(classes)


def key_class(text: str) -> int:
    """The class of a key, its tonic from C up: of 'C', 'F#', 'Bb' and, in minor, 'Am'.

    Raises:
      UserError: If it is none.
    """
    name = text.removesuffix("m")
    tonic, accidental = name[:1].upper(), name[1:]
    if tonic not in _TONICS or accidental not in _ACCIDENTALS:
        raise UserError(f"unknown key {text!r}; expected one as in C, F#, Bb or Am")
    return (_TONICS[tonic] + _ACCIDENTALS[accidental]) % SEMITONES


def _spread(classes: np.ndarray, steps: int) -> np.ndarray:
    """Chords `[N]` over `[steps]`, each for an equal share of them."""
    if len(classes) > steps:
        raise UserError(f"{len(classes)} chords are more than the {steps} steps of the music")
    return classes[np.arange(steps) * len(classes) // steps]


def _one_chord(chord: int, steps: int, track_steps: int) -> np.ndarray:
    """One chord for a window of tracks: as in training, the first row of each is no chord."""
    classes = np.full(steps, chord)
    classes[::track_steps] = NO_CHORD
    return one_hot(classes, CHORD_CLASSES).astype(np.float32)


def _groove_controls(converter: GrooveConverter, told: Told, steps: int) -> np.ndarray | None:
    if not converter.control_depth:
        return None
    if not converter.hits_as_controls:  # whose turn it is does not depend on the music
        turns = np.eye(converter.num_drums, dtype=np.float32)
        return np.resize(turns, (steps, converter.num_drums))
    if told.hits is None:
        raise UserError("no hits were given; expected a piece whose hits count")
    controls = converter.to_tensors(told.hits).controls
    if len(controls) != 1:
        raise UserError(f"the hits fill {len(controls)} windows; expected one")
    return extended(converter, controls[0], steps)
