"""Draws how the music of a model differs from real music: its features, and pieces of both."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from music_vae.render import piano_rolls, plotting

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

_COLUMNS = 5
_PANEL_INCHES = (2.3, 1.45)
_BINS = 16
_REAL_COLOUR = "0.78"
_COLOURS = ("#c2571a", "#8a4aa8", "#1f5fa8", "#2a8a4a", "#b02a4a")
_EXTREMES = (1, 99)  # percentiles; what lies beyond is counted in the first and the last bin


def draw(
    path: str | Path,
    features: Mapping[str, Mapping[str, np.ndarray]],
    pieces: "Mapping[str, Sequence[NoteSequence]]",
    *,
    title: str,
) -> None:
    """Draws a panel with the distributions of each feature, and piano rolls under them.

    >>> import tempfile
    >>> from music_vae.render.notebook import beat
    >>> drums = [beat(bass="x.......", snare="....x...")]
    >>> real, made = {"toms": np.array([0.0, 1.0, 3.0])}, {"toms": np.array([0.0, 4.0])}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "drums.svg")
    ...     draw(path, {"held-out": real, "prior": made}, {"held-out": drums, "prior": drums},
    ...         title="Drums")
    ...     text = path.read_text(encoding="utf-8")
    >>> [word in text for word in ("toms", "held-out", "prior", "Acoustic Snare")]
    [True, True, True, True]

    Args:
      path: Path of the PNG or SVG file.
      features: By kind of music, the real one first, the features `[N]` of its windows by name.
      pieces: By kind of music, as many pieces of each kind; each kind is a row.
      title: Title of the whole picture.
    """
    names = [n for n in next(iter(features.values())) if _known(features, n)]
    panel_rows = max(1, math.ceil(len(names) / _COLUMNS))
    rows = list(pieces.values())
    frame = piano_rolls.Frame.of([piece for row in rows for piece in row])
    width, rolls_height = frame.size_inches(len(rows), len(rows[0]))
    height = panel_rows * _PANEL_INCHES[1] + 0.8
    figure = plotting.new_figure((max(width, _COLUMNS * _PANEL_INCHES[0]), height + rolls_height))
    figure.suptitle(title, fontsize=11)
    upper, lower = figure.subfigures(2, 1, height_ratios=[height, rolls_height])
    axes = upper.subplots(panel_rows, _COLUMNS, squeeze=False).reshape(-1)
    for axis, name in zip(axes, names, strict=False):
        _panel(axis, {kind: own[name] for kind, own in features.items()})
        axis.set_title(name, fontsize=8)
    for axis in axes[len(names) :]:
        axis.set_visible(False)
    handles, labels = axes[0].get_legend_handles_labels()
    upper.legend(handles, labels, loc="outside lower center", ncols=6, frameon=False, fontsize=8)
    shown = [[f"{kind} {n + 1}" for n in range(len(row))] for kind, row in pieces.items()]
    piano_rolls.draw(rows, labels=shown, frame=frame, figure=lower)
    plotting.save(figure, path)


def _known(features: Mapping[str, Mapping[str, np.ndarray]], name: str) -> bool:
    return any(np.isfinite(own[name]).any() for own in features.values())


def _panel(axis: Any, values: Mapping[str, np.ndarray]) -> None:
    """Draws the distributions of a feature: the first filled, the others as lines."""
    numbers = {kind: own[np.isfinite(own)] for kind, own in values.items()}
    low, high = np.percentile(np.concatenate(list(numbers.values())), _EXTREMES)
    edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    for number, (kind, own) in enumerate(numbers.items()):
        counts, _ = np.histogram(np.clip(own, edges[0], edges[-1]), edges)
        shares = counts / max(len(own), 1)
        if number:
            colour = _COLOURS[(number - 1) % len(_COLOURS)]
            axis.stairs(shares, edges, color=colour, linewidth=1.1, label=kind)
        else:
            axis.stairs(shares, edges, fill=True, color=_REAL_COLOUR, label=kind)
    axis.set_yticks([])
    axis.tick_params(labelsize=6.5, length=2)
    axis.spines[["top", "right", "left"]].set_visible(False)
