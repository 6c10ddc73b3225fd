"""Draws tables, curves and maps as PNG or SVG files; needs matplotlib but no display."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from music_vae.common import files
from music_vae.common.errors import UserError
from music_vae.common.texts import printable

SUFFIXES = (".png", ".svg")

_DPI = 150
_CELL_INCHES = 1.1
_MARGIN_INCHES = 2.0


def require_matplotlib() -> None:
    """Raises `UserError` if matplotlib is not installed.

    >>> require_matplotlib()  # it is
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise UserError("pictures need matplotlib: pip install 'music_vae[plots]'") from error


def check_picture(path: str | Path, argument: str) -> None:
    """Raises `UserError` if no picture can be drawn, or not to this path.

    >>> check_picture("map.gif", "picture")
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `picture=map.gif`: expected the name of a .png or .svg file

    Args:
      path: Path of the picture that is to be drawn.
      argument: Name of the argument that gives the path, for messages.
    """
    require_matplotlib()
    if Path(path).suffix.lower() not in SUFFIXES:
        raise UserError(f"`{argument}={path}`: expected the name of a .png or .svg file")
    files.check_writable(files.expand(path).parent, argument)


def tables(
    path: str | Path, parts: Mapping[str, Mapping[str, Mapping[str, float]]], *, unit: str
) -> None:
    """Draws tables of numbers side by side, coloured by value.

    >>> import tempfile
    >>> changes = {"note_density": {"up": 0.8, "down": -0.7}, "syncopation": {"up": 0.1, "down": 0}}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "changes.svg"
    ...     tables(path, {"melodies": changes}, unit="standard deviations")
    ...     text = path.read_text(encoding="utf-8")
    >>> [word in text for word in ("note_density", "0.80", "standard deviations")]
    [True, True, True]

    Args:
      path: Path of the PNG or SVG file.
      parts: Tables by title, each as `{row: {column: number}}`.
      unit: Unit of the numbers, for the scale of colours.
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

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "distances.svg"
    ...     panels = {"distance": {"in the latent space": [0, 1, 2], "of the data": [0, 2, 1]}}
    ...     curves(path, [0, 0.5, 1], panels, x_label="from A to B")
    ...     "in the latent space" in path.read_text(encoding="utf-8")
    True

    Args:
      path: Path of the PNG or SVG file.
      x: Horizontal positions of the points of all curves.
      panels: By the label of its vertical axis, the curves of a panel by name.
      x_label: Label of the horizontal axis.
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

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "run.svg"
    ...     panels = {"accuracy": {"validation": ([0, 100, 200], [0.1, 0.6, 0.7])}}
    ...     training(path, panels, title="cat-mel_2bar_mini", best_step=200)
    ...     "cat-mel_2bar_mini" in path.read_text(encoding="utf-8")
    True

    Args:
      path: Path of the PNG or SVG file.
      panels: By title, the curves of a panel by name, each as its steps and its values.
      title: Title of the whole picture.
      best_step: Step whose weights are kept; a vertical line marks it.
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

    >>> import tempfile
    >>> import numpy as np
    >>> points = np.array([[0.0, 0.0], [1.0, 0.5], [0.2, 1.0]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "map.svg"
    ...     names = {"axis_labels": ("z[0]", "z[1]"), "value_label": "note density"}
    ...     coloured_map(path, points, np.array([2.0, 5.0, np.nan]), title="Melodies", **names)
    ...     "note density" in path.read_text(encoding="utf-8")
    True

    Args:
      path: Path of the PNG or SVG file.
      points: Positions of the points, `[N, 2]`.
      values: Values of the points, `[N]`; a point whose value is NaN is grey.
      title: Title of the whole picture.
      axis_labels: Labels of the horizontal and the vertical axis.
      value_label: Label of the scale of colours.
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
    """Returns a figure that draws to memory and so needs no display.

    >>> new_figure((6.0, 3.0)).get_size_inches().tolist()
    [6.0, 3.0]
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size_inches, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Any, path: str | Path) -> None:
    """Writes a figure as SVG if the path ends in `.svg`, else as PNG.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(new_figure((1.0, 1.0)), Path(folder) / "empty.png")
    ...     (Path(folder) / "empty.png").read_bytes()[1:4]
    b'PNG'
    """
    with files.atomic_path(path) as temporary:
        if Path(path).suffix.lower() == ".svg":
            temporary.write_text(svg(figure), encoding="utf-8")
        else:
            _make_printable(figure)
            figure.savefig(temporary, format="png")


def svg(figure: Any) -> str:
    """Returns a figure as SVG, whose text stays text; the same figure gives the same SVG.

    >>> figure = new_figure((2.0, 1.0))
    >>> _ = figure.suptitle("Two bars")
    >>> "Two bars" in svg(figure)
    True
    """
    import matplotlib

    _make_printable(figure)
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "music_vae"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _make_printable(figure: Any) -> None:
    """Writes characters of texts that no picture can show as Python does; XML has none of them."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_text(printable(text.get_text(), keep="\n"))
