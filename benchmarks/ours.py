"""Runs this package as `original.py` runs the original.

python ours.py train_steps CONFIG HPARAMS STEPS   # times building and training steps
python ours.py export CONFIG HPARAMS PREFIX OUT   # exports a run, and what it computes
"""

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import example_batch
import train_report

SEED = 0
STEP = 1234


def train_steps(arguments: Sequence[str]) -> None:
    """Times building a model, its first training step, and STEPS more on the same batch."""
    config_name, hparams, steps = arguments
    from music_vae import imports

    imports.import_tensorflow()
    import keras
    import tensorflow as tf

    from music_vae.configs import get_config
    from music_vae.lstm_models import build_model
    from music_vae.nn import latent
    from music_vae.specs import Batch
    from music_vae.trainer import Trainer

    config = get_config(config_name, hparams)
    arrays = example_batch.example_batch(
        config_name, config.data_converter, config.hparams.batch_size, config.hparams.max_seq_len
    )

    # What a step imports when it is first taken; the original has it imported by now, too.
    latent.kl_divergence(tf.zeros([1, 1]), tf.ones([1, 1]))

    def build() -> train_report.Step:
        keras.utils.set_random_seed(SEED)
        trainer = Trainer(build_model(config), seed=SEED)
        batch = Batch(*(tf.constant(array) for array in arrays))
        return lambda: float(trainer.train_step(batch)[0]["loss"])

    train_report.measure(build, int(steps))


def export(arguments: Sequence[str]) -> None:
    """Makes a run with random weights, exports it to PREFIX; writes what it computes to OUT.

    The values are those of `original.py compute`, and the lengths.
    """
    config_name, hparams, prefix, out = arguments
    from music_vae import imports

    imports.import_tensorflow()
    import numpy as np
    import tensorflow as tf

    from music_vae import export_tf1, runs
    from music_vae.configs import get_config
    from music_vae.lstm_models import Policy
    from music_vae.specs import Batch

    config = get_config(config_name, hparams)
    with tempfile.TemporaryDirectory() as folder:
        run = runs.Run(config, Path(folder), seed=SEED)
        rng = np.random.default_rng(SEED)
        for variable in run.trainer.model.trainable_variables:  # biases too, which begin at zero
            variable.assign(variable + 0.1 * rng.standard_normal(variable.shape))
        run.trainer.step.assign(STEP)
        run.save()
        export_tf1.export(folder, prefix)
    arrays = example_batch.example_batch(
        config_name, config.data_converter, config.hparams.batch_size, config.hparams.max_seq_len
    )
    batch, model = Batch(*map(tf.constant, arrays)), run.trainer.model
    mu, sigma = model.encode(batch.inputs, batch.lengths, batch.controls)
    result = model.reconstruct(mu, batch, Policy(0.0, tf.zeros([2], tf.int32)))
    np.savez(
        out,
        mu=mu,
        sigma=sigma,
        logits=result.parameters,
        loss=result.loss_nats,
        global_step=STEP,
        lengths=arrays.lengths,
    )


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    "train_steps": train_steps,
    "export": export,
}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](sys.argv[2:])
