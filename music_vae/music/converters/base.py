"""Defines `Converter`, the contract between music and arrays.

A converter works in two stages. `extract` finds the windows of a NoteSequence and returns each as
a compact `Example`: token indices or bit masks, a few bytes a step, which are cached, shuffled and
transposed. `dense_inputs`, `dense_outputs` and `dense_controls` turn compact arrays of any leading
shape, padding included, into the arrays that a model reads. `to_tensors` does both at once.
"""

import abc
import dataclasses
import itertools
import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from music_vae.common.batches import Compact
from music_vae.common.errors import UserError
from music_vae.music.symbols import DrumHits, FillsIn, Groove, Melody, Voice

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

    from music_vae.music.converters.score import Score


class Example(NamedTuple):
    """One window of music in compact form; the arrays share their first axis, T steps.

    Attributes:
      inputs: Inputs of the encoder, `[T]` or `[T, ...]`.
      outputs: Targets of the decoder, `[T]` or `[T, ...]`.
      controls: Conditions of both, `[T]` or `[T, ...]`; None for a converter without controls.
      length: Number of valid steps: an int32 scalar, or `[S]` for S segments (see `length_shape`).

    A C and a D of four sixteenths each, as classes of `OneHotMelodyConverter`, of which 0 says that
    nothing new happens:

    >>> melody = np.array([41, 0, 0, 0, 43, 0, 0, 0], np.int16)
    >>> Example(inputs=melody, outputs=melody, controls=None, length=np.int32(8)).inputs
    array([41,  0,  0,  0, 43,  0,  0,  0], dtype=int16)
    """

    inputs: np.ndarray
    outputs: np.ndarray
    controls: np.ndarray | None
    length: np.ndarray


@dataclasses.dataclass
class Extraction:
    """The examples of one sequence, and the reasons for which the rest of it gave none.

    Attributes:
      examples: The examples, in a stable order.
      skipped: How often music was left out for each reason.
      qpms: Tempo of each example, in quarter notes a minute; empty if a converter does not say it.

    >>> extraction = Extraction()
    >>> extraction.skipped["time signature 3/4"] += 1
    >>> extraction
    Extraction(examples=[], skipped=Counter({'time signature 3/4': 1}), qpms=[])
    """

    examples: list[Example] = dataclasses.field(default_factory=list)
    skipped: Counter[str] = dataclasses.field(default_factory=Counter)
    qpms: list[float] = dataclasses.field(default_factory=list)

    def add(self, examples: Sequence[Example], qpm: float) -> None:
        """Adds examples of a section of one tempo.

        >>> melody = np.array([41, 0, 0, 0], np.int16)
        >>> extraction = Extraction()
        >>> extraction.add([Example(melody, melody, None, np.int32(4))], qpm=96.0)
        >>> len(extraction.examples), extraction.qpms
        (1, [96.0])
        """
        self.examples += examples
        self.qpms += [qpm] * len(examples)


class Tensors(NamedTuple):
    """The examples of one sequence as dense arrays: the first four lists have equal lengths.

    Attributes:
      inputs: Arrays `[T, input_depth]`.
      outputs: Arrays `[T, output_depth]`.
      controls: Arrays `[T, control_depth]` (`[T, 0]` without controls).
      lengths: int32 arrays, each of the converter's `length_shape`.
      skipped: How often music was left out for each reason.
      qpms: Tempos as in `Extraction`.

    >>> from music_vae.music.converters.melody import OneHotMelodyConverter
    >>> from music_vae.music.notes_io import read_music_file
    >>> (tune,) = read_music_file("examples/tunes/soldiers_joy.mid")
    >>> tensors = OneHotMelodyConverter(slice_bars=2).to_tensors(tune)
    >>> len(tensors.inputs), tensors.inputs[0].shape
    (16, (32, 90))
    """

    inputs: list[np.ndarray]
    outputs: list[np.ndarray]
    controls: list[np.ndarray]
    lengths: list[np.ndarray]
    skipped: Counter[str]
    qpms: Sequence[float] = ()


@dataclasses.dataclass(frozen=True)
class Conditioning:
    """The conditions that a model needs from a musician; see `Converter.controls_from`.

    Attributes:
      chords: True if the controls say the chord of every step.
      key: True if the controls say the key.
      hits: True if the controls say which drums are hit.

    >>> Conditioning(chords=True, key=True).names
    ('chords', 'key')
    """

    chords: bool = False
    key: bool = False
    hits: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The conditions that are needed: some of 'chords', 'key' and 'hits'."""
        return tuple(name for name, needed in dataclasses.asdict(self).items() if needed)


@dataclasses.dataclass(frozen=True)
class Converter(abc.ABC):
    """A representation of music: frozen settings, and the way from notes to arrays and back.

    It also answers what the rest of the package asks about the music: how long a window is, which
    symbols a step can have, which conditions there are. The answers given here hold for music of
    one class a step, without conditions; other representations override them.

    `steps_per_quarter` and `quarters_per_bar` are fields of every converter, with defaults.

    >>> from music_vae.music.converters.melody import OneHotMelodyConverter
    >>> converter: Converter = OneHotMelodyConverter(slice_bars=2, chord_encoding="triad")
    >>> converter.describe()
    'melody, 2 bars, conditioned on chords'
    >>> converter.window_steps, converter.input_depth, converter.control_depth
    (32, 90, 49)
    """

    # -- Time -------------------------------------------------------------------------------------

    @property
    @abc.abstractmethod
    def steps_per_quarter(self) -> int:
        """Number of steps in a quarter note."""

    @property
    @abc.abstractmethod
    def quarters_per_bar(self) -> int:
        """Number of quarter notes in a bar."""

    @property
    def steps_per_bar(self) -> int:
        """Number of steps in a bar."""
        return self.steps_per_quarter * self.quarters_per_bar

    @property
    def window_bars(self) -> int | None:
        """Length of an example in bars; None if an example is as long as the music."""
        return None

    @property
    def window_steps(self) -> int | None:
        """Number of rows T of an example, an end token included; None as for `window_bars`."""
        if self.window_bars is None:
            return None
        return self.window_bars * self.steps_per_bar + (self.end_token is not None)

    def bars_of(self, steps: int) -> int:
        """Returns how many bars `steps` rows of arrays last, rounded up."""
        return math.ceil((steps - (self.end_token is not None)) / self.steps_per_bar)

    # -- Arrays -----------------------------------------------------------------------------------

    @property
    @abc.abstractmethod
    def input_depth(self) -> int:
        """Width of a step of `inputs`."""

    @property
    @abc.abstractmethod
    def output_depth(self) -> int:
        """Width of a step of `outputs`."""

    @property
    def input_one_hots(self) -> tuple[int, ...]:
        """Depths of the one-hot vectors that make up a step of `inputs`; empty for other inputs."""
        return ()

    @property
    def control_depth(self) -> int:
        """Width of a step of `controls`; 0 without controls."""
        return 0

    @property
    def end_token(self) -> int | None:
        """The output class that ends a sample, or None where samples have a fixed length."""
        return None

    @property
    def length_shape(self) -> tuple[int, ...]:
        """Shape of an example's `length`: `()`, or `(S,)` for S segments."""
        return ()

    @property
    def max_tensors_per_notesequence(self) -> int | None:
        """Number of examples of one sequence to use, see `data.limit`; None for all."""
        return None

    @abc.abstractmethod
    def extract(self, sequence: "NoteSequence | Score") -> Extraction:
        """Finds all examples of `sequence`, compact and in a stable order.

        Melodies and drums keep equal windows of a section once; the other converters keep all.

        The sequence is not changed. Music that cannot be represented is counted in `skipped` under
        a short reason; nothing is raised for it.
        """

    def extract_all(self, sequences: Sequence["NoteSequence | Score"]) -> list[Extraction]:
        """Does for each sequence what `extract` does; for many at once this can take less time."""
        return [self.extract(sequence) for sequence in sequences]

    @abc.abstractmethod
    def dense_inputs(self, inputs: np.ndarray) -> np.ndarray:
        """Makes compact inputs `[..., T]` dense, `[..., T, input_depth]`; `PAD` becomes zeros."""

    @abc.abstractmethod
    def dense_outputs(self, outputs: np.ndarray) -> np.ndarray:
        """Makes compact outputs `[..., T]` dense, `[..., T, output_depth]`; `PAD` becomes zeros."""

    def dense_controls(self, controls: np.ndarray) -> np.ndarray:
        """Makes compact controls `[..., T]` dense, `[..., T, control_depth]`, `PAD` zeros."""
        return np.zeros((*controls.shape, 0), bool)

    @property
    def drums_in_mask(self) -> int:
        """Number of drums in the bit mask of a compact step; 0 if a step is no bit mask."""
        return 0

    @property
    def compact(self) -> Compact | None:
        """A description of `dense_inputs`, `dense_outputs` and `dense_controls` as plain values.

        With it, a device can make compact batches dense itself. None, the default, if such values
        cannot describe them.
        """
        return None

    @abc.abstractmethod
    def from_tensors(self, samples: Any, controls: Any = None) -> list["NoteSequence"]:
        """Decodes dense outputs to notes.

        Args:
          samples: Arrays `[T, output_depth]`, one for each sequence to make.
          controls: Arrays `[T, control_depth]`, one for each sample, or None.

        Returns:
          One NoteSequence for each sample.
        """

    def transpose(self, example: Example, semitones: int | np.ndarray) -> Example | None:
        """Returns the example that the same music gives when it is transposed, or None.

        None means that the representation does not allow this short cut: the notes themselves have
        to be transposed and converted again. `transposable_range` says for which transpositions of
        a sequence the short cut is exact.

        Args:
          example: An example, or several of them stacked: arrays `[N, T, ...]`, padded.
          semitones: Number of semitones up; for stacked examples one number for each, `[N]`.
        """
        del example, semitones
        return None

    def transposable_range(self, sequence: "NoteSequence | Score") -> tuple[int, int]:
        """Returns the lowest and highest transposition for which `transpose` is exact."""
        del sequence
        return 0, 0

    def corrupt(self, example: Example, rng: np.random.Generator) -> Example:
        """Returns the example as a model sees it in one epoch of training; unchanged by default.

        A representation can draw its inputs and controls anew in every epoch; outputs and length
        stay as they are. Several examples can be stacked, as for `transpose`.
        """
        del rng
        return example

    def for_inference(self) -> "Converter":
        """Returns the converter for music that was not recorded for training; itself by default."""
        return self

    # -- Pieces that somebody hands over ----------------------------------------------------------

    @property
    def pitches(self) -> frozenset[int] | None:
        """The MIDI pitches that are read, as of a kit; None if that depends on the instrument."""
        return frozenset(itertools.chain.from_iterable(self.kit)) or None

    @property
    def kit(self) -> tuple[tuple[int, ...], ...]:
        """The MIDI pitches of each drum, the one it is played with first; empty without drums."""
        return ()

    def window(self, score: "Score") -> Extraction:
        """Returns the example of music that is as long as a window, silent bars included.

        `extract` looks for windows in music for training: it leaves out rare instruments, and
        silence at either end is in no window. This takes all of a window that a user chose.

        Args:
          score: The music, on one metre and tempo, of one instrument where windows have one.

        Returns:
          One example, or none with the reason. By default what `extract` finds.
        """
        return self.extract(score)

    # -- Symbols: what is compared, step by step --------------------------------------------------

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts, each of which has a symbol at a step; empty if there is one part."""
        return ()

    @property
    def num_symbols(self) -> tuple[int, ...]:
        """Number of different symbols in each part."""
        return (self.output_depth,)

    def symbols(self, outputs: np.ndarray) -> np.ndarray:
        """Returns the symbols of dense outputs `[..., T, output_depth]`, samples or logits.

        Returns:
          Whole numbers `[..., T]`, or `[..., T, P]` for P parts: the likeliest class by default.
        """
        return np.argmax(np.asarray(outputs), axis=-1)

    def without_key(self, symbols: np.ndarray) -> np.ndarray:
        """Returns int64 symbols that are equal for the same music, transposed or not.

        Args:
          symbols: Symbols `[T]` or `[T, P]` without padding.
        """
        return np.array(symbols, np.int64)

    def window_key(self, symbols: np.ndarray) -> bytes:
        """Returns a key that is equal for windows of the same music, transposed or not.

        Args:
          symbols: Symbols `[T]` or `[T, P]` without padding.
        """
        return self.without_key(symbols).tobytes()

    # -- Melodies, hits and grooves of outputs ----------------------------------------------------

    @property
    def has_melody(self) -> bool:
        """True if outputs are one voice, see `melody`."""
        return False

    def melody(self, outputs: np.ndarray) -> Melody:
        """Returns the notes of dense outputs `[T, output_depth]`, up to the first end token.

        Raises:
          UserError: If the representation has no such notes.
        """
        del outputs
        raise self._lacks("single voice")

    @property
    def has_hits(self) -> bool:
        """True if outputs are drums that are hit or not, see `hits`."""
        return False

    @property
    def reads_taps(self) -> bool:
        """True if inputs are a rhythm alone, whatever drums it is played on."""
        return False

    def hits(self, outputs: np.ndarray) -> np.ndarray:
        """Returns the hits of dense outputs, booleans `[T, drums]`, up to the first end token.

        Raises:
          UserError: If the representation has no drums, or others beside them.
        """
        del outputs
        raise self._lacks("hits of drums alone")

    def drum_hits(self, sequence: "NoteSequence | Score") -> DrumHits:
        """Returns every hit of a piece with its own pitch, one by one.

        Raises:
          UserError: If the representation is not one of grooves.
        """
        del sequence
        raise self._lacks("hits of single drums")

    @property
    def has_bins(self) -> bool:
        """True if velocities and timing are classes, each of which is a bin of values."""
        return False

    @property
    def has_numbers(self) -> bool:
        """True if outputs are hits, velocities and offsets as numbers, see `groove`."""
        return False

    def groove(self, outputs: np.ndarray) -> Groove:
        """Returns the hits, velocities and offsets of dense outputs `[T, output_depth]`.

        Raises:
          UserError: If `has_numbers` is false.
        """
        del outputs
        raise self._lacks("velocities and timing as numbers")

    def groove_outputs(self, groove: Groove) -> np.ndarray:
        """Returns the dense outputs of a groove, float64 `[T, output_depth]`.

        It is the inverse of the method `groove`.

        Raises:
          UserError: If `has_numbers` is false.
        """
        del groove
        raise self._lacks("velocities and timing as numbers")

    def voices(self, outputs: np.ndarray) -> list[tuple[str, Voice]]:
        """Returns the voices of dense outputs `[T, output_depth]`, each with its name.

        Instruments of one kind have one name.

        Raises:
          UserError: If the representation has no such voices.
        """
        del outputs
        raise self._lacks("voices of notes or drums")

    @property
    def fills_in(self) -> FillsIn:
        """Parts of a groove that inputs lack; by default they are complete."""
        return FillsIn()

    @property
    def plays_any_length(self) -> bool:
        """True if music of any length can pass a model window by window, as grooves do."""
        return False

    def whole(self) -> "Converter":
        """Returns the converter that makes one example of a whole piece.

        Raises:
          UserError: If `plays_any_length` is false.
        """
        raise self._lacks("windows that can simply be joined")

    def _lacks(self, what: str) -> UserError:
        return UserError(f"this music ({self.describe()}) has no {what}")

    # -- Conditioning -----------------------------------------------------------------------------

    @property
    def conditioning(self) -> Conditioning:
        """The conditions that a musician gives."""
        return Conditioning()

    def controls_from(
        self,
        steps: int,
        *,
        chords: np.ndarray | None = None,
        key: int | None = None,
        hits: "NoteSequence | None" = None,
    ) -> list[np.ndarray]:
        """Returns the dense controls of music to be made, float32 `[steps, control_depth]`.

        Args:
          steps: Number of rows; for windows of a fixed length `window_steps`.
          chords: Classes of chords `[N]` in their order, at least one; see `converters.controls`.
          key: Class of the key.
          hits: Piece of one window, of which the hits alone count.

        Returns:
          One array for every window of the music: several if a window has one chord and several
          chords are given; none for a representation without controls.

        Raises:
          UserError: If a condition is missing that `conditioning` names, or cannot be met.
        """
        del steps, chords, key, hits
        return []

    def extended_controls(self, controls: np.ndarray, steps: int) -> np.ndarray:
        """Cuts or continues a piece's dense controls `[T, control_depth]` to `steps` rows.

        By default the last row, a chord or a key, is repeated.
        """
        control = np.asarray(controls, np.float32)[:steps]
        missing = steps - len(control)
        if not len(control):
            return np.zeros((steps, control.shape[1]), np.float32)
        return np.concatenate([control, np.repeat(control[-1:], missing, axis=0)])

    # -- In words ---------------------------------------------------------------------------------

    def describe(self) -> str:
        """Describes the music to a musician, as in 'melody, 2 bars, conditioned on chords'."""
        return self._described(type(self).__name__)

    def _described(self, music: str, origin: str = "") -> str:
        """Adds the length of a window and the conditions to words for the music.

        Args:
          music: Words for the music itself, as 'melody'.
          origin: Part of the music that the encoder reads, as 'from hits alone'; empty for all.
        """
        length = "any length" if self.window_bars is None else bars(self.window_bars)
        if self.quarters_per_bar != 4:
            length += f" of {self.quarters_per_bar}/4"
        words = [music, f"{length} {origin}".rstrip()]
        if self.conditioning.names:
            words.append(f"conditioned on {' and '.join(self.conditioning.names)}")
        return ", ".join(words)

    # -- All at once ------------------------------------------------------------------------------

    def to_tensors(self, sequence: "NoteSequence") -> Tensors:
        """Returns all examples of `sequence` as dense arrays."""
        return self.dense(self.extract(sequence))

    def dense(self, extraction: Extraction) -> Tensors:
        """Returns all examples of an extraction as dense arrays."""
        examples = extraction.examples
        return Tensors(
            inputs=[self.dense_inputs(e.inputs) for e in examples],
            outputs=[self.dense_outputs(e.outputs) for e in examples],
            controls=[
                np.zeros((len(e.inputs), 0), bool)
                if e.controls is None
                else self.dense_controls(e.controls)
                for e in examples
            ],
            lengths=[e.length for e in examples],
            skipped=extraction.skipped,
            qpms=extraction.qpms,
        )


def bars(number: int) -> str:
    """Returns a number of bars in words.

    >>> bars(1), bars(2)
    ('1 bar', '2 bars')
    """
    return f"{number} bar" if number == 1 else f"{number} bars"
