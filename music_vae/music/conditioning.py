"""Turns the conditions that a musician writes, such as chord symbols, into a model's controls.

Conditions are chord symbols, a key, or a pattern of drum hits. A model with conditioning reads a
row of controls at every step (see `Converter.controls_from`); `c_input` is these rows, `[T, Dc]`.
"""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from music_vae.common.constants import PITCH_CLASSES, SEMITONES
from music_vae.common.errors import UserError
from music_vae.music.converters.base import Converter
from music_vae.music.converters.controls import checked_chords, encode_chord, is_readable_chord

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

_ACCIDENTALS = {"": 0, "#": 1, "b": -1}


@dataclasses.dataclass(frozen=True)
class Conditions:
    """The conditions that a musician gives; None where none is given.

    >>> Conditions(chords="C G Am F", key="C").chords
    'C G Am F'

    Attributes:
      chords: Chord symbols with spaces between them.
      key: A tonic, as in C, F# or Bb; Bbm is the minor key on it.
      hits: A piece as long as one window, whose drum hits a groove is to have.
    """

    chords: str | None = None
    key: str | None = None
    hits: "NoteSequence | None" = None


def c_inputs(converter: Converter, steps: int, conditions: Conditions) -> list[np.ndarray]:
    """Returns the controls of the music to be made, an array `[T, Dc]` for every window.

    Most music takes one window. It takes several where a window has room for only one chord (with
    several instruments) and several chords are given. Without conditioning there are none.

    >>> from music_vae.music.converters.melody import OneHotMelodyConverter
    >>> converter = OneHotMelodyConverter(slice_bars=1, chord_encoding="triad")
    >>> (controls,) = c_inputs(converter, 16, Conditions(chords="C Am"))
    >>> controls.argmax(axis=1).tolist()  # half a bar of class 1, half a bar of class 22
    [1, 1, 1, 1, 1, 1, 1, 1, 22, 22, 22, 22, 22, 22, 22, 22]

    Args:
      converter: The converter of the model.
      steps: The number of rows T, the config's `max_seq_len`.
      conditions: The conditions; those that the model does not read are ignored.

    Raises:
      UserError: If a condition that the model needs is missing, a chord symbol or key is unknown, a
        chord is no triad, there are more chords than steps, or the hits do not fill exactly one
        window.
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
    """Returns the classes `[N]` of chord symbols with spaces between them.

    >>> chord_classes("C G Am").tolist()
    [1, 8, 22]

    Raises:
      UserError: If there is no symbol, or one is unknown or no triad; it names the first such.
    """
    classes = []
    for symbol in text.split():
        chord = encode_chord(symbol)
        if chord is None and is_readable_chord(symbol):
            raise UserError(
                f"the chord {symbol!r} is not a major, minor, augmented or diminished triad, which "
                "is all that a model knows"
            )
        if chord is None:
            raise UserError(
                f"unknown chord symbol {symbol!r}; expected symbols as in C, F#m, Bb7, G/B or N.C."
            )
        classes.append(chord)
    return checked_chords(np.array(classes))


def key_class(text: str) -> int:
    """Returns the class of a key such as 'F#', 'Bb' or 'Am': the semitones from C to its tonic.

    >>> key_class("Bb"), key_class("Am")
    (10, 9)

    Raises:
      UserError: If the text is not a key.
    """
    name = text.removesuffix("m")
    tonic, accidental = name[:1].upper(), name[1:]
    if tonic not in PITCH_CLASSES or accidental not in _ACCIDENTALS:
        raise UserError(f"unknown key {text!r}; expected one as in C, F#, Bb or Am")
    return (PITCH_CLASSES[tonic] + _ACCIDENTALS[accidental]) % SEMITONES
