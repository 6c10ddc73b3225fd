"""`TrainedModel` on a tiny run: notes in, notes out."""

import numpy as np
import pytest

from music_vae import TrainedModel
from music_vae.common.errors import (
    MultipleExtractedExamplesError,
    NoExtractedExamplesError,
    UserError,
)
from music_vae.music import notes_io
from music_vae.weights import config_file
from support.paths import TUNES


@pytest.fixture(scope="module")
def model(tiny_run, tiny_config):
    return TrainedModel(tiny_config, 2, tiny_run)


@pytest.fixture(scope="module")
def windows(tiny_config):
    """Three pieces of one window each."""
    converter = tiny_config.data_converter
    (tune,) = notes_io.read_music_file(TUNES / "soldiers_joy.mid")
    return converter.from_tensors(converter.to_tensors(tune).outputs[:3])


def notes(sequence):
    return [(note.pitch, note.start_time, note.end_time) for note in sequence.notes]


@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_the_same_seed_gives_the_same_music_with_either_engine(
    tiny_run, tiny_config, model, windows, temperature
):
    other = TrainedModel(tiny_config, 3, tiny_run, engine="tensorflow")
    sampled, interpolated = (
        [[notes(piece) for piece in make(m)] for m in (model, other)]
        for make in (
            lambda m: m.sample(7, temperature=temperature, seed=11),
            lambda m: m.interpolate(*windows[:2], temperature=temperature, seed=11),
        )
    )
    assert sampled[0] == sampled[1]
    assert interpolated[0] == interpolated[1]
    first, second = (m.encode(windows, seed=2) for m in (model, other))
    np.testing.assert_allclose(first, second, atol=1e-5)


@pytest.mark.parametrize("engine", ["numpy", "tensorflow"])
def test_a_file_of_weights_is_enough(tiny_run, tiny_config, model, tmp_path, engine):
    path = tmp_path / "mine.safetensors"
    path.write_bytes((tiny_run / "train" / "weights.safetensors").read_bytes())
    other = TrainedModel(tiny_config, 2, path, engine=engine)
    expected = [notes(piece) for piece in model.sample(2, seed=1)]
    assert [notes(piece) for piece in other.sample(2, seed=1)] == expected


def test_an_unknown_engine_is_refused(tiny_run, tiny_config):
    with pytest.raises(UserError, match="unknown engine 'jax'; known are numpy, tensorflow"):
        TrainedModel(tiny_config, 2, tiny_run, engine="jax")


def test_samples_are_music_of_the_asked_length(model):
    pieces = model.sample(n=5, length=32, temperature=1.0, seed=1)
    assert len(pieces) == 5
    assert all(piece.total_time <= 4.0 for piece in pieces)
    assert any(piece.notes for piece in pieces)


def test_the_same_seed_gives_the_same_music_whatever_the_batch_size(tiny_run, tiny_config, model):
    whole = TrainedModel(tiny_config, 5, tiny_run)
    first = [notes(piece) for piece in whole.sample(5, seed=7)]
    assert first == [notes(piece) for piece in model.sample(5, seed=7)]
    assert first != [notes(piece) for piece in model.sample(5, seed=8)]
    assert len({str(piece) for piece in first}) > 1


def test_without_a_seed_every_call_differs(model):
    one, two = ([notes(piece) for piece in model.sample(4)] for _ in range(2))
    assert one != two


def test_one_z_for_all_gives_one_piece_where_nothing_is_left_to_chance(model):
    pieces = model.sample(3, temperature=0.0, same_z=True, seed=1)
    assert notes(pieces[0]) == notes(pieces[1]) == notes(pieces[2])


def test_encoding_gives_a_vector_per_piece(model, windows):
    z, mu, sigma = model.encode(windows, assert_same_length=True, seed=3)
    assert z.shape == mu.shape == sigma.shape == (3, 4)
    assert (sigma > 0).all()
    again, _, _ = model.encode(windows, seed=3)
    np.testing.assert_array_equal(z, again)
    np.testing.assert_allclose(model.encode(windows[1:2])[1][0], mu[1], atol=1e-6)


def test_an_interpolation_ends_where_its_pieces_are_decoded(model, windows):
    path = model.interpolate(windows[0], windows[1], num_steps=4, temperature=0.0)
    _, mu, _ = model.encode(windows[:2])
    ends = model.decode(mu, temperature=0.0)
    assert len(path) == 4
    assert [notes(path[0]), notes(path[-1])] == [notes(end) for end in ends]


def test_a_piece_without_an_example_is_an_error_that_says_why(model):
    (ragtime,) = notes_io.read_music_file(TUNES / "maple-leaf-rag.mid")
    with pytest.raises(NoExtractedExamplesError, match="time signature 2/4"):
        model.encode([ragtime])


def test_a_piece_of_several_examples_is_an_error_that_says_how_many(model):
    (tune,) = notes_io.read_music_file(TUNES / "soldiers_joy.mid")
    with pytest.raises(MultipleExtractedExamplesError, match="gives 16 examples; expected one"):
        model.encode([tune])


def test_the_windows_of_a_longer_piece_can_be_encoded(model):
    (tune,) = notes_io.read_music_file(TUNES / "soldiers_joy.mid")
    windows = model.windows(tune)
    assert len(windows) == 16
    assert all(max(note.end_time for note in window.notes) <= 4.0 for window in windows)
    tensors = model.converter.to_tensors(tune)
    _, expected, _ = model.encode_tensors(tensors.inputs, tensors.lengths)
    _, mu, _ = model.encode(windows)
    np.testing.assert_allclose(mu, expected, atol=1e-6)
    with pytest.raises(NoExtractedExamplesError, match="gives no example: "):
        model.windows(type(tune)())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"z": np.zeros((2, 3))}, r"`z` has shape \[2, 3\]; expected \[N, 4\]"),
        ({"z": np.zeros((2, 4)), "temperature": -1.0}, "`temperature=-1.0` must be at least 0"),
        (
            {"z": np.zeros((2, 4)), "temperature": np.nan},
            "`temperature=nan` must be a number from 0",
        ),
        ({"z": np.zeros((2, 4)), "length": 0}, "`length=0` must be at least 1"),
        ({"z": np.zeros((2, 4)), "c_input": np.zeros((32, 3))}, "has no control"),
    ],
)
def test_wrong_arguments_are_named(model, arguments, message):
    with pytest.raises(UserError, match=message):
        model.decode(**arguments)


def test_a_seed_below_zero_is_refused(model):
    with pytest.raises(UserError, match="`seed=-1` must not be below 0"):
        model.sample(1, seed=-1)
    with pytest.raises(UserError, match="`seed=-1` must not be below 0"):
        model.decode(np.zeros((1, 4)), seed=-1)
    with pytest.raises(UserError, match="`n=-1` must be at least 0"):
        model.sample(-1)


def test_a_model_without_its_encoder_samples_the_same_and_cannot_encode(
    tiny_run, tiny_config, model, windows
):
    decoder = TrainedModel(tiny_config, 2, tiny_run, with_encoder=False)
    first, second = (notes(m.sample(1, seed=5)[0]) for m in (model, decoder))
    assert first == second
    with pytest.raises(UserError, match="this model has no encoder"):
        decoder.encode(windows)


def test_a_way_through_pieces_begins_and_ends_as_they_are_reconstructed(model, windows):
    way = model.interpolate_path(windows, 7, temperature=0.0)
    ends = model.reconstruct([windows[0], windows[2]], temperature=0.0)
    assert len(way) == 7
    assert [notes(piece) for piece in (way[0], way[-1])] == [notes(piece) for piece in ends]


def test_a_way_between_two_pieces_is_the_interpolation(model, windows):
    way = model.interpolate_path(windows[:2], 4, seed=2)
    expected = model.interpolate(*windows[:2], num_steps=4, seed=2)
    assert [notes(piece) for piece in way] == [notes(piece) for piece in expected]


def test_a_grid_has_the_pieces_at_its_corners(model, windows):
    corners = [*windows, windows[0]]
    rows = model.interpolate_grid(corners, 2, 3, temperature=0.0)
    assert [len(row) for row in rows] == [3, 3]
    found = [rows[0][0], rows[0][2], rows[1][0], rows[1][2]]
    expected = model.reconstruct(corners, temperature=0.0)
    assert [notes(piece) for piece in found] == [notes(piece) for piece in expected]


def test_the_most_similar_pieces_are_the_reconstruction_and_the_others_are_not(model, windows):
    (expected,) = model.reconstruct(windows[:1], temperature=0.0)
    same = model.similar(windows[0], 2, 1.0, temperature=0.0, seed=1)
    assert [notes(piece) for piece in same] == [notes(expected)] * 2
    others = [notes(piece) for piece in model.similar(windows[0], 6, 0.0, seed=1)]
    assert len({str(piece) for piece in others}) > 1
    assert others == [notes(piece) for piece in model.similar(windows[0], 6, 0.0, seed=1)]


def test_a_shift_moves_samples_and_reconstructions(model, windows):
    shift = np.full(4, 3.0)
    _, mu, _ = model.encode(windows[:1])
    (moved,) = model.reconstruct(windows[:1], temperature=0.0, shift=shift)
    assert notes(moved) == notes(model.decode(mu + shift, temperature=0.0)[0])
    nothing, much = (model.sample(4, shift=by, seed=1) for by in (0 * shift, shift))
    assert [notes(p) for p in nothing] == [notes(p) for p in model.sample(4, seed=1)]
    assert [notes(p) for p in much] != [notes(p) for p in nothing]


@pytest.fixture(scope="module")
def harmonist(random_run):
    """A model that is told chords, with random weights, and a piece over two of them."""
    folder = random_run("cat-mel_2bar_med_chords")
    config = config_file.read(folder)
    (tune,) = notes_io.read_music_file(TUNES / "soldiers_joy.mid")
    converter = config.data_converter
    chords = np.eye(49, dtype=bool)[[1] * 16 + [8] * 16]
    (piece,) = converter.from_tensors(converter.to_tensors(tune).outputs[:1], [chords])
    return TrainedModel(config, 2, folder), piece, chords


def chords_of(sequence):
    return [(note.time, note.text) for note in sequence.text_annotations]


def test_a_piece_is_told_its_own_chords_unless_others_are_given(harmonist):
    model, piece, chords = harmonist
    own = model.reconstruct([piece], temperature=0.0)[0]
    assert chords_of(own) == [(0.0, "C"), (2.0, "G")]
    told = model.reconstruct([piece], temperature=0.0, c_input=chords)[0]
    assert notes(told) == notes(own)
    other = np.eye(49)[[22] * 32]
    assert chords_of(model.reconstruct([piece], c_input=other)[0]) == [(0.0, "Am")]
    assert chords_of(model.similar(piece, 2)[1]) == [(0.0, "C"), (2.0, "G")]
