"""From a NoteSequence to its melodies and drum tracks on a grid of steps, and to windows of them.

The order of work is that of MusicVAE (Roberts et al. 2018, section 5.1): cut the piece where its
metre or tempo changes, quantise each section, find monophonic lines or drum tracks in it, slide a
window over each by one bar, keep equal windows once. Whatever cannot be used is counted in a
`skipped` counter under a reason that a musician understands. That holds for music that no musician
wrote, too: limits far beyond any real piece keep a false time or tempo from filling the memory.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from music_vae.constants import DEFAULT_QPM, MAX_MIDI_PITCH, MAX_MIDI_VELOCITY, MIN_MIDI_PITCH
from music_vae.errors import UserError

if TYPE_CHECKING:
    from note_seq import DrumTrack, Melody
    from note_seq.protobuf.music_pb2 import NoteSequence

# What the longest real pieces stay far below: the Ring cycle has some 20,000 bars in four evenings.
MAX_BARS = 10_000  # of a section
MAX_TIME_S = 1e7
MAX_TIME_CHANGES = 10_000
MAX_INSTRUMENTS = 1_000
MAX_NOTES_READ = 2_000_000  # all notes of a section, once for every line found in it


def check_grid(
    *,
    steps_per_quarter: int,
    quarters_per_bar: int,
    max_bars: int | None,
    slice_bars: int | None,
    gap_bars: float | None,
    max_tensors_per_notesequence: int | None,
) -> None:
    """Raises UserError for a setting that no music could meet."""
    whole = {"steps_per_quarter": steps_per_quarter, "quarters_per_bar": quarters_per_bar}
    optional = {
        "max_bars": max_bars,
        "slice_bars": slice_bars,
        "max_tensors_per_notesequence": max_tensors_per_notesequence,
    }
    whole |= {name: value for name, value in optional.items() if value is not None}
    for name, value in whole.items():
        if not isinstance(value, int) or value < 1:
            raise UserError(f"{name} must be a whole number from 1 on, not {value!r}")
    if gap_bars is not None and not gap_bars >= 0:
        raise UserError(f"gap_bars must be 0 or more, or None to ignore gaps, not {gap_bars!r}")
    if max_bars is not None and slice_bars is not None and max_bars < slice_bars:
        raise UserError(f"max_bars={max_bars} leaves no room for slice_bars={slice_bars}")


def sections(
    sequence: "NoteSequence", skipped: Counter[str], *, split_on_time_changes: bool
) -> list["NoteSequence"]:
    """Copies of the parts of `sequence` that keep one metre and tempo, each shifted to time zero.

    Args:
      sequence: An unquantised sequence; it is not changed.
      skipped: Counts why the sequence cannot be used, and the notes that lie outside the time from
        0 to `total_time`.
      split_on_time_changes: Without it, the one section is a copy of the whole sequence.

    Returns:
      The sections with notes, in order; the caller may edit them.
    """
    from note_seq import sequences_lib

    if not sequence.notes:
        skipped["no notes"] += 1
        return []
    impossible = why_impossible(sequence)
    if impossible:
        skipped[impossible] += 1
        return []
    if not split_on_time_changes:
        whole = type(sequence)()
        whole.CopyFrom(sequence)
        return [whole]
    if sequences_lib.is_quantized_sequence(sequence):
        skipped["already quantised"] += 1
        return []
    parts = sequences_lib.split_note_sequence_on_time_changes(sequence)
    lost = len(sequence.notes) - sum(len(part.notes) for part in parts)
    if lost:
        skipped["note before the beginning or after the end of the piece"] += lost
    return [part for part in parts if part.notes]


def why_impossible(sequence: "NoteSequence") -> str | None:
    """Why `sequence` is no music at all, or None."""
    times = [sequence.total_time]
    velocities, instruments = [0], set()
    for note in sequence.notes:
        times += note.start_time, note.end_time
        velocities.append(note.velocity)
        instruments.add(note.instrument)
    changes = len(sequence.tempos) + len(sequence.time_signatures)
    for events in (
        sequence.tempos,
        sequence.time_signatures,
        sequence.key_signatures,
        sequence.control_changes,
        sequence.text_annotations,
    ):
        times += [event.time for event in events]
    if not np.all(np.isfinite(times)):
        return "a time that is not a number"
    if max(map(abs, times)) > MAX_TIME_S:
        return f"a time beyond {MAX_TIME_S:.0f} seconds"
    if not all(0 <= tempo.qpm < math.inf for tempo in sequence.tempos):
        return "a tempo that is not a number from 0 on"
    if not 0 <= min(velocities) <= max(velocities) <= MAX_MIDI_VELOCITY:
        return f"a velocity outside 0-{MAX_MIDI_VELOCITY}"
    if changes > MAX_TIME_CHANGES:
        return f"more than {MAX_TIME_CHANGES} changes of metre and tempo"
    if len(instruments) > MAX_INSTRUMENTS:
        return f"more than {MAX_INSTRUMENTS} instruments"
    return None


def quantise(
    section: "NoteSequence",
    skipped: Counter[str],
    *,
    steps_per_quarter: int,
    quarters_per_bar: int,
) -> "NoteSequence | None":
    """A copy of `section` with quantised times, or None with a reason in `skipped`.

    Only a metre whose bars are as long as `quarters_per_bar` quarter notes is accepted (2/2 and 8/8
    are as good as 4/4).
    """
    metre = (4, 4)  # MIDI's default
    if section.time_signatures:
        first = min(section.time_signatures, key=lambda signature: signature.time)
        metre = (first.numerator, first.denominator)
    # Before the quantisation, which costs far more: many corpora are half in other metres.
    if 4 * metre[0] != quarters_per_bar * metre[1]:
        skipped[_metre_reason(metre)] += 1
        return None
    quantised = quantise_in_any_metre(section, steps_per_quarter, quarters_per_bar)
    if isinstance(quantised, str):
        skipped[quantised] += 1
        return None
    return quantised


def quantise_in_any_metre(
    section: "NoteSequence", steps_per_quarter: int, quarters_per_bar: int = 4
) -> "NoteSequence | str":
    """A copy of `section` with quantised times, or why there is none; see `quantise`."""
    from note_seq import sequences_lib

    qpm = section.tempos[0].qpm if section.tempos else DEFAULT_QPM
    end_s = max([section.total_time, *(note.end_time for note in section.notes)])
    if not qpm > 0:
        return "a tempo of 0"
    if not end_s * qpm / 60 <= MAX_BARS * quarters_per_bar:
        return f"longer than {bars(MAX_BARS)}"
    try:
        return sequences_lib.quantize_note_sequence(section, steps_per_quarter)
    except sequences_lib.BadTimeSignatureError:
        signature = section.time_signatures[0]
        return _metre_reason((signature.numerator, signature.denominator))
    except sequences_lib.NegativeTimeError:
        return "negative time"
    except (sequences_lib.MultipleTimeSignatureError, sequences_lib.MultipleTempoError):
        return "time signature or tempo changes"


def _metre_reason(metre: tuple[int, int]) -> str:
    return f"time signature {metre[0]}/{metre[1]}"


def melodies(
    quantised: "NoteSequence",
    skipped: Counter[str],
    *,
    gap_bars: float | None,
    max_bars: int | None,
    skip_polyphony: bool,
) -> list["Melody"]:
    """The monophonic lines of every instrument but the drums, by instrument and time.

    Args:
      quantised: A quantised sequence.
      skipped: Counts tracks given up and lines cut.
      gap_bars: A line ends where this many bars are silent, and the next begins at the next bar;
        None or 0: silence never ends a line.
      max_bars: A line is cut after this many bars; None: never.
      skip_polyphony: Gives a track up at its first chord, instead of reading the highest notes.

    Returns:
      note_seq Melody objects, each from the bar line before its first note to the one after its
      last.
    """
    lines = []
    for instrument, alone in _by_instrument(quantised):
        found = _lines_of(alone, skipped, instrument, gap_bars, skip_polyphony)
        for line in _within_limit(found, len(alone.notes), skipped):
            _cut_after(line, max_bars, skipped)
            if any(event >= 0 for event in line):  # a cut can leave silence alone
                lines.append(line)
    return lines


def _by_instrument(quantised: "NoteSequence") -> Iterator[tuple[int, "NoteSequence"]]:
    """Every instrument with notes that are no drums, in order, and a sequence with its notes."""
    instruments = {note.instrument for note in quantised.notes}
    if len(instruments) == 1:
        alone = {instruments.pop(): quantised}
    else:
        alone = {}
        for note in quantised.notes:
            if note.instrument not in alone:
                sequence = alone[note.instrument] = type(quantised)()
                sequence.quantization_info.CopyFrom(quantised.quantization_info)
                sequence.time_signatures.extend(quantised.time_signatures)
            alone[note.instrument].notes.append(note)
    for instrument in sorted(alone):
        if not all(note.is_drum for note in alone[instrument].notes):
            yield instrument, alone[instrument]


def _within_limit(tracks: Iterable[Any], num_notes: int, skipped: Counter[str]) -> Iterator[Any]:
    """The tracks, until finding them has read `MAX_NOTES_READ` notes: each reads them all."""
    most = max(1, MAX_NOTES_READ // num_notes)
    for number, track in enumerate(tracks):
        if number == most:
            skipped[f"the rest of a track after {most} silences"] += 1
            return
        yield track


def _lines_of(
    quantised: "NoteSequence",
    skipped: Counter[str],
    instrument: int,
    gap_bars: float | None,
    skip_polyphony: bool,
) -> Iterator["Melody"]:
    from note_seq import Melody, melodies_lib

    bar_line = 0
    while True:
        line = Melody()
        try:
            line.from_quantized_sequence(
                quantised,
                search_start_step=bar_line,
                instrument=instrument,
                gap_bars=gap_bars or math.inf,
                ignore_polyphonic_notes=not skip_polyphony,
                pad_end=True,
            )
        except melodies_lib.PolyphonicMelodyError:
            skipped["polyphonic track"] += 1
            return
        except melodies_lib.BadNoteError:
            skipped["note that ends before it starts"] += 1
            return
        if not len(line):
            return
        bar_line = line.end_step
        yield line


def drum_tracks(
    quantised: "NoteSequence",
    skipped: Counter[str],
    *,
    gap_bars: float | None,
    max_bars: int | None,
) -> list["DrumTrack"]:
    """The drum tracks of a quantised sequence, all drum instruments together, in order of time.

    The arguments are those of `melodies`; a track's events are sets of MIDI pitches.
    """
    tracks = []
    found = _drum_tracks(quantised, gap_bars)
    for track in _within_limit(found, max(1, len(quantised.notes)), skipped):
        _cut_after(track, max_bars, skipped)
        tracks.append(track)
    return tracks


def _drum_tracks(quantised: "NoteSequence", gap_bars: float | None) -> Iterator["DrumTrack"]:
    from note_seq import DrumTrack

    bar_line = 0
    while True:
        track = DrumTrack()
        track.from_quantized_sequence(
            quantised, search_start_step=bar_line, gap_bars=gap_bars or math.inf, pad_end=True
        )
        if not len(track):
            return
        bar_line = track.end_step
        yield track


def _cut_after(track: "Melody | DrumTrack", max_bars: int | None, skipped: Counter[str]) -> None:
    if max_bars is not None and len(track) > max_bars * track.steps_per_bar:
        track.set_length(max_bars * track.steps_per_bar)
        skipped[f"the rest of a track after {bars(max_bars)}"] += 1


def bars(number: int) -> str:
    """'1 bar', '2 bars'."""
    return f"{number} bar" if number == 1 else f"{number} bars"


def pad_to(track: "Melody | DrumTrack", total_steps: int) -> None:
    """Stretches `track`, in place, from the beginning of the piece to `total_steps`."""
    track.set_length(len(track) + track.start_step, from_left=True)
    track.set_length(total_steps)


def windows(steps: np.ndarray, size: int, hop: int) -> np.ndarray:
    """All windows of `size` steps that start at a multiple of `hop`: `[T]` to `[N, size]`.

    The windows are read-only views of `steps`; N is 0 where `steps` is too short.
    """
    if len(steps) < size:
        return np.empty((0, size), steps.dtype)
    return np.lib.stride_tricks.sliding_window_view(steps, size)[::hop]


def unique(arrays: Iterable[np.ndarray]) -> list[np.ndarray]:
    """The arrays (of one dtype) without repetitions, in the order in which they first appear."""
    seen: dict[bytes, np.ndarray] = {}
    for array in arrays:
        seen.setdefault(array.tobytes(), array)
    return list(seen.values())


def checked_pitch_classes(
    name: str, classes: Iterable[Iterable[int]], number: int | None = None
) -> tuple[tuple[int, ...], ...]:
    """The classes as tuples.

    Raises:
      UserError: If they are not (`number`) classes of MIDI pitches, each pitch in one class.
    """
    frozen = tuple(tuple(pitches) for pitches in classes)
    if not frozen or not all(frozen):
        raise UserError(f"{name} needs a class, and every class a pitch")
    if number is not None and len(frozen) != number:
        raise UserError(f"{name} has {len(frozen)} classes, but pitch_classes {number}")
    for pitch, times in Counter(p for pitches in frozen for p in pitches).items():
        if times > 1:
            raise UserError(f"pitch {pitch} is {times} times in {name}")
        if not MIN_MIDI_PITCH <= pitch <= MAX_MIDI_PITCH:
            raise UserError(
                f"pitch {pitch} in {name} is not from {MIN_MIDI_PITCH} to {MAX_MIDI_PITCH}"
            )
    return frozen
