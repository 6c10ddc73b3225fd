"""Helps in notebooks: shows music with players, takes uploads, and writes beats as text.

Needs IPython, which every notebook has, and matplotlib.
"""

import base64
import html
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from music_vae.common.constants import DEFAULT_QPM, DRUMS_INSTRUMENT, OUTPUT_VELOCITY
from music_vae.common.errors import UserError
from music_vae.common.lazy_imports import import_note_seq
from music_vae.music import notes_io
from music_vae.render import audio, piano_rolls, plotting
from music_vae.render.soundfont import SoundFont

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

DRUMS = {"bass": 36, "snare": 38, "closed_hihat": 42, "open_hihat": 46, "crash": 49, "ride": 51}
"""The drums that `beat` knows, with their pitches in General MIDI."""

_STEPS_PER_QUARTER = 4
_REST = "."


def show(
    pieces: "NoteSequence | Sequence[NoteSequence]",
    labels: Sequence[str] | None = None,
    *,
    title: str = "",
    columns: int = 5,
    soundfont: str | Path | None = None,
) -> None:
    """Shows pieces: a picture of all of them, and under it a player for each.

    Outside a notebook, as here, only the names of the two objects are printed.

    >>> show(beat(snare="....x.......x...", bass="x.......x......."), title="Half time")
    <IPython.core.display.SVG object>
    <IPython.core.display.HTML object>

    Args:
      pieces: One piece or several.
      labels: Text over each picture and beside each player; by default the piece's number.
      title: Title of the whole picture.
      columns: Largest number of pieces beside each other; there are fewer if rows would differ in
        length.
      soundfont: A soundfont to play with instead of the one that is installed.

    Raises:
      UserError: If matplotlib is missing, or there are not as many labels as pieces.
    """
    from IPython.display import HTML, SVG, display

    shown = list(pieces) if isinstance(pieces, Sequence) else [pieces]
    named = list(labels or [str(number) for number in range(1, len(shown) + 1)])
    if not shown or len(named) != len(shown):
        raise UserError(f"{len(shown)} pieces need as many labels, not {len(named)}")
    plotting.require_matplotlib()
    columns = next(n for n in range(max(columns, 1), 0, -1) if len(shown) % n == 0)
    places = range(0, len(shown), columns)
    figure = piano_rolls.draw(
        [shown[n : n + columns] for n in places],
        title=title,
        labels=[named[n : n + columns] for n in places],
    )
    display(SVG(plotting.svg(figure)))
    font, kind = audio.open_soundfont(None if soundfont is None else Path(soundfont)), _format()
    players = (
        f"<div>{_player(piece, font, kind)} {html.escape(label)}</div>"
        for piece, label in zip(shown, named, strict=True)
    )
    display(HTML("\n".join(players)))


def _format() -> str:
    """Returns the format of the sounds: FLAC, a third as large as WAV, if soundfile is there."""
    try:
        audio.check(("flac",))
    except UserError:
        return "wav"
    return "flac"


def _player(piece: "NoteSequence", font: SoundFont, kind: str) -> str:
    """Returns the HTML of a player that contains the sound of a piece."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"piece.{kind}"
        audio.write(audio.render(piece, font), path)
        data = base64.b64encode(path.read_bytes()).decode("ascii")
    source = f"data:audio/{kind};base64,{data}"
    return f'<audio controls style="vertical-align:middle" src="{source}"></audio>'


class Upload:
    """A music file that the reader of a notebook chooses: on Colab, or in Jupyter by ipywidgets.

    >>> upload = Upload()  # shows a button to choose a file with
    FileUpload(...)
    >>> print(upload.read())  # nothing is chosen yet
    None
    """

    def __init__(self) -> None:
        """Asks for the file, where there is a way to."""
        self._widget: Any = None
        self._files: dict[str, bytes] = {}
        try:
            from google.colab import files
        except ImportError:
            self._ask_jupyter()
        else:
            self._files = files.upload()

    def _ask_jupyter(self) -> None:
        """Shows a widget to choose a file with, if ipywidgets is installed."""
        try:
            import ipywidgets
        except ImportError:
            print("Files can be chosen here after pip install ipywidgets; or give a path below.")
            return
        from IPython.display import display

        self._widget = ipywidgets.FileUpload(accept=",".join(notes_io.MUSIC_SUFFIXES))
        display(self._widget)

    def read(self) -> "NoteSequence | None":
        """Reads the first piece in the file that was chosen last; None if no file was chosen.

        Raises:
          UserError: If the file cannot be read.
        """
        chosen = dict(self._files)
        if self._widget is not None:
            chosen = {file["name"]: bytes(file["content"]) for file in self._widget.value}
        if not chosen:
            return None
        name, content = list(chosen.items())[-1]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"file{Path(name).suffix}"
            path.write_bytes(content)
            return notes_io.read_music_file(path)[0]


def beat(**drums: str) -> "NoteSequence":
    """Writes a beat of sixteenth notes at 120 quarter notes a minute: `x` is a hit, `.` a rest.

    >>> piece = beat(closed_hihat="x.x.x.x.", snare="....x...", bass="x.....x.")
    >>> len(piece.notes), piece.total_time
    (7, 1.0)

    Raises:
      UserError: For drums that are not in `DRUMS`, other characters, and unequal lengths.
    """
    lengths = {len(text) for text in drums.values()}
    if len(lengths) != 1:
        raise UserError("a beat needs drums, all of the same number of sixteenth notes")
    step_s = 60 / DEFAULT_QPM / _STEPS_PER_QUARTER
    sequence = import_note_seq().NoteSequence()
    sequence.total_time = lengths.pop() * step_s
    sequence.tempos.add(qpm=DEFAULT_QPM)
    for name, text in drums.items():
        if name not in DRUMS:
            raise UserError(f"unknown drum {name!r}; known are {', '.join(DRUMS)}")
        for step, character in enumerate(text):
            if character == _REST:
                continue
            if character != "x":
                raise UserError(f"{name}: {character!r} is neither x, a hit, nor ., a rest")
            sequence.notes.add(
                pitch=DRUMS[name],
                velocity=OUTPUT_VELOCITY,
                start_time=step * step_s,
                end_time=(step + 1) * step_s,
                instrument=DRUMS_INSTRUMENT,
                is_drum=True,
            )
    return sequence
