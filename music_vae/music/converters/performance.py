"""Several instruments at once, each a performance: notes on and off, time shifts and velocities.

A short passage (a hop) is a list of tracks, one per instrument, drums last. A track is a program
token, events as of a note_seq MetricPerformance and the end token (Simon et al. 2018, "Learning a
latent space of multitrack measures"). A hop can be cut in time into chunks, each with all tracks.
An example is one array: chunk by chunk, track by track, each with room for
`max_events_per_instrument` tokens.

The tokens, with P pitches and V velocity bins: P notes on, P notes off, time shifts of 1 step to
4 quarter notes, V velocities, 128 programs, drums, the end.
"""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from music_vae.common.batches import Compact, OneHot
from music_vae.common.constants import DEFAULT_QPM, MAX_MIDI_PITCH, MIN_MIDI_PITCH
from music_vae.common.errors import UserError
from music_vae.music.converters.base import Conditioning, Converter, Example, Extraction, bars
from music_vae.music.converters.compact import PAD, one_hot
from music_vae.music.converters.controls import (
    NO_CHORD,
    Harmony,
    check_chord_encoding,
    checked_chords,
    decode_chords,
)
from music_vae.music.converters.extract import check_grid
from music_vae.music.converters.grid import Grid, quantise, sections
from music_vae.music.converters.performance_events import (
    PROGRAMS,
    Events,
    Note,
    Played,
    Vocabulary,
    played_notes,
)
from music_vae.music.converters.pitches import transposable
from music_vae.music.converters.score import Score, cut, read, sustained

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

MAX_SHIFT_QUARTERS = 4  # of one event, as in note_seq
FRAME = 2  # tokens of a track that are no events: the program and the end
MAX_HOPS = 100_000
"""A piece of more is not music but a time that is wrong; it would fill the memory."""


class Track(NamedTuple):
    """The notes of one instrument, chunk by chunk; drums have program 0."""

    is_drum: bool
    program: int
    chunks: list[list[Note]]


@dataclasses.dataclass(frozen=True)
class MultiInstrumentPerformanceConverter(Converter):
    """Hops of several instruments as performances; see the module.

    Equal hops are not merged. A hop that does not meet the limits is skipped.

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
      first_subsequence_only: Whether pieces (or parts of one metre and tempo) longer than a hop
        are skipped.
      chord_encoding: "triad" (or note_seq's TriadChordOneHotEncoding, which becomes that) for the
        chord at every event as controls; None: no chords. See `controls`.
      drop_tracks_and_truncate: Whether a hop with too many instruments keeps those of the most
        notes, and a track with too many events the first ones; else such a hop is skipped.

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
        if self.max_events_per_instrument <= FRAME:
            raise UserError(
                "max_events_per_instrument counts the program token and the end token; "
                f"{self.max_events_per_instrument} leave no room for events"
            )

    # -- Sizes and tokens ---------------------------------------------------------------------

    @property
    def window_bars(self) -> int:
        """`hop_size_bars`."""
        return self.hop_size_bars

    @property
    def window_steps(self) -> int:
        """Room for the tokens of all tracks of all chunks."""
        return self.num_chunks * self.max_num_instruments * self.max_events_per_instrument

    def bars_of(self, steps: int) -> int:
        """`hop_size_bars`: rows are events, which take different times."""
        del steps
        return self.hop_size_bars

    @property
    def num_chunks(self) -> int:
        """Chunks in a hop."""
        return self.hop_size_bars // self.chunk_size_bars

    @property
    def chunk_steps(self) -> int:
        """Steps in a chunk."""
        return self.steps_per_bar * self.chunk_size_bars

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens below the end token."""
        return Vocabulary(
            min_pitch=self.min_pitch,
            max_pitch=self.max_pitch,
            max_shift_steps=self.steps_per_quarter * MAX_SHIFT_QUARTERS,
            num_velocity_bins=self.num_velocity_bins,
        )

    @property
    def end_token(self) -> int:
        """The last class; every track ends with it."""
        return self.vocabulary.size

    @property
    def output_depth(self) -> int:
        """Number of tokens; see the module."""
        return self.end_token + 1

    @property
    def input_depth(self) -> int:
        """As `output_depth`."""
        return self.output_depth

    @property
    def input_one_hots(self) -> tuple[int, ...]:
        """One: of the token."""
        return (self.input_depth,)

    @property
    def length_shape(self) -> tuple[int, ...]:
        """One length per track and chunk: `(num_chunks * max_num_instruments,)`."""
        return (self.num_chunks * self.max_num_instruments,)

    @property
    def harmony(self) -> Harmony:
        """What the controls say."""
        return Harmony(chords=self.chord_encoding is not None, keys=False)

    @property
    def control_depth(self) -> int:
        """49 columns for chords, or none."""
        return self.harmony.depth

    # -- From music ---------------------------------------------------------------------------

    def extract(self, sequence: "NoteSequence | Score") -> Extraction:
        """All hops as int16 tokens `[chunks * instruments * events]`, in order of time.

        Unused places are `PAD`; a missing track is an end token alone. `length` counts the tokens
        of every track, int32 of `length_shape`. Controls have the shape of the tokens: the chord
        at every event, no chord at the program token, the last chord again at the end token.
        """
        found = Extraction()
        (parts,) = sections(
            [read(sequence)], [found.skipped], split_on_time_changes=True, with_pedals=True
        )
        for section in parts:
            for hop in self._hops(sustained(section), found.skipped):
                example = self._example(hop, found.skipped)
                if example is not None:
                    found.examples.append(example)
        if not found.examples and not found.skipped:
            found.skipped["no notes"] += 1
        return found

    def _hops(self, section: Score, skipped: Counter[str]) -> list[Grid]:
        """The hops with notes, quantised."""
        if not section.qpm > 0:
            skipped["a tempo of 0"] += 1
            return []
        hop_s = 60 * self.quarters_per_bar * self.hop_size_bars / section.qpm
        total_s = section.total_time_s
        if not total_s <= MAX_HOPS * hop_s:
            skipped[f"longer than {MAX_HOPS} examples"] += 1
            return []
        if self.first_subsequence_only and total_s > hop_s:
            skipped[f"longer than {bars(self.hop_size_bars)}"] += 1
            return []
        if not self.harmony.is_written(section):
            whole = self._quantise(section, skipped)
            inferred = None if whole is None else self.harmony.complete(whole, skipped)
            if inferred is None:
                return []
            section = section._replace(chords=[*section.chords, *inferred.section.chords])
        times = [0.0, *np.arange(hop_s, total_s, hop_s).tolist()]
        if total_s > times[-1]:
            times.append(total_s)
        quantised = []
        for hop in cut([section], [times])[0]:
            if not len(hop.notes):
                continue
            quantised_hop = self._quantise(hop, skipped)
            if quantised_hop is None:  # because of the metre, which all hops share
                return []
            quantised.append(quantised_hop)
        return quantised

    def _quantise(self, part: Score, skipped: Counter[str]) -> Grid | None:
        (grid,) = quantise(
            [part],
            [skipped],
            steps_per_quarter=self.steps_per_quarter,
            quarters_per_bar=self.quarters_per_bar,
        )
        return grid

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
        """The events of every track in every chunk, or None with a reason."""
        starts = range(0, self.num_chunks * self.chunk_steps, self.chunk_steps)
        events = [
            [
                self.vocabulary.encode(notes, start, start + self.chunk_steps)
                for start, notes in zip(starts, track.chunks, strict=True)
            ]
            for track in tracks
        ]
        room = self.max_events_per_instrument - FRAME
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
        """The instruments of a quantised hop in their order, or None with a reason."""
        notes = played_notes(hop)
        if not all(self.min_pitch <= note.pitch <= self.max_pitch for note in notes):
            skipped[f"a pitch outside {self.min_pitch}-{self.max_pitch}"] += 1
            return None
        if not all(note.is_drum or 0 <= note.program < PROGRAMS for note in notes):
            skipped[f"a program outside 0-{PROGRAMS - 1}"] += 1
            return None
        by_instrument: dict[tuple[int, bool, int], list[Played]] = defaultdict(list)
        for note in notes:
            key = note.instrument, note.is_drum, 0 if note.is_drum else note.program
            by_instrument[key].append(note)
        # Instruments of one program stay in the order of a set of their numbers (which is not
        # random), because they do in the data of the published models.
        order = {number: i for i, number in enumerate({note.instrument for note in notes})}
        chosen = sorted(by_instrument, key=lambda key: (order[key[0]], key))
        if len(chosen) > self.max_num_instruments and self.drop_tracks_and_truncate:
            most = sorted(chosen, key=lambda key: -len(by_instrument[key]))
            kept = set(most[: self.max_num_instruments])
            chosen = [key for key in chosen if key in kept]
        if len(chosen) < self.min_num_instruments:
            skipped[f"fewer than {self.min_num_instruments} instruments at once"] += 1
            return None
        if len(chosen) > self.max_num_instruments:
            skipped[f"more than {self.max_num_instruments} instruments at once"] += 1
            return None
        chunks = self.vocabulary.chunks
        tracks = [
            Track(is_drum, program, chunks(by_instrument[key], self.chunk_steps, self.num_chunks))
            for key in chosen
            for _, is_drum, program in [key]
        ]
        return sorted(tracks, key=lambda track: (track.is_drum, track.program))

    def _controls(
        self, hop: Grid, events: Sequence[Sequence[Events]], skipped: Counter[str]
    ) -> np.ndarray | None:
        """Compact chords `[T]` of a quantised hop, or None with a reason."""
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
        """Tokens `[..., T]` to boolean one-hot `[..., T, input_depth]`; `PAD` to zeros."""
        return one_hot(inputs, self.input_depth)

    def dense_outputs(self, outputs: np.ndarray) -> np.ndarray:
        """As `dense_inputs`."""
        return one_hot(outputs, self.output_depth)

    def dense_controls(self, controls: np.ndarray) -> np.ndarray:
        """Compact chords to boolean one-hot `[..., T, control_depth]`; `PAD` to zeros."""
        if not self.control_depth:
            return super().dense_controls(controls)
        return self.harmony.dense(controls)

    @property
    def compact(self) -> Compact:
        """Tokens, and what the harmony's controls are."""
        tokens = OneHot((self.output_depth,))
        return Compact(tokens, tokens, self.harmony.compact)

    # -- To music -----------------------------------------------------------------------------

    def from_tensors(self, samples: Any, controls: Any = None) -> list["NoteSequence"]:
        """Decodes one-hot arrays or class scores `[T, output_depth]`, T as in an example.

        Every sequence is at 120 quarter notes a minute, instruments are numbered from 0 in the
        order of the tracks. A track ends at its first end token; its first program token counts.
        Controls become chord symbols where they change.

        Raises:
          UserError: If a sample or controls are of another shape.
        """
        told = [None] * len(samples) if controls is None or not self.control_depth else controls
        return [self._sequence(s, c) for s, c in zip(samples, told, strict=True)]

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
            notes, times_s, places = self._decode_track(tokens[:, t])
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

    def _decode_track(
        self, tokens: np.ndarray
    ) -> tuple[Sequence[Any], list[float], tuple[list[int], list[int]]]:
        """Tokens `[num_chunks, N]` of one instrument; its first chunk's program counts.

        Returns:
          Its notes; the time of every event in seconds; the places of these events in `tokens`.
        """
        step_s = 60 / DEFAULT_QPM / self.steps_per_quarter
        times_s: list[float] = []
        places: tuple[list[int], list[int]] = [], []
        whole = None
        for c, chunk in enumerate(tokens):
            ended = np.flatnonzero(chunk == self.end_token)
            part, event_places = self.vocabulary.decode(
                chunk[: ended[0]] if len(ended) else chunk, self.steps_per_quarter
            )
            for step, place in zip(part.steps, event_places.tolist(), strict=True):
                if step < self.chunk_steps:  # what is later is cut
                    times_s.append((c * self.chunk_steps + step) * step_s)
                    places[0].append(c)
                    places[1].append(place)
            part.set_length(self.chunk_steps)
            if whole is None:
                whole = part
                continue
            for event in part:
                whole.append(event)
        return ([] if whole is None else whole.to_sequence(qpm=DEFAULT_QPM).notes), times_s, places

    def _by_track(self, steps: Any, depth: int) -> np.ndarray:
        """`[T, depth]` as `[num_chunks, max_num_instruments, max_events_per_instrument, depth]`."""
        steps = np.asarray(steps)
        total = int(np.prod(self._shape))
        if steps.shape != (total, depth):
            raise UserError(
                f"the shape {list(steps.shape)} is not [{total}, {depth}]: "
                f"{self.length_shape[0]} tracks of {self.max_events_per_instrument} tokens"
            )
        return steps.reshape(*self._shape, depth)

    # -- Transposition ------------------------------------------------------------------------

    def transpose(self, example: Example, semitones: int | np.ndarray) -> Example | None:
        """The example with every pitch but the drums' moved, or None where one would leave."""
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
        """Semitones down (0 or less) and up for which no note enters or leaves the pitch range."""
        score = read(sequence)
        # Transposition sets the total time to the end of the last note.
        sensitive = self.control_depth or self.first_subsequence_only or len(score.controls)
        if score.total_time_s < score.last_end_s or (
            sensitive and score.total_time_s != score.last_end_s
        ):
            return 0, 0
        if not self.harmony.moves_with(score):
            return 0, 0
        pitches = score.notes["pitch"][~score.notes["is_drum"]]
        low, high = -MAX_MIDI_PITCH, MAX_MIDI_PITCH
        if len(pitches):
            # A note beyond MIDI's range is lost, and then its hop is not skipped any more.
            low = max(low, -int(pitches.min()))
            high = min(high, MAX_MIDI_PITCH - int(pitches.max()))
        low, high = transposable(pitches, self.min_pitch, self.max_pitch, (low, high))
        return (low, high) if low <= 0 <= high else (0, 0)  # a pitch may be none of MIDI's

    # -- Answers ------------------------------------------------------------------------------

    @property
    def conditioning(self) -> Conditioning:
        """The chords, or none."""
        return self.harmony.conditioning

    def controls_from(
        self,
        steps: int,
        *,
        chords: np.ndarray | None = None,
        key: int | None = None,
        hits: "NoteSequence | None" = None,
    ) -> list[np.ndarray]:
        """A window for each chord; as in training, the first row of a track is no chord."""
        del key, hits
        if not self.control_depth:
            return []
        windows = np.repeat(checked_chords(chords)[:, None], steps, axis=1)
        windows[:, :: self.max_events_per_instrument] = NO_CHORD
        return list(self.harmony.dense(windows).astype(np.float32))

    def describe(self) -> str:
        """As in 'up to 8 instruments, 1 bar'."""
        return self._described(f"up to {self.max_num_instruments} instruments")
