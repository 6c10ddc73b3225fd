"""`ArrayModel` on golden weights and on random ones: any number of arrays, checked and repeated."""

import json

import numpy as np
import pytest

from music_vae.common.errors import UserError
from music_vae.common.hparams import HParams
from music_vae.configs import CONFIG_MAP
from music_vae.engine.array_model import ArrayModel
from music_vae.weights import config_file, safetensors_file
from support import paths

GOLDEN = paths.GOLDEN / "models" / "cat-mel_2bar_small"


def golden_config():
    hparams = HParams(**json.loads((GOLDEN / "golden.json").read_text())["hparams"])
    return CONFIG_MAP["cat-mel_2bar_small"].replace(hparams=hparams)


def test_golden_tensors_encode_and_decode_as_in_the_original():
    values = np.load(GOLDEN / "golden.npz")
    model = ArrayModel(golden_config(), 2, GOLDEN / "model.ckpt")
    _, mu, sigma = model.encode_tensors(list(values["input_sequence"]), values["sequence_length"])
    np.testing.assert_allclose(mu, values["mu"], atol=1e-5)
    np.testing.assert_allclose(sigma, values["sigma"], atol=1e-5)
    samples = model.decode_to_tensors(values["z"], length=32, temperature=1e-4)
    np.testing.assert_array_equal(samples, values["samples"])


@pytest.mark.parametrize("engine", ["numpy", "tensorflow"])
def test_golden_tensors_are_those_of_the_original_with_either_engine(engine):
    values = np.load(GOLDEN / "golden.npz")
    model = ArrayModel(golden_config(), 2, GOLDEN, engine=engine)
    samples = model.decode_to_tensors(values["z"], length=32, temperature=1e-4)
    np.testing.assert_array_equal(samples, values["samples"])


def model_of(random_run, name, batch_size=2):
    folder = random_run(name)
    return ArrayModel(config_file.read(folder), batch_size, folder)


@pytest.fixture(scope="module")
def model(random_run):
    return model_of(random_run, "cat-mel_2bar_small")


@pytest.fixture(scope="module")
def z():
    return np.random.default_rng(0).standard_normal((3, 4))


def test_arrays_of_several_lengths_are_encoded_and_expected_side_by_side(model, z):
    tokens = [np.arange(2, 2 + length) for length in (32, 20, 7)]
    arrays = [model.converter.dense_outputs(line) for line in tokens]
    found, mu, sigma = model.encode_tensors(arrays, [32, 20, 7], seed=1)
    assert found.shape == mu.shape == sigma.shape == (3, 4)
    one = model.encode_tensors(arrays[2:], [7])
    np.testing.assert_allclose(one[1][0], mu[2], atol=1e-6)
    expected, losses = model.reconstruct_tensors(z, arrays, [32, 20, 5])
    assert [array.shape for array in expected] == [(32, 90), (20, 90), (7, 90)]
    assert [len(loss) for loss in losses] == [32, 20, 7]
    assert (losses[2][:5] > 0).all()
    assert not losses[2][5:].any()


def test_a_seed_repeats_samples_whatever_the_batch_size(random_run, z):
    one, other = (model_of(random_run, "cat-mel_2bar_small", size) for size in (1, 3))
    for first, second in zip(
        one.decode_to_tensors(z, seed=7), other.decode_to_tensors(z, seed=7), strict=True
    ):
        np.testing.assert_array_equal(first, second)
    assert not np.array_equal(one.decode_to_tensors(z, seed=8), one.decode_to_tensors(z, seed=7))
    assert not np.array_equal(one.decode_to_tensors(z), one.decode_to_tensors(z))


def test_a_hierarchy_always_makes_all_its_steps(random_run, z):
    hierarchy = model_of(random_run, "hierdec-mel_16bar")
    with pytest.raises(UserError, match="`length=32`: hierdec-mel_16bar always makes 256 steps"):
        hierarchy.decode_to_tensors(z, length=32)
    assert [len(array) for array in hierarchy.decode_to_tensors(z, seed=1)] == [256] * 3


def test_a_batch_of_none_is_refused(random_run):
    with pytest.raises(UserError, match="`batch_size=0` must be at least 1"):
        model_of(random_run, "cat-mel_2bar_small", 0)


def test_a_seed_below_zero_is_refused(model, z):
    with pytest.raises(UserError, match="`seed=-1` must not be below 0"):
        model.decode_to_tensors(z, seed=-1)
    with pytest.raises(UserError, match="`seed=-1` must not be below 0"):
        model.encode_tensors([np.zeros((8, 90))], [8], seed=-1)


@pytest.mark.parametrize(
    ("inputs", "lengths", "message"),
    [
        ([np.zeros((8, 90))], [40], "`lengths`: 40 does not lie within the 8 steps"),
        ([np.zeros((8, 3))], [8], r"`input_tensors\[0\]` has shape \[8, 3\]; expected \[T, 90\]"),
        ([np.zeros((8, 90))], [8, 8], "1 arrays need as many `lengths`, not 2"),
        ([], [], "nothing to encode"),
    ],
)
def test_wrong_tensors_are_named(model, inputs, lengths, message):
    with pytest.raises(UserError, match=message):
        model.encode_tensors(inputs, lengths)


@pytest.fixture(scope="module")
def harmonist(random_run):
    """A model that is told chords."""
    return model_of(random_run, "cat-mel_2bar_med_chords")


def test_every_example_can_have_a_control_of_its_own(harmonist, z):
    chords, others = np.eye(49)[[1] * 16 + [8] * 16], np.eye(49)[[22] * 32]
    made = harmonist.decode_to_tensors(z, c_input=np.stack([chords, others, chords]), seed=1)
    for number, told in ((0, chords), (1, others), (2, chords)):
        expected = harmonist.decode_to_tensors(z, c_input=told, seed=1)[number]
        np.testing.assert_array_equal(made[number], expected)
    with pytest.raises(UserError, match=r"`c_input` has shape \[2, 32, 49\]; expected"):
        harmonist.decode_to_tensors(z, c_input=np.stack([chords, others]))


def test_a_model_with_controls_needs_them(harmonist, z):
    with pytest.raises(UserError, match=r"needs `control_tensors`, arrays \[T, 49\]"):
        harmonist.encode_tensors([np.zeros((8, 90))], [8])
    with pytest.raises(UserError, match=r"needs a control: `c_input` \[T, 49\]"):
        harmonist.decode_to_tensors(z)


@pytest.mark.parametrize("number", [np.nan, np.inf, 1e39])
def test_latent_vectors_that_are_not_finite_are_refused(model, z, number):
    z = z.copy()
    z[2, 3] = number
    with pytest.raises(UserError, match="`z` holds numbers that are not finite"):
        model.decode_to_tensors(z)
    targets = [model.converter.dense_outputs(np.arange(2, 34))] * 3
    with pytest.raises(UserError, match="`z` holds numbers that are not finite"):
        model.reconstruct_tensors(z, targets, [32] * 3)


@pytest.mark.parametrize("engine", ["numpy", "tensorflow"])
@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(random_run, engine, number, tmp_path):
    folder = random_run("cat-mel_2bar_small")
    file = safetensors_file.WeightsFile(folder / safetensors_file.WEIGHTS_FILE)
    weights = {name: array.copy() for name, array in file.items()}
    weights["decoder/output_projection/bias"][7] = number
    safetensors_file.write(tmp_path / safetensors_file.WEIGHTS_FILE, weights)
    with pytest.raises(UserError, match="weight decoder/output_projection/bias has numbers that"):
        model = ArrayModel(config_file.read(folder), 2, tmp_path, engine=engine)
        model.decode_to_tensors(np.zeros((1, 4)))
