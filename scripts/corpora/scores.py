"""Scores of public collections: **kern, MusicXML and ABC, from clones of their repositories.

    git clone --depth 1 https://github.com/pl-wnifc/humdrum-polish-scores
    python scripts/corpora/scores.py --source=polish --input=humdrum-polish-scores \\
      --output_dir=corpora/polish
"""

import base64
import dataclasses
import functools
import hashlib
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import common
import kern
import notation
import works
from absl import flags
from notation import Score

from music_vae.commands import cli
from music_vae.common import files, lazy_imports, pools, progress
from music_vae.common.errors import UserError
from music_vae.dataset import music_files
from music_vae.music import notes_io
from music_vae.music.notes_io import UnreadableMusicError
from music_vae.music.readers import abc_structure
from music_vae.music.readers.abc_tune import read_tune

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

PROGRAM = "scores.py"
USAGE = """Makes TFRecords of the scores of a public collection, split by work: their top voices in
OUTPUT_DIR/melodies, all their voices in OUTPUT_DIR/multitrack.

  git clone --depth 1 https://github.com/OpenScore/Lieder
  python scripts/corpora/scores.py --source=lieder --input=Lieder --output_dir=corpora/lieder \\
    --beside=corpora/folk,corpora/polish/melodies

Stretches in 4/4, 2/2 and 2/4 are taken, without pick-ups and without playing repeats. A work that
is also in a corpus of --beside goes to the side that it has there. Read files are kept in
OUTPUT_DIR/read until the end, so that an interrupted run goes on."""

MELODIES, MULTITRACK = KINDS = ("melodies", "multitrack")

_FORMATS = {kern.SUFFIX: "kern", ".mxl": "musicxml", ".abc": "abc"}  # in ids

# Shorter stretches are left out, and of longer ones only so much is taken with all voices.
_MIN_BARS = 4
_MIN_NOTES = 8
_MAX_MULTITRACK_BARS = 32
# Of the notes of a melody only so many may begin off the sixteenths, which are the models' steps.
_MAX_OFF_STEPS = 0.1
_MIN_VOICES = 2


@dataclasses.dataclass(frozen=True)
class Source:
    """A collection of scores.

    Attributes:
      url: Where it can be cloned.
      suffix: That of its files.
      kinds: What is made of it.
      longest_only: Is only the longest stretch of a score taken with all voices?
      licensed: What the text of a file must say; some are under other licences.
    """

    url: str
    suffix: str
    kinds: tuple[str, ...] = KINDS
    longest_only: bool = False
    licensed: str = ""


SOURCES = {
    "polish": Source(
        "https://github.com/pl-wnifc/humdrum-polish-scores", kern.SUFFIX, longest_only=True
    ),
    "sos": Source("https://github.com/MarkGotham/ScoresOfScores", kern.SUFFIX, (MELODIES,)),
    "lieder": Source("https://github.com/OpenScore/Lieder", ".mxl"),
    "quartets": Source("https://github.com/OpenScore/StringQuartets", ".mxl", (MULTITRACK,)),
    "hymnal": Source(
        "https://github.com/mzealey/openhymnal",
        ".abc",
        licensed=r"(?im)^C:\s*copyright:\s*public domain\.\s*This score is a part of the Open",
    ),
}

FLAGS = common.new_flags()
common.define_shares(FLAGS)
flags.DEFINE_enum("source", None, list(SOURCES), "The collection.", flag_values=FLAGS)
flags.DEFINE_string("input", None, "Its folder, a clone of its repository.", flag_values=FLAGS)
flags.DEFINE_string(
    "beside",
    "",
    "Folders with train.tfrecord and so on, with commas, that have been split before.",
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "num_workers", 2, "How many processes read scores; 0: this one alone.", 0, flag_values=FLAGS
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return cli.Command(PROGRAM, USAGE, FLAGS, _run).main(argv)


def _run(values: flags.FlagValues) -> None:
    cli.require(values, "source", "input")
    output_dir, shares = common.output_dir_of(values), common.shares_of(values)
    source, root = SOURCES[values.source], cli.expand(values.input)
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; git clone {source.url}")
    names = sorted(
        path.relative_to(root).as_posix()
        for path in root.rglob(f"*{source.suffix}")
        if path.is_file()
    )
    if not names:
        raise UserError(f"{root} holds no {source.suffix} files; git clone {source.url}")
    beside = works.read_sides([cli.expand(name) for name in common.listed(values.beside)])
    skipped: Counter[str] = Counter()
    cache = output_dir / "read"
    found = read_files(root, names, values.source, cache, values.num_workers, skipped)
    if not any(found.values()):
        raise common.no_music(skipped)
    sides = works.sides(found[MELODIES], found[MULTITRACK], shares, beside)
    for kind in source.kinds:
        left_out = skipped if kind == source.kinds[-1] else Counter()
        parts = works.parted(found[kind], sides, left_out)
        common.write_splits(parts, output_dir / kind, left_out)
    common.remove_cache(cache)


# -- Files to NoteSequences -----------------------------------------------------------------------


@dataclasses.dataclass
class Stretches:
    """What a file gives: serialised NoteSequences of each kind, and what was left out."""

    records: dict[str, list[bytes]] = dataclasses.field(
        default_factory=lambda: {kind: [] for kind in KINDS}
    )
    skipped: Counter[str] = dataclasses.field(default_factory=Counter)

    def to_json(self) -> str:
        """Text that `from_json` reads."""
        coded = {k: [base64.b64encode(r).decode() for r in rs] for k, rs in self.records.items()}
        return json.dumps({"records": coded, "skipped": self.skipped})

    @classmethod
    def from_json(cls, text: str) -> "Stretches":
        """The inverse of `to_json`; raises `ValueError` or `KeyError` for other text."""
        read = json.loads(text)
        records = {k: [base64.b64decode(r) for r in read["records"][k]] for k in KINDS}
        return cls(records, Counter(read["skipped"]))


def read_files(
    root: Path,
    names: Sequence[str],
    source: str,
    cache: Path,
    num_workers: int,
    skipped: Counter[str],
) -> "dict[str, list[NoteSequence]]":
    """The stretches of all files by kind; files that are in `cache` already are not read again."""
    cache.mkdir(parents=True, exist_ok=True)
    read = functools.partial(read_file, root=root, source=source, cache=cache)
    note_sequence = lazy_imports.import_note_seq().NoteSequence
    found: dict[str, list[NoteSequence]] = {kind: [] for kind in KINDS}
    with pools.Pool(read, num_workers, died=_died) as pool:
        for file in progress.bar(pool.map(names), "reading", unit="file", total=len(names)):
            skipped.update(file.skipped)
            for kind, records in file.records.items():
                found[kind] += [note_sequence.FromString(record) for record in records]
    return found


def _died(_: str) -> Stretches:
    return Stretches(skipped=Counter(["file whose reading took too much memory or time"]))


def read_file(name: str, *, root: Path, source: str, cache: Path) -> Stretches:
    """The stretches of one file, from `cache` if they are there."""
    key = hashlib.sha256(f"{source}/{name}".encode("utf-8", "surrogateescape")).hexdigest()[:32]
    kept = cache / f"{key}.json"
    try:
        return Stretches.from_json(kept.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        pass
    stretches = Stretches()
    try:
        for number, score in enumerate(_scores(root / name, SOURCES[source])):
            _add_stretches(stretches, score, source, name if number == 0 else f"{name}#{number}")
    except UnreadableMusicError as error:
        stretches.skipped[f"file: {error.reason}"] += 1
    files.write_text(kept, stretches.to_json())
    return stretches


def _scores(path: Path, source: Source) -> Iterator[Score]:
    """The scores of a file, or an `UnreadableMusicError`."""
    if source.licensed:
        text = path.read_bytes()[: notes_io.MAX_TEXT_BYTES].decode("utf-8", "replace")
        if not re.search(source.licensed, text):
            raise UnreadableMusicError("not under the licence of the collection")
    if source.suffix == kern.SUFFIX:
        if path.stat().st_size > kern.MAX_BYTES:
            raise UnreadableMusicError(f"larger than {kern.MAX_BYTES >> 20} MiB")
        contents = path.read_bytes()
        if any(f"*M{metre}".encode() in contents for metre in notation.MEASURE_QUARTERS):
            yield kern.read_kern(contents)
        else:  # as half of the Polish scores
            raise UnreadableMusicError("without a measure in 4/4, 2/2 or 2/4")
        return
    pick_up = first_measure(path) if source.suffix == ".abc" else Fraction(0)
    for sequence in _sequences(path):
        yield notation.from_sequence(sequence, pick_up)


def _sequences(path: Path) -> "list[NoteSequence]":
    """What the reader of the library makes of a file, in a limited time."""
    file = music_files.convert_file(path.name, root=path.parent, collection="")
    if file.reason:
        raise UnreadableMusicError(file.reason)
    note_sequence = lazy_imports.import_note_seq().NoteSequence
    return [note_sequence.FromString(record) for record in file.records]


def first_measure(path: Path) -> Fraction:
    """How long the music before the first bar line of an ABC file is, in quarter notes.

    A tune that is cut off there tells: a NoteSequence has no bar lines.
    """
    lines = path.read_bytes().decode("utf-8", "replace").splitlines()
    header = [number for number, line in enumerate(lines) if line.startswith("K:")]
    if not header:
        return Fraction(0)
    tune = lines[: header[0] + 1]
    for line in lines[header[0] + 1 :]:
        if line.startswith("%") or re.match(r"[A-Za-z]:(?!\|)", line) or not line.strip():
            continue
        tune.append(line.removeprefix("|").partition("|")[0])
        if "|" in line.removeprefix("|"):
            break
    beginning = "\n".join(tune) + "|\n"
    try:
        abc_structure.check_tune(beginning)
        score = read_tune(beginning).score
    except UnreadableMusicError:  # in an unknown key, say
        return Fraction(0)
    ends = (note.end for note in score.notes if not note.is_drum)
    return notation.on_grid(max(ends, default=0.0))


def _add_stretches(stretches: Stretches, score: Score, source: str, name: str) -> None:
    """Adds the stretches of a score that are long enough, with their ids and titles."""
    kinds = SOURCES[source].kinds
    sections = notation.sections(score)
    if not sections or not score.voices:
        stretches.skipped["score without a stretch of 4/4, 2/2 or 2/4, or without notes"] += 1
        return
    long = [section for section in sections if section.bars >= _MIN_BARS]
    together = long
    if SOURCES[source].longest_only:
        together = [max(sections, key=lambda section: section.bars)]
    for section in long if MELODIES in kinds else ():
        line = notation.Voice(0, notation.melody(score.voices[0], section))
        if notation.off_steps(line) > _MAX_OFF_STEPS:
            stretches.skipped["melody with too many notes off the sixteenths"] += 1
        elif len(line.notes) >= _MIN_NOTES:
            sequence = notation.to_sequence([line], section.end - section.start)
            _label(sequence, score, source, name, section.number)
            stretches.records[MELODIES].append(sequence.SerializeToString(deterministic=True))
    for section in together if MULTITRACK in kinds else ():
        longest = section.start + _MAX_MULTITRACK_BARS * notation.BAR_QUARTERS
        section = section._replace(end=min(section.end, longest))
        voices = notation.all_voices(score, section)
        if sum(bool(voice.notes) for voice in voices) >= _MIN_VOICES:
            sequence = notation.to_sequence(voices, section.end - section.start)
            _label(sequence, score, source, name, section.number)
            stretches.records[MULTITRACK].append(sequence.SerializeToString(deterministic=True))


def _label(sequence: "NoteSequence", score: Score, source: str, name: str, number: int) -> None:
    printable = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    sequence.id = f"/id/{_FORMATS[SOURCES[source].suffix]}/{source}/{printable}#{number}"
    sequence.filename = printable
    sequence.collection_name = source
    sequence.sequence_metadata.title = score.title


if __name__ == "__main__":
    sys.exit(main())
