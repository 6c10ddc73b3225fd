"""The hierarchical decoder: segments in one batch equal segments one by one, in every mode."""

import numpy as np
import pytest
import tensorflow as tf

from music_vae.common.errors import UserError
from music_vae.common.hparams import HParams
from music_vae.common.model_spec import StepDepths, derive_decoder
from music_vae.common.specs import HierarchicalDecoderSpec, HierarchicalEncoderSpec
from music_vae.nn.decoding import Policy
from music_vae.nn.hierarchy import HierarchicalDecoder
from music_vae.nn.rnn import Dropout

B, S, STEPS, DEPTH, Z = 2, 3, 4, 5, 6
HPARAMS = HParams(max_seq_len=S * STEPS, z_size=Z, dec_rnn_size=(4, 3), enc_rnn_size=(3,))
SEED = tf.constant([1, 2])
FORCING = Policy(0.0, SEED)


@pytest.fixture
def rng():
    return np.random.default_rng(2)


def make_decoder(rng, spec=None, control_depth=0):
    spec = spec or HierarchicalDecoderSpec(level_lengths=(S, STEPS))
    depths = StepDepths(inputs=DEPTH, outputs=DEPTH, controls=control_depth)
    decoder = HierarchicalDecoder(derive_decoder(spec, HPARAMS, depths))
    for weight in decoder.trainable_variables:
        weight.assign(rng.standard_normal(weight.shape).astype(np.float32))
    return decoder


@pytest.fixture
def z(rng):
    return tf.constant(rng.standard_normal((B, Z)), tf.float32)


@pytest.fixture
def targets(rng):
    return tf.one_hot(rng.integers(0, DEPTH, (B, S * STEPS)), DEPTH)


CONTROLS = tf.zeros([B, S * STEPS, 0])
LENGTHS = tf.fill([B], S * STEPS)
NOISE = tf.fill([B, S * STEPS, 1], 0.5)


def autoregressive_spec(levels=(0,), lengths=(S, STEPS), **options):
    return HierarchicalDecoderSpec(level_lengths=lengths, autoregressive_levels=levels, **options)


def test_segments_as_one_batch_equal_segments_one_by_one(rng, z, targets):
    decoder = make_decoder(rng, control_depth=2)
    controls = tf.constant(rng.standard_normal((B, S * STEPS, 2)), tf.float32)
    lengths = tf.constant([[4, 3, 4], [4, 4, 1]])
    mask = tf.reshape(tf.sequence_mask(lengths, STEPS, tf.float32), [B, S * STEPS, 1])
    targets *= mask
    whole = decoder.reconstruct(z, targets, controls, lengths, FORCING)
    embeddings, loss = decoder.embeddings(z), 0.0
    for n in range(S):
        part = slice(n * STEPS, (n + 1) * STEPS)
        first = targets[:, n * STEPS - 1] if n else tf.zeros([B, DEPTH])
        segment = decoder.core.reconstruct(
            embeddings[:, n], targets[:, part], controls[:, part], lengths[:, n], FORCING, first
        )
        np.testing.assert_allclose(whole.parameters[:, part], segment.parameters, atol=1e-5)
        loss += segment.loss_nats
    np.testing.assert_allclose(whole.loss_nats, loss, rtol=1e-5)


def test_embeddings_are_a_conductors_steps_on_zeros(rng, z):
    decoder = make_decoder(rng)
    (conductor,) = decoder.conductors
    states = conductor.lstm.split_state(conductor.initial_state(z))
    for n in range(S):
        output, states = conductor.lstm.step([tf.zeros([B, 1])], states)
        np.testing.assert_allclose(decoder.embeddings(z)[:, n], output, atol=1e-6)


@pytest.mark.parametrize(
    "spec",
    [
        HierarchicalDecoderSpec(level_lengths=(S, STEPS)),
        HierarchicalDecoderSpec(level_lengths=(3, 2, 2)),
        autoregressive_spec(),
        autoregressive_spec((0, 1), (3, 2, 2)),
        autoregressive_spec((0,), (3, 2, 2)),
        autoregressive_spec((1,), (3, 2, 2)),
    ],
)
def test_free_running_samples_are_what_forcing_them_makes_likeliest(rng, z, spec):
    decoder = make_decoder(rng, spec)
    result = decoder.sample(z, CONTROLS, NOISE, temperature=0.0)
    forced = decoder.reconstruct(z, result.samples, CONTROLS, LENGTHS, FORCING)
    np.testing.assert_array_equal(tf.argmax(forced.parameters, -1), tf.argmax(result.samples, -1))
    assert result.lengths.shape == (B, decoder.plan.num_segments)


def test_a_conductor_that_reads_back_sees_what_became_of_its_segments(rng, z, targets):
    """A change in the second segment reaches the third, but not the first."""
    changed = targets.numpy()
    changed[:, STEPS : 2 * STEPS - 1] = np.roll(changed[:, STEPS : 2 * STEPS - 1], 1, axis=-1)
    for spec, reaches in ((autoregressive_spec(), True), (None, False)):
        decoder = make_decoder(rng, spec)
        before, after = (
            decoder.reconstruct(z, array, CONTROLS, LENGTHS, FORCING).parameters.numpy()
            for array in (targets, tf.constant(changed))
        )
        np.testing.assert_array_equal(before[:, :STEPS], after[:, :STEPS])
        assert (np.abs(before - after)[:, 2 * STEPS :].max() > 1e-4) == reaches


def test_an_autoregressive_conductor_reads_the_final_state_and_its_own_input(rng):
    decoder = make_decoder(rng, autoregressive_spec())
    assert decoder.plan.conductors[0].lstm.input_size == decoder.core.plan.state_size + Z
    two = make_decoder(rng, autoregressive_spec((0, 1), (3, 2, 2)))
    states = 2 * sum(HPARAMS.dec_rnn_size)
    sizes = [conductor.lstm.input_size for conductor in two.plan.conductors]
    assert sizes == [states + Z, states + HPARAMS.dec_rnn_size[-1]]


def test_a_reencoder_reads_the_segments_themselves(rng, z, targets):
    spec = autoregressive_spec(reencoder=HierarchicalEncoderSpec(level_lengths=(STEPS, S)))
    decoder = make_decoder(rng, spec)
    (reencoder,) = decoder.reencoder
    width = 2 * HPARAMS.enc_rnn_size[-1]
    assert decoder.plan.conductors[0].lstm.input_size == width + Z
    samples = decoder.sample(z, CONTROLS, NOISE, temperature=0.0).samples
    forced = decoder.reconstruct(z, samples, CONTROLS, LENGTHS, FORCING)
    np.testing.assert_array_equal(tf.argmax(forced.parameters, -1), tf.argmax(samples, -1))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(decoder.reconstruct(z, targets, CONTROLS, LENGTHS, FORCING).loss_nats)
    gradients = tape.gradient(loss, [v.value for v in reencoder.trainable_variables])
    assert all(np.abs(gradient).max() > 0 for gradient in gradients)


def test_a_segment_begins_with_the_last_step_of_the_one_before(rng, z):
    """With end tokens, that is the token itself."""
    decoder = make_decoder(rng)
    noise = tf.constant(rng.random((B, S * STEPS, 1)), tf.float32)
    decoder.core.output_projection.bias.assign([0.0, 0.0, 3.0, 0.0, 0.0])
    result = decoder.sample(z, CONTROLS, noise, temperature=1.0, end_token=2)
    samples, lengths = result.samples.numpy(), result.lengths.numpy()
    assert (lengths < STEPS).any()
    embeddings = decoder.embeddings(z)
    first = tf.zeros([B, DEPTH])
    for n in range(S):
        part = slice(n * STEPS, (n + 1) * STEPS)
        segment = decoder.core.sample(
            embeddings[:, n],
            CONTROLS[:, part],
            noise[:, part],
            temperature=1.0,
            end_token=2,
            first=first,
        )
        np.testing.assert_array_equal(samples[:, part], segment.samples)
        np.testing.assert_array_equal(lengths[:, n], segment.lengths)
        ends = [segment.samples[b, lengths[b, n] - 1] for b in range(B)]
        first = tf.stack(ends)


def test_metrics_come_per_segment_and_as_their_mean(rng, z, targets):
    decoder = make_decoder(rng)
    result = decoder.reconstruct(z, targets, CONTROLS, LENGTHS, FORCING)
    sums = {name: value.numpy().sum(axis=0) for name, value in result.statistics.items()}
    metrics = decoder.summarize(sums)
    per_segment = [metrics[f"segment/{n:03d}/metrics/accuracy"] for n in range(S)]
    assert metrics["metrics/accuracy"] == pytest.approx(np.mean(per_segment))
    hits = np.argmax(result.parameters, -1) == np.argmax(targets, -1)
    expected = hits.reshape(B, S, STEPS).mean(axis=(0, 2))
    assert per_segment == pytest.approx(list(expected))


@pytest.mark.parametrize("spec", [None, autoregressive_spec()])
def test_dropout_and_scheduled_sampling_are_repeatable_and_change_the_loss(rng, z, targets, spec):
    decoder = make_decoder(rng, spec)
    policy = Policy(tf.constant(0.5), SEED, Dropout(0.5, SEED))
    losses = [
        decoder.reconstruct(z, targets, CONTROLS, LENGTHS, p).loss_nats.numpy()
        for p in (policy, policy, FORCING)
    ]
    np.testing.assert_array_equal(losses[0], losses[1])
    assert np.abs(losses[0] - losses[2]).max() > 1e-3


def test_specs_refuse_levels_that_are_not_there():
    with pytest.raises(UserError, match=r"autoregressive_levels=\(1,\) must be among \[0\]"):
        autoregressive_spec((1,))
    with pytest.raises(UserError, match="a reencoder needs autoregressive_levels"):
        HierarchicalDecoderSpec(
            level_lengths=(3, 4), reencoder=HierarchicalEncoderSpec(level_lengths=(4, 3))
        )
    with pytest.raises(UserError, match="two numbers or more"):
        HierarchicalDecoderSpec(level_lengths=(3,))
