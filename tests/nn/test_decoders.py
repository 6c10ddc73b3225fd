"""Input policies of the flat decoder: forced, free, and scheduled."""

import numpy as np
import pytest
import tensorflow as tf

from music_vae.nn.decoders import FlatDecoder, shifted
from music_vae.nn.heads import CategoricalHead
from music_vae.specs import HParams

DEPTH, STEPS, BATCH, Z = 5, 7, 3, 4


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def make_decoder(rng, *, control_depth=0):
    decoder = FlatDecoder(
        CategoricalHead(DEPTH),
        HParams(dec_rnn_size=(6, 8)),
        z_size=Z,
        output_depth=DEPTH,
        control_depth=control_depth,
    )
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


def test_shifted_targets_begin_with_zeros_and_lose_the_last_step(targets):
    inputs = shifted(targets).numpy()
    assert not inputs[:, 0].any()
    np.testing.assert_array_equal(inputs[:, 1:], targets[:, :-1])


def test_free_running_samples_are_what_forcing_them_makes_likeliest(rng, z):
    decoder = make_decoder(rng)
    noise = tf.fill([BATCH, STEPS, 1], 0.5)
    samples = decoder.sample(z, NO_CONTROLS, noise, temperature=0.0).samples
    outputs = decoder(z, shifted(samples), NO_CONTROLS)
    np.testing.assert_array_equal(tf.argmax(outputs, -1), tf.argmax(samples, -1))


def test_controls_change_what_is_decoded_from_their_step_on(rng, z, targets):
    decoder = make_decoder(rng, control_depth=2)
    controls = rng.standard_normal((BATCH, STEPS, 2)).astype(np.float32)
    changed = controls.copy()
    changed[:, 4:] += 1
    before = decoder(z, shifted(targets), tf.constant(controls)).numpy()
    after = decoder(z, shifted(targets), tf.constant(changed)).numpy()
    np.testing.assert_array_equal(before[:, :4], after[:, :4])
    assert (np.abs(before[:, 4:] - after[:, 4:]).max(axis=-1) > 1e-4).all()


def test_controls_reach_free_running_as_they_reach_forcing(rng, z):
    decoder = make_decoder(rng, control_depth=2)
    controls = tf.constant(rng.standard_normal((BATCH, STEPS, 2)), tf.float32)
    noise = tf.fill([BATCH, STEPS, 1], 0.5)
    samples = decoder.sample(z, controls, noise, temperature=0.0).samples
    outputs = decoder(z, shifted(samples), controls)
    np.testing.assert_array_equal(tf.argmax(outputs, -1), tf.argmax(samples, -1))


def test_scheduled_sampling_at_probability_zero_is_teacher_forcing(rng, z, targets):
    inputs = make_decoder(rng).scheduled_inputs(z, targets, NO_CONTROLS, 0.0, [1, 2])
    np.testing.assert_array_equal(inputs, shifted(targets))


def test_scheduled_sampling_at_probability_one_reads_samples_alone(rng, z, targets):
    decoder = make_decoder(rng)
    one = decoder.scheduled_inputs(z, targets, NO_CONTROLS, 1.0, [1, 2])
    other = decoder.scheduled_inputs(z, tf.roll(targets, 1, axis=-1), NO_CONTROLS, 1.0, [1, 2])
    np.testing.assert_array_equal(one, other)
    assert not one[:, 0].numpy().any()
    np.testing.assert_array_equal(tf.reduce_sum(one[:, 1:], -1), np.ones((BATCH, STEPS - 1)))


def test_scheduled_sampling_chooses_per_example_and_step(rng):
    decoder = make_decoder(rng)
    # Targets of all zeros are told from samples, which are one-hot.
    targets, z = tf.zeros([500, 11, DEPTH]), tf.zeros([500, Z])
    inputs = decoder.scheduled_inputs(z, targets, tf.zeros([500, 11, 0]), 0.3, [5, 6])
    own = tf.reduce_sum(inputs, -1).numpy()[:, 1:]
    assert own.mean() == pytest.approx(0.3, abs=0.03)
    assert own.mean(axis=0) == pytest.approx(0.3, abs=0.1)
    assert 0 < own.mean(axis=1).std() < 0.2


def test_no_gradient_flows_through_a_choice_of_inputs(rng, z, targets):
    decoder = make_decoder(rng)
    with tf.GradientTape() as tape:
        inputs = decoder.scheduled_inputs(z, targets, NO_CONTROLS, 0.5, [1, 2])
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
