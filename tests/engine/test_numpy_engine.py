"""The NumPy engine gives the numbers of the original and of the TensorFlow model."""

import dataclasses
import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from music_vae.common.batches import Batch
from music_vae.common.errors import UserError
from music_vae.common.specs import (
    FlatDecoderSpec,
    HierarchicalDecoderSpec,
    HierarchicalEncoderSpec,
    MultiCategoricalHeadSpec,
    SplitDecoderSpec,
)
from music_vae.configs import get_config
from music_vae.engine.numpy_engine import NumpyEngine
from music_vae.engine.tensorflow_engine import TensorFlowEngine
from music_vae.evaluation import metrics
from music_vae.lstm_models import build_model
from music_vae.weights import safetensors_file
from music_vae.weights.tf_variables import named_variables
from support.cases import CASES, LEVELS, SMALL, hierarchical
from support.golden import CASES as GOLDEN_CASES
from support.golden import TEACHER_FORCING, Golden, check_tie, report

BATCH = 3
TIE = 1e-5  # of a class's share of the unit interval, whose sum over classes is rounded


def weights_of(model):
    return {name: variable.numpy() for name, variable in named_variables(model).items()}


# -- Golden models ----------------------------------------------------------------------------


@pytest.fixture(scope="module", params=GOLDEN_CASES)
def golden(request):
    return Golden(request.param)


@pytest.fixture(scope="module")
def golden_engine(golden):
    return NumpyEngine(golden.config, weights_of(golden.model))


def test_golden_posteriors_are_equal(golden, golden_engine, record_property):
    batch = [np.asarray(array) for array in golden.batch]
    mu, sigma = golden_engine.encode(batch[0], batch[3], batch[2])
    assert report(record_property, "mu", mu, golden.values["mu"]) < 2e-5
    assert report(record_property, "sigma", sigma, golden.values["sigma"]) < 2e-5


def test_golden_losses_and_divergences_are_equal(golden, golden_engine, record_property):
    values, (_, targets, controls, lengths) = golden.values, map(np.asarray, golden.batch)
    made = golden_engine.reconstruct(values["mu"], targets, lengths, controls)
    loss_nats = made.loss_nats.sum(axis=1)
    assert report(record_property, "r_loss", loss_nats, values["r_loss"]) < 2e-5
    kl_nats = metrics.kl_bits(values["mu"], values["sigma"]) * np.log(2)
    assert report(record_property, "kl", kl_nats, values["kl"]) < 2e-5


def test_the_likeliest_golden_samples_are_equal(golden, golden_engine):
    z, expected = golden.values["z"], golden.values["samples"].astype(np.float32)
    count, steps = expected.shape[:2]
    controls = np.repeat(golden.batch.controls[:1, :steps], count, axis=0)
    samples, lengths = golden_engine.sample(
        z,
        controls,
        np.full([count, steps, golden_engine.noise_size], 0.5, np.float32),
        temperature=golden.facts["sample_temperature"],
        end_token=golden.config.data_converter.end_token,
    )
    if "sample_lengths" in golden.values:
        np.testing.assert_array_equal(lengths, golden.values["sample_lengths"])
    logits = forced_parameters(golden.model, z, expected, controls)
    for example, step in first_differences(samples, expected):
        check_tie(golden.config, logits[example, step], expected[example, step])


def forced_parameters(model, z, targets, controls):
    steps = tf.fill([len(z)], targets.shape[1])
    batch = Batch(None, tf.constant(targets), tf.constant(controls), steps)
    return model.reconstruct(tf.constant(z), batch, TEACHER_FORCING).parameters.numpy()


def first_differences(samples, expected):
    """(example, step) of the first difference in each example that has one."""
    different = np.abs(samples - expected).max(axis=-1) > 1e-4
    return [(n, row.argmax()) for n, row in enumerate(different) if row.any()]


# -- Every config and every part, against TensorFlow ------------------------------------------


def shortened(config):
    """The same kind of model with segments of three steps, and flat ones of at most 16."""
    hparams, encoder, decoder = config.hparams, config.encoder, config.decoder
    steps = hparams.max_seq_len
    if not isinstance(decoder, HierarchicalDecoderSpec):
        steps = min(16, steps)
    elif len(decoder.level_lengths) == 2:
        segments = decoder.level_lengths[0]
        steps = 3 * segments
        decoder = dataclasses.replace(decoder, level_lengths=(segments, 3))
        if decoder.reencoder:
            levels = dataclasses.replace(decoder.reencoder, level_lengths=(3, segments))
            decoder = dataclasses.replace(decoder, reencoder=levels)
        if isinstance(encoder, HierarchicalEncoderSpec):
            encoder = dataclasses.replace(encoder, level_lengths=(3, segments))
    return config.replace(
        hparams=hparams.replace(max_seq_len=steps),
        data_converter=of_length(config.data_converter, steps),
        encoder=encoder,
        decoder=decoder,
    )


def of_length(converter, steps):
    """The converter with windows of so many steps, or of any length."""
    if converter.plays_any_length:
        return converter.whole()
    if converter.length_shape:  # of tracks
        events = steps // converter.length_shape[0]
        return dataclasses.replace(converter, max_events_per_instrument=events)
    return dataclasses.replace(converter, slice_bars=None)


def outputs_of_many_kinds():
    """Three outputs, the last of several classes side by side."""
    config = get_config("flat-trio_16bar", SMALL)
    depths = config.data_converter.split_output_depths
    several = FlatDecoderSpec(MultiCategoricalHeadSpec((500, depths[2] - 500)))
    cores = (FlatDecoderSpec(), FlatDecoderSpec(), several)
    return config.replace(decoder=SplitDecoderSpec(depths, cores))


ALL_CASES = CASES | {
    "outputs of many kinds": outputs_of_many_kinds,
    "wide enough for blocks": lambda: get_config(
        "cat-mel_2bar_small", "z_size=8,enc_rnn_size=[64,32],dec_rnn_size=[64,32]"
    ),
    "a trio wide enough for blocks": lambda: get_config(
        "hierdec-trio_16bar", "z_size=8,enc_rnn_size=[16],dec_rnn_size=[32,32]"
    ),
    "residual layers in a hierarchy that re-encodes": lambda: residual(
        hierarchical(autoregressive_levels=(0,), reencoder=LEVELS)
    ),
    "residual layers of other widths": lambda: residual(
        get_config("hierdec-trio_16bar", SMALL.replace("enc_rnn_size=[5]", "enc_rnn_size=[5,3]"))
    ),
    "a hierarchy of three levels": lambda: hierarchical(
        (2, 2, 6), autoregressive_levels=(0, 1), reencoder=HierarchicalEncoderSpec((6, 2, 2))
    ),
}


def residual(config):
    return config.replace(
        hparams=config.hparams.replace(residual_encoder=True, residual_decoder=True)
    )


class Pair:
    """A small model with random weights in both engines, and random inputs."""

    def __init__(self, config):
        keras.utils.set_random_seed(1)
        rng = np.random.default_rng(2)
        self.config = config
        self.model = build_model(config)
        for variable in named_variables(self.model).values():
            scale = min(0.5, 1.5 * max(1, variable.shape[0]) ** -0.5)
            variable.assign(rng.normal(size=variable.shape, scale=scale).astype(np.float32))
        self.weights = weights_of(self.model)
        self.engine = NumpyEngine(config, self.weights)
        converter, steps = config.data_converter, config.hparams.max_seq_len
        classes = rng.integers(0, converter.input_depth, (BATCH, steps))
        self.inputs = np.eye(converter.input_depth, dtype=np.float32)[classes]
        if not converter.input_one_hots:
            self.inputs[2, :, 0] = 1  # one example with several ones in a step
        told = rng.integers(0, 2, (BATCH, steps, converter.control_depth))
        self.controls = told.astype(np.float32)
        most = steps // (converter.length_shape or (1,))[0]
        self.lengths = rng.integers(0, most + 1, (BATCH, *converter.length_shape))
        self.lengths.flat[0] = 0
        self.lengths.flat[1] = most
        self.z = rng.normal(size=(BATCH, config.hparams.latent_size)).astype(np.float32)
        self.noise = rng.random((BATCH, steps, self.engine.noise_size), np.float32)


@functools.cache
def pair_of(name):
    return Pair(shortened(ALL_CASES[name]()))


@pytest.fixture(scope="module", params=ALL_CASES)
def pair(request):
    return pair_of(request.param)


@pytest.fixture(scope="module")
def tensorflow_engine(pair, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    safetensors_file.write(path, pair.weights)
    return TensorFlowEngine(pair.config, path)


def test_both_engines_encode_alike(pair):
    if not pair.config.hparams.latent_size:
        with pytest.raises(UserError, match="has no encoder"):
            pair.engine.encode(pair.inputs, pair.lengths, pair.controls)
        return
    expected = pair.model.encode(
        tf.constant(pair.inputs), tf.constant(pair.lengths, tf.int32), tf.constant(pair.controls)
    )
    mu, sigma = pair.engine.encode(pair.inputs, pair.lengths, pair.controls)
    assert mu.dtype == sigma.dtype == np.float32
    np.testing.assert_allclose(mu, expected[0], atol=2e-6)
    np.testing.assert_allclose(sigma, expected[1], atol=2e-6)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_equal_noise_gives_equal_samples(pair, temperature):
    end_token = pair.config.data_converter.end_token
    expected = pair.model.sample(
        tf.constant(pair.z),
        tf.constant(pair.controls),
        tf.constant(pair.noise),
        temperature=temperature,
        end_token=end_token,
    )
    samples, lengths = pair.engine.sample(
        pair.z, pair.controls, pair.noise, temperature=temperature, end_token=end_token
    )
    assert samples.dtype == np.float32
    differences = first_differences(samples, expected.samples.numpy())
    if not differences:
        np.testing.assert_array_equal(lengths, expected.lengths)
        return
    parameters = forced_parameters(pair.model, pair.z, expected.samples.numpy(), pair.controls)
    for example, step in differences:
        at = (example, step)
        check_choice(pair, parameters[at], samples[at], pair.noise[at], temperature)


def check_choice(pair, logits, chosen, noise, temperature):
    """That noise falls so near the edge of a class that rounding decides."""
    depths = getattr(pair.config.data_converter, "split_output_depths", None) or (len(chosen),)
    assert sum(depths) == len(logits), "the samples differ, and there are no classes to tie"
    edges = np.cumsum(depths)[:-1]
    parts = zip(np.split(logits, edges), np.split(chosen, edges), noise, strict=True)
    for part, one_hot, number in parts:
        scaled = (part - part.max()).astype(np.float64) / max(temperature, 1e-6)
        shares = np.cumsum(np.exp(scaled)) / np.exp(scaled).sum()
        n = int(one_hot.argmax())
        lower = shares[n - 1] if n else 0.0
        slack = TIE if temperature else 1.0 * (part.max() - part[n] < TIE)
        assert lower - slack <= number <= shares[n] + slack


def targets_of(pair, temperature=1.0):
    """What the model itself made, a fifth of its steps swapped."""
    rng = np.random.default_rng(3)
    targets, _ = pair.engine.sample(pair.z, pair.controls, pair.noise, temperature=temperature)
    swapped = rng.random(targets.shape[:2]) < 0.2
    return np.where(swapped[..., None], np.roll(targets, 1, axis=1), targets)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_both_engines_expect_the_same_of_known_steps(pair, tensorflow_engine, temperature):
    targets, lengths = targets_of(pair), pair.lengths
    results = [
        engine.reconstruct(
            pair.z, targets, lengths, pair.controls, temperature=temperature, noise=pair.noise
        )
        for engine in (pair.engine, tensorflow_engine)
    ]
    ours, theirs = results
    assert ours.outputs.dtype == ours.loss_nats.dtype == np.float32
    np.testing.assert_allclose(ours.loss_nats, theirs.loss_nats, rtol=1e-5, atol=2e-5)
    batch = Batch(
        None, tf.constant(targets), tf.constant(pair.controls), tf.constant(lengths, tf.int32)
    )
    whole = pair.model.reconstruct(tf.constant(pair.z), batch, TEACHER_FORCING)
    np.testing.assert_allclose(ours.loss_nats.sum(axis=1), whole.loss_nats, rtol=1e-5, atol=1e-4)
    differences = np.abs(ours.outputs - theirs.outputs).max(axis=-1) > 1e-5
    for at in zip(*np.nonzero(differences & (theirs.loss_nats != 0)), strict=True):
        logits = whole.parameters.numpy()[at]
        check_choice(pair, logits, ours.outputs[at], pair.noise[at], temperature)


@pytest.mark.parametrize("name", ["cat-mel_2bar_small", "flat-trio_16bar", "hierdec-trio_16bar"])
def test_the_accuracy_of_the_likeliest_outcomes_is_the_models_own(name):
    pair = pair_of(name)
    targets, lengths = targets_of(pair, 0.0), np.full(BATCH, pair.noise.shape[1], np.int32)
    outputs = pair.engine.reconstruct(pair.z, targets, lengths, pair.controls).outputs
    converter = pair.config.data_converter
    right = converter.symbols(outputs) == converter.symbols(targets)
    batch = Batch(None, tf.constant(targets), tf.constant(pair.controls), tf.constant(lengths))
    statistics = pair.model.reconstruct(tf.constant(pair.z), batch, TEACHER_FORCING).statistics
    sums = {name: value.numpy().sum(axis=0) for name, value in statistics.items()}
    statistics = pair.model.decoder.summarize(sums)
    parts = [value for name, value in statistics.items() if name.startswith("metrics/accuracy")]
    assert np.mean(right) == pytest.approx(np.mean(parts), abs=1e-6)
    assert 0.1 < np.mean(right) < 1


def test_an_example_does_not_depend_on_those_beside_it(pair):
    end_token = pair.config.data_converter.end_token

    def sample(rows):
        return pair.engine.sample(
            pair.z[rows],
            pair.controls[rows],
            pair.noise[rows],
            temperature=1.0,
            end_token=end_token,
        )

    whole, lengths = sample(slice(None))
    for n in range(BATCH):
        alone, length = sample(slice(n, n + 1))
        np.testing.assert_allclose(alone[0], whole[n], atol=1e-5)
        np.testing.assert_array_equal(length[0], lengths[n])


def test_controls_that_all_examples_share_are_what_they_would_be_for_each():
    pair = pair_of("preprocessed controls")
    shared = np.broadcast_to(pair.controls[0], pair.controls.shape)
    results = [
        pair.engine.sample(pair.z, controls, pair.noise, temperature=1.0)[0]
        for controls in (shared, shared.copy())
    ]
    np.testing.assert_array_equal(*results)


def test_samples_stop_when_all_examples_have_ended():
    config = get_config("hier-multiperf_vel_1bar_med", SMALL)
    pair, end_token = Pair(shortened(config)), config.data_converter.end_token
    name = "core_decoder/decoder/output_projection/bias"
    bias = pair.weights[name].copy()
    bias[end_token] = 1000
    engine = NumpyEngine(pair.config, pair.weights | {name: bias})
    samples, lengths = engine.sample(
        pair.z, pair.controls, pair.noise, temperature=1.0, end_token=end_token
    )
    assert (lengths == 1).all()
    assert samples.sum() == lengths.size
    assert (samples[:, ::3, end_token] == 1).all()


# -- Weights ----------------------------------------------------------------------------------


def test_both_engines_have_the_same_weights(pair):
    shapes = {name: array.shape for name, array in pair.weights.items()}
    assert pair.config.model_spec.weight_shapes == shapes


def test_float16_weights_are_widened():
    pair = pair_of("cat-mel_2bar_small")
    halves = {name: array.astype(np.float16) for name, array in pair.weights.items()}
    widened = {name: array.astype(np.float32) for name, array in halves.items()}
    results = [
        NumpyEngine(pair.config, weights).encode(pair.inputs, pair.lengths, pair.controls)
        for weights in (halves, widened)
    ]
    np.testing.assert_array_equal(results[0], results[1])


def test_all_missing_weights_are_named_before_anything_is_computed():
    pair = pair_of("cat-mel_2bar_small")
    missing = {"encoder/mu/bias", "decoder/output_projection/kernel"}
    weights = {name: array for name, array in pair.weights.items() if name not in missing}
    with pytest.raises(UserError, match="the file lacks 2 of 16 weights") as error:
        NumpyEngine(pair.config, weights, source="the file")
    assert all(name in str(error.value) for name in missing)
    decoder = {name: a for name, a in pair.weights.items() if not name.startswith("encoder")}
    NumpyEngine(pair.config, decoder, with_encoder=False)


def test_weights_of_another_shape_or_type_are_named():
    pair = pair_of("cat-mel_2bar_small")
    name = "decoder/output_projection/bias"
    wrong = pair.weights | {name: np.zeros(7, np.float32)}
    with pytest.raises(UserError, match=rf"{name} has shape \[7\], expected \[90\]"):
        NumpyEngine(pair.config, wrong)
    wrong = pair.weights | {name: np.zeros(90, np.int64)}
    with pytest.raises(UserError, match=f"{name} is int64; expected float32 or float16"):
        NumpyEngine(pair.config, wrong)
