"""Reads drum notes as hits with velocities and offsets, of steps or singly, and writes them."""

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from music_vae.common.constants import DEFAULT_QPM, DRUMS_INSTRUMENT, MAX_MIDI_VELOCITY
from music_vae.music.converters.grid import Grid
from music_vae.music.converters.groove_rows import HIT, OFFSET, VELOCITY
from music_vae.music.converters.pitches import class_of
from music_vae.music.symbols import HALF_STEPS, DrumHits

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence


def read_hits(
    quantised: Grid,
    pitch_classes: tuple[tuple[int, ...], ...],
    skipped: Counter[str],
    *,
    steps_per_bar: int,
    dtype: type,
) -> np.ndarray:
    """Returns the grid `[T, 3, drums]` of a groove; it has no steps if there are no hits.

    Of several notes of a drum at a step the loudest counts.

    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> from music_vae.music.converters.grid import grids_of
    >>> beat = NoteSequence(tempos=[{"qpm": 120}], total_time=0.2)
    >>> _ = beat.notes.add(  # a snare 1/64 of a second before the second sixteenth
    ...     pitch=38, velocity=127, start_time=0.109375, end_time=0.2, is_drum=True)
    >>> _, _, (quantised,) = grids_of(
    ...     [beat], split_on_time_changes=False, steps_per_quarter=4, quarters_per_bar=4)
    >>> grid = read_hits(quantised, ((36,), (38,)), Counter(), steps_per_bar=16, dtype=np.float32)
    >>> grid.shape, grid[1, :, 1].tolist()  # the snare at step 1: hit, velocity, offset
    ((16, 3, 2), [1.0, 1.0, 0.25])

    Args:
      quantised: A section whose times are on the grid of steps.
      pitch_classes: The MIDI pitches of every drum class.
      skipped: Counts notes that are left out.
      steps_per_bar: The groove is as long as it takes to the bar line after the last hit.
      dtype: The type of the numbers.
    """
    classes = class_of(pitch_classes, quantised.notes["pitch"])
    known = _drum_notes(quantised.notes["is_drum"], classes >= 0, skipped)
    # Of several assignments to one place the last holds: the loudest, of such the first note.
    velocities = quantised.notes["velocity"]
    chosen = np.lexsort((np.arange(len(known))[::-1], velocities))
    chosen = chosen[known[chosen]]
    velocities, start_s = velocities[chosen], quantised.notes["start_s"][chosen]
    steps, drums = quantised.starts[chosen], classes[chosen]
    num_bars = -(-(int(steps.max(initial=-1)) + 1) // steps_per_bar)
    grid: np.ndarray = np.zeros((num_bars * steps_per_bar, 3, len(pitch_classes)), dtype)
    step_s = 60 / quantised.section.qpm / quantised.steps_per_quarter
    grid[steps, HIT, drums] = 1
    grid[steps, VELOCITY, drums] = velocities / MAX_MIDI_VELOCITY
    grid[steps, OFFSET, drums] = (step_s * steps - start_s) / step_s * HALF_STEPS
    return grid


def single_hits(quantised: Grid, pitch_classes: tuple[tuple[int, ...], ...]) -> DrumHits:
    """Returns every hit of a groove, in the order of its notes; drums of no class are among them.

    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> from music_vae.music.converters.grid import grids_of
    >>> beat = NoteSequence(total_time=0.2)
    >>> for pitch in (38, 40, 25):  # a snare, its rim and a snare roll, which is in no class
    ...     _ = beat.notes.add(pitch=pitch, velocity=90, end_time=0.2, is_drum=True)
    >>> _, _, (quantised,) = grids_of(
    ...     [beat], split_on_time_changes=False, steps_per_quarter=4, quarters_per_bar=4)
    >>> hits = single_hits(quantised, ((36,), (38, 40)))
    >>> hits.pitches.tolist(), hits.drums.tolist()
    ([38, 40, 25], [1, 1, -1])
    """
    classes = class_of(pitch_classes, quantised.notes["pitch"])
    is_drum = quantised.notes["is_drum"]
    chosen = is_drum | (classes >= 0).all()
    notes, steps = quantised.notes[chosen], quantised.starts[chosen]
    late = notes["start_s"] * quantised.steps_per_second - steps
    return DrumHits(steps, classes[chosen], notes["pitch"], notes["velocity"], -late * HALF_STEPS)


def add_hits(sequence: "NoteSequence", hits: DrumHits, *, steps_per_quarter: int) -> None:
    """Adds hits to a piece at 120 quarter notes a minute; each lasts a step.

    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> snare = DrumHits(*(np.array([value]) for value in (4, 1, 40, 90, -1.0)))
    >>> piece = NoteSequence()
    >>> add_hits(piece, snare, steps_per_quarter=4)
    >>> piece.notes[0].pitch, piece.notes[0].start_time  # half a step late
    (40, 0.5625)
    """
    step_s = 60 / DEFAULT_QPM / steps_per_quarter
    starts_s = (hits.steps - hits.offsets / HALF_STEPS) * step_s
    for pitch, velocity, start_s in zip(
        hits.pitches.tolist(), hits.velocities.tolist(), starts_s.tolist(), strict=True
    ):
        sequence.notes.add(
            instrument=DRUMS_INSTRUMENT,
            is_drum=True,
            pitch=pitch,
            velocity=velocity,
            start_time=start_s,
            end_time=start_s + step_s,
        )


def _drum_notes(is_drum: np.ndarray, is_known: np.ndarray, skipped: Counter[str]) -> np.ndarray:
    """Returns True for the notes `[N]` to read, drums of known pitches; counts the others.

    Music of such pitches alone is read as drums on whatever channel: pads and drum plug-ins do not
    always send on the tenth, and models published for the original were used on such recordings.
    """
    if is_known.all():
        return is_known
    known = is_drum & is_known
    counts = {
        "note that is not a drum": int((~is_drum).sum()),
        "drum note of no class": int(is_drum.sum()) - int(known.sum()),
    }
    skipped.update({reason: count for reason, count in counts.items() if count})
    return known


def write_hits(
    hits: np.ndarray,
    velocities: np.ndarray,
    offsets: np.ndarray,
    pitch_classes: tuple[tuple[int, ...], ...],
    *,
    steps_per_quarter: int,
) -> "NoteSequence":
    """Returns a piece at 120 quarter notes a minute in which every hit lasts one step.

    >>> hits, velocities, offsets = np.array([[[0.0], [1.0]], [[0], [90]], [[0], [0.5]]])
    >>> write_hits(hits, velocities, offsets, ((38,),), steps_per_quarter=4).notes[0].start_time
    0.0625

    Args:
      hits: Numbers `[T, drums]`; above 0.5 a drum is hit.
      velocities: MIDI velocities `[T, drums]`.
      offsets: Steps `[T, drums]` by which hits come early.
      pitch_classes: The MIDI pitches of every drum class, of which the first is written.
      steps_per_quarter: Steps in a quarter note.
    """
    from note_seq.protobuf import music_pb2

    sequence = music_pb2.NoteSequence()
    sequence.tempos.add(qpm=DEFAULT_QPM)
    step_s = 60 / DEFAULT_QPM / steps_per_quarter
    for step, drum in np.argwhere(hits > 0.5).tolist():
        start_time = (step - float(offsets[step, drum])) * step_s
        sequence.notes.add(
            instrument=DRUMS_INSTRUMENT,
            is_drum=True,
            pitch=pitch_classes[drum][0],
            velocity=int(velocities[step, drum]),
            start_time=start_time,
            end_time=start_time + step_s,
        )
    return sequence
