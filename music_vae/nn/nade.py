"""Defines NADE, a neural autoregressive distribution over binary vectors (Uria et al. 2016).

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
    """A joint distribution over vectors of `depth` zeros and ones, such as drums hit together.

    It owns the weights that all steps of a sequence share. The biases b_enc `[..., H]` and b_dec
    `[..., D]` are arguments: a decoder computes them for each step. The weights have the shapes of
    the published checkpoints: `w_enc` `[D, 1, H]` and `w_dec_t` `[D, H, 1]`.

    >>> nade = Nade(depth=3, num_hidden=2)
    >>> _ = nade.w_dec_t.assign(tf.zeros([3, 2, 1]))  # now the numbers are independent
    >>> hits, b_enc, b_dec = tf.constant([[1.0, 0.0, 1.0]]), tf.zeros([1, 2]), tf.zeros([1, 3])
    >>> log_likelihood, p = nade.log_likelihood(hits, b_enc, b_dec)
    >>> print(p.numpy(), log_likelihood.numpy().round(3))  # three fair coins: 3 ln(1/2)
    [[0.5 0.5 0.5]] [-2.079]
    >>> nade.sample(b_enc, b_dec + 1.0, lambda logit, n: tf.round(tf.sigmoid(logit))).numpy()
    array([[1., 1., 1.]], dtype=float32)
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
        """Returns the log-likelihood of binary vectors, and the probability of each number.

        Args:
          values: Zeros and ones `[..., D]`.
          b_enc: Biases of the hidden units, `[..., H]`.
          b_dec: Biases of the logits, `[..., D]`.

        Returns:
          The log-likelihood in nats `[...]`, and p_i `[..., D]`, the probability that number i is 1
          given those before it.
        """
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
        """Returns values `[B, D]`, drawn one after the other.

        Args:
          b_enc: Biases of the hidden units, `[B, H]`.
          b_dec: Biases of the logits, `[B, D]`.
          choose: Makes a value `[B, 1]` from its logit `[B, 1]` and its index.
        """
        w_enc, w_dec = tf.convert_to_tensor(self.w_enc), tf.convert_to_tensor(self.w_dec_t)
        a, values = b_enc, []
        for n in range(self.depth):
            logit = tf.sigmoid(a) @ w_dec[n] + b_dec[:, n : n + 1]
            values.append(choose(logit, n))
            a += values[-1] * w_enc[n]
        return tf.concat(values, axis=-1)
