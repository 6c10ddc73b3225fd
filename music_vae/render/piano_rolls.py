"""Draws piano rolls: pictures of music, with bars and beats as a grid.

A panel shows a piece: notes by pitch, and under them drums by name. Colours tell instruments apart,
a darker note is louder, and chord symbols are written above. All panels of a picture share their
axes. Needs matplotlib but no display.
"""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from music_vae.common.constants import MAX_MIDI_PITCH, MAX_MIDI_VELOCITY, SEMITONES
from music_vae.music import notes_io
from music_vae.music.attributes import C_MAJOR
from music_vae.render import plotting

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

MAX_PANELS = 400
"""Largest number of panels in a picture; matplotlib needs some hundredths of a second for each."""

_COLOURS = ("#1f5fa8", "#c2571a", "#2a8a4a", "#8a4aa8", "#b02a4a", "#6b5a2a", "#12828c", "#5b5b5b")
_DRUM_COLOUR = "#2b2b3a"
_PALEST = 0.25  # share of a colour that is left at velocity 0
_EMPTY_PITCHES = (60, 72)  # middle C and the octave above it, where there are no notes
_HIT_BEATS = 0.11  # width of a drawn hit: about half a sixteenth note
_SIXTEENTHS = 4  # in a beat
_NOTE_NAMES = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")

_ALONE_BAR_INCHES, _BESIDE_BAR_INCHES, _MIN_BAR_INCHES = 2.6, 1.1, 0.6
_WIDTH_INCHES = (4.0, 13.0)  # width of a panel alone, unless its bars get too narrow
_CELL_WIDTH_INCHES = (1.5, 3.0)  # width of a panel beside others
_PITCH_INCHES, _PITCHES_INCHES = 0.1, (1.0, 3.5)
_DRUM_INCHES, _DRUMS_INCHES = 0.2, (0.3, 4.0)
# Heights where there are several rows: the share of a panel's own, and that of a drum, whose name
# must fit.
_SMALL, _SMALL_DRUM_INCHES = 0.4, 0.13
_MAX_INCHES = 60.0
_OVERHANG_BARS = 0.125  # a last note may end so much after its bar, as that of a late drummer does


_Box = tuple[float, float, float, float]


class Voice(NamedTuple):
    """An instrument of a piece; all drums are one voice.

    >>> Voice(instrument=1, program=33, is_drum=False).name
    'Electric Bass (finger)'

    Attributes:
      instrument: Number of the instrument in the piece.
      program: General MIDI's program, from 0.
      is_drum: True if the voice is the drums.
    """

    instrument: int
    program: int
    is_drum: bool

    @property
    def name(self) -> str:
        """Name of the instrument in General MIDI."""
        import pretty_midi

        return "Drums" if self.is_drum else pretty_midi.program_to_instrument_name(self.program)


class Frame(NamedTuple):
    """The axes and colours that all panels of a picture share.

    >>> from music_vae.music import notes_io
    >>> (tune,) = notes_io.read_music_file("examples/tunes/soldiers_joy.mid")
    >>> frame = Frame.of([tune])
    >>> frame.bars, frame.beats, frame.low, frame.high
    (17, 4, 61, 82)

    Attributes:
      bars: Number of bars that are shown.
      beats: Number of beats in a bar.
      low: Lowest pitch that is shown.
      high: Highest pitch that is shown.
      drums: Pitches of the drums, the lowest first.
      has_notes: True if pitches are shown; False if there are only drums.
      voices: Instruments, in the order of their colours.
    """

    bars: int
    beats: int
    low: int
    high: int
    drums: tuple[int, ...]
    has_notes: bool
    voices: tuple[Voice, ...]

    @classmethod
    def of(cls, pieces: "Sequence[NoteSequence]") -> "Frame":
        """Returns the smallest frame that contains all pieces, in the metre of the first one."""
        notes = [note for piece in pieces for note in piece.notes]
        pitches = [note.pitch for note in notes if not note.is_drum] or list(_EMPTY_PITCHES)
        drums = tuple(sorted({note.pitch for note in notes if note.is_drum}))
        voices = sorted({_voice(note) for note in notes}, key=lambda v: (v.is_drum, v))
        lengths = [_to_bars(piece, _length_s(piece)) for piece in pieces]
        return cls(
            max(1, math.ceil(max(lengths) - _OVERHANG_BARS)),
            _metre(pieces[0])[0],
            max(min(pitches) - 1, 0),
            min(max(pitches) + 1, MAX_MIDI_PITCH),
            drums,
            not drums or any(not note.is_drum for note in notes),
            tuple(voices),
        )

    def colour(self, voice: Voice) -> np.ndarray:
        """Returns the colour of a voice as red, green and blue, each from 0 to 1."""
        pitched = [v for v in self.voices if not v.is_drum]
        text = _DRUM_COLOUR if voice.is_drum else _COLOURS[pitched.index(voice) % len(_COLOURS)]
        return np.array([int(text[place : place + 2], 16) / 255 for place in (1, 3, 5)])

    def heights_inches(self, *, small: bool = False) -> list[float]:
        """Returns the heights of the notes and of the drums, as far as they are shown."""
        pitched = np.clip((self.high - self.low) * _PITCH_INCHES, *_PITCHES_INCHES)
        drums = len(self.drums) * (_SMALL_DRUM_INCHES if small else _DRUM_INCHES)
        drums = np.clip(drums, *_DRUMS_INCHES)
        shown = ((self.has_notes, pitched * (_SMALL if small else 1)), (self.drums, drums))
        return [float(height) for is_shown, height in shown if is_shown]

    def size_inches(self, rows: int, columns: int) -> tuple[float, float]:
        """Returns the width and the height of a picture of so many panels."""
        if columns == 1:
            width = float(np.clip(self.bars * _ALONE_BAR_INCHES, *_WIDTH_INCHES))
            width = max(width, self.bars * _MIN_BAR_INCHES)
        else:
            width = columns * float(np.clip(self.bars * _BESIDE_BAR_INCHES, *_CELL_WIDTH_INCHES))
        height = rows * (sum(self.heights_inches(small=rows > 1)) + 0.25)
        margin = 1.3 if self.drums else 0.8
        return min(width + margin, _MAX_INCHES), min(height + 1.1, _MAX_INCHES)


def draw(
    rows: "Sequence[Sequence[NoteSequence]]",
    *,
    title: str = "",
    labels: Sequence[Sequence[str]] | None = None,
    frame: Frame | None = None,
    figure: Any = None,
) -> Any:
    """Draws pieces in rows and columns: one piece, a strip (rows of one), or a grid.

    >>> from music_vae.render.notebook import beat
    >>> figure = draw([[beat(bass="x.......", snare="....x...")]], title="Two beats")
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['Bass Drum 1', 'Acoustic Snare']

    Args:
      rows: The pieces; all rows have the same length, and there are at most `MAX_PANELS`.
      title: Title of the whole picture.
      labels: Text over each panel, in rows and columns like the pieces.
      frame: Axes and colours that this picture shares with others; None: those that fit its pieces.
      figure: Part of a larger figure of matplotlib to draw in; None: a new figure.

    Returns:
      A figure of matplotlib, for `plotting.save` and `plotting.svg`.
    """
    frame = frame or Frame.of([piece for row in rows for piece in row])
    columns, heights = len(rows[0]), frame.heights_inches(small=len(rows) > 1)
    parts = len(heights)
    if figure is None:
        figure = plotting.new_figure(frame.size_inches(len(rows), columns))
    if title:
        figure.suptitle(_plain(title), fontsize=11)
    spec = figure.add_gridspec(parts * len(rows), columns, height_ratios=heights * len(rows))
    for (row, column), piece in ((rc, rows[rc[0]][rc[1]]) for rc in np.ndindex(len(rows), columns)):
        axes = [figure.add_subplot(spec[parts * row + part, column]) for part in range(parts)]
        _panel(axes, piece, frame, small=columns > 1)
        if labels:
            has_chords = any(True for _ in _chords(piece))
            pad = 16 if has_chords else 3
            axes[0].set_title(_plain(labels[row][column]), fontsize=8, loc="left", pad=pad)
        for axis in axes:
            axis.tick_params(labelleft=column == 0, left=column == 0)
            axis.tick_params(labelbottom=axis is axes[-1] and row == len(rows) - 1)
            if column:
                axis.set_ylabel("")
    for axis in figure.axes[-parts * columns :][parts - 1 :: parts]:
        axis.set_xlabel("bar", fontsize=8)
    _legend(figure, frame)
    return figure


def _panel(axes: Sequence[Any], piece: "NoteSequence", frame: Frame, *, small: bool) -> None:
    """Draws a piece on the axis of its notes, the axis of its drums, or both."""
    if frame.has_notes:
        _pitch_axis(axes[0], frame)
        _notes(axes[0], piece, frame)
    if frame.drums:
        _drum_axis(axes[-1], frame)
        _hits(axes[-1], piece, frame)
    for axis in axes:
        _bars(axis, frame, sixteenths=bool(frame.drums) and axis is axes[-1] and not small)
    if not piece.notes:
        axes[0].text(0.5, 0.5, "silence", transform=axes[0].transAxes, ha="center", va="center")
    for bar, symbol in _chords(piece):
        place = axes[0].get_xaxis_transform()
        axes[0].text(bar, 1.02, _plain(symbol), transform=place, fontsize=7, color="#444444")


def _pitch_axis(axis: Any, frame: Frame) -> None:
    """Draws the names of pitches, and the rows of the black keys a little darker."""
    axis.set_ylim(frame.low - 0.5, frame.high + 0.5)
    black = [p for p in range(frame.low, frame.high + 1) if p % SEMITONES not in C_MAJOR]
    across = [(0.0, frame.bars, pitch, 0.5) for pitch in black]
    _add(axis, across, facecolors="0.955", linewidths=0, zorder=0)
    # The white keys of an octave or so, then Cs and Gs, then Cs alone: as many as can be read.
    span = frame.high - frame.low
    named = C_MAJOR if span <= SEMITONES + 2 else (0, 7) if span <= 3 * SEMITONES else (0,)
    ticks = [p for p in range(frame.low, frame.high + 1) if p % SEMITONES in named]
    axis.set_yticks(ticks, [_pitch_name(pitch) for pitch in ticks], fontsize=6.5)
    axis.set_ylabel("pitch", fontsize=8)


def _drum_axis(axis: Any, frame: Frame) -> None:
    """Draws the name and the row of each drum."""
    axis.set_ylim(-0.6, len(frame.drums) - 0.4)
    axis.set_yticks(range(len(frame.drums)), map(drum_name, frame.drums), fontsize=6.5)
    axis.hlines(range(len(frame.drums)), 0, frame.bars, color="0.94", linewidth=0.6, zorder=0)


def _bars(axis: Any, frame: Frame, *, sixteenths: bool) -> None:
    """Draws the grid in time: bars, beats, and sixteenth notes for hits to be compared with."""
    axis.set_xlim(-0.005 * frame.bars, frame.bars * 1.005)
    step = max(1, frame.bars // 16)
    axis.set_xticks(range(0, frame.bars, step), range(1, frame.bars + 1, step), fontsize=7)
    parts = _SIXTEENTHS if sixteenths else 1
    lines = np.arange(frame.bars * frame.beats * parts + 1)
    is_bar, is_beat = lines % (frame.beats * parts) == 0, lines % parts == 0
    for chosen, colour, width in (
        (~is_beat, "0.93", 0.5),
        (is_beat & ~is_bar, "0.84", 0.6),
        (is_bar, "0.55", 0.9),
    ):
        places = lines[chosen] / (frame.beats * parts)
        whole = axis.get_xaxis_transform()
        axis.vlines(places, 0, 1, transform=whole, color=colour, linewidth=width, zorder=0.5)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(length=2)


def _notes(axis: Any, piece: "NoteSequence", frame: Frame) -> None:
    """Draws each note as a box from its start to its end."""
    notes = [note for note in piece.notes if not note.is_drum]
    boxes = [
        (_to_bars(piece, n.start_time), _to_bars(piece, n.end_time), n.pitch, 0.42) for n in notes
    ]
    _boxes(axis, boxes, notes, frame)


def _hits(axis: Any, piece: "NoteSequence", frame: Frame) -> None:
    """Draws each hit as a box whose left edge is the time of the stroke."""
    notes = [note for note in piece.notes if note.is_drum]
    width = _HIT_BEATS / frame.beats
    starts = [_to_bars(piece, note.start_time) for note in notes]
    rows = [frame.drums.index(note.pitch) for note in notes]
    boxes = [(start, start + width, row, 0.36) for start, row in zip(starts, rows, strict=True)]
    _boxes(axis, boxes, notes, frame)


def _boxes(axis: Any, boxes: Sequence[_Box], notes: Sequence[Any], frame: Frame) -> None:
    """Draws boxes in the colours of their notes."""
    shades = [
        _shade(frame.colour(_voice(note)), note.velocity / MAX_MIDI_VELOCITY) for note in notes
    ]
    _add(axis, boxes, facecolors=shades, edgecolors="white", linewidths=0.4, zorder=2)


def _add(axis: Any, boxes: Sequence[_Box], **look: Any) -> None:
    """Adds boxes (left, right, middle, half the height) to an axis."""
    from matplotlib.collections import PolyCollection

    corners = [
        [(left, y - half), (left, y + half), (right, y + half), (right, y - half)]
        for left, right, y, half in boxes
    ]
    axis.add_collection(PolyCollection(corners, **look), autolim=False)


def _shade(colour: np.ndarray, loudness: float) -> np.ndarray:
    """Returns a colour that is paler the softer a note is; `loudness` is from 0 to 1."""
    amount = _PALEST + (1 - _PALEST) * loudness
    return amount * colour + (1 - amount)


def _legend(figure: Any, frame: Frame) -> None:
    """Draws the names of the instruments in their colours, if there are several."""
    from matplotlib.patches import Patch

    if len(frame.voices) < 2:
        return
    names = [voice.name for voice in frame.voices]
    patches = [
        Patch(
            color=frame.colour(voice),
            label=f"{name} ({voice.instrument})" if names.count(name) > 1 else name,
        )
        for voice, name in zip(frame.voices, names, strict=True)
    ]
    figure.legend(handles=patches, loc="outside lower center", ncols=4, frameon=False, fontsize=7.5)


# -- Facts about a piece --------------------------------------------------------------------------


def drum_name(pitch: int) -> str:
    """Returns General MIDI's name of a drum, or its number if it has no name.

    >>> drum_name(38)
    'Acoustic Snare'
    """
    import pretty_midi

    return pretty_midi.note_number_to_drum_name(pitch) or f"drum {pitch}"


def _plain(text: str) -> str:
    """Returns text in which matplotlib sees no formulas."""
    return text.replace("$", r"\$")


def _pitch_name(pitch: int) -> str:
    """Returns the name of a pitch, such as `C4` for middle C."""
    return f"{_NOTE_NAMES[pitch % SEMITONES]}{pitch // SEMITONES - 1}"


def _voice(note: Any) -> Voice:
    return Voice(0, 0, True) if note.is_drum else Voice(note.instrument, note.program, False)


def _chords(piece: "NoteSequence") -> Iterable[tuple[float, str]]:
    """Yields chord symbols and their start in bars; a chord that goes on is given once."""
    last = None
    for text in sorted(piece.text_annotations, key=lambda text: text.time):
        if text.annotation_type == text.CHORD_SYMBOL and text.text != last:
            yield _to_bars(piece, text.time), text.text
            last = text.text


def _length_s(piece: "NoteSequence") -> float:
    return max([piece.total_time, *(note.end_time for note in piece.notes)])


def _metre(piece: "NoteSequence") -> tuple[int, float]:
    """Returns beats and quarter notes of a bar, by the first time signature; 4/4 by default."""
    first = min(piece.time_signatures, key=lambda signature: signature.time, default=None)
    if first is None or first.numerator < 1 or first.denominator < 1:
        return 4, 4.0
    return first.numerator, 4 * first.numerator / first.denominator


def _to_bars(piece: "NoteSequence", time_s: float) -> float:
    """Converts seconds to bars, by the tempo and the metre at the beginning."""
    return time_s * notes_io.tempo_of(piece) / 60 / _metre(piece)[1]
