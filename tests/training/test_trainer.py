"""Steps: weights moved alike however they are computed, nothing hidden in the model."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from music_vae import configs, data
from music_vae.common.batches import Batch
from music_vae.common.errors import UserError
from music_vae.lstm_models import build_model
from music_vae.nn.numerics import Numerics
from music_vae.training.trainer import Trainer
from support.sizes import SMALL


@pytest.fixture(scope="module")
def batch(tunes, tiny_config):
    music = data.convert(data.read_note_sequences(str(tunes)), tiny_config)
    return Batch(*map(tf.constant, next(data.evaluation_batches(music, tiny_config))))


def test_every_weight_gets_a_gradient_and_moves(batch, tiny_config):
    trainer = Trainer(build_model(tiny_config))
    # At step 0 beta is 0; later, the divergence moves sigma's weights too.
    trainer.step.assign(1000)
    before = [v.numpy() for v in trainer.model.trainable_variables]
    scalars, _ = trainer.train_step(batch)
    assert np.isfinite(float(scalars["loss"]))
    assert int(trainer.step) == 1001
    for old, variable in zip(before, trainer.model.trainable_variables, strict=True):
        assert not np.array_equal(old, variable.numpy()), variable.path


def test_steps_lower_the_loss(batch, tiny_config):
    hparams = tiny_config.hparams.replace(learning_rate=0.02)
    trainer = Trainer(build_model(tiny_config.replace(hparams=hparams)))
    losses = [float(trainer.train_step(batch)[0]["loss"]) for _ in range(30)]
    assert losses[-1] < 0.7 * losses[0]


def test_the_same_seed_repeats_a_run_and_another_does_not(batch, tiny_config):
    def losses(seed):
        trainer = Trainer(build_model(tiny_config), seed=seed)
        for variable in trainer.model.trainable_variables:
            variable.assign(tf.ones_like(variable) * 0.1)
        return [float(trainer.train_step(batch)[0]["loss"]) for _ in range(3)]

    assert losses(1) == losses(1)
    assert losses(1) != losses(2)


def figures(config, batch, numerics, *, steps):
    """Loss and gradient's norm of each of the first steps, from the same weights every time."""
    keras.utils.set_random_seed(0)
    trainer = Trainer(build_model(config), seed=1, numerics=numerics)
    taken = [trainer.train_step(batch)[0] for _ in range(steps)]
    return [[float(step[name]) for name in ("loss", "global_norm")] for step in taken]


@pytest.mark.parametrize(
    ("numerics", "tolerance"),
    [
        (Numerics(jit=True), 1e-5),
        (Numerics(jit=True, whole_step=True), 1e-5),
        # A factor of a product has 8 bits in bfloat16, 11 in float16.
        (Numerics(products="bfloat16"), 2**-8),
        (Numerics(products="float16"), 2**-11),
    ],
)
@pytest.mark.parametrize("hparams", [{}, {"sampling_rate": 0, "dropout_keep_prob": 0.7}])
def test_numerics_change_losses_by_rounding_alone(batch, tiny_config, numerics, tolerance, hparams):
    """The same noise is drawn whatever is compiled or rounded."""
    if "sampling_rate" in hparams:
        hparams["sampling_schedule"] = "constant"
    config = tiny_config.replace(hparams=tiny_config.hparams.replace(**hparams))
    found, expected = (figures(config, batch, how, steps=3) for how in (numerics, Numerics()))
    np.testing.assert_allclose(found, expected, rtol=tolerance)


def test_evaluation_weighs_batches_by_their_size(batch, tiny_config):
    trainer = Trainer(build_model(tiny_config))
    parts = [Batch(*(array[a:b] for array in batch)) for a, b in ((0, 3), (3, 8))]
    whole = trainer.evaluate([batch], sampling_probability=0.0)
    split = trainer.evaluate(parts, sampling_probability=0.0)
    assert split["losses/kl_bits"] == pytest.approx(whole["losses/kl_bits"], rel=1e-5)
    # z is drawn, so the reconstruction differs a little.
    assert split["losses/r_loss"] == pytest.approx(whole["losses/r_loss"], rel=0.05)
    assert 0 <= whole["metrics/accuracy"] <= 1


def test_a_model_trained_on_its_samples_is_evaluated_on_them(batch, tiny_config):
    trainer = Trainer(build_model(tiny_config))
    for _ in range(30):
        trainer.train_step(batch)
    free = trainer.evaluate([batch])
    assert free == trainer.evaluate([batch], sampling_probability=1.0)
    assert free != trainer.evaluate([batch], sampling_probability=0.0)


def test_evaluating_nothing_is_an_error(tiny_config):
    with pytest.raises(UserError, match="no examples to evaluate"):
        Trainer(build_model(tiny_config)).evaluate([])


def test_longer_examples_are_cut_to_the_configs_length(batch, tiny_config):
    whole_melodies = dataclasses.replace(tiny_config.data_converter, slice_bars=None)
    hparams = tiny_config.hparams.replace(max_seq_len=16)
    config = tiny_config.replace(data_converter=whole_melodies, hparams=hparams)
    trainer = Trainer(build_model(config))
    cut = Batch(batch.inputs[:, :16], batch.targets[:, :16], batch.controls[:, :16], batch.lengths)
    whole = trainer.evaluate([batch], sampling_probability=0.0)
    assert whole == pytest.approx(trainer.evaluate([cut], sampling_probability=0.0))


def test_a_step_compiled_as_a_whole_is_compiled_once_for_all_lengths(batch, tiny_config):
    """Shorter batches are padded, which changes nothing."""
    hparams = tiny_config.hparams.replace(sampling_schedule="constant", sampling_rate=0.0)
    config = tiny_config.replace(hparams=hparams)
    short = Batch(*(array[:, :20] for array in batch[:3]), lengths=tf.minimum(batch.lengths, 20))

    def losses(numerics):
        keras.utils.set_random_seed(0)
        trainer = Trainer(build_model(config), seed=1, numerics=numerics)
        found = [float(trainer.train_step(b)[0]["loss"]) for b in (batch, short, batch)]
        return found, trainer._train.experimental_get_tracing_count()

    plain, _ = losses(Numerics())
    whole, compilations = losses(Numerics(jit=True, whole_step=True))
    np.testing.assert_allclose(whole, plain, rtol=1e-5)
    assert compilations == 1


@pytest.mark.parametrize("hparams", [{}, {"sampling_rate": 0, "dropout_keep_prob": 0.7}])
def test_towers_take_the_step_of_an_undivided_batch(batch, tiny_config, hparams):
    if "sampling_rate" in hparams:
        hparams["sampling_schedule"] = "constant"
    config = tiny_config.replace(hparams=tiny_config.hparams.replace(**hparams))
    rows = Batch(*(array[:6] for array in batch))

    def figures(towers):
        keras.utils.set_random_seed(0)
        trainer = Trainer(build_model(config), seed=1, numerics=Numerics(towers=towers))
        scalars, statistics = trainer.train_step(rows)
        weights = [variable.numpy() for variable in trainer.model.trainable_variables]
        return scalars, statistics, weights, trainer.evaluate([rows, batch])

    for actual, expected in zip(
        tf.nest.flatten(figures(3)), tf.nest.flatten(figures(1)), strict=True
    ):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_a_batch_that_cannot_be_shared_equally_stays_whole(batch, tiny_config):
    trainer = Trainer(build_model(tiny_config), numerics=Numerics(towers=2))
    rows = Batch(*(array[:3] for array in batch))
    assert np.isfinite(float(trainer.train_step(rows)[0]["loss"]))
    assert np.isfinite(trainer.evaluate([rows])["loss"])


@pytest.mark.parametrize(
    "name", ["groovae_2bar_humanize", "hierdec-mel_16bar", "hier-multiperf_vel_1bar_med"]
)
@pytest.mark.parametrize("numerics", [Numerics(jit=True), Numerics(towers=2)])
def test_every_family_trains_the_same_however_it_is_computed(name, numerics):
    config = configs.get_config(name, hparams=SMALL)
    depths = config.data_converter.input_depth, config.data_converter.output_depth
    steps = config.hparams.max_seq_len
    rng = np.random.default_rng(0)
    inputs, targets = (
        np.eye(depth, dtype=np.float32)[rng.integers(0, depth, (4, steps))] for depth in depths
    )
    lengths = rng.integers(1, steps + 1, 4).astype(np.int32)
    batch = Batch(
        *map(tf.constant, (inputs, targets, np.zeros((4, steps, 0), np.float32), lengths))
    )
    found, expected = (figures(config, batch, how, steps=2) for how in (numerics, Numerics()))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
