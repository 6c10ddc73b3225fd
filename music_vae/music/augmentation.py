"""Augments music: moves it to another key or tempo, drawn anew every time."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from music_vae.common.constants import MAX_MIDI_PITCH, MIN_MIDI_PITCH
from music_vae.common.errors import UserError
from music_vae.music.converters.controls import NO_CHORD_SYMBOL, is_readable_chord
from music_vae.music.converters.score import CHORD_SYMBOL, Score, transposed

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence


@dataclasses.dataclass(frozen=True)
class NoteSequenceAugmenter:
    """Transposes and stretches pieces by random amounts.

    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> middle_c = NoteSequence(notes=[{"pitch": 60, "velocity": 80, "end_time": 1.0}])
    >>> augmenter = NoteSequenceAugmenter(transpose_range=(-2, 2))
    >>> rng = np.random.default_rng(0)
    >>> [augmenter.augment(middle_c, rng).notes[0].pitch for _ in range(8)]
    [62, 61, 60, 59, 59, 58, 58, 58]

    Attributes:
      transpose_range: Lowest and highest number of semitones, both included; None: pieces stay in
        their key.
      stretch_range: Smallest and largest factor on times; None: pieces keep their tempo. Converters
        whose steps follow the tempo give the same arrays for any factor.

    Raises:
      UserError: If a range is not two numbers in ascending order.
    """

    transpose_range: tuple[int, int] | None = None
    stretch_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for name in ("transpose_range", "stretch_range"):
            values = getattr(self, name)
            if values is None:
                continue
            object.__setattr__(self, name, tuple(values))
            if len(values) != 2 or values[0] > values[1]:
                raise UserError(f"{name}={values} is not a range; expected (lowest, highest)")

    def draw_semitones(self, rng: np.random.Generator) -> int:
        """Draws a transposition from the range, each equally likely."""
        low, high = self.transpose_range or (0, 0)
        return int(rng.integers(low, high, endpoint=True))

    def augment(self, sequence: "NoteSequence", rng: np.random.Generator) -> "NoteSequence":
        """Returns a transposed and stretched copy; notes that leave MIDI's range are dropped."""
        copy = transpose(sequence, self.draw_semitones(rng))
        if self.stretch_range is None:
            return copy
        from note_seq import sequences_lib

        factor = float(rng.uniform(*self.stretch_range))
        return sequences_lib.stretch_note_sequence(copy, factor, in_place=True)


def transpose(sequence: "NoteSequence", semitones: int) -> "NoteSequence":
    """Returns a copy that is `semitones` higher; drums and the original stay as they are.

    Notes that leave MIDI's range are dropped. Chord symbols move along; one that cannot be read is
    dropped.

    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> middle_c = NoteSequence(notes=[{"pitch": 60, "velocity": 80, "end_time": 1.0}])
    >>> transpose(middle_c, 7).notes[0].pitch
    67
    """
    from note_seq import sequences_lib

    copy, _ = sequences_lib.transpose_note_sequence(
        _with_readable_chords(sequence), semitones, MIN_MIDI_PITCH, MAX_MIDI_PITCH
    )
    return copy


def transpose_scores(scores: Sequence[Score], semitones: Sequence[int]) -> list[Score]:
    """Returns scores that are higher, each by its own number of semitones; see `transpose`.

    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> from music_vae.music.converters.score import read
    >>> middle_c = read(NoteSequence(notes=[{"pitch": 60, "velocity": 80, "end_time": 1.0}]))
    >>> [score.notes["pitch"].tolist() for score in transpose_scores([middle_c, middle_c], [-1, 7])]
    [[59], [67]]
    """
    chords = [
        [
            chord._replace(symbol=_transpose_chord(chord.symbol, by))
            for chord in score.chords
            if is_readable_chord(chord.symbol)
        ]
        for score, by in zip(scores, semitones, strict=True)
    ]
    return transposed(scores, semitones, chords) if scores else []


def _transpose_chord(symbol: str, semitones: int) -> str:
    from note_seq import chord_symbols_lib

    if symbol == NO_CHORD_SYMBOL:
        return symbol
    return chord_symbols_lib.transpose_chord_symbol(symbol, semitones)


def _with_readable_chords(sequence: "NoteSequence") -> "NoteSequence":
    """Returns the piece, or a copy without the chord symbols that note_seq cannot transpose."""
    kept = [
        text
        for text in sequence.text_annotations
        if text.annotation_type != CHORD_SYMBOL or is_readable_chord(text.text)
    ]
    if len(kept) == len(sequence.text_annotations):
        return sequence
    copy = type(sequence)()
    copy.CopyFrom(sequence)
    del copy.text_annotations[:]
    copy.text_annotations.extend(kept)
    return copy
