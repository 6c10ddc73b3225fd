"""NADE, the neural autoregressive distribution estimator (Uria et al. 2016), for binary vectors.

a_0 = b_enc
logit_i = w_dec_i . sigmoid(a_i) + b_dec_i,   p(v_i = 1 | v_0 ... v_{i-1}) = sigmoid(logit_i)
a_{i+1} = a_i + v_i * w_enc_i
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from music_vae.common.model_constants import NADE_LOG_FLOOR


class Nade(keras.layers.Layer):
    """The weights that all steps share; the biases b_enc `[..., H]`, b_dec `[..., D]` are given.

    The weights have the shapes of the published checkpoints: `w_enc` `[D, 1, H]` and `w_dec_t`
    `[D, H, 1]`.
    """

    def __init__(self, depth: int, num_hidden: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.depth = depth
        self.num_hidden = num_hidden
        initializer = keras.initializers.TruncatedNormal(stddev=num_hidden**-0.5)
        self.w_enc = self.add_weight(
            name="w_enc", shape=(depth, 1, num_hidden), initializer=initializer
        )
        self.w_dec_t = self.add_weight(
            name="w_dec_t", shape=(depth, num_hidden, 1), initializer=initializer
        )
        self.built = True

    def log_likelihood(
        self, values: tf.Tensor, b_enc: tf.Tensor, b_dec: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Log-likelihood in nats `[...]` of `[..., D]` zeros and ones, and p_i `[..., D]`."""
        # All a_i at once, [..., D, H]: b_enc and the rows of w_enc for the values before i.
        w_enc, w_dec = tf.convert_to_tensor(self.w_enc), tf.convert_to_tensor(self.w_dec_t)
        before = tf.linalg.band_part(tf.ones([self.depth] * 2, values.dtype), 0, -1)
        before -= tf.eye(self.depth, dtype=values.dtype)
        rows = before[..., None] * w_enc  # [D, D, H]: value, i, hidden
        a = b_enc[..., None, :] + tf.tensordot(values, rows, 1)
        logits = tf.reduce_sum(tf.sigmoid(a) * w_dec[..., 0], axis=-1) + b_dec
        p = tf.sigmoid(logits)
        terms = values * tf.math.log(NADE_LOG_FLOOR + p)
        terms += (1 - values) * tf.math.log(NADE_LOG_FLOOR + 1 - p)
        return tf.reduce_sum(terms, axis=-1), p

    def sample(
        self,
        b_enc: tf.Tensor,
        b_dec: tf.Tensor,
        choose: Callable[[tf.Tensor, int], tf.Tensor],
    ) -> tf.Tensor:
        """Values `[B, D]`, each what `choose` makes of its logit `[B, 1]` and its number."""
        w_enc, w_dec = tf.convert_to_tensor(self.w_enc), tf.convert_to_tensor(self.w_dec_t)
        a, values = b_enc, []
        for n in range(self.depth):
            logit = tf.sigmoid(a) @ w_dec[n] + b_dec[:, n : n + 1]
            values.append(choose(logit, n))
            a += values[-1] * w_enc[n]
        return tf.concat(values, axis=-1)
