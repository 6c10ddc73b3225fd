"""What a corpus gives a config: sequences and windows by split, and what leaks between them.

    python scripts/corpora/windows.py --config=cat-mel_2bar_small \\
      --corpora=corpora/folk,corpora/leads

A held-out window *leaks* if a training window is the same music, in any key.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from absl import flags
from splits import SPLITS, TRAIN

from music_vae import data
from music_vae.commands import cli
from music_vae.configs import Config, get_config

PROGRAM = "windows.py"
USAGE = """Counts the sequences and windows that corpora give a config, and the share of held-out
windows that also occur in training, in any key.

  python scripts/corpora/windows.py --config=cat-mel_2bar_small \\
      --corpora=corpora/folk,corpora/leads"""

FLAGS = cli.new_flags()
flags.DEFINE_string("config", None, "The names of the configs, with commas.", flag_values=FLAGS)
flags.DEFINE_string(
    "corpora", None, "Folders with train.tfrecord and so on, with commas.", flag_values=FLAGS
)


class Count(NamedTuple):
    """What a split gives."""

    sequences: int
    used: int  # sequences that give a window
    windows: int
    unique: int  # different windows, up to the key
    leaked: float  # share of the windows that are in the training part too


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return cli.Command(PROGRAM, USAGE, FLAGS, _run).main(argv)


def _run(values: flags.FlagValues) -> None:
    cli.require(values, "config", "corpora")
    folders = [cli.expand(name.strip()) for name in values.corpora.split(",")]
    for name in values.config.split(","):
        for split, count in counts(get_config(name), folders).items():
            leak = "" if split == TRAIN else f", {count.leaked:.1%} of them also in training"
            print(
                f"{name} {split}: {count.sequences} sequences, {count.used} used, "
                f"{count.windows} windows, {count.unique} different{leak}",
                flush=True,
            )


def counts(config: Config, folders: Sequence[Path]) -> dict[str, Count]:
    """The counts of each split."""
    known: set[bytes] = set()
    found: dict[str, Count] = {}
    for split in SPLITS:
        keys, used, sequences = [], 0, 0
        for piece in _keys(config, [folder / f"{split}.tfrecord" for folder in folders]):
            sequences += 1
            used += bool(piece)
            keys += piece
        if split == TRAIN:
            known = set(keys)
        leaked = sum(key in known for key in keys) / max(len(keys), 1)
        found[split] = Count(sequences, used, len(keys), len(set(keys)), leaked)
    return found


def _keys(config: Config, paths: Sequence[Path]) -> Iterator[list[bytes]]:
    """The keys of the windows of each sequence."""
    converter = config.data_converter
    for path in paths:
        for sequence in data.read_note_sequences(str(path)):
            examples = converter.extract(sequence).examples
            yield [
                converter.window_key(converter.symbols(converter.dense_outputs(e.outputs)))
                for e in examples
            ]


if __name__ == "__main__":
    sys.exit(main())
