"""The models give the numbers of the original (see tests/golden/README.md)."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from music_vae import checkpoints
from music_vae.configs import CONFIG_MAP
from music_vae.legacy_weights import named_variables
from music_vae.lstm_models import Batch, build_model
from music_vae.nn import latent
from music_vae.specs import HParams
from music_vae.trainer import Trainer

GOLDEN = Path(os.environ.get("GOLDEN_DIR", Path(__file__).parent / "golden"))
CASES = sorted(path.name for path in (GOLDEN / "models").iterdir())


class Golden:
    """One golden case: the model with the golden weights, the batch, and what is expected."""

    def __init__(self, name):
        folder = GOLDEN / "models" / name
        self.facts = json.loads((folder / "golden.json").read_text())
        self.values = np.load(folder / "golden.npz")
        self.config = CONFIG_MAP[name].replace(hparams=HParams(**self.facts["hparams"]))
        self.model = build_model(self.config)
        checkpoints.load_weights(self.model, folder / "model.ckpt")
        batch = len(self.values["sequence_length"])
        steps = self.values["input_sequence"].shape[1]
        controls = np.zeros((batch, steps, 0), np.float32)
        if "control_sequence" in self.values:
            controls = self.values["control_sequence"].astype(np.float32)
        self.batch = Batch(
            tf.constant(self.values["input_sequence"], tf.float32),
            tf.constant(self.values["output_sequence"], tf.float32),
            tf.constant(controls),
            tf.constant(self.values["sequence_length"]),
        )
        self.seed = tf.zeros([2], tf.int32)


@pytest.fixture(scope="module", params=CASES)
def golden(request):
    if request.param not in CONFIG_MAP:
        pytest.skip(f"no config {request.param} in this version")
    return Golden(request.param)


def report(record_property, name, actual, expected):
    """Notes the largest difference relative to the size of the expected values; returns it."""
    scale = max(float(np.abs(expected).max()), 1e-12)
    difference = float(np.abs(np.asarray(actual) - expected).max()) / scale
    record_property(name, difference)
    return difference


def test_the_posterior_and_its_divergence_are_equal(golden, record_property):
    mu, sigma = golden.model.encode(
        golden.batch.inputs, golden.batch.lengths, golden.batch.controls
    )
    assert report(record_property, "mu", mu, golden.values["mu"]) < 2e-5
    assert report(record_property, "sigma", sigma, golden.values["sigma"]) < 2e-5
    kl = latent.kl_divergence(mu, sigma)
    assert report(record_property, "kl", kl, golden.values["kl"]) < 2e-5


def test_the_teacher_forced_outputs_and_loss_are_equal(golden, record_property):
    z, batch = tf.constant(golden.values["mu"]), golden.batch
    outputs = golden.model.decode(z, batch.targets, batch.controls).numpy()
    every = 16 if "rnn_output_every_16th_step" in golden.values else 1
    key = "rnn_output" if every == 1 else "rnn_output_every_16th_step"
    expected = golden.values[key]
    valid = np.arange(outputs.shape[1]) < golden.values["sequence_length"][:, None]
    outputs = np.where(valid[..., None], outputs, 0)[:, ::every]
    expected = np.where(valid[:, ::every, None], expected, 0)
    assert report(record_property, "rnn_output", outputs, expected) < 2e-5
    recon, statistics = golden.model.reconstruction(
        z, batch, sampling_probability=0.0, seed=golden.seed
    )
    assert report(record_property, "r_loss", recon, golden.values["r_loss"]) < 2e-5
    metrics = golden.model.decoder.head.summarize(
        {name: value.numpy() for name, value in statistics.items()}
    )
    for name, value in metrics.items():
        assert value == pytest.approx(golden.facts["metrics"][f"metrics/{name}"], abs=1e-6)


def test_the_likeliest_samples_are_equal(golden):
    z = tf.constant(golden.values["z"])
    steps = golden.values["samples"].shape[1]
    controls = tf.repeat(golden.batch.controls[:1, :steps], len(z), axis=0)
    samples = golden.model.sample(
        z,
        controls,
        tf.fill([len(z), steps, golden.model.decoder.head.noise_size], 0.5),
        temperature=golden.facts["sample_temperature"],
        end_token=golden.config.data_converter.end_token,
    )
    np.testing.assert_array_equal(samples.samples, golden.values["samples"])
    np.testing.assert_array_equal(samples.lengths, golden.values["sample_lengths"])


def test_the_gradients_and_four_training_steps_are_equal(golden, record_property):
    model, batch = build_model(golden.config), golden.batch
    for name, variable in named_variables(model).items():
        variable.assign(named_variables(golden.model)[name])
    trainer = Trainer(model)
    trainer.step.assign(golden.facts["global_step"])
    variables = [v.value for v in model.trainable_variables]
    losses, norms = [], []
    for index in range(4):
        with tf.GradientTape() as tape:
            mu, sigma = model.encode(batch.inputs, batch.lengths, batch.controls)
            loss = model.elbo_loss_at(
                mu,
                mu,
                sigma,
                batch,
                step=tf.cast(trainer.step, tf.float32),
                sampling_probability=0.0,
                seed=golden.seed,
            )
        gradients = tape.gradient(loss.total, variables)
        if index == 0:
            check_gradients(record_property, golden, model, gradients)
        losses.append(float(loss.total))
        norms.append(float(trainer.apply_gradients(gradients)))
    assert report(record_property, "losses", losses, golden.values["train_losses"]) < 1e-4
    assert report(record_property, "norms", norms, golden.values["global_norms"]) < 1e-4


def check_gradients(record_property, golden, model, gradients):
    by_id = {
        id(variable.value): gradient
        for variable, gradient in zip(model.trainable_variables, gradients, strict=True)
    }
    worst = 0.0
    expected = golden.facts["gradients"]
    names = named_variables(model)
    assert set(names) == set(expected) == set(golden.facts["variables"])
    for name, variable in names.items():
        assert list(variable.shape) == golden.facts["variables"][name]
        gradient = by_id[id(variable)].numpy().astype(np.float64)
        norm, total, first = expected[name]
        # The sum cancels; what it may be off by grows with the number of elements, as the norm's
        # share of rounding does.
        scale = max(norm, 1e-3)
        spread = np.sqrt(gradient.size)
        differences = [
            abs(np.linalg.norm(gradient) - norm) / scale,
            abs(gradient.sum() - total) / (scale * spread),
            np.abs(gradient.ravel()[:4] - first).max() / scale,
        ]
        worst = max(worst, *differences)
    record_property("gradients", worst)
    assert worst < 2e-5
