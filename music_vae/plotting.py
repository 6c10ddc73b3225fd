"""Pictures of figures, as PNG files; needs matplotlib but no display."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from music_vae import files
from music_vae.errors import UserError

_DPI = 150
_CELL_INCHES = 1.1
_MARGIN_INCHES = 2.0


def require_matplotlib() -> None:
    """Raises `UserError` if there is no matplotlib."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise UserError("pictures need matplotlib: pip install 'music_vae[plots]'") from error


def check_picture(path: str | Path, flag: str) -> None:
    """Raises `UserError` if no picture can be drawn, or not to this path."""
    require_matplotlib()
    if Path(path).suffix.lower() != ".png":
        raise UserError(f"--{flag}={path}: expected the name of a .png file")
    files.check_writable(Path(path).expanduser().parent, flag)


def tables(
    path: str | Path, parts: Mapping[str, Mapping[str, Mapping[str, float]]], *, unit: str
) -> None:
    """Draws tables of numbers side by side, coloured by value.

    Args:
      path: The PNG file.
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
    figure = _figure(size)
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
    _save(figure, path)


def curves(
    path: str | Path,
    x: Sequence[float],
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    *,
    x_label: str,
) -> None:
    """Draws panels of curves below each other.

    Args:
      path: The PNG file.
      x: The places of all curves.
      panels: By the label of its vertical axis, the curves of a panel by name.
      x_label: The label of the horizontal axis.
    """
    figure = _figure((6.0, 3.0 * len(panels)))
    axes = figure.subplots(len(panels), 1, squeeze=False, sharex=True)[:, 0]
    for axis, (label, lines) in zip(axes, panels.items(), strict=True):
        for name, y in lines.items():
            axis.plot(x, y, marker="o", label=name)
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
    axes[0].legend()
    axes[-1].set_xlabel(x_label)
    _save(figure, path)


def _figure(size_inches: tuple[float, float]) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size_inches, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)  # draws to memory, whatever display there is
    return figure


def _save(figure: Any, path: str | Path) -> None:
    with files.atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")
