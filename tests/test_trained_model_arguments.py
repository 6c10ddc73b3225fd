"""Odd arguments of the Python API are answered with what would be right, before any work."""

import inspect

import numpy as np
import pytest
from note_seq.protobuf.music_pb2 import NoteSequence

from music_vae import TrainedModel, notes_io
from music_vae.common.errors import UserError
from music_vae.weights import config_file
from support.paths import TUNES

NAN = float("nan")
PIECE = NoteSequence()


@pytest.fixture(scope="module")
def model():
    return TrainedModel.shipped("cat-mel_2bar_mini")


@pytest.fixture(scope="module")
def bars(model):
    (tune,) = notes_io.read_music_file(TUNES / "soldiers_joy.mid")
    return model.windows(tune)[:4]


# Values of each argument that are wrong in every method that has it.
WRONG = {
    "n": [-1, 1.5, "3", NAN, True, 10**20],
    "length": [0, -1, 1.5, "8", NAN, 10**20],
    "temperature": [-1, NAN, float("inf"), "1", None, [1.0]],
    "similarity": [-0.1, 1.1, NAN, "0.5", None],
    "seed": [-1, 1.5, "1", NAN, [1]],
    "num_steps": [0, -1, 1.5, "5", None, NAN, 10**20],
    "rows": [0, 1.5, "5", None],
    "columns": [0, 1.5, "5", None],
    "shift": ["up", [1.0, 2.0], np.full(128, NAN), np.zeros((3, 128)), {"note_density": 1}],
    "prior": ["mine", 3, np.zeros(128)],
    "z": [None, "z", 3, [1.0], np.zeros((2, 3)), np.full((1, 128), NAN), [[1, 2], [3]], {}],
    "c_input": ["C G Am F", np.zeros((32, 49))],
    "note_sequence": [None, "tune.mid", 3, [PIECE, None], b"MThd"],
    "start_sequence": [None, "tune.mid", [PIECE, PIECE], []],
    "end_sequence": [None, "tune.mid", [PIECE, PIECE], []],
    "note_sequences": [None, "tune.mid", 3, ["tune.mid"], [None], b"MThd"],
    "input_tensors": [None, 3, "x", [3], [np.zeros(90)], [np.zeros((32, 3))], [["a"]]],
    "output_tensors": [None, 3, "x", [3], [np.zeros(90)], [np.zeros((32, 3))]],
    "lengths": [None, 32, "32", [1.5], ["32"], [33], [-1], [32, 32], [None]],
    "control_tensors": [],  # none are wanted, and any pass
    "same_z": [],
    "assert_same_length": [],
    "config_name": [None, 3, "no-such-config", b"x"],
    "batch_size": [0, -1, 1.5, "8", None, 10**20],
}

METHODS = {
    "shipped": {"config_name": "cat-mel_2bar_mini"},
    "prior": {},
    "sample": {"n": 1},
    "encode": {"note_sequences": "BARS"},
    "windows": {"note_sequence": "BAR"},
    "decode": {"z": np.zeros((1, 128))},
    "interpolate": {"start_sequence": "BAR", "end_sequence": "BAR"},
    "interpolate_path": {"note_sequences": "BARS"},
    "interpolate_grid": {"note_sequences": "BARS"},
    "reconstruct": {"note_sequences": "BARS"},
    "similar": {"note_sequence": "BAR"},
    "encode_tensors": {"input_tensors": [np.zeros((32, 90))], "lengths": [32]},
    "decode_to_tensors": {"z": np.zeros((1, 128))},
    "reconstruct_tensors": {
        "z": np.zeros((1, 128)),
        "output_tensors": [np.zeros((32, 90))],
        "lengths": [32],
    },
}
"""The public methods, with good arguments for those that have to be given."""


def test_no_method_and_no_argument_is_forgotten():
    public = {
        name
        for name, value in inspect.getmembers(TrainedModel, callable)
        if not name.startswith("_")
    }
    assert public == set(METHODS)
    for name in METHODS:
        arguments = set(inspect.signature(getattr(TrainedModel, name)).parameters) - {"self"}
        assert arguments <= set(WRONG), name


@pytest.mark.parametrize(
    ("method", "argument"),
    [
        (method, argument)
        for method in METHODS
        for argument in inspect.signature(getattr(TrainedModel, method)).parameters
        if argument != "self"
    ],
)
def test_a_wrong_argument_is_named(model, bars, method, argument):
    good = {
        name: {"BARS": bars, "BAR": bars[0]}.get(value, value) if isinstance(value, str) else value
        for name, value in METHODS[method].items()
    }
    for wrong in WRONG[argument]:
        with pytest.raises(UserError) as found:
            getattr(model, method)(**good | {argument: wrong})
        if argument != "config_name":
            assert f"`{argument}" in str(found.value), wrong


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cat-mel_2bar_mini", 8, "x"), "`config` must be a Config, as `get_config` returns it"),
        ((None, 8, "x"), "`config` must be a Config"),
        (("CONFIG", "8", "x"), "`batch_size='8'` must be a whole number from 1 to 65536"),
        (("CONFIG", 8, None), "`checkpoint_dir_or_path` must be a path, not None"),
        (("CONFIG", 8, "nowhere"), "there is no checkpoint 'nowhere'"),
    ],
)
def test_a_model_is_made_of_a_config_a_number_and_a_path(model, arguments, message):
    config, *rest = arguments
    with pytest.raises(UserError, match=message):
        TrainedModel(model.config if config == "CONFIG" else config, *rest)


def test_right_arguments_of_other_kinds_are_taken(model, bars):
    made = model.sample(np.int64(2), np.int32(8), np.float32(0.5), seed=np.int64(1))
    assert len(made) == 2
    again = model.sample(2, 8, 0.5, seed=1)
    assert [list(piece.notes) for piece in made] == [list(piece.notes) for piece in again]
    _, mu, _ = model.encode(iter(bars[:2]))
    _, same, _ = model.encode(tuple(bars[:2]))
    np.testing.assert_array_equal(mu, same)
    assert len(model.decode(mu.tolist(), 8)) == 2
    assert model.sample(0) == []


def test_controls_that_do_not_fit_the_music_are_named(random_run):
    harmonist = random_run("cat-mel_2bar_med_chords")
    config = config_file.read(harmonist)
    model = TrainedModel(config, 2, harmonist)
    inputs, chords = [np.zeros((32, 90))], [np.zeros((32, 49))]
    for wrong in ([np.zeros((32, 3))], [np.zeros((8, 49))], chords * 2, None, 3, "C"):
        with pytest.raises(UserError, match="`control_tensors"):
            model.encode_tensors(inputs, [32], wrong)
        with pytest.raises(UserError, match="`control_tensors"):
            model.reconstruct_tensors(np.zeros((1, 4)), inputs, [32], wrong)
    assert model.encode_tensors(inputs, [32], chords)[1].shape == (1, 4)
    for wrong in (None, "C G", np.zeros((8, 49)), np.zeros((32, 3)), [[1.0], [1.0, 2.0]]):
        with pytest.raises(UserError, match="`c_input`"):
            model.decode(np.zeros((1, 4)), c_input=wrong)
