"""The loop over time of an LSTM layer, and its gradient. Equations: see `music_vae.nn.rnn`."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from music_vae.nn.numerics import PLAIN, Numerics


def gates_to_state(gates: tf.Tensor, c: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Gate pre-activations and the old cell to (new c, new h, activations `[B, 4 * units]`)."""
    i, j, f, o = tf.split(gates, 4, axis=-1)
    i, j, f, o = tf.sigmoid(i), tf.tanh(j), tf.sigmoid(f), tf.sigmoid(o)
    c = c * f + i * j
    return c, tf.tanh(c) * o, tf.concat([i, j, f, o], axis=-1)


class Trace(NamedTuple):
    """What a loop over time went through: all that its gradient needs.

    Attributes:
      cs: `[T, B, H]`, the cell after every step.
      hs: `[T, B, H]`, the output of every step.
      activations: `[T, B, 4H]`, of the gates.
    """

    cs: tf.Tensor
    hs: tf.Tensor
    activations: tf.Tensor


def run(
    gates: tf.Tensor,
    recurrent: tf.Tensor,
    c0: tf.Tensor,
    h0: tf.Tensor,
    numerics: Numerics = PLAIN,
) -> Trace:
    """The loop without its gradient; arguments as for `recurrence`."""
    trace = Trace(*_forward_loop(gates, recurrent, c0, h0, numerics=numerics))
    units = recurrent.shape[0]
    for array, width in zip(trace, (units, units, 4 * units), strict=True):
        array.set_shape([*gates.shape[:2], width])
    return trace


def recurrence(
    gates: tf.Tensor,
    recurrent: tf.Tensor,
    c0: tf.Tensor,
    h0: tf.Tensor,
    *,
    trace: Trace | None = None,
    numerics: Numerics = PLAIN,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The LSTM over time with its own gradient: `[T, B, 4H]` to c and h, both `[T, B, H]`.

    Automatic differentiation would add up a weight gradient at every step. Here the activations are
    kept from the forward loop, the backward loop finds the gradients of the gates alone, and the
    weight gradient is a single product over time and batch.

    Args:
      gates: The inputs' share in the gates.
      recurrent: Weights of h, `[H, 4H]`.
      c0: `[B, H]`.
      h0: `[B, H]`.
      trace: Of a loop that has been run already. The gates are then there for their gradient alone;
        in a graph they are never computed.
      numerics: How products are taken.
    """

    @tf.custom_gradient
    def loop(gates: tf.Tensor, recurrent: tf.Tensor, c0: tf.Tensor, h0: tf.Tensor) -> Any:
        kept = trace or run(gates, recurrent, c0, h0, numerics)

        def gradient(d_cs: tf.Tensor, d_hs: tf.Tensor) -> tuple[tf.Tensor, ...]:
            return _backward_loop(d_cs, d_hs, recurrent, c0, h0, *kept, numerics=numerics)

        return (tf.identity(kept.cs), tf.identity(kept.hs)), gradient

    return loop(gates, recurrent, c0, h0)


def _shared(*ranks: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Makes a function of tensors of these ranks one graph for layers of all sizes.

    A copy of the loops in the graph of every layer would take most of the time that a model needs
    to its first step.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.cache
        def graph(dtype: tf.DType, numerics: Numerics) -> Any:
            return tf.function(
                lambda *tensors: function(*tensors, numerics=numerics),
                input_signature=[tf.TensorSpec([None] * rank, dtype) for rank in ranks],
                autograph=False,
                jit_compile=numerics.jit or None,
                experimental_attributes={"_noinline": True},
            )

        @functools.wraps(function)
        def call(*tensors: tf.Tensor, numerics: Numerics) -> Any:
            return graph(tensors[0].dtype, numerics)(*tensors)

        return call

    return decorate


@_shared(3, 2, 2, 2)
def _forward_loop(
    gates: tf.Tensor,
    recurrent: tf.Tensor,
    c0: tf.Tensor,
    h0: tf.Tensor,
    *,
    numerics: Numerics,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """c and h, `[T, B, H]`, and the gates' activations `[T, B, 4H]`."""
    steps = tf.shape(gates)[0]

    def body(t: tf.Tensor, c: tf.Tensor, h: tf.Tensor, kept: Any) -> Any:
        now = gates[t] + numerics.multiply(h, recurrent)
        c, h, activations = gates_to_state(now, c)
        made = (c, h, activations)
        return t + 1, c, h, tuple(a.write(t, x) for a, x in zip(kept, made, strict=True))

    arrays = tuple(tf.TensorArray(gates.dtype, steps) for _ in range(3))
    *_, kept = tf.while_loop(lambda t, *_: t < steps, body, (0, c0, h0, arrays))
    return tuple(array.stack() for array in kept)


@_shared(3, 3, 2, 2, 2, 3, 3, 3)
def _backward_loop(
    d_cs: tf.Tensor,
    d_hs: tf.Tensor,
    recurrent: tf.Tensor,
    c0: tf.Tensor,
    h0: tf.Tensor,
    cs: tf.Tensor,
    hs: tf.Tensor,
    activations: tf.Tensor,
    *,
    numerics: Numerics,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Gradients of the gates, the recurrent weights, and the first c and h."""
    steps, units = tf.shape(cs)[0], tf.shape(cs)[2]
    before_cs, before_hs = (
        tf.concat([first[None], states[:-1]], axis=0) for first, states in ((c0, cs), (h0, hs))
    )
    transposed = tf.transpose(recurrent)  # once: a transposing product at every step is slow
    through_sigmoid = tf.raw_ops.SigmoidGrad
    through_tanh = tf.raw_ops.TanhGrad

    def body(t: tf.Tensor, d_c: tf.Tensor, d_h: tf.Tensor, kept: tf.TensorArray) -> Any:
        i, j, f, o = tf.split(activations[t], 4, axis=-1)
        tanh_c = tf.tanh(cs[t])
        d_h += d_hs[t]
        d_c += d_cs[t] + through_tanh(y=tanh_c, dy=d_h * o)
        d_gates = tf.concat(
            [
                through_sigmoid(y=i, dy=d_c * j),
                through_tanh(y=j, dy=d_c * i),
                through_sigmoid(y=f, dy=d_c * before_cs[t]),
                through_sigmoid(y=o, dy=d_h * tanh_c),
            ],
            axis=-1,
        )
        d_h = numerics.multiply_gradient(d_gates, transposed)
        return t - 1, d_c * f, d_h, kept.write(t, d_gates)

    zeros = tf.zeros_like(c0)
    array = tf.TensorArray(cs.dtype, steps)
    _, d_c0, d_h0, kept = tf.while_loop(
        lambda t, *_: t >= 0, body, (steps - 1, zeros, zeros, array)
    )
    d_gates = kept.stack()
    d_recurrent = numerics.multiply_gradient_of_weights(
        tf.reshape(before_hs, [-1, units]), tf.reshape(d_gates, [-1, 4 * units])
    )
    return d_gates, d_recurrent, d_c0, d_h0
