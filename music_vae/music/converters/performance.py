"""Represents several instruments at once, each by the events of a performance.

A short passage (a hop) is a list of tracks, one per instrument, drums last. A track is a program
token, events as in a MetricPerformance of note_seq, and the end token (Simon et al. 2018, "Learning
a latent space of multitrack measures"). A hop can be cut in time into chunks, each with all tracks.
An example is one array: chunk by chunk, track by track, each with room for
`max_events_per_instrument` tokens.

The tokens, with P pitches and V velocity bins, are in this order: P notes on, P notes off, time
shifts of 1 step to 4 quarter notes, V velocities, 128 programs, drums, and the end.
"""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from music_vae.common.batches import Compact, OneHot
from music_vae.common.constants import DEFAULT_QPM, MAX_MIDI_PITCH, MIN_MIDI_PITCH
from music_vae.common.errors import UserError
from music_vae.music.converters.base import Conditioning, Converter, Example, Extraction
from music_vae.music.converters.compact import PAD, one_hot
from music_vae.music.converters.controls import (
    NO_CHORD,
    Harmony,
    check_chord_encoding,
    checked_chords,
    decode_chords,
)
from music_vae.music.converters.extract import check_grid
from music_vae.music.converters.grid import Grid
from music_vae.music.converters.performance_events import (
    PROGRAMS,
    Events,
    Vocabulary,
    played_notes,
)
from music_vae.music.converters.performance_hops import cut_hops
from music_vae.music.converters.performance_tracks import (
    Track,
    busiest,
    by_instrument,
    decode_track,
    tracks_of,
    voices_of,
)
from music_vae.music.converters.pitches import transposable
from music_vae.music.converters.score import Score, read, sustained
from music_vae.music.converters.sections import sections
from music_vae.music.symbols import Voice

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

_MAX_SHIFT_QUARTERS = 4  # of one event, as in note_seq
_FRAME = 2  # tokens of a track that are no events: the program and the end


@dataclasses.dataclass(frozen=True)
class MultiInstrumentPerformanceConverter(Converter):
    """Converts hops of several instruments to event tokens and back; see the module.

    Equal hops are not merged. A hop that does not meet the limits is skipped.

    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> duo = NoteSequence(tempos=[{"qpm": 120}], total_time=2.0)
    >>> for instrument, pitch in enumerate([64, 40]):  # whole notes: a piano's E and a bass's E
    ...     _ = duo.notes.add(instrument=instrument, program=33 * instrument, pitch=pitch,
    ...                       velocity=80, end_time=2.0)
    >>> converter = MultiInstrumentPerformanceConverter(
    ...     max_num_instruments=2, max_events_per_instrument=5, min_total_events=2)
    >>> (example,) = converter.extract(duo).examples
    >>> example.outputs.reshape(2, 5).tolist()  # program, note on, time shift, note off, end
    [[352, 64, 351, 192, 481], [385, 40, 351, 168, 481]]
    >>> (again,) = converter.from_tensors([converter.dense_outputs(example.outputs)])
    >>> [(note.program, note.pitch) for note in again.notes]
    [(0, 64), (33, 40)]

    Attributes:
      num_velocity_bins: Number of loudness classes; 0: loudness is left out.
      max_tensors_per_notesequence: How many examples of a sequence to use (see `data.limit`);
        `extract` returns all.
      hop_size_bars: Length of an example in bars; hops do not overlap.
      chunk_size_bars: Length of a chunk in bars, a divisor of `hop_size_bars`.
      steps_per_quarter: Steps in a quarter note.
      quarters_per_bar: Quarter notes in a bar; music in other metres is skipped.
      min_num_instruments: Fewest instruments of an example.
      max_num_instruments: Most instruments of an example; also its number of tracks.
      min_total_events: Fewest events of an example, all tracks together.
      max_events_per_instrument: Tokens of a track in a chunk, program and end included.
      min_pitch: Lowest MIDI pitch; a hop with a note below it is skipped.
      max_pitch: Highest MIDI pitch; a hop with a note above it is skipped.
      first_subsequence_only: If True, pieces (or parts of one metre and tempo) longer than a hop
        are skipped.
      chord_encoding: "triad" (or note_seq's TriadChordOneHotEncoding, which becomes that) if the
        chord at every event is a control; None: no chords. See `controls`.
      drop_tracks_and_truncate: If True, a hop with too many instruments keeps those with the most
        notes, and a track with too many events keeps the first ones; else such a hop is skipped.

    Raises:
      UserError: For a setting that is impossible.
    """

    num_velocity_bins: int = 0
    max_tensors_per_notesequence: int | None = None
    hop_size_bars: int = 1
    chunk_size_bars: int = 1
    steps_per_quarter: int = 24
    quarters_per_bar: int = 4
    min_num_instruments: int = 2
    max_num_instruments: int = 8
    min_total_events: int = 8
    max_events_per_instrument: int = 64
    min_pitch: int = MIN_MIDI_PITCH
    max_pitch: int = MAX_MIDI_PITCH
    first_subsequence_only: bool = False
    chord_encoding: str | None = None
    drop_tracks_and_truncate: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "chord_encoding", check_chord_encoding(self.chord_encoding))
        check_grid(
            steps_per_quarter=self.steps_per_quarter,
            quarters_per_bar=self.quarters_per_bar,
            max_bars=None,
            slice_bars=None,
            gap_bars=None,
            max_tensors_per_notesequence=self.max_tensors_per_notesequence,
        )
        _ = self.vocabulary  # checks its settings
        if self.chunk_size_bars < 1 or self.hop_size_bars < 1:
            raise UserError("hop_size_bars and chunk_size_bars must be 1 or more")
        if self.hop_size_bars % self.chunk_size_bars:
            raise UserError(
                f"hop_size_bars={self.hop_size_bars} must be a multiple of "
                f"chunk_size_bars={self.chunk_size_bars}"
            )
        if not 1 <= self.min_num_instruments <= self.max_num_instruments:
            raise UserError(
                f"min_num_instruments={self.min_num_instruments}, max_num_instruments="
                f"{self.max_num_instruments} must be in this order and 1 or more"
            )
        if self.max_events_per_instrument <= _FRAME:
            raise UserError(
                "max_events_per_instrument counts the program token and the end token; "
                f"{self.max_events_per_instrument} leave no room for events"
            )

    # -- Sizes and tokens -------------------------------------------------------------------------

    @property
    def window_bars(self) -> int:
        """Length of an example in bars, `hop_size_bars`."""
        return self.hop_size_bars

    @property
    def window_steps(self) -> int:
        """Number of rows of an example: room for the tokens of all tracks of all chunks."""
        return self.num_chunks * self.max_num_instruments * self.max_events_per_instrument

    def bars_of(self, steps: int) -> int:
        """Returns `hop_size_bars` for any rows, since they are events of different lengths."""
        del steps
        return self.hop_size_bars

    @property
    def num_chunks(self) -> int:
        """Number of chunks in a hop."""
        return self.hop_size_bars // self.chunk_size_bars

    @property
    def chunk_steps(self) -> int:
        """Number of steps in a chunk."""
        return self.steps_per_bar * self.chunk_size_bars

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens below the end token."""
        return Vocabulary(
            min_pitch=self.min_pitch,
            max_pitch=self.max_pitch,
            max_shift_steps=self.steps_per_quarter * _MAX_SHIFT_QUARTERS,
            num_velocity_bins=self.num_velocity_bins,
        )

    @property
    def end_token(self) -> int:
        """The last class, with which every track ends."""
        return self.vocabulary.size

    @property
    def output_depth(self) -> int:
        """Number of tokens; see the module."""
        return self.end_token + 1

    @property
    def input_depth(self) -> int:
        """Number of tokens, the same as `output_depth`."""
        return self.output_depth

    @property
    def input_one_hots(self) -> tuple[int, ...]:
        """The depth of the one one-hot vector of a row."""
        return (self.input_depth,)

    @property
    def length_shape(self) -> tuple[int, ...]:
        """Shape of an example's lengths, one per track and chunk."""
        return (self.num_chunks * self.max_num_instruments,)

    @property
    def harmony(self) -> Harmony:
        """The chords that the music is conditioned on."""
        return Harmony(chords=self.chord_encoding is not None, keys=False)

    @property
    def control_depth(self) -> int:
        """Width of the controls: 49 columns for chords, or 0."""
        return self.harmony.depth

    # -- From music -------------------------------------------------------------------------------

    def extract(self, sequence: "NoteSequence | Score") -> Extraction:
        """Returns all hops as int16 tokens `[chunks * instruments * events]`, in order of time.

        Unused places are `PAD`; a missing track is an end token alone. `length` counts the tokens
        of every track, int32 of `length_shape`. Controls have the shape of the tokens: the chord
        at every event, no chord at the program token, the last chord again at the end token.
        """
        extraction = Extraction()
        skipped = extraction.skipped
        (parts,) = sections(
            [read(sequence)],
            [skipped],
            steps_per_quarter=self.steps_per_quarter,
            split_on_time_changes=True,
            with_pedals=True,
        )
        for section in parts:
            for hop in self._hops(sustained(section), skipped):
                example = self._example(hop, skipped)
                if example is not None:
                    extraction.add([example], section.qpm)
        if not extraction.examples and not skipped:
            skipped["no notes"] += 1
        return extraction

    def _hops(self, section: Score, skipped: Counter[str]) -> list[Grid]:
        return cut_hops(
            section,
            skipped,
            hop_bars=self.hop_size_bars,
            steps_per_quarter=self.steps_per_quarter,
            quarters_per_bar=self.quarters_per_bar,
            harmony=self.harmony,
            first_only=self.first_subsequence_only,
        )

    def _example(self, hop: Grid, skipped: Counter[str]) -> Example | None:
        tracks = self._tracks(hop, skipped)
        if tracks is None:
            return None
        events = self._events(tracks, skipped)
        if events is None:
            return None
        controls = None
        if self.control_depth:
            controls = self._controls(hop, events, skipped)
            if controls is None:
                return None
        tokens = np.full(self._shape, PAD, np.int16)
        tokens[:, :, 0] = self.end_token
        lengths = np.ones(self._shape[:2], np.int32)
        for t, track in enumerate(tracks):
            for c, notes in enumerate(track.chunks):
                # note_seq takes a performance without notes for drums: so did the models' data.
                drums = track.is_drum or not notes
                program = PROGRAMS if drums else track.program
                program_token = self.vocabulary.first_program + program
                row = [program_token, *events[t][c].tokens, self.end_token]
                tokens[c, t, : len(row)] = row
                lengths[c, t] = len(row)
        flat = tokens.reshape(-1)
        return Example(flat, flat, controls, lengths.reshape(-1))

    @property
    def _shape(self) -> tuple[int, int, int]:
        return self.num_chunks, self.max_num_instruments, self.max_events_per_instrument

    def _events(self, tracks: Sequence[Track], skipped: Counter[str]) -> list[list[Events]] | None:
        """Returns the events of every track in every chunk, or None with a reason."""
        starts = range(0, self.num_chunks * self.chunk_steps, self.chunk_steps)
        events = [
            [
                self.vocabulary.encode(notes, start, start + self.chunk_steps)
                for start, notes in zip(starts, track.chunks, strict=True)
            ]
            for track in tracks
        ]
        room = self.max_events_per_instrument - _FRAME
        if self.drop_tracks_and_truncate:
            events = [[Events(t[:room], s[:room]) for t, s in chunks] for chunks in events]
        sizes = [len(tokens) for chunks in events for tokens, _ in chunks]
        if max(sizes) > room:
            skipped[f"more than {room} events of an instrument"] += 1
        elif sum(sizes) < self.min_total_events:
            skipped[f"fewer than {self.min_total_events} events"] += 1
        else:
            return events
        return None

    def _tracks(self, hop: Grid, skipped: Counter[str]) -> list[Track] | None:
        """Returns the tracks of a quantised hop, or None with a reason."""
        notes = played_notes(hop)
        if not all(self.min_pitch <= note.pitch <= self.max_pitch for note in notes):
            skipped[f"a pitch outside {self.min_pitch}-{self.max_pitch}"] += 1
            return None
        if not all(note.is_drum or 0 <= note.program < PROGRAMS for note in notes):
            skipped[f"a program outside 0-{PROGRAMS - 1}"] += 1
            return None
        instruments = by_instrument(notes)
        if self.drop_tracks_and_truncate:
            instruments = busiest(instruments, self.max_num_instruments)
        if len(instruments) < self.min_num_instruments:
            skipped[f"fewer than {self.min_num_instruments} instruments at once"] += 1
            return None
        if len(instruments) > self.max_num_instruments:
            skipped[f"more than {self.max_num_instruments} instruments at once"] += 1
            return None
        return tracks_of(
            instruments,
            self.vocabulary,
            chunk_steps=self.chunk_steps,
            num_chunks=self.num_chunks,
        )

    def _controls(
        self, hop: Grid, events: Sequence[Sequence[Events]], skipped: Counter[str]
    ) -> np.ndarray | None:
        """Returns the compact chords `[T]` of a quantised hop, or None with a reason."""
        track = self.harmony.read_written(hop, skipped)
        if track is None:
            return None
        controls = np.full(self._shape, PAD, np.int16)
        controls[:, :, 0] = NO_CHORD
        for t, chunks in enumerate(events):
            for c, (_, steps) in enumerate(chunks):
                chords = track.encode(track.at(np.array(steps)), skipped)
                if chords is None:
                    return None
                controls[c, t, 1 : len(steps) + 1] = chords
                controls[c, t, len(steps) + 1] = chords[-1]
        return controls.reshape(-1)

    def dense_inputs(self, inputs: np.ndarray) -> np.ndarray:
        """Converts tokens `[..., T]` to one-hot `[..., T, input_depth]`, `PAD` to zeros."""
        return one_hot(inputs, self.input_depth)

    def dense_outputs(self, outputs: np.ndarray) -> np.ndarray:
        """Converts tokens to one-hot vectors, as `dense_inputs` does."""
        return one_hot(outputs, self.output_depth)

    def dense_controls(self, controls: np.ndarray) -> np.ndarray:
        """Converts compact chords to one-hot `[..., T, control_depth]`, `PAD` to zeros."""
        if not self.control_depth:
            return super().dense_controls(controls)
        return self.harmony.dense(controls)

    @property
    def compact(self) -> Compact:
        """The compact form: tokens, and chords as classes."""
        tokens = OneHot((self.output_depth,))
        return Compact(tokens, tokens, self.harmony.compact)

    # -- To music ---------------------------------------------------------------------------------

    def from_tensors(self, samples: Any, controls: Any = None) -> list["NoteSequence"]:
        """Decodes one-hot arrays or class scores `[T, output_depth]`, T as in an example.

        Every sequence is at 120 quarter notes a minute, instruments are numbered from 0 in the
        order of the tracks. A track ends at its first end token; its first program token counts.
        Controls become chord symbols where they change.

        Raises:
          UserError: If a sample or controls are of another shape.
        """
        if controls is None or not self.control_depth:
            controls = [None] * len(samples)
        return [self._sequence(s, c) for s, c in zip(samples, controls, strict=True)]

    def _sequence(self, sample: np.ndarray, controls: np.ndarray | None) -> "NoteSequence":
        from note_seq import STANDARD_PPQ, NoteSequence, chords_lib

        tokens = np.argmax(self._by_track(sample, self.output_depth), axis=-1)
        chords = None
        if controls is not None:
            chords = np.argmax(self._by_track(controls, self.control_depth), axis=-1)
        sequence = NoteSequence(ticks_per_quarter=STANDARD_PPQ)
        sequence.tempos.add(qpm=DEFAULT_QPM)
        symbols: list[tuple[float, str]] = []
        for t in range(self.max_num_instruments):
            notes, times_s, places = decode_track(
                tokens[:, t],
                self.vocabulary,
                steps_per_quarter=self.steps_per_quarter,
                chunk_steps=self.chunk_steps,
            )
            for note in notes:
                note.instrument = t
            sequence.notes.extend(notes)
            if chords is not None:
                symbols += zip(times_s, decode_chords(chords[:, t][places]), strict=True)
        sequence.total_time = max((note.end_time for note in sequence.notes), default=0.0)
        if symbols:
            symbols.sort()
            chords_lib.add_chords_to_sequence(
                sequence, [name for _, name in symbols], [time_s for time_s, _ in symbols]
            )
        return sequence

    def _by_track(self, steps: Any, depth: int) -> np.ndarray:
        """Returns rows `[T, depth]` as `[chunks, instruments, events, depth]`."""
        steps = np.asarray(steps)
        total = int(np.prod(self._shape))
        if steps.shape != (total, depth):
            raise UserError(
                f"the shape {list(steps.shape)} is not [{total}, {depth}]: "
                f"{self.length_shape[0]} tracks of {self.max_events_per_instrument} tokens"
            )
        return steps.reshape(*self._shape, depth)

    # -- Transposition ----------------------------------------------------------------------------

    def transpose(self, example: Example, semitones: int | np.ndarray) -> Example | None:
        """Moves every pitch but the drums'; returns None if one would leave the pitch range."""
        shape = example.outputs.shape
        tracks = example.outputs.reshape(*shape[:-1], -1, self.max_events_per_instrument)
        words = self.vocabulary
        moves = (tracks >= 0) & (tracks < words.first_shift) & (tracks[..., :1] != words.drums)
        by = np.asarray(semitones, tracks.dtype)[..., None]
        moved = np.where(moves, tracks % words.num_pitches + by[..., None], 0)
        if moved.size and not 0 <= moved.min() <= moved.max() < words.num_pitches:
            return None
        transposed = np.where(moves, tracks + by[..., None], tracks).reshape(shape)
        controls = example.controls
        if controls is not None:
            controls = self.harmony.transpose(controls, by)
        return example._replace(inputs=transposed, outputs=transposed, controls=controls)

    def transposable_range(self, sequence: "NoteSequence | Score") -> tuple[int, int]:
        """Returns how far down (0 or less) and up no note enters or leaves the pitch range."""
        score = read(sequence)
        # Transposition sets the total time to the end of the last note.
        sensitive = self.control_depth or self.first_subsequence_only or len(score.controls)
        if score.total_time_s < score.last_end_s or (
            sensitive and score.total_time_s != score.last_end_s
        ):
            return 0, 0
        if not self.harmony.moves_with(score, self.steps_per_quarter):
            return 0, 0
        pitches = score.notes["pitch"][~score.notes["is_drum"]]
        low, high = -MAX_MIDI_PITCH, MAX_MIDI_PITCH
        if len(pitches):
            # A note beyond MIDI's range is lost, and then its hop is not skipped any more.
            low = max(low, -int(pitches.min()))
            high = min(high, MAX_MIDI_PITCH - int(pitches.max()))
        low, high = transposable(pitches, self.min_pitch, self.max_pitch, (low, high))
        return (low, high) if low <= 0 <= high else (0, 0)  # a pitch may be none of MIDI's

    # -- About the music --------------------------------------------------------------------------

    @property
    def conditioning(self) -> Conditioning:
        """The conditions that a musician gives: chords, or none."""
        return self.harmony.conditioning

    def controls_from(
        self,
        steps: int,
        *,
        chords: np.ndarray | None = None,
        key: int | None = None,
        hits: "NoteSequence | None" = None,
    ) -> list[np.ndarray]:
        """Returns a window for each chord; as in training, a track begins with no chord."""
        del key, hits
        if not self.control_depth:
            return []
        windows = np.repeat(checked_chords(chords)[:, None], steps, axis=1)
        windows[:, :: self.max_events_per_instrument] = NO_CHORD
        return list(self.harmony.dense(windows).astype(np.float32))

    def voices(self, outputs: np.ndarray) -> list[tuple[str, Voice]]:
        """Returns a voice for every instrument that plays, all named "instrument", and the drums.

        Drums are those of `REDUCED_DRUM_PITCH_CLASSES`; others are left out.
        """
        (sequence,) = self.from_tensors([outputs])
        step_s = 60 / DEFAULT_QPM / self.steps_per_quarter
        return voices_of(sequence.notes, step_s, self.num_chunks * self.chunk_steps)

    def describe(self) -> str:
        """Returns a description such as 'up to 8 instruments, 1 bar'."""
        return self._described(f"up to {self.max_num_instruments} instruments")
