"""The likeliest outcomes of every step, told the steps before, and what they cost."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from music_vae import checkpoints, data, measures
from music_vae.configs import get_config
from music_vae.lstm_models import Policy, build_model
from music_vae.specs import Batch, HierarchicalDecoderSpec
from music_vae.teacher_forcing import TeacherForcedDecoder, likeliest

TINY = "z_size=4,enc_rnn_size=[6],dec_rnn_size=[6]"


def tiny(name):
    """The config with tiny layers, and of 16 steps."""
    config = get_config(name, TINY)
    config = config.replace(hparams=config.hparams.replace(max_seq_len=16))
    if isinstance(config.decoder, HierarchicalDecoderSpec):
        config = config.replace(decoder=dataclasses.replace(config.decoder, level_lengths=(4, 4)))
    return config


@pytest.mark.parametrize("name", ["cat-mel_2bar_small", "flat-trio_16bar", "hierdec-trio_16bar"])
def test_the_accuracy_of_the_likeliest_outcomes_is_the_models_own(name):
    config = tiny(name)
    converter, steps = config.data_converter, config.hparams.max_seq_len
    model, rng = build_model(config, with_encoder=False), np.random.default_rng(0)
    for variable in model.trainable_variables:  # a fresh model is all but indifferent
        variable.assign(rng.standard_normal(variable.shape).astype(np.float32))
    z, controls = tf.constant(rng.standard_normal((3, 4)), tf.float32), tf.zeros([3, steps, 0])
    noise = tf.fill([3, steps, model.decoder.noise_size], 0.5)
    made = model.sample(z, controls, noise, temperature=0.0).samples.numpy()
    tokens = measures.symbols(converter, made)
    changed = np.where(rng.random(tokens.shape) < 0.3, 1, tokens)
    targets = converter.dense_outputs(changed).astype(np.float32)
    batch = Batch(targets, targets, controls, np.full(3, steps, np.int32))
    result = model.reconstruct(z, batch, Policy(0.0, tf.zeros([2], tf.int32)))
    outputs = likeliest(model.decoder, result.parameters).numpy()
    right = measures.symbols(converter, outputs) == measures.symbols(converter, targets)
    sums = {name: tf.reduce_sum(v, axis=0).numpy() for name, v in result.statistics.items()}
    metrics = model.decoder.summarize(sums)
    parts = [value for name, value in metrics.items() if name.startswith("metrics/accuracy")]
    assert np.mean(right) == pytest.approx(np.mean(parts), abs=1e-6)
    assert 0.1 < np.mean(right) < 0.9


def test_the_likeliest_groove_has_hits_velocities_and_offsets():
    config = get_config("groovae_2bar_humanize", TINY)
    model = build_model(config, with_encoder=False)
    parameters = np.random.default_rng(0).standard_normal((2, 5, 27)).astype(np.float32)
    hits, velocities, offsets = np.split(likeliest(model.decoder, parameters).numpy(), 3, axis=-1)
    np.testing.assert_array_equal(hits, parameters[..., :9] > 0)
    np.testing.assert_allclose(velocities, 1 / (1 + np.exp(-parameters[..., 9:18])), rtol=1e-5)
    np.testing.assert_allclose(offsets, np.tanh(parameters[..., 18:]), rtol=1e-5)


def test_a_checkpoint_expects_the_same_as_its_model(tiny_run, tiny_config, tunes):
    converter = tiny_config.data_converter
    sequence = next(data.read_note_sequences(str(tunes)))
    examples = converter.extract(sequence).examples[:3]
    z = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    expectation = TeacherForcedDecoder(tiny_config, tiny_run).expect(z, examples)
    model = build_model(tiny_config, with_encoder=False)
    checkpoints.load_weights(model, tiny_run)
    batch = Batch(*map(tf.constant, data.make_batch(examples, converter)))
    result = model.reconstruct(tf.constant(z), batch, Policy(0.0, tf.zeros([2], tf.int32)))
    np.testing.assert_allclose(expectation.loss_nats, result.loss_nats, rtol=1e-5)
    assert [array.shape for array in expectation.outputs] == [(32, 90)] * 3
