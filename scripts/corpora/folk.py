"""Folk tunes: from TFRecords of NoteSequences, split by tune.

python scripts/corpora/folk.py --input=folk_melodies.tfrecord.gz --output_dir=corpora/folk
"""

import sys
from collections import Counter
from collections.abc import Sequence

import common
from absl import flags

from music_vae import cli, data

PROGRAM = "folk.py"
USAGE = """Makes TFRecords of folk tunes, split by tune.

  python scripts/corpora/folk.py --input=folk_melodies.tfrecord.gz --output_dir=corpora/folk"""

FLAGS = common.new_flags()
common.define_shares(FLAGS)
flags.DEFINE_string("input", None, "TFRecords of tunes.", flag_values=FLAGS)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return cli.run_command(PROGRAM, USAGE, FLAGS, _run, argv)


def _run(values: flags.FlagValues) -> None:
    cli.require(values, "input")
    output_dir, shares = common.output_dir_of(values), common.shares_of(values)
    skipped: Counter[str] = Counter()
    common.write_tunes(data.read_note_sequences(values.input), output_dir, shares, skipped)


if __name__ == "__main__":
    sys.exit(main())
