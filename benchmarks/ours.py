"""Runs this package as `original.py` runs the original.

python ours.py train_steps CONFIG HPARAMS STEPS   # times building and training steps
python ours.py serve_steps CONFIG HPARAMS         # takes as many steps as each line of stdin says
python ours.py serve_products SIZE                # the same with matrix products
"""

import sys
from collections.abc import Callable, Sequence

import example_batch
import train_report

SEED = 0


def train_steps(arguments: Sequence[str]) -> None:
    """Times building a model, its first training step, and STEPS more on the same batch."""
    config_name, hparams, steps = arguments
    train_report.measure(_builder(config_name, hparams), int(steps))


def serve_steps(arguments: Sequence[str]) -> None:
    """Takes training steps on the same batch, as stdin says."""
    config_name, hparams = arguments
    train_report.serve(_builder(config_name, hparams)())


def _builder(config_name: str, hparams: str) -> Callable[[], train_report.Step]:
    """A function that builds a model, with everything imported already."""
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

    return build


def serve_products(arguments: Sequence[str]) -> None:
    """Multiplies two matrices of SIZE x SIZE, as stdin says: what this machine can do."""
    import tensorflow as tf

    (size,) = map(int, arguments)
    a = tf.random.normal([size, size])
    train_report.serve(lambda: float(tf.matmul(a, a)[0, 0]))


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    "train_steps": train_steps,
    "serve_steps": serve_steps,
    "serve_products": serve_products,
}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](sys.argv[2:])
