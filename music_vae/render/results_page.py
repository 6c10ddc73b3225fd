"""Makes a page of results: one HTML file, which needs no network, to see and hear pieces.

The page contains the pictures of the pieces as SVG, their MIDI files, and their notes, which a
small synthesizer in the page plays.
"""

import base64
import html
import json
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import music_vae

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

_TEMPLATE = "results.html"
_FIELD = re.compile(r"\{\{(\w+)\}\}")
_CELL = "minmax(9rem, 1fr)"  # width of each of the pieces beside each other


class PagePiece(NamedTuple):
    """A piece on the page.

    >>> from music_vae.music import notes_io
    >>> midi = Path("examples/tunes/soldiers_joy.mid")
    >>> (tune,) = notes_io.read_music_file(midi)
    >>> piece = PagePiece("1 of 1", tune, midi, "<svg/>")
    >>> piece.label, len(piece.sequence.notes)
    ('1 of 1', 112)

    Attributes:
      label: Name of the piece, as in '1 of 5'.
      sequence: Notes of the piece.
      midi: Path of its MIDI file, whose content the page gets.
      picture: Picture of the piece, as the text of an SVG file.
    """

    label: str
    sequence: "NoteSequence"
    midi: Path
    picture: str


def page(
    pieces: Sequence[PagePiece],
    *,
    title: str,
    facts: Mapping[str, str],
    columns: int | None,
    heading: str,
) -> str:
    """Returns the page as HTML.

    >>> from music_vae.music import notes_io
    >>> midi = Path("examples/tunes/soldiers_joy.mid")
    >>> pieces = [PagePiece("tune", notes_io.read_music_file(midi)[0], midi, "<svg/>")]
    >>> facts = {"temperature": "0.5"}
    >>> text = page(pieces, title="Samples", facts=facts, columns=None, heading="One piece")
    >>> [line for line in text.splitlines() if "<dt>" in line]
    ['<div><dt>temperature</dt><dd>0.5</dd></div>']

    Args:
      pieces: Pieces in reading order; at least one.
      title: Title of the page.
      facts: Facts about all pieces, by name, such as the temperature.
      columns: Number of columns of pieces; None: as many as fit.
      heading: Heading over the pieces.
    """
    about = " · ".join(f"{name} {value}" for name, value in facts.items())
    across = f"repeat({columns}, {_CELL})" if columns else "repeat(auto-fill, minmax(15rem, 1fr))"
    fields = {
        "title": html.escape(title),
        "heading": html.escape(heading),
        "facts": "\n".join(
            f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>"
            for name, value in facts.items()
        ),
        "columns": across,
        "step": str(columns or 1),
        "pieces": "\n".join(_item(piece, about) for piece in pieces),
        "notes": _script_json([_notes(piece.sequence) for piece in pieces]),
        "footer": f"Made by music_vae {html.escape(music_vae.__version__)}.",
    }
    template = resources.files("music_vae.render") / "templates" / _TEMPLATE
    # In one pass, so that nothing is replaced in the text that was put in.
    return _FIELD.sub(lambda match: fields[match[1]], template.read_text(encoding="utf-8"))


def _item(piece: PagePiece, about: str) -> str:
    """Returns the HTML of a piece in the list: a picture to click, its name, and its MIDI file."""
    picture = _data_uri("image/svg+xml", piece.picture.encode())
    midi = _data_uri("audio/midi", piece.midi.read_bytes())
    label, name = html.escape(piece.label), html.escape(piece.midi.name)
    notes = len(piece.sequence.notes)
    description = f"Piano roll of {label}, {notes} note{'' if notes == 1 else 's'}"
    return (
        f'<li data-about="{html.escape(about)}"><button type="button">'
        f'<img src="{picture}" alt="{description}"><span class="label">{label}</span></button>'
        f'<div class="under"><a download="{name}" href="{midi}">MIDI</a></div></li>'
    )


def _notes(sequence: "NoteSequence") -> dict[str, object]:
    """Returns the notes to play: start, length, pitch, velocity, program, and 1 for a drum."""
    notes = [
        [
            round(note.start_time, 4),
            round(note.end_time - note.start_time, 4),
            note.pitch,
            note.velocity,
            note.program,
            int(note.is_drum),
        ]
        for note in sorted(sequence.notes, key=lambda note: note.start_time)
    ]
    length = max([sequence.total_time, *(note.end_time for note in sequence.notes)])
    return {"length": round(length, 4), "notes": notes}


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _script_json(value: object) -> str:
    """Returns JSON that cannot end the script element that contains it."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")
