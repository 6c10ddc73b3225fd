"""Input policies of the flat decoder: forced, free, and scheduled."""

import numpy as np
import pytest
import tensorflow as tf

from music_vae.common.hparams import HParams
from music_vae.common.model_spec import flat_decoder
from music_vae.common.plans import SplitDecoderPlan
from music_vae.common.specs import FlatDecoderSpec
from music_vae.nn.decoders import FlatDecoder, SplitDecoder, shifted
from music_vae.nn.decoding import Policy
from music_vae.nn.rnn import Dropout

DEPTH, STEPS, BATCH, Z = 5, 7, 3, 4


@pytest.fixture
def rng():
    return np.random.default_rng(1)


SEED = tf.constant([1, 2])
FORCING = Policy(0.0, SEED)
LENGTHS = tf.fill([BATCH], STEPS)


def make_plan(*, z_size=Z, control_depth=0, preprocess_controls=False, **options):
    hparams = HParams(dec_rnn_size=(6, 8), control_preprocessing_rnn_size=(3,)).replace(**options)
    spec = FlatDecoderSpec(preprocess_controls=preprocess_controls)
    return flat_decoder(spec, hparams, z_size=z_size, depth=DEPTH, control_depth=control_depth)


def make_decoder(rng, **options):
    return with_random_weights(rng, FlatDecoder(make_plan(**options)))


def with_random_weights(rng, decoder):
    for weight in decoder.trainable_variables:
        weight.assign(rng.standard_normal(weight.shape).astype(np.float32))
    return decoder


@pytest.fixture
def z(rng):
    return tf.constant(rng.standard_normal((BATCH, Z)), tf.float32)


@pytest.fixture
def targets(rng):
    return tf.one_hot(rng.integers(0, DEPTH, (BATCH, STEPS)), DEPTH)


NO_CONTROLS = tf.zeros([BATCH, STEPS, 0])


def forced(decoder, z, targets, controls):
    """Teacher-forced parameters."""
    return decoder.reconstruct(z, targets, controls, LENGTHS, FORCING).parameters


def scheduled(decoder, z, targets, controls, probability):
    """What scheduled sampling reads."""
    lengths = tf.fill([len(z)], targets.shape[1])
    return decoder.reconstruct(z, targets, controls, lengths, Policy(probability, SEED)).inputs


def test_shifted_targets_begin_with_zeros_and_lose_the_last_step(targets):
    inputs = shifted(targets).numpy()
    assert not inputs[:, 0].any()
    np.testing.assert_array_equal(inputs[:, 1:], targets[:, :-1])


def test_free_running_samples_are_what_forcing_them_makes_likeliest(rng, z):
    decoder = make_decoder(rng)
    noise = tf.fill([BATCH, STEPS, 1], 0.5)
    samples = decoder.sample(z, NO_CONTROLS, noise, temperature=0.0).samples
    outputs = forced(decoder, z, samples, NO_CONTROLS)
    np.testing.assert_array_equal(tf.argmax(outputs, -1), tf.argmax(samples, -1))


def test_controls_change_what_is_decoded_from_their_step_on(rng, z, targets):
    decoder = make_decoder(rng, control_depth=2)
    controls = rng.standard_normal((BATCH, STEPS, 2)).astype(np.float32)
    changed = controls.copy()
    changed[:, 4:] += 1
    before = forced(decoder, z, targets, tf.constant(controls)).numpy()
    after = forced(decoder, z, targets, tf.constant(changed)).numpy()
    np.testing.assert_array_equal(before[:, :4], after[:, :4])
    assert (np.abs(before[:, 4:] - after[:, 4:]).max(axis=-1) > 1e-4).all()


def test_controls_reach_free_running_as_they_reach_forcing(rng, z):
    decoder = make_decoder(rng, control_depth=2)
    controls = tf.constant(rng.standard_normal((BATCH, STEPS, 2)), tf.float32)
    noise = tf.fill([BATCH, STEPS, 1], 0.5)
    samples = decoder.sample(z, controls, noise, temperature=0.0).samples
    outputs = forced(decoder, z, samples, controls)
    np.testing.assert_array_equal(tf.argmax(outputs, -1), tf.argmax(samples, -1))


def test_scheduled_sampling_at_probability_zero_is_teacher_forcing(rng, z, targets):
    inputs = scheduled(make_decoder(rng), z, targets, NO_CONTROLS, tf.constant(0.0))
    np.testing.assert_array_equal(inputs, shifted(targets))


@pytest.mark.parametrize("options", [{}, {"residual_decoder": True}])
@pytest.mark.parametrize("probability", [0.5, 1e-9])  # some samples are read, or none
def test_what_scheduled_sampling_went_through_has_the_gradient_of_forcing_it(
    rng, z, targets, options, probability
):
    """The layers are not run a second time for their gradient."""
    decoder = make_decoder(rng, **options)
    weights = [variable.value for variable in decoder.trainable_variables]
    dropout = Dropout(0.8, SEED)

    def losses(targets, policy):
        with tf.GradientTape() as tape:
            result = decoder.reconstruct(z, targets, NO_CONTROLS, LENGTHS, policy)
            loss = tf.reduce_sum(result.parameters**2)
        return [result.parameters, *tape.gradient(loss, weights)], result.inputs

    found, inputs = losses(targets, Policy(tf.constant(probability), SEED, dropout))
    # Forced to targets whose shift is what was read.
    following = tf.concat([inputs[:, 1:], targets[:, -1:]], axis=1)
    expected, _ = losses(following, Policy(0.0, SEED, dropout))
    for actual, value in zip(found, expected, strict=True):
        np.testing.assert_allclose(actual, value, rtol=1e-4, atol=1e-4)


def test_scheduled_sampling_at_probability_one_reads_samples_alone(rng, z, targets):
    decoder = make_decoder(rng)
    one = scheduled(decoder, z, targets, NO_CONTROLS, 1.0)
    other = scheduled(decoder, z, tf.roll(targets, 1, axis=-1), NO_CONTROLS, 1.0)
    np.testing.assert_array_equal(one, other)
    assert not one[:, 0].numpy().any()
    np.testing.assert_array_equal(tf.reduce_sum(one[:, 1:], -1), np.ones((BATCH, STEPS - 1)))


def test_scheduled_sampling_chooses_per_example_and_step(rng):
    decoder = make_decoder(rng)
    # Targets of all zeros are told from samples, which are one-hot.
    targets, z = tf.zeros([500, 11, DEPTH]), tf.zeros([500, Z])
    inputs = scheduled(decoder, z, targets, tf.zeros([500, 11, 0]), 0.3)
    own = tf.reduce_sum(inputs, -1).numpy()[:, 1:]
    assert own.mean() == pytest.approx(0.3, abs=0.03)
    assert own.mean(axis=0) == pytest.approx(0.3, abs=0.1)
    assert 0 < own.mean(axis=1).std() < 0.2


def test_no_gradient_flows_through_a_choice_of_inputs(rng, z, targets):
    decoder = make_decoder(rng)
    with tf.GradientTape() as tape:
        inputs = scheduled(decoder, z, targets, NO_CONTROLS, 0.5)
        loss = tf.reduce_sum(inputs)
    gradients = tape.gradient(loss, [v.value for v in decoder.trainable_variables])
    assert all(gradient is None for gradient in gradients)


def test_a_sample_ends_with_its_end_token(rng):
    decoder = make_decoder(rng)
    batch = 200
    noise = tf.constant(rng.random((batch, STEPS, 1)), tf.float32)
    z = tf.constant(rng.standard_normal((batch, Z)), tf.float32)
    controls = tf.zeros([batch, STEPS, 0])
    free = decoder.sample(z, controls, noise, temperature=1.0).samples.numpy()
    ended = decoder.sample(z, controls, noise, temperature=1.0, end_token=2)
    assert set(ended.lengths.numpy()) > {1, 2, STEPS}
    for whole, samples, length in zip(
        free, ended.samples.numpy(), ended.lengths.numpy(), strict=True
    ):
        ends = np.flatnonzero(whole[:, 2])
        assert length == (ends[0] + 1 if len(ends) else STEPS)
        np.testing.assert_array_equal(samples[:length], whole[:length])
        assert not samples[length:].any()


def test_decoding_stops_early_when_every_sample_has_ended(rng):
    decoder = make_decoder(rng)
    decoder.output_projection.kernel.assign(tf.zeros_like(decoder.output_projection.kernel))
    decoder.output_projection.bias.assign([-50.0, -50.0, 50.0, -50.0, -50.0])
    noise = tf.fill([BATCH, STEPS, 1], 0.5)
    z = tf.zeros([BATCH, Z])
    result = decoder.sample(z, NO_CONTROLS, noise, temperature=1.0, end_token=2)
    assert result.lengths.numpy().tolist() == [1] * BATCH
    assert result.samples.shape == (BATCH, STEPS, DEPTH)


def test_padding_costs_nothing_and_the_final_state_is_that_of_the_last_valid_step(rng, z, targets):
    decoder = make_decoder(rng)
    short = tf.fill([BATCH], 4)
    padded = decoder.reconstruct(z, targets, NO_CONTROLS, short, FORCING)
    cut = decoder.reconstruct(z, targets[:, :4], NO_CONTROLS[:, :4], short, FORCING)
    np.testing.assert_allclose(padded.loss_nats, cut.loss_nats, rtol=1e-6)
    np.testing.assert_allclose(padded.final_state, cut.final_state, atol=1e-6)


def test_the_first_input_can_be_given(rng, z, targets):
    decoder = make_decoder(rng)
    first = tf.one_hot([0, 1, 2], DEPTH)
    forced = decoder.reconstruct(z, targets, NO_CONTROLS, LENGTHS, FORCING, first)
    np.testing.assert_array_equal(forced.inputs[:, 0], first)
    noise = tf.fill([BATCH, STEPS, 1], 0.5)
    with_first = decoder.sample(z, NO_CONTROLS, noise, temperature=0.0, first=first).samples
    again = decoder.reconstruct(z, with_first, NO_CONTROLS, LENGTHS, FORCING, first).parameters
    np.testing.assert_array_equal(tf.argmax(again, -1), tf.argmax(with_first, -1))


@pytest.mark.parametrize("options", [{}, {"residual_decoder": True}])
def test_a_residual_decoder_runs_free_as_it_is_forced(rng, z, options):
    decoder = make_decoder(rng, **options)
    noise = tf.fill([BATCH, STEPS, 1], 0.5)
    samples = decoder.sample(z, NO_CONTROLS, noise, temperature=0.0).samples
    outputs = forced(decoder, z, samples, NO_CONTROLS)
    np.testing.assert_array_equal(tf.argmax(outputs, -1), tf.argmax(samples, -1))


def test_preprocessed_controls_are_read_in_both_directions(rng, z, targets):
    decoder = make_decoder(rng, control_depth=2, preprocess_controls=True)
    controls = rng.standard_normal((BATCH, STEPS, 2)).astype(np.float32)
    changed = controls.copy()
    changed[:, -1] += 1
    before = forced(decoder, z, targets, tf.constant(controls)).numpy()
    after = forced(decoder, z, targets, tf.constant(changed)).numpy()
    assert (np.abs(before - after).max(axis=-1) > 1e-6).all()
    noise = tf.fill([BATCH, STEPS, 1], 0.5)
    samples = decoder.sample(z, tf.constant(controls), noise, temperature=0.0).samples
    outputs = forced(decoder, z, samples, tf.constant(controls))
    np.testing.assert_array_equal(tf.argmax(outputs, -1), tf.argmax(samples, -1))


def test_a_decoder_without_z_decodes_from_its_biases(rng, targets):
    decoder = FlatDecoder(make_plan(z_size=0, dec_rnn_size=(6,)))
    none = tf.zeros([BATCH, 0])
    assert forced(decoder, none, targets, NO_CONTROLS).shape == (BATCH, STEPS, DEPTH)
    noise = tf.constant(rng.random((BATCH, STEPS, 1)), tf.float32)
    samples = decoder.sample(none, NO_CONTROLS, noise, temperature=1.0).samples
    assert tf.reduce_sum(samples).numpy() == BATCH * STEPS


def test_a_split_decoder_is_its_parts_side_by_side(rng, z):
    split = with_random_weights(rng, SplitDecoder(SplitDecoderPlan((make_plan(), make_plan()))))
    cores = split.voices
    targets = [tf.one_hot(rng.integers(0, DEPTH, (BATCH, STEPS)), DEPTH) for _ in cores]
    joined = tf.concat(targets, -1)
    whole = split.reconstruct(z, joined, NO_CONTROLS, LENGTHS, FORCING)
    parts = [
        core.reconstruct(z, target, NO_CONTROLS, LENGTHS, FORCING)
        for core, target in zip(cores, targets, strict=True)
    ]
    np.testing.assert_allclose(whole.loss_nats, sum(part.loss_nats for part in parts), rtol=1e-6)
    np.testing.assert_array_equal(whole.parameters, tf.concat([p.parameters for p in parts], -1))
    assert whole.final_state.shape[-1] == split.plan.state_size
    noise = tf.constant(rng.random((BATCH, STEPS, 2)), tf.float32)
    samples = split.sample(z, NO_CONTROLS, noise, temperature=1.0).samples
    first = cores[0].sample(z, NO_CONTROLS, noise[..., :1], temperature=1.0).samples
    np.testing.assert_array_equal(samples[..., :DEPTH], first)
