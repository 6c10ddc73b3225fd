"""Draws MIDI files side by side: `python docs/piano_rolls.py OUT.png A.mid B.mid ...`.

Needs matplotlib. The README's picture is an interpolation drawn by it.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pretty_midi

BAR_S = 2.0  # four quarter notes at 120 a minute


def main(output: str, *paths: str) -> None:
    """Draws one column a file, all on the same pitches."""
    pieces = [pretty_midi.PrettyMIDI(path) for path in paths]
    notes = [[n for i in piece.instruments for n in i.notes] for piece in pieces]
    low = min(n.pitch for part in notes for n in part) - 2
    high = max(n.pitch for part in notes for n in part) + 2
    figure, axes = plt.subplots(1, len(paths), figsize=(2.4 * len(paths), 2.6), sharey=True)
    colours = plt.get_cmap("viridis")
    for column, (axis, part) in enumerate(zip(axes, notes, strict=True)):
        colour = colours(0.85 * column / max(len(paths) - 1, 1))
        for note in part:
            axis.broken_barh(
                [(note.start, note.end - note.start)], (note.pitch - 0.4, 0.8), facecolors=colour
            )
        for bar in range(3):
            axis.axvline(bar * BAR_S, color="0.8", linewidth=0.8, zorder=0)
        axis.set(xlim=(0, 2 * BAR_S), ylim=(low, high), xticks=[0, BAR_S], xticklabels=["1", "2"])
        axis.set_xlabel("bar")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("MIDI pitch")
    axes[0].set_title("first tune", fontsize=9)
    axes[-1].set_title("second tune", fontsize=9)
    figure.tight_layout()
    figure.savefig(Path(output), dpi=120)


if __name__ == "__main__":
    main(*sys.argv[1:])
