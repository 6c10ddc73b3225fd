"""Encoders: what 'last' means, and segments that are encoded as one batch."""

import numpy as np
import pytest
import tensorflow as tf

from music_vae.common.hparams import HParams
from music_vae.common.model_spec import derive_encoder
from music_vae.common.specs import HierarchicalEncoderSpec, LstmEncoderSpec
from music_vae.nn.encoders import build_encoder, segment_lengths

HPARAMS = HParams(max_seq_len=12, enc_rnn_size=(5,))


@pytest.fixture
def inputs():
    rng = np.random.default_rng(0)
    return tf.constant(rng.standard_normal((2, 12, 3)), tf.float32)


def test_a_forward_encoder_ends_at_the_last_valid_step(inputs):
    """The original read the last padded step, which is zeros for a short sequence."""
    encoder = build_encoder(derive_encoder(LstmEncoderSpec(), HPARAMS, 3))
    result = encoder(inputs, tf.constant([12, 7]))
    np.testing.assert_allclose(result[1:], encoder(inputs[1:, :7], tf.constant([7])), atol=1e-6)
    assert np.abs(result[1]).max() > 0
    assert result.shape[-1] == 5


def test_a_hierarchy_encodes_its_segments_and_then_their_embeddings(inputs):
    spec = HierarchicalEncoderSpec(level_lengths=(4, 3))
    encoder = build_encoder(derive_encoder(spec, HPARAMS, 3))
    lengths = tf.constant([[4, 2, 3], [4, 4, 1]])
    segments = [encoder.levels[0](inputs[:, 4 * n : 4 * n + 4], lengths[:, n]) for n in range(3)]
    expected = encoder.levels[1](tf.stack(segments, axis=1), tf.constant([3, 3]))
    np.testing.assert_allclose(encoder(inputs, lengths), expected, atol=1e-6)


def test_three_levels_reduce_step_by_step(inputs):
    spec = HierarchicalEncoderSpec(level_lengths=(2, 3, 2), core=LstmEncoderSpec())
    encoder = build_encoder(derive_encoder(spec, HPARAMS, 3))
    halves = [
        encoder.levels[1](
            tf.stack(
                [
                    encoder.levels[0](inputs[:, start : start + 2], tf.constant([2, 2]))
                    for start in range(6 * half, 6 * half + 6, 2)
                ],
                axis=1,
            ),
            tf.constant([3, 3]),
        )
        for half in range(2)
    ]
    expected = encoder.levels[2](tf.stack(halves, axis=1), tf.constant([2, 2]))
    np.testing.assert_allclose(encoder(inputs, tf.constant([12, 12])), expected, atol=1e-6)


def test_one_length_is_shared_out_among_the_segments():
    lengths = segment_lengths(tf.constant([12, 6, 0]), segments=3, steps=4)
    assert lengths.numpy().tolist() == [[4, 4, 4], [4, 2, 0], [0, 0, 0]]
    given = tf.constant([[1, 2, 3]])
    assert segment_lengths(given, 3, 4) is given
