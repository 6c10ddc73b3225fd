"""Runs the loop over time of an LSTM layer, and its gradient.

The equations are in `music_vae.nn.cell`.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from music_vae.nn import steps
from music_vae.nn.numerics import PLAIN, Numerics
from music_vae.nn.parts import last_valid


class Activations(NamedTuple):
    """Activations of an LSTM's gates at one step, each `[B, H]`; or at every step, see `Trace`.

    >>> _, _, activations = gates_to_state(gates=tf.zeros([1, 4]), c=tf.ones([1, 1]))
    >>> [gate.numpy().item() for gate in activations]
    [0.5, 0.0, 0.5, 0.5]

    Attributes:
      i: Input gate, from 0 to 1: how much of j is added to the cell.
      j: New content of the cell, from -1 to 1.
      f: Forget gate, from 0 to 1: how much of the old cell is kept.
      o: Output gate, from 0 to 1: how much of tanh(cell) is the output.
    """

    i: tf.Tensor
    j: tf.Tensor
    f: tf.Tensor
    o: tf.Tensor


def gates_to_state(gates: tf.Tensor, c: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, Activations]:
    """Returns the new c, the new h, and the gates' activations.

    >>> c, h, _ = gates_to_state(gates=tf.zeros([1, 4]), c=tf.ones([1, 1]))
    >>> print(c.numpy(), h.numpy().round(3))  # c = 0.5 * 1, h = 0.5 * tanh(0.5)
    [[0.5]] [[0.231]]

    Args:
      gates: Pre-activations of the gates i, j, f and o, `[B, 4H]`.
      c: The cell before the step, `[B, H]`.
    """
    i, j, f, o = tf.split(gates, 4, axis=-1)
    i, j, f, o = tf.sigmoid(i), tf.tanh(j), tf.sigmoid(f), tf.sigmoid(o)
    c = c * f + i * j
    return c, tf.tanh(c) * o, Activations(i, j, f, o)


class Trace(NamedTuple):
    """The states and activations of every step of a loop over time, which its gradient needs.

    >>> h0, c0 = tf.zeros([1, 1]), tf.ones([1, 1])
    >>> trace = run(gates=tf.zeros([3, 1, 4]), recurrent=tf.zeros([1, 4]), c0=c0, h0=h0)
    >>> trace.hs.numpy().ravel().round(3)
    array([0.   , 0.231, 0.122, 0.062], dtype=float32)

    Attributes:
      hs: The output before the first step and after every step, `[T + 1, B, H]`.
      cs: The cell before the first step and after every step, as a list or stacked; see
        `music_vae.nn.steps`.
      activations: Activations of the gates at every step, each as a list or stacked.
    """

    hs: tf.Tensor
    cs: tf.Tensor
    activations: Activations


class Recorder(NamedTuple):
    """Records a trace: lists that a loop over time extends at every step.

    >>> h0, c0 = tf.zeros([1, 1]), tf.ones([1, 1])
    >>> recorder = Recorder.start(c0, h0, count=1)
    >>> recorder = recorder.add(0, *gates_to_state(tf.zeros([1, 4]), c0))
    >>> recorder.trace(tf.float32, stacked=True).cs.numpy().ravel().tolist()
    [1.0, 0.5]

    Attributes:
      hs: List of outputs; see `Trace`.
      cs: List of cells.
      activations: Lists of the gates' activations.
    """

    hs: tf.Tensor
    cs: tf.Tensor
    activations: Activations

    @classmethod
    def start(cls, c0: tf.Tensor, h0: tf.Tensor, count: Any) -> "Recorder":
        """Returns a recorder before the first of `count` steps, given c and h `[B, H]`."""
        hs, cs = (steps.put(steps.reserve(count + 1, x.dtype), 0, x) for x in (h0, c0))
        return cls(hs, cs, Activations(*(steps.reserve(count, c0.dtype) for _ in range(4))))

    def add(self, t: Any, c: tf.Tensor, h: tf.Tensor, activations: Activations) -> "Recorder":
        """Returns the recorder with step t added, given c, h and activations after it."""
        pairs = zip(self.activations, activations, strict=True)
        return Recorder(
            steps.put(self.hs, t + 1, h),
            steps.put(self.cs, t + 1, c),
            Activations(*(steps.put(kept, t, now) for kept, now in pairs)),
        )

    def trace(self, dtype: tf.DType, *, stacked: bool) -> Trace:
        """Returns the trace of all steps; if `stacked`, as tensors rather than as lists."""
        hs = steps.stack(self.hs, dtype)
        if not stacked:
            return Trace(hs, self.cs, self.activations)
        return Trace(
            hs,
            steps.stack(self.cs, dtype),
            Activations(*(steps.stack(kept, dtype) for kept in self.activations)),
        )


def run(
    gates: tf.Tensor,
    recurrent: tf.Tensor,
    c0: tf.Tensor,
    h0: tf.Tensor,
    numerics: Numerics = PLAIN,
) -> Trace:
    """Runs the loop without its gradient; arguments are those of `recurrence`.

    >>> h0, c0 = tf.zeros([2, 1]), tf.ones([2, 1])
    >>> trace = run(gates=tf.zeros([3, 2, 4]), recurrent=tf.zeros([1, 4]), c0=c0, h0=h0)
    >>> trace.hs.shape
    TensorShape([4, 2, 1])
    """
    trace = _forward_loop(gates, recurrent, c0, h0, numerics=numerics)
    trace.hs.set_shape([None, gates.shape[1], recurrent.shape[0]])
    return trace


def recurrence(
    gates: tf.Tensor,
    recurrent: tf.Tensor,
    c0: tf.Tensor,
    h0: tf.Tensor,
    lengths: tf.Tensor,
    *,
    trace: Trace | None = None,
    numerics: Numerics = PLAIN,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Runs an LSTM over time, with a gradient of its own.

    Automatic differentiation would add up a weight gradient at every step. Here the activations are
    kept from the forward loop, the backward loop computes the gradients of the gates alone, and the
    weight gradient is a single product over time and batch.

    >>> h0, c0 = tf.zeros([1, 1]), tf.ones([1, 1])
    >>> gates, recurrent = tf.zeros([3, 1, 4]), tf.zeros([1, 4])
    >>> hs, last_c = recurrence(gates, recurrent, c0, h0, lengths=tf.constant([2]))
    >>> print(hs.numpy().ravel().round(3), last_c.numpy())  # the cell halves twice
    [0.231 0.122 0.062] [[0.25]]

    Args:
      gates: Shares of the inputs in the gates, biases included, `[T, B, 4H]`.
      recurrent: Weights of h, `[H, 4H]`.
      c0: The cell before the first step, `[B, H]`.
      h0: The output before the first step, `[B, H]`.
      lengths: Valid steps of each sequence, `[B]`.
      trace: Trace of a loop that has been run already. The gates are then there for their gradient
        alone; in a graph they are never computed.
      numerics: How products are computed.

    Returns:
      h of every step `[T, B, H]`, and c `[B, H]` after the last valid step; zeros if there is none.
    """

    @tf.custom_gradient
    def loop(gates: tf.Tensor, recurrent: tf.Tensor, c0: tf.Tensor, h0: tf.Tensor) -> Any:
        kept = trace or run(gates, recurrent, c0, h0, numerics)
        hs, cs = (steps.stack(states, c0.dtype)[1:] for states in (kept.hs, kept.cs))
        for states in (hs, cs):
            states.set_shape([*gates.shape[:2], recurrent.shape[0]])

        def gradient(d_hs: tf.Tensor, d_last_c: tf.Tensor) -> tuple[tf.Tensor, ...]:
            return _backward_loop(
                d_hs,
                recurrent,
                d_last_c,
                tf.cast(lengths, c0.dtype)[:, None],
                kept.hs,
                kept.cs,
                *kept.activations,
                numerics=numerics,
            )

        return (hs, last_valid(cs, lengths)), gradient

    return loop(gates, recurrent, c0, h0)


def _shared(*ranks: int, lists: int = 0) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compiles a function of tensors of these ranks, and of lists, once for layers of all sizes.

    Most of the time before a model's first step would go into a copy of the loops for every layer.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.cache
        def graph(dtype: tf.DType, numerics: Numerics) -> Any:
            signature = [tf.TensorSpec([None] * rank, dtype) for rank in ranks]
            # What XLA compiles cannot pass lists on.
            kept = (
                tf.TensorSpec([None] * 3, dtype) if numerics.jit else tf.TensorSpec([], tf.variant)
            )
            return tf.function(
                lambda *tensors: function(*tensors, numerics=numerics),
                input_signature=[*signature, *[kept] * lists],
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
) -> Trace:
    count = tf.shape(gates)[0]

    def body(t: tf.Tensor, c: tf.Tensor, h: tf.Tensor, recorder: Recorder) -> Any:
        c, h, activations = gates_to_state(gates[t] + numerics.multiply(h, recurrent), c)
        return t + 1, c, h, recorder.add(t, c, h, activations)

    *_, recorder = tf.while_loop(
        lambda t, *_: t < count, body, (0, c0, h0, Recorder.start(c0, h0, count))
    )
    return recorder.trace(gates.dtype, stacked=numerics.jit)


@_shared(3, 2, 2, 2, 3, lists=5)
def _backward_loop(
    d_hs: tf.Tensor,
    recurrent: tf.Tensor,
    d_last_c: tf.Tensor,
    lengths: tf.Tensor,
    hs: tf.Tensor,
    cs: tf.Tensor,
    *activations: tf.Tensor,
    numerics: Numerics,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns the gradients of the gates, the recurrent weights, and the first c and h.

    Args:
      d_hs: Gradient of every step's output, `[T, B, H]`.
      recurrent: Weights of h; see `recurrence`.
      d_last_c: Gradient of the c after the last valid step, `[B, H]`.
      lengths: Valid steps `[B, 1]`, of the same type as the other tensors.
      hs: Outputs; see `Trace`.
      cs: Cells of T + 1 steps; see `Trace`.
      *activations: Activations of the gates i, j, f and o; see `Trace`.
      numerics: How products are computed.
    """
    count, units, dtype = tf.shape(d_hs)[0], tf.shape(d_hs)[2], d_hs.dtype
    transposed = tf.transpose(recurrent)  # once: a transposing product at every step is slow
    through_sigmoid = tf.raw_ops.SigmoidGrad
    through_tanh = tf.raw_ops.TanhGrad

    def body(t: tf.Tensor, d_c: tf.Tensor, d_h: tf.Tensor, kept: tf.Tensor) -> Any:
        i, j, f, o = (steps.at(array, t, dtype) for array in activations)
        tanh_c = tf.tanh(steps.at(cs, t + 1, dtype))
        d_h += d_hs[t]
        ends = tf.cast(lengths == tf.cast(t + 1, dtype), dtype)
        d_c += d_last_c * ends + through_tanh(y=tanh_c, dy=d_h * o)
        d_gates = tf.concat(
            [
                through_sigmoid(y=i, dy=d_c * j),
                through_tanh(y=j, dy=d_c * i),
                through_sigmoid(y=f, dy=d_c * steps.at(cs, t, dtype)),
                through_sigmoid(y=o, dy=d_h * tanh_c),
            ],
            axis=-1,
        )
        d_h = numerics.multiply_gradient(d_gates, transposed)
        return t - 1, d_c * f, d_h, steps.put(kept, t, d_gates)

    zeros = tf.zeros_like(d_last_c)
    _, d_c0, d_h0, kept = tf.while_loop(
        lambda t, *_: t >= 0, body, (count - 1, zeros, zeros, steps.reserve(count, dtype))
    )
    d_gates = steps.stack(kept, dtype)
    d_recurrent = numerics.multiply_gradient_of_weights(
        tf.reshape(hs[:-1], [-1, units]), tf.reshape(d_gates, [-1, 4 * units])
    )
    return d_gates, d_recurrent, d_c0, d_h0
