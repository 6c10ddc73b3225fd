"""LSTM layers against a plain NumPy version, and their own gradient against automatic ones."""

import numpy as np
import pytest
import tensorflow as tf

from music_vae.common.model_spec import bidirectional_lstm, lstm_stack
from music_vae.nn.cell import LstmCell, LstmState
from music_vae.nn.numerics import Numerics
from music_vae.nn.parts import last_valid, side_by_side, split_one_hots
from music_vae.nn.rnn import BidirectionalLstm, Dropout, LstmLayer, LstmStack


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def numpy_lstm(cell, inputs, c, h):
    """The equations of `music_vae.nn.cell`, step by step; `[T, B, D]` to `[T, B, H]`."""
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
    lengths = tf.constant([6, 6])
    hs, _ = cell.sequence(cell.project([tf.constant(inputs)]), lengths, LstmState(c, h))
    np.testing.assert_allclose(hs, numpy_lstm(cell, inputs, c, h), atol=1e-6)


def test_steps_equal_the_sequence(rng):
    cell = make_cell(rng, 3, 4)
    inputs = normal(rng, 5, 2, 3)
    state, outputs = LstmState(tf.zeros([2, 4]), tf.zeros([2, 4])), []
    for x in inputs:
        state = cell.step(cell.project([tf.constant(x)]), state)
        outputs.append(state.h)
    whole, last = cell.sequence(cell.project([tf.constant(inputs)]), tf.constant([5, 5]))
    np.testing.assert_allclose(last, state, atol=1e-6)
    np.testing.assert_allclose(tf.stack(outputs), whole, atol=1e-6)


def test_a_part_without_time_counts_at_every_step(rng):
    cell = make_cell(rng, 5, 4)
    inputs, z = normal(rng, 6, 2, 3), normal(rng, 2, 2)
    repeated = np.concatenate([inputs, np.broadcast_to(z, (6, 2, 2))], axis=-1)
    np.testing.assert_allclose(
        cell.project([tf.constant(inputs), tf.constant(z)]).gates,
        cell.project([tf.constant(repeated)]).gates,
        atol=1e-6,
    )


def test_inputs_of_the_wrong_width_are_refused(rng):
    with pytest.raises(ValueError, match="expects inputs of width 5, got 3"):
        make_cell(rng, 5, 4).project([tf.zeros([2, 3])])


def test_the_gradient_equals_automatic_differentiation_of_single_steps(rng):
    cell = make_cell(rng, 3, 4)
    inputs, weights = normal(rng, 7, 4, 3), normal(rng, 7, 4, 4)
    inputs, c, h = (
        tf.Variable(inputs),
        tf.Variable(normal(rng, 4, 4)),
        tf.Variable(normal(rng, 4, 4)),
    )
    sources = [inputs, c, h, cell.kernel.value, cell.bias.value]
    lengths = [7, 4, 0, 1]
    with tf.GradientTape() as tape:
        projected = cell.project([tf.convert_to_tensor(inputs)])
        hs, last = cell.sequence(projected, tf.constant(lengths), LstmState(c, h))
        loss = tf.reduce_sum(hs * weights) + tf.reduce_sum(last.c * weights[0])
    fused = tape.gradient(loss, sources)
    with tf.GradientTape() as tape:
        state, loss = LstmState(tf.convert_to_tensor(c), tf.convert_to_tensor(h)), 0.0
        for t in range(7):
            state = cell.step(cell.project([inputs[t]]), state)
            ends = np.equal(lengths, t + 1).astype(np.float32)[:, None]
            loss += tf.reduce_sum(state.h * weights[t]) + tf.reduce_sum(state.c * weights[0] * ends)
    stepwise = tape.gradient(loss, sources)
    for actual, expected in zip(fused, stepwise, strict=True):
        np.testing.assert_allclose(actual, expected, atol=2e-5)


@pytest.mark.parametrize("products", [None, "bfloat16", "float16"])
@pytest.mark.parametrize("size", [1.0, 1e-9])
def test_products_of_halves_have_the_gradients_of_whole_ones(rng, products, size):
    """However small a gradient is: nothing vanishes in a float16."""
    a, b = tf.constant(normal(rng, 20, 30)), tf.constant(normal(rng, 30, 40))
    weights = normal(rng, 20, 40) * np.float32(size)

    def gradients(numerics):
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            loss = tf.reduce_sum(numerics.multiply(a, b) * weights)
        return tape.gradient(loss, [a, b])

    pairs = zip(gradients(Numerics(products=products)), gradients(Numerics()), strict=True)
    for half, whole in pairs:
        error = np.linalg.norm(half - whole) / np.linalg.norm(whole)
        assert error < {None: 1e-7, "bfloat16": 2**-7, "float16": 2**-10}[products]


def test_a_stack_over_time_equals_its_steps(rng):
    stack = LstmStack(lstm_stack("lstm", 3, (4, 5)))
    flat = tf.constant(normal(rng, 2, stack.plan.state_size))
    inputs = tf.constant(normal(rng, 6, 2, 3))
    states, outputs = stack.split_state(flat), []
    for t in range(6):
        top, states = stack.step([inputs[t]], states)
        outputs.append(top)
    whole, last = stack.sequence([inputs], tf.constant([6, 6]), stack.split_state(flat))
    np.testing.assert_allclose(last[0].c, states[0].c, atol=1e-6)
    np.testing.assert_allclose(whole, tf.stack(outputs), atol=1e-6)


def test_a_state_splits_into_c_and_h_of_each_layer_in_turn():
    stack = LstmStack(lstm_stack("lstm", 3, (1, 2)))
    (c0, h0), (c1, h1) = stack.split_state(tf.constant([[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]]))
    assert [x.numpy().ravel().tolist() for x in (c0, h0, c1, h1)] == [[0], [1], [2, 3], [4, 5]]


def test_both_directions_see_the_valid_steps_alone(rng):
    lstm = BidirectionalLstm(bidirectional_lstm("lstm", 3, (4, 4)))
    inputs = normal(rng, 6, 2, 3)
    lengths = tf.constant([6, 4])
    changed = inputs.copy()
    changed[4:, 1] = 99.0
    np.testing.assert_allclose(
        lstm.last_states([tf.constant(inputs)], lengths),
        lstm.last_states([tf.constant(changed)], lengths),
        atol=1e-6,
    )
    alone = lstm.last_states([tf.constant(inputs[:4, 1:])], tf.constant([4]))
    together = lstm.last_states([tf.constant(inputs)], lengths)
    np.testing.assert_allclose(together[1:], alone, atol=1e-6)


def test_one_layer_ends_with_the_last_forward_and_the_last_backward_output(rng):
    lstm = BidirectionalLstm(bidirectional_lstm("lstm", 3, (4,)))
    inputs, zeros = normal(rng, 5, 1, 3), np.zeros((1, 4), np.float32)
    ahead = numpy_lstm(lstm.forward_layers[0].cell, inputs, zeros, zeros)[-1]
    behind = numpy_lstm(lstm.backward_layers[0].cell, inputs[::-1], zeros, zeros)[-1]
    np.testing.assert_allclose(
        lstm.last_states([tf.constant(inputs)], tf.constant([5])),
        np.concatenate([ahead, behind], -1),
        atol=1e-6,
    )


def test_a_sequence_without_valid_steps_gives_zeros(rng):
    lstm = BidirectionalLstm(bidirectional_lstm("lstm", 3, (4,)))
    result = lstm.last_states([tf.constant(normal(rng, 5, 2, 3))], tf.constant([0, 5]))
    assert not result[0].numpy().any()
    assert result[1].numpy().any()


def test_a_part_that_is_left_out_can_be_added_with_its_rows(rng):
    cell = make_cell(rng, 5, 4)
    x, z = tf.constant(normal(rng, 2, 3)), tf.constant(normal(rng, 2, 2))
    apart = cell.project([3, z])
    (rows,) = apart.left_out
    np.testing.assert_allclose(apart.gates + x @ rows, cell.project([x, z]).gates, atol=1e-6)


def test_one_hot_vectors_are_found_and_others_left(rng):
    first, second = np.array([[2, -1], [0, 1]]), np.array([[-1, 1], [0, 0]])
    rest = tf.constant(normal(rng, 2, 2, 3))
    sequence = tf.concat([tf.one_hot(first, 3), tf.one_hot(second, 2), rest], axis=-1)
    parts = split_one_hots(sequence, (3, 2))
    np.testing.assert_array_equal(parts[0].classes, first)
    np.testing.assert_array_equal(parts[1].classes, second)
    np.testing.assert_array_equal(parts[2], rest)
    np.testing.assert_array_equal(side_by_side(parts), sequence)


def test_one_hot_vectors_look_up_what_they_would_be_multiplied_to(rng):
    cell = make_cell(rng, 5, 4)
    one_hot, rest = tf.one_hot([[1, 0], [-1, 1], [2, 1]], 3), tf.constant(normal(rng, 3, 2, 2))
    weights, found = normal(rng, 3, 2, 16), []
    for parts in (split_one_hots(tf.concat([one_hot, rest], -1), (3,)), [one_hot, rest]):
        with tf.GradientTape() as tape:
            gates = cell.project(parts).gates
            loss = tf.reduce_sum(gates * weights)
        found.append((gates, tape.gradient(loss, cell.kernel.value)))
    for looked_up, multiplied in zip(*found, strict=True):
        np.testing.assert_allclose(looked_up, multiplied, atol=1e-6)


def test_outputs_of_both_directions_stand_in_the_order_of_the_input(rng):
    lstm = BidirectionalLstm(bidirectional_lstm("lstm", 3, (4,)))
    inputs, lengths = normal(rng, 5, 2, 3), tf.constant([5, 3])
    outputs = lstm.outputs([tf.constant(inputs)], lengths).numpy()
    zeros = np.zeros((1, 4), np.float32)
    behind = numpy_lstm(lstm.backward_layers[0].cell, inputs[:3, 1:][::-1], zeros, zeros)
    np.testing.assert_allclose(outputs[:3, 1:, 4:], behind[::-1], atol=1e-6)


def test_a_residual_layer_adds_its_input_projected_where_it_is_told_to(rng):
    layer = LstmLayer(lstm_stack("lstm", 3, (4,), residual=True).layers[0])
    layer.projection.bias.assign(normal(rng, 4))
    inputs, zeros = normal(rng, 5, 2, 3), np.zeros((2, 4), np.float32)
    projected = inputs @ layer.projection.kernel.numpy() + layer.projection.bias.numpy()
    expected = numpy_lstm(layer.cell, projected, zeros, zeros) + projected
    outputs, last = layer.sequence([tf.constant(inputs)], tf.constant([5, 3]))
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
    hidden = expected - projected
    np.testing.assert_allclose(last.h, [hidden[4, 0], hidden[2, 1]], atol=1e-5)


def test_a_residual_stack_projects_where_the_width_changes():
    stack = LstmStack(lstm_stack("lstm", 3, (4, 4, 5), residual=True))
    assert [layer.projection is not None for layer in stack.layers] == [True, False, True]


def test_residual_steps_equal_the_sequence(rng):
    stack = LstmStack(lstm_stack("lstm", 3, (4, 4, 5), residual=True))
    inputs, z = tf.constant(normal(rng, 6, 2, 2)), tf.constant(normal(rng, 2, 1))
    states = stack.split_state(tf.zeros([2, stack.plan.state_size]))
    outputs = []
    for t in range(6):
        top, states = stack.step([inputs[t], z], states)
        outputs.append(top)
    np.testing.assert_allclose(
        stack.sequence([inputs, z], tf.constant([6, 6]))[0], tf.stack(outputs), atol=1e-5
    )


def test_dropout_zeroes_its_share_of_the_inputs_and_keeps_their_mean():
    mask = Dropout(0.3, tf.constant([1, 2])).mask([200, 300]).numpy()
    assert set(np.unique(mask)) == {0, np.float32(1 / 0.3)}
    assert mask.mean() == pytest.approx(1, abs=0.02)


def test_steps_under_dropout_equal_the_sequence_under_the_same(rng):
    """Scheduled sampling runs step by step first, and over the whole sequence after."""
    stack, dropout = LstmStack(lstm_stack("lstm", 3, (4, 5))), Dropout(0.5, tf.constant([3, 4]))
    inputs = tf.constant(normal(rng, 6, 2, 3))
    masks = stack.masks(dropout, 6, 2)
    states, outputs = stack.split_state(tf.zeros([2, stack.plan.state_size])), []
    for t in range(6):
        top, states = stack.step([inputs[t]], states, [mask[t] for mask in masks])
        outputs.append(top)
    whole = stack.sequence([inputs], tf.constant([6, 6]), dropout=dropout)[0]
    np.testing.assert_allclose(whole, tf.stack(outputs), atol=1e-6)
    assert np.abs(whole - stack.sequence([inputs], tf.constant([6, 6]))[0]).max() > 1e-3


def test_the_last_valid_step_is_that_of_each_example():
    sequence = tf.reshape(tf.range(6.0), [3, 2, 1])
    last = last_valid(sequence, tf.constant([2, 0]))
    assert last.numpy().tolist() == [[2.0], [0.0]]
