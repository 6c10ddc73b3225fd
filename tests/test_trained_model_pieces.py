"""`TrainedModel` takes pieces in every form, and what it makes has their tempo."""

import itertools

import numpy as np
import pretty_midi
import pytest
from note_seq.protobuf.music_pb2 import NoteSequence

import music_vae
from music_vae.common.errors import MultipleExtractedExamplesError, UserError
from music_vae.latent import grooves
from music_vae.music import notes_io
from support.paths import ROOT, TUNES

FIRST, LAST = sorted((ROOT / "examples" / "two_bars").glob("*.mid"))
SLOW = 90.0


@pytest.fixture(scope="module")
def model():
    return music_vae.load("melody")


@pytest.fixture(scope="module")
def slow():
    """Two bars of a tune at 90 quarter notes a minute."""
    return notes_io.with_tempo(music_vae.read(FIRST), SLOW)


def notes(sequence):
    return [(note.pitch, note.start_time, note.end_time) for note in sequence.notes]


def tempos(made):
    return {notes_io.tempo_of(piece) for piece in made}


def test_pieces_are_taken_in_every_form(model):
    first, last = music_vae.read(FIRST), music_vae.read(LAST)
    expected = [notes(piece) for piece in model.interpolate(first, last, 3, seed=1)]
    for start, end in (
        (str(FIRST), str(LAST)),
        (FIRST, last),
        (pretty_midi.PrettyMIDI(str(FIRST)), [LAST]),
    ):
        assert [notes(piece) for piece in model.interpolate(start, end, 3, seed=1)] == expected
    path = model.interpolate_path([str(FIRST), pretty_midi.PrettyMIDI(str(LAST))], 3, seed=1)
    assert len(path) == 3
    grid = model.interpolate_grid([FIRST, LAST, str(FIRST), last], 2, 2, seed=1)
    assert [len(row) for row in grid] == [2, 2]


@pytest.mark.parametrize("form", [str, lambda path: path, music_vae.read, lambda path: [path]])
def test_one_piece_by_itself_does_where_several_may_stand(model, form):
    _, mu, _ = model.encode(form(FIRST))
    np.testing.assert_array_equal(mu, model.encode([music_vae.read(FIRST)])[1])
    assert len(model.reconstruct(form(FIRST), seed=1)) == 1
    assert len(model.similar(form(FIRST), 2, seed=1)) == 2


def test_windows_are_those_of_each_piece(model):
    tunes = [TUNES / "soldiers_joy.mid", FIRST]
    each = [model.windows(tune) for tune in tunes]
    assert len(each[0]) > len(each[1]) == 1
    assert model.windows(tunes) == [*each[0], *each[1]]


def test_what_is_made_of_pieces_has_the_tempo_of_the_first(model, slow):
    other = music_vae.read(LAST)
    made = [
        *model.interpolate(slow, other, 3, seed=1),
        *model.interpolate_path([slow, other], 3, seed=1),
        *itertools.chain(*model.interpolate_grid([slow, other, other, other], 2, 2, seed=1)),
        *model.similar(slow, 2, seed=1),
        *model.reconstruct(slow, seed=1),
        *model.windows(slow),
    ]
    assert tempos(made) == {SLOW}
    assert {piece.total_time for piece in made} == {8 * 60 / SLOW}
    assert tempos(model.interpolate(other, slow, 3, seed=1)) == {120.0}
    assert tempos(model.sample(1, seed=1)) == {120.0}


def test_pieces_that_are_reconstructed_keep_their_own_tempos(model, slow):
    made = model.reconstruct([music_vae.read(LAST), slow], temperature=0.1, seed=1)
    assert [notes_io.tempo_of(piece) for piece in made] == [120.0, SLOW]
    fast = model.reconstruct([music_vae.read(LAST), FIRST], temperature=0.1, seed=1)
    assert notes(made[0]) == notes(fast[0])
    factor = 120 / SLOW
    stretched = [(p, start * factor, end * factor) for p, start, end in notes(fast[1])]
    np.testing.assert_allclose(notes(made[1]), stretched)


@pytest.mark.parametrize("qpm", [47.0, 97.3, 133.7, 288.0])
def test_windows_at_any_tempo_can_be_encoded(model, qpm):
    tune = music_vae.read(TUNES / "soldiers_joy.mid")
    parts = model.windows(notes_io.with_tempo(tune, qpm))
    same = model.windows(tune)
    assert len(parts) == len(same)
    np.testing.assert_allclose(model.encode(parts)[1], model.encode(same)[1], atol=1e-6)


def beats(qpm, *changes):
    """A bass drum on each of eight beats, of which the last four may be at another tempo."""
    pattern = NoteSequence(tempos=[{"qpm": qpm}])
    second = 0.0
    for number in range(8):
        if number == 4 and changes:
            (qpm,) = changes
            pattern.tempos.add(time=second, qpm=qpm)
        pattern.notes.add(
            pitch=36, velocity=80, start_time=second, end_time=second + 0.1, is_drum=True
        )
        second += 60 / qpm
    pattern.total_time = second
    return pattern


def test_a_groove_keeps_its_tempos(tmp_path):
    model = music_vae.load("groove")
    stiff = grooves.Playing(timing=0, velocity=0)
    for pattern in (beats(120.0), beats(90.0), beats(120.0, 60.0)):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.mid"
        music_vae.save(pattern, path)
        for form in (pattern, path, str(path), pretty_midi.PrettyMIDI(str(path)), [path]):
            (played,) = grooves.reconstruct(model, form, playing=stiff, seed=0)
            starts = [note.start_time for note in pattern.notes]
            assert [note.start_time for note in played.notes] == pytest.approx(starts, abs=2e-3)
            changes = [(tempo.time, round(tempo.qpm, 3)) for tempo in pattern.tempos]
            assert [(tempo.time, round(tempo.qpm, 3)) for tempo in played.tempos] == changes
    with pytest.raises(UserError, match="`sequence` must be a NoteSequence, a PrettyMIDI, or"):
        grooves.reconstruct(model, 3)


def test_what_does_not_fit_is_said_with_a_way_out(model, tmp_path):
    with pytest.raises(MultipleExtractedExamplesError, match="gives 16 examples") as found:
        model.encode(TUNES / "soldiers_joy.mid")
    assert "`windows`" in found.value.hint
    path = tmp_path / "two.abc"
    path.write_text("X:1\nK:C\nCDEF|\n\nX:2\nK:C\nCDEF|\n")
    with pytest.raises(UserError, match=r"`note_sequences\[1\]=.*two.abc`: it holds 2 tunes"):
        model.encode([FIRST, path])
    with pytest.raises(UserError, match=r"`start_sequence=nowhere\.mid`: no such file"):
        model.interpolate("nowhere.mid", FIRST)
    with pytest.raises(UserError, match="`end_sequence` must be one piece, not a list of 2"):
        model.interpolate(FIRST, [FIRST, LAST])
