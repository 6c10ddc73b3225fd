"""Piano rolls, by what is in the figure: grid, notes, hits, colours, chords, strips and grids."""

import re

import numpy as np
import pytest

from music_vae.common.lazy_imports import import_note_seq
from music_vae.music import notes_io
from music_vae.render import piano_rolls, plotting
from support.paths import TUNES


def piece(*notes, qpm=120.0, metre=None, total_time=0.0):
    """Notes (pitch, start, end) with what else they have."""
    sequence = import_note_seq().NoteSequence(total_time=total_time)
    sequence.tempos.add(qpm=qpm)
    if metre:
        sequence.time_signatures.add(numerator=metre[0], denominator=metre[1])
    for pitch, start, end, *rest in notes:
        more = {"velocity": 80, **(rest[0] if rest else {})}
        sequence.notes.add(pitch=pitch, start_time=start, end_time=end, **more)
    return sequence


def hit(pitch, start, velocity=80):
    return pitch, start, start + 0.1, {"is_drum": True, "velocity": velocity, "instrument": 9}


def boxes(axis):
    """Left, right, bottom, top of what is drawn over the grid."""
    (shapes,) = [c for c in axis.collections if c.get_zorder() == 2]
    extents = [path.get_extents() for path in shapes.get_paths()]
    return [tuple(round(float(x), 4) for x in (e.x0, e.x1, e.y0, e.y1)) for e in extents]


def colours(axis):
    (shapes,) = [c for c in axis.collections if c.get_zorder() == 2]
    return shapes.get_facecolors()


def labels(axis):
    return [text.get_text() for text in axis.get_yticklabels()]


def draw(*pieces, **options):
    return piano_rolls.draw([[p] for p in pieces], title="Title", **options)


def test_notes_lie_at_their_bars_and_pitches():
    # At 60 quarter notes a minute a bar lasts four seconds.
    figure = draw(piece((60, 0, 1), (64, 4, 6), qpm=60))
    (axis,) = figure.axes
    assert boxes(axis) == [(0, 0.25, 59.58, 60.42), (1, 1.5, 63.58, 64.42)]
    assert [text.get_text() for text in axis.get_xticklabels()] == ["1", "2"]
    assert {"C4", "D4", "E4"} <= set(labels(axis))
    assert figure.get_suptitle() == "Title"
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("bar", "pitch")


def test_the_grid_follows_the_metre():
    (axis,) = draw(piece((60, 0, 3), metre=(6, 8))).axes  # two bars of 1.5 seconds
    widths = {}
    for lines in axis.collections:
        if lines.get_zorder() == 0.5:
            places = [round(float(path.vertices[0][0]), 4) for path in lines.get_paths()]
            widths[lines.get_linewidth()[0]] = places
    assert widths[0.9] == [0, 1, 2]
    assert widths[0.6] == [round(n / 6, 4) for n in range(12) if n % 6]


def test_hits_lie_in_rows_by_name_where_they_are_struck():
    late = 0.03  # seconds: 0.015 of a bar
    (axis,) = draw(piece(hit(36, 0), hit(42, 0.5 + late), hit(38, 1.0 - late))).axes
    assert labels(axis) == ["Bass Drum 1", "Acoustic Snare", "Closed Hi Hat"]
    lefts = {round((bottom + top) / 2): left for left, _, bottom, top in boxes(axis)}
    assert lefts == {0: 0, 2: 0.265, 1: 0.485}


def test_a_late_last_hit_begins_no_new_bar():
    (axis,) = draw(piece(hit(36, 0), hit(42, 1.93), total_time=2.03)).axes
    assert len(axis.get_xticks()) == 1


def test_a_louder_note_is_darker():
    (axis,) = draw(piece(hit(36, 0, 20), hit(36, 1, 120))).axes
    soft, loud = colours(axis)[:, :3].sum(axis=1)
    assert loud < soft < 3


def test_instruments_differ_in_colour_and_are_named():
    bass = {"instrument": 1, "program": 33}
    figure = draw(piece((72, 0, 1), (40, 0, 1, bass), hit(36, 0)))
    pitches, drums = figure.axes
    assert len(boxes(pitches)) == 2
    assert len(boxes(drums)) == 1
    assert not np.allclose(*colours(pitches))
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["Acoustic Grand Piano", "Electric Bass (finger)", "Drums"]


def test_chord_symbols_stand_over_their_bars_once():
    music = piece((60, 0, 8))
    for time, text in ((0, "C"), (2, "C"), (4, "G7")):
        kind = music.TextAnnotation.CHORD_SYMBOL
        music.text_annotations.add(time=time, text=text, annotation_type=kind)
    (axis,) = draw(music).axes
    assert [(t.get_position()[0], t.get_text()) for t in axis.texts] == [(0, "C"), (2, "G7")]


def test_a_strip_shares_its_axes():
    figure = draw(piece((50, 0, 1)), piece((80, 6, 7)), labels=[["first"], ["last"]])
    assert len(figure.axes) == 2
    assert len({axis.get_ylim() for axis in figure.axes}) == 1
    assert len({axis.get_xlim() for axis in figure.axes}) == 1
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["first", "last"]
    assert [axis.get_xlabel() for axis in figure.axes] == ["", "bar"]
    top, bottom = (axis.get_position().y0 for axis in figure.axes)
    assert top > bottom


def test_a_grid_has_rows_and_columns():
    rows = [[piece((60 + row + column, 0, 1)) for column in range(3)] for row in range(2)]
    figure = piano_rolls.draw(rows, title="Grid")
    pitches = [round(boxes(axis)[0][2] + 0.42) for axis in figure.axes]
    assert pitches == [60, 61, 62, 61, 62, 63]
    lefts = [round(axis.get_position().x0, 2) for axis in figure.axes]
    assert lefts[:3] == lefts[3:] == sorted(lefts[:3])


def test_a_piece_without_notes_says_so():
    (axis,) = draw(piece()).axes
    assert [text.get_text() for text in axis.texts] == ["silence"]


def test_music_of_several_voices_from_a_file_is_drawn():
    (tune,) = notes_io.read_music_file(TUNES / "bach_bwv10_7.mid")
    (axis,) = draw(tune).axes
    assert len(boxes(axis)) == len(tune.notes)


def test_pictures_are_whole_and_repeatable(tmp_path):
    for name in ("one", "two"):
        for suffix in plotting.SUFFIXES:
            plotting.save(draw(piece((60, 0, 1))), tmp_path / f"{name}{suffix}")
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")
    texts = [(tmp_path / f"{name}.svg").read_text(encoding="utf-8") for name in ("one", "two")]
    assert texts[0] == texts[1]
    assert re.search(r"<svg[^>]*>", texts[0])
    assert "Title" in texts[0]


@pytest.mark.parametrize("pitch", [20, 99, 127])
def test_a_drum_outside_general_midi_has_its_number(pitch):
    assert piano_rolls.drum_name(pitch) == f"drum {pitch}"
