"""From collections of sequences to their unique examples: what `music_vae_preprocess` does to each.

An example is written as the NoteSequence that its converter decodes it to, so that equal music is
equal bytes, and the same file trains models of other settings, too. Plain functions of one element
each; `beam_pipelines` runs them on as many machines as there are.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from music_vae.common import lazy_imports
from music_vae.music.converters.base import Converter, Example
from music_vae.music.converters.grid import quantise_in_any_metre, why_impossible
from music_vae.music.converters.score import Score, change_times, cut, read

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

MAX_PARTS = 100  # of one metre and tempo, of a sequence
STEPS_PER_QUARTER = 16  # of the positions in a quarter note that `min_metric_positions` counts

SEQUENCES = "sequences read"
PARTS = "parts of one metre and tempo"
CONVERTED = "parts converted"
EXAMPLES = "examples"
UNIQUE = "unique examples"
TOTALS = (SEQUENCES, PARTS, CONVERTED, EXAMPLES, UNIQUE)
"""Counters of what was there; all others are reasons why something was not used."""

NOT_EQUAL = "example that differs when it is read again (kept)"


@dataclasses.dataclass(frozen=True)
class Filters:
    """Which parts of sequences are used.

    Attributes:
      max_total_time: Longest in seconds.
      max_num_notes: Most notes.
      min_velocities: Fewest different velocities of the notes that count.
      min_metric_positions: Fewest positions within a quarter note (of 16) at which they start.
      is_drum: Which notes count for these two: drums (True), others (False) or all (None).
      drums_only: Whether parts with notes other than drums are left out.
    """

    max_total_time: float = 1800
    max_num_notes: int = 10_000
    min_velocities: int = 1
    min_metric_positions: int = 1
    is_drum: bool | None = None
    drums_only: bool = False


def examples_of(
    record: bytes, converter: Converter, filters: Filters | None, counts: Counter[str]
) -> Iterator[tuple[bytes, str]]:
    """The examples of one serialised NoteSequence.

    Args:
      record: The sequence.
      converter: What makes the examples; all of them, whatever its cap per sequence.
      filters: Which of its parts are used; None: all.
      counts: Counts what there is, and why something is left out.

    Yields:
      A serialised NoteSequence without id, equal for equal examples, and the id of the source.
    """
    from google.protobuf.message import DecodeError

    try:
        sequence = lazy_imports.import_note_seq().NoteSequence.FromString(record)
    except DecodeError:
        counts["record that is not a NoteSequence"] += 1
        return
    counts[SEQUENCES] += 1
    score = read(sequence)
    (impossible,) = why_impossible([score])
    if impossible is None and score.is_quantised:
        impossible = "already quantised"
    if impossible:
        counts[impossible] += 1
        return
    (parts,) = cut([score], [change_times(score)], with_pedals=True)
    if len(parts) > MAX_PARTS:
        counts[f"more than {MAX_PARTS} changes of metre and tempo"] += 1
        return
    counts[PARTS] += len(parts)
    source = sequence.id or sequence.filename
    for part in parts:
        reason = why_filtered(part, filters) if filters else None
        if reason:
            counts[reason] += 1
            continue
        counts[CONVERTED] += 1
        extraction = converter.extract(part)
        counts.update(extraction.skipped)
        for example in extraction.examples:
            decoded = as_sequence(example, converter, counts)
            if decoded is not None:
                counts[EXAMPLES] += 1
                yield decoded.SerializeToString(deterministic=True), source


def why_filtered(part: Score, filters: Filters) -> str | None:
    """Why a part of one metre and tempo is not used, or None."""
    if part.total_time_s > filters.max_total_time:
        return f"longer than {filters.max_total_time:g} seconds"
    if len(part.notes) > filters.max_num_notes:
        return f"more than {filters.max_num_notes} notes"
    (grid,) = quantise_in_any_metre([part], STEPS_PER_QUARTER)
    if isinstance(grid, str):
        return grid
    velocities, is_drum = part.notes["velocity"], part.notes["is_drum"]
    counts = velocities != 0
    if filters.is_drum is not None:
        counts &= is_drum == filters.is_drum
    if len(set(velocities[counts].tolist())) < filters.min_velocities:
        return f"fewer than {_counted(filters.min_velocities, 'velocity', 'velocities')}"
    positions = set((grid.starts[counts] % STEPS_PER_QUARTER).tolist())
    if len(positions) < filters.min_metric_positions:
        wanted = _counted(filters.min_metric_positions, "metric position", "metric positions")
        return f"fewer than {wanted}"
    if filters.drums_only and not is_drum.all():
        return "not drums alone"
    return None


def as_sequence(
    example: Example, converter: Converter, counts: Counter[str]
) -> "NoteSequence | None":
    """An example as a NoteSequence from which it can be read again; None, and counted, if not."""
    controls = None if example.controls is None else converter.dense_controls(example.controls)
    (decoded,) = converter.from_tensors(
        [converter.dense_outputs(example.outputs)], None if controls is None else [controls]
    )
    if not decoded.total_time:  # grooves have none, and would be cut there
        decoded.total_time = max((note.end_time for note in decoded.notes), default=0.0)
    again = converter.extract(decoded).examples
    if not again:
        counts["example from which none can be read again"] += 1
        return None
    if len(again) > 1 or not np.array_equal(again[0].outputs, example.outputs):
        counts[NOT_EQUAL] += 1
    return decoded


def with_sources(serialised: bytes, sources: Iterable[str]) -> bytes:
    """A serialised NoteSequence with the ids of its sources, each once, joined with commas."""
    sequence = lazy_imports.import_note_seq().NoteSequence.FromString(serialised)
    sequence.id = ",".join(sorted({source for source in sources if source}))
    return sequence.SerializeToString(deterministic=True)


def report(counts: Counter[str]) -> str:
    """What was there, and by reason what was left out, a line each."""
    lines = [f"{counts[name]:9d}  {name}" for name in TOTALS]
    reasons = {name: number for name, number in counts.items() if name not in TOTALS and number}
    if reasons:
        ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
        lines += ["Not used:", *(f"{number:9d}  {name}" for name, number in ordered)]
    return "\n".join(lines)


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
