"""Encodes harmony as controls: the chord, the key, or both, at every step.

A chord is one of 49 classes: 0 'no chord', then major, minor, augmented and diminished triads, each
on the 12 roots from C up; a chord of more notes counts as its triad (Dm7 as Dm). A key is one of 12
classes, its tonic from C up. Both are read from a piece's chord symbols and key signatures, or
inferred from its notes where there are none.

The compact form is int16: `[T]` for chords or keys alone, `[T, 2]` (chord, key) for both. Dense,
the columns of the chords come first.
"""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from music_vae.common.batches import OneHot
from music_vae.common.constants import SEMITONES
from music_vae.common.errors import UserError
from music_vae.music.converters.base import Conditioning
from music_vae.music.converters.chord_inference import infer_chords
from music_vae.music.converters.compact import one_hot
from music_vae.music.converters.grid import Grid
from music_vae.music.converters.score import Chord, Key, Score
from music_vae.music.converters.sections import sections

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

TRIADS = "triad"
"""The chord encoding of 49 classes, the only one."""

NO_CHORD = 0
CHORD_CLASSES = 1 + 4 * SEMITONES
KEY_CLASSES = SEMITONES

NO_CHORD_SYMBOL = "N.C."
_NOT_A_TRIAD = -2  # stands for a symbol without a class


def check_chord_encoding(value: Any) -> str | None:
    """Returns the chord encoding as a plain value: `TRIADS`, or None for no chords.

    Args:
      value: That value, or a `note_seq.TriadChordOneHotEncoding()`.

    Raises:
      UserError: If it is something else.

    >>> from note_seq import TriadChordOneHotEncoding
    >>> check_chord_encoding(TriadChordOneHotEncoding())
    'triad'
    """
    if value is None or value == TRIADS:
        return value
    if type(value).__name__ == "TriadChordOneHotEncoding":
        return TRIADS
    raise UserError(
        f"chord_encoding must be {TRIADS!r} or None, not "
        f"{value if isinstance(value, str) else type(value).__name__!r}"
    )


class HarmonyTrack:
    """The harmony of one section at every step; the last chord and key go on for ever.

    >>> track = HarmonyTrack(["C", "C", "G7", "G7"], keys=None)
    >>> track.encode(track.at(np.array([0, 1, 2, 3, 4])), Counter()).tolist()
    [1, 1, 8, 8, 8]
    """

    def __init__(
        self, symbols: Sequence[str] | None, keys: Sequence[tuple[float, int]] | None
    ) -> None:
        """Encodes the harmony.

        Args:
          symbols: Chord symbol of every step, at least one; None without chords.
          keys: Pairs of a step (not rounded) and the key that begins at it, at least one and in
            ascending order; None without keys. The first key counts before its step, too.
        """
        self._symbols, self._chords = np.unique(symbols or [], return_inverse=True)
        self._classes = np.array([_class_or_none(str(s)) for s in self._symbols], np.int16)
        self._key_starts = np.array([start for start, _ in keys or ()])
        self._keys = np.array([key for _, key in keys or ()], np.int16)

    def at(self, steps: np.ndarray) -> np.ndarray:
        """Returns the harmony at `steps` `[T]`: int16 `[T, C]`, columns for the chord and the key.

        A chord is given as the number of its symbol; `encode` turns it into controls.
        """
        columns = []
        if len(self._chords):
            columns.append(self._chords[np.minimum(steps, len(self._chords) - 1)])
        if len(self._keys):
            current = np.searchsorted(self._key_starts, steps, side="right") - 1
            columns.append(self._keys[np.maximum(current, 0)])
        return np.stack(columns, axis=-1).astype(np.int16)

    def encode(self, harmony: np.ndarray, skipped: Counter[str]) -> np.ndarray | None:
        """Turns rows of `at` into compact controls; None, with a reason, if a chord is no triad."""
        encoded = harmony
        if len(self._chords):
            encoded = harmony.copy()
            encoded[:, 0] = self._classes[harmony[:, 0]]
            unknown = np.flatnonzero(encoded[:, 0] == _NOT_A_TRIAD)
            if len(unknown):
                symbol = self._symbols[harmony[unknown[0], 0]]
                skipped[f"the chord '{symbol}' is not a triad"] += 1
                return None
        return encoded[:, 0] if encoded.shape[1] == 1 else encoded


@dataclasses.dataclass(frozen=True)
class Harmony:
    """The harmony that a model is conditioned on, and the way from music to controls and back.

    Attributes:
      chords: True if the model is conditioned on the chord.
      keys: True if the model is conditioned on the key.

    Four steps with two chords in C major, as class numbers of chord and key at each step:

    >>> harmony = Harmony(chords=True, keys=True)
    >>> chords = np.array([encode_chord("C"), encode_chord("G")])
    >>> controls = harmony.controls_from(4, chords, key=0)
    >>> controls.shape, decode_chords(controls[:, :CHORD_CLASSES].argmax(axis=-1))
    ((4, 61), ['C', 'C', 'G', 'G'])
    """

    chords: bool
    keys: bool

    @property
    def depth(self) -> int:
        """Number of columns of dense controls; 0 without chords and keys."""
        return CHORD_CLASSES * self.chords + KEY_CLASSES * self.keys

    @property
    def compact(self) -> OneHot:
        """A description of how `dense` works, as plain values."""
        depths = (CHORD_CLASSES,) * self.chords + (KEY_CLASSES,) * self.keys
        return OneHot(depths)

    @property
    def conditioning(self) -> Conditioning:
        """The conditions that a musician gives."""
        return Conditioning(chords=self.chords, key=self.keys)

    def is_written(self, score: Score) -> bool:
        """Returns True if `score` itself has the harmony, so that nothing has to be inferred."""
        return (not self.chords or bool(score.chords)) and (not self.keys or bool(score.keys))

    def is_written_throughout(self, score: Score, steps_per_quarter: int) -> bool:
        """Returns True if every section of `score` of one metre and tempo has the harmony."""
        if not self.depth:
            return True
        (parts,) = sections(
            [score],
            [Counter()],
            steps_per_quarter=steps_per_quarter,
            split_on_time_changes=True,
        )
        return all(self.is_written(part) for part in parts)

    def moves_with(self, score: Score, steps_per_quarter: int) -> bool:
        """Returns True if the harmony of `score`, transposed, is that of the transposed score.

        That does not hold for inferred harmony, because ties are resolved otherwise for transposed
        notes, and not for a chord symbol that cannot be read, because transposition drops it.
        """
        if not self.depth:
            return True
        readable = not self.chords or all(is_readable_chord(chord.symbol) for chord in score.chords)
        return readable and self.is_written_throughout(score, steps_per_quarter)

    def complete(self, grid: Grid, skipped: Counter[str]) -> Grid | None:
        """Infers the harmony of a section that has none, or not all that is needed.

        Two chords a bar are inferred from the notes (one in 2/4, 3/4 and 2/2); inferred keys
        replace written ones. Each takes a millisecond or two.

        Args:
          grid: A quantised section of one metre and tempo.
          skipped: Counter of the reasons for which nothing can be inferred.

        Returns:
          `grid`, or a copy with inferred harmony; or None, with a reason.
        """
        section = grid.section
        if self.is_written(section):
            return grid
        if section.chords:  # as in note_seq, keys come with chords only
            skipped["chord symbols but no key signature"] += 1
            return None
        frames = infer_chords(grid)
        if isinstance(frames, str):
            skipped[frames] += 1
            return None
        keys: list[Key] = []
        chords: list[Chord] = []
        for frame in frames:
            if not keys or frame.key != keys[-1].key:
                keys.append(Key(frame.time_s, frame.key))
            if not chords or frame.symbol != chords[-1].symbol:
                chords.append(Chord(frame.time_s, frame.symbol))
        inferred = section._replace(keys=keys if self.keys else section.keys, chords=chords)
        return grid._replace(section=inferred)

    def read(self, grid: Grid, skipped: Counter[str]) -> HarmonyTrack | None:
        """Returns the harmony of a quantised section, written or inferred (see `complete`)."""
        complete = self.complete(grid, skipped)
        return None if complete is None else self.read_written(complete, skipped)

    def read_written(self, grid: Grid, skipped: Counter[str]) -> HarmonyTrack | None:
        """Returns the harmony that is written in a quantised section, or None with a reason.

        Before its first chord symbol there is no chord. If the model is conditioned on keys, the
        section needs a key signature; the first one counts before its time, too.
        """
        symbols = keys = None
        if self.chords:
            symbols = _chord_symbols(grid, skipped)
            if symbols is None:
                return None
        if self.keys:
            steps_per_s = grid.steps_per_second
            keys = sorted((steps_per_s * key.time_s, key.key) for key in grid.section.keys)
        return HarmonyTrack(symbols, keys)

    def dense(self, controls: np.ndarray) -> np.ndarray:
        """Makes compact controls dense, boolean `[..., T, depth]`; `PAD` steps become zeros."""
        if self.chords and self.keys:
            both = one_hot(controls[..., 0], CHORD_CLASSES), one_hot(controls[..., 1], KEY_CLASSES)
            return np.concatenate(both, axis=-1)
        return one_hot(controls, self.depth)

    def controls_from(self, steps: int, chords: np.ndarray | None, key: int | None) -> np.ndarray:
        """Returns the dense controls of music to be made, float32 `[steps, depth]`.

        Args:
          steps: Number of rows.
          chords: Classes of chords `[N]`, each for an equal share of the steps.
          key: Class of the key.

        Raises:
          UserError: If the chords or the key are missing, or there are more chords than steps.
        """
        columns = []
        if self.chords:
            columns.append(_spread(checked_chords(chords), steps))
        if self.keys:
            if key is None:
                raise UserError("no key was given; expected one as in C, F#, Bb or Am")
            columns.append(np.full(steps, key))
        compact = np.stack(columns, axis=-1) if len(columns) > 1 else columns[0]
        return self.dense(compact).astype(np.float32)

    def transpose(self, controls: np.ndarray, semitones: int | np.ndarray) -> np.ndarray:
        """Returns the compact controls of the same music in another key; `PAD` stays.

        Args:
          controls: Compact controls `[..., T]`, or `[..., T, 2]` for both chords and keys.
          semitones: Number of semitones up; broadcast against `[..., T]`.
        """
        if self.chords and self.keys:
            moved = (
                _transpose_chords(controls[..., 0], semitones),
                _transpose_keys(controls[..., 1], semitones),
            )
            return np.stack(moved, axis=-1)
        return (_transpose_chords if self.chords else _transpose_keys)(controls, semitones)

    def annotate(
        self, sequence: "NoteSequence", controls: np.ndarray, times_s: Sequence[float]
    ) -> "NoteSequence":
        """Returns a copy of `sequence` with a chord symbol or key signature wherever one changes.

        Args:
          sequence: A sequence without chord symbols and key signatures.
          controls: Dense controls `[T, depth]`, or logits of them; a row of zeros is no chord.
          times_s: Time of each row in seconds, in ascending order. Rows without a time, and times
            without a row, do not count.

        Raises:
          UserError: If `controls` has another depth.
        """
        from note_seq import chords_lib

        controls = np.asarray(controls)
        if controls.ndim != 2 or controls.shape[1] != self.depth:
            raise UserError(
                f"controls must be of shape [steps, {self.depth}], not {list(controls.shape)}"
            )
        annotated = type(sequence)()
        annotated.CopyFrom(sequence)
        rows = min(len(controls), len(times_s))
        if self.chords:
            symbols = decode_chords(np.argmax(controls[:rows, :CHORD_CLASSES], axis=-1))
            chords_lib.add_chords_to_sequence(annotated, symbols, times_s[:rows])
        if self.keys:
            keys = np.argmax(controls[:rows, -KEY_CLASSES:], axis=-1).tolist()
            chords_lib.add_keys_to_sequence(annotated, keys, times_s[:rows])
        return annotated


def is_readable_chord(symbol: str) -> bool:
    """Returns True if note_seq can read a chord symbol, and so transpose it.

    >>> is_readable_chord("Bbm7"), is_readable_chord("H")
    (True, False)
    """
    from note_seq import chord_symbols_lib

    if symbol == NO_CHORD_SYMBOL:
        return True
    try:
        chord_symbols_lib.transpose_chord_symbol(symbol, 1)
    except chord_symbols_lib.ChordSymbolError:
        return False
    return True


def encode_chord(symbol: str) -> int | None:
    """Returns the class of a chord symbol such as 'Am', 'G7/B' or 'N.C.'; None if it is no triad.

    >>> [encode_chord(symbol) for symbol in ("N.C.", "C", "Am", "G7/B", "Csus4")]
    [0, 1, 22, 8, None]
    """
    from note_seq import TriadChordOneHotEncoding, chord_symbols_lib
    from note_seq.chords_encoder_decoder import ChordEncodingError

    try:
        return TriadChordOneHotEncoding().encode_event(symbol)
    except (chord_symbols_lib.ChordSymbolError, ChordEncodingError):
        return None


def decode_chords(classes: np.ndarray) -> list[str]:
    """Returns the chord symbols of classes `[T]`, as the inverse of `encode_chord` for triads.

    >>> decode_chords(np.array([0, 1, 22]))
    ['N.C.', 'C', 'Am']
    """
    from note_seq import TriadChordOneHotEncoding

    decode = TriadChordOneHotEncoding().decode_event
    return [decode(index) for index in classes.tolist()]


def checked_chords(classes: np.ndarray | None) -> np.ndarray:
    """Returns classes of chords `[N]` as they are; raises `UserError` if there are none.

    >>> checked_chords(None)
    Traceback (most recent call last):
    music_vae.common.errors.UserError: no chord was given; expected chord symbols, as in 'C G Am F'
    """
    if classes is None or not len(classes):
        raise UserError("no chord was given; expected chord symbols, as in 'C G Am F'")
    return classes


def _spread(classes: np.ndarray, steps: int) -> np.ndarray:
    """Spreads chords `[N]` over `[steps]`, each over an equal share of them."""
    if len(classes) > steps:
        raise UserError(f"{len(classes)} chords are more than the {steps} steps of the music")
    return classes[np.arange(steps) * len(classes) // steps]


def _class_or_none(symbol: str) -> int:
    encoded = encode_chord(symbol)
    return _NOT_A_TRIAD if encoded is None else encoded


def _chord_symbols(grid: Grid, skipped: Counter[str]) -> list[str] | None:
    """Returns the symbol at every step of a section, at least one; None if two share a step."""
    total_steps = max(1, grid.total_steps)
    written = [chord.symbol for chord in grid.section.chords]
    symbols: list[str] = []
    begun, now = -1, NO_CHORD_SYMBOL
    for step, symbol in sorted(zip(grid.chord_steps, written, strict=True), key=itemgetter(0)):
        if step >= total_steps:
            break
        if step == begun and symbol != now:
            skipped["two chord symbols at one step"] += 1
            return None
        symbols += [now] * (step - len(symbols))
        begun, now = step, symbol
    return symbols + [now] * (total_steps - len(symbols))


def _transpose_chords(classes: np.ndarray, semitones: int | np.ndarray) -> np.ndarray:
    root = (classes - 1) % SEMITONES
    moved = classes - root + (root + semitones) % SEMITONES
    return np.where(classes > NO_CHORD, moved, classes).astype(classes.dtype)


def _transpose_keys(keys: np.ndarray, semitones: int | np.ndarray) -> np.ndarray:
    return np.where(keys >= 0, (keys + semitones) % SEMITONES, keys).astype(keys.dtype)
