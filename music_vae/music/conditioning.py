"""What a model is conditioned on, as a musician writes it: chord symbols, a key, a pattern of hits.

A model with controls reads a row of them at every step (see `Converter.controls_from`); `c_input`
is these rows, `[T, Dc]`.
"""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from music_vae.common.constants import SEMITONES
from music_vae.common.errors import UserError
from music_vae.music.converters.base import Converter
from music_vae.music.converters.controls import checked_chords, encode_chord, is_readable_chord

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

_TONICS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ACCIDENTALS = {"": 0, "#": 1, "b": -1}


@dataclasses.dataclass(frozen=True)
class Conditions:
    """What a musician asks of a model with controls; None where nothing is said.

    Attributes:
      chords: Chord symbols with spaces between them.
      key: A tonic, as in C, F# or Bb; Bbm is the minor key on it.
      hits: A piece of one window whose hits count; of grooves.
    """

    chords: str | None = None
    key: str | None = None
    hits: "NoteSequence | None" = None


def c_inputs(converter: Converter, steps: int, conditions: Conditions) -> list[np.ndarray]:
    """The controls of music to be made, `[T, Dc]` each.

    One for every window that the music takes: there are several where a window has one chord (of
    several instruments) and several chords were given; none for a model without controls.

    Args:
      converter: The model's.
      steps: T, the config's `max_seq_len`.
      conditions: What is asked for; what the model does not read is left out.

    Raises:
      UserError: For a symbol that is unknown or no triad, a key that is none, more chords than
        steps, or hits that do not fill exactly one window; or if something is missing.
    """
    converter = converter.for_inference()
    chords, key, needed = conditions.chords, conditions.key, converter.conditioning
    return converter.controls_from(
        steps,
        chords=chord_classes(chords) if needed.chords and chords is not None else None,
        key=key_class(key) if needed.key and key is not None else None,
        hits=conditions.hits,
    )


def chord_classes(text: str) -> np.ndarray:
    """The classes of chord symbols with spaces between them, `[N]`.

    >>> chord_classes("C G Am").tolist()
    [1, 8, 22]

    Raises:
      UserError: If there is none, or one is unknown or no triad; it names the first such.
    """
    classes = []
    for symbol in text.split():
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
    return checked_chords(np.array(classes))


def key_class(text: str) -> int:
    """The class of a key, its tonic from C up: of 'C', 'F#', 'Bb' and, in minor, 'Am'.

    >>> key_class("Bb"), key_class("Am")
    (10, 9)

    Raises:
      UserError: If it is none.
    """
    name = text.removesuffix("m")
    tonic, accidental = name[:1].upper(), name[1:]
    if tonic not in _TONICS or accidental not in _ACCIDENTALS:
        raise UserError(f"unknown key {text!r}; expected one as in C, F#, Bb or Am")
    return (_TONICS[tonic] + _ACCIDENTALS[accidental]) % SEMITONES
