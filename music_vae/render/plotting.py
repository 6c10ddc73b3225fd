"""Pictures of figures, as PNG or SVG files; needs matplotlib but no display."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from music_vae.common import files
from music_vae.common.errors import UserError

SUFFIXES = (".png", ".svg")

_DPI = 150
_CELL_INCHES = 1.1
_MARGIN_INCHES = 2.0


def require_matplotlib() -> None:
    """Raises `UserError` if there is no matplotlib."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise UserError("pictures need matplotlib: pip install 'music_vae[plots]'") from error


def check_picture(path: str | Path, argument: str) -> None:
    """Raises `UserError` if no picture can be drawn, or not to this path.

    Args:
      path: The file that is to be drawn.
      argument: The name of the argument that gives it, for messages.
    """
    require_matplotlib()
    if Path(path).suffix.lower() not in SUFFIXES:
        raise UserError(f"`{argument}={path}`: expected the name of a .png or .svg file")
    files.check_writable(Path(path).expanduser().parent, argument)


def tables(
    path: str | Path, parts: Mapping[str, Mapping[str, Mapping[str, float]]], *, unit: str
) -> None:
    """Draws tables of numbers side by side, coloured by value.

    Args:
      path: The PNG or SVG file.
      parts: Tables by title: rows of columns.
      unit: What the numbers are in, for the scale of colours.
    """
    import numpy as np

    rows = list(next(iter(parts.values())))
    columns = list(next(iter(parts.values()))[rows[0]])
    arrays = {
        title: np.array([[part[row][column] for column in columns] for row in rows])
        for title, part in parts.items()
    }
    most = max([np.nanmax(np.abs(array), initial=0.0) for array in arrays.values()]) or 1.0
    size = (
        len(parts) * (_CELL_INCHES * len(columns)) + _MARGIN_INCHES,
        _CELL_INCHES * len(rows) * 0.6 + _MARGIN_INCHES,
    )
    figure = new_figure(size)
    axes = figure.subplots(1, len(parts), squeeze=False, sharey=True)[0]
    for axis, (title, array) in zip(axes, arrays.items(), strict=True):
        image = axis.imshow(array, cmap="RdBu", vmin=-most, vmax=most, aspect="auto")
        axis.set_title(title)
        axis.set_xticks(range(len(columns)), columns, rotation=30, ha="right")
        axis.set_yticks(range(len(rows)), rows)
        for (row, column), value in np.ndenumerate(array):
            dark = abs(value) > 0.6 * most
            colour = "white" if dark else "black"
            axis.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour)
    figure.colorbar(image, ax=list(axes), label=unit)
    save(figure, path)


def curves(
    path: str | Path,
    x: Sequence[float],
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    *,
    x_label: str,
) -> None:
    """Draws panels of curves below each other.

    Args:
      path: The PNG or SVG file.
      x: The places of all curves.
      panels: By the label of its vertical axis, the curves of a panel by name.
      x_label: The label of the horizontal axis.
    """
    figure = new_figure((6.0, 3.0 * len(panels)))
    axes = figure.subplots(len(panels), 1, squeeze=False, sharex=True)[:, 0]
    for axis, (label, lines) in zip(axes, panels.items(), strict=True):
        for name, y in lines.items():
            axis.plot(x, y, marker="o", label=name)
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
    axes[0].legend()
    axes[-1].set_xlabel(x_label)
    save(figure, path)


def training(
    path: str | Path,
    panels: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]],
    *,
    title: str,
    best_step: float,
) -> None:
    """Draws the curves of a training run beside each other.

    Args:
      path: The PNG or SVG file.
      panels: By title, the curves of a panel by name: steps and values.
      title: Of the whole.
      best_step: Where a line marks the weights that are kept.
    """
    figure = new_figure((3.4 * len(panels), 2.8))
    figure.suptitle(title, fontsize=10)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (label, lines) in zip(axes, panels.items(), strict=True):
        for name, (steps, values) in lines.items():
            axis.plot(steps, values, label=name)
        axis.axvline(best_step, color="0.7", linewidth=0.8, label="shipped")
        axis.set_title(label, fontsize=9)
        axis.set_xlabel("step")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False, fontsize=8)
    save(figure, path)


def coloured_map(
    path: str | Path,
    points: Any,
    values: Any,
    *,
    title: str,
    axis_labels: Sequence[str],
    value_label: str,
) -> None:
    """Draws points on a plane, coloured by a value.

    Args:
      path: The PNG or SVG file.
      points: `[N, 2]`.
      values: `[N]`; a point whose value is NaN is grey.
      title: Of the whole.
      axis_labels: What the horizontal and the vertical axis are.
      value_label: What the value is.
    """
    import numpy as np

    known = ~np.isnan(values)
    figure = new_figure((6.2, 5.0))
    axis = figure.subplots()
    size = float(np.clip(20000 / max(len(points), 1), 6, 30))
    axis.scatter(*points[~known].T, s=size, color="0.8", linewidths=0)
    shown = axis.scatter(
        *points[known].T, s=size, c=values[known], cmap="viridis", linewidths=0, alpha=0.8
    )
    axis.set_title(title, fontsize=10)
    axis.set_xlabel(axis_labels[0])
    axis.set_ylabel(axis_labels[1])
    axis.set_aspect("equal", adjustable="datalim")
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(alpha=0.25)
    figure.colorbar(shown, ax=axis, label=value_label)
    save(figure, path)


def new_figure(size_inches: tuple[float, float]) -> Any:
    """A figure that draws to memory, whatever display there is."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size_inches, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Any, path: str | Path) -> None:
    """Writes a figure, as SVG if the path ends so, else as PNG."""
    with files.atomic_path(path) as temporary:
        if Path(path).suffix.lower() == ".svg":
            temporary.write_text(svg(figure), encoding="utf-8")
        else:
            figure.savefig(temporary, format="png")


def svg(figure: Any) -> str:
    """A figure as SVG, whose text stays text; the same figure gives the same SVG."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "music_vae"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
