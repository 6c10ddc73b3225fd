"""cuDNN's LSTM: its packed weights by its own equations, and, where there is a GPU, its results."""

import numpy as np
import pytest
import tensorflow as tf

from music_vae.common.model_spec import bidirectional_lstm, lstm_stack
from music_vae.nn import cudnn
from music_vae.nn.cell import LstmCell, LstmState
from music_vae.nn.numerics import Numerics
from music_vae.nn.rnn import BidirectionalLstm, Dropout, LstmStack, set_numerics

needs_gpu = pytest.mark.skipif(
    not tf.config.list_physical_devices("GPU"), reason="cuDNN computes on NVIDIA's GPUs alone"
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def whole_floats():
    """Products of float32 in float32, where a GPU would take TF32."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    yield
    tf.config.experimental.enable_tensor_float_32_execution(before)


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def by_cudnns_equations(params, inputs, c, h):
    """cuDNN's documented LSTM: gates i, f, o and the new c' in the order of its weights."""
    depth, units = inputs.shape[-1], c.shape[-1]
    sizes = [units * depth] * 4 + [units * units] * 4 + [units] * 8
    *pieces, rest = np.split(params, np.cumsum(sizes))
    assert not rest.size
    w = [piece.reshape(units, depth) for piece in pieces[:4]]
    r = [piece.reshape(units, units) for piece in pieces[4:8]]
    b = pieces[8:]
    outputs = []
    for x in inputs:
        i, f, new, o = (x @ w[n].T + h @ r[n].T + b[n] + b[4 + n] for n in range(4))
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(new)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs)


@pytest.mark.usefixtures("whole_floats")
def test_packed_weights_mean_in_cudnns_equations_what_they_mean_in_ours(rng):
    cell = LstmCell(3, 4)
    cell.bias.assign(normal(rng, 16))
    inputs, c, h = normal(rng, 6, 2, 3), normal(rng, 2, 4), normal(rng, 2, 4)
    bias = cell.bias.numpy() + np.repeat([0, 0, 1, 0], 4).astype(np.float32)
    params = cudnn.packed(tf.constant(cell.kernel.numpy()), tf.constant(bias)).numpy()
    lengths = tf.constant([6, 6])
    ours, _ = cell.sequence(cell.project([tf.constant(inputs)]), lengths, LstmState(c, h))
    np.testing.assert_allclose(by_cudnns_equations(params, inputs, c, h), ours, atol=1e-6)


def both_ways(layer, run, sources):
    """Results and gradients without cuDNN and with it."""
    found = []
    for numerics in (Numerics(), Numerics(cudnn=True)):
        set_numerics(layer, numerics)
        with tf.GradientTape() as tape:
            results = run()
            loss = tf.add_n([tf.reduce_sum(tf.sin(result)) for result in results])
        found.append((results, tape.gradient(loss, sources)))
    return found


def weights(layer):
    return [variable.value for variable in layer.trainable_variables]


@needs_gpu
@pytest.mark.usefixtures("whole_floats")
def test_a_stack_is_the_same_with_cudnn(rng):
    stack = LstmStack(lstm_stack("lstm", 7, (32, 16)))
    inputs = tf.Variable(normal(rng, 12, 5, 5))
    z, flat = tf.Variable(normal(rng, 5, 2)), tf.Variable(normal(rng, 5, stack.plan.state_size))
    lengths = tf.constant([12, 1, 0, 7, 12])
    valid = tf.transpose(tf.sequence_mask(lengths, 12, tf.float32))[..., None]

    def run():
        outputs, last = stack.sequence(
            [tf.convert_to_tensor(inputs), tf.convert_to_tensor(z)],
            lengths,
            stack.split_state(tf.convert_to_tensor(flat)),
        )
        return [outputs * valid, *(array for state in last for array in state)]

    plain, fused = both_ways(stack, run, [inputs, z, flat, *weights(stack)])
    for a, b in zip(tf.nest.flatten(plain), tf.nest.flatten(fused), strict=True):
        np.testing.assert_allclose(b, a, atol=2e-5)


@needs_gpu
@pytest.mark.usefixtures("whole_floats")
@pytest.mark.parametrize("residual", [False, True])
def test_both_directions_are_the_same_with_cudnn(rng, residual):
    lstm = BidirectionalLstm(bidirectional_lstm("lstm", 5, (16, 16), residual=residual))
    inputs, lengths = tf.Variable(normal(rng, 12, 4, 5)), tf.constant([12, 3, 0, 9])
    dropout = Dropout(0.5, tf.constant([1, 2]))

    def run():
        return [lstm.last_states([tf.convert_to_tensor(inputs)], lengths, dropout)]

    plain, fused = both_ways(lstm, run, [inputs, *weights(lstm)])
    for a, b in zip(tf.nest.flatten(plain), tf.nest.flatten(fused), strict=True):
        np.testing.assert_allclose(b, a, atol=2e-5)
