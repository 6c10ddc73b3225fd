"""LSTM layers against a plain NumPy version, and their own gradient against automatic ones."""

import numpy as np
import pytest
import tensorflow as tf

from music_vae.nn.rnn import BidirectionalLstm, LstmCell, LstmStack, LstmState


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def numpy_lstm(cell, inputs, c, h):
    """The equations of the module's docstring, step by step; `[T, B, D]` to `[T, B, H]`."""
    kernel, bias = cell.kernel.numpy(), cell.bias.numpy()
    outputs = []
    for x in inputs:
        i, j, f, o = np.split(np.concatenate([x, h], -1) @ kernel + bias, 4, axis=-1)
        c = c * sigmoid(f + 1) + sigmoid(i) * np.tanh(j)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def make_cell(rng, input_size, units):
    cell = LstmCell(input_size, units)
    cell.bias.assign(normal(rng, 4 * units))
    return cell


def test_a_sequence_equals_the_equations(rng):
    cell = make_cell(rng, 3, 4)
    inputs, c, h = normal(rng, 6, 2, 3), normal(rng, 2, 4), normal(rng, 2, 4)
    outputs = cell.sequence(cell.project([tf.constant(inputs)]), LstmState(c, h))
    np.testing.assert_allclose(outputs, numpy_lstm(cell, inputs, c, h), atol=1e-6)


def test_steps_equal_the_sequence(rng):
    cell = make_cell(rng, 3, 4)
    inputs = normal(rng, 5, 2, 3)
    state, outputs = LstmState(tf.zeros([2, 4]), tf.zeros([2, 4])), []
    for x in inputs:
        state = cell.step(cell.project([tf.constant(x)]), state)
        outputs.append(state.h)
    whole = cell.sequence(cell.project([tf.constant(inputs)]))
    np.testing.assert_allclose(tf.stack(outputs), whole, atol=1e-6)


def test_a_part_without_time_counts_at_every_step(rng):
    cell = make_cell(rng, 5, 4)
    inputs, z = normal(rng, 6, 2, 3), normal(rng, 2, 2)
    repeated = np.concatenate([inputs, np.broadcast_to(z, (6, 2, 2))], axis=-1)
    np.testing.assert_allclose(
        cell.project([tf.constant(inputs), tf.constant(z)]),
        cell.project([tf.constant(repeated)]),
        atol=1e-6,
    )


def test_inputs_of_the_wrong_width_are_refused(rng):
    with pytest.raises(ValueError, match="expects inputs of width 5, got 3"):
        make_cell(rng, 5, 4).project([tf.zeros([2, 3])])


def test_the_gradient_equals_automatic_differentiation_of_single_steps(rng):
    cell = make_cell(rng, 3, 4)
    inputs, weights = normal(rng, 7, 2, 3), normal(rng, 7, 2, 4)
    inputs, c, h = (
        tf.Variable(inputs),
        tf.Variable(normal(rng, 2, 4)),
        tf.Variable(normal(rng, 2, 4)),
    )
    sources = [inputs, c, h, cell.kernel.value, cell.bias.value]
    with tf.GradientTape() as tape:
        outputs = cell.sequence(cell.project([tf.convert_to_tensor(inputs)]), LstmState(c, h))
        loss = tf.reduce_sum(outputs * weights)
    fused = tape.gradient(loss, sources)
    with tf.GradientTape() as tape:
        state, loss = LstmState(tf.convert_to_tensor(c), tf.convert_to_tensor(h)), 0.0
        for t in range(7):
            state = cell.step(cell.project([inputs[t]]), state)
            loss += tf.reduce_sum(state.h * weights[t])
    stepwise = tape.gradient(loss, sources)
    for actual, expected in zip(fused, stepwise, strict=True):
        np.testing.assert_allclose(actual, expected, atol=2e-5)


def test_a_stack_over_time_equals_its_steps(rng):
    stack = LstmStack(3, (4, 5))
    flat = tf.constant(normal(rng, 2, stack.state_size))
    inputs = tf.constant(normal(rng, 6, 2, 3))
    states, outputs = stack.split_state(flat), []
    for t in range(6):
        top, states = stack.step([inputs[t]], states)
        outputs.append(top)
    whole = stack.sequence([inputs], stack.split_state(flat))
    np.testing.assert_allclose(whole, tf.stack(outputs), atol=1e-6)


def test_a_state_splits_into_c_and_h_of_each_layer_in_turn():
    stack = LstmStack(3, (1, 2))
    (c0, h0), (c1, h1) = stack.split_state(tf.constant([[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]]))
    assert [x.numpy().ravel().tolist() for x in (c0, h0, c1, h1)] == [[0], [1], [2, 3], [4, 5]]


def test_both_directions_see_the_valid_steps_alone(rng):
    lstm = BidirectionalLstm(3, (4, 4))
    inputs = normal(rng, 6, 2, 3)
    lengths = tf.constant([6, 4])
    changed = inputs.copy()
    changed[4:, 1] = 99.0
    np.testing.assert_allclose(
        lstm.last_outputs(tf.constant(inputs), lengths),
        lstm.last_outputs(tf.constant(changed), lengths),
        atol=1e-6,
    )
    alone = lstm.last_outputs(tf.constant(inputs[:4, 1:]), tf.constant([4]))
    together = lstm.last_outputs(tf.constant(inputs), lengths)
    np.testing.assert_allclose(together[1:], alone, atol=1e-6)


def test_one_layer_ends_with_the_last_forward_and_the_last_backward_output(rng):
    lstm = BidirectionalLstm(3, (4,))
    inputs, zeros = normal(rng, 5, 1, 3), np.zeros((1, 4), np.float32)
    ahead = numpy_lstm(lstm.forward_cells[0], inputs, zeros, zeros)[-1]
    behind = numpy_lstm(lstm.backward_cells[0], inputs[::-1], zeros, zeros)[-1]
    np.testing.assert_allclose(
        lstm.last_outputs(tf.constant(inputs), tf.constant([5])),
        np.concatenate([ahead, behind], -1),
        atol=1e-6,
    )


def test_a_sequence_without_valid_steps_gives_zeros(rng):
    lstm = BidirectionalLstm(3, (4,))
    result = lstm.last_outputs(tf.constant(normal(rng, 5, 2, 3)), tf.constant([0, 5]))
    assert not result[0].numpy().any()
    assert result[1].numpy().any()
