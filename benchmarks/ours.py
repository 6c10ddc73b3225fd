"""Runs this package as `original.py` runs the original.

python ours.py train_steps CONFIG HPARAMS STEPS   # times building and training steps
"""

import sys
from collections.abc import Callable, Sequence

import example_batch
import train_report

SEED = 0


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


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {"train_steps": train_steps}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](sys.argv[2:])
