"""Finds the unique examples in collections of sequences, for `music_vae_preprocess`.

An example is written as the NoteSequence that its converter decodes it to, so that equal music is
equal bytes, and the same file can train models with other settings, too. Here are plain functions
of one element each; `beam_pipelines` runs them on as many machines as there are.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from music_vae.common import checks, lazy_imports
from music_vae.dataset.sources import is_other_message
from music_vae.music.converters.base import Converter, Example
from music_vae.music.converters.grid import quantise_in_any_metre
from music_vae.music.converters.score import Score, read
from music_vae.music.converters.sections import cut_at_changes, why_impossible

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

MAX_PARTS = 100  # a sequence with more parts of one metre and tempo is left out
STEPS_PER_QUARTER = 16  # the positions in a quarter note that `min_metric_positions` counts

SEQUENCES = "sequences read"
PARTS = "parts of one metre and tempo"
CONVERTED = "parts converted"
EXAMPLES = "examples"
UNIQUE = "unique examples"
TOTALS = (SEQUENCES, PARTS, CONVERTED, EXAMPLES, UNIQUE)
"""Names of the counters of music that was there; all other counters are reasons for leaving out."""

NOT_SEQUENCES = "record that is not a NoteSequence"
NOT_EQUAL = "example that differs when it is read again (kept)"


@dataclasses.dataclass(frozen=True)
class Filters:
    """Conditions on the parts of sequences that are used.

    The defaults are loose. These ask for drums that a person has played:

    >>> Filters(min_velocities=3, min_metric_positions=5, is_drum=True, drums_only=True).drums_only
    True

    Attributes:
      max_total_time: Greatest length in seconds.
      max_num_notes: Greatest number of notes.
      min_velocities: Least number of different velocities of the notes that count.
      min_metric_positions: Least number of positions within a quarter note, of 16, at which the
        notes that count start.
      is_drum: The notes that count for these two: drums (True), others (False) or all (None).
      drums_only: True to leave out parts that have other notes than drums.
    """

    max_total_time: float = 1800
    max_num_notes: int = 10_000
    min_velocities: int = 1
    min_metric_positions: int = 1
    is_drum: bool | None = None
    drums_only: bool = False

    def __post_init__(self) -> None:
        checks.check_numbers(self, checks.DURATION, "max_total_time")
        checks.check_numbers(
            self, checks.LIMIT, "max_num_notes", "min_velocities", "min_metric_positions"
        )


def examples_of(
    record: bytes, converter: Converter, filters: Filters | None, counts: Counter[str]
) -> Iterator[tuple[bytes, str]]:
    """Yields the examples of one serialised NoteSequence.

    >>> from music_vae.configs import get_config
    >>> from music_vae.music.notes_io import read_music_file
    >>> (tune,) = read_music_file("examples/tunes/soldiers_joy.mid")
    >>> converter, counts = get_config("cat-mel_2bar_small").data_converter, Counter()
    >>> examples = list(examples_of(tune.SerializeToString(), converter, None, counts))
    >>> len(examples), counts[CONVERTED], counts[EXAMPLES]
    (16, 1, 16)

    Args:
      record: The sequence.
      converter: Converter that finds the examples; all of them are used, whatever its cap.
      filters: Filters of the parts of the sequence; None: all parts are used.
      counts: Counter that is updated with what there was and why music was left out.

    Yields:
      A serialised NoteSequence without id, equal for equal examples, and the id of the source.
    """
    from google.protobuf.message import DecodeError

    try:
        sequence = lazy_imports.import_note_seq().NoteSequence.FromString(record)
    except DecodeError:
        sequence = None
    if sequence is None or is_other_message(sequence):
        counts[NOT_SEQUENCES] += 1
        return
    counts[SEQUENCES] += 1
    score = read(sequence)
    (impossible,) = why_impossible([score])
    if impossible is None and score.is_quantised:
        impossible = "already quantised"
    if impossible:
        counts[impossible] += 1
        return
    (parts,) = cut_at_changes([score], converter.steps_per_quarter, with_pedals=True)
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
    """Returns the reason why a part of one metre and tempo is left out, or None.

    >>> from music_vae.music.notes_io import read_music_file
    >>> (tune,) = read_music_file("examples/two_bars/durangs_hornpipe.mid")
    >>> why_filtered(read(tune), Filters(max_num_notes=20))
    'more than 20 notes'
    """
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
    """Returns an example as a NoteSequence from which it can be read again.

    Returns None, and counts it, if no example can be read from that NoteSequence.

    >>> from music_vae.configs import get_config
    >>> converter = get_config("cat-mel_2bar_small").data_converter
    >>> tokens = np.zeros(32, np.int16)
    >>> tokens[[0, 8, 16, 24]] = [41, 43, 45, 1]
    >>> example = Example(tokens, tokens, None, np.int32(32))
    >>> [note.pitch for note in as_sequence(example, converter, Counter()).notes]
    [60, 62, 64]

    Args:
      example: The example.
      converter: Its converter.
      counts: Counter that is updated if the example would not be read again as it is.
    """
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
    """Returns a serialised NoteSequence with the ids of its sources as its id.

    >>> from music_vae.music.notes_io import read_music_file
    >>> (tune,) = read_music_file("examples/two_bars/durangs_hornpipe.mid")
    >>> data = with_sources(tune.SerializeToString(), ["b.mid", "a.mid", "b.mid"])
    >>> type(tune).FromString(data).id
    'a.mid,b.mid'
    """
    sequence = lazy_imports.import_note_seq().NoteSequence.FromString(serialised)
    sequence.id = ",".join(sorted({source for source in sources if source}))
    return sequence.SerializeToString(deterministic=True)


def report(counts: Counter[str]) -> str:
    """Returns lines that tell how much music there was, and why how much was left out.

    >>> print(report(Counter({SEQUENCES: 2, PARTS: 2, CONVERTED: 1, EXAMPLES: 16, UNIQUE: 9,
    ...                       "not drums alone": 1})))
            2  sequences read
            2  parts of one metre and tempo
            1  parts converted
           16  examples
            9  unique examples
    Not used:
            1  not drums alone
    """
    lines = [f"{counts[name]:9d}  {name}" for name in TOTALS]
    reasons = {name: number for name, number in counts.items() if name not in TOTALS and number}
    if reasons:
        ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
        lines += ["Not used:", *(f"{number:9d}  {name}" for name, number in ordered)]
    return "\n".join(lines)


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
