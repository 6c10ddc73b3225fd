"""Folk tunes: from music21's corpus (O'Neill 1903, Ryan 1883, Aird 1778-, and others), or ABC.

python scripts/corpora/folk.py --output_dir=corpora/folk
python scripts/corpora/folk.py --input=folk_melodies.tfrecord.gz --output_dir=corpora/folk
"""

import contextlib
import functools
import importlib.util
import json
import math
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import common
import notation
from absl import flags
from notation import MEASURE_QUARTERS

from music_vae import data
from music_vae.commands import cli
from music_vae.common import checks, files, progress
from music_vae.common.errors import UserError
from music_vae.music import notes_io

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

PROGRAM = "folk.py"
USAGE = """Makes TFRecords of folk tunes, split by tune.

  python scripts/corpora/folk.py --output_dir=corpora/folk
  python scripts/corpora/folk.py --input=ABC_DIR --output_dir=corpora/folk
  python scripts/corpora/folk.py --input=folk_melodies.tfrecord.gz --output_dir=corpora/folk

Without --input, the ABC files of music21's corpus are read, for some minutes: pip install
'music_vae[corpora]'. Read files are kept in OUTPUT_DIR/read until the end, so that an interrupted
run goes on. Tunes in other metres than 4/4, 2/2 and 2/4 are left out."""

# Folders of music21's corpus whose tunes are in the public domain and monophonic.
COLLECTIONS = ("oneills1850", "ryansMammoth", "airdsAirs", "miscFolk")
CORPUS = "music21"  # in the ids of its tunes
_SAME = 1e-6  # quarter notes; no two notes of a tune are so close

FLAGS = common.new_flags()
common.define_shares(FLAGS)
flags.DEFINE_string(
    "input",
    None,
    "A folder of ABC files, or TFRecords of NoteSequences; music21's corpus by default.",
    flag_values=FLAGS,
)
cli.define_number("num_workers", 2, "How many processes read ABC.", checks.PROCESSES, values=FLAGS)


class Note(NamedTuple):
    """A note of a tune, in quarter notes from the first bar line."""

    start: float
    quarters: float
    pitch: int


class Measure(NamedTuple):
    """A measure as it is written.

    Attributes:
      quarters: Where its last note or rest ends.
      notes: Its notes, their starts counted from its own beginning.
    """

    quarters: float
    notes: list[Note]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return cli.Command(PROGRAM, USAGE, FLAGS, _run).main(argv)


def _run(values: flags.FlagValues) -> None:
    output_dir, shares = common.output_dir_of(values), common.shares_of(values)
    skipped: Counter[str] = Counter()
    source = cli.expand(values.input) if values.input else None
    if source is not None and not source.is_dir():
        common.write_tunes(data.read_note_sequences(values.input), output_dir, shares, skipped)
        return
    if importlib.util.find_spec("music21") is None:
        raise UserError("reading ABC needs music21: pip install 'music_vae[corpora]'")
    if source is None:
        source, paths, corpus = _music21_corpus()
    else:
        paths, corpus = sorted(source.rglob("*.abc")), source.absolute().name
    if not paths:
        raise UserError(f"{source} holds no ABC files (.abc)")
    cache = output_dir / "read"
    tunes = read_files(source, paths, cache, values.num_workers, skipped)
    common.write_tunes((sequence_of(t, corpus) for t in tunes), output_dir, shares, skipped)
    common.remove_cache(cache)


def _music21_corpus() -> tuple[Path, list[Path], str]:
    """The folder of music21's corpus, its ABC files, in order, and its name."""
    spec = importlib.util.find_spec("music21")
    assert spec is not None and spec.origin is not None
    root = Path(spec.origin).parent / "corpus"
    paths = [path for name in COLLECTIONS for path in sorted((root / name).glob("*.abc"))]
    return root, paths, CORPUS


# -- ABC to tunes ---------------------------------------------------------------------------------


def read_files(
    root: Path, paths: Sequence[Path], cache: Path, num_workers: int, skipped: Counter[str]
) -> list[dict[str, Any]]:
    """The tunes of all files, in order; files that are in `cache` already are not read again."""
    from tqdm import tqdm

    cache.mkdir(parents=True, exist_ok=True)
    names = [path.relative_to(root).as_posix() for path in paths]
    read = functools.partial(read_file, root=root, cache=cache)
    tunes = []
    with ProcessPoolExecutor(num_workers, mp_context=get_context("spawn")) as pool:
        results = tqdm(
            pool.map(read, names),
            total=len(names),
            unit="file",
            disable=not progress.show_progress(),
        )
        try:
            for result in results:
                tunes += result["tunes"]
                skipped.update(result["skipped"])
        except BrokenProcessPool as error:  # killed, most likely for its memory
            raise UserError(
                "a process that read ABC died; give the command again to go on, perhaps with "
                "--num_workers=1"
            ) from error
    return tunes


def read_file(name: str, *, root: Path, cache: Path) -> dict[str, Any]:
    """The tunes of one ABC file (`tunes`) and why others were left out (`skipped`)."""
    kept = cache / (name.replace("/", "__") + ".json")
    try:
        return json.loads(kept.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        pass
    from music21 import converter, stream

    skipped: Counter[str] = Counter()
    tunes = []
    try:
        parsed = converter.parse(root / name, format="abc", forceSource=True)
        scores = list(parsed.scores) if isinstance(parsed, stream.Opus) else [parsed]
    except Exception as error:  # whatever a parser raises for a broken file
        skipped[f"file that music21 cannot read ({type(error).__name__})"] += 1
        scores = []
    for number, score in enumerate(scores):
        try:
            notes = notes_of(score)
        except notes_io.UnreadableMusicError as error:
            skipped[error.reason] += 1
            continue
        except Exception as error:
            skipped[f"tune that music21 cannot read ({type(error).__name__})"] += 1
            continue
        title = score.metadata.title if score.metadata and score.metadata.title else ""
        tunes.append({"file": name, "number": number, "title": title, "notes": notes})
    result = {"tunes": tunes, "skipped": skipped}
    files.write_text(kept, json.dumps(result))
    return result


def notes_of(score: Any) -> list[Note]:
    """The notes of a music21 score of one voice, repeats played out, its bars on the bar lines.

    Raises:
      UnreadableMusicError: If it is not one voice in a metre of `MEASURE_QUARTERS`.
    """
    from music21 import meter, repeat

    if not len(score.parts):
        raise notes_io.UnreadableMusicError("no music")
    part = score.parts[0]
    # music21 gives a bar that is too long or too short a metre of its own: the first counts.
    metre = part.recurse().getElementsByClass(meter.TimeSignature).first()
    if metre is None or not part.getElementsByClass("Measure"):
        raise notes_io.UnreadableMusicError("no metre or no bars")
    bar = MEASURE_QUARTERS.get(metre.ratioString)
    if bar is None:
        raise notes_io.UnreadableMusicError(f"metre {metre.ratioString}")
    with contextlib.suppress(repeat.ExpanderException):  # repeats that do not fit: played once
        part = part.expandRepeats()
    notes = on_bar_lines(map(_measure, part.getElementsByClass("Measure")), bar)
    if not notes:
        raise notes_io.UnreadableMusicError("no notes")
    return notes


def _measure(measure: Any) -> Measure:
    """A music21 measure without grace notes; of a chord the highest note."""
    quarters, notes = 0.0, []
    for element in measure.flatten().notesAndRests:
        length = float(element.quarterLength)
        if element.duration.isGrace or not length:
            continue
        if not element.isRest:
            pitch = max(int(pitch.midi) for pitch in element.pitches)
            notes.append(Note(float(element.offset), length, pitch))
        quarters = max(quarters, float(element.offset) + length)
    return Measure(quarters, notes)


def on_bar_lines(measures: Iterable[Measure], bar: float) -> list[Note]:
    """The notes of measures one after the other, full measures of `bar` quarters on bar lines.

    A first measure that is short is a pick-up and ends on a bar line. Any other short one counts up
    to its last note, so that it and the pick-up after it make a bar; where a full one would still
    begin elsewhere, it waits for the next bar line. Two bars of 2/4 make one of 4/4.
    """
    position, notes = None, []
    for measure in measures:
        length = max((note.start + note.quarters for note in measure.notes), default=0.0)
        if not measure.notes and measure.quarters >= bar - _SAME:
            length = measure.quarters  # a bar of rest
        full = length >= bar - _SAME
        if position is None:
            position = 0.0 if full else bar - length
        if full:
            position = bar * math.ceil((position - _SAME) / bar)
        notes += [note._replace(start=position + note.start) for note in measure.notes]
        position += length
    return notes


def sequence_of(tune: Mapping[str, Any], corpus: str) -> "NoteSequence":
    """A tune as a NoteSequence in 4/4 at 120 quarter notes a minute."""
    notes = [
        notation.Note(Fraction(start), Fraction(start + quarters), pitch)
        for start, quarters, pitch in tune["notes"]
    ]
    sequence = notation.to_sequence([notation.Voice(0, notes)], max(note.end for note in notes))
    sequence.id = f"/id/abc/{corpus}/{tune['file']}#{tune['number']}"
    sequence.filename = tune["file"]
    sequence.collection_name = tune["file"].rpartition("/")[0] or corpus
    sequence.sequence_metadata.title = tune["title"]
    return sequence


if __name__ == "__main__":
    sys.exit(main())
