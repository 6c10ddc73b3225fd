"""Output distributions against plain NumPy and by hand."""

import numpy as np
import pytest
import tensorflow as tf

from music_vae.nn.heads import (
    BooleanHead,
    CategoricalHead,
    GrooveHead,
    MixtureGrooveHead,
    MultiCategoricalHead,
    NadeHead,
)

LOGITS = np.log(np.array([[0.1, 0.2, 0.7]], np.float32))


@pytest.mark.parametrize(
    ("noise", "expected"), [(0.0, 0), (0.099, 0), (0.101, 1), (0.299, 1), (0.301, 2), (0.9999, 2)]
)
def test_a_sample_is_the_class_in_whose_share_the_noise_falls(noise, expected):
    sample = CategoricalHead(3).sample(LOGITS, 1.0, tf.constant([[noise]]))
    assert sample.numpy().tolist() == np.eye(3)[[expected]].tolist()


@pytest.mark.parametrize("temperature", [0.0, 1e-4])
@pytest.mark.parametrize("noise", [0.0, 0.5, 1 - 2**-24])
def test_near_temperature_zero_the_likeliest_class_is_taken(temperature, noise):
    sample = CategoricalHead(3).sample(LOGITS, temperature, tf.constant([[noise]]))
    assert sample.numpy().argmax() == 2


def test_samples_follow_the_distribution_at_a_temperature():
    noise = np.random.default_rng(0).random((20_000, 1), np.float32)
    logits = tf.repeat(tf.constant(LOGITS), len(noise), axis=0)
    shares = tf.reduce_mean(CategoricalHead(3).sample(logits, 2.0, noise), axis=0)
    expected = np.sqrt([0.1, 0.2, 0.7])
    np.testing.assert_allclose(shares, expected / expected.sum(), atol=0.01)


def test_a_class_of_probability_zero_is_never_drawn():
    logits = tf.constant([[-1e9, 0.0, -1e9]])
    for noise in (0.0, 1 - 2**-24):
        sample = CategoricalHead(3).sample(logits, 1.0, tf.constant([[noise]]))
        assert sample.numpy().argmax() == 1


def test_the_loss_is_the_surprise_in_nats():
    loss = CategoricalHead(3).loss(LOGITS, tf.constant([[0.0, 1.0, 0.0]]))
    assert loss.numpy() == pytest.approx([-np.log(0.2)], rel=1e-5)


def test_metrics_count_valid_steps_and_add_up_over_batches():
    head = CategoricalHead(3)
    logits = tf.one_hot([[0, 1, 2, 0]], 3) * 5
    targets = tf.one_hot([[0, 1, 1, 2]], 3)
    first = head.statistics(logits, targets, tf.constant([[1.0, 1.0, 1.0, 0.0]]))
    second = head.statistics(logits, targets, tf.constant([[1.0, 0.0, 0.0, 1.0]]))
    sums = {name: (first[name] + second[name]).numpy().sum(axis=0) for name in first}
    metrics = head.summarize(sums)
    # Class 0: right twice of 2; class 1: once of 2; class 2: never of 1.
    assert metrics["metrics/accuracy"] == pytest.approx(3 / 5)
    assert metrics["metrics/mean_per_class_accuracy"] == pytest.approx((1 + 0.5 + 0) / 3)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def sums_of(head, parameters, targets):
    mask = tf.ones(targets.shape[:2])
    statistics = head.statistics(tf.constant(parameters), tf.constant(targets), mask)
    return {name: value.numpy().sum(axis=0) for name, value in statistics.items()}


def test_several_classes_add_up_their_losses_and_join_their_samples():
    head, parts = MultiCategoricalHead((3, 2)), (CategoricalHead(3), CategoricalHead(2))
    logits = normal(1, 4, 5)
    targets = tf.concat([tf.one_hot([[0, 1, 2, 0]], 3), tf.one_hot([[1, 1, 0, 0]], 2)], -1)
    expected = parts[0].loss(logits[..., :3], targets[..., :3])
    expected += parts[1].loss(logits[..., 3:], targets[..., 3:])
    np.testing.assert_allclose(head.loss(logits, targets), expected, rtol=1e-6)
    noise = tf.constant([[0.3, 0.8]])
    sample = head.sample(logits[0, :1], 1.0, noise)
    joined = [
        parts[0].sample(logits[0, :1, :3], 1.0, noise[:, :1]),
        parts[1].sample(logits[0, :1, 3:], 1.0, noise[:, 1:]),
    ]
    np.testing.assert_array_equal(sample, tf.concat(joined, -1))
    metrics = head.summarize(sums_of(head, logits, targets.numpy()))
    assert set(metrics) == {
        f"metrics/{name}/output_{n}"
        for name in ("accuracy", "mean_per_class_accuracy")
        for n in (0, 1)
    }


def test_a_boolean_is_yes_where_the_noise_is_below_its_probability():
    head = BooleanHead(2)
    logits = tf.constant([[0.0, np.log(3.0)]], tf.float32)  # probabilities 1/2 and 3/4
    assert head.sample(logits, 1.0, tf.constant([[0.49, 0.76]])).numpy().tolist() == [[1, 0]]
    assert head.sample(logits, 1e-4, tf.constant([[0.51, 0.99]])).numpy().tolist() == [[0, 1]]
    loss = head.loss(logits[None], tf.constant([[[1.0, 0.0]]]))
    assert loss.numpy() == pytest.approx(np.array([[np.log(2) + np.log(4)]]), rel=1e-5)
    metrics = head.summarize(sums_of(head, logits[None].numpy(), np.array([[[1, 0]]], np.float32)))
    assert metrics == {"metrics/accuracy": 0.5}


def numpy_nade(head, parameters, values):
    """Equations of nn.nade, one number at a time: log-likelihood and probabilities."""
    hidden = head.nade.num_hidden
    a, b_dec = parameters[:hidden].copy(), parameters[hidden:]
    w_enc, w_dec = head.nade.w_enc.numpy()[:, 0], head.nade.w_dec_t.numpy()[:, :, 0]
    p = np.zeros(len(values))
    for n, value in enumerate(values):
        p[n] = sigmoid(sigmoid(a) @ w_dec[n] + b_dec[n])
        a += value * w_enc[n]
    chance = np.where(values > 0, p, 1 - p)
    return np.log(1e-6 + chance).sum(), p


def test_nade_is_its_equations():
    head = NadeHead(5, 4)
    parameters = normal(2, 3, 9)
    targets = (normal(2, 3, 5, seed=1) > 0).astype(np.float32)
    losses = head.loss(tf.constant(parameters), tf.constant(targets)).numpy()
    sums = sums_of(head, parameters, targets)
    guesses = []
    for index in np.ndindex(2, 3):
        log_likelihood, p = numpy_nade(head, parameters[index], targets[index])
        assert losses[index] == pytest.approx(-log_likelihood, rel=1e-5)
        guesses.append(p >= 0.5)
    guesses, true = np.array(guesses), targets.reshape(6, 5) > 0
    metrics = head.summarize(sums)
    assert metrics["metrics/accuracy"] == pytest.approx((guesses == true).all(axis=1).mean())
    assert metrics["metrics/precision"] == pytest.approx((guesses & true).sum() / guesses.sum())
    assert metrics["metrics/recall"] == pytest.approx((guesses & true).sum() / true.sum())


def test_nade_samples_have_the_likelihood_that_it_gives_them():
    head = NadeHead(3, 4)
    parameters = normal(7, seed=3)
    noise = np.random.default_rng(0).random((20_000, 3), np.float32)
    samples = head.sample(tf.repeat(tf.constant(parameters[None]), len(noise), 0), 1.0, noise)
    codes = samples.numpy() @ [1, 2, 4]
    for code in range(8):
        values = np.array([code & 1, code >> 1 & 1, code >> 2 & 1], np.float32)
        expected = np.exp(numpy_nade(head, parameters, values)[0])
        assert (codes == code).mean() == pytest.approx(expected, abs=0.015)


def test_a_groove_is_hits_velocities_and_offsets():
    head = GrooveHead(6)
    parameters = normal(1, 1, 6)
    targets = np.array([[[1, 0, 0.5, 0, -0.25, 0]]], np.float32)
    p, v, o = (
        sigmoid(parameters[0, 0, :2]),
        sigmoid(parameters[0, 0, 2:4]),
        np.tanh(parameters[0, 0, 4:]),
    )
    hits = -np.log(p[0] + 1e-7) - np.log(1 - p[1] + 1e-7)
    velocities, offsets = ((v - [0.5, 0]) ** 2).sum(), ((o - [-0.25, 0]) ** 2).sum()
    loss = head.loss(tf.constant(parameters), tf.constant(targets)).numpy()
    assert loss == pytest.approx(np.array([[hits + velocities + offsets]]), rel=1e-5)
    metrics = head.summarize(sums_of(head, parameters, targets))
    expected = {"hits": hits, "velocities": velocities, "offsets": offsets}
    assert metrics == pytest.approx({f"metrics/{k}_loss": x for k, x in expected.items()}, rel=1e-5)
    sample = head.sample(parameters[0], 1.0, tf.constant([[0.0, 0.9999]])).numpy()[0]
    np.testing.assert_allclose(sample, [1, 0, *v, *o], rtol=1e-5)


def logistic(value, mean, scale):
    """The density of a logistic distribution."""
    return sigmoid((value - mean) / scale) * sigmoid((mean - value) / scale) / scale


def softplus(x):
    return np.log1p(np.exp(x))


class TestMixtureGrooveHead:
    """Two drums with mixtures of two components each."""

    HEAD = MixtureGrooveHead(6, components=2)
    PARAMETERS = normal(1, 1, 2 * 13)

    def parts(self):
        """Hit logits, then shares, means and scales `[drums, components]` of either value."""
        row = self.PARAMETERS[0, 0].astype(np.float64)
        logits, means, scales = row[2:14].reshape(3, 2, 2)
        v_shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        velocity = v_shares, sigmoid(means), softplus(scales) + 0.005
        logits, means, scales = row[14:].reshape(3, 2, 2)
        o_shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return row[:2], velocity, (o_shares, np.tanh(means), softplus(scales) + 0.005)

    def test_values_count_where_there_is_a_hit(self):
        targets = np.array([[[1, 0, 0.5, 0.9, -0.25, 0.9]]], np.float32)
        logits, *mixtures = self.parts()
        expected = {"metrics/hits_loss": softplus(-logits[0]) + softplus(logits[1])}
        for name, value, (shares, means, scales) in zip(
            ("velocities", "offsets"), (0.5, -0.25), mixtures, strict=True
        ):
            density = (shares[0] * logistic(value, means[0], scales[0])).sum()
            expected[f"metrics/{name}_loss"] = -np.log(density)
        loss = self.HEAD.loss(tf.constant(self.PARAMETERS), tf.constant(targets)).numpy()
        assert loss.item() == pytest.approx(sum(expected.values()), rel=1e-5)
        metrics = self.HEAD.summarize(sums_of(self.HEAD, self.PARAMETERS, targets))
        assert metrics == pytest.approx(expected, rel=1e-5)

    def drawn(self, temperature, count=20_000):
        rows = tf.repeat(tf.constant(self.PARAMETERS[0]), count, axis=0)
        noise = np.random.default_rng(0).random((count, 10), np.float32)
        return np.split(self.HEAD.sample(rows, temperature, noise).numpy(), 3, axis=1)

    def test_draws_have_the_mixtures_distribution(self):
        hits, velocities, offsets = self.drawn(1.0)
        logits, *mixtures = self.parts()
        np.testing.assert_allclose(hits.mean(axis=0), sigmoid(logits), atol=0.01)
        for values, least, (shares, means, scales) in zip(
            (velocities, offsets), (0, -1), mixtures, strict=True
        ):
            for drum in range(2):
                played = values[hits[:, drum] > 0, drum]
                for level in (least + 0.2, 0.5, 0.8):
                    expected = (shares * sigmoid((level - means) / scales))[drum].sum()
                    assert (played < level).mean() == pytest.approx(expected, abs=0.02)

    def test_at_temperature_zero_a_value_is_the_mean(self):
        hits, velocities, offsets = self.drawn(0.0, count=50)
        _, *mixtures = self.parts()
        for values, (shares, means, _) in zip((velocities, offsets), mixtures, strict=True):
            expected = hits * (shares * means).sum(axis=1)
            np.testing.assert_allclose(values, expected, atol=1e-4)

    def test_what_is_not_hit_has_no_velocity_and_no_offset(self):
        hits, velocities, offsets = self.drawn(1.0)
        assert 0 < hits.mean() < 1
        assert not velocities[hits == 0].any()
        assert not offsets[hits == 0].any()

    def test_values_that_would_be_out_of_range_are_clipped(self):
        rows = np.full((200, 26), 9, np.float32)  # all scales about 9
        noise = np.random.default_rng(0).random((200, 10), np.float32)
        _, velocities, offsets = np.split(self.HEAD.sample(rows, 1.0, noise).numpy(), 3, axis=1)
        assert (velocities.min(), velocities.max()) == (0, 1)
        assert (offsets.min(), offsets.max()) == (-1, 1)

    def test_a_value_far_away_has_a_finite_loss(self):
        rows = np.full((1, 1, 26), -20, np.float32)  # means 0 and -1, the narrowest scale
        loss = self.HEAD.loss(tf.constant(rows), tf.ones([1, 1, 6])).numpy()
        assert np.isfinite(loss).all()
