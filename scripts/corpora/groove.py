"""The Groove MIDI Dataset (Gillick et al. 2019, CC BY 4.0): drums as drummers played them.

    python scripts/corpora/groove.py --input=groove.zip --output_dir=corpora/groove
    python scripts/corpora/groove.py --tfds --output_dir=corpora/groove

The split is the official one, by recording: drummers play in more than one part of it.
"""

import csv
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import common
from absl import flags
from splits import SPLITS

from music_vae.commands import cli
from music_vae.common.errors import UserError
from music_vae.music import notes_io

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

PROGRAM = "groove.py"
USAGE = """Makes TFRecords of the Groove MIDI Dataset, in its official split.

  python scripts/corpora/groove.py --input=groove-v1.0.0-midionly.zip --output_dir=corpora/groove
  python scripts/corpora/groove.py --tfds --output_dir=corpora/groove

The data set is by Google LLC, under CC BY 4.0: https://magenta.tensorflow.org/datasets/groove"""

COLLECTION = "groove"
TFDS_NAME = "groove/full-midionly"
INFO_FILE = "info.csv"
_COLUMNS = ("midi_filename", "split", "style", "time_signature")

FLAGS = common.new_flags()
flags.DEFINE_string("input", None, "The data set's folder or zip.", flag_values=FLAGS)
flags.DEFINE_boolean(
    "tfds", False, f"Uses the TensorFlow Dataset {TFDS_NAME} instead.", flag_values=FLAGS
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return cli.Command(PROGRAM, USAGE, FLAGS, _run).main(argv)


def _run(values: flags.FlagValues) -> None:
    output_dir = common.output_dir_of(values)
    if bool(values.input) == values.tfds:
        raise UserError("give --input or --tfds, one of the two")
    skipped: Counter[str] = Counter()
    if values.tfds:
        parts = read_tfds()
    else:
        with common.unpacked(
            cli.expand(values.input), (*notes_io.MIDI_SUFFIXES, INFO_FILE)
        ) as folder:
            parts = read_folder(folder, skipped)
    common.write_splits(parts, output_dir, skipped)


def read_folder(folder: Path, skipped: Counter[str]) -> "dict[str, list[NoteSequence]]":
    """The recordings that `info.csv` lists, by its column `split`.

    Raises:
      UserError: If there is no such list, or none of its recordings can be read.
    """
    found = sorted(folder.rglob(INFO_FILE))
    if len(found) != 1:
        raise UserError(f"{folder} holds {len(found)} files {INFO_FILE}; expected one")
    recordings = _read_info(found[0])
    root = found[0].parent
    sequences = {s.filename: s for s in common.read_midi_files(root, COLLECTION, skipped)}
    parts: dict[str, list[NoteSequence]] = {name: [] for name in SPLITS}
    for row in recordings:
        sequence = sequences.pop(row["midi_filename"], None)
        if sequence is None:
            skipped[f"listed in {INFO_FILE}, but not readable or not there"] += 1
            continue
        sequence.sequence_metadata.title = row["style"]
        parts[row["split"]].append(sequence)
    if sequences:
        skipped[f"not listed in {INFO_FILE}"] += len(sequences)
    if not any(parts.values()):
        raise UserError(f"{found[0]} lists no recording that can be read")
    return parts


def _read_info(path: Path) -> list[dict[str, str]]:
    """The rows of `info.csv`, in the order of the files' names."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows, start=2):
        missing = [name for name in _COLUMNS if not row.get(name)]
        if missing:
            raise UserError(f"{path}, line {number}: no {missing[0]}")
        if row["split"] not in SPLITS:
            raise UserError(
                f"{path}, line {number}: the split is {row['split']!r}; expected one of "
                f"{', '.join(SPLITS)}"
            )
    return sorted(rows, key=lambda row: row["midi_filename"])


def read_tfds() -> "dict[str, list[NoteSequence]]":
    """The recordings of the TensorFlow Dataset, by its splits."""
    from music_vae import data

    parts = {name: list(data.read_tfds(TFDS_NAME, name)) for name in SPLITS}
    for name, sequences in parts.items():
        for number, sequence in enumerate(sequences):
            sequence.id = f"/id/midi/{COLLECTION}/{name}/{number}"
            sequence.collection_name = COLLECTION
    return parts


if __name__ == "__main__":
    sys.exit(main())
