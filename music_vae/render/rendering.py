"""Renders pieces that commands made: sound and pictures beside their MIDI files, and a page."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from music_vae.common import files, progress
from music_vae.common.errors import UserError, naming
from music_vae.render import audio, piano_rolls, plotting, results_page
from music_vae.render.made import Made
from music_vae.render.soundfont import SoundFont

PICTURES = ("png", "svg")
PAGE = "html"
FORMATS = (*audio.FORMATS, *PICTURES, PAGE)
PAGE_FILE = "index.html"


@dataclasses.dataclass(frozen=True)
class Rendering:
    """The formats to render pieces in; `prepare` makes it.

    >>> Rendering(formats=("svg",)).font is None  # a picture needs no soundfont
    True

    Attributes:
      formats: Some of `FORMATS`, in their order.
      font: Soundfont to play with; None if there is no sound to render.
      loop: If True, sound is as long as the piece, to be repeated; see `audio.render`.
    """

    formats: tuple[str, ...] = ()
    font: SoundFont | None = None
    loop: bool = False


def prepare(
    names: Sequence[str],
    soundfont: str | Path | None = None,
    *,
    shape: tuple[int, int] | None = None,
    loop: bool = False,
) -> Rendering:
    """Checks that pieces can be rendered, and opens the soundfont, before any piece is made.

    >>> prepare(["html", "png"]).formats
    ('png', 'html')

    Args:
      names: Some of `FORMATS`; messages call this argument `render`.
      soundfont: Path of a soundfont; None: the default one.
      shape: Rows and columns of the pieces; see `Made`.
      loop: If True, sound is rendered as a loop; see `audio.render`.

    Raises:
      UserError: If there is no such format, a package that it needs is missing, the soundfont
        cannot be used, or there are too many pieces for one picture.
    """
    text = ",".join(names)
    named = [name.strip().lower() for name in names]
    for name in named:
        if name not in FORMATS:
            raise UserError(f"`render={text}`: expected some of {', '.join(FORMATS)}, not {name!r}")
    formats = tuple(name for name in FORMATS if name in named)
    sounds = tuple(name for name in formats if name in audio.FORMATS)
    if soundfont is not None and not sounds:
        raise UserError(f"`soundfont` is for `render` with {', '.join(audio.FORMATS)}")
    if loop and not sounds:
        raise UserError(f"`loop` is for `render` with {', '.join(audio.FORMATS)}")
    if set(formats) & {*PICTURES, PAGE}:
        plotting.require_matplotlib()
    panels = shape[0] * shape[1] if shape and set(formats) & set(PICTURES) else 0
    if panels > piano_rolls.MAX_PANELS:
        raise UserError(
            f"`render={text}`: {panels} pieces are too many for one picture; at most "
            f"{piano_rolls.MAX_PANELS}"
        )
    audio.check(sounds)
    path = files.expand(soundfont) if soundfont else None
    if not sounds:
        return Rendering(formats, None)
    with naming("soundfont", path):
        return Rendering(formats, audio.open_soundfont(path), loop)


def write(wanted: Rendering, made: Made) -> Iterator[Path]:
    """Renders pieces; yields the path of each file once it is written.

    >>> import tempfile
    >>> from music_vae.render.notebook import beat
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     midi = Path(folder) / "beat.mid"
    ...     made = Made([beat(bass="x...")], [midi], "beat", "A beat", None, {})
    ...     [path.name for path in write(prepare(["svg"]), made)]
    ['beat.svg']
    """
    yield from _sounds(wanted, made)
    yield from _pictures(wanted, made)
    yield from _page(wanted, made)


def _sounds(wanted: Rendering, made: Made) -> Iterator[Path]:
    """Writes the sound of each piece in each format."""
    if wanted.font is None:
        return
    for piece, path in _bar(zip(made.pieces, made.paths, strict=True), made, "playing"):
        samples = audio.render(piece, wanted.font, loop=wanted.loop)
        for name in wanted.formats:
            if name in audio.FORMATS:
                audio.write(samples, path.with_suffix(f".{name}"))
                yield path.with_suffix(f".{name}")


def _pictures(wanted: Rendering, made: Made) -> Iterator[Path]:
    """Writes one picture of all pieces if they have a shape, else one of each."""
    suffixes = [f".{name}" for name in wanted.formats if name in PICTURES]
    if not suffixes:
        return
    for path, figure in _figures(made):
        for suffix in suffixes:
            plotting.save(figure, path.with_suffix(suffix))
            yield path.with_suffix(suffix)


def _figures(made: Made) -> Iterator[tuple[Path, Any]]:
    """Yields pictures, each with the path that it gets, but for the suffix."""
    if made.shape is not None:
        rows, labels = (_in_rows(items, made.shape) for items in (made.pieces, made.labels))
        figure = piano_rolls.draw(rows, title=made.title, labels=labels)
        yield made.paths[0].with_name(f"{made.name}.mid"), figure
        return
    parts = zip(made.pieces, made.paths, made.labels, strict=True)
    for piece, path, label in _bar(parts, made, "drawing"):
        yield path, piano_rolls.draw([[piece]], title=f"{made.title}, {label}")


def _page(wanted: Rendering, made: Made) -> Iterator[Path]:
    """Writes the page of all pieces, whose pictures share their axes; it replaces no page."""
    if PAGE not in wanted.formats:
        return
    frame = piano_rolls.Frame.of(made.pieces)
    parts = zip(made.pieces, made.paths, made.labels, strict=True)
    pieces = [
        results_page.PagePiece(
            label, piece, path, plotting.svg(piano_rolls.draw([[piece]], frame=frame))
        )
        for piece, path, label in _bar(parts, made, "drawing")
    ]
    columns = None
    if made.shape is not None:  # a strip lies on its side
        columns = made.shape[1] if made.shape[1] > 1 else made.shape[0]
    text = results_page.page(
        pieces, title=made.title, facts=made.facts, columns=columns, heading=_heading(made)
    )
    yield files.write_new_text(made.paths[0].with_name(PAGE_FILE), text)


def _heading(made: Made) -> str:
    if made.shape is None:
        return "One piece" if len(made.pieces) == 1 else f"{len(made.pieces)} pieces"
    rows, columns = made.shape
    return f"{rows} steps on the way" if columns == 1 else f"{rows} rows of {columns}"


def _in_rows(items: Sequence[Any], shape: tuple[int, int]) -> list[Sequence[Any]]:
    rows, columns = shape
    return [items[row * columns : (row + 1) * columns] for row in range(rows)]


def _bar(items: Iterable[Any], made: Made, label: str) -> Iterable[Any]:
    return progress.bar(items, label, total=len(made.pieces))
